// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/design.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace groupglm {

namespace {

bool is_constant_one(const RowMatrix& x, const VectorXd& coefficients) {
  for (Index i = 0; i < x.rows(); ++i) {
    if (x.row(i).dot(coefficients) != 1.0) return false;
  }
  return true;
}

// Finds simple coefficients a with X a = 1 to the last bit: a constant column, or whole numbers
// (indicator columns that add up to one).
bool find_exact_intercept(const RowMatrix& x, VectorXd& a) {
  for (Index j = 0; j < x.cols(); ++j) {
    const double value = x(0, j);
    // The inverse of the smallest numbers is infinite.
    if (!std::isfinite(1.0 / value) || !(x.col(j).array() == value).all()) continue;
    a = VectorXd::Zero(x.cols());
    a[j] = 1.0 / value;
    return true;
  }
  const VectorXd ones = VectorXd::Ones(x.rows());
  a = MatrixXd(x).completeOrthogonalDecomposition().solve(ones);
  a = a.array().round().matrix();
  return a.allFinite() && is_constant_one(x, a);
}

// Lengths of the columns by Eigen's stableNorm, in which squares neither overflow nor vanish.
VectorXd column_lengths(const RowMatrix& x) {
  VectorXd lengths(x.cols());
  for (Index j = 0; j < x.cols(); ++j) {
    const double length = MatrixXd(x.col(j)).stableNorm();
    lengths[j] = length > 0.0 ? length : 1.0;
  }
  return lengths;
}

// A pivoted QR with the package's rule of rank.
Eigen::ColPivHouseholderQR<MatrixXd> pivoted(const MatrixXd& columns) {
  Eigen::ColPivHouseholderQR<MatrixXd> qr(columns);
  qr.setThreshold(kRankTolerance);
  return qr;
}

// The rows of a contrast over scaled columns, each of unit length, as columns (p, k).
MatrixXd scaled_rows(const MatrixXd& contrast, const VectorXd& scale) {
  MatrixXd scaled(contrast.cols(), contrast.rows());
  for (Index k = 0; k < contrast.rows(); ++k) {
    const VectorXd row = contrast.row(k).transpose();
    scaled.col(k) = scale_contrast(row, scale).weights.stableNormalized();
  }
  return scaled;
}

MatrixXd full_rotation(const Eigen::HouseholderQR<MatrixXd>& qr, Index n) {
  return qr.householderQ() * MatrixXd::Identity(n, n);
}

// Whether a further column of unit length leaves the rank of the others unchanged.
bool is_spanned(const MatrixXd& columns, const VectorXd& unit, Index rank) {
  MatrixXd all(columns.rows(), columns.cols() + 1);
  all << columns, unit;
  return pivoted(all).rank() == rank;
}

// The order of the rows by their largest entry, largest first. In this order a pivoted Householder
// QR is backward stable row by row, however different the sizes of the rows are (Cox & Higham 1998,
// Numerical Analysis 1997, 57-73).
Eigen::PermutationMatrix<Eigen::Dynamic> largest_rows_first(const MatrixXd& a) {
  const VectorXd sizes = a.cwiseAbs().rowwise().maxCoeff();
  Eigen::VectorXi order(a.rows());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return sizes[i] > sizes[j]; });
  // The transpose of this permutation moves row order[i] to place i.
  return Eigen::PermutationMatrix<Eigen::Dynamic>(order);
}

// The columns of X in the coordinates of r, and `scale`, their lengths. Columns keep the length
// that all rows gave them, so that voxels share the hypothesis; only columns of which less than
// kLittle is left get unit length again.
MatrixXd unit_columns(const MatrixXd& r, const Design& design, VectorXd& scale) {
  constexpr double kLittle = 1.0 / 1024;
  MatrixXd columns = r.leftCols(design.n_columns);
  scale = design.scale;
  for (Index j = 0; j < columns.cols(); ++j) {
    const double length = MatrixXd(columns.col(j)).stableNorm();
    const double own = scale[j] * length;
    if (!(length < kLittle) || own < std::numeric_limits<double>::min()) continue;
    columns.col(j) /= length;
    scale[j] = own;
  }
  return columns;
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
  // Divided, not multiplied: the inverse of the smallest numbers is infinite.
  for (Index j = 0; j < x.cols(); ++j) design.working.col(j) = x.col(j) / design.scale[j];
  design.intercept = VectorXd::Zero(q);
  const double length = std::sqrt(static_cast<double>(x.rows()));
  if (exact) {
    design.intercept = a.cwiseProduct(design.scale);
  } else {
    design.working.col(q - 1).setConstant(1.0 / length);
    design.intercept[q - 1] = length;
  }
  const MatrixXd scaled = design.working.leftCols(x.cols());
  design.rank = pivoted(scaled).rank();
  design.has_intercept =
      exact || is_spanned(scaled, VectorXd::Constant(x.rows(), 1.0 / length), design.rank);
  return design;
}

Factor factorize(const MatrixXd& r, const Design& design) {
  const Index p = design.n_columns;
  const Index q = r.rows();
  Factor factor;
  const auto qr = pivoted(unit_columns(r, design, factor.scale));
  factor.rank = qr.rank();
  const MatrixXd rotation = qr.householderQ() * MatrixXd::Identity(q, q);
  factor.null = rotation.rightCols(q - factor.rank);
  factor.span = rotation.leftCols(factor.rank);
  const auto upper = qr.matrixR().topRows(factor.rank).triangularView<Eigen::Upper>();
  const MatrixXd top = MatrixXd(upper) * qr.colsPermutation().transpose();
  if (factor.rank == p) {
    factor.rows = MatrixXd::Identity(p, p);
    factor.lower = top;
    const MatrixXd solved = qr.matrixR().topLeftCorner(p, p).triangularView<Eigen::Upper>().solve(
        MatrixXd(factor.span.transpose()));
    factor.pinv = qr.colsPermutation() * solved;
  } else if (factor.rank == 0) {
    factor.pinv = MatrixXd::Zero(p, q);
    factor.rows = MatrixXd::Zero(p, 0);
    factor.lower = MatrixXd::Zero(0, 0);
  } else {
    const Eigen::HouseholderQR<MatrixXd> row_space(top.transpose());
    factor.rows = row_space.householderQ() * MatrixXd::Identity(p, factor.rank);
    factor.lower = row_space.matrixQR()
                       .topRows(factor.rank)
                       .triangularView<Eigen::Upper>()
                       .toDenseMatrix()
                       .transpose();
    factor.pinv = factor.rows * factor.lower.triangularView<Eigen::Lower>().solve(
                                    MatrixXd(factor.span.transpose()));
  }
  return factor;
}

Factor factorize(const Design& design) {
  const Index q = std::min(design.n_rows(), design.n_working());
  const Eigen::HouseholderQR<MatrixXd> qr(design.working);
  const MatrixXd rotation = qr.householderQ() * MatrixXd::Identity(design.n_rows(), q);
  Factor factor = factorize(qr.matrixQR().topRows(q).triangularView<Eigen::Upper>(), design);
  factor.span = rotation * factor.span;
  factor.pinv = factor.pinv * rotation.transpose();
  factor.null.resize(0, 0);
  return factor;
}

MatrixXd minimum_norm(const Factor& factor) {
  const Index p = factor.scale.size();
  MatrixXd coefficients = factor.pinv;
  if (factor.rank < p && factor.rank > 0) {
    MatrixXd null =
        full_rotation(Eigen::HouseholderQR<MatrixXd>(factor.rows), p).rightCols(p - factor.rank);
    for (Index j = 0; j < p; ++j) {
      if (null.row(j).norm() < kEstimableTolerance) null.row(j).setZero();
    }
    // Minimises |weight (coefficients + null x)|, where weight converts to the user's units, up to
    // a factor that makes the largest weight 1.
    const VectorXd weight = factor.scale.minCoeff() * factor.scale.cwiseInverse();
    const MatrixXd weighed = weight.asDiagonal() * null;
    const auto order = largest_rows_first(weighed);
    Eigen::ColPivHouseholderQR<MatrixXd> qr(order.transpose() * weighed);
    qr.setThreshold(std::numeric_limits<double>::min());
    const MatrixXd target = order.transpose() * (weight.asDiagonal() * coefficients);
    coefficients -= null * qr.solve(target);
  }
  for (Index j = 0; j < p; ++j) coefficients.row(j) /= factor.scale[j];
  return coefficients;
}

ScaledContrast scale_contrast(const VectorXd& contrast, const VectorXd& scale) {
  const Index p = contrast.size();
  ScaledContrast out{VectorXd::Zero(p), 0};
  Eigen::VectorXi exponents = Eigen::VectorXi::Zero(p);
  bool any = false;
  for (Index j = 0; j < p; ++j) {
    if (contrast[j] == 0.0) continue;
    int above = 0;
    int below = 0;
    out.weights[j] = std::frexp(contrast[j], &above) / std::frexp(scale[j], &below);
    exponents[j] = above - below;
    out.exponent = any ? std::max(out.exponent, exponents[j]) : exponents[j];
    any = true;
  }
  for (Index j = 0; j < p; ++j) {
    out.weights[j] = std::ldexp(out.weights[j], exponents[j] - out.exponent);
  }
  return out;
}

Index contrast_rank(const MatrixXd& contrast, const Design& design) {
  MatrixXd given = contrast.transpose();
  for (Index k = 0; k < given.cols(); ++k) given.col(k).stableNormalize();
  const MatrixXd scaled = scaled_rows(contrast, design.scale);
  return std::max(pivoted(given).rank(), pivoted(scaled).rank());
}

MatrixXd hypothesis(const MatrixXd& contrast, const VectorXd& scale, Index rank) {
  MatrixXd scaled = scaled_rows(contrast, scale);
  if (scaled.cols() == 1) return scaled;
  const auto order = largest_rows_first(scaled);
  const auto qr = pivoted(order.transpose() * scaled);
  return order * MatrixXd(qr.householderQ() * MatrixXd::Identity(scaled.rows(), rank));
}

bool is_estimable(const MatrixXd& hypothesis, const Factor& factor) {
  if (factor.rank == hypothesis.rows()) return true;
  const MatrixXd outside = hypothesis - factor.rows * (factor.rows.transpose() * hypothesis);
  return outside.cols() == 0 || outside.colwise().norm().maxCoeff() <= kEstimableTolerance;
}

Split split(const MatrixXd& hypothesis, const Factor& factor) {
  const Index k = hypothesis.cols();
  const Index rest = factor.rank - k;
  // The directions of the row space that the hypothesis leaves free, and their image in the column
  // space. Built from this image, the effect is as exact as the nuisance is well conditioned.
  const MatrixXd forbidden = factor.rows.transpose() * hypothesis;
  const MatrixXd allowed =
      full_rotation(Eigen::HouseholderQR<MatrixXd>(forbidden), factor.rank).rightCols(rest);
  const MatrixXd rotation =
      rest == 0
          ? MatrixXd::Identity(factor.rank, factor.rank)
          : full_rotation(Eigen::HouseholderQR<MatrixXd>(factor.lower * allowed), factor.rank);
  Split out{factor.span * rotation.rightCols(k), factor.span * rotation.leftCols(rest)};
  if (k == 1 && (factor.pinv * out.effect.col(0)).dot(hypothesis.col(0)) < 0) out.effect *= -1.0;
  return out;
}

RowMatrix gains(const MatrixXd& rows, const Design& design) {
  const Factor factor = factorize(design);
  RowMatrix out(rows.rows(), design.n_rows());
  for (Index k = 0; k < rows.rows(); ++k) {
    const ScaledContrast scaled = scale_contrast(rows.row(k).transpose(), factor.scale);
    out.row(k) = scaled.weights.transpose() * factor.pinv;
    for (double& gain : out.row(k)) gain = std::ldexp(gain, scaled.exponent);
  }
  return out;
}

bool spans_constant(const MatrixXd& r, const Factor& factor, const Design& design) {
  if (design.n_working() == design.n_columns) return true;
  const VectorXd constant = r * design.intercept;
  const double length = constant.norm();
  VectorXd scale;
  return length == 0.0 ||
         is_spanned(unit_columns(r, design, scale), constant / length, factor.rank);
}

}  // namespace groupglm
