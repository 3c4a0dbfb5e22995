// SPDX-License-Identifier: BSD-3-Clause
// Coefficients and sums of a random intercept at a ratio that is known.
#include "groupglm/models/random_intercept.hpp"
#include "models/intercept_lanes.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// The ratios of a register's voxels; 0 where a ratio is not known.
Lane ratios_of(const LaneGroup& group, const double* ratio) {
  Lane out;
  for (int l = 0; l < kLane; ++l) {
    const double own = ratio[group.voxel[at(l)]];
    out[l] = own >= 0.0 ? own : 0.0;
  }
  return out;
}

// Sets the values of registers at their ratios.
class AtRatio {
 public:
  explicit AtRatio(const double* all) : ratio_(all) {}

  template <typename S>
  void set(const LaneShape<S>& shape, LaneData& data, const LaneGroup& group) {
    ratio = ratios_of(group, ratio_);
    settle(shape, ratio, data, own, value);
  }

  bool is_known(const LaneGroup& group, Index l) const { return ratio_[group.voxel[at(l)]] >= 0.0; }

  Lane ratio;
  ShapeAt<Lane> own;
  ValueAt value;

 private:
  const double* ratio_;
};

class CriterionBody {
 public:
  CriterionBody(const double* ratio, double* out) : at_(ratio), out_(out) {}

  template <typename S>
  void operator()(const LaneShape<S>& shape, LaneData& data, const LaneGroup& group) {
    constexpr double kTwoPi = 6.283185307179586;
    constexpr double kLogTwo = 0.6931471805599453;
    at_.set(shape, data, group);
    const Lane df = in_lanes(0.0) + shape.df;
    Lane value = df * (1.0 + (kTwoPi * at_.value.q.max(0.0) / df).log());
    for (Index k = 0; k < shape.n_states(); ++k) value -= shape.n[at(k)] * at_.own.d[at(k)].log();
    for (Index j = 0; j < shape.r; ++j) value += at_.own.factor[at(packed(j, j))].log();
    for (Index l = 0; l < group.count; ++l) {
      const double scale = 2.0 * kLogTwo * group.exponent[at(l)] * df[l];
      const double found = value[l] + scale + group.shape[at(l)]->log_det;
      out_[group.voxel[at(l)]] = at_.is_known(group, l) ? found : kNaN;
    }
  }

 private:
  AtRatio at_;
  double* out_;
};

// The coefficients (p, r) of the columns, of minimum norm, from those of the basis.
MatrixXd columns_of_basis(const VoxelShape& shape) {
  return minimum_norm(shape.factor) * shape.factor.span;
}

class CoefficientsBody {
 public:
  CoefficientsBody(const double* ratio, const VoxelShape& shared, const MatrixXd& to_columns,
                   const RowMatrixOut& beta)
      : at_(ratio), shared_(shared), to_columns_(to_columns), beta_(beta) {}

  template <typename S>
  void operator()(const LaneShape<S>& shape, LaneData& data, const LaneGroup& group) {
    at_.set(shape, data, group);
    for (Index l = 0; l < group.count; ++l) {
      VectorXd own(shape.r);
      for (Index j = 0; j < shape.r; ++j) own[j] = data.start[at(j)][l] + at_.value.b[at(j)][l];
      const VoxelShape& of = *group.shape[at(l)];
      const VectorXd beta =
          &of == &shared_ ? VectorXd(to_columns_ * own) : VectorXd(columns_of_basis(of) * own);
      for (Index j = 0; j < beta.size(); ++j) {
        const double found = std::ldexp(beta[j], group.exponent[at(l)]);
        beta_(j, group.voxel[at(l)]) = at_.is_known(group, l) ? found : kNaN;
      }
    }
  }

 private:
  AtRatio at_;
  const VoxelShape& shared_;
  const MatrixXd& to_columns_;
  RowMatrixOut beta_;
};

}  // namespace

void restricted_criterion(const RepeatedState& state, const Design& design, const double* ratio,
                          double* out, int n_threads) {
  const StateList list(state);
  visit_lanes(
      list, design, shared_shape(list, design), [&] { return CriterionBody(ratio, out); },
      [&](Index voxel, const VoxelShape&) { out[voxel] = kNaN; }, n_threads);
}

void random_intercept_coefficients(const RepeatedState& state, const Design& design,
                                   const double* ratio, RowMatrixOut beta, int n_threads) {
  const StateList list(state);
  const SharedShape shared = shared_shape(list, design);
  const MatrixXd to_columns = columns_of_basis(shared.shape);
  visit_lanes(
      list, design, shared, [&] { return CoefficientsBody(ratio, shared.shape, to_columns, beta); },
      [&](Index voxel, const VoxelShape&) { beta.col(voxel).setConstant(kNaN); }, n_threads);
}

void present_images(const RepeatedState& state, const Design& design, const PresentImages& out,
                    int n_threads) {
  const StateList list(state);
  const auto numbers = [&](Index voxel, const VoxelFactors& factors, Index rank) {
    double n_images = 0.0;
    double n_subjects = 0.0;
    double total = 0.0;
    const int exponent = list.exponent_of(voxel);
    for (std::size_t k = 0; k < factors.n.size(); ++k) {
      n_images += factors.n[k];
      if (k == 0) continue;  // what is within subjects has a mean of 0
      n_subjects += factors.n[k];
      const OlsState& own = *list.states[k];
      const double product = (factors.r[k] * design.intercept).dot(own.w().col(voxel));
      total += std::ldexp(product, own.exponent_of(voxel) - exponent);
    }
    out.n_images[voxel] = static_cast<std::int64_t>(n_images);
    out.n_subjects[voxel] = static_cast<std::int64_t>(n_subjects);
    out.rank[voxel] = rank;
    out.mean[voxel] = n_images > 0.0 ? std::ldexp(total / n_images, exponent) : kNaN;
  };
  const VoxelFactors shared = list.shared();
  const Index rank = make_shape(shared, list.sizes, design).rank();
  parallel_for((list.n_voxels() + kLaneRun - 1) / kLaneRun, n_threads, [&](Index run, int) {
    const Index end = std::min(list.n_voxels(), (run + 1) * kLaneRun);
    std::optional<VoxelFactors> last;
    Index own_rank = 0;
    for (Index v = run * kLaneRun; v < end; ++v) {
      if (list.is_complete(v)) {
        numbers(v, shared, rank);
        continue;
      }
      VoxelFactors factors = list.of_voxel(v);
      if (!last || !(factors == *last)) {
        own_rank = make_shape(factors, list.sizes, design).rank();
        last = std::move(factors);
      }
      numbers(v, *last, own_rank);
    }
  });
}

}  // namespace groupglm
