// SPDX-License-Identifier: BSD-3-Clause
// Degrees of freedom of a sandwich estimate, for the images that are present at some voxels.
#pragma once

#include "models/sandwich_rows.hpp"

namespace groupglm {

/// What independent images of variance 1 make of an estimate of variance.
///
/// With a_s = A_s Q_s h, the estimate is the sum of (a_s'e_s)(a_s'e_s)', and the covariance of
/// a_s'e_s and a_t'e_t is [s = t] S_s - V_s'V_t, S_s = a_s'a_s, V_s = own_s'a_s.
class ExpectedShares {
 public:
  /// weights h (r, k).
  ExpectedShares(const PresentRows& present, const Adjustments& adjustments,
                 const MatrixXd& weights);

  /// With the adjustments (I - H_ss)^-1/2: false if a contrast depends on a combination of
  /// coefficients that the images of one subject alone estimate. I - H_ss is then singular, and
  /// residuals say nothing of that subject's share of the variance.
  bool is_unbiased() const;

  /// By Bell & McCaffrey, and Hotelling's T2 for several rows (Tipton & Pustejovsky): with the
  /// estimate whitened by its expectation, k (k + 1) / sum of the variances of its k^2 entries.
  double satterthwaite_df() const;

 private:
  Index rank_;
  Index k_;
  MatrixXd variance_;  // (k, k): of the estimates
  MatrixXd expected_;  // (k, k): of the estimate of it
  MatrixXd taken_;     // V_s (rank, k), side by side
  MatrixXd own_;       // S_s (k, k), side by side
};

/// Subjects less constant dimensions, of the parts of the design whose images have weight.
double naive_df(const PresentRows& present, const SubjectDegrees& degrees, const MatrixXd& weights);

/// The covariance of the estimated covariances of one group's visits, and how these make that of a
/// contrast, for the images of a pattern.
class VisitDegrees {
 public:
  VisitDegrees(const PresentRows& present, const SubjectDegrees& degrees);

  /// The matrix (k (k + 1) / 2, n_covariances) that maps the visits' covariances to the covariance
  /// of the estimates. weights h (r, k).
  MatrixXd shares(const MatrixXd& weights) const;
  /// n^2 / sum of 1 / d_s over the group's subjects.
  double of_group(Index group) const { return of_group_[idx(group)]; }
  /// The sum of `times` the variances of rows of `entries` times the covariances v (n_visits,
  /// n_visits) of a group's visits, as estimated: approximate_2 if `is_unbiased`, approximate_3.
  double spread(Index group, const MatrixXd& v, const MatrixXd& entries, const VectorXd& times,
                bool is_unbiased) const;
  Index offset(Index group) const { return offset_[idx(group)]; }

 private:
  // The covariance of v(k, l) and v(a, b).
  struct TwoPairs {
    Index k;
    Index l;
    Index a;
    Index b;
  };
  double unbiased(Index group, const MatrixXd& v, const TwoPairs& of) const;
  double plain(Index group, const MatrixXd& v, const TwoPairs& of) const;

  const PresentRows& present_;
  std::vector<Index> offset_;     // (n_groups + 1)
  std::vector<double> of_group_;  // (n_groups)
  // By group, for two pairs of visits: sum over subjects with all four of 1 / d_s, over the
  // numbers of subjects with either pair.
  std::vector<MatrixXd> inverse_;
};

}  // namespace groupglm
