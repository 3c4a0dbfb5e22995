// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_fit.hpp"

#include <algorithm>
#include <cmath>

#include "groupglm/parallel.hpp"
#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// A basis (q, q or q - 1) of the part of w that counts in the total sum of squares: all directions,
// or all but that of the constant.
MatrixXd total_basis(const MatrixXd& r, const Factor& factor, const Design& design) {
  const Index q = r.rows();
  if (!spans_constant(r, factor, design)) return MatrixXd::Identity(q, q);
  const VectorXd constant = r * design.intercept;
  const Eigen::HouseholderQR<MatrixXd> qr(constant);
  const MatrixXd rotation = qr.householderQ() * MatrixXd::Identity(q, q);
  return rotation.rightCols(q - 1);
}

double explained_share(double residual, double total) {
  return total > 0.0 ? 1.0 - residual / total : kNaN;
}

}  // namespace

void visit_voxels(const OlsState& state, const Design& design, const VoxelVisitor& visitor,
                  int n_threads) {
  const Index n_runs = (state.n_voxels() + kRun - 1) / kRun;
  parallel_for(n_runs, n_threads, [&](Index run, int) {
    const Index first = run * kRun;
    const Index count = std::min(kRun, state.n_voxels() - first);
    visitor.complete(first, count);
    if (!state.has_missing()) return;
    MatrixXd last;
    Factor factor;
    for (Index v = first; v < first + count; ++v) {
      if (state.slot(v) == MissingVoxels::kComplete) continue;
      MatrixXd r = state.factor_at(v);
      if (last.size() == 0 || r != last) {
        factor = factorize(r, design);
        last = std::move(r);
      }
      visitor.own(v, last, factor, state.n_observations(v));
    }
  });
}

void coefficients(const OlsState& state, const Design& design, RowMatrixOut beta, int n_threads) {
  const MatrixXd shared = minimum_norm(factorize(state.r(), design));
  visit_voxels(state, design,
               {[&](Index first, Index count) {
                  if (state.n_rows() == 0) {
                    beta.middleCols(first, count).setConstant(kNaN);
                  } else {
                    multiply_run(shared, state, first, count, beta);
                  }
                },
                [&](Index v, const MatrixXd&, const Factor& factor, Index n_rows) {
                  if (n_rows == 0) {
                    beta.col(v).setConstant(kNaN);
                  } else {
                    beta.col(v) = minimum_norm(factor) * state.w().col(v);
                  }
                }},
               n_threads);
  for (Index j = 0; j < beta.rows(); ++j) {
    scale_run(state, 0, 0, 1, Array(beta.data() + j * beta.cols(), beta.cols()));
  }
}

void residual_sum_of_squares(const OlsState& state, const Design& design, const Array& rss,
                             int n_threads) {
  scaled_rss(state, design, rss, n_threads);
  scale_run(state, 0, 0, 2, rss);
}

void residual_norm(const OlsState& state, const Design& design, Array out, int n_threads) {
  scaled_rss(state, design, out, n_threads);
  out = out.sqrt();
  scale_run(state, 0, 0, 1, out);
}

void scaled_rss(const OlsState& state, const Design& design, Array rss, int n_threads) {
  const Factor shared = factorize(state.r(), design);
  visit_voxels(
      state, design,
      {[&](Index first, Index count) {
         rss.segment(first, count) = state.rss().segment(first, count).array();
         add_squares_run(shared.null, state, first, count, Array(rss.data() + first, count));
         clear_rounding(state, first, count, state.n_rows(), Array(rss.data() + first, count));
       },
       [&](Index v, const MatrixXd&, const Factor& factor, Index n_rows) {
         rss[v] = state.rss()[v] + (factor.null.transpose() * state.w().col(v)).squaredNorm();
         clear_rounding(state, v, 1, n_rows, Array(rss.data() + v, 1));
         if (n_rows == 0) rss[v] = kNaN;
       }},
      n_threads);
}

void r_square(const OlsState& state, const Design& design, Array out, int n_threads) {
  VectorXd residual(state.n_voxels());
  scaled_rss(state, design, Array(residual.data(), residual.size()), n_threads);
  const MatrixXd shared = total_basis(state.r(), factorize(state.r(), design), design);
  visit_voxels(state, design,
               {[&](Index first, Index count) {
                  out.segment(first, count) = state.rss().segment(first, count).array();
                  add_squares_run(shared, state, first, count, Array(out.data() + first, count));
                  clear_rounding(state, first, count, state.n_rows(),
                                 Array(out.data() + first, count));
                  for (Index v = first; v < first + count; ++v) {
                    out[v] = explained_share(residual[v], out[v]);
                  }
                },
                [&](Index v, const MatrixXd& r, const Factor& factor, Index n_rows) {
                  const MatrixXd basis = total_basis(r, factor, design);
                  out[v] = state.rss()[v] + (basis.transpose() * state.w().col(v)).squaredNorm();
                  clear_rounding(state, v, 1, n_rows, Array(out.data() + v, 1));
                  out[v] = explained_share(residual[v], out[v]);
                }},
               n_threads);
}

void mean(const OlsState& state, const Design& design, Array out, int n_threads) {
  const auto n = static_cast<double>(state.n_rows());
  const MatrixXd shared = (state.r() * design.intercept).transpose() / n;
  RowMatrixOut row(out.data(), 1, out.size());
  visit_voxels(state, design,
               {[&](Index first, Index count) { multiply_run(shared, state, first, count, row); },
                [&](Index v, const MatrixXd& r, const Factor&, Index n_rows) {
                  const double total = (r * design.intercept).dot(state.w().col(v));
                  out[v] = n_rows == 0 ? kNaN : total / static_cast<double>(n_rows);
                }},
               n_threads);
  scale_run(state, 0, 0, 1, out);
}

void degrees_of_freedom(const OlsState& state, const Design& design, IntArray n_observations,
                        IntArray rank, int n_threads) {
  const Factor shared = factorize(state.r(), design);
  visit_voxels(state, design,
               {[&](Index first, Index count) {
                  n_observations.segment(first, count).setConstant(state.n_rows());
                  rank.segment(first, count).setConstant(shared.rank);
                },
                [&](Index v, const MatrixXd&, const Factor& factor, Index n_rows) {
                  n_observations[v] = n_rows;
                  rank[v] = factor.rank;
                }},
               n_threads);
}

template <typename Scalar>
void predict(const Eigen::Ref<const RowMatrix>& x, const Eigen::Ref<const RowMatrix>& beta,
             Scalar* out, int n_threads) {
  const DataView<Scalar> nothing;
  residuals<Scalar>(x, beta, nothing, out, n_threads);
}

// Without data (y.data is nullptr), writes the fitted values themselves.
template <typename Scalar>
void residuals(const Eigen::Ref<const RowMatrix>& x, const Eigen::Ref<const RowMatrix>& beta,
               const DataView<Scalar>& y, Scalar* out, int n_threads) {
  const Index n_voxels = beta.cols();
  const Index n_runs = (n_voxels + kRun - 1) / kRun;
  parallel_for(n_runs, n_threads, [&](Index run, int) {
    const Index first = run * kRun;
    const Index count = std::min(kRun, n_voxels - first);
    Eigen::RowVectorXd fitted(count);
    for (Index i = 0; i < x.rows(); ++i) {
      fitted.setZero();
      for (Index j = 0; j < x.cols(); ++j) fitted += x(i, j) * beta.row(j).segment(first, count);
      Scalar* row = out + i * n_voxels + first;
      for (Index v = 0; v < count; ++v) {
        row[v] = static_cast<Scalar>(
            y.data == nullptr ? fitted[v] : static_cast<double>(y(i, first + v)) - fitted[v]);
      }
    }
  });
}

template void predict(const Eigen::Ref<const RowMatrix>&, const Eigen::Ref<const RowMatrix>&,
                      float*, int);
template void predict(const Eigen::Ref<const RowMatrix>&, const Eigen::Ref<const RowMatrix>&,
                      double*, int);
template void residuals(const Eigen::Ref<const RowMatrix>&, const Eigen::Ref<const RowMatrix>&,
                        const DataView<float>&, float*, int);
template void residuals(const Eigen::Ref<const RowMatrix>&, const Eigen::Ref<const RowMatrix>&,
                        const DataView<double>&, double*, int);

}  // namespace groupglm
