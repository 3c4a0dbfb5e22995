// SPDX-License-Identifier: BSD-3-Clause
// From the state of a weighted fit to results, voxel by voxel: which voxels have columns that are
// clearly independent, and the pivoted factor of the others.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "groupglm/models/weighted_state.hpp"
#include "groupglm/parallel.hpp"
#include "models/voxel_runs.hpp"

namespace groupglm {

/// Voxels of a run: what each operation needs of their state stays in the cache.
inline constexpr Index kWeightedRun = 256;

/// A column is clearly independent of those before it if more than this share of its squared length
/// is. Where all columns are, results follow by substitution; elsewhere the pivoted factor decides,
/// by kRankTolerance, which columns depend on each other.
inline constexpr double kClearlyIndependent = 1e-10;

using RunArray = Eigen::Array<double, 1, Eigen::Dynamic>;

/// The design of a voxel: that of all, and its covariates, which have the scale 1. It has no rows.
inline Design with_covariates(const Design& design, Index n_own) {
  Design own;
  const Index p = design.n_columns;
  const Index m = design.n_working() + n_own;
  own.n_columns = p + n_own;
  own.working.resize(0, m);
  own.scale = VectorXd::Ones(p + n_own);
  own.scale.head(p) = design.scale;
  own.intercept = VectorXd::Zero(m);
  own.intercept.head(p) = design.intercept.head(p);
  own.intercept.tail(design.n_working() - p) = design.intercept.tail(design.n_working() - p);
  own.has_intercept = design.has_intercept;
  return own;
}

/// A voxel's rows by their pivoted factor: unit r'r = X'WX and r beta = w, for the columns in their
/// scales. The unit is the mean weight, so that weights do not matter for the rule of rank.
struct VoxelFactor {
  MatrixXd r;  // (m, m)
  VectorXd w;  // (m)
  double unit = 1.0;
  double rss = 0.0;  // of the columns, in units of the weights; zero where it is rounding
  Index n_rows = 0;
  Design design;
  Factor factor;
};
VoxelFactor factor_of_voxel(const WeightedState& state, const Design& extended, Index voxel);

/// One run of voxels of a state.
struct VoxelRun {
  const WeightedState& state;
  Index first;
  Index count;

  auto slot(Index k) const { return state.parts().slots.row(k).segment(first, count).array(); }
  auto d(Index k) const { return slot(state.parts().at().d(k)); }
  auto theta(Index k) const { return slot(state.parts().at().theta(k)); }
  auto r(Index k, Index j) const { return slot(state.parts().at().r(k, j)); }
  auto sum(Index k) const { return state.parts().sums.row(k).segment(first, count).array(); }
  RunArray n_rows() const {
    return state.parts().counts.row(kPresent).segment(first, count).array().cast<double>();
  }

  /// The squared length of column j, weighted.
  RunArray squared_length(Index j) const;
  /// The residual sum of squares of the first n_columns columns; zero where it is rounding.
  RunArray rss(Index n_columns) const;
  /// sums, but zero where they are within the rounding of the sum of squares of the data.
  RunArray without_rounding(const RunArray& sums) const;
  /// The solution g of r'g = c, row by row, for the first c.size() columns. Then c'beta = g'theta,
  /// with the variance sum(g^2 / d) in units of the weights.
  std::vector<RunArray> directions(const VectorXd& c) const;
};

/// Whether the first n_columns columns are clearly independent, voxel by voxel.
std::vector<char> clearly_independent(const VoxelRun& run, Index n_columns);

/// Calls regular(run) for every run of voxels, as if every voxel in it were regular, and then
/// own(voxel, its factor), which overwrites, for those that are not: is_regular(run) says which.
template <typename IsRegular, typename Regular, typename Own>
void visit_weighted(const WeightedState& state, const Design& extended, const IsRegular& is_regular,
                    const Regular& regular, const Own& own, int n_threads) {
  const Index n_runs = (state.n_voxels() + kWeightedRun - 1) / kWeightedRun;
  parallel_for(n_runs, n_threads, [&](Index index, int) {
    const Index first = index * kWeightedRun;
    const VoxelRun run{state, first, std::min(kWeightedRun, state.n_voxels() - first)};
    regular(run);
    const std::vector<char> flags = is_regular(run);
    // Voxels without any row share their factor: outside a mask there may be many.
    std::optional<VoxelFactor> empty;
    for (Index v = first; v < first + run.count; ++v) {
      if (flags[static_cast<std::size_t>(v - first)] != 0) continue;
      if (state.parts().counts(kPresent, v) > 0) {
        own(v, factor_of_voxel(state, extended, v));
      } else {
        if (!empty) empty = factor_of_voxel(state, extended, v);
        own(v, *empty);
      }
    }
  });
}

}  // namespace groupglm
