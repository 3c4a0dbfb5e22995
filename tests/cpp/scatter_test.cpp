// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include <doctest/doctest.h>

#include <vector>

using groupglm::gather;
using groupglm::scatter;

TEST_CASE_TEMPLATE("scatter puts values at their places and zero elsewhere", Scalar, float,
                   double) {
  const std::vector<std::int64_t> places{0, 2, 3, 4, 7};
  const std::vector<Scalar> row{Scalar(1.5), Scalar(-2), Scalar(3), Scalar(4), Scalar(5)};
  std::vector<float> volume(9, 42.0F);
  scatter(row.data(), places.data(), 5, volume.data(), 9);
  CHECK(volume == std::vector<float>{1.5F, 0, -2, 3, 4, 0, 0, 5, 0});
}

TEST_CASE("scatter of nothing clears the volume") {
  std::vector<float> volume(3, 42.0F);
  scatter<double>(nullptr, nullptr, 0, volume.data(), 3);
  CHECK(volume == std::vector<float>{0, 0, 0});
}

TEST_CASE_TEMPLATE("gather reads runs one after the other", Scalar, float, double) {
  const std::vector<Scalar> volume{9, 8, 7, 6, 5, 4, 3};
  const auto read = [&](const std::vector<std::int64_t>& runs, std::size_t n) {
    std::vector<Scalar> row(n, Scalar(42));
    gather(volume.data(), runs.data(), static_cast<Eigen::Index>(runs.size() / 2), row.data());
    return row;
  };
  CHECK(read({0, 7}, 7) == volume);
  CHECK(read({0, 1, 2, 3, 6, 1}, 5) == std::vector<Scalar>{9, 7, 6, 5, 3});
  CHECK(read({}, 0).empty());
}
