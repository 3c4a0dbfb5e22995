// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/permutation.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "bindings.hpp"
#include "groupglm/permutation/groups.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
DataView<Scalar> checked_data(const py::array_t<Scalar>& y, const Matrix& basis) {
  const DataView<Scalar> view = view_of(y);
  check(basis.ndim() == 2 && basis.shape(1) == view.n_rows,
        "the basis must have one column a row of the data");
  return view;
}

PermutedRows checked_rows(const Matrix& rows, Index n) {
  check(rows.ndim() == 3 && rows.shape(1) > 0 && rows.shape(2) == n,
        "the rows must have the shape (n_permutations, at least 1, rows of the data)");
  return {rows.data(), rows.shape(0), rows.shape(1)};
}

// Checks the array for the maps, or for the least values that tie with them.
double* checked_maps(std::optional<Matrix>& maps, Index n_permutations, Index n_voxels) {
  if (!maps) return nullptr;
  check(maps->ndim() == 2 && maps->shape(0) == n_permutations && maps->shape(1) == n_voxels,
        "the maps must have the shape (n_permutations, n_voxels)");
  return maps->mutable_data();
}

template <typename Scalar>
Matrix statistics(const py::array_t<Scalar>& y, const Matrix& basis, const Matrix& rows,
                  Index n_effect, double df, bool two_sided, std::optional<Matrix> maps,
                  std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = checked_data(y, basis);
  const PermutedRows permuted = checked_rows(rows, data.n_rows);
  check(n_effect >= 1 && n_effect <= permuted.n_rows, "n_effect is not from 1 to the rows'");
  double* const map = checked_maps(maps, permuted.n_permutations, data.n_voxels);
  double* const tie = checked_maps(least, permuted.n_permutations, data.n_voxels);
  Matrix best(permuted.n_permutations);
  const PermutedModel model{matrix_of(basis), n_effect, df, two_sided};
  const PermutedOutputs out{best.mutable_data(), map, tie};
  {
    // The views stay valid without the GIL: the arguments and `best` hold the arrays.
    const py::gil_scoped_release unlocked;
    permuted_statistics(data, model, permuted, out, n_threads);
  }
  return best;
}

bool has_shape(const Matrix& array, std::initializer_list<Index> shape) {
  return array.ndim() == static_cast<Index>(shape.size()) &&
         std::equal(shape.begin(), shape.end(), array.shape());
}

template <typename Scalar>
Matrix g_statistics(const py::array_t<Scalar>& y, const Matrix& basis, const Matrix& rows,
                    const Matrix& members, const Matrix& gram, const Matrix& freedom,
                    const Matrix& sizes, Index n_effect, bool two_sided, std::optional<Matrix> maps,
                    std::optional<Matrix> least, int n_threads) {
  const DataView<Scalar> data = checked_data(y, basis);
  check(rows.ndim() == 4 && rows.shape(3) == data.n_rows,
        "the rows must have the shape (n_permutations, groups, rank, rows of the data)");
  const Index n = rows.shape(0);
  const Index n_groups = rows.shape(1);
  const Index rank = rows.shape(2);
  check(n_groups >= 1 && n_effect >= 1 && n_effect <= rank, "n_effect is not from 1 to the rank");
  check(has_shape(members, {n, n_groups, data.n_rows}) && has_shape(gram, {n_groups, rank, rank}) &&
            has_shape(freedom, {n_groups}) && has_shape(sizes, {n_groups}),
        "the groups' arrays do not match the rows");
  double* const map = checked_maps(maps, n, data.n_voxels);
  double* const tie = checked_maps(least, n, data.n_voxels);
  Matrix best(n);
  const PermutedModel permuted{matrix_of(basis), n_effect, 1.0, two_sided};
  const GroupedModel model{permuted, gram.data(), freedom.data(), sizes.data(), n_groups, rank};
  const GroupedRows grouped{rows.data(), members.data(), n};
  const PermutedOutputs out{best.mutable_data(), map, tie};
  {
    const py::gil_scoped_release unlocked;
    permuted_g_statistics(data, model, grouped, out, n_threads);
  }
  return best;
}

template <typename Scalar>
void register_for(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  const auto basis = py::arg("basis").noconvert();
  const auto maps = py::arg("maps").noconvert().none(true);
  const auto least = py::arg("least").noconvert().none(true);
  const auto threads = py::arg("n_threads");
  module.def("permuted_statistics", &statistics<Scalar>, y, basis, py::arg("rows").noconvert(),
             py::arg("n_effect"), py::arg("df"), py::arg("two_sided"), maps, least, threads);
  module.def("permuted_g_statistics", &g_statistics<Scalar>, y, basis, py::arg("rows").noconvert(),
             py::arg("members").noconvert(), py::arg("gram").noconvert(),
             py::arg("freedom").noconvert(), py::arg("sizes").noconvert(), py::arg("n_effect"),
             py::arg("two_sided"), maps, least, threads);
}

}  // namespace

void register_permutation(py::module_& module) {
  register_for<float>(module);
  register_for<double>(module);
}

}  // namespace groupglm
