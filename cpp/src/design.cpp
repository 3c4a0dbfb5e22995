// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/design.hpp"

#include <cmath>
#include <limits>

namespace groupglm {

namespace {

bool is_constant_one(const RowMatrix& x, const VectorXd& coefficients) {
  for (Index i = 0; i < x.rows(); ++i) {
    if (x.row(i).dot(coefficients) != 1.0) return false;
  }
  return true;
}

// Coefficients a with X a = 1 to the last bit, if there are simple ones: a constant column, or
// whole numbers (indicator columns that add up to one).
bool find_exact_intercept(const RowMatrix& x, VectorXd& a) {
  for (Index j = 0; j < x.cols(); ++j) {
    const double value = x(0, j);
    if (value == 0.0 || !(x.col(j).array() == value).all()) continue;
    a = VectorXd::Zero(x.cols());
    a[j] = 1.0 / value;
    return true;
  }
  const VectorXd ones = VectorXd::Ones(x.rows());
  a = MatrixXd(x).completeOrthogonalDecomposition().solve(ones);
  a = a.array().round().matrix();
  return a.allFinite() && is_constant_one(x, a);
}

// Lengths by way of the largest entry, so that squares neither overflow nor vanish.
VectorXd column_lengths(const RowMatrix& x) {
  VectorXd lengths(x.cols());
  for (Index j = 0; j < x.cols(); ++j) {
    const double length = MatrixXd(x.col(j)).stableNorm();
    lengths[j] = length > 0.0 ? length : 1.0;
  }
  return lengths;
}

// row_factor (r, p) has full row rank; X's own row factor is row_factor * diag(scale).
MatrixXd minimum_norm_inverse(const MatrixXd& row_factor, const VectorXd& scale) {
  Eigen::CompleteOrthogonalDecomposition<MatrixXd> rows;
  // The rank is known: in the user's units a small pivot is a small unit, not a lack of rank.
  rows.setThreshold(std::numeric_limits<double>::min());
  rows.compute(row_factor * scale.asDiagonal());
  return rows.pseudoInverse();
}

}  // namespace

Design make_design(const Eigen::Ref<const RowMatrix>& x) {
  Design design;
  design.n_columns = x.cols();
  design.scale = column_lengths(x);
  VectorXd a;
  const bool exact = find_exact_intercept(x, a);
  const Index q = x.cols() + (exact ? 0 : 1);
  design.working.resize(x.rows(), q);
  design.working.leftCols(x.cols()) = x * design.scale.cwiseInverse().asDiagonal();
  design.intercept = VectorXd::Zero(q);
  if (exact) {
    design.intercept = a.cwiseProduct(design.scale);
  } else {
    const double length = std::sqrt(static_cast<double>(x.rows()));
    design.working.col(q - 1).setConstant(1.0 / length);
    design.intercept[q - 1] = length;
  }
  const MatrixXd scaled = design.working.leftCols(x.cols());
  Eigen::ColPivHouseholderQR<MatrixXd> qr(scaled);
  qr.setThreshold(kRankTolerance);
  design.rank = qr.rank();
  return design;
}

Factor factorize(const MatrixXd& r, const Design& design) {
  const Index p = design.n_columns;
  const Index q = r.rows();
  Eigen::ColPivHouseholderQR<MatrixXd> qr(r.leftCols(p));
  qr.setThreshold(kRankTolerance);
  Factor factor;
  factor.rank = qr.rank();
  const MatrixXd rotation = qr.householderQ() * MatrixXd::Identity(q, q);
  factor.null = rotation.rightCols(q - factor.rank);
  const auto span = rotation.leftCols(factor.rank).transpose();
  if (factor.rank == p) {
    const MatrixXd solved =
        qr.matrixR().topLeftCorner(p, p).triangularView<Eigen::Upper>().solve(MatrixXd(span));
    factor.pinv = design.scale.cwiseInverse().asDiagonal() * (qr.colsPermutation() * solved);
    factor.rows = MatrixXd::Identity(p, p);
  } else if (factor.rank == 0) {
    factor.pinv = MatrixXd::Zero(p, q);
    factor.rows = MatrixXd::Zero(p, 0);
  } else {
    const MatrixXd top =
        MatrixXd(qr.matrixR().topRows(factor.rank).triangularView<Eigen::Upper>()) *
        qr.colsPermutation().transpose();
    factor.pinv = minimum_norm_inverse(top, design.scale) * span;
    const Eigen::HouseholderQR<MatrixXd> row_space(top.transpose());
    factor.rows = row_space.householderQ() * MatrixXd::Identity(p, factor.rank);
  }
  return factor;
}

bool is_estimable(const MatrixXd& contrast, const Factor& factor, const Design& design) {
  if (factor.rank == design.n_columns) return true;
  for (Index k = 0; k < contrast.rows(); ++k) {
    VectorXd row = contrast.row(k).transpose().cwiseQuotient(design.scale);
    // Brought to size one: columns in extreme units would over- or underflow the norm.
    const double largest = row.cwiseAbs().maxCoeff();
    if (largest > 0.0) row /= largest;
    const VectorXd outside = row - factor.rows * (factor.rows.transpose() * row);
    if (outside.norm() > kEstimableTolerance * row.norm()) return false;
  }
  return true;
}

bool spans_constant(const MatrixXd& r, const Factor& factor, const Design& design) {
  const VectorXd constant = r * design.intercept;
  return (factor.null.transpose() * constant).norm() <= kEstimableTolerance * constant.norm();
}

}  // namespace groupglm
