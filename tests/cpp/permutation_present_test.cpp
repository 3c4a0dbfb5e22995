// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "groupglm/permutation/missing_values.hpp"

using namespace groupglm;

namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// A table that leaves every statistic as it is.
struct Same {
  explicit Same(double df) : heads{df, -1.0, 2.0} {}
  EquivalentTables view() const { return {heads.data(), values.data(), 1, 2}; }
  std::vector<double> heads;
  std::vector<double> values{0, 0, 0, 0};
};

// One-sample t of the values that are not NaN.
double t_of(const std::vector<double>& values) {
  double n = 0;
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    n += 1;
    sum += value;
    squares += value * value;
  }
  return sum / n / std::sqrt((squares - sum * sum / n) / (n - 1) / n);
}

}  // namespace

TEST_CASE_TEMPLATE("flips of the rows present", Scalar, float, double) {
  const std::vector<double> column = {1.0, kMissing, 2.5, -0.5, 4.0};
  std::vector<Scalar> y;
  for (const double value : column) {
    y.insert(y.end(), {Scalar(7), static_cast<Scalar>(value)});  // the first voxel is complete
  }
  const DataView<Scalar> data{y.data(), 5, 2, 2, 1};
  const std::vector<double> effect(5, 1 / std::sqrt(5.0));
  const std::int64_t column_of = 1;
  const std::vector<std::int64_t> starts = {0, 1};
  const std::vector<std::uint8_t> present = {1, 0, 1, 1, 1};
  const std::int64_t zero = 0;
  const PresentPatterns patterns{&column_of, starts.data(), present.data(), &zero, &zero, 1};
  const std::vector<std::int64_t> order = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
  const std::vector<double> signs = {1, 1, 1, 1, 1, -1, -1, 1, -1, 1};
  const Same same(3);
  for (const bool two_sided : {true, false}) {
    const PresentModel model{Eigen::Map<const RowMatrix>(effect.data(), 1, 5),
                             Eigen::Map<const RowMatrix>(nullptr, 0, 5),
                             Rearranged::kNuisanceResiduals, two_sided};
    std::vector<double> best(2, -1e9);
    std::vector<double> maps(4, 9.0);
    permuted_present_statistics(data, model, patterns, same.view(), {order.data(), signs.data(), 2},
                                {best.data(), maps.data()}, 2);
    CHECK(maps[0] == 9.0);  // not ours
    const double flipped = t_of({-1.0, kMissing, 2.5, 0.5, 4.0});
    CHECK(maps[1] == doctest::Approx(t_of(column)).epsilon(1e-12));
    CHECK(maps[3] == doctest::Approx(flipped).epsilon(1e-12));
    CHECK(best[1] == doctest::Approx(two_sided ? std::abs(flipped) : flipped).epsilon(1e-12));
  }
}

TEST_CASE("an absent row is left out of the cycle") {
  // Rows 0 -> 1 -> 2 -> 0 without row 1 are 0 -> 2 -> 0.
  const std::vector<double> y = {3.0, kMissing, 1.0, 2.0};
  const DataView<double> data{y.data(), 4, 1, 1, 1};
  const std::vector<double> effect = {0.5, -0.5, 0.5, -0.5};
  const std::int64_t zero = 0;
  const std::vector<std::int64_t> starts = {0, 1};
  const std::vector<std::uint8_t> present = {1, 0, 1, 1};
  const PresentPatterns patterns{&zero, starts.data(), present.data(), &zero, &zero, 1};
  const std::vector<std::int64_t> order = {1, 2, 0, 3, 2, 1, 0, 3};
  const std::vector<double> signs(8, 1.0);
  const Same same(2);
  const PresentModel model{Eigen::Map<const RowMatrix>(effect.data(), 1, 4),
                           Eigen::Map<const RowMatrix>(nullptr, 0, 4)};
  std::vector<double> best(2, 0.0);
  std::vector<double> maps(2);
  permuted_present_statistics(data, model, patterns, same.view(), {order.data(), signs.data(), 2},
                              {best.data(), maps.data()}, 1);
  CHECK(maps[0] == maps[1]);
}

TEST_CASE("a voxel that does not vary, and no voxel at all") {
  const std::vector<double> y = {2.0, kMissing, 2.0, 2.0};
  const DataView<double> data{y.data(), 4, 1, 1, 1};
  const std::vector<double> effect = {0.5, -0.5, 0.5, -0.5};
  const std::vector<double> constant(4, 0.5);
  const std::int64_t zero = 0;
  const std::int64_t one = 1;
  const std::vector<std::int64_t> starts = {0, 1};
  const std::vector<std::uint8_t> present = {1, 0, 1, 1};
  const std::vector<std::int64_t> order = {0, 1, 2, 3};
  const std::vector<double> signs(4, 1.0);
  const Same same(1);
  const PresentModel model{Eigen::Map<const RowMatrix>(effect.data(), 1, 4),
                           Eigen::Map<const RowMatrix>(constant.data(), 1, 4)};
  double best = -5;
  double map = 9;
  const PresentPatterns patterns{&zero, starts.data(), present.data(), &one, &zero, 1};
  permuted_present_statistics(data, model, patterns, same.view(), {order.data(), signs.data(), 1},
                              {&best, &map}, 1);
  CHECK(map == 0);
  CHECK(best == -5);
  const PresentPatterns none{&zero, starts.data(), present.data(), &one, &zero, 0};
  permuted_present_statistics(data, model, none, same.view(), {order.data(), signs.data(), 1},
                              {&best, &map}, 1);
  CHECK(best == -5);
}
