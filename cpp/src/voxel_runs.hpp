// SPDX-License-Identifier: BSD-3-Clause
// Small matrices applied to the state of a run of voxels.
#pragma once

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

}  // namespace groupglm
