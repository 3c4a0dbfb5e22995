// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/component_tests.hpp"

#include <cmath>

#include "non_finite.hpp"

namespace groupglm {

namespace {

// An eigenvalue of the information, scaled to a unit diagonal, that counts as none.
constexpr double kNoInformation = 1e-12;

// The share of A1 that counts as rounding: A1 and A2 are differences that lose some digits.
constexpr double kAlike = 1e-10;

}  // namespace

MatrixXd inverse_of_information(const MatrixXd& information) {
  const Index n = information.rows();
  VectorXd scale(n);
  for (Index k = 0; k < n; ++k) {
    scale[k] = information(k, k) > 0.0 ? 1.0 / std::sqrt(information(k, k)) : 1.0;
  }
  const MatrixXd scaled = scale.asDiagonal() * information * scale.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(scaled);
  VectorXd values = solver.eigenvalues();
  const double largest = values.cwiseAbs().maxCoeff();
  for (double& value : values) {
    value = std::abs(value) > kNoInformation * largest ? 1.0 / value : 0.0;
  }
  const MatrixXd inverse =
      solver.eigenvectors() * values.asDiagonal() * solver.eigenvectors().transpose();
  return scale.asDiagonal() * inverse * scale.asDiagonal();
}

ScaledF kenward_roger(double a1, double a2, double n_rows) {
  // Where C^-1 D_k is a multiple of the identity for each component, as in balanced designs and of
  // one row, A1 = n_rows A2, and what follows is F itself on 2 n_rows / A2 degrees of freedom. If
  // these are two, E(F) has a pole, and what follows is 0 / 0.
  if (n_rows == 1.0 || std::abs(a1 - n_rows * a2) <= kAlike * a1) return {1.0, 2.0 * n_rows / a2};
  const double b = (a1 + 6.0 * a2) / (2.0 * n_rows);
  const double g = ((n_rows + 1.0) * a1 - (n_rows + 4.0) * a2) / ((n_rows + 2.0) * a2);
  const double below = 3.0 * n_rows + 2.0 * (1.0 - g);
  const double v0 = 1.0 + g / below * b;
  const double v1 = 1.0 - (n_rows - g) / below * b;
  const double v2 = 1.0 - (n_rows + 2.0 - g) / below * b;
  const double left = 1.0 - a2 / n_rows;  // 1 / E(F)
  const double rho = left / v1 * (left / v1) * v0 / v2 / n_rows;
  const double df = 4.0 + (n_rows + 2.0) / (n_rows * rho - 1.0);
  // With very few images the approximation breaks down.
  if (!(df > 0.0)) return {kNaN, kNaN};
  // The scale has a pole at 2, which is an artefact of the approximation.
  const double scale = std::abs(df - 2.0) < 0.01 ? 1.0 : df * left / (df - 2.0);
  return {scale, df};
}

ScaledF kenward_roger(const MatrixXd& c, const std::vector<MatrixXd>& d, const MatrixXd& w) {
  const Eigen::LDLT<MatrixXd> solver(c);
  std::vector<MatrixXd> theta;
  theta.reserve(d.size());
  for (const MatrixXd& own : d) theta.push_back(solver.solve(own));
  double a1 = 0.0;
  double a2 = 0.0;
  for (std::size_t k = 0; k < d.size(); ++k) {
    for (std::size_t l = 0; l < d.size(); ++l) {
      const double own = w(static_cast<Index>(k), static_cast<Index>(l));
      a1 += own * theta[k].trace() * theta[l].trace();
      a2 += own * (theta[k] * theta[l]).trace();
    }
  }
  return kenward_roger(a1, a2, static_cast<double>(c.rows()));
}

ScaledF satterthwaite(const MatrixXd& c, const std::vector<MatrixXd>& d, const MatrixXd& w,
                      Index rank) {
  const auto of_direction = [&](const VectorXd& direction) {
    VectorXd gradient(static_cast<Index>(d.size()));
    for (Index k = 0; k < gradient.size(); ++k) {
      gradient[k] = direction.dot(d[static_cast<std::size_t>(k)] * direction);
    }
    const double variance = direction.dot(c * direction);
    return 2.0 * variance * variance / gradient.dot(w * gradient);
  };
  if (c.rows() == 1) return {1.0, of_direction(VectorXd::Ones(1))};
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(c);  // the smallest first
  double sum = 0.0;
  for (Index k = c.rows() - rank; k < c.rows(); ++k) {
    const double own = of_direction(solver.eigenvectors().col(k));
    if (rank == 1) return {1.0, own};
    // An F whose denominator has no mean: as few degrees of freedom as have none (lmerTest).
    if (!(own > 2.0)) return {1.0, 2.0};
    sum += own / (own - 2.0);
  }
  const auto n_rows = static_cast<double>(rank);
  return {1.0, sum > n_rows ? 2.0 * sum / (sum - n_rows) : 2.0};
}

}  // namespace groupglm
