// SPDX-License-Identifier: BSD-3-Clause
// t and F statistics of many permutations at voxels that some images lack.
//
// A voxel is fitted to the rows S that are present there, and only these are rearranged. Row i of S
// meets the first of order[i], order[order[i]], ... that is in S: the permutation with all absent
// rows taken out of its cycles. If the permutation of all rows is random, so is that of S, and the
// rows that two voxels share move alike in both. Signs stay with the rows.
//
// E (k, n) and Z (q, n) are the rows of the effect and of the nuisance for all images. The design
// of S is made of their columns in S: a column-pivoted QR gives an orthonormal basis of Z_S, and
// what that basis leaves of E_S gets an orthonormal basis too. The statistics are then those of
// `permutation/permutation.hpp`.
//
// Degrees of freedom differ from voxel to voxel. Voxels are therefore compared by the statistic F*
// that has the same p-value with the degrees of freedom of a complete voxel. A table of
//     g(x) = log(F* / F),  x = log F,
// gives it by cubic Hermite interpolation: g is smooth, constant at the lower end and a line at the
// upper end, because both tails are powers of F. t is the signed root of an F with one numerator
// degree of freedom.
//
// Cost: 2 n_S (k + q) flops a voxel and permutation, and n_S q^2 a panel for the basis.
#pragma once

#include <cstdint>

#include "groupglm/permutation/permutation.hpp"

namespace groupglm {

/// What a permutation rearranges (Winkler et al. 2014, NeuroImage 92, 381-397, table 2).
enum class Rearranged {
  kNuisanceResiduals,  // Freedman and Lane
  kFullResiduals,      // ter Braak
  kEffect              // Smith
};

/// The tested model, for data of n rows.
struct PresentModel {
  Eigen::Map<const RowMatrix> effect;    // (k, n)
  Eigen::Map<const RowMatrix> nuisance;  // (q, n)
  Rearranged rearranged = Rearranged::kNuisanceResiduals;
  bool two_sided = true;  // for k = 1
};

/// Voxels grouped into patterns: a pattern is the set of rows that a voxel has.
struct PresentPatterns {
  const std::int64_t* columns = nullptr;  // columns of y, those of one pattern side by side
  const std::int64_t* starts = nullptr;   // (n_patterns + 1): where each pattern begins in columns
  const std::uint8_t* present = nullptr;  // (n_patterns, n): 1 or 0
  const std::int64_t* rank = nullptr;     // (n_patterns): of the nuisance in the rows present
  const std::int64_t* table = nullptr;    // (n_patterns): number of the pattern's table
  Index n_patterns = 0;
};

/// Tables of g for each number of residual degrees of freedom, at n_knots equal steps of x.
struct EquivalentTables {
  const double* heads = nullptr;   // (n_tables, 3): df, first x, step
  const double* values = nullptr;  // (n_tables, n_knots, 2): g, and step times its slope
  Index n_tables = 0;
  Index n_knots = 0;
};

/// B rearrangements: row i of the data meets row order(b, i) of the design, with signs(b, i).
struct Orders {
  const std::int64_t* order = nullptr;  // (B, n): permutations
  const double* signs = nullptr;        // (B, n)
  Index n_permutations = 0;
};

/// Raises best (B) to the largest equivalent statistic of these voxels (|t| if two-sided), and
/// fills their columns of maps (B, y.n_voxels) with 0 where a voxel does not vary.
template <typename Scalar>
void permuted_present_statistics(const DataView<Scalar>& y, const PresentModel& model,
                                 const PresentPatterns& patterns, const EquivalentTables& tables,
                                 const Orders& orders, const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
