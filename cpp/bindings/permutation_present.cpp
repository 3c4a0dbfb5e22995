// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include "bindings.hpp"
#include "groupglm/permutation/missing_values.hpp"

namespace groupglm {

namespace {

using Flags = py::array_t<bool, py::array::c_style>;

bool all_between(const Integers& values, std::int64_t low, std::int64_t high) {
  return std::all_of(values.data(), values.data() + values.size(),
                     [&](std::int64_t value) { return value >= low && value <= high; });
}

PresentPatterns checked_patterns(const Integers& columns, const Integers& starts,
                                 const Flags& present, const Integers& rank, const Integers& table,
                                 const PresentModel& model, Index n_voxels) {
  static_assert(sizeof(bool) == sizeof(std::uint8_t));
  const Index n_patterns = rank.size();
  check(present.ndim() == 2 && present.shape(0) == n_patterns &&
            present.shape(1) == model.effect.cols() && table.size() == n_patterns &&
            starts.size() == n_patterns + 1,
        "the patterns' arrays do not match");
  check(starts.at(0) == 0 && std::is_sorted(starts.data(), starts.data() + starts.size()) &&
            starts.at(n_patterns) == columns.size(),
        "starts must rise from 0 to the number of columns");
  check(all_between(columns, 0, n_voxels - 1), "a column is outside the data");
  for (Index p = 0; p < n_patterns; ++p) {
    const bool* const row = present.data(p, 0);
    const Index count = std::count(row, row + present.shape(1), true);
    check(rank.at(p) >= 0 && rank.at(p) <= std::min(count, model.nuisance.rows()) && count > 0,
          "a rank is more than the rows present, or than the nuisance");
  }
  return {columns.data(), starts.data(), reinterpret_cast<const std::uint8_t*>(present.data()),
          rank.data(),    table.data(),  n_patterns};
}

Orders checked_orders(const Integers& order, const Matrix& signs, Index n) {
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

// The arrays of PresentPatterns, of EquivalentTables and of Orders, in the order of their members.
using PatternArrays = std::tuple<Integers, Integers, Flags, Integers, Integers>;
using TableArrays = std::tuple<Matrix, Matrix>;
using OrderArrays = std::tuple<Integers, Matrix>;

template <typename Scalar>
Matrix present_statistics(const py::array_t<Scalar>& y, const Matrix& effect,
                          const Matrix& nuisance, int rearranged, bool two_sided,
                          const PatternArrays& pattern_arrays, const TableArrays& table_arrays,
                          const OrderArrays& order_arrays, std::optional<Matrix> maps,
                          std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = view_of(y);
  check(rearranged >= 0 && rearranged <= 2, "rearranged must be 0, 1 or 2");
  const PresentModel model{matrix_of(effect), matrix_of(nuisance),
                           static_cast<Rearranged>(rearranged), two_sided};
  check(model.effect.rows() >= 1 && model.effect.cols() == data.n_rows &&
            model.nuisance.cols() == data.n_rows,
        "effect and nuisance must have one column a row of the data");
  const auto& [columns, starts, present, rank, table] = pattern_arrays;
  const PresentPatterns patterns =
      checked_patterns(columns, starts, present, rank, table, model, data.n_voxels);
  const auto& [heads, values] = table_arrays;
  check(heads.ndim() == 2 && heads.shape(1) == 3 && values.ndim() == 3 &&
            values.shape(0) == heads.shape(0) && values.shape(1) >= 2 && values.shape(2) == 2,
        "the tables' arrays do not match");
  check(all_between(table, 0, heads.shape(0) - 1), "a table is outside the tables");
  const EquivalentTables tables{heads.data(), values.data(), values.shape(0), values.shape(1)};
  const auto& [order, signs] = order_arrays;
  const Orders orders = checked_orders(order, signs, data.n_rows);
  const auto map_of = [&](std::optional<Matrix>& array) -> double* {
    if (!array) return nullptr;
    check(array->ndim() == 2 && array->shape(0) == orders.n_permutations &&
              array->shape(1) == data.n_voxels,
          "the maps must have the shape (n_permutations, n_voxels)");
    return array->mutable_data();
  };
  double* const map = map_of(maps);
  double* const tie = map_of(least);
  Matrix best(orders.n_permutations);
  std::fill_n(best.mutable_data(), best.size(), -std::numeric_limits<double>::infinity());
  const PermutedOutputs out{best.mutable_data(), map, tie};
  {
    // The views stay valid without the GIL: the arguments and `best` hold the arrays.
    const py::gil_scoped_release unlocked;
    permuted_present_statistics(data, model, patterns, tables, orders, out, n_threads);
  }
  return best;
}

template <typename Scalar>
void register_present_for(py::module_& module) {
  module.def("permuted_present_statistics", &present_statistics<Scalar>, py::arg("y").noconvert(),
             py::arg("effect").noconvert(), py::arg("nuisance").noconvert(), py::arg("rearranged"),
             py::arg("two_sided"), py::arg("patterns").noconvert(), py::arg("tables").noconvert(),
             py::arg("orders").noconvert(), py::arg("maps").noconvert().none(true),
             py::arg("least").noconvert().none(true), py::arg("n_threads"));
}

}  // namespace

void register_permutation_present(py::module_& module) {
  register_present_for<float>(module);
  register_present_for<double>(module);
}

}  // namespace groupglm
