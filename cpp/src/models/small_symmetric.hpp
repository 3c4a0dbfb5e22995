// SPDX-License-Identifier: BSD-3-Clause
// Symmetric matrices of a few rows: of numbers, or of registers with a matrix in each lane.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <limits>

namespace groupglm {

using Eigen::Index;

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

inline Index n_products(Index r) { return r * (r + 1) / 2; }

// Where the entry (j, k), k <= j, of a symmetric matrix is, its lower triangle row by row.
inline Index packed(Index j, Index k) { return j * (j + 1) / 2 + k; }

inline double at_least(double value, double least) { return value < least ? least : value; }
template <int N>
Eigen::Array<double, N, 1> at_least(const Eigen::Array<double, N, 1>& value,
                                    const Eigen::Array<double, N, 1>& least) {
  return value.max(least);
}

// L D L' = a, in place: the factor below the diagonal, D on it. A pivot is never below rounding.
// T: double, or an array of them.
template <typename T>
void factor_symmetric(T* a, Index r) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  for (Index j = 0; j < r; ++j) {
    const T whole = a[packed(j, j)];
    T pivot = whole;
    for (Index k = 0; k < j; ++k) {
      T sum = a[packed(j, k)];
      for (Index m = 0; m < k; ++m) sum -= a[packed(j, m)] * a[packed(k, m)];
      a[packed(j, k)] = sum;  // times D(k), until the row is done
    }
    for (Index k = 0; k < j; ++k) {
      const T product = a[packed(j, k)];
      a[packed(j, k)] = product / a[packed(k, k)];
      pivot -= product * a[packed(j, k)];
    }
    a[packed(j, j)] = at_least(pivot, T(kEps * whole));
  }
}

// x = (L D L')^-1 x.
template <typename T>
void solve_symmetric(const T* factor, Index r, T* x) {
  for (Index j = 1; j < r; ++j) {
    for (Index k = 0; k < j; ++k) x[j] -= factor[packed(j, k)] * x[k];
  }
  for (Index j = 0; j < r; ++j) x[j] /= factor[packed(j, j)];
  for (Index j = r - 1; j >= 0; --j) {
    for (Index k = j + 1; k < r; ++k) x[j] -= factor[packed(k, j)] * x[k];
  }
}

}  // namespace groupglm
