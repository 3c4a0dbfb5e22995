// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/mesh_smoothing.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

namespace {

using groupglm::Index;
using groupglm::Neighbours;
using groupglm::smooth_on_mesh;

constexpr double kEps = std::numeric_limits<double>::epsilon();

// A ring whose every third place is joined to the one opposite; numbered out of order.
Neighbours ring(Index n) {
  std::vector<std::vector<bool>> joined(static_cast<std::size_t>(n),
                                        std::vector<bool>(static_cast<std::size_t>(n)));
  const auto join = [&](Index a, Index b) {
    const auto first = static_cast<std::size_t>(a * 7 % n);
    const auto second = static_cast<std::size_t>(b * 7 % n);
    if (first != second) joined[first][second] = joined[second][first] = true;
  };
  for (Index i = 0; i < n; ++i) {
    join(i, (i + 1) % n);
    if (i % 3 == 0) join(i, (i + n / 2) % n);
  }
  std::vector<std::int64_t> starts{0};
  std::vector<std::int32_t> places;
  for (const auto& row : joined) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (row[j]) places.push_back(static_cast<std::int32_t>(j));
    }
    starts.push_back(static_cast<std::int64_t>(places.size()));
  }
  return {starts, places};
}

template <typename Scalar>
std::vector<Scalar> random_maps(std::size_t size, unsigned seed, double missing) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::vector<Scalar> values(size);
  for (Scalar& value : values) {
    const bool present = (uniform(engine) + 1) / 2 >= missing;
    const double drawn = uniform(engine);
    value = present ? static_cast<Scalar>(drawn) : std::numeric_limits<Scalar>::quiet_NaN();
  }
  return values;
}

template <typename Scalar>
std::vector<long double> expected(const Scalar* map, const Neighbours& neighbours, int iterations) {
  const Index n = neighbours.n_places();
  std::vector<long double> values(map, map + n);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    const std::vector<long double> before = values;
    for (Index i = 0; i < n; ++i) {
      long double sum = 0;
      int count = 0;
      const auto add = [&](Index j) {
        const long double value = before[static_cast<std::size_t>(j)];
        if (std::isnan(value)) return;
        sum += value;
        ++count;
      };
      add(i);
      for (const std::int32_t* j = neighbours.begin(i); j != neighbours.end(i); ++j) add(*j);
      if (!std::isnan(before[static_cast<std::size_t>(i)])) {
        values[static_cast<std::size_t>(i)] = sum / count;
      }
    }
  }
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("smoothing on a mesh is the repeated mean of present neighbours", Scalar, float,
                   double) {
  // An iteration rounds a sum of at most five values, a share and their product.
  const double eps = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  for (const double missing : {0.0, 0.3}) {
    for (const Index n : {1, 2, 40}) {
      for (const Index n_maps : {1, 2, 8, 11}) {
        const Neighbours neighbours = ring(n);
        const auto before = random_maps<Scalar>(static_cast<std::size_t>(n * n_maps), 3, missing);
        std::vector<Scalar> after = before;
        smooth_on_mesh(after.data(), n_maps, neighbours, 9, 1);
        for (Index m = 0; m < n_maps; ++m) {
          const auto wanted = expected(before.data() + m * n, neighbours, 9);
          for (Index i = 0; i < n; ++i) {
            const Scalar found = after[static_cast<std::size_t>(m * n + i)];
            const long double value = wanted[static_cast<std::size_t>(i)];
            REQUIRE(std::isnan(found) == std::isnan(value));
            if (std::isnan(found)) continue;
            REQUIRE(std::fabs(static_cast<double>(found - value)) <= eps + 9 * 8 * kEps);
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("a map has the same bits alone, among others and on any threads", Scalar, float,
                   double) {
  const Index n = 60;
  const Index n_maps = 21;
  const Neighbours neighbours = ring(n);
  const auto before = random_maps<Scalar>(static_cast<std::size_t>(n * n_maps), 4, 0.1);
  std::vector<Scalar> together = before;
  smooth_on_mesh(together.data(), n_maps, neighbours, 12, 1);
  for (const int threads : {2, 3, 0}) {
    std::vector<Scalar> again = before;
    smooth_on_mesh(again.data(), n_maps, neighbours, 12, threads);
    for (std::size_t i = 0; i < again.size(); ++i) {
      REQUIRE((again[i] == together[i] || std::isnan(before[i])));
    }
  }
  std::vector<Scalar> alone = before;
  for (Index m = 0; m < n_maps; ++m) smooth_on_mesh(alone.data() + m * n, 1, neighbours, 12, 1);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    REQUIRE((alone[i] == together[i] || std::isnan(before[i])));
  }
}

TEST_CASE("nothing to smooth stays as it is, and iterations out of range are refused") {
  const Neighbours neighbours = ring(5);
  std::vector<double> values{1, 2, 3, 4, 5};
  smooth_on_mesh(values.data(), 1, neighbours, 0, 1);
  CHECK(values == std::vector<double>{1, 2, 3, 4, 5});
  smooth_on_mesh(values.data(), 0, neighbours, 3, 1);
  CHECK(values == std::vector<double>{1, 2, 3, 4, 5});
  smooth_on_mesh<double>(nullptr, 1, Neighbours({0}, {}), 3, 1);
  CHECK_THROWS_AS(smooth_on_mesh(values.data(), 1, neighbours, -1, 1), std::invalid_argument);
  CHECK_THROWS_AS(
      smooth_on_mesh(values.data(), 1, neighbours, groupglm::kMaxSmoothingIterations + 1, 1),
      std::invalid_argument);
}
