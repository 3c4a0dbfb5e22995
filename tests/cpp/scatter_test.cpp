// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/scatter.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using groupglm::gather;
using groupglm::narrow;
using groupglm::scatter;

TEST_CASE_TEMPLATE("scatter puts values at their places and zero elsewhere", Scalar, float,
                   double) {
  const std::vector<std::int64_t> places{0, 2, 3, 4, 7};
  const std::vector<Scalar> row{Scalar(1.5), Scalar(-2), Scalar(3), Scalar(4), Scalar(5)};
  std::vector<float> volume(9, 42.0F);
  scatter(row.data(), places.data(), 5, volume.data(), 9);
  CHECK(volume == std::vector<float>{1.5F, 0, -2, 3, 4, 0, 0, 5, 0});
}

TEST_CASE("scatter says whether float holds all finite values") {
  constexpr double most = std::numeric_limits<float>::max();
  constexpr double least = std::numeric_limits<float>::min();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr Eigen::Index n = 5000;  // more than are looked at together
  std::vector<std::int64_t> places(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    places[static_cast<std::size_t>(i)] = i + i / 7;  // in runs of seven
  }
  std::vector<float> volume(2 * n);
  std::vector<float> narrowed(n);
  const auto is_held = [&](double value, std::size_t place) {
    std::vector<double> row(n, 1.0);
    row[place] = value;
    const bool held = scatter(row.data(), places.data(), n, volume.data(), 2 * n);
    CHECK(narrow(row.data(), n, narrowed.data()) == held);
    return held;
  };
  for (const std::size_t place : {0U, 1U, 1023U, 1024U, 1030U, 1031U, 2055U, 4999U}) {
    CAPTURE(place);
    for (const double sign : {-1.0, 1.0}) {
      CHECK(is_held(sign * most, place));
      CHECK_FALSE(is_held(sign * 2 * most, place));
      CHECK(is_held(sign * least, place));
      CHECK_FALSE(is_held(sign * least / 2, place));
      CHECK_FALSE(is_held(sign * 1e-300, place));
      CHECK(is_held(sign * 0.0, place));
      CHECK(is_held(sign * infinity, place));
    }
    CHECK(is_held(std::numeric_limits<double>::quiet_NaN(), place));
  }
}

TEST_CASE_TEMPLATE("narrow puts every value at its own place", Scalar, float, double) {
  constexpr Eigen::Index n = 2500;  // more than are looked at together
  std::vector<Scalar> row(n);
  for (Eigen::Index i = 0; i < n; ++i) row[static_cast<std::size_t>(i)] = Scalar(i) / Scalar(3);
  std::vector<float> out(n + 1, 42.0F);
  CHECK(narrow(row.data(), n, out.data()));
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(out[i] == static_cast<float>(row[i]));
  CHECK(out.back() == 42.0F);
  CHECK(narrow<Scalar>(nullptr, 0, nullptr));
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

TEST_CASE_TEMPLATE("a row is all of a volume whose rest is +0", Scalar, float, double) {
  std::vector<Scalar> volume(100, Scalar(0));
  const std::vector<std::int64_t> runs{10, 2, 12, 1, 99, 1};
  volume[11] = Scalar(2);
  volume[99] = Scalar(3);
  std::vector<Scalar> row(4, Scalar(42));
  const auto holds_all = [&] {
    return groupglm::gather_rest_is_zero(volume.data(), 100, runs.data(), 3, row.data());
  };
  CHECK(holds_all());
  CHECK(row == std::vector<Scalar>{0, 2, 0, 3});
  for (const std::size_t place : {0U, 9U, 13U, 98U}) {
    for (const Scalar value : {Scalar(1), Scalar(-0.0), std::numeric_limits<Scalar>::quiet_NaN()}) {
      volume[place] = value;
      CHECK(!holds_all());
    }
    volume[place] = Scalar(0);
  }
  CHECK(holds_all());
  CHECK(!groupglm::gather_rest_is_zero<Scalar>(volume.data(), 100, nullptr, 0, row.data()));
}
