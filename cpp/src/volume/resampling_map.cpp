// SPDX-License-Identifier: BSD-3-Clause
#include "volume/resampling_map.hpp"

#include <cmath>

namespace groupglm {

bool is_diagonal(const VoxelMap& map) {
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 3; ++column) {
      const bool is_zero = map.matrix[row][column] == 0.0;
      if (is_zero == (row == column)) return false;
    }
  }
  return true;
}

AxisPoints axis_points(const VoxelMap& map, std::size_t axis_number, Eigen::Index n_source,
                       Eigen::Index n_out) {
  const double scale = map.matrix[axis_number][axis_number];
  const double shift = map.offset[axis_number] / scale;
  const double slack = map.slack[axis_number];
  AxisPoints axis;
  for (Eigen::Index voxel = 0; voxel < n_out; ++voxel) {
    double point = (static_cast<double>(voxel) + shift) * scale;
    if (!bring_inside(point, n_source, slack)) continue;
    if (axis.points.empty()) axis.first = voxel;
    axis.points.push_back(point);
  }
  return axis;
}

void row_points(const VoxelMap& map, Eigen::Index first, Eigen::Index j, Eigen::Index k,
                Eigen::Index n, const std::array<double*, 3>& points) {
  const auto y = static_cast<double>(j);
  const auto z = static_cast<double>(k);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double along_x = map.matrix[axis][0];
    const double along_y = map.matrix[axis][1] * y;
    const double along_z = map.matrix[axis][2] * z;
    const double offset = map.offset[axis];
    double* out = points[axis];
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto x = static_cast<double>(first + i);
      out[i] = ((along_x * x + along_y) + along_z) + offset;
    }
  }
}

Eigen::Index nearest_voxel(double point) {
  return static_cast<Eigen::Index>(std::floor(point + 0.5));
}

}  // namespace groupglm
