// SPDX-License-Identifier: BSD-3-Clause
// Small matrices applied to the state of a run of voxels.
#pragma once

#include <cmath>
#include <limits>

#include "groupglm/models/ols_fit.hpp"

namespace groupglm {

// Voxels of a run: their state stays in the cache over the operations of one result.
inline constexpr Index kRun = 2048;

// out (m, count) = a (m, q) w[:, first:first+count], row by row, so that memory is read in order.
inline void multiply_run(const MatrixXd& a, const OlsState& state, Index first, Index count,
                         RowMatrixOut out) {
  for (Index i = 0; i < a.rows(); ++i) {
    auto row = out.row(i).segment(first, count);
    row.setZero();
    for (Index k = 0; k < a.cols(); ++k) row += a(i, k) * state.w().row(k).segment(first, count);
  }
}

// out (count) += |basis' w|^2 of each voxel of the run.
inline void add_squares_run(const MatrixXd& basis, const OlsState& state, Index first, Index count,
                            Array out) {
  Eigen::RowVectorXd projected(count);
  for (Index i = 0; i < basis.cols(); ++i) {
    projected.setZero();
    for (Index k = 0; k < basis.rows(); ++k) {
      projected += basis(k, i) * state.w().row(k).segment(first, count);
    }
    out += projected.array().square().transpose();
  }
}

// The largest rounding that orthogonal transformations leave in a residual of zero, relative to
// |y|. Each of n rows adds one rounding; they add up like a random walk.
inline double rounding_share(Index n_rows) {
  return 8 * std::numeric_limits<double>::epsilon() * std::sqrt(static_cast<double>(n_rows));
}

// Sets sums of squares (count) to zero if they are within the rounding of the voxel's |y|^2:
// otherwise the statistics of a constant voxel would be noise.
inline void clear_rounding(const OlsState& state, Index first, Index count, Index n_rows,
                           Array sums) {
  const double share = rounding_share(n_rows);
  Eigen::ArrayXd size = state.rss().segment(first, count).array();
  for (Index k = 0; k < state.n_working(); ++k) {
    size += state.w().row(k).segment(first, count).array().square().transpose();
  }
  sums = (sums < share * share * size).select(0.0, sums);
}

// values *= 2^(exponent + power e), where e is each voxel's own exponent: from the state's scale to
// the data's.
inline void scale_run(const OlsState& state, Index first, int exponent, int power, Array values) {
  if (state.has_scales()) {
    for (Index v = 0; v < values.size(); ++v) {
      values[v] = std::ldexp(values[v], exponent + power * state.exponent_of(first + v));
    }
  } else if (exponent != 0) {
    // In two halves, because 2^exponent itself may overflow.
    values *= std::ldexp(1.0, exponent / 2);
    values *= std::ldexp(1.0, exponent - exponent / 2);
  }
}

}  // namespace groupglm
