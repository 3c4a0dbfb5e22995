// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/weighted_fit.hpp"

#include <cmath>

#include "models/weighted_voxels.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

double explained_share(double residual, double total) {
  return total > 0.0 ? 1.0 - residual / total : kNaN;
}

// Total sums of squares of a run, about the weighted mean: the part of the data that is orthogonal
// to the constant, whose coordinates are sqrt(d) r a.
RunArray centred_total(const VoxelRun& run, const Design& extended) {
  const Index m = run.state.parts().n_columns();
  std::vector<RunArray> constant;
  RunArray length = RunArray::Zero(run.count);
  RunArray product = RunArray::Zero(run.count);
  for (Index k = 0; k < m; ++k) {
    RunArray own = RunArray::Constant(run.count, extended.intercept[k]);
    for (Index j = k + 1; j < m; ++j) {
      if (extended.intercept[j] != 0.0) own += extended.intercept[j] * run.r(k, j);
    }
    length += run.d(k) * own.square();
    product += run.d(k) * own * run.theta(k);
    constant.push_back(std::move(own));
  }
  const RunArray mean = product / length;
  RunArray total = run.slot(run.state.parts().at().rss());
  for (Index k = 0; k < m; ++k) {
    total += run.d(k) * (run.theta(k) - mean * constant[static_cast<std::size_t>(k)]).square();
  }
  return run.without_rounding(total);
}

// The total sum of squares of one voxel, as VoxelFactor::rss.
double total_of(const VoxelFactor& own, double rss_of_rows) {
  VectorXd rest = own.w;
  if (spans_constant(own.r, own.factor, own.design)) {
    const VectorXd constant = (own.r * own.design.intercept).stableNormalized();
    rest -= constant * constant.dot(own.w);
  }
  const double total = rss_of_rows + own.unit * rest.squaredNorm();
  const double size = rss_of_rows + own.unit * own.w.squaredNorm();
  const double share = rounding_share(own.n_rows);
  return total < share * share * size ? 0.0 : total;
}

}  // namespace

void weighted_coefficients(const WeightedState& state, const Design& design, RowMatrixOut beta,
                           int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  const Index n_columns = extended.n_columns;
  visit_weighted(
      state, extended, [&](const VoxelRun& run) { return clearly_independent(run, n_columns); },
      [&](const VoxelRun& run) {
        for (Index k = n_columns - 1; k >= 0; --k) {
          RunArray own = run.theta(k);
          for (Index j = k + 1; j < n_columns; ++j) {
            own -= run.r(k, j) * beta.row(j).segment(run.first, run.count).array();
          }
          beta.row(k).segment(run.first, run.count).array() = own;
        }
        for (Index k = 0; k < n_columns; ++k) {
          beta.row(k).segment(run.first, run.count) /= extended.scale[k];
        }
      },
      [&](Index voxel, const VoxelFactor& own) {
        if (own.n_rows == 0) {
          beta.col(voxel).setConstant(kNaN);
        } else {
          beta.col(voxel) = minimum_norm(own.factor) * own.w;
        }
      },
      n_threads);
}

void weighted_rss(const WeightedState& state, const Design& design, Array rss, int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  const Index n_columns = extended.n_columns;
  visit_weighted(
      state, extended, [&](const VoxelRun& run) { return clearly_independent(run, n_columns); },
      [&](const VoxelRun& run) { rss.segment(run.first, run.count) = run.rss(n_columns); },
      [&](Index voxel, const VoxelFactor& own) { rss[voxel] = own.n_rows == 0 ? kNaN : own.rss; },
      n_threads);
}

void weighted_r_square(const WeightedState& state, const Design& design, Array out, int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  const Index n_columns = extended.n_columns;
  const bool is_centred = extended.n_working() == n_columns;
  // With the constant appended, it must be as clearly independent as the columns, or else the
  // pivoted factor decides whether they span it.
  visit_weighted(
      state, extended,
      [&](const VoxelRun& run) { return clearly_independent(run, extended.n_working()); },
      [&](const VoxelRun& run) {
        const RunArray residual = run.rss(n_columns);
        const RunArray total = is_centred ? centred_total(run, extended) : run.rss(0);
        for (Index v = 0; v < run.count; ++v) {
          out[run.first + v] = explained_share(residual[v], total[v]);
        }
      },
      [&](Index voxel, const VoxelFactor& own) {
        const double rss_of_rows = state.parts().slots(state.parts().at().rss(), voxel);
        out[voxel] = explained_share(own.rss, total_of(own, rss_of_rows));
      },
      n_threads);
}

void weighted_rank(const WeightedState& state, const Design& design, IntArray rank, int n_threads) {
  const Design extended = with_covariates(design, state.parts().n_own);
  visit_weighted(
      state, extended,
      [&](const VoxelRun& run) { return clearly_independent(run, extended.n_columns); },
      [&](const VoxelRun& run) {
        rank.segment(run.first, run.count).setConstant(extended.n_columns);
      },
      [&](Index voxel, const VoxelFactor& own) { rank[voxel] = own.factor.rank; }, n_threads);
}

}  // namespace groupglm
