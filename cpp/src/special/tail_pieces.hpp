// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Pieces shared by the special functions' sources; not part of the core's interface.
namespace groupglm::detail {

// P(Z > z) exp(z^2 / 2) for z >= 0.
double normal_scaled_sf(double z);

// The z with P(0 < Z < z) = probability, for |probability| <= 0.3; relatively accurate near zero.
double normal_from_central(double probability);

// The logarithm of Gamma(a) minus its Stirling approximation, for a > 0.
double stirling_remainder(double a);

// x0^a (1 - x0)^b / B(a, b) at the mean x0 = a / (a + b), without cancellation for large a or b.
double beta_peak(double a, double b);

// I_x(a, b) B(a, b) / (x^a y^b), y = 1 - x; quick for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x, double y);

}  // namespace groupglm::detail
