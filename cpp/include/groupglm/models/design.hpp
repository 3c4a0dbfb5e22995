// SPDX-License-Identifier: BSD-3-Clause
// The small dense algebra of one design: its columns scaled to unit length, and the rank-revealing
// factor that gives coefficients, contrasts and degrees of freedom.
//
// Notation used throughout the core:
//   X  (n, p)  the user's design matrix
//   S  (n, q)  the working design: X with its columns scaled to unit length. If no combination of
//              them is exactly the constant column, S has that column too (q = p + 1)
//   R  (q, q)  upper triangular, S = Q R; w = Q'y (q numbers a voxel)
// The residual sum of squares and every contrast of X follow from (R, w, rss) alone.
#pragma once

#include <Eigen/Dense>

namespace groupglm {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A pivot of the column-pivoted QR counts as zero below this share of the largest pivot. The
/// columns have unit length, so the rule does not depend on their units. This is the whole
/// package's rule of rank: of designs, of the rows of a contrast, and of a design together with the
/// constant.
inline constexpr double kRankTolerance = 1e-12;

/// A contrast is estimable if its distance to the row space of X is at most this share of its
/// length, both in scaled columns. Weights are typed with some eight digits; rounding is orders of
/// magnitude below, and a contrast that cannot be estimated is far above. By the same rule a column
/// has a coefficient of its own if less than this share of it lies in the null space of X.
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

/// The factorisation of one triangular factor R, from which every result is computed. With columns
/// of unit length in the rows present,
///   R[:, :p] = span lower rows'.
/// An estimable contrast c has the effect (c / scale)' pinv w, whatever the units of the columns.
struct Factor {
  Index rank = 0;
  VectorXd scale;  // (p): Design::scale, but the own length of columns that nearly vanish
  MatrixXd span;   // (q, rank): orthonormal, spans the columns of X
  MatrixXd lower;  // (rank, rank)
  MatrixXd rows;   // (p, rank): orthonormal, spans the row space
  MatrixXd pinv;   // (p, q): coefficients of the scaled columns = pinv w, of minimum norm
  MatrixXd null;   // (q, q - rank): orthonormal; null' w belongs to the residuals
};

/// Column-pivoted QR of the first p columns of R (m, q). Without a decision of rank by pivots, a
/// design with dependent columns would get the numbers of a slightly different design.
Factor factorize(const MatrixXd& r, const Design& design);

/// The factor of all rows, in the coordinates of the images: span (n, rank), pinv (p, n); null is
/// empty.
Factor factorize(const Design& design);

/// The matrix (p, q) that maps w to the coefficients of X of minimum norm, in the user's units.
///
/// If columns depend on each other, minimum norm depends on the units. No estimable contrast does,
/// and none is computed from this matrix. A coefficient that can be estimated is left as it is.
MatrixXd minimum_norm(const Factor& factor);

/// A contrast c (p) over scaled columns: c / scale = weights 2^exponent, where the largest weight
/// is between 1/2 and 2. So columns in extreme units neither overflow nor vanish.
struct ScaledContrast {
  VectorXd weights;
  int exponent = 0;
};
ScaledContrast scale_contrast(const VectorXd& contrast, const VectorXd& scale);

/// The rank of the rows of a contrast (k, p): the larger of their rank in the user's columns and
/// their rank in the scaled columns, each with rows of unit length. Rows that mix columns in very
/// different units can seem dependent in one of the two.
///
/// The rank is the same wherever the contrast is estimable: rows within the row space of X stay
/// independent, whichever rows of X are present.
Index contrast_rank(const MatrixXd& contrast, const Design& design);

/// An orthonormal basis (p, rank) of the rows of a contrast, over scaled columns. This basis is the
/// hypothesis: C and A C have the same one for any invertible A.
MatrixXd hypothesis(const MatrixXd& contrast, const VectorXd& scale, Index rank);

/// True if a hypothesis (p, any) lies in the factor's row space of X.
bool is_estimable(const MatrixXd& hypothesis, const Factor& factor);

/// The column space, split by an estimable hypothesis H. The nuisance spans X b with H'b = 0, and
/// the effect is orthogonal to it. [nuisance, effect] is orthonormal, over the rows of span. For a
/// hypothesis of one row, the estimate is a positive multiple of effect'w.
struct Split {
  MatrixXd effect;    // (q, k)
  MatrixXd nuisance;  // (q, rank - k)
};
Split split(const MatrixXd& hypothesis, const Factor& factor);

/// The weights (k, n) of the images in the estimates of rows (k, p): rows X^+. An estimable row c
/// has the estimate weights y and the variance sigma^2 times the sum of squared weights.
RowMatrix gains(const MatrixXd& rows, const Design& design);

/// True if the constant is in the span of X, for the rows of the data that r and its factor stand
/// for: X with the constant then has the rank of X.
bool spans_constant(const MatrixXd& r, const Factor& factor, const Design& design);

}  // namespace groupglm
