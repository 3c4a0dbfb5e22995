// SPDX-License-Identifier: BSD-3-Clause
// Resampling of a volume onto another grid.
//
// A volume holds its voxels in file order: voxel (i, j, k) of a shape (nx, ny, nz) is at
// i + nx * (j + ny * k). A map takes an output voxel o to the point c = matrix * o + offset of the
// source, in voxels. A point is inside if 0 <= c <= n - 1 along every axis; outside, the output is
// `fill`. A point that is outside by no more than `slack` voxels along an axis is moved onto the
// outermost voxel: the rounding of two affines can do that much. Inside, the output is
//   nearest  the voxel floor(c + 1/2) along every axis;
//   linear   trilinear interpolation of the 8 voxels around;
//   cubic    the cubic spline through all voxels, mirrored about the outermost ones: B-spline
//            coefficients by a recursive filter of pole sqrt(3) - 2 along each axis, then 4 x 4 x 4
//            of them a point.
//            M. Unser, A. Aldroubi, M. Eden, "Fast B-spline transforms for continuous image
//            representation and interpolation", IEEE PAMI 13(3), 1991: equations 2.4 to 2.6 of the
//            filter. The same definition as scipy.ndimage.affine_transform(order=3,
//            mode="constant").
//
// A diagonal map is applied axis by axis, in O(n_source + n_out). The axis that shrinks the volume
// most comes first, so that no intermediate volume is larger than both source and output. An axis
// whose points are all voxels (a crop, a flip) is copied. Any other map costs one filter of the
// source and 64 products a point.
//
// Arithmetic and intermediate volumes are double whatever the data. A float32 result is then the
// exact one, rounded once, and a register of four doubles processes a row of the 4 x 4 x 4 stencil
// as fast as a register of four floats.
//
// A hole (NaN or infinity) would spread over its whole row of the spline. Holes are therefore
// filled first: twice, each hole with known neighbours gets the mean of these (six at most); deeper
// holes become zero. This takes O(n). After the interpolation the holes come back by nearest
// neighbour, as they were. Zero is as good as any value in a deeper hole: a filter's reach beyond
// two voxels is small, and there the output is a hole again.
#pragma once

#include <Eigen/Core>
#include <array>

namespace groupglm {

enum class Interpolation { nearest, linear, cubic };

using Shape3 = std::array<Eigen::Index, 3>;

inline Eigen::Index n_voxels(const Shape3& shape) { return shape[0] * shape[1] * shape[2]; }

/// Maps an output voxel to a point of the source; both are in voxels.
struct VoxelMap {
  std::array<std::array<double, 3>, 3> matrix;
  std::array<double, 3> offset;
  // For each axis of the source; at least 0 and below half a voxel.
  std::array<double, 3> slack{0, 0, 0};
};

/// The range of the finite values and zero.
struct FiniteRange {
  double lowest = 0;
  double highest = 0;
  bool all_finite = true;
};

/// Resamples a volume. Every length of both shapes is at least one. Returns the range of the
/// source; the values of a spline may leave it.
///
/// Memory: one volume of doubles, no larger than the larger of source and output; or, if the map is
/// not diagonal, no larger than the source padded by three voxels along each axis. With holes, one
/// more volume of doubles and two of bytes, all of the size of the source.
template <typename Scalar>
FiniteRange resample_volume(const Scalar* source, const Shape3& source_shape, const VoxelMap& map,
                            Interpolation interpolation, double fill, Scalar* out,
                            const Shape3& out_shape, int n_threads);

/// Nearest-neighbour resampling of any kind of item (float, double, unsigned of 8, 16, 32 and 64
/// bits).
template <typename Item>
void resample_nearest(const Item* source, const Shape3& source_shape, const VoxelMap& map,
                      Item fill, Item* out, const Shape3& out_shape, int n_threads);

}  // namespace groupglm
