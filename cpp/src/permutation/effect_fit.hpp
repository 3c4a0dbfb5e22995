// SPDX-License-Identifier: BSD-3-Clause
// One weighted fit of a panel of voxels, each with weights of its own: what the effect explains.
#pragma once

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <vector>

#include "permutation/panel.hpp"

namespace groupglm {

/// Sums of squares of a panel, by the Cholesky factor L L' = M'W M of M = [nuisance, effect] and
/// u = L^-1 M'W y.
struct EffectSums {
  Panel effect;  // |u_e|^2
  Panel rest;    // y'W y - u'u
  Panel sign;    // with one effect: u_e
};

/// The data of a panel: values y (n, kPanel), of which row i counts with sign[i], and their weights
/// w (n, kPanel). rounding: the angles by which y may be wrong.
struct RearrangedPanel {
  const double* y;
  const double* sign;
  const double* w;
  const Panel& rounding;
};

class EffectFit {
 public:
  explicit EffectFit(Index largest_rank)
      : factor_(static_cast<std::size_t>(largest_rank * largest_rank * kPanel)),
        solved_(static_cast<std::size_t>(largest_rank * kPanel)) {}

  /// design (r, n): independent rows, those of the nuisance, q of them, first.
  EffectSums sums(const RowMatrix& design, Index q, const RearrangedPanel& data) {
    const Index r = design.rows();
    const auto at = [&](Index j, Index l) { return Row(factor_.data() + (j * r + l) * kPanel); };
    const auto u = [&](Index j) { return Row(solved_.data() + j * kPanel); };
    std::fill(factor_.begin(), factor_.end(), 0.0);
    std::fill(solved_.begin(), solved_.end(), 0.0);
    Panel square = Panel::Zero();
    for (Index i = 0; i < design.cols(); ++i) {
      const Panel w = ConstRow(data.w + i * kPanel);
      const Panel value = data.sign[i] * ConstRow(data.y + i * kPanel);
      square += w * value.square();
      for (Index j = 0; j < r; ++j) {
        const Panel own = w * design(j, i);
        u(j) += own * value;
        for (Index l = 0; l <= j; ++l) at(j, l) += own * design(l, i);
      }
    }
    EffectSums found{Panel::Zero(), square, Panel::Zero()};
    Panel total = square;  // what the nuisance leaves
    Flags lost = Flags::Constant(false);
    for (Index j = 0; j < r; ++j) {
      for (Index l = 0; l < j; ++l) {
        for (Index m = 0; m < l; ++m) at(j, l) -= at(j, m) * at(l, m);
        at(j, l) /= at(l, l);
      }
      const Panel diagonal = at(j, j);
      for (Index m = 0; m < j; ++m) at(j, j) -= at(j, m).square();
      // Also true for NaN.
      lost = lost || !(at(j, j) > kLostPivot * diagonal);
      at(j, j) = at(j, j).max(kLostPivot * diagonal).sqrt();
      for (Index m = 0; m < j; ++m) u(j) -= at(j, m) * u(m);
      u(j) /= at(j, j);
      found.rest -= u(j).square();
      if (j < q) {
        total -= u(j).square();
      } else {
        found.effect += u(j).square();
        found.sign = u(j);
      }
    }
    lost = lost || !(found.rest > kImprecise * square) || !(total > kImprecise * square);
    if (lost.any()) {
      for (Index v = 0; v < kPanel; ++v) {
        if (lost[v]) refine(design, q, data, v, found);
      }
    }
    return found;
  }

 private:
  using Row = Eigen::Map<Panel>;
  using ConstRow = Eigen::Map<const Panel>;
  using Flags = Eigen::Array<bool, kPanel, 1>;

  // A pivot of M'W M below this share of its diagonal has lost digits: weights lie far apart.
  static constexpr double kLostPivot = 1e-6;

  // The same for one voxel by a QR of its whitened rows, which keeps the digits.
  static void refine(const RowMatrix& design, Index q, const RearrangedPanel& data, Index v,
                     EffectSums& found) {
    const Index n = design.cols();
    const Index r = design.rows();
    MatrixXd rows(n, r);
    VectorXd values(n);
    for (Index i = 0; i < n; ++i) {
      const double root = std::sqrt(data.w[i * kPanel + v]);
      rows.row(i) = root * design.col(i).transpose();
      values[i] = root * data.sign[i] * data.y[i * kPanel + v];
    }
    const Eigen::HouseholderQR<MatrixXd> qr(rows);
    const double square = values.squaredNorm();
    values.applyOnTheLeft(qr.householderQ().transpose());
    const double rounding = data.rounding[v] * data.rounding[v] * square;
    const double rest = values.tail(n - r).squaredNorm();
    const double effect = values.segment(q, r - q).squaredNorm();
    // If the nuisance explains all but rounding, there is no effect to be seen.
    const bool none = rest + effect < std::max(kSmallestTotal * square, rounding);
    found.rest[v] = rest > rounding ? rest : 0;
    found.effect[v] = none ? 0 : effect;
    found.sign[v] = none || r == q ? 0 : values[q] * qr.matrixQR()(q, q);
  }

  std::vector<double> factor_;  // (r, r, kPanel): lower triangle
  std::vector<double> solved_;  // (r, kPanel): u
};

}  // namespace groupglm
