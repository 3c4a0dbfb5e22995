// SPDX-License-Identifier: BSD-3-Clause
// One axis of a separable resampling: filter the lines along it, then combine their values.
#pragma once

#include <vector>

#include "groupglm/volume/resampling.hpp"
#include "volume/resampling_map.hpp"

namespace groupglm {

/// Part of a volume: voxel (i, j, k) is at data[i * strides[0] + j * strides[1] + k * strides[2]].
template <typename Scalar>
struct Box {
  Scalar* data;
  Shape3 shape;
  Shape3 strides;

  Box<const Scalar> as_const() const { return {data, shape, strides}; }
};

/// A whole volume as a box.
template <typename Scalar>
Box<Scalar> box_of(Scalar* data, const Shape3& shape) {
  return {data, shape, {1, shape[0], shape[0] * shape[1]}};
}

/// The plan for the lines along one axis. A line of n values is padded by one mirrored value before
/// it and two after it. Output voxel v is the sum over t < n_taps of weights[v * n_taps + t] times
/// the padded line's value starts[v] + t.
struct AxisPlan {
  bool filter = false;  // convert values to B-spline coefficients first
  Eigen::Index n_taps = 1;
  std::vector<Eigen::Index> starts;
  std::vector<double> weights;

  Eigen::Index n_out() const { return static_cast<Eigen::Index>(starts.size()); }
};

/// Values of the padded line before the line, and in addition to the line in all.
inline constexpr Eigen::Index kPadBefore = 1;
inline constexpr Eigen::Index kPadding = 3;

/// The plan for values at points inside the source.
AxisPlan plan_points(const std::vector<double>& points, Eigen::Index n_source,
                     Interpolation interpolation);

/// The plan for the padded line of coefficients itself.
AxisPlan plan_coefficients(Eigen::Index n_source);

/// The weights of the four coefficients around a point, which lies t in [0, 1] after the second.
inline void cubic_weights(double t, double* weights) {
  const double u = 1.0 - t;
  weights[0] = u * u * u * (1.0 / 6.0);
  weights[1] = (t * t * (t - 2.0) * 3.0 + 4.0) * (1.0 / 6.0);
  weights[2] = (u * u * (u - 2.0) * 3.0 + 4.0) * (1.0 / 6.0);
  weights[3] = t * t * t * (1.0 / 6.0);
}

/// Applies a plan to every line along an axis. `out` has the shape of `in` except along that axis,
/// where it has plan.n_out() voxels. Both may begin at the same voxel of the same volume, or `out`
/// may begin kPadBefore voxels earlier along the axis: a line is read before it is written.
template <typename In, typename Out>
void apply_axis(const AxisPlan& plan, std::size_t axis, const Box<const In>& in,
                const Box<Out>& out, int n_threads);

}  // namespace groupglm
