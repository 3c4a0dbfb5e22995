// SPDX-License-Identifier: BSD-3-Clause
// What robust regression needs of the design, in the images that a voxel has.
#pragma once

#include <vector>

#include "groupglm/models/design.hpp"
#include "loops/lanes.hpp"
#include "models/small_symmetric.hpp"

namespace groupglm {

/// Voxels that are fitted side by side.
using Voxels = Eigen::Array<double, kBlock, 1>;

/// An image that a voxel lacks has an absolute residual of this size: it is sorted last.
inline constexpr double kFarResidual = 1e300;

/// The largest leverage that residuals are adjusted for.
inline constexpr double kMostLeverage = 0.9999;

/// The design of some images: an orthonormal basis, whose coordinates d give the coefficients.
struct RobustShape {
  RowMatrix basis;    // U (m, rank)
  RowMatrix to_beta;  // (p, rank): b = to_beta d, for any b with X b = U d
  VectorXd left;      // (m): 1 - h

  Index n_images() const { return basis.rows(); }
  Index rank() const { return basis.cols(); }
  bool has_freedom() const { return n_images() > rank(); }
};

/// The shape of all images.
RobustShape robust_shape(const Design& design);

/// The shape of some of the images, in their order.
RobustShape robust_shape(const Design& design, const std::vector<Index>& images);

/// The shapes of the voxels of a block, each with all n images. T: double if they all have the same
/// shape and every image, else Voxels.
template <typename T>
struct BlockShape {
  Index n = 0;
  Index r = 0;
  Index p = 0;
  std::vector<T> q;        // (n, r): U; zero where an image is missing
  std::vector<T> adjust;   // (n): (1 - h)^-1/2
  std::vector<T> left;     // (n): 1 - h; zero where an image is missing
  std::vector<T> far;      // (n): kFarResidual where an image is missing; empty for double
  std::vector<T> to_beta;  // (p, r)
  std::vector<T> length;   // (p): of the rows of to_beta
  std::vector<T> idle;     // (r): 1 for a coordinate that a voxel lacks; empty for double
  T n_images;
  T rank;
};

BlockShape<double> shared_shape_of(const RobustShape& shape);

/// An empty block of shapes, and one of its voxels set. images: those of the shape.
BlockShape<Voxels> own_shapes(Index n, Index r, Index p);
void set_shape(BlockShape<Voxels>& block, Index lane, const RobustShape& shape,
               const std::vector<Index>& images);

}  // namespace groupglm
