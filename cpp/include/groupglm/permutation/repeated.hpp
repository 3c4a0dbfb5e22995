// SPDX-License-Identifier: BSD-3-Clause
// Statistics of repeated measures for many rearrangements of the images.
//
// E (k, n) and Z (q, n) are the rows of the effect and of the nuisance for all images, M = [Z E].
// What is rearranged are residuals r of the nuisance (Freedman and Lane 1983). All rearrangements
// keep the images of a subject together: they permute the images of each subject, permute subjects
// of equal numbers of images, or flip the signs of subjects.
//
// Random intercept. The residuals are those of the weighted fit at the nuisance model's own ratio
// lambda of the subjects' variance to that of the images. lambda is estimated anew for each
// rearrangement. With the means of each subject's m images apart from what differs from them,
//     A(lambda) = A_w + sum_m A_m / (1 + m lambda),   s(lambda) likewise of M'r,
//     u = L^-1 s,  L L' = A,   Q = r'V0^-1 r - u'u,
//     t = u_e / sqrt(Q / (n - r)),   F = |u_e|^2 / (k Q / (n - r)),
// where lambda >= 0 maximises the restricted likelihood; see repeated_search.hpp. A_m and the sums
// of squares are the same for all rearrangements, so that a rearrangement costs a matrix product.
//
// Sandwich (the wild bootstrap of Guillaume and Nichols). The residuals of least squares, adjusted
// for the leverage of the nuisance, are multiplied by one sign a subject. With the residuals e of
// the full fit to these data, adjusted for its leverage,
//     V = sum over subjects of g g',  g = E_s A_s e_s,
//     t = E r / sqrt(V),   F = (E r)'V^-1 (E r) / k.
//
// Voxels come in patterns, as in missing_values.hpp.
//
// Cost a voxel and rearrangement: 2 n r (1 + number of sizes) flops and a search; sandwich:
// 2 S (r + r k + k) flops, with S subjects.
#pragma once

#include "groupglm/models/sandwich.hpp"
#include "groupglm/permutation/missing_values.hpp"

namespace groupglm {

/// The tested model, for data of n images.
struct PermutedRepeated {
  Eigen::Map<const RowMatrix> effect;      // (k, n)
  Eigen::Map<const RowMatrix> nuisance;    // (q, n)
  const std::int64_t* subjects = nullptr;  // (n): the subject of each image, from 0
  Index n_subjects = 0;
  bool two_sided = true;  // for k = 1
};

/// Raises best (B) to the largest equivalent statistic of these voxels (|t| if two-sided), and
/// fills their columns of maps (B, y.n_voxels), with 0 where a voxel does not vary.
template <typename Scalar>
void permuted_repeated_statistics(const DataView<Scalar>& y, const PermutedRepeated& model,
                                  const PresentPatterns& patterns, const EquivalentTables& tables,
                                  const Orders& orders, const PermutedOutputs& out, int n_threads);

/// How the sandwich takes residuals.
struct BootstrappedResiduals {
  Adjustment of_fit = Adjustment::block_root;
  Adjustment of_null = Adjustment::block_root;  // of what is flipped; none: data as they are
};

/// The same with the sandwich. The signs of orders are equal within a subject; the order is that of
/// the data.
template <typename Scalar>
void bootstrapped_sandwich_statistics(const DataView<Scalar>& y, const PermutedRepeated& model,
                                      const BootstrappedResiduals& residuals,
                                      const PresentPatterns& patterns,
                                      const EquivalentTables& tables, const Orders& orders,
                                      const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
