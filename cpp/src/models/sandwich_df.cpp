// SPDX-License-Identifier: BSD-3-Clause
#include "models/sandwich_df.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace groupglm {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The share of the variance of a contrast that residuals may be unable to estimate.
constexpr double kLostShare = 1e-8;

// A part of a design has no weight in a contrast below this share of all weights.
constexpr double kNoWeight = 1e-12;

Index pair(Index j, Index k) { return triangle(std::max(j, k), std::min(j, k)); }

}  // namespace

ExpectedShares::ExpectedShares(const PresentRows& present, const Adjustments& adjustments,
                               const MatrixXd& weights)
    : rank_(present.rank()), k_(weights.cols()), expected_(MatrixXd::Zero(k_, k_)) {
  const MatrixXd whole = present.basis * weights;
  variance_ = whole.transpose() * whole;
  taken_.resize(rank_, present.n_subjects() * k_);
  own_.resize(k_, present.n_subjects() * k_);
  for (Index s = 0; s < present.n_subjects(); ++s) {
    const Index first = present.starts[idx(s)];
    const Index m = present.count(s);
    const MatrixXd a = adjustments.of(s).lazyProduct(whole.middleRows(first, m));
    taken_.middleCols(s * k_, k_) = present.own.middleRows(first, m).transpose().lazyProduct(a);
    own_.middleCols(s * k_, k_) = a.transpose().lazyProduct(a);
    expected_ +=
        own_.middleCols(s * k_, k_) -
        taken_.middleCols(s * k_, k_).transpose().lazyProduct(taken_.middleCols(s * k_, k_));
  }
}

bool ExpectedShares::is_unbiased() const {
  const Eigen::LLT<MatrixXd> scale(variance_);
  if (scale.info() != Eigen::Success) return false;
  const MatrixXd half = scale.matrixL().solve(expected_);
  const MatrixXd relative = scale.matrixL().solve(half.transpose());
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(relative, Eigen::EigenvaluesOnly);
  return eigen.eigenvalues()[0] > 1.0 - kLostShare;
}

double ExpectedShares::satterthwaite_df() const {
  const Eigen::LLT<MatrixXd> root(expected_);
  if (root.info() != Eigen::Success) return kNan;
  // The sum over pairs of subjects of tr(E)^2 + tr(E E), E = [s = t] S_s - V_s'V_t, whitened.
  MatrixXd products = MatrixXd::Zero(rank_ * k_, rank_ * k_);
  double total = 0.0;
  MatrixXd white_v(rank_, k_);
  MatrixXd white(k_, k_);
  for (Index s = 0; s < own_.cols() / k_; ++s) {
    white_v = taken_.middleCols(s * k_, k_);
    white = own_.middleCols(s * k_, k_);
    root.matrixU().solveInPlace<Eigen::OnTheRight>(white_v);
    root.matrixU().solveInPlace<Eigen::OnTheRight>(white);
    root.matrixL().solveInPlace(white);
    const MatrixXd taken = white_v.transpose().lazyProduct(white_v);
    white -= taken;
    total += white.trace() * white.trace() + white.squaredNorm();
    total -= taken.trace() * taken.trace() + taken.squaredNorm();
    const Eigen::Map<const VectorXd> flat(white_v.data(), rank_ * k_);
    products += flat.lazyProduct(flat.transpose());
  }
  total += products.squaredNorm();
  for (Index s = 0; s < k_; ++s) {
    for (Index t = 0; t < k_; ++t) {
      const auto one = products.block(s * rank_, t * rank_, rank_, rank_);
      const auto other = products.block(t * rank_, s * rank_, rank_, rank_);
      total += one.cwiseProduct(other).sum();
    }
  }
  const auto rows = static_cast<double>(k_);
  return rows * (rows + 1.0) / total;
}

double naive_df(const PresentRows& present, const SubjectDegrees& degrees,
                const MatrixXd& weights) {
  const SubjectBlocks& blocks = present.blocks;
  std::vector<double> size(degrees.n_subjects.size(), 0.0);
  double all = 0.0;
  for (Index s = 0; s < present.n_subjects(); ++s) {
    const auto q = present.basis.middleRows(present.starts[idx(s)], present.count(s));
    const double own = (q * weights).squaredNorm();
    size[idx(blocks.part[idx(present.subject[idx(s)])])] += own;
    all += own;
  }
  double df = 0.0;
  for (std::size_t part = 0; part < size.size(); ++part) {
    if (size[part] <= kNoWeight * kNoWeight * all) continue;
    df += static_cast<double>(degrees.n_subjects[part] - degrees.n_between[part]);
  }
  return df > 0.0 ? df : kNan;
}

VisitDegrees::VisitDegrees(const PresentRows& present, const SubjectDegrees& degrees)
    : present_(present) {
  const SubjectBlocks& blocks = present.blocks;
  offset_.push_back(0);
  for (const Index count : blocks.n_visits) {
    const Index n_pairs = count * (count + 1) / 2;
    inverse_.emplace_back(MatrixXd::Zero(n_pairs, n_pairs));
    offset_.push_back(offset_.back() + n_pairs);
  }
  std::vector<double> n(blocks.n_visits.size(), 0.0);
  std::vector<double> sum(n.size(), 0.0);
  std::vector<VectorXd> counts;
  counts.reserve(inverse_.size());
  for (const MatrixXd& each : inverse_) counts.emplace_back(VectorXd::Zero(each.rows()));
  for (Index s = 0; s < present.n_subjects(); ++s) {
    const Index number = present.subject[idx(s)];
    const std::size_t g = idx(blocks.group[idx(number)]);
    const double own = degrees.of_subject(blocks.part[idx(number)]);
    const double inverse = own > 0.0 ? 1.0 / own : kNan;
    n[g] += 1.0;
    sum[g] += inverse;
    std::vector<Index> held;
    for (Index j = 0; j < present.count(s); ++j) {
      for (Index k = 0; k <= j; ++k) {
        const Index first = present.starts[idx(s)];
        held.push_back(pair(blocks.visit[idx(present.rows[idx(first + j)])],
                            blocks.visit[idx(present.rows[idx(first + k)])]));
      }
    }
    for (const Index one : held) {
      counts[g][one] += 1.0;
      for (const Index other : held) inverse_[g](one, other) += inverse;
    }
  }
  for (std::size_t g = 0; g < n.size(); ++g) {
    of_group_.push_back(n[g] * n[g] / sum[g]);
    for (Index i = 0; i < counts[g].size(); ++i) {
      for (Index j = 0; j < counts[g].size(); ++j) {
        if (counts[g][i] > 0.0 && counts[g][j] > 0.0) {
          inverse_[g](i, j) /= counts[g][i] * counts[g][j];
        }
      }
    }
  }
}

MatrixXd VisitDegrees::shares(const MatrixXd& weights) const {
  const SubjectBlocks& blocks = present_.blocks;
  const Index k = weights.cols();
  MatrixXd out = MatrixXd::Zero(triangle(k, 0), offset_.back());
  for (Index s = 0; s < present_.n_subjects(); ++s) {
    const Index first = present_.starts[idx(s)];
    const Index at = offset_[idx(blocks.group[idx(present_.subject[idx(s)])])];
    const MatrixXd a = present_.basis.middleRows(first, present_.count(s)) * weights;
    for (Index i = 0; i < a.rows(); ++i) {
      for (Index j = 0; j < a.rows(); ++j) {
        const Index column = at + pair(blocks.visit[idx(present_.rows[idx(first + i)])],
                                       blocks.visit[idx(present_.rows[idx(first + j)])]);
        for (Index one = 0; one < k; ++one) {
          for (Index other = 0; other <= one; ++other) {
            out(triangle(one, other), column) += a(i, one) * a(j, other);
          }
        }
      }
    }
  }
  return out;
}

double VisitDegrees::unbiased(Index group, const MatrixXd& v, const TwoPairs& of) const {
  const MatrixXd& d = inverse_[idx(group)];
  const auto [k, l, a, b] = of;
  // The expectations of v_kl v_ab, v_ka v_lb and v_kb v_la are three equations in x = s_kl s_ab,
  // y = s_ka s_lb, z = s_kb s_la: x + d_0 (y + z), and so on. The covariance is d_0 (y + z).
  const double d0 = d(pair(k, l), pair(a, b));
  const double d1 = d(pair(k, a), pair(l, b));
  const double d2 = d(pair(k, b), pair(l, a));
  const double determinant = 1.0 + 2.0 * d0 * d1 * d2 - d0 * d1 - d1 * d2 - d0 * d2;
  return d0 / determinant *
         ((2.0 * d1 * d2 - d1 - d2) * v(k, l) * v(a, b) + (1.0 - d2) * v(k, a) * v(l, b) +
          (1.0 - d1) * v(k, b) * v(l, a));
}

double VisitDegrees::plain(Index group, const MatrixXd& v, const TwoPairs& of) const {
  const MatrixXd& d = inverse_[idx(group)];
  const auto [k, l, a, b] = of;
  // By the delta method for v_kl = p_kl sqrt(v_kk v_ll / (q_k q_l)), where p and q are the product
  // and the squares of the subjects that have both visits.
  const Index i = pair(k, l);
  const Index j = pair(a, b);
  const double d0 = d(i, j);
  double found = d0 * (v(k, a) * v(l, b) + v(k, b) * v(l, a));
  for (const Index one : {a, b}) {
    const double more = d(i, pair(one, one)) - d0;
    if (more != 0.0) found += v(a, b) / v(one, one) * more * v(k, one) * v(l, one);
  }
  for (const Index one : {k, l}) {
    const double more = d(pair(one, one), j) - d0;
    if (more != 0.0) found += v(k, l) / v(one, one) * more * v(a, one) * v(b, one);
  }
  for (const Index one : {k, l}) {
    for (const Index other : {a, b}) {
      const double more = d(pair(one, one), pair(other, other)) + d0 - d(pair(one, one), j) -
                          d(i, pair(other, other));
      if (more == 0.0) continue;
      found += 0.5 * v(k, l) * v(a, b) * more * v(one, other) * v(one, other) /
               (v(one, one) * v(other, other));
    }
  }
  return found;
}

double VisitDegrees::spread(Index group, const MatrixXd& v, const MatrixXd& entries,
                            const VectorXd& times, bool is_unbiased) const {
  double total = 0.0;
  Index i = 0;
  for (Index k = 0; k < v.rows(); ++k) {
    for (Index l = 0; l <= k; ++l, ++i) {
      Index j = 0;
      for (Index a = 0; a <= k; ++a) {
        for (Index b = 0; b <= a && j <= i; ++b, ++j) {
          double weight = 0.0;
          for (Index row = 0; row < entries.rows(); ++row) {
            weight += times[row] * entries(row, i) * entries(row, j);
          }
          if (weight == 0.0) continue;
          const TwoPairs of{k, l, a, b};
          const double found = is_unbiased ? unbiased(group, v, of) : plain(group, v, of);
          total += (i == j ? 1.0 : 2.0) * weight * found;
        }
      }
    }
  }
  return total;
}

}  // namespace groupglm
