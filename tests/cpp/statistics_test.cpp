// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/statistics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

#include "groupglm/special/tails.hpp"
#include "special_tables.hpp"

namespace {

using groupglm::Index;
using groupglm::NullDistribution;
using groupglm::StatType;

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// What special/tails.hpp promises: of z around zero absolutely, as it passes through zero for F.
constexpr double kTolerance = 1e-12;
constexpr double kSmallZ = 0.01;
constexpr double kSmallZTolerance = 1e-14;
constexpr double kSmallestP = 1e-300;

struct Found {
  Values stat;
  Values p;
  Values z;
  bool operator==(const Found& other) const {
    return same(stat, other.stat) && same(p, other.p) && same(z, other.z);
  }
  static bool same(const Values& x, const Values& y) {  // NaN too
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof x[0]) == 0;
  }
};

struct Tested {
  StatType type = StatType::t;
  double rank = 1;
  Values effect;
  Values variance;
  Values df;
  double df_common = kNaN;

  Found statistics(int n_threads = 1) const {
    const std::size_t n = effect.size();
    Found found{Values(n), Values(n), Values(n)};
    const NullDistribution null{type, rank, df_common, df.empty() ? nullptr : df.data()};
    groupglm::test_statistics(null, effect.data(), variance.data(), static_cast<Index>(n),
                              {found.stat.data(), found.p.data(), found.z.data()}, n_threads);
    return found;
  }
};

double relative_error(double value, double expected) {
  if (std::fabs(expected) < kSmallestP) return std::fabs(value) < 2 * kSmallestP ? 0.0 : kInfinity;
  return std::fabs(value - expected) / std::fabs(expected);
}

void check_z(double z, double expected, bool passes_zero) {
  if (passes_zero && std::fabs(expected) < kSmallZ) {
    CHECK(std::fabs(z - expected) < kSmallZTolerance);
  } else {
    CHECK(relative_error(z, expected) < kTolerance);
  }
}

// Places of every kind: whole and real degrees of freedom, few and many of them, and NaN.
Tested places_of_every_kind(StatType type, std::size_t n) {
  std::mt19937_64 generator(3);
  std::normal_distribution<double> normal(0.0, 2.0);
  std::uniform_real_distribution<double> uniform(0.5, 2000.0);
  const Values special = {kNaN, 0.0, -1.0, kInfinity, 1e40, 0.25, 1024.0, 1025.0};
  Tested tested;
  tested.type = type;
  tested.rank = type == StatType::t ? 1.0 : 3.0;
  tested.df_common = 17.5;
  for (std::size_t i = 0; i < n; ++i) {
    const double effect = normal(generator);
    tested.effect.push_back(type == StatType::t ? effect : effect * effect);
    tested.variance.push_back(i % 11 == 0 ? 0.0 : 0.5 + static_cast<double>(i % 3));
    const double drawn = uniform(generator);
    const Values choices = {drawn, std::floor(drawn / 60.0), 17.5, special[i % special.size()]};
    tested.df.push_back(choices[(i / 2) % choices.size()]);
  }
  return tested;
}

}  // namespace

TEST_CASE("statistics of real-valued degrees of freedom agree with mpmath") {
  Tested t;
  for (const auto& row : special_tables::kRealTTable) {
    t.effect.push_back(2.0 * row.t);
    t.variance.push_back(4.0);
    t.df.push_back(row.df);
  }
  const Found of_t = t.statistics();
  for (std::size_t i = 0; i < t.df.size(); ++i) {
    const auto& row = special_tables::kRealTTable[i];
    CAPTURE(row.df);
    CAPTURE(row.t);
    CHECK(of_t.stat[i] == row.t);
    CHECK(relative_error(of_t.p[i], row.p) < kTolerance);
    check_z(of_t.z[i], row.z, false);
  }
  for (const auto& row : special_tables::kRealFTable) {
    CAPTURE(row.rank);
    CAPTURE(row.df);
    CAPTURE(row.f);
    // Variance 1 / rank, so that F is the number tabulated to the last bit.
    Tested f{StatType::F, row.rank, {row.f}, {1.0 / row.rank}, {row.df}};
    f.effect[0] *= f.variance[0] * row.rank;
    const Found found = f.statistics();
    REQUIRE(relative_error(found.stat[0], row.f) < 3e-16);
    // The effect of the statistic's last bit: |d log p / d log f| is at most the exponent's size.
    CHECK(relative_error(found.p[0], row.p) < kTolerance);
    check_z(found.z[0], row.z, true);
  }
}

TEST_CASE("infinite degrees of freedom are the normal and the chi-square") {
  const double shared = kInfinity;
  for (const bool one_for_all : {true, false}) {
    CAPTURE(one_for_all);
    for (double t = -37.0; t < 38.0; t += 0.37) {
      CAPTURE(t);
      Tested tested{StatType::t, 1.0, {t}, {1.0}, {}, shared};
      if (!one_for_all) tested.df.assign(1, kInfinity);
      const Found found = tested.statistics();
      check_z(found.z[0], t, false);
      CHECK(relative_error(found.p[0], std::exp(groupglm::normal_log_sf(t))) < kTolerance);
    }
    for (const auto& row : special_tables::kChiSquareTable) {
      CAPTURE(row.rank);
      CAPTURE(row.f);
      Tested tested{StatType::F, row.rank, {row.f * row.rank}, {1.0}, {}, shared};
      if (!one_for_all) tested.df.assign(1, kInfinity);
      const Found found = tested.statistics();
      CHECK(relative_error(found.p[0], row.p) < kTolerance);
      check_z(found.z[0], row.z, true);
    }
  }
}

TEST_CASE("statistics: a place has the same bits in any company, with any number of threads") {
  for (const StatType type : {StatType::t, StatType::F}) {
    const Tested all = places_of_every_kind(type, 5000);
    const Found found = all.statistics(1);
    CHECK(all.statistics(2) == found);
    CHECK(all.statistics(7) == found);
    for (std::size_t i = 0; i < all.effect.size(); i += 97) {
      CAPTURE(all.df[i]);
      const Tested one{type,        all.rank,     {all.effect[i]}, {all.variance[i]},
                       {all.df[i]}, all.df_common};
      const Found alone = one.statistics();
      CHECK(alone == Found{{found.stat[i]}, {found.p[i]}, {found.z[i]}});
    }
  }
}

TEST_CASE("a table serves the number that all share and whole numbers, the exact route the rest") {
  const Values effect = {-3.0, 0.1, 2.5, 9.0};
  const Values variance(4, 1.0);
  for (const double df : {12.0, 1024.0, 12.5, 1025.0, 0.75}) {
    CAPTURE(df);
    const groupglm::StudentT tabulated(df);
    const groupglm::StudentT exact = groupglm::StudentT::without_table(df);
    const Found shared = Tested{StatType::t, 1.0, effect, variance, {}, df}.statistics();
    const Found by_place = Tested{StatType::t, 1.0, effect, variance, Values(4, df)}.statistics();
    const bool whole = df == std::floor(df) && df <= groupglm::kLargestTabulated;
    Values p(4);
    Values z(4);
    tabulated.p_and_z(effect.data(), 4, p.data(), z.data());
    CHECK(shared == Found{effect, p, z});
    if (!whole) exact.p_and_z(effect.data(), 4, p.data(), z.data());
    CHECK(by_place == Found{effect, p, z});
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(relative_error(by_place.z[i], shared.z[i]) < kTolerance);
      CHECK(relative_error(by_place.p[i], shared.p[i]) < kTolerance);
    }
  }
}

TEST_CASE("statistics without variance, without degrees of freedom, without a number") {
  Tested t{StatType::t, 1.0, {0.0, -2.0, 3.0, kNaN, 1.0, 1.0, 1.0, 1.0, 1.0}, {}, {}};
  t.variance = {0.0, 0.0, 0.0, 0.0, -1.0, kNaN, 1.0, 1.0, kInfinity};
  t.df = {5.5, 5.5, 5.5, 5.5, 5.5, 5.5, 0.0, kNaN, 5.5};
  const Found found = t.statistics();
  CHECK(found.stat[0] == 0.0);
  CHECK(found.z[0] == 0.0);
  CHECK(relative_error(found.p[0], 0.5) < 1e-15);
  CHECK(found.stat[1] == -kInfinity);
  CHECK(found.p[1] == 1.0);
  CHECK(found.z[1] == -kInfinity);
  CHECK(found.stat[2] == kInfinity);
  CHECK(found.p[2] == 0.0);
  CHECK(found.z[2] == kInfinity);
  for (std::size_t i = 3; i < 8; ++i) {
    CAPTURE(i);
    CHECK(std::isnan(found.stat[i]));
    CHECK(std::isnan(found.p[i]));
    CHECK(std::isnan(found.z[i]));
  }
  CHECK(found.stat[8] == 0.0);

  // For F: a zero effect is no evidence without variance (z = 0), and full evidence against an
  // effect with it (z = -infinity).
  const Found of_f =
      Tested{StatType::F, 2.0, {0.0, 0.0, 4.0}, {0.0, 1.0, 0.0}, {5.5, 5.5, 5.5}}.statistics();
  CHECK(of_f.stat == Values{0.0, 0.0, kInfinity});
  CHECK(of_f.p == Values{1.0, 1.0, 0.0});
  CHECK(of_f.z == Values{0.0, -kInfinity, kInfinity});

  CHECK(Tested{}.statistics().stat.empty());
  const Found none = Tested{StatType::t, 1.0, {1.0}, {1.0}, {}, kNaN}.statistics();
  CHECK(std::isnan(none.stat[0]));
  CHECK(std::isnan(none.z[0]));
  for (const double rank : {0.0, -1.0, kNaN, kInfinity}) {
    const Tested wrong{StatType::F, rank, {1.0}, {1.0}, {5.5}};
    CHECK_THROWS_AS(wrong.statistics(), std::invalid_argument);
  }
}

TEST_CASE("tail probabilities: z alone is the z beside p") {
  for (const StatType type : {StatType::t, StatType::F}) {
    const Tested all = places_of_every_kind(type, 3000);
    const NullDistribution null{type, all.rank, all.df_common, all.df.data()};
    const auto n = static_cast<Index>(all.effect.size());
    Values p(all.effect.size());
    Values z(all.effect.size());
    Values alone(all.effect.size());
    groupglm::tail_probabilities(null, all.effect.data(), n, p.data(), z.data(), 2);
    groupglm::tail_probabilities(null, all.effect.data(), n, nullptr, alone.data(), 1);
    CHECK(Found::same(z, alone));
  }
}
