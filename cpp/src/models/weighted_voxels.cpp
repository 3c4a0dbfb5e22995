// SPDX-License-Identifier: BSD-3-Clause
#include "models/weighted_voxels.hpp"

namespace groupglm {

namespace {

MatrixXd dense_factor(const WeightedParts& parts, Index voxel, double unit) {
  const Index m = parts.n_columns();
  MatrixXd r = MatrixXd::Zero(m, m);
  for (Index k = 0; k < m; ++k) {
    const double root = std::sqrt(parts.slots(parts.at().d(k), voxel) / unit);
    r(k, k) = root;
    for (Index j = k + 1; j < m; ++j) r(k, j) = root * parts.slots(parts.at().r(k, j), voxel);
  }
  return r;
}

}  // namespace

VoxelFactor factor_of_voxel(const WeightedState& state, const Design& extended, Index voxel) {
  const WeightedParts& parts = state.parts();
  const Index m = parts.n_columns();
  VoxelFactor own;
  own.n_rows = parts.counts(kPresent, voxel);
  own.design = extended;
  if (own.n_rows > 0) own.unit = parts.sums(kWeightSum, voxel) / static_cast<double>(own.n_rows);
  own.r = dense_factor(parts, voxel, own.unit);
  own.w.resize(m);
  for (Index k = 0; k < m; ++k) {
    own.w[k] = own.r(k, k) * parts.slots(parts.at().theta(k), voxel);
  }
  // The covariates have no scale yet.
  const Index p = extended.n_columns - parts.n_own;
  for (Index j = p; j < extended.n_columns; ++j) {
    const double length = MatrixXd(own.r.col(j)).stableNorm();
    if (!(length > 0.0)) continue;
    own.design.scale[j] = length;
    own.r.col(j) /= length;
  }
  own.factor = factorize(own.r, own.design);
  const double held = parts.slots(parts.at().rss(), voxel);
  const double rest = own.unit * (own.factor.null.transpose() * own.w).squaredNorm();
  const double size = held + own.unit * own.w.squaredNorm();
  const double share = rounding_share(own.n_rows);
  own.rss = held + rest < share * share * size ? 0.0 : held + rest;
  return own;
}

RunArray VoxelRun::squared_length(Index j) const {
  RunArray length = d(j);
  for (Index k = 0; k < j; ++k) length += d(k) * r(k, j).square();
  return length;
}

RunArray VoxelRun::without_rounding(const RunArray& sums) const {
  RunArray size = slot(state.parts().at().rss());
  for (Index k = 0; k < state.parts().n_columns(); ++k) size += d(k) * theta(k).square();
  const double share = rounding_share(1);
  return (sums < share * share * n_rows() * size).select(0.0, sums);
}

RunArray VoxelRun::rss(Index n_columns) const {
  RunArray sums = slot(state.parts().at().rss());
  for (Index k = n_columns; k < state.parts().n_columns(); ++k) sums += d(k) * theta(k).square();
  return without_rounding(sums);
}

std::vector<RunArray> VoxelRun::directions(const VectorXd& c) const {
  std::vector<RunArray> g;
  for (Index i = 0; i < c.size(); ++i) {
    RunArray own = RunArray::Constant(count, c[i]);
    for (Index k = 0; k < i; ++k) own -= r(k, i) * g[static_cast<std::size_t>(k)];
    g.push_back(std::move(own));
  }
  return g;
}

std::vector<char> clearly_independent(const VoxelRun& run, Index n_columns) {
  Eigen::Array<bool, 1, Eigen::Dynamic> fine = run.n_rows() > 0.0;
  for (Index j = 0; j < n_columns; ++j) {
    fine = fine && (run.d(j) > kClearlyIndependent * run.squared_length(j));
  }
  return {fine.data(), fine.data() + fine.size()};
}

}  // namespace groupglm
