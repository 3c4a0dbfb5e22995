// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/edge_sums.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

// Of a tile of edges, its sums and its places of a row (of doubles) fit into 64 kB.
constexpr Index kTile = 2048;
constexpr int kRows = 4;  // rows that are added together

Index n_tiles(Index n) { return (n + kTile - 1) / kTile; }

// Adds the squares of one row at some places; returns whether a value is missing.
template <typename Scalar>
bool add_squares(const Scalar* row, Index first, Index end, double* squares) {
  bool missing = false;
  for (Index i = first; i < end; ++i) {
    const auto value = static_cast<double>(row[i]);
    const bool absent = std::isnan(value);
    missing |= absent;
    squares[i] += absent ? 0.0 : value * value;
  }
  return missing;
}

// Edges that follow each other and whose ends do too, as those of a line of voxels: no indices are
// read for each, and the sums are vectors.
struct Run {
  Index first;
  Index end;
};

void find_runs(const Edges& edges, Index first, Index end, std::vector<Run>& runs) {
  runs.clear();
  for (Index e = first; e < end; ++e) {
    const bool follows = e > first && edges.first[e] == edges.first[e - 1] + 1 &&
                         edges.second[e] == edges.second[e - 1] + 1;
    if (follows) {
      runs.back().end = e + 1;
    } else {
      runs.push_back({e, e + 1});
    }
  }
}

// Adds the products of Rows rows, one after the other, so that a sum is loaded once for all.
template <int Rows, typename Scalar>
void add_products(const Scalar* rows, Index n_places, const Edges& edges,
                  const std::vector<Run>& runs, double* products) {
  for (const Run& run : runs) {
    const Scalar* const one = rows + edges.first[run.first];
    const Scalar* const other = rows + edges.second[run.first];
    double* const own = products + run.first;
    const Index n = run.end - run.first;
    for (Index k = 0; k < n; ++k) {
      double sum = own[k];
      for (Index row = 0; row < Rows; ++row) {
        sum += static_cast<double>(one[row * n_places + k]) *
               static_cast<double>(other[row * n_places + k]);
      }
      own[k] = sum;
    }
  }
}

template <typename Scalar>
void add_present_products(const Scalar* row, const Edges& edges, Index first, Index end,
                          const EdgeSumsView& sums) {
  for (Index e = first; e < end; ++e) {
    const auto one = static_cast<double>(row[edges.first[e]]);
    const auto other = static_cast<double>(row[edges.second[e]]);
    const bool lacks_one = std::isnan(one);
    const bool lacks_other = std::isnan(other);
    if (!lacks_one && !lacks_other) sums.products[e] += one * other;
    if (lacks_one != lacks_other) sums.differs[e] = 1;
  }
}

}  // namespace

template <typename Scalar>
void add_edge_sums(const Scalar* rows, Index n_rows, Index n_places, const Edges& edges,
                   const EdgeSumsView& sums, int n_threads) {
  const int threads = resolve_threads(n_threads);
  std::vector<std::uint8_t> missing(static_cast<std::size_t>(n_tiles(n_places)));
  parallel_for(n_tiles(n_places), threads, [&](Index tile, int) {
    const Index first = tile * kTile;
    const Index end = std::min(first + kTile, n_places);
    bool any = false;
    for (Index row = 0; row < n_rows; ++row) {
      any |= add_squares(rows + row * n_places, first, end, sums.squares);
    }
    missing[static_cast<std::size_t>(tile)] = any ? 1 : 0;
  });
  const bool complete =
      std::all_of(missing.begin(), missing.end(), [](std::uint8_t any) { return any == 0; });
  std::vector<std::vector<Run>> runs(static_cast<std::size_t>(threads));
  parallel_for(n_tiles(edges.n), threads, [&](Index tile, int thread) {
    const Index first = tile * kTile;
    const Index end = std::min(first + kTile, edges.n);
    std::vector<Run>& own = runs[static_cast<std::size_t>(thread)];
    if (!complete) {
      for (Index row = 0; row < n_rows; ++row) {
        add_present_products(rows + row * n_places, edges, first, end, sums);
      }
      return;
    }
    find_runs(edges, first, end, own);
    Index row = 0;
    for (; row + kRows <= n_rows; row += kRows) {
      add_products<kRows>(rows + row * n_places, n_places, edges, own, sums.products);
    }
    for (; row < n_rows; ++row) {
      add_products<1>(rows + row * n_places, n_places, edges, own, sums.products);
    }
  });
}

template void add_edge_sums(const float*, Index, Index, const Edges&, const EdgeSumsView&, int);
template void add_edge_sums(const double*, Index, Index, const Edges&, const EdgeSumsView&, int);

}  // namespace groupglm
