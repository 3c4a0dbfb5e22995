// SPDX-License-Identifier: BSD-3-Clause
// Small symmetric matrices, one a lane: packed by rows of the lower triangle.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <limits>
#include <vector>

#include "special/lane_functions.hpp"

namespace groupglm::lanes {

using Eigen::Index;

constexpr std::size_t at(Index i) { return static_cast<std::size_t>(i); }

inline Index n_packed(Index r) { return r * (r + 1) / 2; }

// Where the entry (j, k) of a symmetric matrix is.
inline Index packed(Index j, Index k) { return j >= k ? j * (j + 1) / 2 + k : k * (k + 1) / 2 + j; }

template <typename V>
V log_of(const V& values) {
  V out;
  for (Index l = 0; l < V::SizeAtCompileTime; ++l) out[l] = detail::lane_log(values[l]);
  return out;
}

// L D L' = a, in place: the factor below the diagonal, D on it. A pivot is never below rounding.
template <typename V>
void factor(V* a, Index r) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  for (Index j = 0; j < r; ++j) {
    const V whole = a[packed(j, j)];
    V pivot = whole;
    for (Index k = 0; k < j; ++k) {
      V sum = a[packed(j, k)];
      for (Index m = 0; m < k; ++m) sum -= a[packed(j, m)] * a[packed(k, m)];
      a[packed(j, k)] = sum;  // times D(k), until the row is done
    }
    for (Index k = 0; k < j; ++k) {
      const V product = a[packed(j, k)];
      a[packed(j, k)] = product / a[packed(k, k)];
      pivot -= product * a[packed(j, k)];
    }
    a[packed(j, j)] = pivot.max(kEps * whole);
  }
}

// x = (L D L')^-1 x.
template <typename V>
void solve(const V* factor, Index r, V* x) {
  for (Index j = 1; j < r; ++j) {
    for (Index k = 0; k < j; ++k) x[j] -= factor[packed(j, k)] * x[k];
  }
  for (Index j = 0; j < r; ++j) x[j] /= factor[packed(j, j)];
  for (Index j = r - 1; j >= 0; --j) {
    for (Index k = j + 1; k < r; ++k) x[j] -= factor[packed(k, j)] * x[k];
  }
}

// The inverse of L D L', packed.
template <typename V>
void invert(const V* factor, Index r, V* out) {
  std::vector<V> x(at(r));
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) x[at(k)] = V::Constant(j == k ? 1.0 : 0.0);
    solve(factor, r, x.data());
    for (Index k = 0; k <= j; ++k) out[packed(j, k)] = x[at(k)];
  }
}

// out (r, r) = a b, of packed symmetric matrices; out is whole, row by row.
template <typename V>
void multiply(const V* a, const V* b, Index r, V* out) {
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) {
      V sum = V::Zero();
      for (Index m = 0; m < r; ++m) sum += a[packed(j, m)] * b[packed(m, k)];
      out[j * r + k] = sum;
    }
  }
}

// tr(a b) of packed symmetric matrices.
template <typename V>
V trace_of_product(const V* a, const V* b, Index r) {
  V sum = V::Zero();
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < j; ++k) sum += 2.0 * a[packed(j, k)] * b[packed(j, k)];
    sum += a[packed(j, j)] * b[packed(j, j)];
  }
  return sum;
}

// tr(a b) of whole matrices (r, r).
template <typename V>
V trace_of_whole(const V* a, const V* b, Index r) {
  V sum = V::Zero();
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) sum += a[j * r + k] * b[k * r + j];
  }
  return sum;
}

}  // namespace groupglm::lanes
