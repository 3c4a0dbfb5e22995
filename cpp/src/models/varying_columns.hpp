// SPDX-License-Identifier: BSD-3-Clause
// How many dimensions of a design differ within subjects, or within families.
#pragma once

#include <Eigen/Eigenvalues>

#include "groupglm/models/design.hpp"

namespace groupglm {

/// Below this share of the sum of squares of a column of an orthonormal basis, what differs within
/// subjects counts as nothing. It is rounding, or too little to matter: beside a ratio of variances
/// of lambda, the rows within subjects say share * lambda of such a column, and the means say 1. No
/// estimate is above a ratio of 1e9.
inline constexpr double kSmallestShare = 1e-10;

/// The rank of the rows less their means over subjects, or over families. gram (r, r): the products
/// of these rows, of an orthonormal basis of the design.
inline Index n_varying(const MatrixXd& gram) {
  if (gram.rows() == 0) return 0;
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  return (solver.eigenvalues().array() > kSmallestShare).count();
}

}  // namespace groupglm
