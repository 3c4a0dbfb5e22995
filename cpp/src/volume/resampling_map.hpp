// SPDX-License-Identifier: BSD-3-Clause
// From output voxels to points of the source. Whether a point is inside, and which voxel is
// nearest, hangs on the last bit where a point falls on the outermost voxels or between two.
// resampling_map.cpp is therefore compiled without fused multiply-add, in scipy's order of
// operations: every build gives the same points, and the ones scipy gives.
#pragma once

#include <algorithm>
#include <vector>

#include "groupglm/volume/resampling.hpp"

namespace groupglm {

/// Points along one axis of a diagonal map: those inside the source are a run of output voxels.
struct AxisPoints {
  Eigen::Index first = 0;      // the first output voxel inside
  std::vector<double> points;  // of the voxels inside, in order
};

bool is_diagonal(const VoxelMap& map);

AxisPoints axis_points(const VoxelMap& map, std::size_t axis_number, Eigen::Index n_source,
                       Eigen::Index n_out);

/// Points of the output voxels (first, j, k) to (first + n - 1, j, k); each array has n places.
void row_points(const VoxelMap& map, Eigen::Index first, Eigen::Index j, Eigen::Index k,
                Eigen::Index n, const std::array<double*, 3>& points);

/// Whether a point is inside along an axis of n voxels, onto which it is moved if it is off by no
/// more than the slack.
inline bool bring_inside(double& point, Eigen::Index n, double slack) {
  const auto last = static_cast<double>(n - 1);
  const bool inside = point >= -slack && point <= last + slack;  // never so for NaN
  if (inside) point = std::clamp(point, 0.0, last);
  return inside;
}

/// The voxel nearest to a point inside; of two equally near, the higher.
Eigen::Index nearest_voxel(double point);

}  // namespace groupglm
