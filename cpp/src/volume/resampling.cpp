// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/resampling.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "groupglm/parallel.hpp"
#include "volume/resampling_axis.hpp"
#include "volume/resampling_holes.hpp"
#include "volume/resampling_map.hpp"

namespace groupglm {

namespace {

using Eigen::Index;
using Volume = std::unique_ptr<double[]>;

constexpr Index kRowPart = 64;  // points of a part of a row: they stay in the first-level cache
constexpr Index kRowsTask = 8;

// Not a vector, which would fill the memory with zeros first.
Volume new_volume(const Shape3& shape) {
  return Volume(new double[static_cast<std::size_t>(n_voxels(shape))]);
}

// The points of a part of a row of output voxels.
class RowPoints {
 public:
  RowPoints(const VoxelMap& map, Index first, Index j, Index k, Index n) {
    row_points(map, first, j, k, n, {values_[0], values_[1], values_[2]});
  }

  std::array<double, 3> operator[](Index i) const {
    return {values_[0][i], values_[1][i], values_[2][i]};
  }

 private:
  double values_[3][kRowPart];
};

bool bring_into_source(std::array<double, 3>& point, const Shape3& shape, const VoxelMap& map) {
  return bring_inside(point[0], shape[0], map.slack[0]) &&
         bring_inside(point[1], shape[1], map.slack[1]) &&
         bring_inside(point[2], shape[2], map.slack[2]);
}

// Calls visit(out_place, point) for every output voxel whose point is inside the source.
template <typename Visit>
void for_each_point(const VoxelMap& map, const Shape3& source_shape, const Shape3& out_shape,
                    int n_threads, const Visit& visit) {
  const Index n_rows = out_shape[1] * out_shape[2];
  parallel_for((n_rows + kRowsTask - 1) / kRowsTask, n_threads, [&](Index task, int) {
    const Index end = std::min(n_rows, (task + 1) * kRowsTask);
    for (Index row = task * kRowsTask; row < end; ++row) {
      for (Index first = 0; first < out_shape[0]; first += kRowPart) {
        const Index n = std::min(kRowPart, out_shape[0] - first);
        const RowPoints points(map, first, row % out_shape[1], row / out_shape[1], n);
        const Index place = row * out_shape[0] + first;
        for (Index i = 0; i < n; ++i) {
          std::array<double, 3> point = points[i];
          if (bring_into_source(point, source_shape, map)) visit(place + i, point);
        }
      }
    }
  });
}

// The points of a diagonal map. The output voxels whose points are inside are a box.
struct DiagonalPoints {
  std::array<AxisPoints, 3> axes;

  DiagonalPoints(const VoxelMap& map, const Shape3& source_shape, const Shape3& out_shape) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      axes[axis] = axis_points(map, axis, source_shape[axis], out_shape[axis]);
    }
  }

  Shape3 shape() const {
    return {static_cast<Index>(axes[0].points.size()), static_cast<Index>(axes[1].points.size()),
            static_cast<Index>(axes[2].points.size())};
  }

  template <typename Scalar>
  Box<Scalar> box_in(Scalar* out, const Shape3& out_shape) const {
    const Box<Scalar> whole = box_of(out, out_shape);
    const Index start =
        axes[0].first + whole.strides[1] * axes[1].first + whole.strides[2] * axes[2].first;
    return {out + start, shape(), whole.strides};
  }
};

// Calls visit(out_place, source_place) for every output voxel whose point is inside, with the
// nearest voxel.
template <typename Visit>
void for_each_nearest(const VoxelMap& map, const Shape3& source_shape, const Shape3& out_shape,
                      int n_threads, const Visit& visit) {
  const Index row = source_shape[0];
  const Index slab = row * source_shape[1];
  if (!is_diagonal(map)) {
    for_each_point(map, source_shape, out_shape, n_threads,
                   [&](Index place, const std::array<double, 3>& point) {
                     visit(place, nearest_voxel(point[0]) + row * nearest_voxel(point[1]) +
                                      slab * nearest_voxel(point[2]));
                   });
    return;
  }
  const DiagonalPoints points(map, source_shape, out_shape);
  std::array<std::vector<Index>, 3> nearest;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const double point : points.axes[axis].points) {
      nearest[axis].push_back(nearest_voxel(point));
    }
  }
  parallel_for(points.shape()[2], n_threads, [&](Index k, int) {
    const Index source_k = slab * nearest[2][static_cast<std::size_t>(k)];
    const Index out_k = out_shape[1] * (points.axes[2].first + k);
    Index out_j = out_k + points.axes[1].first;
    for (const Index j : nearest[1]) {
      const Index from = source_k + row * j;
      Index to = out_shape[0] * out_j++ + points.axes[0].first;
      for (const Index i : nearest[0]) visit(to++, from + i);
    }
  });
}

// The order of the axes: the axis that shrinks the volume most comes first, so that no intermediate
// volume is larger than both the first and the last. Equal axes come from last to first, because
// the first axis in memory is the slowest to work along.
std::array<std::size_t, 3> order_of(const std::array<AxisPlan, 3>& plans, const Shape3& shape) {
  std::array<std::size_t, 3> order{2, 1, 0};
  const auto growth = [&](std::size_t axis) {
    return static_cast<double>(plans[axis].n_out()) / static_cast<double>(shape[axis]);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return growth(a) < growth(b); });
  return order;
}

// Applies three plans. The two intermediate volumes share one memory, large enough for either: a
// fresh volume's pages cost more than the arithmetic.
template <typename In, typename Out>
void apply_axes(const std::array<AxisPlan, 3>& plans, const Box<const In>& in, const Box<Out>& out,
                int n_threads) {
  const auto [first, second, third] = order_of(plans, in.shape);
  Shape3 room = in.shape;
  room[first] = plans[first].n_out();
  room[second] = std::max(room[second], plans[second].n_out());
  const Volume volume = new_volume(room);
  Box<double> between = box_of(volume.get(), room);
  between.shape[second] = in.shape[second];
  apply_axis(plans[first], first, in, between, n_threads);
  const Box<const double> once = between.as_const();
  between.shape[second] = plans[second].n_out();
  apply_axis(plans[second], second, once, between, n_threads);
  apply_axis(plans[third], third, between.as_const(), out, n_threads);
}

template <typename In, typename Scalar>
void interpolate_diagonal(const In* source, const Shape3& source_shape, const VoxelMap& map,
                          Interpolation interpolation, Scalar* out, const Shape3& out_shape,
                          int n_threads) {
  const DiagonalPoints points(map, source_shape, out_shape);
  if (n_voxels(points.shape()) == 0) return;
  std::array<AxisPlan, 3> plans;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    plans[axis] = plan_points(points.axes[axis].points, source_shape[axis], interpolation);
  }
  apply_axes(plans, box_of(source, source_shape), points.box_in(out, out_shape), n_threads);
}

// A point's voxel and the point's distance from it, along each axis.
struct Cell {
  std::array<Index, 3> voxel;
  std::array<double, 3> t;

  explicit Cell(const std::array<double, 3>& point) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      voxel[axis] = static_cast<Index>(point[axis]);  // inside, so not negative
      t[axis] = point[axis] - static_cast<double>(voxel[axis]);
    }
  }
};

template <typename In>
double linear_at(const In* source, const Shape3& shape, const std::array<double, 3>& point) {
  const Cell cell(point);
  // On the last voxel the next voxel has weight zero and may not exist.
  const Index dx = cell.voxel[0] + 1 < shape[0] ? 1 : 0;
  const Index dy = cell.voxel[1] + 1 < shape[1] ? shape[0] : 0;
  const Index dz = cell.voxel[2] + 1 < shape[2] ? shape[0] * shape[1] : 0;
  const In* corner = source + cell.voxel[0] + shape[0] * (cell.voxel[1] + shape[1] * cell.voxel[2]);
  const auto along_x = [&](const In* at) {
    return (1.0 - cell.t[0]) * static_cast<double>(at[0]) + cell.t[0] * static_cast<double>(at[dx]);
  };
  const auto along_y = [&](const In* at) {
    return (1.0 - cell.t[1]) * along_x(at) + cell.t[1] * along_x(at + dy);
  };
  return (1.0 - cell.t[2]) * along_y(corner) + cell.t[2] * along_y(corner + dz);
}

// `coefficients` is padded, so that the 4 x 4 x 4 of a point begin at its voxel.
double cubic_at(const double* coefficients, const Shape3& padded,
                const std::array<double, 3>& point) {
  using Four = Eigen::Array<double, 4, 1>;
  using FourMap = Eigen::Map<const Four>;
  const Cell cell(point);
  double x[4];
  double y[4];
  double z[4];
  cubic_weights(cell.t[0], x);
  cubic_weights(cell.t[1], y);
  cubic_weights(cell.t[2], z);
  const Index row = padded[0];
  const Index slab = row * padded[1];
  const double* at = coefficients + cell.voxel[0] + row * cell.voxel[1] + slab * cell.voxel[2];
  Four sum = Four::Zero();
  for (int k = 0; k < 4; ++k, at += slab) {
    Four plane = y[0] * FourMap(at);
    for (int j = 1; j < 4; ++j) plane += y[j] * FourMap(at + j * row);
    sum += z[k] * plane;
  }
  return (sum[0] * x[0] + sum[1] * x[1]) + (sum[2] * x[2] + sum[3] * x[3]);
}

// Writes the padded coefficients, axis by axis in place.
template <typename In>
void filter_into(const In* source, const Shape3& shape, const Box<double>& padded, int n_threads) {
  Box<double> done = padded;
  done.data += kPadBefore * (padded.strides[0] + padded.strides[1]);
  done.shape = {shape[0], shape[1], padded.shape[2]};
  apply_axis(plan_coefficients(shape[2]), 2, box_of(source, shape), done, n_threads);
  for (const std::size_t axis : {std::size_t{1}, std::size_t{0}}) {
    const Box<const double> before = done.as_const();
    done.data -= kPadBefore * padded.strides[axis];
    done.shape[axis] = padded.shape[axis];
    apply_axis(plan_coefficients(shape[axis]), axis, before, done, n_threads);
  }
}

template <typename In, typename Scalar>
void interpolate_affine(const In* source, const Shape3& source_shape, const VoxelMap& map,
                        Interpolation interpolation, Scalar* out, const Shape3& out_shape,
                        int n_threads) {
  if (interpolation == Interpolation::linear) {
    for_each_point(map, source_shape, out_shape, n_threads,
                   [&](Index place, const std::array<double, 3>& point) {
                     out[place] = static_cast<Scalar>(linear_at(source, source_shape, point));
                   });
    return;
  }
  const Shape3 padded{source_shape[0] + kPadding, source_shape[1] + kPadding,
                      source_shape[2] + kPadding};
  const Volume coefficients = new_volume(padded);
  filter_into(source, source_shape, box_of(coefficients.get(), padded), n_threads);
  for_each_point(map, source_shape, out_shape, n_threads,
                 [&](Index place, const std::array<double, 3>& point) {
                   out[place] = static_cast<Scalar>(cubic_at(coefficients.get(), padded, point));
                 });
}

template <typename In, typename Scalar>
void interpolate(const In* source, const Shape3& source_shape, const VoxelMap& map,
                 Interpolation interpolation, Scalar* out, const Shape3& out_shape, int n_threads) {
  const auto function =
      is_diagonal(map) ? &interpolate_diagonal<In, Scalar> : &interpolate_affine<In, Scalar>;
  function(source, source_shape, map, interpolation, out, out_shape, n_threads);
}

}  // namespace

template <typename Item>
void resample_nearest(const Item* source, const Shape3& source_shape, const VoxelMap& map,
                      Item fill, Item* out, const Shape3& out_shape, int n_threads) {
  std::fill(out, out + n_voxels(out_shape), fill);
  for_each_nearest(map, source_shape, out_shape, n_threads,
                   [&](Index to, Index from) { out[to] = source[from]; });
}

template <typename Scalar>
FiniteRange resample_volume(const Scalar* source, const Shape3& source_shape, const VoxelMap& map,
                            Interpolation interpolation, double fill, Scalar* out,
                            const Shape3& out_shape, int n_threads) {
  const FiniteRange range = finite_range(source, n_voxels(source_shape));
  const auto outside = static_cast<Scalar>(fill);
  if (interpolation == Interpolation::nearest) {
    resample_nearest(source, source_shape, map, outside, out, out_shape, n_threads);
    return range;
  }
  std::fill(out, out + n_voxels(out_shape), outside);
  if (range.all_finite) {
    interpolate(source, source_shape, map, interpolation, out, out_shape, n_threads);
    return range;
  }
  const Volume filled = fill_holes(source, source_shape, n_threads);
  interpolate<double>(filled.get(), source_shape, map, interpolation, out, out_shape, n_threads);
  for_each_nearest(map, source_shape, out_shape, n_threads, [&](Index to, Index from) {
    if (!std::isfinite(source[from])) out[to] = source[from];
  });
  return range;
}

template FiniteRange resample_volume(const float*, const Shape3&, const VoxelMap&, Interpolation,
                                     double, float*, const Shape3&, int);
template FiniteRange resample_volume(const double*, const Shape3&, const VoxelMap&, Interpolation,
                                     double, double*, const Shape3&, int);

#define GROUPGLM_NEAREST(Item)                                                             \
  template void resample_nearest(const Item*, const Shape3&, const VoxelMap&, Item, Item*, \
                                 const Shape3&, int);
GROUPGLM_NEAREST(std::uint8_t)
GROUPGLM_NEAREST(std::uint16_t)
GROUPGLM_NEAREST(std::uint32_t)
GROUPGLM_NEAREST(std::uint64_t)
#undef GROUPGLM_NEAREST

}  // namespace groupglm
