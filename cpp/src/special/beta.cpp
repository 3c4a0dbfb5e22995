// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>

#include "special/tail_pieces.hpp"

namespace groupglm::detail {

namespace {

constexpr double kTwoPi = 6.28318530717958647693;

}  // namespace

double stirling_remainder(double a) {
  // Upwards to where the asymptotic series (DLMF 5.11.1) has double precision with seven terms.
  double sum = 0.0;
  for (; a < 10.0; a += 1.0) sum += (a + 0.5) * std::log1p(1.0 / a) - 1.0;
  const double q = 1.0 / (a * a);
  double series = 1.0 / 156.0;
  series = series * q - 691.0 / 360360.0;
  series = series * q + 1.0 / 1188.0;
  series = series * q - 1.0 / 1680.0;
  series = series * q + 1.0 / 1260.0;
  series = series * q - 1.0 / 360.0;
  series = series * q + 1.0 / 12.0;
  return sum + series / a;
}

double beta_peak(double a, double b) {
  const double harmonic = a < b ? a / (1.0 + a / b) : b / (1.0 + b / a);
  return std::sqrt(harmonic / kTwoPi) *
         std::exp(stirling_remainder(a + b) - stirling_remainder(a) - stirling_remainder(b));
}

double beta_fraction(double a, double b, double x, double y) {
  // Lentz's method. The fraction is the even part of DLMF 8.17.22, which needs half as many steps.
  // For x < (a + 1) / (a + b + 2) every denominator is positive.
  constexpr int kMaxSteps = 100000;  // steps grow as the root of the smaller parameter
  const double a_y_less_b_x = a * y - b * x;
  double fraction = a * (a_y_less_b_x + 1.0) / (a + 1.0);
  double c = fraction;
  double d = 0.0;
  for (int step = 1; step < kMaxSteps; ++step) {
    const double m = step;
    const double inverse = 1.0 / (a + 2.0 * m - 1.0);
    const double mixed = m * (b - m) * x * inverse;
    const double numerator = (a + m - 1.0) * inverse * (a + b + m - 1.0) * x * mixed;
    const double denominator =
        m + mixed + (a + m) * (a_y_less_b_x + 1.0 + m * (1.0 + y)) / (a + 2.0 * m + 1.0);
    d = 1.0 / (denominator + numerator * d);
    c = denominator + numerator / c;
    const double change = c * d;
    fraction *= change;
    if (std::fabs(change - 1.0) < 4e-16) break;
  }
  return 1.0 / fraction;
}

}  // namespace groupglm::detail
