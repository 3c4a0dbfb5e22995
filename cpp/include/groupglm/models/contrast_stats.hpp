// SPDX-License-Identifier: BSD-3-Clause
// Effect and variance of a contrast at every voxel of an OLS fit, and its statistics by the step in
// statistics.hpp.
//
// With beta = G w (see models/design.hpp), a contrast row c has
//   effect = g'w,   variance = sigma^2 |g|^2,   g = G'c,   sigma^2 = RSS / (n - rank).
// Contrast rows C (k, p) have
//   F = |U'w|^2 / (rank(C) sigma^2),
// where U is an orthonormal basis of the span of the rows' g. This is the usual (C beta)'
// [C (X'X)^- C']^-1 (C beta) / rank(C) / sigma^2 without an inverse. Source: Searle, Linear Models
// (1971), chapters 3 and 5.
#pragma once

#include "groupglm/models/ols_fit.hpp"
#include "groupglm/models/statistics.hpp"

namespace groupglm {

/// The outputs. effect has the shape (k, n_voxels); the others have n_voxels entries.
struct ContrastOutputs {
  double* effect;
  double* variance;  // of the effect for t; the residual variance for F
  double* stat;
  double* p_value;
  double* z_score;
};

struct ContrastInfo {
  Index rank = 0;          // numerator degrees of freedom of an F
  double df_residual = 0;  // at voxels that have every row
};

/// Fills the outputs. contrast (k, p); k = 1 for t. A voxel gets NaN if its rows cannot estimate
/// the contrast or leave no residual degree of freedom. Cost a voxel: one p-value, about
/// (k + 1 + q - rank(X)) q multiply-adds, and rank(C) q more for F.
ContrastInfo contrast_statistics(const OlsState& state, const Design& design,
                                 const MatrixXd& contrast, StatType type,
                                 const ContrastOutputs& out, int n_threads);

/// What a test that joins the fits of several groups of images needs of each fit.
struct ContrastParts {
  double* effect;    // (k, n_voxels)
  double* gram;      // (k (k + 1) / 2, n_voxels): cov(effect i, effect j) = sigma^2 gram, i <= j
  double* df;        // (n_voxels): residual degrees of freedom
  double* rounding;  // (n_voxels): an effect is zero if it is no larger than this times |g|
};

/// Fills the parts of rows (k, p). A voxel gets NaN if its rows cannot estimate the contrast or
/// leave no residual degree of freedom. Cost a voxel: k q multiply-adds.
void contrast_parts(const OlsState& state, const Design& design, const MatrixXd& contrast,
                    const ContrastParts& out, int n_threads);

}  // namespace groupglm
