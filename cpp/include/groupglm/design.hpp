// SPDX-License-Identifier: BSD-3-Clause
// The small dense algebra of one design: its columns brought to unit length, and the rank-revealing
// factor from which coefficients, contrasts and degrees of freedom follow.
//
// Notation used throughout the core:
//   X  (n, p)  the user's design matrix
//   S  (n, q)  the working design: X with its columns scaled to unit length, and, when no
//              combination of them is exactly the constant column, that column besides (q = p + 1)
//   R  (q, q)  upper triangular, S = Q R; w = Q'y (q numbers a voxel)
// The residual sum of squares and every contrast of X can be had from (R, w, rss) alone.
#pragma once

#include <Eigen/Dense>

namespace groupglm {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A pivot of the column-pivoted QR below this, relative to the largest, counts as zero. Columns
/// have unit length by then, so the rule does not depend on the columns' units.
inline constexpr double kRankTolerance = 1e-12;

/// A contrast is estimable when its distance to the row space of X is below this, relative to its
/// length (both in the scaled columns). Rounding stays orders below it, a real lack far above.
inline constexpr double kEstimableTolerance = 1e-8;

struct Design {
  RowMatrix working;    // S (n, q)
  VectorXd scale;       // (p): length of each column of X, 1 for a column of zeros
  VectorXd intercept;   // a (q): S a = 1
  Index n_columns = 0;  // p
  Index rank = 0;
  bool has_intercept = false;  // the constant column is in the span of X

  Index n_rows() const { return working.rows(); }
  Index n_working() const { return working.cols(); }
};

/// Prepares X (n, p) of finite numbers, n and p at least 1.
Design make_design(const Eigen::Ref<const RowMatrix>& x);

/// What one triangular factor R says of X: all in the coordinates of w.
struct Factor {
  Index rank = 0;
  MatrixXd rows;  // (p, rank): orthonormal, spans the row space of X in its scaled columns
  MatrixXd pinv;  // (p, q): coefficients of X = pinv w, of minimum norm
  MatrixXd null;  // (q, q - rank): orthonormal; null' w belongs to the residuals
};

/// Column-pivoted QR of the first p columns of R. Without pivoting's rank decision the numbers
/// would be those of a slightly different design whenever columns are dependent.
Factor factorize(const MatrixXd& r, const Design& design);

/// True when every row of contrast (k, p) lies in the row space of X that the factor has.
bool is_estimable(const MatrixXd& contrast, const Factor& factor, const Design& design);

/// True when the constant is in the span of X, for the rows that r and its factor stand for.
bool spans_constant(const MatrixXd& r, const Factor& factor, const Design& design);

}  // namespace groupglm
