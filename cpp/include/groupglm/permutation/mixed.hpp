// SPDX-License-Identifier: BSD-3-Clause
// Statistics of fixed and mixed effects for many rearrangements: images with known variances v.
//
// The model of a voxel is y = Z g + E d + u + e, var e_i = v_i, var u = tau2, and the test is of
// d = 0. E (k, n) and Z (q, n) are the rows of the effect and of the nuisance for all images.
//
// - Sign flips: the signs of r = y - Z g0 are flipped, with g0 the weighted fit of the nuisance at
//   the nuisance model's own tau2 (Freedman and Lane 1983). The variances stay.
// - Permutations: the rows of E are permuted, and y, v and Z stay (Draper and Stoneman 1966,
//   Technometrics 8, 695-699): pairs (y, v) are permuted against the tested columns.
//
// tau2 is estimated anew for each rearrangement. With w = 1 / (v + tau2) and the Cholesky factor
// L L' = M'W M of M = [Z E*],
//     u = L^-1 M'W y,   q = (y'W y - u'u) / (n - r),
//     t = u_e / sqrt(s),   F = |u_e|^2 / (k s),
// where s is 1, q (Knapp and Hartung 2003) or max(1, q). `HeterogeneityTile` does this for one
// tau2. With a tau2 for each group of images it is done here; if the weights lie so far apart that
// the factor loses digits, or if q is small, a QR of the whitened rows gives u and q instead.
//
// Voxels come in patterns, as in missing_values.hpp: absent images are taken out of the cycles of a
// permutation, and statistics of fewer images are brought to the degrees of freedom of a complete
// voxel by their p-values. Complete voxels are a pattern whose table changes nothing.
//
// Cost: an estimate of tau2, and n (r + 1)(r + 4) / 2 flops, a voxel and rearrangement.
#pragma once

#include "groupglm/models/heterogeneity.hpp"
#include "groupglm/permutation/missing_values.hpp"

namespace groupglm {

/// The tested model, for data of n images.
struct PermutedMixed {
  Eigen::Map<const RowMatrix> effect;    // (k, n)
  Eigen::Map<const RowMatrix> nuisance;  // (q, n)
  const std::int64_t* groups = nullptr;  // (n): the group of each image, from 0; each has its tau2
  Index n_groups = 1;
  Tau2Method method = Tau2Method::reml;
  double given = 0;  // tau2, for Tau2Method::given
  MixedScale scale = MixedScale::residual;
  bool flips = false;     // signs are flipped, rather than rows permuted
  bool two_sided = true;  // for k = 1
};

/// Raises best (B) to the largest equivalent statistic of these voxels (|t| if two-sided), and
/// fills their columns of maps (B, y.n_voxels), with 0 where a voxel does not vary. y and v have
/// the same shape; the images of a pattern have finite values and positive variances there.
template <typename Scalar>
void permuted_mixed_statistics(const DataView<Scalar>& y, const DataView<Scalar>& v,
                               const PermutedMixed& model, const PresentPatterns& patterns,
                               const EquivalentTables& tables, const Orders& orders,
                               const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
