// SPDX-License-Identifier: BSD-3-Clause
// Sums of squares of residuals at places, and of products of residuals at the ends of edges.
//
// From rows r (one of each image) these are, added to what is there already,
//   squares[i] += sum over rows of r[i]^2,
//   products[e] += sum over rows of r[a(e)] r[b(e)],
// from which the correlation of neighbours follows. The squared difference of residuals normalised
// to a sum of squares of one, which estimates of smoothness sum (Kiebel et al., NeuroImage 10
// (1999), 756-766), is 2 (1 - products / sqrt(squares squares)).
//
// Time O(rows x (places + edges)); each row is read once for the places and once for the edges, in
// tiles that stay in the cache. Memory of its own: a byte for each tile, and 32 kB a thread.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace groupglm {

using Eigen::Index;

/// The two places of each edge; each is at least 0 and less than the number of places.
struct Edges {
  const std::int32_t* first;
  const std::int32_t* second;
  Index n;
};

/// The sums: squares of n_places, products and differs of as many as there are edges.
struct EdgeSumsView {
  double* squares;
  double* products;
  std::uint8_t* differs;  // set to 1 where a row has a value at one end only
};

/// Adds some rows (n_rows of n_places values, row by row) to the sums. NaN is no value: it adds
/// nothing. Sums are in double, in the order of the rows, so that results are the same bits for any
/// number of threads, and however the rows are cut into calls.
template <typename Scalar>
void add_edge_sums(const Scalar* rows, Index n_rows, Index n_places, const Edges& edges,
                   const EdgeSumsView& sums, int n_threads);

}  // namespace groupglm
