// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "groupglm/special/tails.hpp"
#include "special_tables.hpp"

namespace {

using groupglm::FisherF;
using groupglm::normal_isf_from_log;
using groupglm::normal_log_sf;
using groupglm::StudentT;
using groupglm::TailProbability;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// What the header promises.
constexpr double kTolerance = 1e-12;
constexpr double kSmallestP = 1e-300;
constexpr double kSmallZ = 0.01;
constexpr double kSmallZTolerance = 1e-14;

// Relative error. Where zero is expected (a value below the normal range), a tiny value is right.
double relative_error(double value, double expected) {
  if (std::fabs(expected) < kSmallestP) return std::fabs(value) < 2 * kSmallestP ? 0.0 : kInfinity;
  return std::fabs(value - expected) / std::fabs(expected);
}

bool z_of_f_agrees(double z, double expected) {
  if (std::fabs(expected) < kSmallZ) return std::fabs(z - expected) < kSmallZTolerance;
  return relative_error(z, expected) < kTolerance;
}

bool same_bits(double x, double y) { return std::memcmp(&x, &y, sizeof x) == 0; }

template <typename Distribution>
TailProbability by_table(const Distribution& distribution, double value) {
  TailProbability result{};
  distribution.p_and_z(&value, 1, &result.p, &result.z);
  return result;
}

// Statistics around zero and in the tails, limits of the format, and NaN.
std::vector<double> awkward_values() {
  std::vector<double> values = {0.0,    -0.0,   1.0,     kInfinity, -kInfinity, kNaN,   5e-324,
                                1e-310, 1e-200, -1e-160, 1e200,     -1e300,     1e308,  1e130,
                                1e-130, 42.2,   42.4,    -42.3,     60.0,       -1e3,   1e6,
                                0.9999, 1.0001, 1e-8,    -1e-8,     1.7320509,  1e-300, 3.0};
  std::mt19937_64 generator(5);
  std::normal_distribution<double> normal(0.0, 4.0);
  while (values.size() < 300) values.push_back(normal(generator));
  return values;
}

template <typename Distribution>
void check_blocking(const Distribution& distribution) {
  const std::vector<double> values = awkward_values();
  const auto n = static_cast<std::ptrdiff_t>(values.size());
  std::vector<double> p(values.size());
  std::vector<double> z(values.size());
  distribution.p_and_z(values.data(), n, p.data(), z.data());
  int differing = 0;
  for (std::ptrdiff_t start = 0; start < n; start += 7) {
    for (std::ptrdiff_t count : {1, 2, 9, 63, 64, 65, 130}) {
      count = std::min(count, n - start);
      std::vector<double> part_p(values.begin() + start, values.begin() + start + count);
      std::vector<double> part_z(static_cast<std::size_t>(count));
      // One output at a time, p in place.
      distribution.p_and_z(values.data() + start, count, nullptr, part_z.data());
      distribution.p_and_z(part_p.data(), count, part_p.data(), nullptr);
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        const auto part = static_cast<std::size_t>(i);
        const auto whole = static_cast<std::size_t>(start + i);
        differing += !same_bits(part_p[part], p[whole]) || !same_bits(part_z[part], z[whole]);
      }
    }
  }
  CHECK(differing == 0);
}

// Over a fine grid p never rises and z always does, also at the edges of the table.
template <typename Distribution>
void check_monotone(const Distribution& distribution, double low, double high) {
  constexpr std::size_t kSteps = 20000;
  std::vector<double> values(kSteps);
  for (std::size_t i = 0; i < kSteps; ++i) {
    values[i] = low + (high - low) * static_cast<double>(i) / kSteps;
  }
  std::vector<double> p(kSteps);
  std::vector<double> z(kSteps);
  distribution.p_and_z(values.data(), kSteps, p.data(), z.data());
  int wrong = 0;
  for (std::size_t i = 1; i < kSteps; ++i) wrong += !(p[i] <= p[i - 1] && z[i] > z[i - 1]);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("normal tails agree with mpmath") {
  for (const auto& row : special_tables::kNormalTable) {
    CAPTURE(row.z);
    CHECK(relative_error(normal_log_sf(row.z), row.log_sf) < kTolerance);
  }
}

TEST_CASE("the normal quantile inverts the log tail") {
  // log p determines z no better than its rounding does: d log p / dz is p's hazard rate, tiny far
  // in the lower tail, where log p itself is relatively accurate. Hence relative on either side.
  for (double z = -37.0; z <= 300.0; z += 0.0625) {
    CAPTURE(z);
    const double found = normal_isf_from_log(normal_log_sf(z));
    if (std::fabs(z) < 0.5) {
      CHECK(std::fabs(found - z) < 1e-15);
    } else {
      CHECK(relative_error(found, z) < kTolerance);
    }
  }
  // The double nearest to -log 2 lies 2.319e-17 above it, which is p = 1/2 + 1.16e-17.
  const double from_half = -0.5 * 2.3190468138462996e-17 * std::sqrt(2.0 * std::acos(-1.0));
  CHECK(relative_error(normal_isf_from_log(-0x1.62e42fefa39efp-1), from_half) < kTolerance);
  CHECK(normal_isf_from_log(0.0) == -kInfinity);
  CHECK(normal_isf_from_log(-kInfinity) == kInfinity);
  CHECK(std::isnan(normal_isf_from_log(1e-300)));
  CHECK(std::isnan(normal_isf_from_log(kNaN)));
  CHECK(relative_error(normal_isf_from_log(-1.7e308), std::sqrt(2.0) * std::sqrt(1.7e308)) < 1e-15);
  CHECK(normal_log_sf(kInfinity) == -kInfinity);
  CHECK(normal_log_sf(-kInfinity) == 0.0);
  CHECK(std::isnan(normal_log_sf(kNaN)));
}

TEST_CASE("Student t agrees with mpmath") {
  for (const auto& row : special_tables::kStudentTTable) {
    CAPTURE(row.df);
    CAPTURE(row.t);
    const StudentT distribution(row.df);
    CHECK(relative_error(distribution.log_sf(row.t), row.log_sf) < kTolerance);
    for (const auto& found : {distribution.exact(row.t), by_table(distribution, row.t)}) {
      CHECK(relative_error(found.p, row.p) < kTolerance);
      CHECK(relative_error(found.z, row.z) < kTolerance);
    }
  }
}

TEST_CASE("Fisher F agrees with mpmath") {
  for (const auto& row : special_tables::kFisherFTable) {
    CAPTURE(row.df_numerator);
    CAPTURE(row.df_denominator);
    CAPTURE(row.f);
    const FisherF distribution(row.df_numerator, row.df_denominator);
    CHECK(relative_error(distribution.log_sf(row.f), row.log_sf) < kTolerance);
    CHECK(relative_error(distribution.log_cdf(row.f), row.log_cdf) < kTolerance);
    for (const auto& found : {distribution.exact(row.f), by_table(distribution, row.f)}) {
      CHECK(relative_error(found.p, row.p) < kTolerance);
      CHECK(z_of_f_agrees(found.z, row.z));
    }
  }
}

TEST_CASE("closed forms of few degrees of freedom") {
  const double pi = std::acos(-1.0);
  const StudentT cauchy(1.0);
  const StudentT two(2.0);
  for (double t = 0.125; t < 1e6; t *= 1.5) {
    CAPTURE(t);
    CHECK(relative_error(by_table(cauchy, t).p, std::atan(1.0 / t) / pi) < kTolerance);
    const double root = std::sqrt(2.0 + t * t);
    CHECK(relative_error(by_table(two, t).p, 1.0 / (root * (root + t))) < kTolerance);
  }
  for (const double df : {1.0, 17.0, 96.0, 1e5}) {
    const FisherF distribution(2.0, df);
    for (double f = 1e-8; f < 1e6; f *= 3.0) {
      CAPTURE(f);
      const double log_sf = -0.5 * df * std::log1p(2.0 * f / df);
      CHECK(relative_error(distribution.log_sf(f), log_sf) < kTolerance);
    }
  }
}

TEST_CASE("the table agrees with the exact functions") {
  for (const double df : {1.0, 1.5, 2.0, 7.0, 20.0, 96.0, 1e3, 1e5, 1e8}) {
    const StudentT distribution(df);
    CAPTURE(df);
    for (double t = 1e-9; t < 1e4; t *= 1.01) {
      CAPTURE(t);
      const TailProbability exact = distribution.exact(t);
      const TailProbability found = by_table(distribution, t);
      CHECK(relative_error(found.p, exact.p) < kTolerance);
      CHECK(relative_error(found.z, exact.z) < kTolerance);
    }
  }
  for (const double df_numerator : {1.0, 2.5, 5.0, 50.0}) {
    for (const double df_denominator : {1.0, 20.0, 96.0, 1e5}) {
      const FisherF distribution(df_numerator, df_denominator);
      CAPTURE(df_numerator);
      CAPTURE(df_denominator);
      for (double f = 1e-8; f < 1e6; f *= 1.03) {
        CAPTURE(f);
        const TailProbability exact = distribution.exact(f);
        const TailProbability found = by_table(distribution, f);
        CHECK(relative_error(found.p, exact.p) < kTolerance);
        CHECK(z_of_f_agrees(found.z, exact.z));
      }
    }
  }
}

TEST_CASE("t is odd, and its two tails add up to one") {
  for (const double df : {1.0, 20.0, 96.5}) {
    const StudentT distribution(df);
    for (double t = 1e-8; t < 1e5; t *= 1.7) {
      CAPTURE(t);
      CHECK(distribution.exact(-t).z == -distribution.exact(t).z);
      CHECK(by_table(distribution, -t).z == -by_table(distribution, t).z);
      CHECK(by_table(distribution, -t).p == 1.0 - by_table(distribution, t).p);
      const double sum = std::exp(distribution.log_sf(t)) + std::exp(distribution.log_sf(-t));
      CHECK(std::fabs(sum - 1.0) < 1e-14);
    }
  }
}

TEST_CASE("F: tails add up to one, and swapping degrees of freedom swaps the tails") {
  const FisherF distribution(3.0, 40.0);
  const FisherF swapped(40.0, 3.0);
  for (int exponent = -20; exponent <= 12; ++exponent) {
    const double f = std::ldexp(1.0, exponent);  // whose inverse is exact
    CAPTURE(f);
    const double sum = std::exp(distribution.log_sf(f)) + std::exp(distribution.log_cdf(f));
    CHECK(std::fabs(sum - 1.0) < 1e-14);
    CHECK(relative_error(distribution.log_sf(f), swapped.log_cdf(1.0 / f)) < kTolerance);
    CHECK(relative_error(by_table(distribution, f).z, -by_table(swapped, 1.0 / f).z) < kTolerance);
  }
}

TEST_CASE("the square of t is F with one numerator degree of freedom") {
  for (const double df : {1.0, 20.0, 96.0, 1e5}) {
    const StudentT student(df);
    const FisherF fisher(1.0, df);
    for (double t = 0.0625; t < 500.0; t *= 2.0) {  // whose square is exact
      CAPTURE(t);
      CHECK(relative_error(std::log(2.0) + student.log_sf(t), fisher.log_sf(t * t)) < kTolerance);
      CHECK(relative_error(2.0 * by_table(student, t).p, by_table(fisher, t * t).p) < kTolerance);
    }
  }
}

TEST_CASE("tails are monotone") {
  check_monotone(StudentT(1.0), -100.0, 100.0);
  check_monotone(StudentT(96.0), -60.0, 60.0);
  check_monotone(StudentT(1e5), -60.0, 60.0);
  check_monotone(FisherF(1.0, 20.0), 1e-3, 30.0);
  check_monotone(FisherF(5.0, 1e5), 1e-3, 700.0);
}

TEST_CASE("a result does not depend on its place in the array, nor on which outputs are wanted") {
  check_blocking(StudentT(96.0));
  check_blocking(StudentT(0.7));
  check_blocking(FisherF(3.0, 96.0));
  check_blocking(FisherF(1.0, 0.5));
  StudentT(3.0).p_and_z(nullptr, 0, nullptr, nullptr);
}

TEST_CASE("a table that is kept is that of its own distribution") {
  const std::vector<double> values{-7.5, -1.0, 0.0, 0.3, 2.5, 12.0};
  const auto found = [&](const auto& distribution) {
    std::vector<double> p(values.size());
    std::vector<double> z(values.size());
    distribution.p_and_z(values.data(), static_cast<std::ptrdiff_t>(values.size()), p.data(),
                         z.data());
    p.insert(p.end(), z.begin(), z.end());
    return p;
  };
  // Twice, with more distributions in between than are kept; t and F have numbers in common.
  const auto all = [&] {
    std::vector<std::vector<double>> each;
    for (int df = 3; df < 20; ++df) {
      each.push_back(found(StudentT(df)));
      each.push_back(found(StudentT(df)));
      each.push_back(found(FisherF(df, 12.0)));
      each.push_back(found(FisherF(12.0, df)));
    }
    return each;
  };
  const auto once = all();
  const auto again = all();
  for (std::size_t i = 0; i < once.size(); ++i) {
    CAPTURE(i);
    for (std::size_t k = 0; k < once[i].size(); ++k) {
      CHECK((once[i][k] == again[i][k] || std::isnan(once[i][k])));
    }
    if (i % 4 == 1) CHECK(once[i] == once[i - 1]);
    if (i >= 4 && i % 4 == 0) CHECK(once[i] != once[i - 4]);
  }
}

TEST_CASE("limits and arguments that are no numbers") {
  for (const double df : {0.5, 1.0, 96.0}) {
    const StudentT student(df);
    const FisherF fisher(2.0, df);
    CHECK(by_table(student, kInfinity).p == 0.0);
    CHECK(by_table(student, kInfinity).z == kInfinity);
    CHECK(by_table(student, -kInfinity).p == 1.0);
    CHECK(by_table(student, -kInfinity).z == -kInfinity);
    CHECK(by_table(student, 0.0).z == 0.0);
    CHECK(relative_error(by_table(student, 0.0).p, 0.5) < 1e-14);
    CHECK(student.log_sf(-kInfinity) == 0.0);
    CHECK(student.log_sf(kInfinity) == -kInfinity);
    CHECK(by_table(fisher, 0.0).p == 1.0);
    CHECK(by_table(fisher, 0.0).z == -kInfinity);
    CHECK(by_table(fisher, kInfinity).p == 0.0);
    CHECK(by_table(fisher, kInfinity).z == kInfinity);
    CHECK(fisher.log_sf(0.0) == 0.0);
    CHECK(fisher.log_cdf(0.0) == -kInfinity);
    CHECK(fisher.log_sf(kInfinity) == -kInfinity);
    CHECK(fisher.log_cdf(kInfinity) == 0.0);
    for (const double bad : {kNaN, -1.0, -1e-300, -kInfinity}) {
      CHECK(std::isnan(by_table(fisher, bad).p));
      CHECK(std::isnan(by_table(fisher, bad).z));
      CHECK(std::isnan(fisher.log_sf(bad)));
      CHECK(std::isnan(fisher.log_cdf(bad)));
    }
    CHECK(std::isnan(by_table(student, kNaN).p));
    CHECK(std::isnan(by_table(student, kNaN).z));
    CHECK(std::isnan(student.log_sf(kNaN)));
  }
}

TEST_CASE("far outside the stated domain the leading terms still hold") {
  // P(T > t) -> t^-df df^((df - 1) / 2) / B(1/2, df/2); for df = 2 that is 1 / (2 t^2).
  const StudentT two(2.0);
  CHECK(relative_error(two.log_sf(1e250), -std::log(2.0) - 500.0 * std::log(10.0)) < 1e-15);
  // z = t f(0) sqrt(2 pi) around zero, and f(0) = 1 / sqrt(8) for df = 2.
  const double slope = std::sqrt(std::acos(-1.0)) / 2.0;
  CHECK(relative_error(by_table(two, 1e-250).z, 1e-250 * slope) < 1e-14);
  const StudentT nearly_normal(1e12);
  CHECK(relative_error(nearly_normal.log_sf(8.0), normal_log_sf(8.0)) < 2e-9);  // z^3 / (4 df)
}

TEST_CASE("degrees of freedom must be finite and positive") {
  for (const double bad : {0.0, -3.0, kNaN, kInfinity}) {
    CHECK_THROWS_AS(StudentT{bad}, std::invalid_argument);
    CHECK_THROWS_AS(FisherF(bad, 1.0), std::invalid_argument);
    CHECK_THROWS_AS(FisherF(1.0, bad), std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS(FisherF(1.0, -3.0), doctest::Contains("df_denominator is -3"),
                       std::invalid_argument);
}
