// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/resampling.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using groupglm::FiniteRange;
using groupglm::Interpolation;
using groupglm::n_voxels;
using groupglm::resample_nearest;
using groupglm::resample_volume;
using groupglm::Shape3;
using groupglm::VoxelMap;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

VoxelMap diagonal_map(double x, double y, double z, std::array<double, 3> offset = {0, 0, 0}) {
  return {{{{x, 0, 0}, {0, y, 0}, {0, 0, z}}}, offset};
}

// Makes a map not diagonal, by so little that no value changes by more than a rounding.
VoxelMap nearly(VoxelMap map) {
  map.matrix[0][1] = 1e-18;
  return map;
}

template <typename Scalar, typename Function>
std::vector<Scalar> volume_of(const Shape3& shape, const Function& function) {
  std::vector<Scalar> values;
  for (Eigen::Index k = 0; k < shape[2]; ++k) {
    for (Eigen::Index j = 0; j < shape[1]; ++j) {
      for (Eigen::Index i = 0; i < shape[0]; ++i) {
        values.push_back(static_cast<Scalar>(
            function(static_cast<double>(i), static_cast<double>(j), static_cast<double>(k))));
      }
    }
  }
  return values;
}

template <typename Scalar>
std::vector<Scalar> resampled(const std::vector<Scalar>& source, const Shape3& shape,
                              const VoxelMap& map, Interpolation interpolation,
                              const Shape3& out_shape, double fill = -7, int n_threads = 1) {
  std::vector<Scalar> out(static_cast<std::size_t>(n_voxels(out_shape)));
  resample_volume(source.data(), shape, map, interpolation, fill, out.data(), out_shape, n_threads);
  return out;
}

double wave(double x, double y, double z) {
  return std::sin(0.9 * x) + std::cos(1.3 * y + 0.4) * std::sin(0.7 * z + 0.2 * x);
}

}  // namespace

TEST_CASE_TEMPLATE("one axis against values worked out by hand", Scalar, float, double) {
  const std::vector<Scalar> line{1, 5, 2};
  for (const bool diagonal : {true, false}) {
    VoxelMap map = diagonal_map(0.5, 1, 1);
    if (!diagonal) map = nearly(map);
    const auto at = [&](Interpolation kind) {
      return resampled<Scalar>(line, {3, 1, 1}, map, kind, {6, 1, 1});
    };
    // Voxel 5 is at the point 2.5, outside; of two equally near voxels, the higher.
    CHECK(at(Interpolation::nearest) == std::vector<Scalar>{1, 5, 5, 2, 2, -7});
    CHECK(at(Interpolation::linear) == std::vector<Scalar>{1, 3, 5, 3.5, 2, -7});
    // Mirrored, the three coefficients c solve (c1 + 2 c0) / 3 = 1, (c0 + 4 c1 + c2) / 6 = 5 and
    // (c1 + 2 c2) / 3 = 2: as below; at 1/2 the weights are (1, 23, 23, 1) / 48.
    const double c1 = (6 * 5.0 - 1.5 * (1 + 2)) / 3;
    const double c0 = (3 * 1.0 - c1) / 2;
    const double c2 = (3 * 2.0 - c1) / 2;
    const std::vector<Scalar> cubic = at(Interpolation::cubic);
    CHECK(cubic[0] == doctest::Approx(1).epsilon(1e-6));
    CHECK(cubic[1] == doctest::Approx((c1 + 23 * c0 + 23 * c1 + c2) / 48).epsilon(1e-6));
    CHECK(cubic[2] == doctest::Approx(5).epsilon(1e-6));
    CHECK(cubic[3] == doctest::Approx((c0 + 23 * c1 + 23 * c2 + c1) / 48).epsilon(1e-6));
    CHECK(cubic[4] == doctest::Approx(2).epsilon(1e-6));
    CHECK(cubic[5] == -7);
  }
}

TEST_CASE("the spline goes through all voxels, whatever the lengths") {
  for (const Shape3& shape : {Shape3{1, 1, 1}, Shape3{2, 1, 3}, Shape3{33, 2, 4}, Shape3{5, 40, 3},
                              Shape3{3, 65, 35}, Shape3{64, 3, 2}}) {
    const auto source = volume_of<double>(shape, wave);
    const auto out =
        resampled(source, shape, nearly(diagonal_map(1, 1, 1)), Interpolation::cubic, shape);
    double largest = 0;
    for (std::size_t i = 0; i < source.size(); ++i) {
      largest = std::max(largest, std::abs(out[i] - source[i]));
    }
    CHECK(largest < 1e-13);  // some 100 roundings of values of about one
  }
}

TEST_CASE_TEMPLATE("a diagonal map and its neighbour give the same", Scalar, float, double) {
  const Shape3 shape{35, 21, 18};
  const auto source = volume_of<Scalar>(shape, wave);
  const double tolerance = sizeof(Scalar) == 4 ? 3e-7 : 1e-13;
  for (const Shape3& out_shape : {Shape3{20, 40, 13}, Shape3{50, 9, 70}, Shape3{1, 1, 1}}) {
    const VoxelMap map = diagonal_map(0.77, -0.53, 0.31, {0.2, 19.7, 0.9});
    for (const auto kind : {Interpolation::linear, Interpolation::cubic}) {
      const auto one = resampled(source, shape, map, kind, out_shape);
      const auto other = resampled(source, shape, nearly(map), kind, out_shape);
      double largest = 0;
      for (std::size_t i = 0; i < one.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(one[i] - other[i])));
      }
      CHECK(largest < tolerance);
    }
  }
}

TEST_CASE("the same bits for any number of threads, holes or none") {
  const Shape3 shape{37, 22, 19};
  auto source = volume_of<float>(shape, wave);
  for (const bool holes : {false, true}) {
    if (holes) std::fill(source.begin() + 300, source.begin() + 9000, static_cast<float>(kNan));
    for (const VoxelMap& map : {diagonal_map(1.5, 0.7, 1.1, {0.3, 0.2, 0}),
                                nearly(diagonal_map(1.5, 0.7, 1.1, {0.3, 0.2, 0}))}) {
      for (const auto kind :
           {Interpolation::nearest, Interpolation::linear, Interpolation::cubic}) {
        const auto one = resampled(source, shape, map, kind, {24, 30, 17}, -7, 1);
        for (const int n_threads : {2, 3, 7}) {
          const auto many = resampled(source, shape, map, kind, {24, 30, 17}, -7, n_threads);
          CHECK(std::equal(one.begin(), one.end(), many.begin(), [](float a, float b) {
            return a == b || (std::isnan(a) && std::isnan(b));
          }));
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("holes come back as they were and touch nothing else", Scalar, float, double) {
  const Shape3 shape{12, 3, 2};
  auto source = volume_of<Scalar>(shape, [](double, double, double) { return 2.0; });
  source[4] = static_cast<Scalar>(kNan);
  source[20] = static_cast<Scalar>(kInfinity);
  source[50] = static_cast<Scalar>(-kInfinity);
  const VoxelMap still = diagonal_map(1, 1, 1);
  for (const VoxelMap& map : {still, nearly(still)}) {
    const auto out = resampled(source, shape, map, Interpolation::cubic, shape);
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i == 4) {
        CHECK(std::isnan(out[i]));
      } else if (std::isinf(source[i])) {
        CHECK(out[i] == source[i]);
      } else {
        // Extrapolated from twos, the holes were twos as well.
        CHECK(out[i] == doctest::Approx(static_cast<double>(source[i])).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("holes deeper than two voxels count as zero") {
  const Shape3 shape{8, 1, 1};
  std::vector<double> source(8, kNan);
  source[0] = 4;
  // Extrapolated to 4 4 4 0 0 0 0 0; half way between the third and fourth voxel the nearest is the
  // fourth, a hole.
  const auto out = resampled(source, shape, nearly(diagonal_map(1, 1, 1, {0.25, 0, 0})),
                             Interpolation::linear, {3, 1, 1});
  CHECK(out[0] == 4);
  CHECK(std::isnan(out[1]));
  CHECK(std::isnan(out[2]));
}

TEST_CASE("the range is that of finite values and zero") {
  const auto range_of = [](std::vector<float> values) {
    const Shape3 shape{static_cast<Eigen::Index>(values.size()), 1, 1};
    std::vector<float> out(values.size());
    return resample_volume(values.data(), shape, diagonal_map(1, 1, 1), Interpolation::nearest, 0,
                           out.data(), shape, 1);
  };
  std::vector<float> values(70, 3.0F);
  values[69] = 5.0F;
  FiniteRange range = range_of(values);
  CHECK(range.lowest == 0);
  CHECK(range.highest == 5);
  CHECK(range.all_finite);
  values[10] = -4.0F;
  values[11] = static_cast<float>(kInfinity);
  range = range_of(values);
  CHECK(range.lowest == -4);
  CHECK(range.highest == 5);
  CHECK_FALSE(range.all_finite);
  CHECK_FALSE(range_of({static_cast<float>(kNan)}).all_finite);
}

TEST_CASE("nearest moves any item, and flips exactly") {
  const std::vector<std::uint64_t> items{1, ~std::uint64_t{0}, 3, 4};
  std::vector<std::uint64_t> out(5);
  for (const bool diagonal : {true, false}) {
    VoxelMap map = diagonal_map(-1, 1, 1, {3, 0, 0});
    if (!diagonal) map = nearly(map);
    resample_nearest<std::uint64_t>(items.data(), {4, 1, 1}, map, 9, out.data(), {5, 1, 1}, 1);
    CHECK(out == std::vector<std::uint64_t>{4, 3, ~std::uint64_t{0}, 1, 9});
  }
}

TEST_CASE("a map that meets nothing fills everything") {
  const Shape3 shape{3, 4, 5};
  const auto source = volume_of<float>(shape, wave);
  for (const double offset : {-1e300, 4.5, 1e18}) {
    const VoxelMap map = diagonal_map(1, 1, 1, {0, offset, 0});
    for (const VoxelMap& each : {map, nearly(map)}) {
      for (const auto kind :
           {Interpolation::nearest, Interpolation::linear, Interpolation::cubic}) {
        const auto out = resampled(source, shape, each, kind, {2, 2, 2});
        CHECK(std::all_of(out.begin(), out.end(), [](float value) { return value == -7; }));
      }
    }
  }
}
