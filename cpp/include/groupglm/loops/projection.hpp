// SPDX-License-Identifier: BSD-3-Clause
// The three inner loops of fits and permutations, over one panel of voxels in the first-level
// cache.
//
// A panel is a row-major block of doubles, rows x kPanel, with no gaps. Every voxel of a panel sees
// the same operations in the same order, whatever its place in it.
#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace groupglm {

inline constexpr Eigen::Index kPanel = 32;

/// Memory that will be wanted soon: n_rows runs of n_lines cache lines, row_bytes apart.
///
/// Rows of data lie far apart, where the hardware does not prefetch; asked for during the
/// arithmetic, they cost nothing.
struct Ahead {
  const char* data = nullptr;
  std::ptrdiff_t row_bytes = 0;
  Eigen::Index n_rows = 0;
  Eigen::Index n_lines = 0;
};

/// The new rows of a panel where they lie in memory: n_rows of kPanel values, row_stride apart.
template <typename Scalar>
struct PanelSource {
  const Scalar* data = nullptr;
  Eigen::Index row_stride = 0;
  Eigen::Index n_rows = 0;
};

/// Takes a panel's new rows in and projects it: y = [prior; source - shift], w = q' y, and
/// total = the column sums of y*y.
///
/// y (n_prior + n_rows, kPanel): the prior rows are there already, the new ones are written.
/// q (n_prior + n_rows, n_columns) row-major; shift (kPanel); w (n_columns, kPanel);
/// total (kPanel). 2 (n_columns + 1) flops an entry of y. Reading and converting the data in the
/// same loop as the arithmetic hides most of the time that memory takes.
template <typename Scalar>
void project_panel(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
                   const PanelSource<Scalar>& source, const double* shift, const Ahead& ahead,
                   double* y, double* w, double* total);

/// rss = the column sums of squares of y - q w, by forming the residuals.
void residual_panel(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                    const double* w, double* rss);

/// out (n_rows, kPanel) = rows (n_rows, n) y (n, kPanel). The sums of a row are the same bits
/// whatever rows stand beside it. 2 n flops an entry of out.
void multiply_panel(const double* rows, Eigen::Index n_rows, Eigen::Index n, const double* y,
                    double* out);

}  // namespace groupglm
