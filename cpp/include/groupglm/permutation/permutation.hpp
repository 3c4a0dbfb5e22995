// SPDX-License-Identifier: BSD-3-Clause
// t and F statistics of many permutations at every voxel, as one matrix product.
//
// With Q_e (n, k) an orthonormal basis of the tested effect after the nuisance, Q_z one of the
// nuisance, and y the voxel's residual under the null hypothesis, brought to unit length, the fit
// of the full model to the permuted data P y has (Freedman and Lane 1983; Winkler et al. 2014,
// NeuroImage 92, 381-397, table 2)
//     effect    e = |Q_e'P y|^2,
//     total     d = 1 - |Q_z'P y|^2        (what the nuisance leaves of P y),
//     r2        = e / d,       RSS = d - e,
//     F         = (e / k) / (RSS / df),    t = Q_e'P y / sqrt(RSS / df) for k = 1.
// The rows Q'P of all permutations make one matrix of k + q rows a permutation, and its product
// with a panel of voxels in the first-level cache holds all that is needed: nothing of the data is
// shuffled, nothing is kept a voxel. Everything is in double.
//
// t / sqrt(df) is the tangent of the angle between y and its residual. Rounding turns y by some
// angle, which is that of the data's own rounding times their length beside y's: of that much each
// statistic is uncertain, a large one by far more than its last digits. Where d or RSS is small, it
// is summed from residuals, of which the angle keeps its digits. RSS within rounding is zero, as it
// is for the parametric test: t and F are infinite then.
//
// 2 n (k + q) flops a voxel and permutation.
#pragma once

#include <cstdint>

#include "groupglm/models/ols_state.hpp"

namespace groupglm {

/// What is tested, for the data of n rows.
struct PermutedModel {
  Eigen::Map<const RowMatrix> basis;  // (m, n): orthonormal rows, taken off the data first
  Index n_effect = 1;                 // k
  double df = 1;                      // residual degrees of freedom
  bool two_sided = true;              // for k = 1
};

/// Rows Q'P of B permutations: (B, k + q, n), the k of the effect first.
struct PermutedRows {
  const double* data = nullptr;
  Index n_permutations = 0;
  Index n_rows = 0;  // k + q
};

/// Where the numbers go.
struct PermutedOutputs {
  double* best = nullptr;   // (B): the largest t, |t| if two-sided, or F over the voxels
  double* maps = nullptr;   // (B, n_voxels): t or F, or nothing; 0 at a voxel that does not vary
  double* least = nullptr;  // (B, n_voxels), only with maps: what still ties with t, |t| or F; NaN
                            // at a voxel that does not vary
};

/// Fills the outputs. A voxel of y (n, n_voxels) with NaN, or whose data the basis explains
/// entirely, up to rounding, has no statistic and takes no part; best is -infinity if that is so of
/// all.
template <typename Scalar>
void permuted_statistics(const DataView<Scalar>& y, const PermutedModel& model,
                         const PermutedRows& rows, const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
