// SPDX-License-Identifier: BSD-3-Clause
// Variances, Wald statistics and degrees of freedom of a contrast, voxel by voxel.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "groupglm/parallel.hpp"
#include "models/sandwich_df.hpp"

namespace groupglm {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Voxels of a task: what their images have in common is computed once for each.
constexpr Index kVoxelsOfTask = 8192;

// A pivot of the covariance of the estimates is zero below this share of its diagonal.
constexpr double kNoPivot = 1e-13;

// Voxels with the same images: `order` from `first` on.
struct Task {
  std::int32_t pattern;
  Index first;
  Index count;
};

// Voxels in the order of their patterns, and tasks of them.
std::vector<Task> tasks_of(const SandwichTest& test, std::vector<Index>& order) {
  order.resize(idx(test.n_voxels));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return test.pattern[a] < test.pattern[b]; });
  std::vector<Task> tasks;
  for (Index i = 0; i < test.n_voxels; ++i) {
    const std::int32_t pattern = test.pattern[order[idx(i)]];
    if (tasks.empty() || tasks.back().pattern != pattern || tasks.back().count == kVoxelsOfTask) {
      tasks.push_back({pattern, i, 0});
    }
    ++tasks.back().count;
  }
  return tasks;
}

// What the images of a task's voxels have in common.
class PatternTest {
 public:
  PatternTest(const SubjectBlocks& blocks, Adjustment adjustment, SandwichDf rule,
              const SandwichTest& test, const std::uint8_t* bits)
      : blocks_(blocks),
        rule_(rule),
        test_(test),
        present_(blocks, bits),
        k_(test.g.rows()),
        weights_(present_.weights(test.g)),
        cov_(k_, k_) {
    if (present_.m() == 0) return;
    const ExpectedShares roots(present_, Adjustments(present_, Adjustment::block_root), weights_);
    // By any rule, there is no test otherwise.
    if (!roots.is_unbiased()) return;
    if (rule != SandwichDf::satterthwaite) {
      degrees_ = std::make_unique<SubjectDegrees>(present_);
      common_df_ = naive_df(present_, *degrees_, weights_);
    } else if (adjustment == Adjustment::block_root) {
      common_df_ = roots.satterthwaite_df();
    } else {
      const Adjustments own(present_, adjustment);
      common_df_ = ExpectedShares(present_, own, weights_).satterthwaite_df();
    }
    if (blocks.is_homogeneous()) {
      visits_ = std::make_unique<VisitDegrees>(present_, *degrees_);
      shares_ = visits_->shares(weights_);
    }
  }

  void run(Index voxel, double* variance, double* wald, double* df) {
    VectorXd effect(k_);
    for (Index j = 0; j < k_; ++j) effect[j] = test_.effect[j * test_.n_voxels + voxel];
    if (std::isnan(common_df_) || !effect.allFinite()) {
      variance[voxel] = wald[voxel] = df[voxel] = kNan;
      return;
    }
    covariance(voxel);
    variance[voxel] = cov_(0, 0);
    if (!factor()) {
      const bool is_zero = (cov_.diagonal().array() == 0.0).all();
      wald[voxel] = !is_zero             ? kNan
                    : effect.isZero(0.0) ? 0.0
                                         : std::numeric_limits<double>::infinity();
      df[voxel] = common_df_;
      return;
    }
    wald[voxel] = llt_.matrixL().solve(effect).squaredNorm();
    df[voxel] = degrees_of_freedom(voxel);
  }

 private:
  // The covariance of the estimates: h'Mh, or that of the visits.
  void covariance(Index voxel) {
    if (blocks_.is_homogeneous()) {
      values_.resize(shares_.cols());
      for (Index i = 0; i < values_.size(); ++i) {
        values_[i] = test_.sums[i * test_.n_voxels + voxel];
      }
      unpack(shares_ * values_, cov_);
      return;
    }
    const Index r = blocks_.r();
    cov_.setZero();
    const double* sum = test_.sums + voxel;
    for (Index a = 0; a < r; ++a) {
      for (Index b = 0; b <= a; ++b, sum += test_.n_voxels) {
        for (Index j = 0; j < k_; ++j) {
          for (Index l = 0; l <= j; ++l) {
            double weight = weights_(a, j) * weights_(b, l);
            if (a != b) weight += weights_(b, j) * weights_(a, l);
            cov_(j, l) += weight * *sum;
          }
        }
      }
    }
    cov_.triangularView<Eigen::StrictlyUpper>() = cov_.transpose();
  }

  static void unpack(const VectorXd& packed, MatrixXd& out) {
    for (Index j = 0; j < out.rows(); ++j) {
      for (Index l = 0; l <= j; ++l) out(j, l) = out(l, j) = packed[triangle(j, l)];
    }
  }

  // False if the covariance of the estimates is singular.
  bool factor() {
    llt_.compute(cov_);
    if (llt_.info() != Eigen::Success) return false;
    for (Index j = 0; j < k_; ++j) {
      const double pivot = llt_.matrixLLT()(j, j);
      if (!(pivot * pivot > kNoPivot * cov_(j, j))) return false;
    }
    return true;
  }

  double degrees_of_freedom(Index voxel) {
    if (rule_ == SandwichDf::satterthwaite || rule_ == SandwichDf::naive) return common_df_;
    const auto k = static_cast<double>(k_);
    const double spread = blocks_.is_homogeneous() ? of_visits() : of_fourth(voxel);
    if (!(spread > 0.0)) return kNan;
    if (rule_ != SandwichDf::approximate_2) return k * (k + 1.0) / spread;
    if (k_ == 1) {
      const double found = 2.0 / spread - 2.0;
      return found > 0.0 ? found : kNan;
    }
    // The unbiased estimate of the total variance of W / df, W Wishart and whitened by itself, is
    //   ((df - 2) k + df k^2) / ((df - 1) (df + 2)).
    const double b = spread - k - k * k;
    const double c = 2.0 * (k - spread);
    const double square = b * b - 4.0 * spread * c;
    if (!(square >= 0.0)) return kNan;
    const double found = (std::sqrt(square) - b) / (2.0 * spread);
    return found > 0.0 ? found : kNan;
  }

  // The sum over subjects of (tr D)^2 + tr(D D) over their degrees of freedom, where D is the
  // subject's whitened share u u' of the covariance: 2 |B u|^4, B = L^-1 h'.
  double of_fourth(Index voxel) const {
    const Index r = blocks_.r();
    const MatrixXd b = llt_.matrixL().solve(weights_.transpose());
    const MatrixXd n = b.transpose() * b;
    double total = 0.0;
    const double* sum = test_.fourth + voxel;
    for (Index i = 0; i < r; ++i) {
      for (Index j = 0; j <= i; ++j) {
        for (Index l = 0; l <= j; ++l) {
          for (Index m = 0; m <= l; ++m, sum += test_.n_voxels) {
            const double mean = (n(i, j) * n(l, m) + n(i, l) * n(j, m) + n(i, m) * n(j, l)) / 3.0;
            total += arrangements(i, j, l, m) * mean * *sum;
          }
        }
      }
    }
    return 2.0 * total;
  }

  // In how many orders four sorted indices can stand.
  static double arrangements(Index i, Index j, Index l, Index m) {
    double orders = 24.0;
    Index run = 1;
    const std::array<Index, 4> all{i, j, l, m};
    for (std::size_t at = 1; at < all.size(); ++at) {
      run = all[at] == all[at - 1] ? run + 1 : 1;
      orders /= static_cast<double>(run);
    }
    return orders;
  }

  // The total variance of the whitened covariance of the estimates, from that of the visits.
  double of_visits() {
    double total = 0.0;
    // An entry beside the diagonal stands for two.
    VectorXd times = VectorXd::Constant(shares_.rows(), 2.0);
    for (Index j = 0; j < k_; ++j) times[triangle(j, j)] = 1.0;
    for (Index g = 0; g < static_cast<Index>(blocks_.n_visits.size()); ++g) {
      const Index at = visits_->offset(g);
      const Index n = visits_->offset(g + 1) - at;
      whiten(at, n);
      if (rule_ == SandwichDf::approximate_1) {
        MatrixXd d(k_, k_);
        unpack(white_ * values_.segment(at, n), d);
        const double squares = d.trace() * d.trace() + d.squaredNorm();
        if (squares > 0.0) total += squares / visits_->of_group(g);
        continue;
      }
      MatrixXd v(blocks_.n_visits[idx(g)], blocks_.n_visits[idx(g)]);
      unpack(values_.segment(at, n), v);
      total += visits_->spread(g, v, white_, times, rule_ == SandwichDf::approximate_2);
    }
    return total;
  }

  // The columns `at` to `at` + n of `shares_`, whitened by the covariance of the estimates.
  void whiten(Index at, Index n) {
    white_ = shares_.middleCols(at, n);
    if (k_ == 1) {
      white_ /= cov_(0, 0);
      return;
    }
    MatrixXd own(k_, k_);
    for (Index i = 0; i < n; ++i) {
      unpack(shares_.col(at + i), own);
      const MatrixXd half = llt_.matrixL().solve(own);
      const MatrixXd each = llt_.matrixL().solve(half.transpose());
      for (Index j = 0; j < k_; ++j) {
        for (Index l = 0; l <= j; ++l) white_(triangle(j, l), i) = each(j, l);
      }
    }
  }

  const SubjectBlocks& blocks_;
  SandwichDf rule_;
  const SandwichTest& test_;
  PresentRows present_;
  Index k_;
  MatrixXd weights_;  // h (r, k)
  double common_df_ = kNan;
  std::unique_ptr<SubjectDegrees> degrees_;
  std::unique_ptr<VisitDegrees> visits_;
  MatrixXd shares_;
  MatrixXd white_;
  VectorXd values_;  // the visits' covariances of a voxel
  MatrixXd cov_;
  Eigen::LLT<MatrixXd> llt_;
};

}  // namespace

void sandwich_test(const SubjectBlocks& blocks, Adjustment adjustment, SandwichDf rule,
                   const SandwichTest& test, double* variance, double* wald, double* df,
                   int n_threads) {
  std::vector<Index> order;
  const std::vector<Task> tasks = tasks_of(test, order);
  parallel_for(static_cast<Index>(tasks.size()), n_threads, [&](Index number, int) {
    const Task& task = tasks[idx(number)];
    const std::uint8_t* const bits =
        task.pattern < 0 ? nullptr : test.patterns + task.pattern * blocks.n_bytes();
    PatternTest pattern(blocks, adjustment, rule, test, bits);
    for (Index i = task.first; i < task.first + task.count; ++i) {
      pattern.run(order[idx(i)], variance, wald, df);
    }
  });
}

}  // namespace groupglm
