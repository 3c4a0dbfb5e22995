// SPDX-License-Identifier: BSD-3-Clause
// The G statistic of permutations at every voxel: groups of images whose variances may differ.
//
// M = [Q_e Q_z] (n, r) is an orthonormal basis of the design, b = M'P y its coefficients, e the
// residuals of the permuted data, and R = I - M M'. Group g has the weight
//     w_g = (sum of R_nn in g) / (e_g'e_g),
// and the statistic is (Winkler et al. 2014, NeuroImage 92, 381-397, equation 5)
//     G = b_e' [((M'W M)^-1)_ee]^-1 b_e / (Lambda k),
//     Lambda = 1 + 2 (k - 1) / (k (k + 2)) sum_g (1 - n_g w_g / trace(W))^2 / (sum of R_nn in g).
// For k = 1 its signed root, v, is Welch's t for two groups. The inverse of the (e, e) block of the
// inverse is a Schur complement. Sums by group are products with rows that are zero outside the
// group,
//     b = sum_g b_g,   e_g'e_g = |(P y)_g|^2 - 2 b'b_g + b' M_g'M_g b,   b_g = M_g'(P y)_g,
// so the data are not shuffled here either. Everything is in double. If weights lie far apart,
// M'W M would lose digits; group_weights.hpp then computes the numerator of G in another way. A
// group without error has an infinite weight. G is infinite where such groups alone show an effect.
//
// Cost: 2 n (r + 1) flops a voxel, group and permutation, and about r^3 / 3 for the complement.
#pragma once

#include <vector>

#include "groupglm/permutation/permutation.hpp"

namespace groupglm {

/// The tested model, for data of n rows in n_groups groups.
struct GroupedModel {
  PermutedModel model;              // basis, n_effect, two_sided; df is not used
  const double* gram = nullptr;     // (groups, r, r): M_g'M_g
  const double* freedom = nullptr;  // (groups): sum of R_nn, above zero
  const double* sizes = nullptr;    // (groups): n_g
  Index n_groups = 1;
  Index rank = 1;  // r
};

/// Rows of B permutations.
struct GroupedRows {
  const double* products = nullptr;  // (B, groups, r, n): (M'P)_g
  const double* members = nullptr;   // (B, groups, n): 1 for a row of y in the group, else 0
  Index n_permutations = 0;
};

/// Fills the outputs as `permuted_statistics` does, with v (|v| if two-sided) or G as the
/// statistic.
template <typename Scalar>
void permuted_g_statistics(const DataView<Scalar>& y, const GroupedModel& model,
                           const GroupedRows& rows, const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
