// SPDX-License-Identifier: BSD-3-Clause
// The mergeable state of an ordinary least-squares fit at many voxels.
//
// Rows (images) come in blocks, and orthogonal transformations add each block to the state. With
// S_old = Q R and w = Q'y, a further block (S_new, y_new) gives
//
//     [R; S_new] = Q2 R2,   w2 = Q2' [w; y_new],   rss2 = rss + ||[w; y_new] - Q2 w2||^2.
//
// This is a sequential QR (Golub & Van Loan, Matrix Computations, 4th ed., 6.5.3; its tree form is
// TSQR, Demmel et al. 2012, SIAM J. Sci. Comput. 34:A206). Sums of squares are only ever added, so
// nothing cancels, whatever the blocks. Memory: (q + 1) doubles a voxel, and q (q + 1) / 2 more for
// a voxel that misses a row. It does not grow with the number of rows.
//
// Missing values (NaN) are left out voxel by voxel. A voxel that misses a row gets a triangular
// factor of its own, which Givens rotations update row by row. Voxels without missing values share
// one factor.
//
// If the squares of a voxel's values would leave the range of double, the state holds the voxel's
// values times 2^-exponent instead, which is exact.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "groupglm/models/design.hpp"

namespace groupglm {

/// A block of data, rows x voxels, with any strides, counted in elements; a stride may be negative.
template <typename Scalar>
struct DataView {
  const Scalar* data = nullptr;
  Index n_rows = 0;
  Index n_voxels = 0;
  Index row_stride = 0;
  Index voxel_stride = 1;

  Scalar operator()(Index row, Index voxel) const {
    return data[row * row_stride + voxel * voxel_stride];
  }
};

/// Thrown for an infinite value. row: the first row of the block that has one; count: how many it
/// has.
class InfiniteValue : public std::domain_error {
 public:
  InfiniteValue(Index row_found, Index count_found)
      : std::domain_error("infinite value"), row(row_found), count(count_found) {}
  Index row;
  Index count;
};

/// Triangular factors of the voxels that miss some rows.
struct MissingVoxels {
  static constexpr std::int32_t kComplete = -1;  // has every row so far
  static constexpr std::int32_t kAbsent = -2;    // has no row so far
  std::vector<std::int32_t> slot;                // (n_voxels), empty while nothing is missing
  std::vector<double> factors;                   // slots x q(q+1)/2, rows of the upper triangle
  std::vector<std::int32_t> n_rows;              // (slots)
};

/// The numbers of a state, in the form in which they are stored.
struct OlsParts {
  Index n_rows = 0;
  MatrixXd r;    // (q, q) upper triangular: the factor of voxels without missing values
  RowMatrix w;   // (q, n_voxels)
  VectorXd rss;  // (n_voxels)
  MissingVoxels missing;
  // (n_voxels): w and rss are those of y 2^-exponent. Empty while all are 0.
  std::vector<std::int16_t> exponent;

  Index n_working() const { return w.rows(); }
  Index n_voxels() const { return w.cols(); }
  bool has_missing() const { return !missing.slot.empty(); }
  std::int32_t slot(Index voxel) const {
    return has_missing() ? missing.slot[static_cast<std::size_t>(voxel)] : MissingVoxels::kComplete;
  }
  bool has_scales() const { return !exponent.empty(); }
  int exponent_of(Index voxel) const {
    return has_scales() ? exponent[static_cast<std::size_t>(voxel)] : 0;
  }
  Index n_observations(Index voxel) const;
  /// The triangular factor R (q, q) of a voxel.
  MatrixXd factor_at(Index voxel) const;
  /// Whether the sizes match, no two voxels share a slot, and every count and exponent is possible.
  bool is_consistent() const;
};

/// A state whose numbers always fit together.
class OlsState {
 public:
  OlsState() = default;
  OlsState(Index n_working, Index n_voxels);
  /// Throws std::invalid_argument unless the parts are consistent.
  explicit OlsState(OlsParts parts);

  /// Adds rows (m, q) of the working design and their data (m, n_voxels).
  ///
  /// intercept (q) holds a with S a = 1; empty if the data lie about zero, so that nothing is lost
  /// without it. extreme: the squares of the data may leave the range of double; those of float
  /// never do. The state is unusable after an InfiniteValue.
  template <typename Scalar>
  void update(const Eigen::Ref<const RowMatrix>& rows, const VectorXd& intercept,
              const DataView<Scalar>& y, int n_threads,
              bool extreme = std::is_same_v<Scalar, double>);

  /// Adds all rows of another state of the same design and voxels.
  void merge(const OlsState& other, int n_threads);

  /// Gives these voxels triangular factors of their own, for rows that other voxels do not have.
  ///
  /// extreme: the rows' data may be so large or small that voxels need exponents.
  void start_own(const std::vector<Index>& voxels, bool extreme);

  /// Adds a row to a voxel that has a factor of its own, and to no other. x (q) is overwritten.
  /// Several threads may add rows at the same time, each to other voxels.
  void add_own(Index voxel, double* x, double y);

  /// The state of some voxels, in the given order.
  OlsState select(const std::vector<Index>& voxels) const;

  /// The state of more voxels: those here at `places` among n_voxels. At the others every row so
  /// far was +0.
  OlsState spread(const std::vector<Index>& places, Index n_voxels) const;

  const OlsParts& parts() const { return parts_; }
  Index n_rows() const { return parts_.n_rows; }
  const MatrixXd& r() const { return parts_.r; }
  const RowMatrix& w() const { return parts_.w; }
  const VectorXd& rss() const { return parts_.rss; }
  Index n_working() const { return parts_.n_working(); }
  Index n_voxels() const { return parts_.n_voxels(); }
  bool has_missing() const { return parts_.has_missing(); }
  std::int32_t slot(Index voxel) const { return parts_.slot(voxel); }
  bool has_scales() const { return parts_.has_scales(); }
  int exponent_of(Index voxel) const { return parts_.exponent_of(voxel); }
  Index n_observations(Index voxel) const { return parts_.n_observations(voxel); }
  MatrixXd factor_at(Index voxel) const { return parts_.factor_at(voxel); }

 private:
  // It adds the same images to several states at once.
  friend class RepeatedState;

  OlsParts parts_;
};

}  // namespace groupglm
