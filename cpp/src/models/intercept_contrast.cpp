// SPDX-License-Identifier: BSD-3-Clause
// Contrasts of a random intercept, with the degrees of freedom of Kenward and Roger or of
// Satterthwaite (the formulas are in groupglm/models/random_intercept.hpp).
#include <Eigen/Eigenvalues>

#include "groupglm/models/component_tests.hpp"
#include "groupglm/models/random_intercept.hpp"
#include "models/intercept_information.hpp"
#include "models/intercept_lanes.hpp"
#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// What a contrast asks, for all voxels.
struct Question {
  const MatrixXd& contrast;  // (k, p)
  StatType type;
  DfMethod freedom;
  Index rank;
};

// A contrast in the basis of one shape.
struct Tested {
  bool is_estimable = false;
  MatrixXd rows;        // (r, k): the rows as they are given, over a power of two each
  MatrixXd hypothesis;  // (r, rank): a basis of them
  std::vector<int> exponent;
};

Tested in_basis(const Question& question, const VoxelShape& shape) {
  const Factor& factor = shape.factor;
  const MatrixXd tested = hypothesis(question.contrast, factor.scale, question.rank);
  Tested out;
  out.is_estimable = is_estimable(tested, factor);
  if (!out.is_estimable) return out;
  out.hypothesis = shape.basis.transpose() * tested;
  out.rows.resize(shape.rank(), question.contrast.rows());
  for (Index k = 0; k < question.contrast.rows(); ++k) {
    const ScaledContrast scaled =
        scale_contrast(question.contrast.row(k).transpose(), factor.scale);
    out.rows.col(k) = shape.basis.transpose() * scaled.weights;
    out.exponent.push_back(scaled.exponent);
  }
  return out;
}

// The rows (k, r) of a register's contrasts.
Lanes lanes_of(const LaneGroup& group, const std::array<const Tested*, kLane>& tested,
               MatrixXd Tested::* member) {
  const MatrixXd& first = tested[0]->*member;
  Lanes out(at(first.size()));
  for (int l = 0; l < kLane; ++l) {
    const MatrixXd& own = tested[at(l < group.count ? l : 0)]->*member;
    for (Index j = 0; j < own.size(); ++j) out[at(j)][l] = own.data()[j];  // a column is a row
  }
  return out;
}

Lanes factored(const Lanes& symmetric, Index k) {
  Lanes out(at(n_products(k)));
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j <= i; ++j) out[at(packed(i, j))] = symmetric[at(i * k + j)];
  }
  factor_symmetric(out.data(), k);
  return out;
}

class ContrastBody {
 public:
  ContrastBody(const Question& question, const Tested& shared, const VoxelShape& shared_shape,
               const double* ratio, const ContrastOutputs& out, double* df, Index n_voxels)
      : question_(question),
        shared_(shared),
        shared_shape_(shared_shape),
        ratio_(ratio),
        out_(out),
        df_(df),
        n_voxels_(n_voxels) {}

  template <typename S>
  void operator()(const LaneShape<S>& shape, LaneData& data, const LaneGroup& group) {
    std::array<const Tested*, kLane> tested{};
    std::array<Tested, kLane> own_tested;
    bool all = true;
    for (Index l = 0; l < group.count; ++l) {
      tested[at(l)] = &shared_;
      if (group.shape[at(l)] != &shared_shape_) {
        own_tested[at(l)] = in_basis(question_, *group.shape[at(l)]);
        tested[at(l)] = &own_tested[at(l)];
      }
      all = all && tested[at(l)]->is_estimable;
    }
    // Lanes that cannot estimate it have no rows.
    const Tested* some = nullptr;
    for (Index l = 0; l < group.count; ++l) {
      if (tested[at(l)]->is_estimable) some = tested[at(l)];
    }
    for (Index l = 0; l < group.count; ++l) {
      has_[at(l)] = tested[at(l)]->is_estimable && ratio_[group.voxel[at(l)]] >= 0.0;
      if (!has_[at(l)]) set_nan(group.voxel[at(l)]);
      if (!tested[at(l)]->is_estimable) tested[at(l)] = some;
    }
    if (some == nullptr) return;
    for (int l = 0; l < kLane; ++l) {
      const double own = ratio_[group.voxel[at(l)]];
      at_[l] = own >= 0.0 ? own : 0.0;
    }
    settle(shape, at_, data, own_, value_);
    n_images_ = shape.df + static_cast<double>(shape.r);
    residual_df_ = in_lanes(0.0) + shape.df;
    s2_ = value_.q.max(0.0) / residual_df_;
    for (int l = 0; l < kLane; ++l) {
      const double share = rounding_share(static_cast<Index>(n_images_[l]));
      if (!(value_.q[l] > share * share * data.total[l])) s2_[l] = 0.0;
    }
    const bool with_curvature = question_.freedom == DfMethod::satterthwaite;
    InformationOf<S>(shape, data, own_, value_).set(s2_, with_curvature, information_);
    b_.resize(at(shape.r));
    for (Index j = 0; j < shape.r; ++j) b_[at(j)] = data.start[at(j)] + value_.b[at(j)];
    test(group, tested, data, shape.r);
  }

  void set_nan(Index voxel) const {
    for (Index k = 0; k < question_.contrast.rows(); ++k) {
      out_.effect[k * n_voxels_ + voxel] = kNaN;
    }
    out_.variance[voxel] = kNaN;
    out_.stat[voxel] = kNaN;
    out_.p_value[voxel] = kNaN;
    df_[voxel] = kNaN;
  }

 private:
  void test(const LaneGroup& group, const std::array<const Tested*, kLane>& tested,
            const LaneData& data, Index r) {
    const Index k = question_.contrast.rows();
    const Lanes rows = lanes_of(group, tested, &Tested::rows);
    Lanes effects(at(k));
    for (Index i = 0; i < k; ++i) {
      effects[at(i)] = dot(rows.data() + i * r, b_.data(), r);
      for (Index l = 0; l < group.count; ++l) {
        if (!has_[at(l)]) continue;
        out_.effect[i * n_voxels_ + group.voxel[at(l)]] =
            std::ldexp(effects[at(i)][l], tested[at(l)]->exponent[at(i)] + group.exponent[at(l)]);
      }
    }
    if (question_.type == StatType::t) {
      test_one(group, tested, data, rows, effects[0], r);
    } else if (question_.freedom == DfMethod::kenward_roger) {
      test_several(group, data, lanes_of(group, tested, &Tested::hypothesis), r);
    } else {
      test_directions(group, tested, data, rows, effects, r);
    }
  }

  void set(const LaneGroup& group, const LaneData& data, Index l, double numerator, double variance,
           double exact_df, int exponent) {
    const Index voxel = group.voxel[at(l)];
    if (!has_[at(l)]) return;
    if (!(variance > 0.0)) {
      // Nothing varies: an effect within rounding is none.
      const double least = rounding_share(static_cast<Index>(n_images_[l]));
      const double size =
          question_.type == StatType::t ? std::abs(numerator) : std::sqrt(std::abs(numerator));
      if (size <= least * std::sqrt(data.total[l]) * unit_) numerator = 0.0;
    }
    out_.stat[voxel] = numerator;
    out_.p_value[voxel] = variance;
    out_.variance[voxel] = std::ldexp(variance, 2 * (group.exponent[at(l)] + exponent));
    df_[voxel] = exact_df;
  }

  void test_one(const LaneGroup& group, const std::array<const Tested*, kLane>& tested,
                const LaneData& data, const Lanes& row, const Lane& effect, Index r) {
    const RowMoments moments = moments_of(row, 1, r, own_, information_);
    const Lane m = moments.d[0] / moments.c[0];
    Lane variance = moments.c[0];
    Lane df;
    if (question_.freedom == DfMethod::kenward_roger) {
      variance += 2.0 * information_.w22 * moments.e[0];
      df = 2.0 / (information_.w11 + 2.0 * information_.w12 * m + information_.w22 * m * m);
    } else {
      df = satterthwaite(m);
    }
    for (Index l = 0; l < group.count; ++l) {
      unit_ = std::sqrt(moments.c[0][l]);
      set(group, data, l, effect[l], s2_[l] * variance[l], df[l], tested[at(l)]->exponent[0]);
    }
  }

  Lane satterthwaite(const Lane& m) const {
    const Information& own = information_;
    const Lane df = 2.0 / (own.o11 + 2.0 * own.o12 * m + own.o22 * m * m);
    return (at_ > 0.0 && s2_ > 0.0).select(df, residual_df_);
  }

  void test_several(const LaneGroup& group, const LaneData& data, const Lanes& rows, Index r) {
    const Index q = question_.rank;
    RowMoments moments = moments_of(rows, q, r, own_, information_);
    const Lanes factor = factored(moments.c, q);
    // C^-1 D, whose trace and that of whose square are needed.
    Lanes solved = moments.d;
    for (Index i = 0; i < q; ++i) solve_symmetric(factor.data(), q, solved.data() + i * q);
    Lane trace = in_lanes(0.0);
    Lane squares = in_lanes(0.0);
    for (Index i = 0; i < q; ++i) {
      trace += solved[at(i * q + i)];
      for (Index j = 0; j < q; ++j) squares += solved[at(i * q + j)] * solved[at(j * q + i)];
    }
    const auto n_rows = static_cast<double>(q);
    const Information& w = information_;
    const Lane a1 =
        w.w11 * (n_rows * n_rows) + 2.0 * n_rows * w.w12 * trace + w.w22 * trace * trace;
    const Lane a2 = w.w11 * n_rows + 2.0 * w.w12 * trace + w.w22 * squares;
    for (std::size_t j = 0; j < moments.c.size(); ++j) {
      moments.c[j] += 2.0 * w.w22 * moments.e[j];
    }
    const Lanes adjusted = factored(moments.c, q);
    Lanes v(at(q));
    for (Index i = 0; i < q; ++i) v[at(i)] = dot(rows.data() + i * r, b_.data(), r);
    Lanes solved_v = v;
    solve_symmetric(adjusted.data(), q, solved_v.data());
    const Lane wald = dot(v.data(), solved_v.data(), q);
    unit_ = 1.0;
    for (Index l = 0; l < group.count; ++l) {
      const ScaledF own = kenward_roger(a1[l], a2[l], n_rows);
      set(group, data, l, own.scale * wald[l], s2_[l], own.df, 0);
    }
  }

  // Fai and Cornelius: t of the principal directions of the covariance of the effects.
  void test_directions(const LaneGroup& group, const std::array<const Tested*, kLane>& tested,
                       const LaneData& data, const Lanes& rows, const Lanes& effects, Index r) {
    const Index k = question_.contrast.rows();
    const RowMoments moments = moments_of(rows, k, r, own_, information_);
    unit_ = 1.0;
    for (Index l = 0; l < group.count; ++l) {
      MatrixXd c(k, k);
      MatrixXd d(k, k);
      VectorXd v(k);
      for (Index i = 0; i < k; ++i) {
        const int own = tested[at(l)]->exponent[at(i)];
        v[i] = std::ldexp(effects[at(i)][l], own);
        for (Index j = 0; j < k; ++j) {
          const int both = own + tested[at(l)]->exponent[at(j)];
          c(i, j) = std::ldexp(moments.c[at(i * k + j)][l], both);
          d(i, j) = std::ldexp(moments.d[at(i * k + j)][l], both);
        }
      }
      const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(c);
      double squares = 0.0;
      std::vector<double> freedoms;
      for (Index i = k - question_.rank; i < k; ++i) {
        const auto direction = eigen.eigenvectors().col(i);
        const double size = eigen.eigenvalues()[i];
        const double effect = direction.dot(v);
        squares += effect * effect / size;
        freedoms.push_back(satterthwaite(in_lanes(direction.dot(d * direction) / size))[l]);
      }
      set(group, data, l, squares, s2_[l], joint_freedom(freedoms), 0);
    }
  }

  static double joint_freedom(const std::vector<double>& freedoms) {
    const auto q = static_cast<double>(freedoms.size());
    double mean = 0.0;
    double sum = 0.0;
    bool alike = true;
    bool small = false;
    for (std::size_t i = 0; i < freedoms.size(); ++i) {
      mean += freedoms[i] / q;
      sum += freedoms[i] / (freedoms[i] - 2.0);
      small = small || freedoms[i] <= 2.0;
      alike = alike && (i == 0 || std::abs(freedoms[i] - freedoms[i - 1]) < 1e-8);
    }
    if (alike) return mean;
    return small ? 2.0 : 2.0 * sum / (sum - q);
  }

  const Question& question_;
  const Tested& shared_;
  const VoxelShape& shared_shape_;
  const double* ratio_;
  ContrastOutputs out_;
  double* df_;
  Index n_voxels_;
  std::array<bool, kLane> has_{};
  Lane at_, s2_, n_images_, residual_df_;
  Lanes b_;
  double unit_ = 1.0;  // the length of the contrast, for what is within rounding
  ShapeAt<Lane> own_;
  ValueAt value_;
  Information information_;
};

}  // namespace

Index random_intercept_contrast(const RepeatedState& state, const Design& design,
                                const double* ratio, const MatrixXd& contrast, StatType type,
                                DfMethod freedom, const ContrastOutputs& out, double* df,
                                int n_threads) {
  const StateList list(state);
  const SharedShape shared = shared_shape(list, design);
  const Question question{contrast, type, freedom, contrast_rank(contrast, design)};
  const Tested tested = in_basis(question, shared.shape);
  const auto body = [&] {
    return ContrastBody(question, tested, shared.shape, ratio, out, df, list.n_voxels());
  };
  const ContrastBody none = body();
  visit_lanes(
      list, design, shared, body, [&](Index voxel, const VoxelShape&) { none.set_nan(voxel); },
      n_threads);
  // The variances in the voxels' own scales are in out.p_value, which is overwritten at the end.
  const NullDistribution null{type, static_cast<double>(question.rank), kNaN, df};
  test_statistics(null, out.stat, out.p_value, list.n_voxels(),
                  {out.stat, out.p_value, out.z_score}, n_threads);
  return question.rank;
}

}  // namespace groupglm
