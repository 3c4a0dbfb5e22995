// SPDX-License-Identifier: BSD-3-Clause
// t and F statistics of many permutations at voxels that some images lack.
//
// A voxel is fitted to the rows S that it has, and only these are rearranged: the row i of S meets
// the first of order[i], order[order[i]], ... that is in S. That is the permutation with all absent
// rows taken out of its cycles; of a random permutation of all rows it is a random one of S, and it
// moves the rows of two voxels alike wherever both have them. Signs are those of the rows.
//
// With E (k, n) and Z (q, n) the effect's and the nuisance's rows for all images, the design of S
// is that of their columns in S: Z_S is brought to an orthonormal basis by a column-pivoted QR, E_S
// to one of what is left of it. The statistics are then those of `permutation/permutation.hpp`.
//
// Degrees of freedom differ from voxel to voxel. What is compared is therefore the statistic that
// has the same p-value with the degrees of freedom of a complete voxel, from a table of
//     g(x) = log(F* / F),  x = log F,
// with cubic Hermite interpolation: g is smooth, constant at the lower end and a line at the upper
// one (both tails are powers of F). t is the signed root of an F with one numerator degree.
//
// 2 n_S (k + q) flops a voxel and permutation, and n_S q^2 a panel for the basis.
#pragma once

#include <cstdint>

#include "groupglm/permutation/permutation.hpp"

namespace groupglm {

/// What is rearranged (Winkler et al. 2014, NeuroImage 92, 381-397, table 2).
enum class Rearranged {
  kNuisanceResiduals,  // Freedman and Lane
  kFullResiduals,      // ter Braak
  kEffect              // Smith
};

/// What is tested, for data of n rows.
struct PresentModel {
  Eigen::Map<const RowMatrix> effect;    // (k, n)
  Eigen::Map<const RowMatrix> nuisance;  // (q, n)
  Rearranged rearranged = Rearranged::kNuisanceResiduals;
  bool two_sided = true;  // for k = 1
};

/// Voxels by the rows that they have.
struct PresentPatterns {
  const std::int64_t* columns = nullptr;  // columns of y, those of one pattern side by side
  const std::int64_t* starts = nullptr;   // (n_patterns + 1): where each pattern's begin in columns
  const std::uint8_t* present = nullptr;  // (n_patterns, n): 1 or 0
  const std::int64_t* rank = nullptr;     // (n_patterns): of the nuisance in the rows present
  const std::int64_t* table = nullptr;    // (n_patterns): which of the tables
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

/// Raises best (B) to the largest equivalent statistic of these voxels, |t| if two-sided, and fills
/// their columns of maps (B, y.n_voxels): 0 where a voxel does not vary.
template <typename Scalar>
void permuted_present_statistics(const DataView<Scalar>& y, const PresentModel& model,
                                 const PresentPatterns& patterns, const EquivalentTables& tables,
                                 const Orders& orders, const PermutedOutputs& out, int n_threads);

}  // namespace groupglm
