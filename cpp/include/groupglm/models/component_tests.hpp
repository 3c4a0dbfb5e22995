// SPDX-License-Identifier: BSD-3-Clause
// The degrees of freedom of a test whose variance is a sum of estimated components, by Kenward and
// Roger or by Satterthwaite.
//
// With Phi = (X'V^-1 X)^-1 and a hypothesis H: C = H'Phi H, and for each component
// D_k = H'Phi X'V^-1 (dV/dt_k) V^-1 X Phi H, W the covariance of the estimated components t.
#pragma once

#include <Eigen/Dense>
#include <vector>

namespace groupglm {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// The inverse of a symmetric matrix of information. A combination of components without
/// information, to rounding, has no variance; then the others are what the data can tell.
MatrixXd inverse_of_information(const MatrixXd& information);

/// A scale and denominator degrees of freedom: scale times the Wald statistic over the number of
/// rows is compared with F.
struct ScaledF {
  double scale = 1.0;
  double df = 0.0;
};

/// Kenward and Roger, Biometrics 53:983 (1997), section 3.2. One row has the scale 1, and so have
/// rows whose variances are estimated alike. The numbers A1 and A2 of the paper say all of a
/// hypothesis of n_rows independent rows. NaN where the formula gives degrees of freedom that are
/// not above zero.
ScaledF kenward_roger(double a1, double a2, double n_rows);
ScaledF kenward_roger(const MatrixXd& c, const std::vector<MatrixXd>& d, const MatrixXd& w);

/// Satterthwaite's rule for one row, 2 C^2 / Var(C); for several rows that of Fai and Cornelius,
/// from the `rank` independent rows that C has as eigenvectors. It depends on how the rows are
/// written.
ScaledF satterthwaite(const MatrixXd& c, const std::vector<MatrixXd>& d, const MatrixXd& w,
                      Index rank);

}  // namespace groupglm
