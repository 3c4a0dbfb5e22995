// SPDX-License-Identifier: BSD-3-Clause
// From an effect, its variance and its degrees of freedom to a statistic, p and z: one step for
// every model.
//
//   t = effect / sqrt(variance),               p = P(T > t)
//   F = sum of squares / (rank * variance),    p = P(F' > F)
//
// The sum of squares is that of the effects of a hypothesis of `rank` rows, in coordinates where
// each has the variance given and none is correlated with another. z has the same upper tail as the
// statistic. The tails and their accuracy are those of special/tails.hpp.
//
// Degrees of freedom are real numbers, one for all places or one a place. A table
// (special/tails.hpp) serves the number that all places share, and whole numbers up to
// kLargestTabulated, which are few; every other one takes the exact route, 0.2 to 0.4 us a place.
// Which of the two it is depends on the number alone: a place has the same bits whatever places
// stand beside it, and whatever the number of threads.
#pragma once

#include <limits>

#include "groupglm/models/design.hpp"

namespace groupglm {

enum class StatType { t, F };

/// Whole degrees of freedom up to this have a table each where they occur: of all models today
/// their number is bounded by that of the images.
inline constexpr int kLargestTabulated = 1024;

/// The distribution of a statistic under the null hypothesis, at n places.
struct NullDistribution {
  StatType type = StatType::t;
  double rank = 1;  // numerator degrees of freedom of F: finite and above zero
  // Of all places while `df` is nullptr; else the number that most places have, or NaN.
  double df_common = std::numeric_limits<double>::quiet_NaN();
  const double* df = nullptr;  // (n)
};

/// Where the numbers go, n each.
struct StatisticOutputs {
  double* stat;
  double* p_value;
  double* z_score;
};

/// z and, unless p_value is nullptr, p (n each) of statistics. Infinite degrees of freedom are the
/// normal and the chi-square limit. Where they are not above zero, or NaN, p and z are NaN.
void tail_probabilities(const NullDistribution& null, const double* stat, Index n, double* p_value,
                        double* z_score, int n_threads);

/// Statistics, p and z. effect (n) is the effect for t and the sum of squares for F; out.stat may
/// be the same memory, and out.p_value that of variance (n). Where the degrees of freedom are not
/// above zero all three are NaN, and so they are where the variance is negative or NaN. A variance
/// of zero gives a statistic of 0 when the effect is zero too, and then z = 0, for nothing speaks
/// for an effect and nothing against it; else an infinite one.
void test_statistics(const NullDistribution& null, const double* effect, const double* variance,
                     Index n, const StatisticOutputs& out, int n_threads);

}  // namespace groupglm
