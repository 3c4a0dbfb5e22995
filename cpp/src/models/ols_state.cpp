// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_state.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "groupglm/parallel.hpp"
#include "models/givens.hpp"
#include "models/ols_update.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
[[noreturn]] void throw_infinite(const DataView<Scalar>& y) {
  for (Index i = 0; i < y.n_rows; ++i) {
    Index count = 0;
    for (Index v = 0; v < y.n_voxels; ++v) count += std::isinf(y(i, v)) ? 1 : 0;
    if (count > 0) throw InfiniteValue(i, count);
  }
  throw InfiniteValue(0, 0);
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
  OlsUpdate<Scalar> update(state, rows, intercept, other, extreme);
  const Index n_tiles = update.n_tiles();
  const auto threads = static_cast<int>(
      std::clamp<Index>(n_tiles, 1, static_cast<Index>(resolve_threads(n_threads))));
  std::vector<Workspace> workspaces(static_cast<std::size_t>(threads), update.workspace());
  std::atomic<bool> infinite{false};
  parallel_for((n_tiles + kTaskTiles - 1) / kTaskTiles, threads, [&](Index task, int thread) {
    const Index end = std::min(n_tiles, (task + 1) * kTaskTiles);
    for (Index tile = task * kTaskTiles; tile < end; ++tile) {
      update.take(tile, from_voxel(y, tile * kTile), workspaces[static_cast<std::size_t>(thread)],
                  infinite);
    }
  });
  if (infinite) throw_infinite(y);

  const std::vector<Index> updated = update.finish();
  constexpr Index kChunk = 256;
  const auto n_updated = static_cast<Index>(updated.size());
  parallel_for((n_updated + kChunk - 1) / kChunk, threads, [&](Index chunk, int thread) {
    double* x = workspaces[static_cast<std::size_t>(thread)].packed.data();
    const Index end = std::min(n_updated, (chunk + 1) * kChunk);
    for (Index k = chunk * kChunk; k < end; ++k) {
      rotate_voxel_in(state, updated[static_cast<std::size_t>(k)], rows, y, other, x);
    }
  });
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
