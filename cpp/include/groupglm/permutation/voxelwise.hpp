// SPDX-License-Identifier: BSD-3-Clause
// t and F statistics of many rearrangements where each voxel has a design of its own: columns whose
// values differ by voxel, and weights.
//
// The design of a voxel is X = [X0, z1 .. zm] with the weights w of its images. The null hypothesis
// fixes combinations of the coefficients: with the basis N of those that it leaves free and M of
// the others, the whitened columns sqrt(w) X N are the nuisance, and what they leave of sqrt(w) X M
// is the effect. The residuals of the voxel's own nuisance are rearranged, whitened (Freedman and
// Lane 1983, J Bus Econ Stat 1, 292-298; Winkler et al. 2014, NeuroImage 92, 381-397): they are
// exchangeable, as errors of equal variance are. The statistics are those of permutation.hpp with
// bases Q_e and Q_z of the voxel's own.
//
// Voxels come in patterns, as in missing_values.hpp, whose bases' ranks and tables are those of
// each voxel here: a covariate may be a combination of other columns at some voxels.
//
// Cost: 2 n_S (k + q) flops a voxel and rearrangement, and a QR of (n_S, k + q) a voxel.
#pragma once

#include "groupglm/permutation/missing_values.hpp"

namespace groupglm {

/// The tested model, for data of n images.
struct VoxelwiseTest {
  Eigen::Map<const RowMatrix> columns;   // (n, p): the columns that all voxels share, X0
  Eigen::Map<const RowMatrix> effect;    // (p + m, k): M
  Eigen::Map<const RowMatrix> nuisance;  // (p + m, q): N
  bool two_sided = true;                 // for k = 1
};

/// The rows of data beside those of the values, of the same shape.
template <typename Scalar>
struct BesideRows {
  const DataView<Scalar>* weight = nullptr;  // or nullptr: all weights are one
  std::vector<DataView<Scalar>> covariates;  // (m)
};

/// Raises best (B) to the largest equivalent statistic of these voxels (|t| if two-sided), and
/// fills their columns of maps (B, y.n_voxels), with 0 where a voxel does not vary. The images of a
/// pattern have finite values and positive weights there. rank and table of the patterns are one
/// for each of their columns.
template <typename Scalar>
void permuted_voxelwise_statistics(const DataView<Scalar>& y, const BesideRows<Scalar>& beside,
                                   const VoxelwiseTest& test, const PresentPatterns& patterns,
                                   const EquivalentTables& tables, const Orders& orders,
                                   const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
