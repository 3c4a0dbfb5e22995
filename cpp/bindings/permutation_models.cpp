// SPDX-License-Identifier: BSD-3-Clause
#include <limits>
#include <optional>
#include <tuple>

#include "bindings.hpp"
#include "groupglm/permutation/mixed.hpp"
#include "groupglm/permutation/voxelwise.hpp"
#include "pattern_arrays.hpp"

namespace groupglm {

namespace {

// Method and value of tau2, scale, whether signs are flipped.
using MixedArguments = std::tuple<int, double, int, bool>;

Matrix none_found(const Orders& orders) {
  Matrix best(orders.n_permutations);
  std::fill_n(best.mutable_data(), best.size(), -std::numeric_limits<double>::infinity());
  return best;
}

template <typename Scalar>
bool same_shape(const DataView<Scalar>& one, const DataView<Scalar>& other) {
  return one.n_rows == other.n_rows && one.n_voxels == other.n_voxels;
}

template <typename Scalar>
Matrix mixed_statistics(const py::array_t<Scalar>& y, const py::array_t<Scalar>& v,
                        const Matrix& effect, const Matrix& nuisance, const Integers& groups,
                        const MixedArguments& arguments, bool two_sided,
                        const PatternArrays& pattern_arrays, const TableArrays& table_arrays,
                        const OrderArrays& order_arrays, std::optional<Matrix> maps,
                        std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = view_of(y);
  const DataView<Scalar> variances = view_of(v);
  check(same_shape(data, variances), "y and v must have the same shape");
  const auto& [method, given, scale, flips] = arguments;
  check(method >= 0 && method <= static_cast<int>(Tau2Method::given) && scale >= 0 && scale <= 2,
        "there is no such method or scale");
  check(groups.ndim() == 1 && groups.size() == data.n_rows && data.n_rows > 0 &&
            all_between(groups, 0, data.n_rows - 1),
        "the groups must be one number from 0 for each row of the data");
  const Index n_groups = 1 + *std::max_element(groups.data(), groups.data() + groups.size());
  const PermutedMixed model{matrix_of(effect),
                            matrix_of(nuisance),
                            groups.data(),
                            n_groups,
                            static_cast<Tau2Method>(method),
                            given,
                            static_cast<MixedScale>(scale),
                            flips,
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
  Matrix best = none_found(orders);
  const PermutedOutputs out{best.mutable_data(), map, tie};
  {
    // The views stay valid without the GIL: the arguments and `best` hold the arrays.
    const py::gil_scoped_release unlocked;
    permuted_mixed_statistics(data, variances, model, patterns, tables, orders, out, n_threads);
  }
  return best;
}

template <typename Scalar>
Matrix voxelwise_statistics(const py::array_t<Scalar>& y,
                            const std::optional<py::array_t<Scalar>>& w,
                            const std::vector<py::array_t<Scalar>>& z, const Matrix& columns,
                            const Matrix& effect, const Matrix& nuisance, bool two_sided,
                            const PatternArrays& pattern_arrays, const TableArrays& table_arrays,
                            const OrderArrays& order_arrays, std::optional<Matrix> maps,
                            std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = view_of(y);
  const DataView<Scalar> weights = w ? view_of(*w) : data;
  BesideRows<Scalar> beside{w ? &weights : nullptr, {}};
  for (const auto& covariate : z) {
    beside.covariates.push_back(view_of(covariate));
    check(same_shape(data, beside.covariates.back()), "y and z must have the same shape");
  }
  check(same_shape(data, weights), "y and w must have the same shape");
  const VoxelwiseTest model{matrix_of(columns), matrix_of(effect), matrix_of(nuisance), two_sided};
  const Index n_columns = model.columns.cols() + static_cast<Index>(z.size());
  check(model.columns.rows() == data.n_rows, "the columns must have one row a row of the data");
  check(model.effect.cols() >= 1 && model.effect.rows() == n_columns &&
            model.nuisance.rows() == n_columns,
        "effect and nuisance must have one row a column of the design");
  const PresentPatterns patterns =
      checked_patterns(pattern_arrays, model.nuisance.cols(), data.n_rows, data.n_voxels, true);
  const EquivalentTables tables = checked_tables(table_arrays, pattern_arrays);
  const Orders orders = checked_orders(order_arrays, data.n_rows);
  double* const map = map_of(maps, orders, data.n_voxels);
  double* const tie = map_of(least, orders, data.n_voxels);
  Matrix best = none_found(orders);
  const PermutedOutputs out{best.mutable_data(), map, tie};
  {
    const py::gil_scoped_release unlocked;
    permuted_voxelwise_statistics(data, beside, model, patterns, tables, orders, out, n_threads);
  }
  return best;
}

template <typename Scalar>
void register_models_for(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  const auto effect = py::arg("effect").noconvert();
  const auto nuisance = py::arg("nuisance").noconvert();
  const auto patterns = py::arg("patterns").noconvert();
  const auto tables = py::arg("tables").noconvert();
  const auto orders = py::arg("orders").noconvert();
  const auto maps = py::arg("maps").noconvert().none(true);
  const auto least = py::arg("least").noconvert().none(true);
  module.def("permuted_mixed_statistics", &mixed_statistics<Scalar>, y, py::arg("v").noconvert(),
             effect, nuisance, py::arg("groups").noconvert(), py::arg("how"), py::arg("two_sided"),
             patterns, tables, orders, maps, least, py::arg("n_threads"));
  module.def("permuted_voxelwise_statistics", &voxelwise_statistics<Scalar>, y,
             py::arg("w").noconvert().none(true), py::arg("z").noconvert(),
             py::arg("columns").noconvert(), effect, nuisance, py::arg("two_sided"), patterns,
             tables, orders, maps, least, py::arg("n_threads"));
}

}  // namespace

void register_permutation_models(py::module_& module) {
  register_models_for<float>(module);
  register_models_for<double>(module);
}

}  // namespace groupglm
