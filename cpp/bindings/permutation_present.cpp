// SPDX-License-Identifier: BSD-3-Clause
#include <limits>
#include <optional>

#include "bindings.hpp"
#include "groupglm/permutation/missing_values.hpp"
#include "pattern_arrays.hpp"

namespace groupglm {

namespace {

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
  const PresentPatterns patterns =
      checked_patterns(pattern_arrays, model.nuisance.rows(), data.n_rows, data.n_voxels);
  const EquivalentTables tables = checked_tables(table_arrays, pattern_arrays);
  const Orders orders = checked_orders(order_arrays, data.n_rows);
  double* const map = map_of(maps, orders, data.n_voxels);
  double* const tie = map_of(least, orders, data.n_voxels);
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
