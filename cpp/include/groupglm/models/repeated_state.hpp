// SPDX-License-Identifier: BSD-3-Clause
// The mergeable state of several images a subject at many voxels.
//
// Helmert contrasts rotate the m images of a subject, one by one, into
//
//   sqrt((j - 1) / j) (y_j - mean of the first j - 1),  j = 2 to m,   and   sqrt(m) mean,
//
// and the rows of the design likewise. An intercept of the subject, of variance s2b, is in the last
// of them only: it has the variance s2 + m s2b, and the others s2; none depends on another. The
// rows that do not hold the subject's mean go into one state of ordinary least squares (`within`),
// and the means into one for each number of images that a subject has. Whatever the ratio of the
// variances is, the fit follows from these states (models/random_intercept.hpp).
//
// Missing values: a voxel has the rows of its own images. A subject of whom it lacks an image is
// rotated there by itself, into factors of the voxel's own (see models/ols_state.hpp), and its mean
// belongs to the number of images that are left.
//
// Memory: 8 (q + 1) bytes a voxel for each of the states, and 16 for means of the subject that is
// not complete; 8 (q + 3) more where the voxel lacks one of that subject's images; and the factors
// of voxels with missing values, which each of the states may have. The rotated rows are those of
// one tile of voxels a thread.
//
// Time: rows of float32 are read once, and every call reads and writes the states once for some
// hundred rows. 900 rows at 235,375 voxels, four columns and six states take 0.18 s of one
// processor in one call, and 0.32 s in 21 calls; to read the rows alone takes 0.06 s, and a
// processor needs 0.01 s for the states' 56 MB.
#pragma once

#include <vector>

#include "groupglm/models/ols_state.hpp"

namespace groupglm {

/// Rows of images in the order in which they are read: subject by subject.
struct VisitRows {
  Eigen::Ref<const RowMatrix> rows;  // (m, q) of the working design
  const VectorXd& intercept;         // Design::intercept
  const std::int64_t* visit;         // (m): the row's number within its subject, from 1
  const std::int64_t* size;          // (m): the number of rows of its subject
};

/// A subject that is not complete, at the voxels where an image of it is missing.
struct OddVoxels {
  std::vector<Index> voxel;
  std::vector<double> count;  // images so far, and their mean
  std::vector<double> mean;
  std::vector<double> x;  // (voxels, q): the mean of the design's rows
};

/// The numbers of a state without a subject that is not complete.
struct RepeatedParts {
  OlsState within;
  std::vector<std::int64_t> sizes;  // numbers of images that a subject has, ascending
  std::vector<OlsState> means;      // a state for each

  /// Whether the states are of the same voxels and columns, and the sizes ascend from 1.
  bool is_consistent() const;
};

class RepeatedState {
 public:
  RepeatedState() = default;
  RepeatedState(Index n_working, Index n_voxels);
  /// Throws std::invalid_argument unless the parts are consistent.
  explicit RepeatedState(RepeatedParts parts);

  /// Adds rows, which follow those added before. Throws InfiniteValue, after which the state is
  /// unusable, and std::overflow_error if differences of values leave the range of double.
  template <typename Scalar>
  void update(const VisitRows& visits, const DataView<Scalar>& y, int n_threads);

  /// Adds all rows of another state of the same design and voxels; the last subject of each must be
  /// complete.
  void merge(const RepeatedState& other, int n_threads);

  /// The state of some voxels, in the given order; the last subject must be complete.
  RepeatedState select(const std::vector<Index>& voxels) const;

  /// The state of more voxels: those here at `places` among n_voxels. At the others every row so
  /// far was +0.
  RepeatedState spread(const std::vector<Index>& places, Index n_voxels) const;

  const RepeatedParts& parts() const { return parts_; }
  /// The number of rows of the last subject if others are to follow, else 0.
  Index n_open() const { return n_open_; }
  bool is_complete() const { return n_open_ == 0; }
  Index n_working() const { return parts_.within.n_working(); }
  Index n_voxels() const { return parts_.within.n_voxels(); }
  /// The number of voxels that some row lacks.
  Index n_missing() const;

 private:
  template <typename Scalar>
  void take_slice(const VisitRows& visits, const DataView<Scalar>& y, int n_threads);
  OlsState& means_of(std::int64_t size);

  RepeatedParts parts_;
  Index n_open_ = 0;  // images so far of the subject that is not complete
  VectorXd mean_;     // (n_voxels): their mean; NaN where one is missing
  VectorXd x_mean_;   // (q)
  OddVoxels odd_;     // ascending voxels
};

}  // namespace groupglm
