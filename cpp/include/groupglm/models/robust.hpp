// SPDX-License-Identifier: BSD-3-Clause
// Robust regression by iteratively reweighted least squares, voxel by voxel.
//
// From ordinary least squares on, until the coefficients b change by less than sqrt(eps) of
// themselves, or kMostIterations times:
//
//   e = y - X b,  a_i = |e_i| / sqrt(1 - h_i)              h: leverages, at most 0.9999
//   s = median of the largest n - p + 1 of a / 0.6745,     at least 1e-6 sd(y)
//   u = a / (s tuning),  w = psi(u) / u,  b = (X'WX)^-1 X'W y
//
// with psi(u) = u (1 - u^2)^2 for |u| < 1, else 0 (bisquare), or psi(u) = min(u, 1) (Huber).
// Variances are those of ordinary least squares, sigma^2 (X'X)^-1 on n - p degrees of freedom, with
//
//   r     = (1 + p (1 - m1) / (n m1)) sqrt(m2) s tuning / m1
//   m1    = mean psi'(u),  m2 = sum (1 - h_i) psi(u_i)^2 / (n - p)
//   sigma = max(r, sqrt((p^2 ols^2 + n r^2) / (p^2 + n)))  ols^2: the variance of least squares
//
// If all weights are 0 or 1, r^2 is the residual variance of the images with weight 1.
//
// A voxel's result is given as pseudo-values y* = X b + (y - X b_ols) sigma / ols: ordinary least
// squares of y* has the coefficients b and the residual variance sigma^2. So all that follows from
// a fit by least squares follows from a robust one: contrasts, their F, missing values.
//
// Sources: Holland & Welsch, Communications in Statistics A6:813 (1977); DuMouchel & O'Brien, in
// Computing and Graphics in Statistics (1991), of 1989; Street, Carroll & Ruppert, American
// Statistician 42:152 (1988).
#pragma once

#include <cstdint>

#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

enum class RobustWeights { bisquare, huber };

struct RobustMethod {
  RobustWeights weights = RobustWeights::bisquare;
  double tuning = 4.685;  // above 0
};

inline constexpr int kMostIterations = 50;

/// What is said of a voxel, as bits. Not fitted: no degree of freedom is left.
enum RobustStatus : std::uint8_t {
  kRobustFitted = 1,
  kRobustConverged = 2,
  kRobustFloored = 4,  // the scale was below its least value: most residuals are equal
};

/// Weights are summed as whole numbers of this size, so that their order does not matter.
inline constexpr double kWeightUnit = 1.0 / 4294967296.0;

/// A weight below this is low.
inline constexpr double kLowWeight = 0.5;

/// Outputs, for n images at n_voxels voxels.
struct RobustOutputs {
  double* pseudo;            // (n, n_voxels): y*; NaN where y is NaN
  double* weights;           // (n, n_voxels), or nullptr; NaN where y is NaN
  double* scale;             // (n_voxels): s at the last coefficients; NaN where not fitted
  double* mean_weight;       // (n_voxels): of the images present; NaN where not fitted
  std::int16_t* iterations;  // (n_voxels)
  std::uint8_t* status;      // (n_voxels): RobustStatus
  // Over the voxels that are fitted and have the image, (n) each:
  std::int64_t* weight_sums;  // of weights, in kWeightUnit
  std::int64_t* n_low;        // how many weights are low
  std::int64_t* n_places;     // how many voxels
};

/// Fits y (n, n_voxels); NaN is missing, and a voxel has the numbers of its own images.
///
/// If the weights leave too few images to estimate the coefficients, a voxel keeps those before and
/// has not converged. Cost a voxel and iteration: n (r (r + 1) / 2 + 2 r) multiply-adds, and some
/// n log2(n)^2 / 4 exchanges of a sorting network, all of which run over voxels side by side.
/// Memory for each thread: some 0.5 MB, or 96 voxels of y.
template <typename Scalar>
void robust_fit(const Design& design, const RobustMethod& method, const DataView<Scalar>& y,
                const RobustOutputs& out, int n_threads);

}  // namespace groupglm
