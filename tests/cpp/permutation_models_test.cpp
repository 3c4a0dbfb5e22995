// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "groupglm/permutation/mixed.hpp"
#include "groupglm/permutation/voxelwise.hpp"

using namespace groupglm;

namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Four images, of which voxel 1 lacks the second; voxel 0 is another pattern or none.
struct Problem {
  std::vector<std::int64_t> columns{1};
  std::vector<std::int64_t> starts{0, 1};
  std::vector<std::uint8_t> present{1, 0, 1, 1};
  std::int64_t rank = 0;
  std::int64_t table = 0;
  std::vector<double> heads{2.0, 0.0, 1.0};  // leaves every statistic as it is
  std::vector<double> values{0, 0, 0, 0};
  std::vector<std::int64_t> order{0, 1, 2, 3, 0, 1, 2, 3};
  std::vector<double> signs{1, 1, 1, 1, -1, -1, 1, 1};
  std::vector<double> best = std::vector<double>(2, -1e9);
  std::vector<double> maps = std::vector<double>(4, 7.0);
  std::vector<double> least = std::vector<double>(4, 7.0);

  PresentPatterns patterns() const {
    return {columns.data(), starts.data(), present.data(), &rank, &table, 1};
  }
  EquivalentTables tables() const { return {heads.data(), values.data(), 1, 2}; }
  Orders orders() const { return {order.data(), signs.data(), 2}; }
  PermutedOutputs out() { return {best.data(), maps.data(), least.data()}; }
};

template <typename Scalar>
std::vector<Scalar> beside_another(const std::vector<double>& column) {
  std::vector<Scalar> rows;
  for (const double value : column) {
    rows.insert(rows.end(), {Scalar(1), static_cast<Scalar>(value)});
  }
  return rows;
}

}  // namespace

TEST_CASE_TEMPLATE("flips of effects with known variances", Scalar, float, double) {
  const std::vector<double> y = {1.0, kMissing, 2.5, -0.5};
  const std::vector<double> v = {0.5, 1.0, 0.25, 2.0};
  const auto effects = beside_another<Scalar>(y);
  const auto variances = beside_another<Scalar>(v);
  const DataView<Scalar> data{effects.data(), 4, 2, 2, 1};
  const DataView<Scalar> beside{variances.data(), 4, 2, 2, 1};
  const std::vector<double> effect(4, 0.5);
  const std::vector<std::int64_t> groups(4, 0);
  for (const double tau2 : {0.0, 0.5}) {
    for (const int n_threads : {1, 2}) {
      Problem problem;
      PermutedMixed model{Eigen::Map<const RowMatrix>(effect.data(), 1, 4),
                          Eigen::Map<const RowMatrix>(nullptr, 0, 4), groups.data()};
      model.method = Tau2Method::given;
      model.given = tau2;
      model.scale = MixedScale::one;
      model.flips = true;
      permuted_mixed_statistics(data, beside, model, problem.patterns(), problem.tables(),
                                problem.orders(), problem.out(), n_threads);
      for (std::size_t b = 0; b < 2; ++b) {
        double sum = 0;
        double weight = 0;
        for (std::size_t i = 0; i < 4; ++i) {
          if (std::isnan(y[i])) continue;
          sum += problem.signs[4 * b + i] * y[i] / (v[i] + tau2);
          weight += 1 / (v[i] + tau2);
        }
        const double z = sum / std::sqrt(weight);
        CHECK(problem.maps[2 * b + 1] == doctest::Approx(z).epsilon(1e-12));
        CHECK(problem.best[b] == doctest::Approx(std::abs(z)).epsilon(1e-12));
        CHECK(problem.maps[2 * b] == 7.0);  // a column of no pattern stays
        CHECK(problem.least[2 * b + 1] < std::abs(z));
        CHECK(problem.least[2 * b + 1] == doctest::Approx(std::abs(z)).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("effects that are the same have no statistic where the nuisance explains them") {
  const std::vector<double> y(8, 3.0);
  const std::vector<double> v(8, 1.0);
  const DataView<double> data{y.data(), 4, 2, 2, 1};
  const DataView<double> beside{v.data(), 4, 2, 2, 1};
  const std::vector<double> effect = {0.5, 0.5, -0.5, -0.5};
  const std::vector<double> nuisance(4, 0.5);
  const std::vector<std::int64_t> groups(4, 0);
  Problem problem;
  problem.present = {1, 1, 1, 1};
  problem.rank = 1;
  PermutedMixed model{Eigen::Map<const RowMatrix>(effect.data(), 1, 4),
                      Eigen::Map<const RowMatrix>(nuisance.data(), 1, 4), groups.data()};
  permuted_mixed_statistics(data, beside, model, problem.patterns(), problem.tables(),
                            problem.orders(), problem.out(), 1);
  CHECK(problem.maps[1] == 0.0);
  CHECK(std::isnan(problem.least[1]));
  CHECK(problem.best[0] == -1e9);
}

TEST_CASE_TEMPLATE("a column by voxel, with weights", Scalar, float, double) {
  // The slope through zero of y on z: t = sum(w z y) / sqrt(s2 sum(w z^2)).
  const std::vector<double> y = {1.0, kMissing, 2.5, -0.5};
  const std::vector<double> w = {2.0, 1.0, 1.0, 0.5};
  const std::vector<double> z = {1.0, 1.0, -2.0, 4.0};
  const auto effects = beside_another<Scalar>(y);
  const auto weights = beside_another<Scalar>(w);
  const auto covariate = beside_another<Scalar>(z);
  const DataView<Scalar> data{effects.data(), 4, 2, 2, 1};
  const DataView<Scalar> weight{weights.data(), 4, 2, 2, 1};
  const BesideRows<Scalar> beside{&weight, {DataView<Scalar>{covariate.data(), 4, 2, 2, 1}}};
  const double one = 1.0;
  const VoxelwiseTest model{Eigen::Map<const RowMatrix>(nullptr, 4, 0),
                            Eigen::Map<const RowMatrix>(&one, 1, 1),
                            Eigen::Map<const RowMatrix>(nullptr, 1, 0), false};
  for (const int n_threads : {1, 2}) {
    Problem problem;
    permuted_voxelwise_statistics(data, beside, model, problem.patterns(), problem.tables(),
                                  problem.orders(), problem.out(), n_threads);
    for (std::size_t b = 0; b < 2; ++b) {
      double zy = 0;
      double zz = 0;
      double yy = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        if (std::isnan(y[i])) continue;
        zy += problem.signs[4 * b + i] * w[i] * z[i] * y[i];
        zz += w[i] * z[i] * z[i];
        yy += w[i] * y[i] * y[i];
      }
      const double t = zy / std::sqrt(zz * (yy - zy * zy / zz) / 2);
      CHECK(problem.maps[2 * b + 1] == doctest::Approx(t).epsilon(1e-12));
      CHECK(problem.best[b] == doctest::Approx(t).epsilon(1e-12));
    }
  }
}

TEST_CASE("no columns at all, and no patterns") {
  const std::vector<double> none;
  const DataView<double> data{none.data(), 4, 0, 0, 1};
  const std::vector<double> effect(4, 0.5);
  const std::vector<std::int64_t> groups(4, 0);
  Problem problem;
  problem.starts = {0};
  const PresentPatterns patterns{nullptr, problem.starts.data(), nullptr, nullptr, nullptr, 0};
  const PermutedMixed model{Eigen::Map<const RowMatrix>(effect.data(), 1, 4),
                            Eigen::Map<const RowMatrix>(nullptr, 0, 4), groups.data()};
  permuted_mixed_statistics(data, data, model, patterns, problem.tables(), problem.orders(),
                            problem.out(), 2);
  CHECK(problem.best[0] == -1e9);
}
