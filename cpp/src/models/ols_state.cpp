// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_state.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "groupglm/parallel.hpp"
#include "models/givens.hpp"
#include "models/tile_update.hpp"
#include "models/voxel_scales.hpp"

namespace groupglm {

namespace {

constexpr Index kTaskTiles = 16;

// The work that a tile leaves for later: its voxels with missing values, the number of rows that
// each has, and the voxels whose exponent changes.
struct Leftover {
  std::vector<Index> voxels;
  std::vector<Index> n_present;
  std::vector<ScaledVoxel> scaled;
};

OlsParts empty_parts(Index n_working, Index n_voxels) {
  OlsParts parts;
  parts.r = MatrixXd::Zero(n_working, n_working);
  parts.w = RowMatrix::Zero(n_working, n_voxels);
  parts.rss = VectorXd::Zero(n_voxels);
  return parts;
}

void load_tile(const OlsParts& state, Index first, Index count, Workspace& ws) {
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    const Index start = first + panel * kPanel;
    const Index n = std::min(kPanel, count - panel * kPanel);
    for (Index k = 0; k < ws.q; ++k) std::copy_n(&state.w(k, start), n, ws.w_row(panel, k));
    std::copy_n(&state.rss[start], n, ws.rss.data() + panel * kPanel);
  }
}

// Processes some of a tile's voxels again, in the scales found for them.
template <typename Scalar>
void redo_scaled(const OlsParts& state, const OlsParts* other, const std::vector<Block>& blocks,
                 const DataView<Scalar>& y, const std::vector<ScaledVoxel>& scaled, Index first,
                 Workspace& ws) {
  const auto count = static_cast<Index>(scaled.size());
  OlsParts part = empty_parts(ws.q, count);
  RowMatrix values(y.n_rows, count);
  for (Index v = 0; v < count; ++v) {
    const auto [voxel, exponent] = scaled[static_cast<std::size_t>(v)];
    const int shift = state.exponent_of(voxel) - exponent;
    for (Index k = 0; k < ws.q; ++k) part.w(k, v) = std::ldexp(state.w(k, voxel), shift);
    part.rss[v] = std::ldexp(state.rss[voxel], 2 * shift);
    const int unit = (other != nullptr ? other->exponent_of(voxel) : 0) - exponent;
    for (Index i = 0; i < y.n_rows; ++i) {
      values(i, v) = std::ldexp(static_cast<double>(y(i, voxel)), unit);
    }
  }
  Workspace own(ws.packed.size() / kPanel, ws.q);
  load_tile(part, 0, count, own);
  const DataView<double> view{values.data(), values.rows(), count, count, 1};
  for (const Block& block : blocks) advance_tile(block, view, 0, count, own);
  for (Index v = 0; v < count; ++v) {
    const Index at = scaled[static_cast<std::size_t>(v)].voxel - first;
    for (Index k = 0; k < ws.q; ++k) {
      ws.w_row(at / kPanel, k)[at % kPanel] = own.w_row(v / kPanel, k)[v % kPanel];
    }
    ws.rss[at] = own.rss[v];
  }
}

// Writes a tile back. Leftover voxels keep the numbers that they had before the update.
void store_tile(Workspace& ws, Index first, Index count, const Leftover& leftover,
                OlsParts& state) {
  for (const Index voxel : leftover.voxels) {
    const Index v = voxel - first;
    for (Index k = 0; k < ws.q; ++k) ws.w_row(v / kPanel, k)[v % kPanel] = state.w(k, voxel);
    ws.rss[v] = state.rss[voxel];
  }
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    const Index start = first + panel * kPanel;
    const Index n = std::min(kPanel, count - panel * kPanel);
    for (Index k = 0; k < ws.q; ++k) std::copy_n(ws.w_row(panel, k), n, &state.w(k, start));
    std::copy_n(ws.rss.data() + panel * kPanel, n, &state.rss[start]);
  }
}

// The tile's voxels that miss a row: in this state, in the other state, or in the new data, whose
// NaN is in rss.
std::vector<Index> incomplete_voxels(const OlsParts& state, const OlsParts* other, Index first,
                                     Index count, const Workspace& ws) {
  std::vector<Index> voxels;
  const auto lacks_rows = [](const OlsParts& of, Index voxel) {
    return of.slot(voxel) != MissingVoxels::kComplete;
  };
  for (Index v = 0; v < count; ++v) {
    const Index voxel = first + v;
    if (!std::isfinite(ws.rss[v]) || lacks_rows(state, voxel) ||
        (other != nullptr && lacks_rows(*other, voxel))) {
      voxels.push_back(voxel);
    }
  }
  return voxels;
}

// Adds the merged state's own residuals at the voxels that are not left over.
void add_rss(const OlsParts& other, Index first, Index count, Leftover& leftover, OlsParts& state) {
  auto next = leftover.voxels.begin();
  auto scale = leftover.scaled.begin();
  for (Index v = first; v < first + count; ++v) {
    const bool is_scaled = scale != leftover.scaled.end() && scale->voxel == v;
    const int exponent = is_scaled ? (scale++)->exponent : 0;
    if (next != leftover.voxels.end() && *next == v) {
      ++next;
      leftover.n_present.push_back(other.n_observations(v));
    } else {
      state.rss[v] += is_scaled ? std::ldexp(other.rss[v], 2 * (other.exponent_of(v) - exponent))
                                : other.rss[v];
    }
  }
}

// Stores the exponents that the tiles have found. The numbers that store_tile left unchanged are
// brought to the new exponent.
void set_exponents(OlsParts& state, const std::vector<Leftover>& leftovers) {
  for (const Leftover& leftover : leftovers) {
    if (leftover.scaled.empty()) continue;
    state.exponent.resize(static_cast<std::size_t>(state.n_voxels()), 0);
    for (const auto& [voxel, exponent] : leftover.scaled) {
      std::int16_t& held = state.exponent[static_cast<std::size_t>(voxel)];
      if (std::binary_search(leftover.voxels.begin(), leftover.voxels.end(), voxel)) {
        const int shift = held - exponent;
        for (double& value : state.w.col(voxel)) value = std::ldexp(value, shift);
        state.rss[voxel] = std::ldexp(state.rss[voxel], 2 * shift);
      }
      held = static_cast<std::int16_t>(exponent);
    }
  }
}

template <typename Scalar>
void count_present(const DataView<Scalar>& y, Leftover& leftover, std::atomic<bool>& infinite) {
  leftover.n_present.assign(leftover.voxels.size(), 0);
  for (Index i = 0; i < y.n_rows; ++i) {
    for (std::size_t k = 0; k < leftover.voxels.size(); ++k) {
      const Scalar value = y(i, leftover.voxels[k]);
      leftover.n_present[k] += std::isnan(value) ? 0 : 1;
      if (std::isinf(value)) infinite = true;
    }
  }
}

template <typename Scalar>
[[noreturn]] void throw_infinite(const DataView<Scalar>& y) {
  for (Index i = 0; i < y.n_rows; ++i) {
    Index count = 0;
    for (Index v = 0; v < y.n_voxels; ++v) count += std::isinf(y(i, v)) ? 1 : 0;
    if (count > 0) throw InfiniteValue(i, count);
  }
  throw InfiniteValue(0, 0);
}

void pack_factor(const MatrixXd& r, double* packed) {
  for (Index k = 0; k < r.rows(); ++k) {
    for (Index j = k; j < r.cols(); ++j) *packed++ = r(k, j);
  }
}

// Makes the slots when a voxel first misses a row: all other voxels have every row so far, this
// update included.
void start_slots(OlsParts& state, const std::vector<Leftover>& leftovers) {
  const auto before = state.n_rows > 0 ? MissingVoxels::kComplete : MissingVoxels::kAbsent;
  const bool any = std::any_of(leftovers.begin(), leftovers.end(),
                               [](const Leftover& leftover) { return !leftover.voxels.empty(); });
  if (!any) return;
  auto& slots = state.missing.slot;
  slots.assign(static_cast<std::size_t>(state.n_voxels()), MissingVoxels::kComplete);
  for (const Leftover& leftover : leftovers) {
    for (const Index voxel : leftover.voxels) slots[static_cast<std::size_t>(voxel)] = before;
  }
}

// Reserves room for exactly the factors to come: growth by halves would take half as much again of
// the largest array of the state.
void reserve_slots(OlsParts& state, const std::vector<Leftover>& leftovers, std::size_t size) {
  MissingVoxels& missing = state.missing;
  std::size_t slots = missing.n_rows.size();
  for (const Leftover& leftover : leftovers) {
    for (std::size_t k = 0; k < leftover.voxels.size(); ++k) {
      const std::int32_t slot = missing.slot[static_cast<std::size_t>(leftover.voxels[k])];
      const bool stays_absent = leftover.n_present[k] == 0 && slot == MissingVoxels::kAbsent;
      if (slot < 0 && !stays_absent) ++slots;
    }
  }
  missing.n_rows.reserve(slots);
  missing.factors.reserve(slots * size);
}

// Gives a factor of its own to every leftover voxel that has a row. Serial and in voxel order, so
// that the slots do not depend on the threads.
std::vector<Index> assign_slots(OlsParts& state, const std::vector<Leftover>& leftovers) {
  MissingVoxels& missing = state.missing;
  std::vector<Index> updated;
  if (missing.slot.empty()) start_slots(state, leftovers);
  const std::size_t size = packed_size(state.n_working());
  reserve_slots(state, leftovers, size);
  for (const Leftover& leftover : leftovers) {
    for (std::size_t k = 0; k < leftover.voxels.size(); ++k) {
      const Index voxel = leftover.voxels[k];
      std::int32_t& slot = missing.slot[static_cast<std::size_t>(voxel)];
      if (leftover.n_present[k] == 0 && slot == MissingVoxels::kAbsent) continue;
      updated.push_back(voxel);
      if (slot >= 0) continue;
      const bool had_rows = slot == MissingVoxels::kComplete;
      slot = static_cast<std::int32_t>(missing.n_rows.size());
      missing.n_rows.push_back(had_rows ? static_cast<std::int32_t>(state.n_rows) : 0);
      missing.factors.resize(missing.factors.size() + size, 0.0);
      if (had_rows) pack_factor(state.r, missing.factors.data() + missing.factors.size() - size);
    }
  }
  return updated;
}

// Rotates the rows of y into one voxel that misses some. rows (m, q) belong to the rows of y; if
// another state is merged, y is its w and the rows are those of its own factor.
template <typename Scalar>
void rotate_voxel_in(OlsParts& state, Index voxel, const Eigen::Ref<const RowMatrix>& rows,
                     const DataView<Scalar>& y, const OlsParts* other, double* x) {
  const Index q = state.n_working();
  const auto slot = static_cast<std::size_t>(state.slot(voxel));
  double* factor = state.missing.factors.data() + slot * packed_size(q);
  double* w = state.w.data() + voxel;
  double& rss = state.rss[voxel];
  const MatrixXd own = other != nullptr ? other->factor_at(voxel) : MatrixXd();
  const int unit = (other != nullptr ? other->exponent_of(voxel) : 0) - state.exponent_of(voxel);
  for (Index i = 0; i < y.n_rows; ++i) {
    auto value = static_cast<double>(y(i, voxel));
    if (other == nullptr && std::isnan(value)) continue;
    if (unit != 0) value = std::ldexp(value, unit);
    for (Index k = 0; k < q; ++k) x[k] = other != nullptr ? own(i, k) : rows(i, k);
    rotate_row_in(q, factor, w, state.n_voxels(), rss, x, value);
    if (other == nullptr) ++state.missing.n_rows[slot];
  }
  if (other != nullptr) {
    rss += std::ldexp(other->rss[voxel], 2 * unit);
    state.missing.n_rows[slot] += static_cast<std::int32_t>(other->n_observations(voxel));
  }
}

// Adds rows (m, q) and their data, or those of another state: its r and w.
template <typename Scalar>
void take_rows(OlsParts& state, const Eigen::Ref<const RowMatrix>& rows, const VectorXd* intercept,
               const DataView<Scalar>& y, const OlsParts* other, bool extreme, int n_threads) {
  const Index q = state.n_working();
  const std::vector<Block> blocks = plan_blocks(rows, state.r, state.n_rows > 0, intercept);
  const Index n_tiles = (state.n_voxels() + kTile - 1) / kTile;
  const auto threads = static_cast<int>(
      std::clamp<Index>(n_tiles, 1, static_cast<Index>(resolve_threads(n_threads))));
  const Index block_rows = std::min(kBlockRows, rows.rows()) + q;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(threads), Workspace(block_rows, q));
  std::vector<Leftover> leftovers(static_cast<std::size_t>(n_tiles));
  std::atomic<bool> infinite{false};
  // Sums of two states without scales do not leave the range of double.
  const bool may_scale = extreme || state.has_scales() || (other != nullptr && other->has_scales());

  const auto work_on_tile = [&](Index tile, Workspace& ws) {
    const Index first = tile * kTile;
    const Index count = std::min(kTile, state.n_voxels() - first);
    load_tile(state, first, count, ws);
    for (const Block& block : blocks) advance_tile(block, y, first, count, ws);
    Leftover& leftover = leftovers[static_cast<std::size_t>(tile)];
    if (may_scale) leftover.scaled = find_scaled_voxels(state, other, y, first, count, ws);
    if (!leftover.scaled.empty()) {
      redo_scaled(state, other, blocks, y, leftover.scaled, first, ws);
    }
    leftover.voxels = incomplete_voxels(state, other, first, count, ws);
    store_tile(ws, first, count, leftover, state);
    if (other == nullptr) {
      count_present(y, leftover, infinite);
    } else {
      add_rss(*other, first, count, leftover, state);
    }
  };
  // A task is a run of tiles, so that the tile that it prefetches next is its own.
  parallel_for((n_tiles + kTaskTiles - 1) / kTaskTiles, threads, [&](Index task, int thread) {
    const Index end = std::min(n_tiles, (task + 1) * kTaskTiles);
    for (Index tile = task * kTaskTiles; tile < end; ++tile) {
      work_on_tile(tile, workspaces[static_cast<std::size_t>(thread)]);
    }
  });
  if (infinite) throw_infinite(y);

  set_exponents(state, leftovers);
  const std::vector<Index> updated = assign_slots(state, leftovers);
  constexpr Index kChunk = 256;
  const auto n_updated = static_cast<Index>(updated.size());
  parallel_for((n_updated + kChunk - 1) / kChunk, threads, [&](Index chunk, int thread) {
    double* x = workspaces[static_cast<std::size_t>(thread)].packed.data();
    const Index end = std::min(n_updated, (chunk + 1) * kChunk);
    for (Index k = chunk * kChunk; k < end; ++k) {
      rotate_voxel_in(state, updated[static_cast<std::size_t>(k)], rows, y, other, x);
    }
  });
  state.r = blocks.back().r;
  state.n_rows += other != nullptr ? other->n_rows : rows.rows();
}

}  // namespace

OlsState::OlsState(Index n_working, Index n_voxels) : parts_(empty_parts(n_working, n_voxels)) {}

OlsState::OlsState(OlsParts parts) : parts_(std::move(parts)) {
  if (!parts_.is_consistent()) throw std::invalid_argument("the parts of a state do not fit");
}

template <typename Scalar>
void OlsState::update(const Eigen::Ref<const RowMatrix>& rows, const VectorXd& intercept,
                      const DataView<Scalar>& y, int n_threads, bool extreme) {
  if (rows.rows() == 0) return;
  const VectorXd* const shift = intercept.size() > 0 ? &intercept : nullptr;
  take_rows(parts_, rows, shift, y, nullptr, extreme, n_threads);
}

void OlsState::merge(const OlsState& other, int n_threads) {
  if (other.n_rows() == 0 && !other.has_missing()) return;
  if (&other == this) {
    merge(OlsState(other), n_threads);
    return;
  }
  const RowMatrix rows = other.r();
  const Index n = other.n_voxels();
  const DataView<double> y{other.w().data(), other.n_working(), n, n, 1};
  take_rows(parts_, rows, nullptr, y, &other.parts_, false, n_threads);
}

template void OlsState::update(const Eigen::Ref<const RowMatrix>&, const VectorXd&,
                               const DataView<float>&, int, bool);
template void OlsState::update(const Eigen::Ref<const RowMatrix>&, const VectorXd&,
                               const DataView<double>&, int, bool);

}  // namespace groupglm
