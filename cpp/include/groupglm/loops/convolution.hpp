// SPDX-License-Identifier: BSD-3-Clause
// The inner loop of smoothing, over rows of values that lie in the first-level cache.
#pragma once

#include <Eigen/Core>

namespace groupglm {

/// Values of one strip, which are summed together: four of the widest registers.
inline constexpr Eigen::Index kStrip = 32;

/// out[v] = half[0] at[v] + sum over k = 1..radius of half[k] (at[v - k pitch] + at[v + k pitch])
///
/// for v < width, a multiple of kStrip. The smallest weights come first (half[radius],
/// half[radius - 1], ...), so that little is lost while the sum is still small. 3 radius + 2 flops
/// a value.
void convolve(const double* at, Eigen::Index pitch, const double* half, Eigen::Index radius,
              Eigen::Index width, double* out);

}  // namespace groupglm
