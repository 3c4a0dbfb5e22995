// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/smoothing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

namespace {

using Eigen::Index;
using groupglm::gaussian_half_kernel;
using groupglm::smooth_volume;
using Shape = std::array<Index, 3>;
using Sigma = std::array<double, 3>;
using Reals = std::vector<long double>;

constexpr double kEps = std::numeric_limits<double>::epsilon();

Index size_of(const Shape& shape) { return shape[0] * shape[1] * shape[2]; }

// The place of a voxel that may be beyond the faces: mirrored at one face after the other.
Index bounced(Index i, Index n) {
  while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
  return i;
}

// The definition, one axis, in long double.
Reals filtered(const Reals& in, const Shape& shape, std::size_t axis, double sigma) {
  if (sigma <= 0) return in;
  Index step = 1;
  for (std::size_t a = 0; a < axis; ++a) step *= shape[a];
  const auto radius = static_cast<Index>(4 * sigma + 0.5);
  Reals weights;
  long double total = 0;
  for (Index k = -radius; k <= radius; ++k) {
    const long double z = static_cast<long double>(k) / static_cast<long double>(sigma);
    weights.push_back(std::exp(-z * z / 2));
    total += weights.back();
  }
  Reals out(in.size());
  for (Index v = 0; v < static_cast<Index>(in.size()); ++v) {
    const Index place = v / step % shape[axis];
    long double sum = 0;
    for (Index k = -radius; k <= radius; ++k) {
      const Index from = v + (bounced(place + k, shape[axis]) - place) * step;
      sum += weights[static_cast<std::size_t>(k + radius)] * in[static_cast<std::size_t>(from)];
    }
    out[static_cast<std::size_t>(v)] = sum / total;
  }
  return out;
}

Reals filtered(Reals values, const Shape& shape, const Sigma& sigma) {
  for (std::size_t axis = 0; axis < 3; ++axis) values = filtered(values, shape, axis, sigma[axis]);
  return values;
}

// Normalised convolution where values are missing.
template <typename Scalar>
Reals expected_for(const std::vector<Scalar>& values, const Shape& shape, const Sigma& sigma) {
  Reals present;
  Reals filled;
  for (const Scalar value : values) {
    present.push_back(std::isnan(value) ? 0.0L : 1.0L);
    filled.push_back(std::isnan(value) ? 0.0L : static_cast<long double>(value));
  }
  const Reals sums = filtered(filled, shape, sigma);
  const Reals weights = filtered(present, shape, sigma);
  Reals out(values.size());
  for (std::size_t v = 0; v < values.size(); ++v) {
    out[v] = std::isnan(values[v]) ? std::numeric_limits<long double>::quiet_NaN()
                                   : sums[v] / weights[v];
  }
  return out;
}

template <typename Scalar>
std::vector<Scalar> random_volume(const Shape& shape, unsigned seed, double missing = 0.0) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::vector<Scalar> values(static_cast<std::size_t>(size_of(shape)));
  for (auto& value : values) {
    const bool present = (uniform(engine) + 1) / 2 >= missing;
    value =
        present ? static_cast<Scalar>(uniform(engine)) : std::numeric_limits<Scalar>::quiet_NaN();
  }
  return values;
}

// The worst difference; infinity where only one of the two is NaN.
template <typename Scalar>
double worst(const std::vector<Scalar>& found, const Reals& expected) {
  double worst = 0;
  for (std::size_t v = 0; v < found.size(); ++v) {
    if (std::isnan(found[v]) && std::isnan(expected[v])) continue;
    const auto difference = static_cast<double>(std::fabs(found[v] - expected[v]));
    worst = std::max(worst, std::isnan(difference) ? HUGE_VAL : difference);
  }
  return worst;
}

// Values of at most one, averaged: each axis' result is rounded once to Scalar (twice in all, for
// the first two axes stay in double), and a sum of r + 1 terms to double.
template <typename Scalar>
double tolerance(double largest_sigma) {
  const double scalar = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  return 2 * scalar + 3 * (4 * largest_sigma + 4) * kEps;
}

const std::vector<Shape> kShapes = {{7, 6, 5},  {1, 1, 1},   {1, 2, 3},  {33, 1, 2},
                                    {2, 65, 3}, {31, 4, 32}, {65, 3, 1}, {3, 2, 40}};
const std::vector<Sigma> kSigmas = {{1.7, 1.7, 1.7}, {0, 0.8, 2.5}, {3.1, 0, 0},
                                    {0, 0, 1.2},     {0, 2, 0},     {20, 9, 5}};

}  // namespace

TEST_CASE_TEMPLATE("smooth_volume is the definition, with and without missing values", Scalar,
                   float, double) {
  for (const Shape& shape : kShapes) {
    for (const Sigma& sigma : kSigmas) {
      for (const double missing : {0.0, 0.3}) {
        CAPTURE(shape[0]);
        CAPTURE(shape[1]);
        CAPTURE(shape[2]);
        CAPTURE(sigma[0]);
        CAPTURE(missing);
        std::vector<Scalar> values = random_volume<Scalar>(shape, 1, missing);
        const Reals expected = expected_for(values, shape, sigma);
        smooth_volume<Scalar>(values.data(), shape, sigma, 1);
        // A quotient has the errors of two sums and its own. They grow where the present weight is
        // small: it is at least half the kernel's centre, which is over 1 / 51 an axis at sigma 20.
        const double magnified = missing > 0 ? 200 : 1;
        CHECK(worst(values, expected) <= magnified * tolerance<Scalar>(20));
      }
    }
  }
}

TEST_CASE_TEMPLATE("the number of threads changes no bit", Scalar, float, double) {
  const Shape shape = {45, 37, 29};
  for (const double missing : {0.0, 0.01}) {
    const std::vector<Scalar> values = random_volume<Scalar>(shape, 2, missing);
    std::vector<Scalar> one = values;
    smooth_volume<Scalar>(one.data(), shape, {1.7, 1.1, 2.3}, 1);
    for (const int n_threads : {2, 3, 8, 0}) {
      std::vector<Scalar> many = values;
      smooth_volume<Scalar>(many.data(), shape, {1.7, 1.1, 2.3}, n_threads);
      const bool same = std::equal(one.begin(), one.end(), many.begin(), [](Scalar a, Scalar b) {
        return a == b || (std::isnan(a) && std::isnan(b));
      });
      CHECK(same);
    }
  }
}

TEST_CASE_TEMPLATE("a constant stays what it is, whatever is missing", Scalar, float, double) {
  const Shape shape = {40, 9, 6};
  const auto constant = static_cast<Scalar>(-3.7);
  for (const bool some_missing : {false, true}) {
    std::vector<Scalar> values(static_cast<std::size_t>(size_of(shape)), constant);
    if (some_missing) values[7] = values[500] = std::numeric_limits<Scalar>::quiet_NaN();
    smooth_volume<Scalar>(values.data(), shape, {2, 3, 1}, 2);
    for (std::size_t v = 0; v < values.size(); ++v) {
      if (some_missing && (v == 7 || v == 500)) {
        CHECK(std::isnan(values[v]));
      } else {
        const auto error = static_cast<double>(std::fabs(values[v] - constant));
        CHECK(error <= 3.7 * 2 * tolerance<Scalar>(3));
      }
    }
  }
}

TEST_CASE("an axis without smoothing is left alone, and so is an empty volume") {
  const Shape shape = {5, 4, 3};
  const std::vector<double> values = random_volume<double>(shape, 3);
  std::vector<double> same = values;
  smooth_volume<double>(same.data(), shape, {0, 0.124, 0}, 1);  // a radius of zero
  CHECK(same == values);
  smooth_volume<double>(nullptr, {0, 4, 3}, {1, 1, 1}, 1);
  std::vector<double> missing(60, std::numeric_limits<double>::quiet_NaN());
  smooth_volume<double>(missing.data(), shape, {1, 1, 1}, 1);
  CHECK(std::all_of(missing.begin(), missing.end(), [](double v) { return std::isnan(v); }));
}

TEST_CASE("an infinite value reaches as far as its kernel") {
  const Shape shape = {40, 1, 1};
  std::vector<float> values(40, 1.0F);
  values[20] = std::numeric_limits<float>::infinity();
  smooth_volume<float>(values.data(), shape, {1, 0, 0}, 1);
  for (std::size_t v = 0; v < values.size(); ++v) {
    CHECK(std::isinf(values[v]) == (v >= 16 && v <= 24));
  }
}

TEST_CASE("a kernel has as many weights as the axis is long, and they sum to one") {
  for (const Index length : {2, 3, 10, 91}) {
    for (const double sigma : {0.2, 1.7, 3.0, 50.0, 1e4}) {
      CAPTURE(length);
      CAPTURE(sigma);
      const std::vector<double> half = gaussian_half_kernel(sigma, length);
      const auto radius = static_cast<Index>(4 * sigma + 0.5);
      REQUIRE(static_cast<Index>(half.size()) == std::min(radius, length) + 1);
      double total = half[0];
      for (std::size_t k = 1; k < half.size(); ++k) total += 2 * half[k];
      // Each of the weights counted is rounded once when it is added.
      CHECK(std::fabs(total - 1) <= kEps * static_cast<double>(radius + 2));
    }
  }
  // A Gaussian much wider than the axis is flat over it, but for what is cut off beyond 4 sigma.
  const std::vector<double> flat = gaussian_half_kernel(1e4, 10);
  CHECK(std::fabs(flat[0] - 0.05) < 1e-7);
  CHECK(std::fabs(flat[10] - 0.025) < 1e-7);
  CHECK(gaussian_half_kernel(5, 1) == std::vector<double>{1.0});
}

TEST_CASE("values that no kernel can have are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double sigma : {-1.0, nan, HUGE_VAL, 1.1e6}) {
    CHECK_THROWS_AS(gaussian_half_kernel(sigma, 5), std::invalid_argument);
  }
  double value = 0;
  CHECK_THROWS_AS(smooth_volume<double>(&value, {-1, -1, 1}, {1, 1, 1}, 1), std::invalid_argument);
}
