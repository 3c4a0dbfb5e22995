// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/design.hpp"

#include <cmath>

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

// Orthonormal rows of the scaled row space turn back into the user's units here.
MatrixXd minimum_norm_inverse(const MatrixXd& row_factor, const VectorXd& scale) {
  // row_factor (r, p) has full row rank; X's own row factor is row_factor * diag(scale).
  const MatrixXd rows = row_factor * scale.asDiagonal();
  return rows.completeOrthogonalDecomposition().pseudoInverse();
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
  VectorXd ones = VectorXd::Ones(x.rows());
  ones.applyOnTheLeft(qr.householderQ().adjoint());
  const double outside = ones.tail(x.rows() - design.rank).norm();
  design.has_intercept =
      exact || outside <= kEstimableTolerance * std::sqrt(static_cast<double>(x.rows()));
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
  if (factor.rank == 0) {
    factor.pinv = MatrixXd::Zero(p, q);
  } else if (factor.rank == p) {
    const MatrixXd solved =
        qr.matrixR().topLeftCorner(p, p).triangularView<Eigen::Upper>().solve(MatrixXd(span));
    factor.pinv = design.scale.cwiseInverse().asDiagonal() * (qr.colsPermutation() * solved);
  } else {
    const MatrixXd top =
        MatrixXd(qr.matrixR().topRows(factor.rank).triangularView<Eigen::Upper>()) *
        qr.colsPermutation().transpose();
    factor.pinv = minimum_norm_inverse(top, design.scale) * span;
  }
  return factor;
}

bool is_estimable(const MatrixXd& contrast, const MatrixXd& r, const Factor& factor,
                  const Design& design) {
  const Index p = design.n_columns;
  if (factor.rank == p) return true;
  // c pinv(X) X, in the scaled columns: equal to c exactly when c is in the row space.
  const MatrixXd scaled = contrast * design.scale.cwiseInverse().asDiagonal();
  const MatrixXd projected = contrast * factor.pinv * r.leftCols(p);
  for (Index k = 0; k < contrast.rows(); ++k) {
    const double distance = (projected.row(k) - scaled.row(k)).norm();
    if (distance > kEstimableTolerance * scaled.row(k).norm()) return false;
  }
  return true;
}

}  // namespace groupglm
