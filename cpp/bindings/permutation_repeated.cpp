// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <limits>
#include <optional>

#include "bindings.hpp"
#include "groupglm/permutation/repeated.hpp"
#include "pattern_arrays.hpp"

namespace groupglm {

namespace {

// Checks what both kernels take, and calls run(model, patterns, tables, orders, outputs).
template <typename Scalar, typename Run>
Matrix rearranged_repeated(const DataView<Scalar>& data, const Matrix& effect,
                           const Matrix& nuisance, const Integers& subjects, bool two_sided,
                           const PatternArrays& pattern_arrays, const TableArrays& table_arrays,
                           const OrderArrays& order_arrays, std::optional<Matrix>& maps,
                           std::optional<Matrix>& least, const Run& run) {
  check(subjects.ndim() == 1 && subjects.size() == data.n_rows && data.n_rows > 0 &&
            all_between(subjects, 0, data.n_rows - 1),
        "the subjects must be one number from 0 for each row of the data");
  const Index n_subjects = 1 + *std::max_element(subjects.data(), subjects.data() + data.n_rows);
  const PermutedRepeated model{matrix_of(effect), matrix_of(nuisance), subjects.data(), n_subjects,
                               two_sided};
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
    run(model, patterns, tables, orders, out);
  }
  return best;
}

template <typename Scalar>
Matrix repeated_statistics(const py::array_t<Scalar>& y, const Matrix& effect,
                           const Matrix& nuisance, const Integers& subjects, bool two_sided,
                           const PatternArrays& patterns, const TableArrays& tables,
                           const OrderArrays& orders, std::optional<Matrix> maps,
                           std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = view_of(y);
  return rearranged_repeated(data, effect, nuisance, subjects, two_sided, patterns, tables, orders,
                             maps, least, [&](const auto&... arguments) {
                               permuted_repeated_statistics(data, arguments..., n_threads);
                             });
}

template <typename Scalar>
Matrix bootstrapped_statistics(const py::array_t<Scalar>& y, const Matrix& effect,
                               const Matrix& nuisance, const Integers& subjects,
                               const std::tuple<int, int>& adjustments, bool two_sided,
                               const PatternArrays& patterns, const TableArrays& tables,
                               const OrderArrays& orders, std::optional<Matrix> maps,
                               std::optional<Matrix> least, int n_threads) {
  const auto [of_fit, of_null] = adjustments;
  constexpr int last = static_cast<int>(Adjustment::block);
  check(of_fit >= 0 && of_fit <= last && of_null >= 0 && of_null <= last,
        "there is no such adjustment");
  const BootstrappedResiduals residuals{static_cast<Adjustment>(of_fit),
                                        static_cast<Adjustment>(of_null)};
  const DataView<Scalar> data = view_of(y);
  return rearranged_repeated(data, effect, nuisance, subjects, two_sided, patterns, tables, orders,
                             maps, least, [&](const auto& model, const auto&... arguments) {
                               bootstrapped_sandwich_statistics(data, model, residuals,
                                                                arguments..., n_threads);
                             });
}

template <typename Scalar>
void register_repeated_for(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  const auto effect = py::arg("effect").noconvert();
  const auto nuisance = py::arg("nuisance").noconvert();
  const auto subjects = py::arg("subjects").noconvert();
  const auto patterns = py::arg("patterns").noconvert();
  const auto tables = py::arg("tables").noconvert();
  const auto orders = py::arg("orders").noconvert();
  const auto maps = py::arg("maps").noconvert().none(true);
  const auto least = py::arg("least").noconvert().none(true);
  module.def("permuted_repeated_statistics", &repeated_statistics<Scalar>, y, effect, nuisance,
             subjects, py::arg("two_sided"), patterns, tables, orders, maps, least,
             py::arg("n_threads"));
  module.def("bootstrapped_sandwich_statistics", &bootstrapped_statistics<Scalar>, y, effect,
             nuisance, subjects, py::arg("adjustments"), py::arg("two_sided"), patterns, tables,
             orders, maps, least, py::arg("n_threads"));
}

}  // namespace

void register_permutation_repeated(py::module_& module) {
  register_repeated_for<float>(module);
  register_repeated_for<double>(module);
}

}  // namespace groupglm
