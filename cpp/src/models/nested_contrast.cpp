// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <unordered_map>

#include "groupglm/models/component_tests.hpp"
#include "groupglm/models/nested.hpp"
#include "groupglm/parallel.hpp"
#include "models/lane_algebra.hpp"
#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

using lanes::packed;

namespace {

constexpr Index kTaskVoxels = 1024;

using Numbers = Eigen::Ref<const RowMatrix>;

MatrixXd symmetric(const Numbers& numbers, Index first, Index size, Index voxel) {
  MatrixXd whole(size, size);
  for (Index j = 0; j < size; ++j) {
    for (Index k = 0; k <= j; ++k) {
      whole(j, k) = whole(k, j) = numbers(first + packed(j, k), voxel);
    }
  }
  return whole;
}

// What a hypothesis is at one voxel, in units of the residual variance.
struct Tested {
  VectorXd effect;
  MatrixXd covariance;
  ScaledF f;
};

Tested test_of(const Numbers& numbers, const NestedLayout& at, const MatrixXd& rows,
               const MatrixXd& h, ComponentDf rule, Index voxel, Index n_images) {
  const bool adjusts = rule == ComponentDf::kenward_roger;
  // Of the rows as they are written, or of what they span.
  const MatrixXd& own = adjusts ? h : rows;
  const auto inside = [&](const MatrixXd& by, Index first) -> MatrixXd {
    return by.transpose() * symmetric(numbers, first, at.r, voxel) * by;
  };
  const MatrixXd c = inside(own, at.inverse());
  std::vector<MatrixXd> d{MatrixXd(), inside(own, at.subject()), inside(own, at.family())};
  d[0] = c - numbers(1, voxel) * d[1] - numbers(2, voxel) * d[2];
  const MatrixXd w = symmetric(numbers, adjusts ? at.expected() : at.observed(), 3, voxel);
  Tested out;
  const VectorXd coordinates = numbers.col(voxel).segment(at.effect(), at.r);
  out.effect = h.transpose() * coordinates;
  if (numbers(0, voxel) == 0.0) {
    // Without a variance an effect that is rounding would be beyond all doubt.
    const double rounding = rounding_share(n_images) * coordinates.norm();
    for (Index k = 0; k < h.cols(); ++k) {
      if (std::abs(out.effect[k]) <= rounding * h.col(k).norm()) out.effect[k] = 0.0;
    }
  }
  out.covariance = inside(h, adjusts ? at.adjusted() : at.inverse());
  out.f = adjusts ? kenward_roger(c, d, w) : satterthwaite(c, d, w, h.cols());
  return out;
}

}  // namespace

void nested_contrast(const Eigen::Ref<const RowMatrix>& numbers,
                     const Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic,
                                                          Eigen::Dynamic, Eigen::RowMajor>>& counts,
                     const Deficient& deficient, const RowMatrix& rows, const MatrixXd& hypothesis,
                     StatType type, ComponentDf df, const NestedOutputs& out, int n_threads) {
  const Index n_voxels = numbers.cols();
  const NestedLayout layout(rows.cols());
  const Index rank = hypothesis.cols();
  std::unordered_map<std::int64_t, Index> own_space;
  for (std::size_t k = 0; k < deficient.voxel.size(); ++k) {
    own_space.emplace(deficient.voxel[k], static_cast<Index>(k));
  }
  const auto can_be_estimated = [&](Index voxel) {
    const auto found = own_space.find(voxel);
    if (found == own_space.end()) return true;
    const Eigen::Map<const RowMatrix> projector(
        deficient.projector.data() + found->second * layout.r * layout.r, layout.r, layout.r);
    return (hypothesis - projector * hypothesis).colwise().norm().maxCoeff() <= kEstimableTolerance;
  };
  const MatrixXd of_rows = rows.transpose();
  VectorXd numerator(n_voxels);
  VectorXd variance(n_voxels);
  const Index n_tasks = (n_voxels + kTaskVoxels - 1) / kTaskVoxels;
  parallel_for(n_tasks, n_threads, [&](Index task, int) {
    const Index end = std::min(n_voxels, (task + 1) * kTaskVoxels);
    for (Index v = task * kTaskVoxels; v < end; ++v) {
      const double s2 = numbers(0, v);
      const int exponent = counts(4, v);
      const bool is_tested = !std::isnan(s2) && can_be_estimated(v);
      for (Index k = 0; k < rows.rows(); ++k) {
        const double own = rows.row(k).dot(numbers.col(v).segment(layout.effect(), layout.r));
        out.effect[k * n_voxels + v] = is_tested ? std::ldexp(own, exponent) : kNaN;
      }
      numerator[v] = variance[v] = out.variance[v] = out.df[v] = kNaN;
      if (!is_tested) continue;
      if (type == StatType::t) {
        const Tested own = test_of(numbers, layout, of_rows, of_rows, df, v, counts(0, v));
        numerator[v] = own.effect[0];
        variance[v] = s2 * own.covariance(0, 0);
        out.variance[v] = std::ldexp(variance[v], 2 * exponent);
        out.df[v] = own.f.df;
      } else {
        const Tested own = test_of(numbers, layout, of_rows, hypothesis, df, v, counts(0, v));
        const Eigen::LDLT<MatrixXd> solver(own.covariance);
        numerator[v] = own.f.scale * own.effect.dot(solver.solve(own.effect));
        variance[v] = s2;
        out.variance[v] = std::ldexp(s2, 2 * exponent);
        out.df[v] = own.f.df;
      }
    }
  });
  const NullDistribution null{type, static_cast<double>(rank), kNaN, out.df};
  test_statistics(null, numerator.data(), variance.data(), n_voxels,
                  {out.stat, out.p_value, out.z_score}, n_threads);
}

}  // namespace groupglm
