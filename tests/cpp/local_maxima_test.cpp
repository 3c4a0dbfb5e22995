// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/local_maxima.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace {

using groupglm::Index;
using groupglm::kExceeded;
using groupglm::local_maxima;
using groupglm::Neighbours;

Neighbours box(Index nx, Index ny, Index nz) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(nx * ny * nz));
  std::iota(indices.begin(), indices.end(), 0);
  return groupglm::neighbours_of_volume({nx, ny, nz}, indices.data(), nx * ny * nz, 26);
}

template <typename Scalar>
std::vector<std::int32_t> found(const std::vector<Scalar>& values,
                                const std::vector<std::int32_t>& labels,
                                const Neighbours& neighbours, int n_threads = 1) {
  std::vector<std::int32_t> n_equal(values.size(), -7);
  local_maxima(values.data(), labels.data(), neighbours, n_equal.data(), n_threads);
  return n_equal;
}

}  // namespace

TEST_CASE_TEMPLATE("a maximum is exceeded by no neighbour of its label", Scalar, float, double) {
  // In a row, the labels below the values.
  const std::vector<Scalar> values{1, 3, 3, 2, 5, 4, 4, 4};
  const std::vector<std::int32_t> labels{1, 1, 1, 1, 2, 1, 1, 1};
  const std::vector<std::int32_t> expected{kExceeded, 1, 1, kExceeded, 0, 1, 2, 1};
  CHECK(found(values, labels, box(8, 1, 1)) == expected);
}

TEST_CASE_TEMPLATE("NaN is no maximum and exceeds nothing, infinity exceeds all", Scalar, float,
                   double) {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  const std::vector<Scalar> values{nan, 1, nan, infinity, 7};
  const std::vector<std::int32_t> labels(5, 0);
  const std::vector<std::int32_t> expected{kExceeded, 0, kExceeded, 0, kExceeded};
  CHECK(found(values, labels, box(5, 1, 1)) == expected);
}

TEST_CASE("inside a plateau all neighbours are equal") {
  const std::vector<double> values(27, 2.5);
  const std::vector<std::int32_t> labels(27, 4);
  const std::vector<std::int32_t> n_equal = found(values, labels, box(3, 3, 3));
  CHECK(n_equal[13] == 26);
  CHECK(n_equal[0] == 7);
  CHECK(n_equal[1] == 11);
  CHECK(n_equal[4] == 17);
}

TEST_CASE("no place, one, and many on any number of threads") {
  const Neighbours none({0}, {});
  CHECK(found<double>({}, {}, none).empty());
  CHECK(found<double>({-1.0}, {3}, box(1, 1, 1)) == std::vector<std::int32_t>{0});
  std::mt19937 engine(5);
  std::vector<double> values(30 * 31 * 32);
  std::vector<std::int32_t> labels(values.size());
  for (double& value : values) value = static_cast<double>(engine() % 50U);
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(engine() % 3U);
  const Neighbours neighbours = box(30, 31, 32);
  const std::vector<std::int32_t> alone = found(values, labels, neighbours, 1);
  CHECK(found(values, labels, neighbours, 3) == alone);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int32_t n_equal = 0;
    const auto place = static_cast<Index>(i);
    for (const std::int32_t* other = neighbours.begin(place); other != neighbours.end(place);
         ++other) {
      const auto at = static_cast<std::size_t>(*other);
      if (labels[at] != labels[i]) continue;
      if (values[at] > values[i]) n_equal = -1000;
      if (values[at] == values[i]) ++n_equal;
    }
    REQUIRE(alone[i] == (n_equal < 0 ? kExceeded : n_equal));
  }
}
