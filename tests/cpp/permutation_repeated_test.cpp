// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "groupglm/permutation/repeated.hpp"

using namespace groupglm;

namespace {

// Three subjects of two images, at one voxel of two; the second rearrangement changes the first
// subject: its images change places, or its sign.
struct Subjects {
  std::vector<double> y{3.0, 4.5, -1.0, 0.25, 8.0, 8.5};
  std::vector<std::int64_t> subjects{0, 0, 1, 1, 2, 2};
  std::vector<std::int64_t> columns{0};
  std::vector<std::int64_t> starts{0, 1};
  std::vector<std::uint8_t> present = std::vector<std::uint8_t>(6, 1);
  std::int64_t rank = 0;
  std::int64_t table = 0;
  std::vector<double> heads{2.0, 0.0, 1.0};  // leaves every statistic as it is
  std::vector<double> values{0, 0, 0, 0};
  std::vector<std::int64_t> order{0, 1, 2, 3, 4, 5, 1, 0, 2, 3, 4, 5};
  std::vector<double> signs = std::vector<double>(12, 1.0);
  std::vector<double> best = std::vector<double>(2, -1e9);
  std::vector<double> maps = std::vector<double>(2, 7.0);

  template <typename Scalar>
  std::vector<Scalar> data() const {
    return {y.begin(), y.end()};
  }
  PresentPatterns patterns() const {
    return {columns.data(), starts.data(), present.data(), &rank, &table, 1};
  }
  EquivalentTables tables() const { return {heads.data(), values.data(), 1, 2}; }
  Orders orders() const { return {order.data(), signs.data(), 2}; }
  PermutedOutputs out() { return {best.data(), maps.data(), nullptr}; }
};

double paired_t(const std::vector<double>& difference) {
  double mean = 0;
  for (const double d : difference) mean += d / 3;
  double square = 0;
  for (const double d : difference) square += (d - mean) * (d - mean);
  return mean / std::sqrt(square / 2 / 3);
}

}  // namespace

TEST_CASE_TEMPLATE("with pairs that differ much, a random intercept is the paired t", Scalar, float,
                   double) {
  const double share = 1 / std::sqrt(6.0);
  const std::vector<double> effect{-share, share, -share, share, -share, share};
  const std::vector<double> nuisance(6, share);
  for (const int n_threads : {1, 2}) {
    Subjects problem;
    problem.rank = 1;
    const auto values = problem.data<Scalar>();
    const DataView<Scalar> data{values.data(), 6, 1, 1, 1};
    const PermutedRepeated model{Eigen::Map<const RowMatrix>(effect.data(), 1, 6),
                                 Eigen::Map<const RowMatrix>(nuisance.data(), 1, 6),
                                 problem.subjects.data(), 3, false};
    permuted_repeated_statistics(data, model, problem.patterns(), problem.tables(),
                                 problem.orders(), problem.out(), n_threads);
    CHECK(problem.maps[0] == doctest::Approx(paired_t({1.5, 1.25, 0.5})).epsilon(1e-9));
    CHECK(problem.maps[1] == doctest::Approx(paired_t({-1.5, 1.25, 0.5})).epsilon(1e-9));
    CHECK(problem.best[0] == problem.maps[0]);
  }
}

TEST_CASE_TEMPLATE("signs of subjects, and the sandwich of their sums", Scalar, float, double) {
  const std::vector<double> effect(6, 1 / std::sqrt(6.0));
  Subjects problem;
  problem.order = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
  problem.signs[6] = problem.signs[7] = -1;
  const auto values = problem.data<Scalar>();
  const DataView<Scalar> data{values.data(), 6, 1, 1, 1};
  const PermutedRepeated model{Eigen::Map<const RowMatrix>(effect.data(), 1, 6),
                               Eigen::Map<const RowMatrix>(nullptr, 0, 6), problem.subjects.data(),
                               3, false};
  bootstrapped_sandwich_statistics(data, model, {Adjustment::none, Adjustment::none},
                                   problem.patterns(), problem.tables(), problem.orders(),
                                   problem.out(), 1);
  for (std::size_t b = 0; b < 2; ++b) {
    std::vector<double> sums(3, 0.0);
    for (std::size_t i = 0; i < 6; ++i) sums[i / 2] += problem.signs[6 * b + i] * problem.y[i];
    const double mean = (sums[0] + sums[1] + sums[2]) / 6;
    double square = 0;
    for (const double sum : sums) square += (sum - 2 * mean) * (sum - 2 * mean);
    CHECK(problem.maps[b] == doctest::Approx(6 * mean / std::sqrt(square)).epsilon(1e-12));
  }
}
