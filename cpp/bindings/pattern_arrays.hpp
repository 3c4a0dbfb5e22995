// SPDX-License-Identifier: BSD-3-Clause
// The arrays of the kernels of voxels that some images lack, checked.
#pragma once

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "bindings.hpp"
#include "groupglm/permutation/missing_values.hpp"

namespace groupglm {

using Flags = py::array_t<bool, py::array::c_style>;

// The arrays of PresentPatterns, of EquivalentTables and of Orders, in the order of their members.
using PatternArrays = std::tuple<Integers, Integers, Flags, Integers, Integers>;
using TableArrays = std::tuple<Matrix, Matrix>;
using OrderArrays = std::tuple<Integers, Matrix>;

inline bool all_between(const Integers& values, std::int64_t low, std::int64_t high) {
  return std::all_of(values.data(), values.data() + values.size(),
                     [&](std::int64_t value) { return value >= low && value <= high; });
}

/// Checks patterns of data of n rows, whose nuisance has n_nuisance columns. With `by_voxel`, rank
/// and table are those of each voxel.
inline PresentPatterns checked_patterns(const PatternArrays& arrays, Index n_nuisance, Index n,
                                        Index n_voxels, bool by_voxel = false) {
  static_assert(sizeof(bool) == sizeof(std::uint8_t));
  const auto& [columns, starts, present, rank, table] = arrays;
  check(present.ndim() == 2 && present.shape(1) == n, "the patterns' arrays do not match");
  const Index n_patterns = present.shape(0);
  const Index n_ranks = by_voxel ? columns.size() : n_patterns;
  check(rank.size() == n_ranks && table.size() == n_ranks && starts.size() == n_patterns + 1,
        "the patterns' arrays do not match");
  check(starts.at(0) == 0 && std::is_sorted(starts.data(), starts.data() + starts.size()) &&
            starts.at(n_patterns) == columns.size(),
        "starts must rise from 0 to the number of columns");
  check(all_between(columns, 0, n_voxels - 1), "a column is outside the data");
  for (Index p = 0; p < n_patterns; ++p) {
    const bool* const row = present.data(p, 0);
    const Index most = std::min<Index>(std::count(row, row + n, true), n_nuisance);
    const Index first = by_voxel ? starts.at(p) : p;
    const Index last = by_voxel ? starts.at(p + 1) : p + 1;
    for (Index i = first; i < last; ++i) {
      check(rank.at(i) >= 0 && rank.at(i) <= most,
            "a rank is more than the rows present, or than the nuisance");
    }
    check(std::count(row, row + n, true) > 0, "a pattern has no rows");
  }
  return {columns.data(), starts.data(), reinterpret_cast<const std::uint8_t*>(present.data()),
          rank.data(),    table.data(),  n_patterns};
}

inline EquivalentTables checked_tables(const TableArrays& arrays, const PatternArrays& patterns) {
  const auto& [heads, values] = arrays;
  check(heads.ndim() == 2 && heads.shape(1) == 3 && values.ndim() == 3 &&
            values.shape(0) == heads.shape(0) && values.shape(1) >= 2 && values.shape(2) == 2,
        "the tables' arrays do not match");
  check(all_between(std::get<4>(patterns), 0, heads.shape(0) - 1), "a table is outside the tables");
  return {heads.data(), values.data(), values.shape(0), values.shape(1)};
}

inline Orders checked_orders(const OrderArrays& arrays, Index n) {
  const auto& [order, signs] = arrays;
  check(order.ndim() == 2 && signs.ndim() == 2 && order.shape(1) == n && signs.shape(1) == n &&
            order.shape(0) == signs.shape(0),
        "order and signs must have the shape (n_permutations, rows of the data)");
  std::vector<std::int64_t> sorted(static_cast<std::size_t>(n));
  for (Index b = 0; b < order.shape(0); ++b) {
    std::copy_n(order.data(b, 0), n, sorted.begin());
    std::sort(sorted.begin(), sorted.end());
    for (Index i = 0; i < n; ++i) {
      check(sorted[static_cast<std::size_t>(i)] == i, "a row of order is not a permutation");
    }
  }
  return {order.data(), signs.data(), order.shape(0)};
}

/// The memory of maps (n_permutations, n_voxels), or nullptr if there are none.
inline double* map_of(std::optional<Matrix>& array, const Orders& orders, Index n_voxels) {
  if (!array) return nullptr;
  check(
      array->ndim() == 2 && array->shape(0) == orders.n_permutations && array->shape(1) == n_voxels,
      "the maps must have the shape (n_permutations, n_voxels)");
  return array->mutable_data();
}

}  // namespace groupglm
