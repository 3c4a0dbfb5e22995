// SPDX-License-Identifier: BSD-3-Clause
// Statistic, p and z from an effect, its variance and its degrees of freedom: one step for every
// model.
//
//   t = effect / sqrt(variance),               p = P(T > t)
//   F = sum of squares / (rank * variance),    p = P(F' > F)
//
// The sum of squares is that of the effects of `rank` hypotheses, in coordinates where each effect
// has the given variance and no two are correlated. z has the same upper tail as the statistic.
// special/tails.hpp gives the tails and their accuracy.
//
// Degrees of freedom are real numbers, one for all places or one a place. A table
// (special/tails.hpp) serves the number that all or most places share, and each whole number up to
// kLargestTabulated, of which few occur. Every other number takes the exact route, 0.2 to 0.4 us a
// place. The number alone decides which of the two serves it: a place has the same bits whatever
// the other places are, and for any number of threads.
#pragma once

#include <limits>

#include "groupglm/models/design.hpp"

namespace groupglm {

enum class StatType { t, F };

/// Each whole number of degrees of freedom up to this that occurs gets a table. In every model
/// today there are at most as many such numbers as images.
inline constexpr int kLargestTabulated = 1024;

/// The distribution of a statistic under the null hypothesis, at n places.
struct NullDistribution {
  StatType type = StatType::t;
  double rank = 1;  // numerator degrees of freedom of F: finite and above zero
  // The degrees of freedom of all places if `df` is nullptr; else the number that most places have,
  // or NaN.
  double df_common = std::numeric_limits<double>::quiet_NaN();
  const double* df = nullptr;  // (n)
};

/// The outputs, n numbers each.
struct StatisticOutputs {
  double* stat;
  double* p_value;
  double* z_score;
};

/// z and, unless p_value is nullptr, p of n statistics. Infinite degrees of freedom give the normal
/// and the chi-square limit. Degrees of freedom that are NaN or not above zero give NaN.
void tail_probabilities(const NullDistribution& null, const double* stat, Index n, double* p_value,
                        double* z_score, int n_threads);

/// Statistics, p and z. effect (n) is the effect for t and the sum of squares for F. out.stat may
/// be the memory of effect, and out.p_value that of variance (n). All three are NaN where the
/// degrees of freedom are not above zero or the variance is negative or NaN. A variance of zero
/// gives an infinite statistic if the effect is not zero. If the effect is zero too, the statistic
/// is 0 and z = 0, because nothing speaks for or against an effect.
void test_statistics(const NullDistribution& null, const double* effect, const double* variance,
                     Index n, const StatisticOutputs& out, int n_threads);

}  // namespace groupglm
