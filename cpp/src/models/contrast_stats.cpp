// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/contrast_stats.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// The contrast, and its hypothesis over the design's scaled columns: the same for every voxel.
struct Question {
  const MatrixXd& contrast;  // (k, p)
  StatType type;
  const VectorXd& scale;
  Index rank;
  MatrixXd hypothesis;
};

// A contrast in the coordinates of w, for one factor. Its effects are effect w 2^exponent.
struct Directions {
  MatrixXd effect;  // (k, q)
  std::vector<int> exponent;
  MatrixXd basis;       // (q, rank): F's numerator is |basis' w|^2
  double variance = 0;  // |g|^2, t only
  bool estimable = false;
  Index rank() const { return basis.cols(); }
};

Directions directions(const Question& question, const Factor& factor) {
  const bool is_shared = factor.scale == question.scale;
  const MatrixXd own =
      is_shared ? MatrixXd() : hypothesis(question.contrast, factor.scale, question.rank);
  const MatrixXd& tested = is_shared ? question.hypothesis : own;
  Directions out;
  out.estimable = is_estimable(tested, factor);
  if (!out.estimable) return out;
  out.effect.resize(question.contrast.rows(), factor.pinv.cols());
  for (Index k = 0; k < question.contrast.rows(); ++k) {
    const ScaledContrast scaled =
        scale_contrast(question.contrast.row(k).transpose(), factor.scale);
    out.effect.row(k) = scaled.weights.transpose() * factor.pinv;
    out.exponent.push_back(scaled.exponent);
  }
  if (question.type == StatType::t) {
    out.variance = out.effect.row(0).squaredNorm();
  } else {
    out.basis = split(tested, factor).effect;
  }
  return out;
}

struct Task {
  const OlsState& state;
  StatType type;
  const ContrastOutputs& out;
  // Residual sums of squares and variances are in the voxels' own scales, where no term of a
  // statistic leaves the range of double. So are the numerators, which are in out.stat.
  const Array rss;
  double* variance;
};

// Whether a voxel's numerator is no larger than the rounding of its data.
bool is_rounding(const Task& task, Index v, const Directions& d, double numerator) {
  const double size = task.state.w().col(v).norm() * rounding_share(task.state.n_observations(v));
  if (task.type == StatType::t) return std::abs(numerator) <= size * std::sqrt(d.variance);
  return std::sqrt(numerator) <= size;
}

// Effects, variance and numerator of a run of voxels that share directions and df.
void fill_run(const Task& task, Index first, Index count, const Directions& d, double df) {
  const Index n = task.state.n_voxels();
  multiply_run(d.effect, task.state, first, count,
               RowMatrixOut(task.out.effect, d.effect.rows(), n));
  Array variance(task.variance + first, count);
  Array numerator(task.out.stat + first, count);
  variance = task.rss.segment(first, count) / df;
  if (task.type == StatType::t) {
    numerator = Array(task.out.effect + first, count);
    variance *= d.variance;
  } else {
    numerator.setZero();
    add_squares_run(d.basis, task.state, first, count, numerator);
  }
  // A voxel is constant if its variance is zero and its effect is within rounding: it then has no
  // effect.
  for (Index v = 0; v < count && !(variance > 0.0).all(); ++v) {
    if (!(variance[v] > 0.0) && is_rounding(task, first + v, d, numerator[v])) numerator[v] = 0.0;
  }
  for (Index k = 0; k < d.effect.rows(); ++k) {
    scale_run(task.state, first, d.exponent[static_cast<std::size_t>(k)], 1,
              Array(task.out.effect + k * n + first, count));
  }
  Array(task.out.variance + first, count) = variance;
  const int exponent = task.type == StatType::t ? 2 * d.exponent.front() : 0;
  scale_run(task.state, first, exponent, 2, Array(task.out.variance + first, count));
}

void fill_nan(const Task& task, Index first, Index count, Index n_rows) {
  for (Index k = 0; k < n_rows; ++k) {
    std::fill_n(task.out.effect + k * task.state.n_voxels() + first, count, kNaN);
  }
  std::fill_n(task.out.variance + first, count, kNaN);
  std::fill_n(task.out.stat + first, count, kNaN);
}

}  // namespace

ContrastInfo contrast_statistics(const OlsState& state, const Design& design,
                                 const MatrixXd& contrast, StatType type,
                                 const ContrastOutputs& out, int n_threads) {
  // The residual sums of squares are stored in out.z_score, and the variances in the voxels' own
  // scales in out.p_value: `test_statistics` overwrites both at the end.
  const Array rss(out.z_score, state.n_voxels());
  scaled_rss(state, design, rss, n_threads);
  const Task task{state, type, out, rss, out.p_value};
  const Factor shared_factor = factorize(state.r(), design);
  const Index rank = contrast_rank(contrast, design);
  const Question question{contrast, type, design.scale, rank,
                          hypothesis(contrast, design.scale, rank)};
  const Directions shared = directions(question, shared_factor);
  const auto df_complete = static_cast<double>(state.n_rows() - shared_factor.rank);
  const double shared_df = shared.estimable && df_complete > 0.0 ? df_complete : kNaN;
  VectorXd own_df(state.has_missing() ? state.n_voxels() : 0);
  own_df.setConstant(shared_df);
  visit_voxels(state, design,
               {[&](Index first, Index count) {
                  if (shared_df > 0.0) {
                    fill_run(task, first, count, shared, shared_df);
                  } else {
                    fill_nan(task, first, count, contrast.rows());
                  }
                },
                [&](Index v, const MatrixXd&, const Factor& factor, Index n_rows) {
                  const Directions own = directions(question, factor);
                  const auto df = static_cast<double>(n_rows - factor.rank);
                  own_df[v] = own.estimable && df > 0.0 ? df : kNaN;
                  if (own_df[v] > 0.0) {
                    fill_run(task, v, 1, own, df);
                  } else {
                    fill_nan(task, v, 1, contrast.rows());
                  }
                }},
               n_threads);

  const NullDistribution null{type, static_cast<double>(rank), shared_df,
                              state.has_missing() ? own_df.data() : nullptr};
  test_statistics(null, out.stat, task.variance, state.n_voxels(),
                  {out.stat, out.p_value, out.z_score}, n_threads);
  return {rank, df_complete};
}

void contrast_parts(const OlsState& state, const Design& design, const MatrixXd& contrast,
                    const ContrastParts& out, int n_threads) {
  const Index n = state.n_voxels();
  const Index k = contrast.rows();
  const RowMatrixOut effect(out.effect, k, n);
  const RowMatrixOut gram(out.gram, k * (k + 1) / 2, n);
  const Factor shared_factor = factorize(state.r(), design);
  const Index rank = contrast_rank(contrast, design);
  const Question question{contrast, StatType::t, design.scale, rank,
                          hypothesis(contrast, design.scale, rank)};
  const auto fill = [&](Index first, Index count, const Factor& factor, Index n_rows) {
    const Directions own = directions(question, factor);
    const auto df = static_cast<double>(n_rows - factor.rank);
    if (!own.estimable || !(df > 0.0)) {
      RowMatrixOut(effect).middleCols(first, count).setConstant(kNaN);
      RowMatrixOut(gram).middleCols(first, count).setConstant(kNaN);
      std::fill_n(out.df + first, count, kNaN);
      std::fill_n(out.rounding + first, count, kNaN);
      return;
    }
    multiply_run(own.effect, state, first, count, effect);
    Index pair = 0;
    for (Index i = 0; i < k; ++i) {
      const int exponent = own.exponent[static_cast<std::size_t>(i)];
      scale_run(state, first, exponent, 1, Array(out.effect + i * n + first, count));
      for (Index j = i; j < k; ++j) {
        const int both = exponent + own.exponent[static_cast<std::size_t>(j)];
        const double product = std::ldexp(own.effect.row(i).dot(own.effect.row(j)), both);
        std::fill_n(out.gram + n * pair++ + first, count, product);
      }
    }
    std::fill_n(out.df + first, count, df);
    for (Index v = first; v < first + count; ++v) {
      out.rounding[v] = state.w().col(v).norm() * rounding_share(n_rows);
    }
    scale_run(state, first, 0, 1, Array(out.rounding + first, count));
  };
  visit_voxels(
      state, design,
      {[&](Index first, Index count) { fill(first, count, shared_factor, state.n_rows()); },
       [&](Index v, const MatrixXd&, const Factor& factor, Index n_rows) {
         fill(v, 1, factor, n_rows);
       }},
      n_threads);
}

}  // namespace groupglm
