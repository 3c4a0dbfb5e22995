// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/clusters.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "groupglm/graph/tfce.hpp"

namespace {

using groupglm::cluster_maxima;
using groupglm::cluster_maxima_of_maps;
using groupglm::ClusterCounts;
using groupglm::ClusterMaxima;
using groupglm::ClusterRule;
using groupglm::ClusterWorkspace;
using groupglm::Index;
using groupglm::joined_neighbours;
using groupglm::label_clusters;
using groupglm::MapRows;
using groupglm::Neighbours;
using groupglm::neighbours_of_volume;
using groupglm::PlaceWeights;
using groupglm::tfce;
using groupglm::tfce_maxima_of_maps;
using groupglm::tfce_maximum;
using groupglm::TfceRule;
using groupglm::TfceWorkspace;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Neighbours whole_box(Index nx, Index ny, Index nz, int connectivity) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(nx * ny * nz));
  std::iota(indices.begin(), indices.end(), 0);
  return neighbours_of_volume({nx, ny, nz}, indices.data(), static_cast<Index>(indices.size()),
                              connectivity);
}

// Few different values, so that many are equal; some zero, some missing.
template <typename Scalar>
std::vector<Scalar> coarse_map(Index n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<Scalar> map;
  for (Index i = 0; i < n; ++i) {
    const auto level = static_cast<int>(engine() % 21U) - 10;
    map.push_back(engine() % 10U == 0 ? static_cast<Scalar>(kNan)
                                      : static_cast<Scalar>(level) / Scalar{4});
  }
  return map;
}

// Clusters of the places with sign * value >= height (> if strict), by flooding from each place.
template <typename Scalar>
std::vector<int> flood(const std::vector<Scalar>& map, const Neighbours& neighbours, double sign,
                       double height, bool strict) {
  const auto inside = [&](std::size_t i) {
    const double value = sign * static_cast<double>(map[i]);
    return strict ? value > height : value >= height;
  };
  std::vector<int> labels(map.size(), 0);
  int count = 0;
  for (std::size_t seed = 0; seed < map.size(); ++seed) {
    if (!inside(seed) || labels[seed] != 0) continue;
    labels[seed] = ++count;
    std::vector<std::size_t> front{seed};
    while (!front.empty()) {
      const auto place = static_cast<Index>(front.back());
      front.pop_back();
      for (const std::int32_t* p = neighbours.begin(place); p != neighbours.end(place); ++p) {
        const auto next = static_cast<std::size_t>(*p);
        if (!inside(next) || labels[next] != 0) continue;
        labels[next] = count;
        front.push_back(next);
      }
    }
  }
  return labels;
}

template <typename Scalar>
std::vector<double> slow_tfce(const std::vector<Scalar>& map, const Neighbours& neighbours,
                              double e, double h, const std::vector<double>& weights = {}) {
  std::vector<double> total(map.size(), 0.0);
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> heights;
    for (const Scalar value : map) {
      if (sign * static_cast<double>(value) > 0)
        heights.push_back(sign * static_cast<double>(value));
    }
    std::sort(heights.begin(), heights.end());
    double low = 0;
    for (const double high : heights) {
      const std::vector<int> labels = flood(map, neighbours, sign, high, false);
      const double width = (std::pow(high, h + 1) - std::pow(low, h + 1)) / (h + 1);
      for (std::size_t i = 0; i < map.size(); ++i) {
        if (labels[i] == 0) continue;
        double extent = 0;
        for (std::size_t j = 0; j < map.size(); ++j) {
          if (labels[j] == labels[i]) extent += weights.empty() ? 1.0 : weights[j];
        }
        total[i] += sign * std::pow(extent, e) * width;
      }
      low = high;
    }
  }
  return total;
}

double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

template <typename Scalar>
void check_clusters(const std::vector<Scalar>& map, const Neighbours& neighbours,
                    const ClusterRule& rule, ClusterWorkspace& workspace) {
  std::vector<std::int32_t> labels(map.size(), -7);
  std::vector<std::int64_t> sizes(map.size());
  std::vector<double> masses(map.size());
  const ClusterCounts counts = label_clusters(map.data(), neighbours, rule, labels.data(),
                                              sizes.data(), masses.data(), workspace);
  std::vector<int> expected = flood(map, neighbours, 1, rule.threshold, true);
  const int n_positive = expected.empty() ? 0 : *std::max_element(expected.begin(), expected.end());
  CHECK(counts.n_positive == n_positive);
  if (rule.two_sided) {
    const std::vector<int> negative = flood(map, neighbours, -1, rule.threshold, true);
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (negative[i] != 0) expected[i] = negative[i] + n_positive;
    }
  }
  const Index n_clusters = counts.n_positive + counts.n_negative;
  ClusterMaxima largest;
  for (Index k = 0; k < n_clusters; ++k) {
    std::int64_t size = 0;
    double mass = 0;
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (expected[i] != k + 1) continue;
      ++size;
      mass += std::abs(static_cast<double>(map[i])) - rule.threshold;
    }
    CHECK(sizes[static_cast<std::size_t>(k)] == size);
    // Quarters and halves: every sum is exact.
    CHECK(masses[static_cast<std::size_t>(k)] == mass);
    largest.size = std::max(largest.size, size);
    largest.mass = std::max(largest.mass, mass);
  }
  for (std::size_t i = 0; i < map.size(); ++i) CHECK(labels[i] == expected[i]);
  const ClusterMaxima found = cluster_maxima(map.data(), neighbours, rule, workspace);
  CHECK(found.size == largest.size);
  CHECK(found.mass == largest.mass);
}

template <typename Scalar>
void check_tfce(const std::vector<Scalar>& map, const Neighbours& neighbours, double e, double h,
                TfceWorkspace& workspace) {
  std::vector<double> out(map.size(), kNan);
  tfce(map.data(), neighbours, out.data(), workspace);
  const std::vector<double> expected = slow_tfce(map, neighbours, e, h);
  // A few roundings, relative to the largest, for each of the terms of both sums.
  const double bound = 16 * kEps * static_cast<double>(map.size()) * largest_of(expected);
  for (std::size_t i = 0; i < map.size(); ++i) CHECK(std::abs(out[i] - expected[i]) <= bound);
  const double largest = tfce_maximum(map.data(), neighbours, workspace);
  CHECK(std::abs(largest - largest_of(expected)) <= bound);
}

}  // namespace

TEST_CASE("an inner voxel has all neighbours, one in a corner has an eighth of the box") {
  for (const int connectivity : {6, 18, 26}) {
    const Neighbours neighbours = whole_box(3, 3, 3, connectivity);
    CHECK(neighbours.n_places() == 27);
    CHECK(neighbours.end(13) - neighbours.begin(13) == connectivity);
    const Index corner = connectivity == 6 ? 3 : (connectivity == 18 ? 6 : 7);
    CHECK(neighbours.end(0) - neighbours.begin(0) == corner);
  }
  CHECK_THROWS_AS(whole_box(3, 3, 3, 7), std::invalid_argument);
  const std::int64_t first = 0;
  CHECK_THROWS_AS(neighbours_of_volume({3, 3, -3}, &first, 1, 6), std::invalid_argument);
  const Index huge = Index{1} << 40;
  CHECK_THROWS_AS(neighbours_of_volume({huge, huge, 2}, &first, 1, 6), std::invalid_argument);
  CHECK_THROWS_AS(Neighbours({0, 1, 1}, {1}), std::invalid_argument);
  CHECK_THROWS_AS(Neighbours({0, 1, 2}, {0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(Neighbours({}, {}), std::invalid_argument);
  CHECK(Neighbours({0}, {}).n_places() == 0);
}

TEST_CASE_TEMPLATE("clusters are those that flooding finds, map after map", Scalar, float, double) {
  for (const int connectivity : {6, 18, 26}) {
    const Neighbours neighbours = whole_box(6, 5, 7, connectivity);
    ClusterWorkspace workspace(neighbours.n_places());
    for (unsigned seed = 0; seed < 4; ++seed) {
      const auto map = coarse_map<Scalar>(neighbours.n_places(), seed);
      for (const double threshold : {0.0, 0.5, 1.25, 2.25, 1e300}) {
        check_clusters(map, neighbours, {threshold, true}, workspace);
        check_clusters(map, neighbours, {threshold, false}, workspace);
      }
    }
  }
}

TEST_CASE_TEMPLATE("TFCE is the integral level by level, map after map", Scalar, float, double) {
  for (const int connectivity : {6, 26}) {
    const Neighbours neighbours = whole_box(5, 4, 6, connectivity);
    for (const auto& [e, h] : {std::pair{0.5, 2.0}, {1.0, 1.0}, {0.7, 0.4}, {0.0, 0.0}}) {
      TfceWorkspace workspace(neighbours, {e, h, true, 0});
      for (unsigned seed = 0; seed < 4; ++seed) {
        check_tfce(coarse_map<Scalar>(neighbours.n_places(), seed), neighbours, e, h, workspace);
      }
      // All places at one height: nothing but the extent of the whole.
      const std::vector<Scalar> flat(120, Scalar{-2});
      check_tfce(flat, neighbours, e, h, workspace);
    }
  }
}

TEST_CASE_TEMPLATE("places count for their weight, with one workspace for all", Scalar, float,
                   double) {
  const Neighbours box = whole_box(5, 4, 3, 26);
  const Neighbours neighbours = joined_neighbours({&box, &box});
  const Index n = neighbours.n_places();
  CHECK(n == 120);
  const auto map = coarse_map<Scalar>(n, 3);
  std::mt19937 engine(5);
  std::vector<double> areas;
  for (Index i = 0; i < n; ++i) areas.push_back(static_cast<double>(1 + engine() % 64U) / 16);
  const PlaceWeights weights(areas.data(), n, n);

  ClusterWorkspace clusters(n);
  std::vector<std::int32_t> labels(map.size());
  std::vector<double> sizes(map.size());
  std::vector<double> masses(map.size());
  const ClusterRule rule{0.5, true};
  const ClusterCounts counts = label_clusters(map.data(), neighbours, weights, rule, labels.data(),
                                              sizes.data(), masses.data(), clusters);
  const Index n_clusters = counts.n_positive + counts.n_negative;
  CHECK(n_clusters > 4);
  groupglm::WeightedMaxima largest;
  for (Index k = 0; k < n_clusters; ++k) {
    double size = 0;
    double mass = 0;
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (labels[i] != k + 1) continue;
      size += areas[i];
      mass += areas[i] * (std::abs(static_cast<double>(map[i])) - 0.5);
    }
    CHECK(sizes[static_cast<std::size_t>(k)] == size);  // sixteenths: exact
    CHECK(masses[static_cast<std::size_t>(k)] == mass);
    largest = {std::max(largest.size, size), std::max(largest.mass, mass)};
  }
  const auto found = cluster_maxima(map.data(), neighbours, weights, rule, clusters);
  CHECK(found.size == largest.size);
  CHECK(found.mass == largest.mass);
  check_clusters(map, neighbours, rule, clusters);  // and unweighted again

  for (const auto& [e, h] : {std::pair{0.5, 2.0}, {1.0, 2.0}, {0.7, 0.4}}) {
    TfceWorkspace enhancement(neighbours, {e, h, true, 0});
    check_tfce(map, neighbours, e, h, enhancement);
    std::vector<double> out(map.size(), kNan);
    tfce(map.data(), neighbours, out.data(), enhancement, &weights);
    const std::vector<double> expected = slow_tfce(map, neighbours, e, h, areas);
    const double bound = 16 * kEps * static_cast<double>(map.size()) * largest_of(expected);
    for (std::size_t i = 0; i < map.size(); ++i) CHECK(std::abs(out[i] - expected[i]) <= bound);
    const double maximum = tfce_maximum(map.data(), neighbours, enhancement, &weights);
    CHECK(std::abs(maximum - largest_of(expected)) <= bound);
    check_tfce(map, neighbours, e, h, enhancement);
  }
}

TEST_CASE("weights that are none are refused") {
  const std::vector<double> good = {1, 2};
  CHECK(PlaceWeights(good.data(), 2, 2).total() == 3);
  CHECK(PlaceWeights(good.data(), 0, 0).total() == 0);
  CHECK_THROWS_AS(PlaceWeights(good.data(), 2, 3), std::invalid_argument);
  for (const double wrong : {0.0, -1.0, kNan, kInf}) {
    const std::vector<double> bad = {1, wrong};
    CHECK_THROWS_AS(PlaceWeights(bad.data(), 2, 2), std::invalid_argument);
  }
  const double small = 0.1;
  CHECK_THROWS_AS(PlaceWeights(&small, 1, 1).check_power(400), std::invalid_argument);
}

TEST_CASE("steps sum the thresholds that a place reaches") {
  const Neighbours line = whole_box(4, 1, 1, 6);
  TfceWorkspace workspace(line, {1.0, 1.0, true, 4});
  const std::vector<double> map = {4, 2, -1, kNan};
  std::vector<double> out(4);
  tfce(map.data(), line, out.data(), workspace);
  // Heights 1 to 4: extent two up to 2, then one.
  CHECK(out == std::vector<double>{2 * 1 + 2 * 2 + 3 + 4, 2 * 1 + 2 * 2, -1, 0});
  CHECK(tfce_maximum(map.data(), line, workspace) == 13);
}

TEST_CASE("an infinite or a refused map leaves nothing behind") {
  const Neighbours neighbours = whole_box(4, 4, 4, 26);
  const auto good = coarse_map<double>(64, 5);
  auto infinite = good;
  infinite[9] = -kInf;
  auto too_large = good;
  too_large[9] = 1e200;  // its cube, the integral of the height's square, overflows
  ClusterWorkspace clusters(64);
  TfceWorkspace enhancement(neighbours, {});
  std::vector<double> out(64);
  CHECK(cluster_maxima(infinite.data(), neighbours, {0.5, true}, clusters).mass == kInf);
  tfce(infinite.data(), neighbours, out.data(), enhancement);
  CHECK(out[9] == -kInf);
  CHECK_THROWS_AS(tfce(too_large.data(), neighbours, out.data(), enhancement),
                  std::invalid_argument);
  check_clusters(good, neighbours, {0.5, true}, clusters);
  check_tfce(good, neighbours, 0.5, 2.0, enhancement);
  CHECK_THROWS_AS(cluster_maxima(good.data(), neighbours, {-1, true}, clusters),
                  std::invalid_argument);
  CHECK_THROWS_AS(TfceWorkspace(neighbours, {-1, 2, true, 0}), std::invalid_argument);
  CHECK_THROWS_AS(TfceWorkspace(neighbours, {0.5, kNan, true, 0}), std::invalid_argument);
  CHECK_THROWS_AS(TfceWorkspace(neighbours, {0.5, 2, true, -1}), std::invalid_argument);
}

TEST_CASE("many maps give the same bits on any number of threads") {
  const Neighbours neighbours = whole_box(6, 5, 7, 26);
  const Index n = neighbours.n_places();
  std::vector<float> maps;
  for (unsigned seed = 0; seed < 11; ++seed) {
    const auto map = coarse_map<float>(n, seed);
    maps.insert(maps.end(), map.begin(), map.end());
  }
  std::vector<double> expected;
  TfceWorkspace enhancement(neighbours, {});
  for (Index i = 0; i < 11; ++i) {
    expected.push_back(tfce_maximum(maps.data() + i * n, neighbours, enhancement));
  }
  for (const int threads : {1, 2, 5}) {
    std::vector<double> found(11);
    tfce_maxima_of_maps(MapRows<float>{maps.data(), 11, n}, neighbours, {}, found.data(), threads);
    CHECK(found == expected);
    std::vector<std::int64_t> sizes(11);
    std::vector<double> masses(11);
    cluster_maxima_of_maps(MapRows<float>{maps.data(), 11, n}, neighbours, {0.5, true},
                           sizes.data(), masses.data(), threads);
    ClusterWorkspace workspace(n);
    for (Index i = 0; i < 11; ++i) {
      const ClusterMaxima alone =
          cluster_maxima(maps.data() + i * n, neighbours, {0.5, true}, workspace);
      CHECK(sizes[static_cast<std::size_t>(i)] == alone.size);
      CHECK(masses[static_cast<std::size_t>(i)] == alone.mass);
    }
  }
}

TEST_CASE("no place, and one") {
  const Neighbours none({0}, {});
  const std::vector<double> empty;
  ClusterWorkspace clusters(0);
  TfceWorkspace enhancement(none, {});
  CHECK(cluster_maxima(empty.data(), none, {}, clusters).size == 0);
  CHECK(tfce_maximum(empty.data(), none, enhancement) == 0);
  const Neighbours one({0, 0}, {});
  TfceWorkspace single(one, {});
  for (const double value : {3.0, -3.0, 0.0, kNan}) {
    double out = kNan;
    tfce(&value, one, &out, single);
    CHECK(out == (value > 0 ? 9.0 : (value < 0 ? -9.0 : 0.0)));
  }
}
