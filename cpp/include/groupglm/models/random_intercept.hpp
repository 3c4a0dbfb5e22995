// SPDX-License-Identifier: BSD-3-Clause
// The random intercept of subjects, by REML, from the state of their rotated images.
//
// V = s2 V0, V0 = I + ratio K, where K is m for the mean row of a subject with m images and 0 for
// the rows within subjects (models/repeated_state.hpp). With the states k of these rows, R_k'R_k =
// X_k'X_k, w_k and rss_k, and d_k = 1 / (1 + m_k ratio):
//
//   A = sum d_k X_k'X_k,   b = A^-1 sum d_k X_k'y_k,   Q = y'Py = sum d_k |y_k - X_k b|^2,
//   criterion = (n - p) log Q + sum n_k log(1 + m_k ratio) + log det A,   s2 = Q / (n - p).
//
// Its derivative is a - (n - p) q2 / Q, with a = tr(PK) and q2 = y'PKPy = sum m_k d_k^2 |y_k - X_k
// b|^2. The least criterion over ratio >= 0 is taken, of several minima the lowest. Everything is
// in an orthonormal basis of the design, and y is what ordinary least squares leaves of the data,
// so that a large mean costs no digits. Sources: Laird & Ware, Biometrics 38:963 (1982); Harville,
// J. Am. Stat. Assoc. 72:320 (1977).
//
// Degrees of freedom. By (s2, ratio) as coordinates, where dV / dratio = s2 K, with e = tr(PKPK),
// Phi = A^-1, M = sum m_k d_k^2 X_k'X_k and N = sum m_k^2 d_k^3 X_k'X_k, the paper's matrices
// reduce to
//
//   W = 2 [n - p, a; a, e]^-1,    adjusted Phi = Phi + 2 W_22 Phi (N - M Phi M) Phi
//
// and tr(Theta Phi P_i Phi) to the number of rows and tr(Theta Phi M Phi). Kenward & Roger,
// Biometrics 53:983 (1997). Satterthwaite's have 2 y'PKPKPy / s2 - e in place of e, the curvature
// of the criterion; at a ratio of 0 they are n - p (Giesbrecht & Burns, Biometrics 41:477, 1985;
// of several rows Fai & Cornelius, J. Stat. Comput. Simul. 54:363, 1996).
//
// Voxels whose rows cannot tell the two variances apart have NaN: where the design and the levels
// of the subjects leave no residual, or the design leaves nothing of the subjects' levels. So have
// those where the criterion falls up to a ratio of 1e9: images of a subject do not differ there
// beside the design.
//
// Time: 235,375 voxels, four columns and subjects of two sizes take some 0.2 s of one processor
// with AVX2, of which four fifths are the search: 42 ratios, of some 75 multiply-adds each, which
// take 0.04 s at least. A contrast takes 0.14 s, half of it the tails of t or F.
#pragma once

#include "groupglm/models/contrast_stats.hpp"
#include "groupglm/models/repeated_state.hpp"

namespace groupglm {

/// Fills ratio (n_voxels), subject over residual variance, and the residual variance (n_voxels).
void fit_random_intercept(const RepeatedState& state, const Design& design, double* ratio,
                          double* residual_variance, int n_threads);

/// Minus twice the restricted log likelihood (n_voxels) at a ratio, with all its constants; less
/// the determinant of X'X if columns of X depend on each other.
void restricted_criterion(const RepeatedState& state, const Design& design, const double* ratio,
                          double* out, int n_threads);

/// Generalised least squares' minimum-norm coefficients (p, n_voxels) at a ratio.
void random_intercept_coefficients(const RepeatedState& state, const Design& design,
                                   const double* ratio, RowMatrixOut beta, int n_threads);

/// Of the images that a voxel has: their mean, NaN without any, their number, the rank of the
/// design in them, and the number of subjects (n_voxels each).
struct PresentImages {
  double* mean;
  std::int64_t* n_images;
  std::int64_t* rank;
  std::int64_t* n_subjects;
};
void present_images(const RepeatedState& state, const Design& design, const PresentImages& out,
                    int n_threads);

enum class DfMethod { kenward_roger, satterthwaite };

/// Fills the outputs and df (n_voxels): of t, or of the denominator of F. Returns the rank of the
/// contrast. contrast (k, p); k = 1 for t. Of F, out.variance is the residual variance.
Index random_intercept_contrast(const RepeatedState& state, const Design& design,
                                const double* ratio, const MatrixXd& contrast, StatType type,
                                DfMethod freedom, const ContrastOutputs& out, double* df,
                                int n_threads);

}  // namespace groupglm
