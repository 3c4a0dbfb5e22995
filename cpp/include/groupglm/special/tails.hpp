// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>

// Tails of the normal, Student t and Fisher F distributions, right far beyond where p underflows.
//
// Every tail is held as p = h exp(-E): E >= 0 has a closed form, and h (a relative of erfcx) varies
// slowly, so that log p = log h - E never underflows. With a and b half the degrees of freedom,
//
//   t:  E = (df / 2) log(1 + t^2 / df)
//   F:  E = b log(v) + a log(v / f),  v = (a f + b) / (a + b)     (zero at f = 1)
//
// h comes from the continued fraction of the incomplete beta function (DLMF 8.17.22 in the
// contracted form of DiDonato & Morris 1992, ACM TOMS 18, 360-373). Its constant 1 / B(a, b) comes
// from Stirling remainders, which lose nothing for large a; a difference of lgamma would. z solves
// log P(Z > z) = log p by Halley's iteration. erf and erfc are the C library's, and Laplace's
// continued fraction (DLMF 7.9.1) takes over beyond z = 5.
//
// `p_and_z` is the fast path. It interpolates h and z as functions of the signed root
// w = +-sqrt(2 E), in which both are smooth and z is nearly w (Wallace 1959, Ann. Math. Stat. 30,
// 1121-1130, for t). The constructor fits piecewise polynomials to the exact functions. The
// functions' nearest singularities in the complex plane of w are branch points at |w| = sqrt(2 pi
// d) on the diagonals, with d the smallest of the degrees of freedom. They are sqrt(pi d) >= 1.77
// off the real line, where a piece is 0.27 wide, so that the error of an interpolant of degree 12
// is no more than rounding. Values outside the table (roughly |z| > 42, or arguments whose square
// over- or underflows) take the exact route one by one. The result of a value depends on the value
// and the distribution only, not on n nor on its place in the array.
//
// Domain and error, against mpmath: for df and df_denominator in [0.5, 1e7], df_numerator in
// [1, 50] (not necessarily integers), |t| in [1e-8, 1e3] and f in [1e-8, 1e6], the relative error
// of log p, of z, and of p where p > 1e-300, is below 1e-12 (largest of 9,600 random cases: 2e-13
// for log p and p, 4e-15 for the z of t, 1e-13 for the z of F). One exception cannot be avoided:
// the z of an F statistic passes through zero inside the domain, and for |z| < 0.01 its absolute
// error is below 1e-14. Outside the domain the functions stay defined, with less accuracy; degrees
// of freedom below 1 use the exact route only. NaN gives NaN.
namespace groupglm {

namespace detail {
class TailTable;
}

// log P(Z > z) of a standard normal Z, relatively accurate in both tails.
double normal_log_sf(double z);

// The z with log P(Z > z) = log_p, for log_p in [-inf, 0]; NaN outside.
double normal_isf_from_log(double log_p);

// An upper-tail probability and the z-score with the same upper tail.
struct TailProbability {
  double p;
  double z;
};

// Student's t distribution. The constructor fits the table, unless it is one of the last few that
// were fitted; that costs as much as 1,000 values by the exact route (2,000 for F): use
// `without_table` for fewer values of one df. Objects are immutable, and threads may share them.
class StudentT {
 public:
  // Throws std::invalid_argument unless df is finite and positive.
  explicit StudentT(double df);
  // The distribution whose p_and_z takes the exact route for every value.
  static StudentT without_table(double df) { return {df, false}; }

  // log P(T > t).
  double log_sf(double t) const;
  // P(T > t) and its z-score by the exact route, without the table.
  TailProbability exact(double t) const;
  // The same for n values, by the table if there is one. p or z may be nullptr, and either may be
  // the memory of t.
  void p_and_z(const double* t, std::ptrdiff_t n, double* p, double* z) const;

 private:
  struct Tail;
  StudentT(double df, bool with_table);
  Tail upper_tail(double magnitude) const;

  double df_;
  double inverse_beta_;  // 1 / B(1/2, df/2)
  std::shared_ptr<const detail::TailTable> table_;
};

// Fisher's F distribution, like StudentT. A negative f is outside its support and gives NaN.
class FisherF {
 public:
  // Throws std::invalid_argument unless both degrees of freedom are finite and positive.
  FisherF(double df_numerator, double df_denominator);
  static FisherF without_table(double df_numerator, double df_denominator) {
    return {df_numerator, df_denominator, false};
  }

  // log P(F > f) and log P(F < f).
  double log_sf(double f) const;
  double log_cdf(double f) const;
  TailProbability exact(double f) const;
  void p_and_z(const double* f, std::ptrdiff_t n, double* p, double* z) const;

 private:
  struct Tails;
  FisherF(double df_numerator, double df_denominator, bool with_table);
  Tails tails(double f) const;
  detail::TailTable fitted_table() const;
  double exponent(double f) const;
  double signed_root(double log_f) const;
  double signed_root_inverse(double root, double log_f_start) const;

  double a_;
  double b_;
  double constant_;  // x0^a (1 - x0)^b / B(a, b) at x0 = a / (a + b)
  std::shared_ptr<const detail::TailTable> table_;
};

}  // namespace groupglm
