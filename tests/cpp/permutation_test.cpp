// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/permutation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "groupglm/permutation/groups.hpp"

using namespace groupglm;

namespace {

// Rows (B, 1, n) of a one-sample test: signs over the root of n.
std::vector<double> sign_rows(const std::vector<std::vector<double>>& signs) {
  std::vector<double> rows;
  for (const auto& pattern : signs) {
    for (const double sign : pattern) {
      rows.push_back(sign / std::sqrt(static_cast<double>(pattern.size())));
    }
  }
  return rows;
}

template <typename Scalar>
std::vector<Scalar> normal(Index n, Index n_voxels) {
  std::mt19937 generator(7);
  std::normal_distribution<double> law;
  std::vector<Scalar> values(static_cast<std::size_t>(n * n_voxels));
  for (auto& value : values) value = static_cast<Scalar>(law(generator));
  return values;
}

PermutedModel one_sample(Index n) {
  return {Eigen::Map<const RowMatrix>(nullptr, 0, n), 1, static_cast<double>(n - 1), true};
}

}  // namespace

TEST_CASE_TEMPLATE("t of flipped signs is that of its formula", Scalar, float, double) {
  const Index n = 5;
  for (const Index n_voxels : {1, 31, 32, 33, 300}) {
    CAPTURE(n_voxels);
    const auto y = normal<Scalar>(n, n_voxels);
    const std::vector<std::vector<double>> signs = {{1, 1, 1, 1, 1}, {1, -1, 1, 1, -1}};
    const auto rows = sign_rows(signs);
    std::vector<double> best(2);
    std::vector<double> maps(static_cast<std::size_t>(2 * n_voxels));
    const DataView<Scalar> data{y.data(), n, n_voxels, n_voxels, 1};
    permuted_statistics(data, one_sample(n), {rows.data(), 2, 1}, {best.data(), maps.data()}, 2);
    for (std::size_t b = 0; b < 2; ++b) {
      double largest = 0;
      for (Index v = 0; v < n_voxels; ++v) {
        double mean = 0;
        for (Index i = 0; i < n; ++i)
          mean += signs[b][static_cast<std::size_t>(i)] * data(i, v) / 5;
        double squares = 0;
        for (Index i = 0; i < n; ++i) {
          const double rest = signs[b][static_cast<std::size_t>(i)] * data(i, v) - mean;
          squares += rest * rest;
        }
        const double t = mean / std::sqrt(squares / 4 / 5);
        const auto at = b * static_cast<std::size_t>(n_voxels) + static_cast<std::size_t>(v);
        CHECK(maps[at] == doctest::Approx(t).epsilon(1e-10));
        largest = std::max(largest, std::abs(t));
      }
      CHECK(best[b] == doctest::Approx(largest).epsilon(1e-10));
    }
  }
}

TEST_CASE("voxels that do not vary take no part") {
  const Index n = 4;
  const Index n_voxels = 40;
  auto y = normal<double>(n, n_voxels);
  const std::vector<double> basis(4, 0.5);
  for (Index i = 0; i < n; ++i) y[static_cast<std::size_t>(i * n_voxels + 3)] = 1e6;
  const PermutedModel model{Eigen::Map<const RowMatrix>(basis.data(), 1, n), 1, 2, false};
  const DataView<double> data{y.data(), n, n_voxels, n_voxels, 1};
  const std::vector<double> rows = {0.5, 0.5, -0.5, -0.5};
  std::vector<double> best(1);
  std::vector<double> maps(40, 9.0);
  std::vector<double> least(40, 9.0);
  permuted_statistics(data, model, {rows.data(), 1, 1}, {best.data(), maps.data(), least.data()},
                      1);
  CHECK(maps[3] == 0);
  for (std::size_t v = 0; v < least.size(); ++v) CHECK(std::isnan(least[v]) == (v == 3));
  CHECK(best[0] == doctest::Approx(*std::max_element(maps.begin(), maps.end())));
  const DataView<double> alone{y.data() + 3, n, 1, n_voxels, 1};
  permuted_statistics(alone, model, {rows.data(), 1, 1}, {best.data(), maps.data()}, 1);
  CHECK(best[0] == -std::numeric_limits<double>::infinity());
}

TEST_CASE("t is infinite where nothing is left of the residuals, and exact close to that") {
  // The second voxel's squares add up to 4 (1 + tiny), and 1 - r2 of them is 2e-18, which no
  // difference of squares can give.
  const double tiny = 1e-9;
  const std::vector<double> y = {2, 2, 2, 2 + 2 * tiny, 2, 2 - 2 * tiny};
  const auto rows = sign_rows({{1, 1, 1}, {1, -1, 1}});
  std::vector<double> best(2);
  std::vector<double> map(4);
  std::vector<double> least(4);
  const DataView<double> data{y.data(), 3, 2, 2, 1};
  permuted_statistics(data, one_sample(3), {rows.data(), 2, 1},
                      {best.data(), map.data(), least.data()}, 1);
  CHECK(best[0] == std::numeric_limits<double>::infinity());
  CHECK(map[0] == std::numeric_limits<double>::infinity());
  const double t = map[1];
  CHECK(t == doctest::Approx(std::sqrt(3.0) / tiny).epsilon(1e-6));
  CHECK(best[1] == doctest::Approx(0.5));
  CHECK(least[0] > 1e8);
  CHECK(least[0] < least[1] * 2);
  CHECK(least[2] == doctest::Approx(0.5));
}

TEST_CASE("no voxels and no permutations") {
  const std::vector<double> y(6);
  std::vector<double> best(1, 5.0);
  const auto rows = sign_rows({{1, 1, 1}});
  const DataView<double> none{y.data(), 3, 0, 0, 1};
  permuted_statistics(none, one_sample(3), {rows.data(), 1, 1}, {best.data(), nullptr}, 2);
  CHECK(best[0] == -std::numeric_limits<double>::infinity());
  const DataView<double> data{y.data(), 3, 2, 2, 1};
  permuted_statistics(data, one_sample(3), {rows.data(), 0, 1}, {best.data(), nullptr}, 2);
}

TEST_CASE("v of two groups is Welch's t, for any number of threads") {
  const Index n = 7;
  const Index n_voxels = 70;
  auto y = normal<float>(n, n_voxels);
  // At voxel 0 the first group does not vary, at voxel 1 no group does.
  for (Index i = 0; i < n; ++i) {
    float* const row = y.data() + i * n_voxels;
    if (i < 3) row[0] = 2;
    row[1] = i < 3 ? 2 : 1;
  }
  // Difference of the means of 3 and 4, after the mean of all.
  std::vector<double> effect(7);
  for (Index i = 0; i < n; ++i) {
    effect[static_cast<std::size_t>(i)] = (i < 3 ? 1.0 / 3 : -0.25) / std::sqrt(7.0 / 12);
  }
  std::vector<double> mean(7, 1 / std::sqrt(7.0));
  std::vector<double> rows;
  std::vector<double> members;
  std::vector<double> gram;
  for (int g = 0; g < 2; ++g) {
    for (const std::vector<double>* column : {&effect, &mean}) {
      for (Index i = 0; i < n; ++i) {
        rows.push_back((i < 3) == (g == 0) ? (*column)[static_cast<std::size_t>(i)] : 0);
      }
    }
    for (Index i = 0; i < n; ++i) members.push_back((i < 3) == (g == 0) ? 1 : 0);
    const double size = g == 0 ? 3 : 4;
    const double e = g == 0 ? effect[0] : effect[6];
    gram.insert(gram.end(), {size * e * e, size * e * mean[0], size * e * mean[0], size / 7});
  }
  const std::vector<double> freedom = {2, 3};
  const std::vector<double> sizes = {3, 4};
  const GroupedModel model{{Eigen::Map<const RowMatrix>(mean.data(), 1, n), 1, 1, true},
                           gram.data(),
                           freedom.data(),
                           sizes.data(),
                           2,
                           2};
  const DataView<float> data{y.data(), n, n_voxels, n_voxels, 1};
  std::vector<double> best(1);
  std::vector<double> maps(70);
  permuted_g_statistics(data, model, {rows.data(), members.data(), 1}, {best.data(), maps.data()},
                        1);
  for (Index v = 0; v < n_voxels; ++v) {
    double means[2] = {0, 0};
    double variances[2] = {0, 0};
    for (Index i = 0; i < n; ++i) means[i < 3 ? 0 : 1] += data(i, v) / (i < 3 ? 3.0 : 4.0);
    for (Index i = 0; i < n; ++i) {
      const double rest = data(i, v) - means[i < 3 ? 0 : 1];
      variances[i < 3 ? 0 : 1] += rest * rest / (i < 3 ? 2.0 : 3.0);
    }
    const double t = (means[0] - means[1]) / std::sqrt(variances[0] / 3 + variances[1] / 4);
    const double found = maps[static_cast<std::size_t>(v)];
    if (std::isinf(t)) CHECK(found == t);
    if (std::isfinite(t)) CHECK(found == doctest::Approx(t).epsilon(1e-10));
  }
  std::vector<double> again(70);
  std::vector<double> best_again(1);
  permuted_g_statistics(data, model, {rows.data(), members.data(), 1},
                        {best_again.data(), again.data()}, 3);
  CHECK(again == maps);
  CHECK(best_again == best);
}
