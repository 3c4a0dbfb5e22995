// SPDX-License-Identifier: BSD-3-Clause
// Results of an OLS state: coefficients, sums of squares, degrees of freedom; and predictions and
// residuals, which read the data again.
#pragma once

#include <functional>

#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

using Array = Eigen::Map<Eigen::ArrayXd>;
using IntArray = Eigen::Map<Eigen::Array<std::int64_t, Eigen::Dynamic, 1>>;
using RowMatrixOut = Eigen::Map<RowMatrix>;

/// Minimum-norm coefficients (p, n_voxels); NaN where a voxel has no row at all.
void coefficients(const OlsState& state, const Design& design, RowMatrixOut beta, int n_threads);

/// Residual sum of squares (n_voxels).
void residual_sum_of_squares(const OlsState& state, const Design& design, const Array& rss,
                             int n_threads);

/// The root of the residual sum of squares (n_voxels), also where double does not hold the square.
void residual_norm(const OlsState& state, const Design& design, Array out, int n_threads);

/// The residual sum of squares of y 2^-exponent (n_voxels): in each voxel's own scale, as the
/// state's w and rss.
void scaled_rss(const OlsState& state, const Design& design, Array rss, int n_threads);

/// 1 - RSS/TSS (n_voxels), TSS about the mean when the constant is in the span of X, else about
/// zero; NaN where TSS is zero.
void r_square(const OlsState& state, const Design& design, Array out, int n_threads);

/// Mean over the rows present (n_voxels); NaN where there is none.
void mean(const OlsState& state, const Design& design, Array out, int n_threads);

/// The number of rows present and the rank of the design in them (n_voxels each).
void degrees_of_freedom(const OlsState& state, const Design& design, IntArray n_observations,
                        IntArray rank, int n_threads);

/// X beta (n_rows, n_voxels), x (n_rows, p).
template <typename Scalar>
void predict(const Eigen::Ref<const RowMatrix>& x, const Eigen::Ref<const RowMatrix>& beta,
             Scalar* out, int n_threads);

/// y - X beta (n_rows, n_voxels), C-ordered; NaN where y is NaN.
template <typename Scalar>
void residuals(const Eigen::Ref<const RowMatrix>& x, const Eigen::Ref<const RowMatrix>& beta,
               const DataView<Scalar>& y, Scalar* out, int n_threads);

/// Callbacks of `visit_voxels`. complete(first, count) is called for every run of voxels, as if
/// each had every row. own(voxel, factor R, its Factor, n_rows) follows for each voxel that misses
/// a row and overwrites its result. Neighbouring voxels that miss the same rows share one
/// factorisation.
struct VoxelVisitor {
  std::function<void(Index first, Index count)> complete;
  std::function<void(Index voxel, const MatrixXd& r, const Factor& factor, Index n_rows)> own;
};
void visit_voxels(const OlsState& state, const Design& design, const VoxelVisitor& visitor,
                  int n_threads);

}  // namespace groupglm
