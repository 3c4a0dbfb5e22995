// SPDX-License-Identifier: BSD-3-Clause
// One panel of voxels of a permutation test: residuals of unit length, and rows times panel.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "groupglm/parallel.hpp"
#include "groupglm/permutation.hpp"
#include "lanes.hpp"
#include "voxel_runs.hpp"

namespace groupglm {

using Panel = Eigen::Array<double, kPanel, 1>;
using PanelColumns = std::array<bool, kPanel>;

// Panels a task: enough that handing one out costs nothing beside its work.
inline constexpr Index kTaskPanels = 8;

inline constexpr double kNone = -std::numeric_limits<double>::infinity();

// Below this share of the total a residual sum of squares is rounding.
inline constexpr double kSmallestRss = 1e-15;

/// A thread's memory: y (n, kPanel), and products (n_products, kPanel).
struct PermutationWorkspace {
  PermutationWorkspace(Index n, Index n_products)
      : y(static_cast<std::size_t>(n * kPanel)),
        products(static_cast<std::size_t>(n_products * kPanel)) {}
  std::vector<double> y;
  std::vector<double> products;
  PanelColumns live{};
};

// out (R, kPanel) = R rows of n times y (n, kPanel).
template <int R>
inline void multiply_some(const double* rows, Index n, const double* y, double* out) {
  for (Index v = 0; v < kPanel; v += kBlock) {
    Lane sum[R][kLanes];
    for (auto& row : sum) {
      for (auto& lane : row) lane.setZero();
    }
    for (Index i = 0; i < n; ++i) {
      Lane value[kLanes];
      for (int l = 0; l < kLanes; ++l) value[l] = LaneMap(y + i * kPanel + v + l * kLane);
      GROUPGLM_UNROLL
      for (int r = 0; r < R; ++r) {
        const double weight = rows[r * n + i];
        for (int l = 0; l < kLanes; ++l) sum[r][l] += weight * value[l];
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int l = 0; l < kLanes; ++l) LaneOut(out + r * kPanel + v + l * kLane) = sum[r][l];
    }
  }
}

/// out (n_rows, kPanel) = rows (n_rows, n) y (n, kPanel). The sums of a row are the same bits
/// whatever rows stand beside it.
inline void multiply_panel(const double* rows, Index n_rows, Index n, const double* y,
                           double* out) {
  Index r = 0;
  for (; r + 4 <= n_rows; r += 4) multiply_some<4>(rows + r * n, n, y, out + r * kPanel);
  for (; r < n_rows; ++r) multiply_some<1>(rows + r * n, n, y, out + r * kPanel);
}

/// y -= basis' basis y, in two passes: what rounding of a large mean leaves in the first is taken
/// off by the second.
inline void take_off(const Eigen::Map<const RowMatrix>& basis, double* y, double* products) {
  if (basis.rows() == 0) return;
  for (int pass = 0; pass < 2; ++pass) {
    multiply_panel(basis.data(), basis.rows(), basis.cols(), y, products);
    for (Index i = 0; i < basis.cols(); ++i) {
      Eigen::Map<Panel> row(y + i * kPanel);
      for (Index j = 0; j < basis.rows(); ++j) {
        row -= basis(j, i) * Eigen::Map<const Panel>(products + j * kPanel);
      }
    }
  }
}

/// One row of a panel: `count` values, then zeros.
template <typename Scalar>
Panel read_row(const DataView<Scalar>& data, Index row, Index first, Index count) {
  if (count == kPanel && data.voxel_stride == 1) {
    using Stored = Eigen::Array<Scalar, kPanel, 1>;
    const Scalar* const values = data.data + row * data.row_stride + first;
    return Eigen::Map<const Stored>(values).template cast<double>();
  }
  Panel values = Panel::Zero();
  for (Index v = 0; v < count; ++v) values[v] = static_cast<double>(data(row, first + v));
  return values;
}

/// Reads `count` voxels of n rows, of which read(i) returns one as a Panel, takes the basis (m, n)
/// off and brings them to unit length. Columns without a voxel, or whose voxel does not vary or has
/// missing values, become copies of one that does, so that they change no maximum; false when there
/// is none. products needs room for the rows of the basis.
template <typename ReadRow>
bool load_rows(Index n, const ReadRow& read, const Eigen::Map<const RowMatrix>& basis, Index count,
               PermutationWorkspace& workspace) {
  double* const y = workspace.y.data();
  using Row = Eigen::Map<Panel>;
  Panel total = Panel::Zero();
  for (Index i = 0; i < n; ++i) {
    const Panel values = read(i);
    total += values.square();
    Row(y + i * kPanel) = values;
  }
  take_off(basis, y, workspace.products.data());
  Panel square = Panel::Zero();
  for (Index i = 0; i < n; ++i) square += Row(y + i * kPanel).square();
  const double share = rounding_share(n);
  Index source = -1;
  for (Index v = 0; v < kPanel; ++v) {
    // False for NaN too.
    const bool live = v < count && square[v] > share * share * total[v];
    workspace.live[static_cast<std::size_t>(v)] = live;
    if (live && source < 0) source = v;
  }
  if (source < 0) return false;
  for (Index v = 0; v < kPanel; ++v) {
    if (workspace.live[static_cast<std::size_t>(v)]) continue;
    square[v] = square[source];
    for (Index i = 0; i < n; ++i) y[i * kPanel + v] = y[i * kPanel + source];
  }
  const Panel scale = square.sqrt().inverse();
  for (Index i = 0; i < n; ++i) Row(y + i * kPanel) *= scale;
  return true;
}

/// The same for `count` voxels side by side, from the first.
template <typename Scalar>
bool load_panel(const DataView<Scalar>& data, const PermutedModel& model, Index first, Index count,
                PermutationWorkspace& workspace) {
  return load_rows(
      data.n_rows, [&](Index i) { return read_row(data, i, first, count); }, model.basis, count,
      workspace);
}

// Calls body(first voxel, count, thread) for every panel.
template <typename Body>
void for_each_panel(Index n_voxels, int n_threads, const Body& body) {
  constexpr Index task_voxels = kTaskPanels * kPanel;
  const Index n_tasks = (n_voxels + task_voxels - 1) / task_voxels;
  parallel_for(n_tasks, n_threads, [&](Index task, int thread) {
    const Index end = std::min(n_voxels, (task + 1) * task_voxels);
    for (Index first = task * task_voxels; first < end; first += kPanel) {
      body(first, std::min(kPanel, end - first), thread);
    }
  });
}

// Products held at a time: 512 rows of a panel (128 KB) stay in the second-level cache.
inline constexpr Index kProducts = 512;

// Below this share of the data, what the nuisance leaves of them is rounding.
inline constexpr double kSmallestTotal = 1e-12;
inline constexpr double kHuge = 1e300;

/// One permutation's numbers at the voxels of a panel.
struct Scores {
  Panel effect;  // e
  Panel total;   // d, at least e; kHuge where both are rounding
};

/// From products (n_rows, kPanel), the k of the effect first.
inline Scores scores_of(const double* products, Index n_effect, Index n_rows) {
  using Row = Eigen::Map<const Panel>;
  Scores scores;
  scores.effect = Row(products).square();
  for (Index j = 1; j < n_effect; ++j) scores.effect += Row(products + j * kPanel).square();
  scores.total.setOnes();
  for (Index j = n_effect; j < n_rows; ++j) scores.total -= Row(products + j * kPanel).square();
  // Of data that the nuisance explains entirely once they are rearranged (which happens by flips of
  // few images) rounding is left: its ratios would be large statistics, a huge total makes them 0.
  scores.total = (scores.total < kSmallestTotal).select(kHuge, scores.total.max(scores.effect));
  return scores;
}

/// The largest r2 of a panel; with the sign of the effect's one product if `is_signed`.
inline double largest_share(const Scores& scores, const double* products, bool is_signed,
                            bool total_is_one) {
  using Row = Eigen::Map<const Panel>;
  if (is_signed) {
    const Panel signed_effect = Row(products) * Row(products).abs();
    return total_is_one ? signed_effect.maxCoeff() : (signed_effect / scores.total).maxCoeff();
  }
  return total_is_one ? scores.effect.maxCoeff() : (scores.effect / scores.total).maxCoeff();
}

inline std::vector<std::optional<PermutationWorkspace>> workspaces_for(int n_threads) {
  return std::vector<std::optional<PermutationWorkspace>>(
      static_cast<std::size_t>(resolve_threads(n_threads)));
}

/// Takes every panel through work(first voxel, count, workspace, best), which raises best (B), and
/// joins what the threads have found. work fills the maps of a panel that has a voxel.
template <typename Scalar, typename Work>
void permute_panels(const DataView<Scalar>& y, const PermutedModel& model, Index n_permutations,
                    const PermutedOutputs& out, Index n_products, int n_threads, const Work& work) {
  auto workspaces = workspaces_for(n_threads);
  std::vector<std::vector<double>> best(workspaces.size());
  for_each_panel(y.n_voxels, n_threads, [&](Index first, Index count, int thread) {
    const auto at = static_cast<std::size_t>(thread);
    if (!workspaces[at]) {
      // Made where it is used, so that its memory is the thread's own.
      workspaces[at].emplace(y.n_rows, n_products);
      best[at].assign(static_cast<std::size_t>(n_permutations), kNone);
    }
    if (load_panel(y, model, first, count, *workspaces[at])) {
      work(first, count, *workspaces[at], best[at].data());
    } else if (out.maps != nullptr) {
      for (Index b = 0; b < n_permutations; ++b) {
        std::fill_n(out.maps + b * y.n_voxels + first, count, 0.0);
      }
    }
  });
  // A maximum is the same whoever found it.
  std::fill_n(out.best, n_permutations, kNone);
  for (const auto& found : best) {
    for (std::size_t b = 0; b < found.size(); ++b) out.best[b] = std::max(out.best[b], found[b]);
  }
}

}  // namespace groupglm
