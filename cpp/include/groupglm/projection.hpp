// SPDX-License-Identifier: BSD-3-Clause
// The two inner loops of the whole package, over one panel of voxels in the first-level cache.
//
// A panel is a row-major block of doubles, rows x kPanel, with no gaps. Every voxel of a panel sees
// the same operations in the same order, whatever its place in it.
#pragma once

#include <Eigen/Core>

namespace groupglm {

inline constexpr Eigen::Index kPanel = 32;

/// w = q' y and total = the column sums of y*y.
///
/// q (n_rows, n_columns) row-major; y (n_rows, kPanel); w (n_columns, kPanel); total (kPanel).
/// 2 (n_columns + 1) flops an entry of y.
void project_panel(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                   double* w, double* total);

/// rss = the column sums of squares of y - q w, by forming the residuals.
void residual_panel(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                    const double* w, double* rss);

}  // namespace groupglm
