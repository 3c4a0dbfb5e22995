// SPDX-License-Identifier: BSD-3-Clause
#include "models/intercept_lanes.hpp"

#include "models/varying_columns.hpp"

namespace groupglm {

namespace {

// Whether the rows tell the two variances apart: whether the design leaves something of what
// differs between subjects, tr(PKPK) > 0 at a ratio of 0, and a residual within them.
//
// Without the latter the criterion is flat at large ratios. What tells the variances apart is then
// no more than that means of few images may differ by more than means of many.
bool tells_apart(const VoxelShape& shape, const std::vector<double>& sizes) {
  const Index r = shape.rank();
  MatrixXd m = MatrixXd::Zero(r, r);
  double whole = 0.0;
  double e = 0.0;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const MatrixXd gram = shape.u[k].transpose() * shape.u[k];
    m += sizes[k] * gram;
    e += sizes[k] * sizes[k] * (shape.n[k] - 2.0 * gram.trace());
    whole += sizes[k] * sizes[k] * shape.n[k];
  }
  e += m.squaredNorm();
  if (!(e > kSmallestShare * whole)) return false;
  const double n_within = shape.n.front();
  if (n_within > static_cast<double>(r)) return true;
  const MatrixXd& within = shape.u.front();
  return n_within > static_cast<double>(n_varying(within.transpose() * within));
}

}  // namespace

VoxelShape make_shape(const VoxelFactors& factors, const std::vector<double>& sizes,
                      const Design& design) {
  const Index q = design.n_working();
  const auto n_states = static_cast<Index>(factors.r.size());
  MatrixXd stacked(n_states * q, q);
  for (Index k = 0; k < n_states; ++k) stacked.middleRows(k * q, q) = factors.r[at(k)];
  const Eigen::HouseholderQR<MatrixXd> qr(stacked);
  VoxelShape shape;
  shape.factor = factorize(qr.matrixQR().topRows(q).triangularView<Eigen::Upper>(), design);
  shape.n = factors.n;
  const Factor& factor = shape.factor;
  // The rotated rows of a subject are as many as its images.
  for (const double n : factors.n) shape.n_images += static_cast<Index>(n);
  shape.basis = factor.pinv * factor.span;
  MatrixXd own = shape.basis;  // over the design's scaled columns
  for (Index j = 0; j < design.n_columns; ++j) own.row(j) *= design.scale[j] / factor.scale[j];
  for (Index k = 0; k < n_states; ++k) {
    shape.u.emplace_back(factors.r[at(k)].leftCols(design.n_columns) * own);
  }
  if (factor.rank == design.n_columns) {
    shape.log_det = 2.0 * Eigen::HouseholderQR<MatrixXd>(factor.lower).logAbsDeterminant();
    for (const double scale : factor.scale) shape.log_det += 2.0 * std::log(scale);
  }
  shape.is_identified = tells_apart(shape, sizes);
  return shape;
}

StateList::StateList(const RepeatedState& state) {
  states.push_back(&state.parts().within);
  sizes.push_back(0.0);
  for (std::size_t k = 0; k < state.parts().sizes.size(); ++k) {
    states.push_back(&state.parts().means[k]);
    sizes.push_back(static_cast<double>(state.parts().sizes[k]));
  }
  has_scales = std::any_of(states.begin(), states.end(),
                           [](const OlsState* own) { return own->has_scales(); });
}

VoxelFactors StateList::shared() const {
  VoxelFactors out;
  for (const OlsState* state : states) {
    out.r.push_back(state->r());
    out.n.push_back(static_cast<double>(state->n_rows()));
  }
  return out;
}

VoxelFactors StateList::of_voxel(Index voxel) const {
  VoxelFactors out;
  for (const OlsState* state : states) {
    out.r.push_back(state->factor_at(voxel));
    out.n.push_back(static_cast<double>(state->n_observations(voxel)));
  }
  return out;
}

SharedShape shared_shape(const StateList& list, const Design& design) {
  SharedShape out{make_shape(list.shared(), list.sizes, design), {}};
  if (out.shape.is_identified) out.lanes = shared_lanes(out.shape, list.sizes);
  return out;
}

bool StateList::is_complete(Index voxel) const {
  return std::all_of(states.begin(), states.end(), [voxel](const OlsState* state) {
    return state->slot(voxel) == MissingVoxels::kComplete;
  });
}

int StateList::exponent_of(Index voxel) const {
  // Of zeros, or of a state without rows, the exponent says nothing.
  std::optional<int> largest;
  for (const OlsState* state : states) {
    if (!has_scales) break;
    const bool is_zero = state->rss()[voxel] == 0.0 && state->w().col(voxel).isZero(0.0);
    if (!is_zero) largest = std::max(largest.value_or(-10000), state->exponent_of(voxel));
  }
  return largest.value_or(0);
}

LaneShape<double> shared_lanes(const VoxelShape& shape, const std::vector<double>& sizes) {
  LaneShape<double> out;
  out.r = shape.rank();
  out.df = static_cast<double>(shape.n_images - shape.rank());
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (k > 0 && shape.n[k] == 0.0) continue;
    out.sizes.push_back(sizes[k]);
    out.states.push_back(static_cast<Index>(k));
    out.n.push_back(shape.n[k]);
    const MatrixXd& u = shape.u[k];
    const MatrixXd gram = u.transpose() * u;
    for (Index i = 0; i < u.rows(); ++i) {
      for (Index j = 0; j < out.r; ++j) out.u.push_back(u(i, j));
    }
    for (Index j = 0; j < out.r; ++j) {
      for (Index i = 0; i <= j; ++i) out.a.push_back(gram(j, i));
    }
  }
  return out;
}

LaneShape<Lane> own_lanes(const LaneGroup& group, const std::vector<double>& sizes) {
  const VoxelShape& first = *group.shape[0];
  const Index q = first.u.front().rows();
  LaneShape<Lane> out;
  out.r = first.rank();
  out.sizes = sizes;
  out.u.resize(sizes.size() * at(q * out.r));
  out.a.resize(sizes.size() * at(n_products(out.r)));
  out.n.resize(sizes.size());
  for (std::size_t k = 0; k < sizes.size(); ++k) out.states.push_back(static_cast<Index>(k));
  for (int l = 0; l < kLane; ++l) {
    const VoxelShape& shape = *group.shape[at(l)];
    out.df[l] = static_cast<double>(shape.n_images - shape.rank());
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      out.n[k][l] = shape.n[k];
      const MatrixXd gram = shape.u[k].transpose() * shape.u[k];
      for (Index i = 0; i < q; ++i) {
        for (Index j = 0; j < out.r; ++j) {
          out.u[at((static_cast<Index>(k) * q + i) * out.r + j)][l] = shape.u[k](i, j);
        }
      }
      for (Index j = 0; j < out.r; ++j) {
        for (Index i = 0; i <= j; ++i) {
          out.a[at(static_cast<Index>(k) * n_products(out.r) + packed(j, i))][l] = gram(j, i);
        }
      }
    }
  }
  return out;
}

}  // namespace groupglm
