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
/// have unit length by then, so the rule does not depend on the columns' units. The whole package's
/// rule of rank: of designs, of the rows of a contrast, and of a design beside the constant.
inline constexpr double kRankTolerance = 1e-12;

/// A contrast is estimable when its distance to the row space of X is below this, relative to its
/// length (both in the scaled columns). Weights are typed with some eight digits; rounding stays
/// orders below, a real lack far above. A column of which no more than this share lies in the null
/// space of X has a coefficient of its own, by the same rule.
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

/// What one triangular factor R says of X, the one thing that everything else is computed from:
/// with columns of unit length in the rows present, R[:, :p] = span lower rows'. Whatever the units
/// of the columns, an estimable contrast c has the effect (c / scale)' pinv w.
struct Factor {
  Index rank = 0;
  VectorXd scale;  // (p): the design's, but for columns that nearly vanish in the rows present
  MatrixXd span;   // (q, rank): orthonormal, spans the columns of X
  MatrixXd lower;  // (rank, rank)
  MatrixXd rows;   // (p, rank): orthonormal, spans the row space
  MatrixXd pinv;   // (p, q): coefficients of the scaled columns = pinv w, of minimum norm
  MatrixXd null;   // (q, q - rank): orthonormal; null' w belongs to the residuals
};

/// Column-pivoted QR of the first p columns of R (m, q). Without pivoting's rank decision the
/// numbers would be those of a slightly different design whenever columns are dependent.
Factor factorize(const MatrixXd& r, const Design& design);

/// The factor of all rows, in the coordinates of the images: span (n, rank), pinv (p, n); no null.
Factor factorize(const Design& design);

/// The matrix (p, q) that takes w to the coefficients of X of minimum norm in the user's units.
///
/// Where columns depend on each other that choice depends on the units; no estimable contrast does,
/// and none is computed from it. A coefficient that can be estimated is left as it is.
MatrixXd minimum_norm(const Factor& factor);

/// A contrast c (p) over scaled columns, as weights of size one and a power of two:
/// c / scale = weights 2^exponent. So columns in extreme units neither overflow nor vanish.
struct ScaledContrast {
  VectorXd weights;
  int exponent = 0;
};
ScaledContrast scale_contrast(const VectorXd& contrast, const VectorXd& scale);

/// The rank of the rows of a contrast (k, p): the larger of that in the user's columns and that in
/// the scaled ones, each with rows of unit length. A mixture of columns in very different units
/// looks like less in one of the two.
///
/// It is the same wherever the contrast is estimable: rows within the row space of X stay
/// independent, whichever rows of X are present.
Index contrast_rank(const MatrixXd& contrast, const Design& design);

/// An orthonormal basis (p, rank) of the rows of a contrast, over scaled columns: the hypothesis
/// itself, which C and A C share for any invertible A.
MatrixXd hypothesis(const MatrixXd& contrast, const VectorXd& scale, Index rank);

/// True when a hypothesis (p, any) lies in the row space of X that the factor has.
bool is_estimable(const MatrixXd& hypothesis, const Factor& factor);

/// The column space split by an estimable hypothesis H: of [nuisance, effect] the nuisance spans
/// X b with H'b = 0, and the effect what is orthogonal to it. Orthonormal, over the rows of span;
/// of a single row, the estimate is a positive multiple of the effect's product with w.
struct Split {
  MatrixXd effect;    // (q, k)
  MatrixXd nuisance;  // (q, rank - k)
};
Split split(const MatrixXd& hypothesis, const Factor& factor);

/// The weights (k, n) that estimates of rows (k, p) give to the images, rows X^+: an estimable row
/// c is estimated by them, with their sum of squares times sigma^2 as variance.
RowMatrix gains(const MatrixXd& rows, const Design& design);

/// True when the constant is in the span of X, for the rows that r and its factor stand for: when
/// X with it has the same rank as without.
bool spans_constant(const MatrixXd& r, const Factor& factor, const Design& design);

}  // namespace groupglm
