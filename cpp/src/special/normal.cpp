// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include "groupglm/special/tails.hpp"
#include "non_finite.hpp"
#include "special/tail_pieces.hpp"

namespace groupglm {

namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kSqrtTwoPi = 2.50662827463100050242;
constexpr double kLogQuarter = -1.38629436111989061883;
constexpr double kLogThreeQuarters = -0.28768207245178092744;
// log 2 = kLogTwo + kLogTwoRest to twice the precision.
constexpr double kLogTwo = 0x1.62e42fefa39efp-1;
constexpr double kLogTwoRest = 0x1.abc9e3b39803fp-56;

// The z >= 0.6 whose log tail is log_p <= log(1/4). Halley's iteration works on the logarithm,
// which is nearly quadratic in z, so that a start within a few percent converges in two or three
// steps.
double isf_tail(double log_p) {
  const double root = 2.0 * std::sqrt(-0.5 * log_p);  // -2 log_p could overflow
  double z = root - std::log(1.0 + root * kSqrtTwoPi) / (root + 0.5);
  for (int step = 0; step < 12; ++step) {
    const double scaled = detail::normal_scaled_sf(z);
    const double hazard = 1.0 / (kSqrtTwoPi * scaled);
    // -z^2/2 - log_p as a product, because the two are close and z^2 alone may overflow.
    const double excess = std::log(scaled) - 0.5 * (z - root) * (z + root);
    const double newton = excess / hazard;
    const double change = newton / (1.0 + 0.5 * newton * (hazard - z));
    z += change;
    if (std::fabs(change) <= 1e-7 * z) break;  // a cubic step's error is then far below rounding
  }
  return z;
}

}  // namespace

namespace detail {

double normal_scaled_sf(double z) {
  if (z < 5.0) return 0.5 * std::exp(0.5 * z * z) * std::erfc(z * kSqrtHalf);
  // Laplace's fraction 1/(z + 1/(z + 2/(z + ...))) from its far end; the number of terms needed
  // falls as z^-2.
  const int terms = z < 8.0 ? 44 : (z < 20.0 ? 20 : 8);
  double denominator = z;
  for (int k = terms; k > 0; --k) denominator = z + k / denominator;
  return 1.0 / (kSqrtTwoPi * denominator);
}

double normal_from_central(double probability) {
  double z = kSqrtTwoPi * probability * (1.0 + 1.0471975511965977 * probability * probability);
  for (int step = 0; step < 2; ++step) {
    const double density = std::exp(-0.5 * z * z) / kSqrtTwoPi;
    const double newton = (probability - 0.5 * std::erf(z * kSqrtHalf)) / density;
    z += newton / (1.0 - 0.5 * newton * z);
  }
  return z;
}

}  // namespace detail

double normal_log_sf(double z) {
  if (std::isnan(z)) return z;
  if (z == kInfinity) return -kInfinity;
  if (z < 0.0) return std::log1p(-detail::normal_scaled_sf(-z) * std::exp(-0.5 * z * z));
  return std::log(detail::normal_scaled_sf(z)) - 0.5 * z * z;
}

double normal_isf_from_log(double log_p) {
  if (!(log_p <= 0.0)) return kNaN;
  if (log_p == 0.0) return -kInfinity;
  if (log_p == -kInfinity) return kInfinity;
  if (log_p <= kLogQuarter) return isf_tail(log_p);
  if (log_p >= kLogThreeQuarters) return -isf_tail(std::log(-std::expm1(log_p)));
  // Relative accuracy around p = 1/2 needs log 2 beyond double precision.
  return detail::normal_from_central(-0.5 * std::expm1((log_p + kLogTwo) + kLogTwoRest));
}

}  // namespace groupglm
