// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/edge_sums.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace {

using groupglm::add_edge_sums;
using groupglm::EdgeSumsView;
using groupglm::Index;

struct Sums {
  Sums(std::size_t n_places, std::size_t n_edges)
      : squares(n_places), products(n_edges), differs(n_edges) {}
  EdgeSumsView view() { return {squares.data(), products.data(), differs.data()}; }
  std::vector<double> squares;
  std::vector<double> products;
  std::vector<std::uint8_t> differs;
};

// Every place with the next one, and with the one 70 places on.
struct Ring {
  explicit Ring(std::int32_t n) {
    for (std::int32_t i = 0; i < n; ++i) {
      for (const std::int32_t step : {1, 70}) {
        first.push_back(i);
        second.push_back((i + step) % n);
      }
    }
  }
  groupglm::Edges edges() const {
    return {first.data(), second.data(), static_cast<Index>(first.size())};
  }
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> second;
};

template <typename Scalar>
std::vector<Scalar> random_rows(std::size_t n, double missing) {
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  std::vector<Scalar> rows(n);
  for (Scalar& value : rows) {
    value = static_cast<Scalar>(normal(random));
    if (uniform(random) < missing) value = std::numeric_limits<Scalar>::quiet_NaN();
  }
  return rows;
}

}  // namespace

TEST_CASE_TEMPLATE("edge sums are those of their definition", Scalar, float, double) {
  constexpr std::int32_t kPlaces = 5000;  // several tiles
  constexpr Index kRows = 7;
  const Ring ring(kPlaces);
  for (const double missing : {0.0, 0.2}) {
    const std::vector<Scalar> rows = random_rows<Scalar>(kPlaces * kRows, missing);
    Sums expected(kPlaces, ring.first.size());
    for (Index row = 0; row < kRows; ++row) {
      const Scalar* const values = rows.data() + row * kPlaces;
      for (std::size_t i = 0; i < kPlaces; ++i) {
        if (!std::isnan(values[i]))
          expected.squares[i] += static_cast<double>(values[i]) * values[i];
      }
      for (std::size_t e = 0; e < ring.first.size(); ++e) {
        const double one = values[ring.first[e]];
        const double other = values[ring.second[e]];
        if (std::isnan(one) != std::isnan(other)) expected.differs[e] = 1;
        if (!std::isnan(one) && !std::isnan(other)) expected.products[e] += one * other;
      }
    }
    Sums found(kPlaces, ring.first.size());
    add_edge_sums(rows.data(), kRows, Index{kPlaces}, ring.edges(), found.view(), 1);
    for (std::size_t i = 0; i < kPlaces; ++i) {
      CHECK(found.squares[i] == doctest::Approx(expected.squares[i]).epsilon(1e-14));
    }
    for (std::size_t e = 0; e < ring.first.size(); ++e) {
      CHECK(std::abs(found.products[e] - expected.products[e]) < 1e-13);
      CHECK(found.differs[e] == expected.differs[e]);
    }
    Sums other(kPlaces, ring.first.size());  // in two calls, by four threads: the same bits
    add_edge_sums(rows.data(), Index{3}, Index{kPlaces}, ring.edges(), other.view(), 4);
    add_edge_sums(rows.data() + Index{3} * kPlaces, kRows - 3, Index{kPlaces}, ring.edges(),
                  other.view(), 4);
    CHECK(other.squares == found.squares);
    CHECK(other.products == found.products);
  }
}

TEST_CASE("edge sums of nothing are what they were") {
  Sums sums(1, 0);
  sums.squares[0] = 2.0;
  const double value = 3.0;
  add_edge_sums(&value, Index{1}, Index{1}, {nullptr, nullptr, 0}, sums.view(), 2);
  CHECK(sums.squares[0] == 11.0);
  add_edge_sums(&value, Index{0}, Index{1}, {nullptr, nullptr, 0}, sums.view(), 2);
  CHECK(sums.squares[0] == 11.0);
}
