// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of weighted fits: a row's weights at a panel of voxels, and rows rotated into the
// triangular factor of each voxel.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/loops/projection.hpp"

namespace groupglm {

/// Where the numbers of one voxel's factor stand among its slots, for m columns: d (m), theta (m),
/// rss, and the strict upper triangle of r, row by row.
struct RotationSlots {
  Eigen::Index m;

  Eigen::Index d(Eigen::Index k) const { return k; }
  Eigen::Index theta(Eigen::Index k) const { return m + k; }
  Eigen::Index rss() const { return 2 * m; }
  /// The slot of r(k, j), j > k.
  Eigen::Index r(Eigen::Index k, Eigen::Index j) const {
    return 2 * m + 1 + k * (2 * m - k - 1) / 2 + (j - k - 1);
  }
  Eigen::Index count() const { return 2 * m + 1 + m * (m - 1) / 2; }
};

/// The sums that a panel's rows are added to, (kPanel) each: of the values; of their weights the
/// sum, the largest and the smallest; the number of rows; the row with the largest weight.
enum PanelSum : std::uint8_t {
  kTotal,
  kWeightSum,
  kWeightMax,
  kWeightMin,
  kRowsPresent,
  kHeaviestRow,
  kPanelSums
};

/// Rows that are weighed together: their sums are read and written once.
inline constexpr Eigen::Index kTogether = 4;

/// Rows of a panel where they lie in memory: kPanel values each, and the weights given, or
/// variances if as_variances, to which tau2 (kPanel) is added; some strides apart. The same rows of
/// the next panel are prefetched if has_next.
template <typename Scalar>
struct WeighedRows {
  const Scalar* value = nullptr;
  const Scalar* given = nullptr;
  Eigen::Index value_stride = 0;
  Eigen::Index given_stride = 0;
  Eigen::Index n_rows = 1;  // up to kTogether
  const double* tau2 = nullptr;
  bool as_variances = false;
  double number = 0.0;  // of the first row, for kHeaviestRow
  bool has_next = false;
};

/// Whether any or all voxels have the row, and whether any number of it is infinite.
struct RowPresence {
  bool any;
  bool all;
  bool infinite;
};

/// Writes values and weights of rows, (n_rows, kPanel), both zero where a row is missing: where its
/// value or what is given with it is NaN, or where the latter is not above zero. Adds them to sums
/// (kPanelSums, kPanel), one row after the other. presence (n_rows) says of each row where it is.
template <typename Scalar>
void weigh_panel(const WeighedRows<Scalar>& rows, double* sums, double* value, double* weight,
                 RowPresence* presence);

/// Rows of a weighted fit at the voxels of a panel.
struct RotationRows {
  const double* x = nullptr;  // (n_rows, m), or (n_rows, m, kPanel) if the voxels differ
  const double* y = nullptr;  // (n_rows, kPanel)
  const double* w = nullptr;  // (n_rows, kPanel): weights of at least zero
  Eigen::Index n_rows = 0;
  Eigen::Index m = 0;
  bool x_by_voxel = false;
};

/// Rotates rows into the factors of a panel; slots (RotationSlots::count, kPanel).
///
/// Square-root-free Givens rotations (Gentleman 1973, J. Inst. Maths Applics 12:329-336; Miller
/// 1992, Applied Statistics 41:458-478, AS 274). The rows so far are sqrt(d) r, with r of unit
/// diagonal. With x, y, w of the new row, for k = 0 to m - 1:
///
///   d' = d_k + w x_k^2,  c = d_k / d',  s = w x_k / d',  w <- c w,  d_k <- d',
///   (x_j, r_kj) <- (x_j - x_k r_kj,  c r_kj + s x_j)   for j > k, and alike for y and theta_k;
///
/// and then rss <- rss + w y^2. A row of weight zero changes no bit. scratch (m + 2, kPanel).
/// 2 m^2 + 11 m flops and m divisions a voxel and row.
void rotate_panel(const RotationRows& rows, double* slots, double* scratch);

}  // namespace groupglm
