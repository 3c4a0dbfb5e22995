// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/robust.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace groupglm;

namespace {

struct Fitted {
  std::vector<double> pseudo, scale, mean_weight;
  std::vector<std::int16_t> iterations;
  std::vector<std::uint8_t> status;
  std::vector<std::int64_t> sums, n_low, n_places;
};

template <typename Scalar>
Fitted fit(const RowMatrix& x, const std::vector<Scalar>& y, Index n_voxels, int n_threads = 1) {
  const Index n = x.rows();
  const auto size = static_cast<std::size_t>(n_voxels);
  const auto images = static_cast<std::size_t>(n);
  Fitted out{std::vector<double>(images * size), std::vector<double>(size),
             std::vector<double>(size),          std::vector<std::int16_t>(size),
             std::vector<std::uint8_t>(size),    std::vector<std::int64_t>(images),
             std::vector<std::int64_t>(images),  std::vector<std::int64_t>(images)};
  const RobustOutputs outputs{
      out.pseudo.data(),     nullptr,           out.scale.data(), out.mean_weight.data(),
      out.iterations.data(), out.status.data(), out.sums.data(),  out.n_low.data(),
      out.n_places.data()};
  robust_fit<Scalar>(make_design(x), RobustMethod{}, {y.data(), n, n_voxels, n_voxels, 1}, outputs,
                     n_threads);
  return out;
}

}  // namespace

TEST_CASE("robust fit of a mean leaves out a value that is far off") {
  const RowMatrix x = RowMatrix::Ones(8, 1);
  const std::vector<double> y{1.1, 0.8, 1.0, 1.3, 0.9, 1.2, 0.7, 900.0};
  const Fitted found = fit(x, y, 1);
  double mean = 0.0;
  for (const double value : found.pseudo) mean += value / 8;
  CHECK(std::abs(mean - 1.0) < 0.01);
  CHECK(found.status[0] == kRobustFitted + kRobustConverged);
  CHECK(found.n_low[7] == 1);
  CHECK(found.sums[7] == 0);
}

TEST_CASE("robust fit has the same bits for float, any threads, and beside other voxels") {
  const Index n = 11;
  const Index n_voxels = 500;
  RowMatrix x(n, 2);
  std::vector<float> y;
  for (Index i = 0; i < n; ++i) {
    x(i, 0) = 1.0;
    x(i, 1) = static_cast<double>(i * i % 5);
    for (Index v = 0; v < n_voxels; ++v) y.push_back(static_cast<float>((i * 37 + v * 11) % 23));
  }
  for (Index v = 0; v < n_voxels; v += 7) {
    y[static_cast<std::size_t>(v)] = std::numeric_limits<float>::quiet_NaN();
  }
  const std::vector<double> doubles(y.begin(), y.end());
  const Fitted one = fit(x, y, n_voxels);
  const Fitted other = fit(x, doubles, n_voxels, 3);
  CHECK(one.scale == other.scale);
  CHECK(one.iterations == other.iterations);
  CHECK(one.sums == other.sums);
  for (std::size_t k = 0; k < one.pseudo.size(); ++k) {
    const bool both_missing = std::isnan(one.pseudo[k]) && std::isnan(other.pseudo[k]);
    CHECK((both_missing || one.pseudo[k] == other.pseudo[k]));
  }
}

TEST_CASE("robust fit of no voxels, and without a degree of freedom") {
  RowMatrix x(2, 2);
  x << 1, 0, 1, 1;
  CHECK(fit(x, std::vector<double>{}, 0).pseudo.empty());
  const Fitted found = fit(x, std::vector<double>{1.0, 2.0}, 1);
  CHECK(found.status[0] == 0);
  CHECK(std::isnan(found.scale[0]));
  CHECK(found.pseudo == std::vector<double>{1.0, 2.0});
}
