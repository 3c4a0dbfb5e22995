// SPDX-License-Identifier: BSD-3-Clause
// Small matrices applied to the state of a run of voxels.
#pragma once

#include <cmath>
#include <limits>

#include "groupglm/ols_fit.hpp"

namespace groupglm {

// Voxels worked on at a time: a run's state stays in cache over the operations of one result.
inline constexpr Index kRun = 2048;

// out (m, count) = a (m, q) w[:, first:first+count], row by row so that all memory is walked in
// order.
inline void multiply_run(const MatrixXd& a, const OlsState& state, Index first, Index count,
                         RowMatrixOut out) {
  for (Index i = 0; i < a.rows(); ++i) {
    auto row = out.row(i).segment(first, count);
    row.setZero();
    for (Index k = 0; k < a.cols(); ++k) row += a(i, k) * state.w.row(k).segment(first, count);
  }
}

// out (count) += |basis' w|^2 of each voxel of the run.
inline void add_squares_run(const MatrixXd& basis, const OlsState& state, Index first, Index count,
                            Array out) {
  Eigen::RowVectorXd projected(count);
  for (Index i = 0; i < basis.cols(); ++i) {
    projected.setZero();
    for (Index k = 0; k < basis.rows(); ++k) {
      projected += basis(k, i) * state.w.row(k).segment(first, count);
    }
    out += projected.array().square().transpose();
  }
}

// What orthogonal transformations leave of a residual that is zero, relative to |y|, n rows: a
// rounding a row, adding up like a random walk.
inline double rounding_share(Index n_rows) {
  return 8 * std::numeric_limits<double>::epsilon() * std::sqrt(static_cast<double>(n_rows));
}

// Below this a square loses digits: what sums of squares so small say of a voxel is not known.
inline constexpr double kSmallestSquare = 1e-270;

// Sets sums of squares (count) that are no more than rounding of the voxel's |y|^2 to zero: those
// of a constant voxel, whose statistics would otherwise be noise. Those of a voxel whose values are
// too small to be squared become NaN.
inline void clear_rounding(const OlsState& state, Index first, Index count, Index n_rows,
                           Array sums) {
  const double share = rounding_share(n_rows);
  Eigen::ArrayXd size = state.rss.segment(first, count).array();
  for (Index k = 0; k < state.n_working(); ++k) {
    size += state.w.row(k).segment(first, count).array().square().transpose();
  }
  // Strictly less, so that an overflow to infinity stays one.
  sums = (sums < share * share * size).select(0.0, sums);
  if (!(size < kSmallestSquare).any()) return;
  for (Index v = 0; v < count; ++v) {
    const bool is_small = size[v] < kSmallestSquare;
    if (is_small && (size[v] > 0.0 || (state.w.col(first + v).array() != 0.0).any())) {
      sums[v] = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

}  // namespace groupglm
