// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <cmath>

#include "groupglm/models/weighted_fit.hpp"
#include "models/weighted_voxels.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// What a contrast asks, for all voxels.
struct WeightedQuestion {
  const MatrixXd& contrast;  // (k, p + k)
  StatType type;
  Scale scale;
  NullDf freedom;
  const Design& extended;
  Index rank;
  MatrixXd hypothesis;                 // (p + k, rank), over scaled columns
  std::vector<ScaledContrast> scaled;  // the rows of the contrast

  bool needs_residuals() const { return scale != Scale::one || freedom != NullDf::infinite; }
};

WeightedQuestion ask(const MatrixXd& contrast, const Design& extended) {
  const Index rank = contrast_rank(contrast, extended);
  WeightedQuestion question{contrast,
                            StatType::t,
                            Scale::one,
                            NullDf::infinite,
                            extended,
                            rank,
                            hypothesis(contrast, extended.scale, rank),
                            {}};
  for (Index k = 0; k < contrast.rows(); ++k) {
    question.scaled.push_back(scale_contrast(contrast.row(k).transpose(), extended.scale));
  }
  return question;
}

RunArray apply(const VoxelRun& run, const std::vector<RunArray>& g) {
  RunArray effect = RunArray::Zero(run.count);
  for (std::size_t k = 0; k < g.size(); ++k) effect += g[k] * run.theta(static_cast<Index>(k));
  return effect;
}

// |U'w|^2, where U is an orthonormal basis of the columns sqrt(1 / d) g and w = sqrt(d) theta, by
// the modified Gram-Schmidt process on both.
RunArray squares_of_hypothesis(const VoxelRun& run, const MatrixXd& hypothesis) {
  const auto n_columns = static_cast<std::size_t>(hypothesis.rows());
  std::vector<RunArray> left;
  std::vector<RunArray> root;
  for (std::size_t k = 0; k < n_columns; ++k) {
    root.emplace_back(run.d(static_cast<Index>(k)).sqrt());
    left.emplace_back(root[k] * run.theta(static_cast<Index>(k)));
  }
  const auto dot = [&](const std::vector<RunArray>& a, const std::vector<RunArray>& b) {
    RunArray total = RunArray::Zero(run.count);
    for (std::size_t k = 0; k < n_columns; ++k) total += a[k] * b[k];
    return total;
  };
  const auto subtract = [&](const RunArray& times, const std::vector<RunArray>& unit,
                            std::vector<RunArray>& from) {
    for (std::size_t k = 0; k < n_columns; ++k) from[k] -= times * unit[k];
  };
  RunArray squares = RunArray::Zero(run.count);
  std::vector<std::vector<RunArray>> basis;
  for (Index c = 0; c < hypothesis.cols(); ++c) {
    std::vector<RunArray> unit = run.directions(hypothesis.col(c));
    for (std::size_t k = 0; k < n_columns; ++k) unit[k] /= root[k];
    for (const auto& before : basis) subtract(dot(before, unit), before, unit);
    const RunArray length = dot(unit, unit).sqrt();
    for (RunArray& own : unit) own /= length;
    const RunArray coordinate = dot(unit, left);
    squares += coordinate.square();
    subtract(coordinate, unit, left);
    basis.push_back(std::move(unit));
  }
  return squares;
}

// Below this, sums of squares have lost digits to the smallest numbers that double holds.
constexpr double kSmallestSquares = 1e-280;

double scale_of(Scale scale, double rss, double df) {
  if (scale == Scale::one) return 1.0;
  const double residual = rss / df;
  return scale == Scale::residual ? residual : std::max(1.0, residual);
}

// The numbers of one contrast as they are found: `numerator` and `own_variance` are those of
// contrast rows over scaled columns.
struct Found {
  const WeightedState& state;
  const WeightedQuestion& question;
  const ContrastOutputs& out;
  double* numerator;
  double* own_variance;
  VectorXd& df;

  void set_nan(Index voxel) const {
    for (Index k = 0; k < question.contrast.rows(); ++k) {
      out.effect[k * state.n_voxels() + voxel] = kNaN;
    }
    out.variance[voxel] = kNaN;
    numerator[voxel] = kNaN;
    own_variance[voxel] = kNaN;
    df[voxel] = kNaN;
  }

  // Whether double holds the squares of a voxel's data, if any are asked for. Data of zero have
  // squares of zero.
  bool has_squares(Index voxel, double squares) const {
    if (question.type == StatType::t && !question.needs_residuals()) return true;
    if (squares >= kSmallestSquares) return squares < kInfinity;
    return squares == 0.0 && state.parts().sums(kTotal, voxel) == 0.0;
  }

  // spread: c'(X'WX)^-1 c of t, or 1; size: |w|^2 in units of the weights.
  void set(Index voxel, Index rank, double rss, double spread, double value, double size) const {
    const Index n_rows = state.parts().counts(kPresent, voxel);
    const auto residual_df = static_cast<double>(n_rows - rank);
    df[voxel] = question.freedom == NullDf::infinite ? kInfinity : residual_df;
    if (question.needs_residuals() && !(residual_df > 0.0)) return set_nan(voxel);
    if (!has_squares(voxel, size + rss)) return set_nan(voxel);
    const double sigma2 = scale_of(question.scale, rss, residual_df);
    const bool is_t = question.type == StatType::t;
    const double variance = is_t ? sigma2 * spread : sigma2;
    if (!(variance > 0.0)) {
      // A voxel is constant if its variance is zero and its effect is within rounding.
      const double length = rounding_share(n_rows) * std::sqrt(size);
      const double own = is_t ? std::abs(value) / std::sqrt(spread) : std::sqrt(value);
      if (own <= length) value = 0.0;
    }
    numerator[voxel] = value;
    own_variance[voxel] = variance;
    const int exponent = is_t ? 2 * question.scaled.front().exponent : 0;
    out.variance[voxel] = std::ldexp(variance, exponent);
  }
};

void set_regular(const Found& found, const VoxelRun& run) {
  const WeightedQuestion& question = found.question;
  const Index n_columns = question.extended.n_columns;
  RunArray spread = RunArray::Ones(run.count);
  RunArray numerator;
  for (std::size_t k = 0; k < question.scaled.size(); ++k) {
    const ScaledContrast& scaled = question.scaled[k];
    const std::vector<RunArray> g = run.directions(scaled.weights);
    const RunArray effect = apply(run, g);
    Array out(found.out.effect + static_cast<Index>(k) * run.state.n_voxels() + run.first,
              run.count);
    for (Index v = 0; v < run.count; ++v) out[v] = std::ldexp(effect[v], scaled.exponent);
    if (question.type == StatType::F) continue;
    spread.setZero();
    for (Index j = 0; j < n_columns; ++j) {
      spread += g[static_cast<std::size_t>(j)].square() / run.d(j);
    }
    numerator = effect;
  }
  if (question.type == StatType::F) numerator = squares_of_hypothesis(run, question.hypothesis);
  const RunArray rss = run.rss(n_columns);
  RunArray size = RunArray::Zero(run.count);
  for (Index j = 0; j < n_columns; ++j) size += run.d(j) * run.theta(j).square();
  for (Index v = 0; v < run.count; ++v) {
    found.set(run.first + v, n_columns, rss[v], spread[v], numerator[v], size[v]);
  }
}

// A contrast in the coordinates of one voxel's factor.
struct OwnDirections {
  bool estimable = false;
  MatrixXd hypothesis;
};

OwnDirections own_directions(const WeightedQuestion& question, const VoxelFactor& own) {
  OwnDirections out;
  if (own.n_rows == 0) return out;
  out.hypothesis = hypothesis(question.contrast, own.factor.scale, question.rank);
  out.estimable = is_estimable(out.hypothesis, own.factor);
  return out;
}

void set_own(const Found& found, Index voxel, const VoxelFactor& own) {
  const WeightedQuestion& question = found.question;
  const OwnDirections directions = own_directions(question, own);
  if (!directions.estimable) return found.set_nan(voxel);
  const double size = own.unit * own.w.squaredNorm();
  double spread = 1.0;
  double numerator = 0.0;
  for (Index k = 0; k < question.contrast.rows(); ++k) {
    const ScaledContrast scaled =
        scale_contrast(question.contrast.row(k).transpose(), own.factor.scale);
    const Eigen::RowVectorXd gain = scaled.weights.transpose() * own.factor.pinv;
    const double effect = std::ldexp(gain.dot(own.w), scaled.exponent);
    found.out.effect[k * found.state.n_voxels() + voxel] = effect;
    if (question.type == StatType::F) continue;
    // In the scale of all voxels, so that one exponent serves them all.
    const int shift = scaled.exponent - question.scaled.front().exponent;
    numerator = std::ldexp(gain.dot(own.w), shift);
    spread = std::ldexp(gain.squaredNorm(), 2 * shift) / own.unit;
  }
  if (question.type == StatType::F) {
    const Split parts = split(directions.hypothesis, own.factor);
    numerator = own.unit * (parts.effect.transpose() * own.w).squaredNorm();
  }
  found.set(voxel, own.factor.rank, own.rss, spread, numerator, size);
}

}  // namespace

bool any_estimable(const WeightedState& state, const Design& design, const MatrixXd& contrast,
                   int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  const WeightedQuestion question = ask(contrast, extended);
  std::atomic<bool> found{false};
  const Index n_runs = (state.n_voxels() + kWeightedRun - 1) / kWeightedRun;
  parallel_for(n_runs, n_threads, [&](Index index, int) {
    if (found) return;
    const Index first = index * kWeightedRun;
    const VoxelRun run{state, first, std::min(kWeightedRun, state.n_voxels() - first)};
    const std::vector<char> regular = clearly_independent(run, extended.n_columns);
    for (Index v = 0; v < run.count && !found; ++v) {
      if (state.parts().counts(kPresent, first + v) == 0) continue;
      if (regular[static_cast<std::size_t>(v)] != 0 ||
          own_directions(question, factor_of_voxel(state, extended, first + v)).estimable) {
        found = true;
      }
    }
  });
  return found;
}

Index weighted_contrast(const WeightedState& state, const Design& design, const MatrixXd& contrast,
                        StatType type, Scale scale, NullDf freedom, const ContrastOutputs& out,
                        int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  WeightedQuestion question = ask(contrast, extended);
  question.type = type;
  question.scale = scale;
  question.freedom = freedom;
  VectorXd df(state.n_voxels());
  // The numerators are stored in out.stat, and the variances over scaled columns in out.p_value:
  // `test_statistics` overwrites both at the end.
  const Found found{state, question, out, out.stat, out.p_value, df};
  visit_weighted(
      state, extended,
      [&](const VoxelRun& run) { return clearly_independent(run, extended.n_columns); },
      [&](const VoxelRun& run) { set_regular(found, run); },
      [&](Index voxel, const VoxelFactor& own) { set_own(found, voxel, own); }, n_threads);
  const bool is_normal = freedom == NullDf::infinite;
  const auto most = static_cast<double>(state.n_rows() - extended.n_columns);
  const NullDistribution null{type, static_cast<double>(question.rank),
                              is_normal ? kInfinity : (most > 0.0 ? most : kNaN),
                              is_normal ? nullptr : df.data()};
  test_statistics(null, out.stat, out.p_value, state.n_voxels(),
                  {out.stat, out.p_value, out.z_score}, n_threads);
  return question.rank;
}

}  // namespace groupglm
