// SPDX-License-Identifier: BSD-3-Clause
// The effect of a weighted fit whose groups have weights far apart, or infinite ones.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "groupglm/models/design.hpp"
#include "non_finite.hpp"

namespace groupglm {

/// A group's residual sum of squares below this share of the data's is no more than rounding.
inline constexpr double kSmallestRss = 1e-20;

/// With M = [Q_e Q_z] (n, r) and the weight w_g of the rows of group g, computes
///     b' [((M'W M)^-1)_ee]^-1 b = min over x of sum_g w_g |(Q_e)_g b - (Q_z)_g x|^2.
/// Groups of infinite weight are equations: if no x solves them, the minimum is infinite. The other
/// groups are a least-squares fit over the freedom that the equations leave to x. It is a pivoted
/// QR with the rows in order of size, which is stable row by row (Cox & Higham 1998, Numerical
/// Analysis 1997, 57-73). Nothing is added up over weights.
class GroupWeights {
 public:
  /// gram (groups, r, r) holds M_g'M_g; the effect has k columns.
  GroupWeights(const double* gram, Index n_groups, Index r, Index k) : n_effect_(k) {
    for (Index g = 0; g < n_groups; ++g) {
      const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(
          MatrixXd(Eigen::Map<const MatrixXd>(gram + g * r * r, r, r)));
      const VectorXd size = eigen.eigenvalues().unaryExpr(
          [](double value) { return value > kNoLength ? std::sqrt(value) : 0.0; });
      factors_.emplace_back(size.asDiagonal() * eigen.eigenvectors().transpose());
    }
  }

  double square(const Eigen::Ref<const VectorXd>& b, const VectorXd& weights) const {
    const Index q = factors_.front().cols() - n_effect_;
    VectorXd start = VectorXd::Zero(q);
    MatrixXd free = MatrixXd::Identity(q, q);
    if (!equations(b, weights, start, free)) return kInfinity;
    return least(b, weights, start, free);
  }

 private:
  // An eigenvalue of M_g'M_g up to this is rounding; the largest possible is 1.
  static constexpr double kNoLength = 1e-14;
  // A residual of the equations up to this is zero, for data of length 1; a pivot below this share
  // of the largest is zero.
  static constexpr double kSolved = 1e-9;

  // The rows of the groups that `chosen` gives a root weight above zero: the coefficients of x, and
  // the target.
  template <typename Chosen>
  void rows(const Eigen::Ref<const VectorXd>& b, const Chosen& chosen, MatrixXd& nuisance,
            VectorXd& target) const {
    const Index r = factors_.front().cols();
    nuisance.resize(0, r - n_effect_);
    target.resize(0);
    for (std::size_t g = 0; g < factors_.size(); ++g) {
      const double root = chosen(static_cast<Index>(g));
      if (!(root > 0)) continue;
      const Index first = nuisance.rows();
      nuisance.conservativeResize(first + r, r - n_effect_);
      target.conservativeResize(first + r);
      nuisance.bottomRows(r) = root * factors_[g].rightCols(r - n_effect_);
      target.tail(r) = root * (factors_[g].leftCols(n_effect_) * b);
    }
  }

  // Solves the equations of infinite weight: x = start + free z for any z. Returns false if there
  // is no solution.
  bool equations(const Eigen::Ref<const VectorXd>& b, const VectorXd& weights, VectorXd& start,
                 MatrixXd& free) const {
    MatrixXd nuisance;
    VectorXd target;
    rows(b, [&](Index g) { return std::isinf(weights[g]) ? 1.0 : 0.0; }, nuisance, target);
    if (target.size() == 0) return true;
    const Index q = nuisance.cols();
    if (q == 0) return target.norm() <= kSolved;
    Eigen::ColPivHouseholderQR<MatrixXd> across(nuisance.transpose());
    across.setThreshold(kSolved);
    const MatrixXd rotation = across.householderQ() * MatrixXd::Identity(q, q);
    const MatrixXd kept = rotation.leftCols(across.rank());
    if (across.rank() > 0) {
      start = kept * (nuisance * kept).colPivHouseholderQr().solve(target);
    }
    free = rotation.rightCols(q - across.rank());
    return (target - nuisance * start).norm() <= kSolved;
  }

  double least(const Eigen::Ref<const VectorXd>& b, const VectorXd& weights, const VectorXd& start,
               const MatrixXd& free) const {
    MatrixXd nuisance;
    VectorXd target;
    rows(
        b, [&](Index g) { return std::isinf(weights[g]) ? 0.0 : std::sqrt(weights[g]); }, nuisance,
        target);
    if (target.size() == 0) return 0;
    MatrixXd left(target.size(), free.cols() + 1);
    left << nuisance * free, target - nuisance * start;
    if (free.cols() == 0) return left.squaredNorm();
    const VectorXd sizes = left.cwiseAbs().rowwise().maxCoeff();
    std::vector<Index> order(static_cast<std::size_t>(left.rows()));
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index i, Index j) { return sizes[i] > sizes[j]; });
    const MatrixXd sorted = left(order, Eigen::all);
    const Eigen::ColPivHouseholderQR<MatrixXd> qr(sorted.leftCols(free.cols()));
    const VectorXd rotated = qr.householderQ().transpose() * sorted.col(free.cols());
    return rotated.tail(rotated.size() - qr.rank()).squaredNorm();
  }

  Index n_effect_;
  std::vector<MatrixXd> factors_;  // (r, r) a group
};

}  // namespace groupglm
