// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Noncentral t and F distributions, and the noncentrality at which a statistic has a probability.
//
// With Y = sqrt(chi2(df) / df), T = (Z + delta) / Y and F = (chi2(p, lambda) / p) / Y^2.
//
// t, for t >= 0 and x = t^2 / (df + t^2) (Lenth 1989, Applied Statistics 38, 185-189, AS 243):
//
//   P(T <= t) = Phi(-delta) + 1/2 sum_j [p_j I_x(j + 1/2, df/2) + q_j I_x(j + 1, df/2)]
//   p_j = exp(-m) m^j / j!,  q_j = delta exp(-m) m^j / (sqrt 2 Gamma(j + 3/2)),  m = delta^2 / 2
//
// The sums run forward, where I falls by one term a step. Beyond |delta| = 37 the weights would
// underflow. There E[Q(df/2, df/2 ((Z + delta) / t)^2)] over Z, or E[Phi(t Y - delta)] over Y, is
// a sum of equal steps (trapezoids), whichever has the smoother integrand; for such integrands the
// error falls exponentially with the steps.
//
// F, for x = p f / (p f + df) (Benton & Krishnamoorthy 2003, CSDA 43, 249-267):
//
//   P(F <= f) = sum_j Poisson(j; lambda / 2) I_x(p/2 + j, df/2)
//
// summed where the Poisson weights are above 1e-18 of their sum. Beyond lambda = 1e5 the root of
// chi2(p, lambda) is nearly normal with mean sqrt(lambda + p - 1), and the noncentral t serves.
//
// Error, against mpmath, of probabilities: 1e-12 absolute; for lambda > 1e5 1e-6 p. That of the
// noncentralities is this over the density: below 1e-9 relative to the larger of 1 and the result.
// Every loop has a bound.
namespace groupglm {

/// Fewer degrees of freedom have no numbers (NaN): tails so long that series in them do not end.
inline constexpr double kLeastDf = 0.1;

// P(T <= t) for any finite t and delta, df > 0.
double noncentral_t_cdf(double t, double df, double delta);

// P(F <= f) for finite f and lambda >= 0, p > 0 and df > 0.
double noncentral_f_cdf(double f, double p, double df, double lambda);

// The delta with P(T <= t) = probability; NaN unless t is finite, df > 0 and 0 < probability < 1.
double t_noncentrality(double t, double df, double probability);

// The lambda >= 0 with P(F <= f) = probability, 0 if even P(F <= f) at lambda = 0 is not more.
double f_noncentrality(double f, double p, double df, double probability);

// The f with P(F <= f) = probability at lambda = 0.
double f_quantile(double p, double df, double probability);

// log of the Bayes factor of an effect against none, with a Cauchy prior (JZS).
//
//   BF10 = int (1+g)^(df/2) (1 + g/(1+x))^(-(df+p)/2) sqrt(s/2)/Gamma(1/2) g^(-3/2) exp(-s/(2g)) dg
//
// where x = p F / df = R^2 / (1 - R^2). For t, p = 1 and s = r^2 N, N = 1 / (c'(X'X)^-c) (Rouder,
// Speckman, Sun, Morey & Iverson 2009, Psychonomic Bulletin & Review 16, 225-237, with g for N g);
// for regression s = r^2 N with N rows (Liang, Paulo, Molina, Clyde & Berger 2008, JASA 103,
// 410-423; Rouder & Morey 2012, Multivariate Behavioral Research 47, 877-903). The sum runs over
// equal steps of log g; its error is below 1e-9 for p <= 50. NaN unless x >= 0 is finite, and p, df
// and s are above zero and finite.
double log_bayes_factor(double x, double p, double df, double s);

}  // namespace groupglm
