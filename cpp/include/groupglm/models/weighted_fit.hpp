// SPDX-License-Identifier: BSD-3-Clause
// Results of a weighted state: coefficients, sums of squares, degrees of freedom and contrasts.
//
// The columns are those of X and then the covariates, p + k of them. With beta = r^-1 theta (see
// models/weighted_state.hpp), a contrast row c has
//   effect = c'beta,   variance = sigma^2 c'(X'WX)^-1 c = sigma^2 sum(g^2 / d),   r'g = c,
// and contrast rows C have F = (C beta)' [C (X'WX)^-1 C']^-1 (C beta) / (rank(C) sigma^2), by an
// orthonormal basis of the rows' sqrt(1 / d) g. Source: Searle, Linear Models (1971), 3.6 and 5.4.
#pragma once

#include "groupglm/models/contrast_stats.hpp"
#include "groupglm/models/weighted_state.hpp"

namespace groupglm {

/// Minimum-norm coefficients (p + k, n_voxels); NaN where a voxel has no row at all.
void weighted_coefficients(const WeightedState& state, const Design& design, RowMatrixOut beta,
                           int n_threads);

/// The weighted residual sum of squares (n_voxels); NaN where a voxel has no row at all.
void weighted_rss(const WeightedState& state, const Design& design, Array rss, int n_threads);

/// 1 - RSS/TSS (n_voxels), both weighted. TSS is about the weighted mean when the constant is in
/// the span of the voxel's columns, else about zero; NaN where TSS is zero.
void weighted_r_square(const WeightedState& state, const Design& design, Array out, int n_threads);

/// The rank of the voxel's columns in the rows present (n_voxels).
void weighted_rank(const WeightedState& state, const Design& design, IntArray rank, int n_threads);

/// Whether the rows of any voxel can estimate a contrast (k, p + k).
bool any_estimable(const WeightedState& state, const Design& design, const MatrixXd& contrast,
                   int n_threads);

/// What sigma^2 is: 1 (the weights are inverse variances); RSS / (n - rank); or the larger of both.
enum class Scale { one, residual, residual_at_least_one };

/// The degrees of freedom of the statistic's null distribution: n - rank, or infinite.
enum class NullDf { residual, infinite };

/// Fills the outputs, and returns the rank of the contrast. contrast (k, p + k); k = 1 for t.
///
/// Of F, out.variance is sigma^2. A voxel gets NaN if its rows cannot estimate the contrast, or if
/// sigma^2 or the degrees of freedom are residual and n = rank. Where sigma^2 is zero, an effect
/// within rounding is zero.
Index weighted_contrast(const WeightedState& state, const Design& design, const MatrixXd& contrast,
                        StatType type, Scale scale, NullDf freedom, const ContrastOutputs& out,
                        int n_threads);

}  // namespace groupglm
