// SPDX-License-Identifier: BSD-3-Clause
// Row-by-row update of one voxel's packed triangular factor.
#pragma once

#include <cmath>
#include <cstddef>

#include "groupglm/models/design.hpp"

namespace groupglm {

inline std::size_t packed_size(Index q) { return static_cast<std::size_t>(q * (q + 1) / 2); }

/// Rotates the row (x, y) into (r, w, rss), which then describe one row more.
///
/// r: the rows of a (q, q) upper triangle, one after the other; w: q numbers, w_stride apart; x (q)
/// is overwritten. Givens rotations (Golub & Van Loan, 5.1.8). The working design's entries are at
/// most one in size, so the plain square root cannot overflow. 3 q^2 flops.
inline void rotate_row_in(Index q, double* r, double* w, Index w_stride, double& rss, double* x,
                          double y) {
  double* row = r;
  for (Index k = 0; k < q; row += q - k, ++k) {
    if (x[k] == 0.0) continue;
    const double length = std::sqrt(row[0] * row[0] + x[k] * x[k]);
    if (length == 0.0) continue;
    const double c = row[0] / length;
    const double s = x[k] / length;
    row[0] = length;
    for (Index j = 1; j < q - k; ++j) {
      const double upper = row[j];
      row[j] = c * upper + s * x[k + j];
      x[k + j] = c * x[k + j] - s * upper;
    }
    double& wk = w[k * w_stride];
    const double upper = wk;
    wk = c * upper + s * y;
    y = c * y - s * upper;
  }
  rss += y * y;
}

}  // namespace groupglm
