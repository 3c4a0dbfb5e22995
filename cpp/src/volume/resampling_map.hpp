// SPDX-License-Identifier: BSD-3-Clause
// Maps output voxels to points of the source. If a point falls on the outermost voxels or between
// two voxels, its last bit decides whether it is inside and which voxel is nearest.
// resampling_map.cpp is therefore compiled without fused multiply-add, in scipy's order of
// operations: every build gives the same points as scipy.
#pragma once

#include <algorithm>
#include <vector>

#include "groupglm/volume/resampling.hpp"

namespace groupglm {

/// The points along one axis of a diagonal map. The output voxels whose points are inside the
/// source are a run.
struct AxisPoints {
  Eigen::Index first = 0;      // the first output voxel inside
  std::vector<double> points;  // of the run's voxels, in order
};

bool is_diagonal(const VoxelMap& map);

AxisPoints axis_points(const VoxelMap& map, std::size_t axis_number, Eigen::Index n_source,
                       Eigen::Index n_out);

/// The points of the output voxels (first, j, k) to (first + n - 1, j, k); each array has n
/// entries.
void row_points(const VoxelMap& map, Eigen::Index first, Eigen::Index j, Eigen::Index k,
                Eigen::Index n, const std::array<double*, 3>& points);

/// Whether a point is inside along an axis of n voxels. A point that is outside by no more than the
/// slack is moved onto the outermost voxel.
inline bool bring_inside(double& point, Eigen::Index n, double slack) {
  const auto last = static_cast<double>(n - 1);
  const bool inside = point >= -slack && point <= last + slack;  // false for NaN
  if (inside) point = std::clamp(point, 0.0, last);
  return inside;
}

/// The voxel nearest to a point inside; the higher of two equally near ones.
Eigen::Index nearest_voxel(double point);

}  // namespace groupglm
