// SPDX-License-Identifier: BSD-3-Clause
// Ordinary least squares whose variances allow any covariance between the images of a subject.
//
// With an orthonormal basis Q (n, r) of the design, residuals e of a voxel, and the rows s of a
// subject, the covariance of Q'y is estimated by one of two sums:
//
//   classic       M = sum over subjects of u u',  u = Q_s' A_s e_s
//   homogeneous   M = sum over subjects of Q_s' V_g[visits, visits] Q_s,
//                 V_g estimated from A_s e_s of all subjects of group g:
//                   V_g[k, k] = mean of squares of the subjects that have visit k,
//                   V_g[k, l] = the correlation of the subjects that have both (about zero) times
//                               sqrt(V_g[k, k] V_g[l, l]); negative eigenvalues become 0
//
// and the variance of a contrast with the weights a = Q h of the images is h'Mh. A_s adjusts the
// residuals for what the fit takes from them, H = QQ' (`Adjustment`). Where I - H_ss is singular,
// A_s is a power of its Moore-Penrose inverse.
//
// A voxel whose images are missing has the numbers of its own images. With Q_p the rows of Q that
// are present and h = (Q_p'Q_p)^+ g, the contrast g'Q'y is estimated by h'Q_p'y; M is that of the
// rows of Q_p, in the same r coordinates.
//
// Sources: Liang & Zeger, Biometrika 73:13 (1986); Bell & McCaffrey, Survey Methodology 28:169
// (2002); Guillaume et al., NeuroImage 94:287 (2014); Tipton & Pustejovsky, Journal of Educational
// and Behavioral Statistics 40:604 (2015).
#pragma once

#include <cstdint>
#include <vector>

#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

/// How residuals are adjusted. With the leverages h_i, n images and rank p:
///   none 1;  degrees sqrt(n / (n - p));  leverage_root (1 - h_i)^-1/2;  leverage (1 - h_i)^-1;
///   block_root (I - H_ss)^-1/2;  block (I - H_ss)^-1
enum class Adjustment { none, degrees, leverage_root, leverage, block_root, block };

/// Below this, an eigenvalue of I - H_ss or a 1 - h_i is zero: the fit then takes all of it.
inline constexpr double kNoResidual = 1e-12;

/// The images of a design by subject. Rows are sorted by subject; `rows` says where each was.
struct SubjectBlocks {
  RowMatrix basis;            // Q (n, r), sorted
  std::vector<Index> rows;    // (n)
  std::vector<Index> starts;  // (n_subjects + 1): the rows of each subject
  std::vector<Index> part;    // (n_subjects): the separate part of the design it belongs to
  Index n_parts = 1;
  // Homogeneous only; else empty.
  std::vector<Index> visit;     // (n): number of the visit within its group
  std::vector<Index> group;     // (n_subjects)
  std::vector<Index> n_visits;  // (n_groups)

  Index n() const { return basis.rows(); }
  Index r() const { return basis.cols(); }
  Index n_subjects() const { return static_cast<Index>(starts.size()) - 1; }
  bool is_homogeneous() const { return !n_visits.empty(); }
  /// Numbers a voxel of the visits' covariances: the lower triangle of each group, row by row.
  Index n_covariances() const;
  /// Bytes of the bits that say which images are missing.
  Index n_bytes() const { return (n() + 7) / 8; }
};

/// What the second pass over the images keeps of a voxel, (.., n_voxels) each.
struct SandwichSums {
  double* sums;        // classic: M, (r (r + 1) / 2); homogeneous: the visits' covariances
  double* fourth;      // classic, or nullptr: sum of u_a u_b u_c u_d / d_s, a >= b >= c >= d, where
                       // d_s is the effective degrees of freedom of the subject
  std::uint8_t* bits;  // (n_voxels, n_bytes): bit i % 8 of byte i / 8: image i is missing
  std::uint8_t* projected;  // homogeneous: an eigenvalue of a group was negative; else nullptr
};

/// Numbers of a symmetric tensor of four indices below r: C(r + 3, 4).
inline Index n_fourth(Index r) { return r * (r + 1) * (r + 2) * (r + 3) / 24; }

/// Fills the sums from y (n, n_voxels); NaN is missing. exponent (n_voxels) or nullptr: the sums
/// are those of y 2^-exponent. Cost a voxel: some n (2 r + 1) multiply-adds, and r (r + 1) / 2 for
/// each subject. Memory: 32 voxels of y for each thread.
template <typename Scalar>
void sandwich_sums(const SubjectBlocks& blocks, Adjustment adjustment, const DataView<Scalar>& y,
                   const std::int16_t* exponent, const SandwichSums& out, int n_threads);

/// How degrees of freedom are computed.
///   satterthwaite   classic: 2 over the total variance of the whitened estimate, if images are
///                   independent with the same variance (Bell & McCaffrey; Hotelling's T2 for
///                   several rows). It depends on the images present, not on the data.
///   naive           subjects less the dimensions of the design that are constant within them
///   approximate_1   from the share of each group (classic: subject) in the variance
///   approximate_2   homogeneous: from the covariance of a Wishart matrix, unbiased
///   approximate_3   homogeneous: from its plain estimate, with what missing visits change
enum class SandwichDf { satterthwaite, naive, approximate_1, approximate_2, approximate_3 };

/// A contrast at all voxels of a fit.
struct SandwichTest {
  const double* sums;            // as in SandwichSums
  const double* fourth;          // for approximate_1 of the classic estimator
  const std::int32_t* pattern;   // (n_voxels): row of `patterns`; -1: every image is present
  const std::uint8_t* patterns;  // (n_patterns, n_bytes): bits as in SandwichSums
  Index n_patterns;
  Index n_voxels;
  const double* effect;  // (k, n_voxels): the estimates, in the scale of the sums; NaN: none
  RowMatrix g;           // (k, r): the contrast's rows over Q'y, independent
};

/// variance (n_voxels): for k = 1 that of the estimate; for k > 1 not written.
/// wald (n_voxels): effect' (h'Mh)^-1 effect; NaN where that matrix is singular.
/// df (n_voxels): NaN where there is none.
void sandwich_test(const SubjectBlocks& blocks, Adjustment adjustment, SandwichDf rule,
                   const SandwichTest& test, double* variance, double* wald, double* df,
                   int n_threads);

}  // namespace groupglm
