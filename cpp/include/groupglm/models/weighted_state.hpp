// SPDX-License-Identifier: BSD-3-Clause
// The mergeable state of a weighted least-squares fit at many voxels, in which every voxel has
// weights, and may have columns of the design, of its own.
//
// Rows come one by one and are rotated into a factor of each voxel (loops/rotation.hpp):
//
//   X'WX = r' diag(d) r,   theta = r beta,   rss = the weighted residual sum of squares,
//
// with r unit upper triangular. Sums of squares are only ever added, so nothing cancels, whatever
// the blocks. The columns are those of X, scaled as in the design; then the voxel's own covariates;
// then the constant, if the design has one appended. Another state is merged as if its rows
// r_k were rows of data theta_k and weight d_k. A voxel without an image has weight zero there, so
// that missing values need nothing more.
//
// Memory: 8 (2 m + 1 + m (m - 1) / 2) + 52 bytes a voxel with m columns, whatever the number of
// rows.
//
// Units: the numbers are those of the data, without scales of their own. Where the sum of w y^2 is
// below 1e-280 or beyond double, results that need squares are NaN.
//
// Time: three divisions a value and row with two columns, which take half of it with AVX-512. The
// rest is the other arithmetic, and waiting for rows, because those of a panel lie far apart.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "groupglm/loops/rotation.hpp"
#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

/// Rows of data with what stands beside them. All have the shape of y.
template <typename Scalar>
struct WeightedRows {
  DataView<Scalar> y;
  DataView<Scalar> w;               // weights or variances; data is nullptr for weights of one
  std::vector<DataView<Scalar>> z;  // the covariates
  bool as_variances = false;        // the weight is 1 / (w + tau2)
  /// (n_groups, n_voxels), or nullptr for zero. Where it is NaN, the images of the group take no
  /// part, and are not counted among those that cannot be used.
  const double* tau2 = nullptr;
  const Index* groups = nullptr;  // (m): the group of each row, or nullptr if there is one group
  /// Called before the rows of a panel of voxels are taken, whose tau2 it may write.
  std::function<void(Index first, Index count, int thread)> before_panel = nullptr;
};

using CountMatrix = Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The rows of WeightedParts::sums: kTotal, kWeightSum, kWeightMax and kWeightMin of PanelSum.
inline constexpr Index kWeightedSums = kRowsPresent;

/// The rows of WeightedParts::counts.
///
/// kPresent: rows that count. kHeaviest: the row with the largest weight, or -1. kOutside: effect 0
/// and variance 0. kUnusable: a variance of NaN or 0, or a weight of NaN, beside a finite effect.
/// kNegative: a negative variance or weight beside a finite effect.
enum WeightedCount : std::uint8_t {
  kPresent,
  kHeaviest,
  kOutside,
  kUnusable,
  kNegative,
  kWeightedCounts
};

/// The numbers of a state, in the form in which they are stored.
struct WeightedParts {
  Index n_rows = 0;
  Index n_working = 0;  // columns of the working design
  Index n_own = 0;      // covariates
  RowMatrix slots;      // (RotationSlots::count, n_voxels)
  RowMatrix sums;       // (kWeightedSums, n_voxels); the smallest weight is infinite without a row
  CountMatrix counts;   // (kWeightedCounts, n_voxels)

  Index n_columns() const { return n_working + n_own; }
  Index n_voxels() const { return slots.cols(); }
  RotationSlots at() const { return {n_columns()}; }
  /// Whether the sizes match, and every number is possible.
  bool is_consistent() const;
};

/// A state whose numbers always fit together.
class WeightedState {
 public:
  WeightedState() = default;
  WeightedState(Index n_working, Index n_own, Index n_voxels, int n_threads = 1);
  /// Throws std::invalid_argument unless the parts are consistent.
  explicit WeightedState(WeightedParts parts);

  /// Adds rows (m, q) of the working design of `design`, from its row `first_row`, and their data.
  ///
  /// Throws InfiniteValue, after which the state is unusable. Its row counts the rows of y, w and z
  /// as interleaved: y of the first image, its w, its z, y of the second image, and so on.
  template <typename Scalar>
  void update(const Design& design, Index first_row, const WeightedRows<Scalar>& rows,
              int n_threads);

  /// Adds all rows of another state of the same design and voxels, which follow the rows here.
  void merge(const WeightedState& other, int n_threads);

  /// The state of some voxels, in the given order.
  WeightedState select(const std::vector<Index>& voxels) const;

  /// The state of more voxels: those here at `places` among n_voxels. At the others every row so
  /// far was zero, and so was what stood beside it.
  WeightedState spread(const std::vector<Index>& places, Index n_voxels, bool as_variances) const;

  /// Takes the numbers of other voxels, whose rows are the same, to `places` of these.
  void put(const std::vector<Index>& places, const WeightedState& other);

  const WeightedParts& parts() const { return parts_; }
  Index n_rows() const { return parts_.n_rows; }
  Index n_voxels() const { return parts_.n_voxels(); }
  /// The number of voxels that some row lacks.
  Index n_missing() const;

 private:
  WeightedParts parts_;
};

}  // namespace groupglm
