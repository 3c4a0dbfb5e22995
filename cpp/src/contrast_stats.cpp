// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/contrast_stats.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "groupglm/parallel.hpp"
#include "groupglm/special.hpp"
#include "voxel_runs.hpp"

namespace groupglm {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// What is asked of every voxel, and the hypothesis over the design's scaled columns.
struct Question {
  const MatrixXd& contrast;  // (k, p)
  StatType type;
  const VectorXd& scale;
  Index rank;
  MatrixXd hypothesis;
};

// A contrast in the coordinates of w, for one factor.
struct Directions {
  MatrixXd effect;  // (k, q): effects = effect w 2^exponent
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

// A voxel without any residual variance: the statistic is 0 when the effect is no more than
// rounding (a constant voxel), else infinite.
double statistic(double numerator, double denominator, bool is_rounding) {
  if (denominator > 0.0) return numerator / denominator;
  return is_rounding ? 0.0 : std::copysign(std::numeric_limits<double>::infinity(), numerator);
}

struct Task {
  const OlsState& state;
  StatType type;
  const ContrastOutputs& out;
  const Array rss;  // in the voxels' own scales
};

double statistic_of_voxel(const Task& task, Index v, const Directions& d, double numerator,
                          double sigma2) {
  // An effect below this is rounding and not data.
  const double size = task.state.w.col(v).norm() * rounding_share(task.state.n_observations(v));
  if (task.type == StatType::t) {
    const bool rounding = std::abs(numerator) <= size * std::sqrt(d.variance);
    return statistic(numerator, std::sqrt(sigma2 * d.variance), rounding);
  }
  const bool rounding = std::sqrt(numerator) <= size;
  return statistic(numerator, sigma2 * static_cast<double>(d.rank()), rounding);
}

// Effects, variance and statistic of a run of voxels that share directions and df.
void fill_run(const Task& task, Index first, Index count, const Directions& d, double df) {
  const Index n = task.state.n_voxels();
  multiply_run(d.effect, task.state, first, count,
               RowMatrixOut(task.out.effect, d.effect.rows(), n));
  const auto sigma2 = task.rss.segment(first, count) / df;
  Array variance(task.out.variance + first, count);
  Array stat(task.out.stat + first, count);
  Eigen::ArrayXd numerator(count);
  if (task.type == StatType::t) {
    numerator = Array(task.out.effect + first, count);
    variance = sigma2 * d.variance;
    stat = numerator / variance.sqrt();
  } else {
    numerator.setZero();
    add_squares_run(d.basis, task.state, first, count, Array(numerator.data(), count));
    variance = sigma2;
    stat = numerator / (variance * static_cast<double>(d.rank()));
  }
  for (Index v = 0; v < count && !(variance > 0.0).all(); ++v) {
    if (variance[v] > 0.0) continue;
    stat[v] = statistic_of_voxel(task, first + v, d, numerator[v], sigma2[v]);
  }
  for (Index k = 0; k < d.effect.rows(); ++k) {
    scale_run(task.state, first, d.exponent[static_cast<std::size_t>(k)], 1,
              Array(task.out.effect + k * n + first, count));
  }
  const int exponent = task.type == StatType::t ? 2 * d.exponent.front() : 0;
  scale_run(task.state, first, exponent, 2, variance);
}

void fill_nan(const Task& task, Index first, Index count, Index n_rows) {
  for (Index k = 0; k < n_rows; ++k) {
    std::fill_n(task.out.effect + k * task.state.n_voxels() + first, count, kNaN);
  }
  std::fill_n(task.out.variance + first, count, kNaN);
  std::fill_n(task.out.stat + first, count, kNaN);
}

// One object a distinct number of degrees of freedom: making one costs thousands of evaluations.
class Tails {
 public:
  Tails(StatType type, Index rank) : type_(type), rank_(static_cast<double>(rank)) {}

  void prepare(double df) {
    if (!(df > 0.0)) return;
    if (type_ == StatType::t) {
      t_.try_emplace(df, df);
    } else {
      f_.try_emplace(df, rank_, df);
    }
  }

  void fill(const Task& task, Index first, Index count, double df) const {
    const ContrastOutputs& out = task.out;
    if (!(df > 0.0)) {
      std::fill_n(out.p_value + first, count, kNaN);
      std::fill_n(out.z_score + first, count, kNaN);
    } else if (type_ == StatType::t) {
      t_.at(df).p_and_z(out.stat + first, count, out.p_value + first, out.z_score + first);
    } else {
      f_.at(df).p_and_z(out.stat + first, count, out.p_value + first, out.z_score + first);
      // Where nothing varies the statistic is 0 by decision: nothing speaks for an effect, and
      // nothing against it, as under t.
      for (Index v = first; v < first + count; ++v) {
        if (out.stat[v] == 0.0 && task.rss[v] == 0.0) out.z_score[v] = 0.0;
      }
    }
  }

 private:
  StatType type_;
  double rank_;
  std::map<double, StudentT> t_;
  std::map<double, FisherF> f_;
};

}  // namespace

ContrastInfo contrast_statistics(const OlsState& state, const Design& design,
                                 const MatrixXd& contrast, StatType type,
                                 const ContrastOutputs& out, int n_threads) {
  VectorXd rss(state.n_voxels());
  const Array rss_map(rss.data(), rss.size());
  scaled_rss(state, design, rss_map, n_threads);
  const Task task{state, type, out, rss_map};
  const Factor shared_factor = factorize(state.r, design);
  const Index rank = contrast_rank(contrast, design);
  const Question question{contrast, type, design.scale, rank,
                          hypothesis(contrast, design.scale, rank)};
  const Directions shared = directions(question, shared_factor);
  const auto df_complete = static_cast<double>(state.n_rows - shared_factor.rank);
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

  Tails tails(type, rank);
  tails.prepare(shared_df);
  for (const double df : own_df) tails.prepare(df);
  const Index n_runs = (state.n_voxels() + kRun - 1) / kRun;
  parallel_for(n_runs, n_threads, [&](Index run, int) {
    const Index first = run * kRun;
    const Index count = std::min(kRun, state.n_voxels() - first);
    tails.fill(task, first, count, shared_df);
    for (Index v = first; v < first + count && state.has_missing(); ++v) {
      if (state.slot(v) != MissingVoxels::kComplete) tails.fill(task, v, 1, own_df[v]);
    }
  });
  return {rank, df_complete};
}

}  // namespace groupglm
