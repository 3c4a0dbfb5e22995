// SPDX-License-Identifier: BSD-3-Clause
#include "models/robust_shape.hpp"

#include <algorithm>
#include <cmath>

namespace groupglm {

namespace {

RobustShape shape_of(const Factor& factor) {
  RobustShape shape;
  shape.basis = factor.span;
  shape.to_beta = minimum_norm(factor) * factor.span;
  shape.left = (1.0 - shape.basis.rowwise().squaredNorm().array()).max(1.0 - kMostLeverage);
  return shape;
}

}  // namespace

RobustShape robust_shape(const Design& design) { return shape_of(factorize(design)); }

RobustShape robust_shape(const Design& design, const std::vector<Index>& images) {
  MatrixXd rows(static_cast<Index>(images.size()), design.n_working());
  for (Index i = 0; i < rows.rows(); ++i) rows.row(i) = design.working.row(images[at(i)]);
  return shape_of(factorize(rows, design));
}

BlockShape<double> shared_shape_of(const RobustShape& shape) {
  BlockShape<double> block;
  block.n = shape.n_images();
  block.r = shape.rank();
  block.p = shape.to_beta.rows();
  block.q.assign(shape.basis.data(), shape.basis.data() + shape.basis.size());
  block.left.assign(shape.left.data(), shape.left.data() + shape.left.size());
  for (const double left : block.left) block.adjust.push_back(1.0 / std::sqrt(left));
  block.to_beta.assign(shape.to_beta.data(), shape.to_beta.data() + shape.to_beta.size());
  for (Index j = 0; j < block.p; ++j) block.length.push_back(shape.to_beta.row(j).norm());
  block.n_images = static_cast<double>(block.n);
  block.rank = static_cast<double>(block.r);
  return block;
}

BlockShape<Voxels> own_shapes(Index n, Index r, Index p) {
  BlockShape<Voxels> block;
  block.n = n;
  block.r = r;
  block.p = p;
  block.q.resize(at(n * r));
  block.adjust.resize(at(n));
  block.left.resize(at(n));
  block.far.resize(at(n));
  block.to_beta.resize(at(p * r));
  block.length.resize(at(p));
  block.idle.resize(at(r));
  return block;
}

void set_shape(BlockShape<Voxels>& block, Index lane, const RobustShape& shape,
               const std::vector<Index>& images) {
  const auto clear = [lane](std::vector<Voxels>& values, double value) {
    for (Voxels& each : values) each[lane] = value;
  };
  clear(block.q, 0.0);
  clear(block.adjust, 1.0);
  clear(block.left, 0.0);
  clear(block.far, kFarResidual);
  clear(block.to_beta, 0.0);
  for (Index i = 0; i < shape.n_images(); ++i) {
    const Index image = images[at(i)];
    for (Index k = 0; k < shape.rank(); ++k) {
      block.q[at(image * block.r + k)][lane] = shape.basis(i, k);
    }
    block.adjust[at(image)][lane] = 1.0 / std::sqrt(shape.left[i]);
    block.left[at(image)][lane] = shape.left[i];
    block.far[at(image)][lane] = 0.0;
  }
  for (Index j = 0; j < block.p; ++j) {
    for (Index k = 0; k < shape.rank(); ++k) {
      block.to_beta[at(j * block.r + k)][lane] = shape.to_beta(j, k);
    }
    block.length[at(j)][lane] = shape.to_beta.row(j).norm();
  }
  for (Index k = 0; k < block.r; ++k) block.idle[at(k)][lane] = k < shape.rank() ? 0.0 : 1.0;
  block.n_images[lane] = static_cast<double>(shape.n_images());
  block.rank[lane] = static_cast<double>(shape.rank());
}

}  // namespace groupglm
