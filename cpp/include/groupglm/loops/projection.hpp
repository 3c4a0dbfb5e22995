// SPDX-License-Identifier: BSD-3-Clause
// The three inner loops of fits and permutations, over one panel of voxels in the first-level
// cache.
//
// A panel is a row-major block of doubles, rows x kPanel, without gaps. Every voxel of a panel goes
// through the same operations in the same order, whatever its column.
#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace groupglm {

inline constexpr Eigen::Index kPanel = 32;

/// Memory to prefetch: n_rows runs of n_lines cache lines, row_bytes apart.
///
/// Rows of data lie far apart, where the hardware does not prefetch. Prefetched during the
/// arithmetic, they cost no time.
struct Ahead {
  const char* data = nullptr;
  std::ptrdiff_t row_bytes = 0;
  Eigen::Index n_rows = 0;
  Eigen::Index n_lines = 0;
};

/// The new rows of a panel, where they lie in memory: n_rows rows of kPanel values, row_stride
/// apart.
template <typename Scalar>
struct PanelSource {
  const Scalar* data = nullptr;
  Eigen::Index row_stride = 0;
  Eigen::Index n_rows = 0;
};

/// Reads a panel's new rows and projects the panel: y = [prior; source - shift], w = q' y, and
/// total = the column sums of y*y.
///
/// y (n_prior + n_rows, kPanel): the caller has written the prior rows; the new rows are written
/// here. q (n_prior + n_rows, n_columns) row-major; shift (kPanel); w (n_columns, kPanel); total
/// (kPanel). 2 (n_columns + 1) flops an entry of y. One loop reads, converts and computes, which
/// hides most of the time that memory takes.
template <typename Scalar>
void project_panel(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
                   const PanelSource<Scalar>& source, const double* shift, const Ahead& ahead,
                   double* y, double* w, double* total);

/// rss = the column sums of squares of y - q w, from the residuals themselves.
void residual_panel(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                    const double* w, double* rss);

/// out (n_rows, kPanel) = rows (n_rows, n) y (n, kPanel). Each row of out has the same bits
/// whatever the other rows are. 2 n flops an entry of out.
void multiply_panel(const double* rows, Eigen::Index n_rows, Eigen::Index n, const double* y,
                    double* out);

}  // namespace groupglm
