// SPDX-License-Identifier: BSD-3-Clause
#include "volume/resampling_holes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

constexpr int kDepth = 2;
constexpr Index kExtremes = 32;  // minima and maxima kept side by side, which hides latency

// The mean of those of a voxel's six neighbours that are known; returns false if none is known.
struct Neighbours {
  const double* values;
  const std::uint8_t* known;
  Shape3 shape;

  bool mean(const Shape3& voxel, Index place, double& out) const {
    double sum = 0.0;
    int count = 0;
    Index stride = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (voxel[axis] + 1 < shape[axis]) add(place + stride, sum, count);
      if (voxel[axis] > 0) add(place - stride, sum, count);
      stride *= shape[axis];
    }
    if (count == 0) return false;
    out = sum / count;
    return true;
  }

 private:
  void add(Index place, double& sum, int& count) const {
    if (known[place] == 0) return;
    sum += values[place];
    ++count;
  }
};

// Fills one more layer. Known voxels are only read and holes only written, so slabs do not
// interfere.
void extrapolate(const Shape3& shape, const std::vector<std::uint8_t>& known,
                 std::vector<std::uint8_t>& next, double* values, int n_threads) {
  const Neighbours neighbours{values, known.data(), shape};
  parallel_for(shape[2], n_threads, [&](Index k, int) {
    Index place = k * shape[0] * shape[1];
    for (Index j = 0; j < shape[1]; ++j) {
      for (Index i = 0; i < shape[0]; ++i, ++place) {
        if (known[static_cast<std::size_t>(place)] != 0) continue;
        double mean = 0.0;
        if (!neighbours.mean({i, j, k}, place, mean)) continue;
        values[place] = mean;
        next[static_cast<std::size_t>(place)] = 1;
      }
    }
  });
}

template <typename Scalar>
FiniteRange range_with_holes(const Scalar* values, Index n) {
  FiniteRange range;
  range.all_finite = false;
  for (Index i = 0; i < n; ++i) {
    const auto value = static_cast<double>(values[i]);
    if (!std::isfinite(value)) continue;
    range.lowest = std::min(range.lowest, value);
    range.highest = std::max(range.highest, value);
  }
  return range;
}

}  // namespace

template <typename Scalar>
FiniteRange finite_range(const Scalar* values, Index n) {
  // By lanes, because a compiler may not reorder a minimum of floats.
  Scalar low[kExtremes] = {};
  Scalar high[kExtremes] = {};
  Scalar hole[kExtremes] = {};  // value - value is NaN for NaN and infinity, else zero
  const auto update = [&](Index lane, Scalar value) {
    low[lane] = value < low[lane] ? value : low[lane];
    high[lane] = value > high[lane] ? value : high[lane];
    hole[lane] += value - value;
  };
  Index i = 0;
  for (; i + kExtremes <= n; i += kExtremes) {
    for (Index lane = 0; lane < kExtremes; ++lane) update(lane, values[i + lane]);
  }
  for (; i < n; ++i) update(0, values[i]);
  const bool has_holes = std::any_of(hole, hole + kExtremes, [](Scalar h) { return h != 0; });
  if (has_holes) return range_with_holes(values, n);
  return {static_cast<double>(*std::min_element(low, low + kExtremes)),
          static_cast<double>(*std::max_element(high, high + kExtremes)), true};
}

template <typename Scalar>
std::unique_ptr<double[]> fill_holes(const Scalar* source, const Shape3& shape, int n_threads) {
  const Index n = n_voxels(shape);
  const auto size = static_cast<std::size_t>(n);
  std::unique_ptr<double[]> values(new double[size]);
  std::vector<std::uint8_t> known(size);
  for (Index i = 0; i < n; ++i) {
    const bool finite = std::isfinite(source[i]);
    known[static_cast<std::size_t>(i)] = finite ? 1 : 0;
    values[static_cast<std::size_t>(i)] = finite ? static_cast<double>(source[i]) : 0.0;
  }
  std::vector<std::uint8_t> next = known;
  for (int layer = 0; layer < kDepth; ++layer) {
    extrapolate(shape, known, next, values.get(), n_threads);
    known = next;
  }
  return values;
}

template FiniteRange finite_range(const float*, Index);
template FiniteRange finite_range(const double*, Index);
template std::unique_ptr<double[]> fill_holes(const float*, const Shape3&, int);
template std::unique_ptr<double[]> fill_holes(const double*, const Shape3&, int);

}  // namespace groupglm
