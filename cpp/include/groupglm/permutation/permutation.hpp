// SPDX-License-Identifier: BSD-3-Clause
// t and F statistics of many permutations at every voxel, as one matrix product.
//
// Q_e (n, k) is an orthonormal basis of the tested effect after the nuisance, Q_z one of the
// nuisance, and y the voxel's residual under the null hypothesis, scaled to unit length. The fit of
// the full model to the permuted data P y has (Freedman and Lane 1983; Winkler et al. 2014,
// NeuroImage 92, 381-397, table 2)
//     effect    e = |Q_e'P y|^2,
//     total     d = 1 - |Q_z'P y|^2        (what the nuisance leaves of P y),
//     r2        = e / d,       RSS = d - e,
//     F         = (e / k) / (RSS / df),    t = Q_e'P y / sqrt(RSS / df) for k = 1.
// The rows Q'P of all permutations make one matrix, with k + q rows a permutation. Its product with
// a panel of voxels in the first-level cache gives every statistic: the data are not shuffled, and
// nothing is stored a voxel. Everything is in double.
//
// t / sqrt(df) is the tangent of the angle between y and its residual. Rounding of the data turns y
// by a small angle: the relative rounding of the data times |data| / |y|, before y is scaled. Every
// statistic is uncertain by that angle, a large one in many more than its last digits. If d or RSS
// is small, it is summed from residuals, which keep the digits that the angle has. An RSS within
// rounding is zero, as in the parametric test; t and F are then infinite.
//
// Cost: 2 n (k + q) flops a voxel and permutation.
#pragma once

#include <cstdint>

#include "groupglm/models/ols_state.hpp"

namespace groupglm {

/// The tested model, for data of n rows.
struct PermutedModel {
  Eigen::Map<const RowMatrix> basis;  // (m, n): orthonormal rows, removed from the data first
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

/// The outputs.
struct PermutedOutputs {
  double* best = nullptr;   // (B): the largest t, |t| if two-sided, or F over the voxels
  double* maps = nullptr;   // (B, n_voxels) or nullptr: t or F; 0 at a voxel that does not vary
  double* least = nullptr;  // (B, n_voxels) or nullptr, only with maps: the least value
                            // that ties with t, |t| or F (see least_tangent); NaN at a voxel that
                            // does not vary
};

/// Fills the outputs. A voxel of y (n, n_voxels) has no statistic if it has NaN, or if the basis
/// explains its data entirely, up to rounding. Such a voxel does not count in best. If no voxel
/// counts, best is -infinity.
template <typename Scalar>
void permuted_statistics(const DataView<Scalar>& y, const PermutedModel& model,
                         const PermutedRows& rows, const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
