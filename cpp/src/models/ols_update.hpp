// SPDX-License-Identifier: BSD-3-Clause
// Rows, or another state, added to a state of ordinary least squares, tile by tile of voxels.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#include <vector>

#include "groupglm/models/ols_state.hpp"
#include "models/givens.hpp"
#include "models/tile_update.hpp"
#include "models/voxel_scales.hpp"

namespace groupglm {

// A task is a run of tiles, so that the tile that it prefetches next is its own.
inline constexpr Index kTaskTiles = 16;

// The work that a tile leaves for later: its voxels with missing values, the number of rows that
// each has, and the voxels whose exponent changes.
struct Leftover {
  std::vector<Index> voxels;
  std::vector<Index> n_present;
  std::vector<ScaledVoxel> scaled;
};

inline OlsParts empty_parts(Index n_working, Index n_voxels) {
  OlsParts parts;
  parts.r = MatrixXd::Zero(n_working, n_working);
  parts.w = RowMatrix::Zero(n_working, n_voxels);
  parts.rss = VectorXd::Zero(n_voxels);
  return parts;
}

inline void load_tile(const OlsParts& state, Index first, Index count, Workspace& ws) {
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    const Index start = first + panel * kPanel;
    const Index n = std::min(kPanel, count - panel * kPanel);
    for (Index k = 0; k < ws.q; ++k) std::copy_n(&state.w(k, start), n, ws.w_row(panel, k));
    std::copy_n(&state.rss[start], n, ws.rss.data() + panel * kPanel);
  }
}

// Processes some of a tile's voxels again, in the scales found for them. y begins at the tile.
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
      values(i, v) = std::ldexp(static_cast<double>(y(i, voxel - first)), unit);
    }
  }
  Workspace own(ws.packed.size() / kPanel, ws.q);
  load_tile(part, 0, count, own);
  const DataView<double> view{values.data(), values.rows(), count, count, 1};
  for (const Block& block : blocks) advance_tile(block, view, count, own);
  for (Index v = 0; v < count; ++v) {
    const Index at = scaled[static_cast<std::size_t>(v)].voxel - first;
    for (Index k = 0; k < ws.q; ++k) {
      ws.w_row(at / kPanel, k)[at % kPanel] = own.w_row(v / kPanel, k)[v % kPanel];
    }
    ws.rss[at] = own.rss[v];
  }
}

// Writes a tile back. Leftover voxels keep the numbers that they had before the update.
inline void store_tile(Workspace& ws, Index first, Index count, const Leftover& leftover,
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
inline std::vector<Index> incomplete_voxels(const OlsParts& state, const OlsParts* other,
                                            Index first, Index count, const Workspace& ws) {
  std::vector<Index> voxels;
  const bool all_complete = !state.has_missing() && (other == nullptr || !other->has_missing());
  if (all_complete && ws.rss.head(count).allFinite()) return voxels;
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
inline void add_rss(const OlsParts& other, Index first, Index count, Leftover& leftover,
                    OlsParts& state) {
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
inline void set_exponents(OlsParts& state, const std::vector<Leftover>& leftovers) {
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
void count_present(const DataView<Scalar>& y, Index first, Leftover& leftover,
                   std::atomic<bool>& infinite) {
  leftover.n_present.assign(leftover.voxels.size(), 0);
  for (Index i = 0; i < y.n_rows; ++i) {
    for (std::size_t k = 0; k < leftover.voxels.size(); ++k) {
      const Scalar value = y(i, leftover.voxels[k] - first);
      leftover.n_present[k] += std::isnan(value) ? 0 : 1;
      if (std::isinf(value)) infinite = true;
    }
  }
}

inline void pack_factor(const MatrixXd& r, double* packed) {
  for (Index k = 0; k < r.rows(); ++k) {
    for (Index j = k; j < r.cols(); ++j) *packed++ = r(k, j);
  }
}

// Makes the slots when a voxel first misses a row: all other voxels have every row so far, this
// update included.
inline void start_slots(OlsParts& state, const std::vector<Leftover>& leftovers) {
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
inline void reserve_slots(OlsParts& state, const std::vector<Leftover>& leftovers,
                          std::size_t size) {
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
inline std::vector<Index> assign_slots(OlsParts& state, const std::vector<Leftover>& leftovers) {
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

/// Adds rows (m, q) and their data to a state, or the r and w of another state.
///
/// Every tile is taken once, by any thread; then `finish` is called. What the tiles leave is the
/// caller's: the rows of voxels that miss some (see `leaves`).
template <typename Scalar>
class OlsUpdate {
 public:
  OlsUpdate(OlsParts& state, const Eigen::Ref<const RowMatrix>& rows, const VectorXd* intercept,
            const OlsParts* other, bool extreme)
      : state_(&state),
        other_(other),
        n_rows_(other != nullptr ? other->n_rows : rows.rows()),
        // Sums of two states without scales do not leave the range of double.
        may_scale_(extreme || state.has_scales() || (other != nullptr && other->has_scales())),
        blocks_(plan_blocks(rows, state.r, state.n_rows > 0, intercept)),
        leftovers_(static_cast<std::size_t>((state.n_voxels() + kTile - 1) / kTile)) {}

  Index n_tiles() const { return static_cast<Index>(leftovers_.size()); }
  /// A workspace for tiles of this and of any other update of as many rows and columns.
  Workspace workspace() const {
    Index n_rows = 0;
    for (const Block& block : blocks_) n_rows = std::max(n_rows, block.n_new);
    return {n_rows + state_->n_working(), state_->n_working()};
  }

  /// y: the rows from the tile's first voxel on.
  void take(Index tile, const DataView<Scalar>& y, Workspace& ws, std::atomic<bool>& infinite) {
    const Index first = tile * kTile;
    const Index count = std::min(kTile, state_->n_voxels() - first);
    load_tile(*state_, first, count, ws);
    for (const Block& block : blocks_) advance_tile(block, y, count, ws);
    Leftover& leftover = leftovers_[static_cast<std::size_t>(tile)];
    if (may_scale_) {
      leftover.scaled = find_scaled_voxels(*state_, other_, y, first, count, ws);
    }
    if (!leftover.scaled.empty()) {
      redo_scaled(*state_, other_, blocks_, y, leftover.scaled, first, ws);
    }
    leftover.voxels = incomplete_voxels(*state_, other_, first, count, ws);
    store_tile(ws, first, count, leftover, *state_);
    if (other_ == nullptr) {
      count_present(y, first, leftover, infinite);
    } else {
      add_rss(*other_, first, count, leftover, *state_);
    }
  }

  /// Makes the state that of one block more, but for the voxels that it returns, in ascending
  /// order: these have a factor of their own, to which their rows are still to be added.
  std::vector<Index> finish() {
    set_exponents(*state_, leftovers_);
    std::vector<Index> own = assign_slots(*state_, leftovers_);
    state_->r = blocks_.back().r;
    state_->n_rows += n_rows_;
    return own;
  }

  /// The voxels of a tile, ascending, whose rows no tile has added.
  const std::vector<Index>& left(Index tile) const {
    return leftovers_[static_cast<std::size_t>(tile)].voxels;
  }

 private:
  OlsParts* state_;
  const OlsParts* other_;
  Index n_rows_;
  bool may_scale_;
  std::vector<Block> blocks_;
  std::vector<Leftover> leftovers_;
};

}  // namespace groupglm
