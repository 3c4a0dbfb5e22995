// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/special/noncentral.hpp"

#include <algorithm>
#include <cmath>

#include "groupglm/special/tails.hpp"
#include "non_finite.hpp"
#include "special/tail_pieces.hpp"

namespace groupglm {

namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kPi = 3.14159265358979323846;
constexpr double kLargestDelta = 37.0;   // exp(-delta^2 / 2) does not underflow
constexpr double kLargestLambda = 1e5;   // beyond, the root of chi2(p, lambda) is as good as normal
constexpr double kLargestValue = 1e150;  // squares do not overflow
constexpr double kLargestDf = 1e9;       // t and F do not change beyond, and loops have an end
constexpr double kNegligible = 1e-18;

double normal_cdf(double z) { return 0.5 * std::erfc(-z * kSqrtHalf); }

// x^a y^b / B(a, b) for y = 1 - x.
double beta_front(double a, double b, double x, double y) {
  const double x0 = a / (a + b);
  const double y0 = b / (a + b);
  return detail::beta_peak(a, b) *
         std::exp(a * std::log1p((x - x0) / x0) + b * std::log1p((y - y0) / y0));
}

// I_x(a, b).
double regularised_beta(double a, double b, double x, double y) {
  if (x <= 0.0) return 0.0;
  if (y <= 0.0) return 1.0;
  const double front = beta_front(a, b, x, y);
  if (x * (a + b + 2.0) < a + 1.0) return front * detail::beta_fraction(a, b, x, y);
  return 1.0 - front * detail::beta_fraction(b, a, y, x);
}

// Q(a, x), the upper regularised incomplete gamma function (DLMF 8.7.1, 8.9.2).
double gamma_upper(double a, double x) {
  constexpr int kMaxSteps = 200000;  // steps grow as the root of a
  if (x <= 0.0) return 1.0;
  const double excess = (x - a) / a;
  const double front = std::sqrt(a / (2.0 * kPi)) * std::exp(-detail::stirling_remainder(a)) *
                       std::exp(a * (std::log1p(excess) - excess));
  if (front == 0.0) return x < a ? 1.0 : 0.0;
  if (x < a + 1.0) {
    double term = 1.0 / a;
    double sum = term;
    for (int n = 1; n < kMaxSteps && term > 1e-17 * sum; ++n) {
      term *= x / (a + n);
      sum += term;
    }
    return 1.0 - front * sum;
  }
  double denominator = x + 1.0 - a;
  double c = 1e300;
  double d = 1.0 / denominator;
  double fraction = d;
  for (int n = 1; n < kMaxSteps; ++n) {
    const double numerator = n * (a - n);
    denominator += 2.0;
    d = 1.0 / (denominator + numerator * d);
    c = denominator + numerator / c;
    fraction *= c * d;
    if (std::fabs(c * d - 1.0) < 1e-16) break;
  }
  return front * fraction;
}

// P(T <= t) as a function of delta, for one t >= 0.
class NoncentralT {
 public:
  NoncentralT(double t, double df) : t_(t), df_(df), b_(0.5 * df) {
    const double total = df + t * t;
    x_ = t * t / total;
    const double y = df / total;
    if (t == 0.0) return;
    const double log_y = t * t < df ? -std::log1p(t * t / df) : std::log(y);
    beta_half_ = regularised_beta(0.5, b_, x_, y);
    beta_one_ = -std::expm1(b_ * log_y);
    step_half_ = 2.0 * beta_front(0.5, b_, x_, y);
    step_one_ = b_ * x_ * std::exp(b_ * log_y);
  }

  double operator()(double delta) const {
    if (std::fabs(delta) <= kLargestDelta || t_ == 0.0) return series(delta);
    if (delta < 0.0) return 1.0;  // t >= 0 > delta + 37
    return t_ * t_ > 2.0 * df_ ? over_normal(delta) : over_chi(delta);
  }

  // The slope of the normal quantile of P(T <= t) in delta is about this.
  double slope() const { return -1.0 / std::sqrt(1.0 + t_ * t_ / (2.0 * df_)); }

 private:
  double series(double delta) const {
    double sum = normal_cdf(-delta);
    if (t_ == 0.0) return sum;
    const double m = 0.5 * delta * delta;
    double p = 0.5 * std::exp(-m);
    double q = p * delta * std::sqrt(2.0 / kPi);
    double beta_half = beta_half_;
    double beta_one = beta_one_;
    double step_half = step_half_;
    double step_one = step_one_;
    for (int j = 0; j < 2000; ++j) {  // m + 9 sqrt(m) is below 1,000
      sum += p * beta_half + q * beta_one;
      if (j > m && (p * beta_half < kNegligible || beta_half < kNegligible)) break;
      const double a = j + 0.5;
      beta_half = std::max(0.0, beta_half - step_half);
      beta_one = std::max(0.0, beta_one - step_one);
      step_half *= x_ * (a + b_) / (a + 1.0);
      step_one *= x_ * (a + 0.5 + b_) / (a + 1.5);
      p *= m / (j + 1.0);
      q *= m / (j + 1.5);
    }
    return std::min(sum, 1.0);
  }

  double over_normal(double delta) const {
    constexpr double kStep = 0.5;
    double sum = 0.0;
    for (int k = -18; k <= 18; ++k) {
      const double z = k * kStep;
      const double y = (z + delta) / t_;
      sum += std::exp(-0.5 * z * z) * gamma_upper(b_, b_ * y * y);
    }
    return sum * kStep / std::sqrt(2.0 * kPi);
  }

  double over_chi(double delta) const {
    // log Y has a standard deviation of about 1 / sqrt(2 df), and df > 300 here.
    const double step = 0.5 / std::sqrt(2.0 * df_);
    const double front =
        2.0 * std::sqrt(b_ / (2.0 * kPi)) * std::exp(-detail::stirling_remainder(b_));
    double sum = 0.0;
    for (int k = -24; k <= 24; ++k) {
      const double u = k * step;
      const double density = std::exp(df_ * (u - 0.5 * std::expm1(2.0 * u)));
      sum += density * normal_cdf(t_ * std::exp(u) - delta);
    }
    return sum * front * step;
  }

  double t_;
  double df_;
  double b_;
  double x_ = 0.0;
  double beta_half_ = 0.0;
  double beta_one_ = 0.0;
  double step_half_ = 0.0;
  double step_one_ = 0.0;
};

// P(F <= f) as a function of the root of lambda, for one f.
class NoncentralF {
 public:
  NoncentralF(double f, double p, double df)
      : a_(0.5 * p),
        b_(0.5 * df),
        p_(p),
        x_(p * f / (p * f + df)),
        y_(df / (p * f + df)),
        far_(std::sqrt(p * f), df) {
    central_ = regularised_beta(a_, b_, x_, y_);
    step_ = x_ > 0.0 && y_ > 0.0 ? beta_front(a_, b_, x_, y_) / a_ : 0.0;
  }

  double operator()(double root) const {
    const double lambda = root * root;
    if (lambda > kLargestLambda) return far_(std::sqrt(lambda + p_ - 1.0));
    const double m = 0.5 * lambda;
    const double spread = 9.0 * std::sqrt(m) + 12.0;
    const double first = m > 600.0 ? std::floor(m - spread) : 0.0;
    double weight = std::exp(-m);
    double beta = central_;
    double step = step_;
    if (first > 0.0) {
      const double excess = (m - first) / first;
      weight = std::exp(first * (std::log1p(excess) - excess) - detail::stirling_remainder(first)) /
               std::sqrt(2.0 * kPi * first);
      beta = regularised_beta(a_ + first, b_, x_, y_);
      step = x_ > 0.0 && y_ > 0.0 ? beta_front(a_ + first, b_, x_, y_) / (a_ + first) : 0.0;
    }
    double sum = 0.0;
    for (double j = first; j <= m + spread; j += 1.0) {
      sum += weight * beta;
      if (beta < kNegligible) break;
      beta = std::max(0.0, beta - step);
      step *= x_ * (a_ + j + b_) / (a_ + j + 1.0);
      weight *= m / (j + 1.0);
    }
    return std::min(sum, 1.0);
  }

  double central() const { return central_; }
  double slope() const { return far_.slope(); }

 private:
  double a_;
  double b_;
  double p_;
  double x_;
  double y_;
  NoncentralT far_;
  double central_;
  double step_;
};

// The normal quantile of a probability; infinite at 0 and 1.
double normal_quantile(double probability) {
  if (probability < 0.5) return -normal_isf_from_log(std::log(probability));
  return normal_isf_from_log(std::log1p(-probability));
}

// Solves cdf(x) = probability for a falling function of x >= lowest, by secants of the normal
// quantile of the cdf, which is nearly linear in x. Bisection keeps every step within bounds.
template <typename Function>
double solve_falling(const Function& cdf, double probability, double start, double slope,
                     double lowest) {
  const double wanted = normal_quantile(probability);
  double low = lowest;
  double high = kInfinity;
  double x = start;
  double last_x = kNaN;
  double last_excess = kNaN;
  double reach = 1.0 + std::fabs(start);
  for (int step = 0; step < 200; ++step) {
    const double found = cdf(x);
    (found > probability ? low : high) = x;
    const double excess = normal_quantile(found) - wanted;
    const double between = (excess - last_excess) / (x - last_x);
    if (std::isfinite(between) && between < 0.0) slope = between;
    double next = x - excess / slope;
    const bool is_inside = next > low && next < high;
    if (!is_inside) {  // or not a number
      if (low > -kInfinity && high < kInfinity) {
        next = 0.5 * (low + high);
      } else {
        next = x + (found > probability ? reach : -reach);
        reach *= 2.0;
      }
    }
    const double change = next - x;
    if (std::isfinite(excess)) {
      last_x = x;
      last_excess = excess;
    }
    x = next;
    if (std::fabs(change) <= 1e-10 * std::max(1.0, std::fabs(x))) break;
  }
  return x;
}

// All of these are false of what is not a number.
bool is_probability(double probability) { return probability > 0.0 && probability < 1.0; }
bool is_positive(double x) { return x > 0.0 && x < kInfinity; }
bool is_value(double x) { return x >= 0.0 && x <= kLargestValue; }

}  // namespace

double noncentral_t_cdf(double t, double df, double delta) {
  if (!(std::fabs(t) <= kLargestValue) || !(df >= kLeastDf) ||
      !(std::fabs(delta) <= kLargestValue)) {
    return kNaN;
  }
  df = std::min(df, kLargestDf);
  return t < 0.0 ? 1.0 - NoncentralT(-t, df)(-delta) : NoncentralT(t, df)(delta);
}

double noncentral_f_cdf(double f, double p, double df, double lambda) {
  if (!is_value(f) || !is_positive(p) || !(df >= kLeastDf) || !is_value(lambda)) return kNaN;
  return NoncentralF(f, p, std::min(df, kLargestDf))(std::sqrt(lambda));
}

double t_noncentrality(double t, double df, double probability) {
  if (!(std::fabs(t) <= kLargestValue) || !(df >= kLeastDf) || !is_probability(probability)) {
    return kNaN;
  }
  if (t < 0.0) return -t_noncentrality(-t, df, 1.0 - probability);
  const NoncentralT distribution(t, std::min(df, kLargestDf));
  const double start = t + normal_quantile(probability) / distribution.slope();
  return solve_falling(distribution, probability, std::max(start, 0.1 * t - 4.0),
                       distribution.slope(), -kInfinity);
}

double f_noncentrality(double f, double p, double df, double probability) {
  if (!is_value(f) || !is_positive(p) || !(df >= kLeastDf) || !is_probability(probability)) {
    return kNaN;
  }
  const NoncentralF distribution(f, p, std::min(df, kLargestDf));
  if (!(distribution.central() > probability)) return 0.0;
  const double start = std::sqrt(p * f) + normal_quantile(probability) / distribution.slope();
  const double root =
      solve_falling(distribution, probability, std::max(start, 0.1 * (1.0 + std::sqrt(p * f))),
                    distribution.slope(), 0.0);
  return root * root;
}

double f_quantile(double p, double df, double probability) {
  if (!is_positive(p) || !(df >= kLeastDf) || !is_probability(probability)) return kNaN;
  const double b = 0.5 * std::min(df, kLargestDf);
  const auto cdf = [=](double minus_log) {
    const double ratio = 0.5 * p / b * std::exp(-minus_log);
    return regularised_beta(0.5 * p, b, ratio / (1.0 + ratio), 1.0 / (1.0 + ratio));
  };
  return std::exp(-solve_falling(cdf, probability, 0.0, -1.0, -kInfinity));
}

double log_bayes_factor(double x, double p, double df, double s) {
  const bool has_statistic = x == 0.0 || is_positive(x);
  if (!has_statistic || !is_positive(p) || !is_positive(df) || df < kLeastDf || !is_positive(s)) {
    return kNaN;
  }
  // The logarithm of the integrand in u = log g, where a larger p needs smaller steps.
  const double step = 0.5 / std::sqrt(p + 1.0);
  const double inverse = 1.0 / (1.0 + x);
  const auto log_term = [=](double u) {
    const double g = std::exp(u);
    const double gain = x > 0.0 ? g / (1.0 + (1.0 + g) / x) : 0.0;
    return 0.5 * (df * std::log1p(gain) - p * std::log1p(g * inverse) - u - s / g);
  };
  // It falls as exp(-s / (2 g)) to the left of g = s / (p + 1), and as exp(-u (p + 1) / 2) to the
  // right of all three scales: s, 1 + x and x df, the square of t.
  const double left = std::log(s / (p + 1.0)) - 4.2;
  const double right = std::log(std::max({s, 1.0 + x, x * (df + p)})) + 48.0 / (p + 1.0) + 1.0;
  const auto n = static_cast<int>((right - left) / step) + 1;  // below 2,000 a unit of sqrt(p)
  double largest = -kInfinity;
  double sum = 0.0;
  for (int k = 0; k <= n; ++k) {
    const double term = log_term(left + k * step);
    if (term > largest) {
      sum = sum * std::exp(largest - term) + 1.0;
      largest = term;
    } else {
      sum += std::exp(term - largest);
    }
  }
  return largest + std::log(sum * step) + 0.5 * std::log(0.5 * s / kPi);
}

}  // namespace groupglm
