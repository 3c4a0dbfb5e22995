// SPDX-License-Identifier: BSD-3-Clause
// The images that are present at some voxels, and what a sandwich estimator needs of them.
#pragma once

#include "groupglm/models/sandwich.hpp"

namespace groupglm {

inline std::size_t idx(Index i) { return static_cast<std::size_t>(i); }

/// Where the entry (j, k), k <= j, of a symmetric matrix is, its lower triangle row by row.
inline Index triangle(Index j, Index k) { return j * (j + 1) / 2 + k; }

/// The rows of `SubjectBlocks` that are present, and the fit to them. Subjects without a row are
/// left out.
class PresentRows {
 public:
  /// bits (n_bytes): the images that are missing; nullptr: none.
  PresentRows(const SubjectBlocks& blocks, const std::uint8_t* bits);

  Index m() const { return basis.rows(); }
  Index rank() const { return own.cols(); }
  Index n_subjects() const { return static_cast<Index>(subject.size()); }
  Index count(Index s) const { return starts[idx(s) + 1] - starts[idx(s)]; }
  /// The weights h (r, k) of `basis` in the estimates of rows g (k, r) over Q'y.
  MatrixXd weights(const RowMatrix& g) const;

  const SubjectBlocks& blocks;
  std::vector<Index> rows;     // (m): rows of the blocks, sorted by subject
  std::vector<Index> starts;   // (n_subjects + 1)
  std::vector<Index> subject;  // (n_subjects): numbers of the blocks' subjects
  RowMatrix basis;             // Q_p (m, r)
  RowMatrix own;               // (m, rank): orthonormal basis of its columns

 private:
  MatrixXd solve_;  // (r, rank): Q_p^+ = solve own'
};

/// The adjustments A_s of the subjects, each (m_s, m_s), one after the other, row-major.
class Adjustments {
 public:
  Adjustments(const PresentRows& present, Adjustment adjustment);
  Eigen::Map<const RowMatrix> of(Index s) const;

 private:
  const PresentRows& present_;
  std::vector<double> values_;
  std::vector<Index> offset_;
};

/// How many subjects each part of a design has, and how many dimensions of the part are constant
/// within each of its subjects.
struct SubjectDegrees {
  std::vector<Index> n_subjects;  // (n_parts)
  std::vector<Index> n_between;   // (n_parts)
  explicit SubjectDegrees(const PresentRows& present);
  /// The effective degrees of freedom that a subject of this part contributes.
  double of_subject(Index part) const;
};

}  // namespace groupglm
