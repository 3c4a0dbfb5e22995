// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_state.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

OlsState new_state(Index n_working, Index n_voxels) {
  check(n_working >= 0 && n_voxels >= 0, "a state needs sizes of at least 0");
  return {n_working, n_voxels};
}

template <typename Scalar>
void update(OlsState& state, const Design& design, Index first_row, const py::array_t<Scalar>& y,
            int n_threads) {
  const DataView<Scalar> view = view_of(y);
  if (first_row < 0 || view.n_rows > design.n_rows() - first_row) {
    throw py::value_error("the rows are not those of the design");
  }
  if (state.n_working() != design.n_working() || view.n_voxels != state.n_voxels()) {
    throw py::value_error("the state is of another design or other voxels");
  }
  // The views stay valid without the GIL: the caller's arguments hold the arrays.
  const py::gil_scoped_release unlocked;
  state.update<Scalar>(design.working.middleRows(first_row, view.n_rows), design.intercept, view,
                       n_threads);
}

void merge(OlsState& state, const OlsState& other, int n_threads) {
  if (state.n_working() != other.n_working() || state.n_voxels() != other.n_voxels()) {
    throw py::value_error("the states are of different designs or voxels");
  }
  const py::gil_scoped_release unlocked;
  state.merge(other, n_threads);
}

OlsState select(const OlsState& state, const py::array_t<std::int64_t>& voxels) {
  const std::vector<Index> indices = voxels_of(voxels, state.n_voxels());
  const py::gil_scoped_release unlocked;
  return state.select(indices);
}

// Whether each voxel misses a row so far.
py::array_t<bool> misses(const OlsState& state) {
  py::array_t<bool> out(state.n_voxels());
  bool* const values = out.mutable_data();
  for (Index v = 0; v < state.n_voxels(); ++v) {
    values[v] = state.slot(v) != MissingVoxels::kComplete;
  }
  return out;
}

template <typename T>
std::vector<T> vector_of(const py::handle& handle) {
  const auto array = py::cast<py::array_t<T, py::array::c_style>>(handle);
  return {array.data(), array.data() + array.size()};
}

}  // namespace

std::vector<Index> voxels_of(const py::array_t<std::int64_t>& voxels, Index n_voxels) {
  if (voxels.ndim() != 1) throw py::value_error("the indices must have one dimension");
  std::vector<Index> indices;
  for (py::ssize_t i = 0; i < voxels.size(); ++i) {
    const auto voxel = voxels.at(i);
    if (voxel < 0 || voxel >= n_voxels) throw py::index_error("no such voxel");
    indices.push_back(voxel);
  }
  return indices;
}

py::tuple state_parts(const OlsState& state) {
  const OlsParts& parts = state.parts();
  return py::make_tuple(parts.n_rows, parts.r, parts.w, parts.rss, array_of(parts.missing.slot),
                        array_of(parts.missing.factors), array_of(parts.missing.n_rows),
                        array_of(parts.exponent));
}

OlsState state_of_parts(const py::tuple& values) {
  if (values.size() != 8) throw py::value_error("not a pickled state");
  OlsParts parts;
  parts.n_rows = values[0].cast<Index>();
  parts.r = values[1].cast<MatrixXd>();
  parts.w = values[2].cast<RowMatrix>();
  parts.rss = values[3].cast<VectorXd>();
  parts.missing.slot = vector_of<std::int32_t>(values[4]);
  parts.missing.factors = vector_of<double>(values[5]);
  parts.missing.n_rows = vector_of<std::int32_t>(values[6]);
  parts.exponent = vector_of<std::int16_t>(values[7]);
  check(parts.is_consistent(), "not a pickled state");
  return OlsState(std::move(parts));
}

void register_ols_state(py::module_& module) {
  // The arguments are (row of the block, count of values); the caller uses them to name the file.
  static PyObject* infinite =
      PyErr_NewException("groupglm._core.InfiniteValueError", PyExc_ValueError, nullptr);
  module.attr("InfiniteValueError") = py::handle(infinite);
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const InfiniteValue& found) {
      PyErr_SetObject(infinite, py::make_tuple(found.row, found.count).ptr());
    }
  });
  py::class_<OlsState>(module, "OlsState", py::module_local())
      .def(py::init(&new_state), py::arg("n_working"), py::arg("n_voxels"))
      .def("update", &update<float>, py::arg("design"), py::arg("first_row"),
           py::arg("y").noconvert(), py::arg("n_threads"))
      .def("update", &update<double>, py::arg("design"), py::arg("first_row"),
           py::arg("y").noconvert(), py::arg("n_threads"))
      .def("merge", &merge, py::arg("other"), py::arg("n_threads"))
      .def("select", &select, py::arg("voxels").noconvert())
      .def("misses", &misses)
      .def_property_readonly("n_rows", [](const OlsState& state) { return state.n_rows(); })
      .def_property_readonly("n_voxels", &OlsState::n_voxels)
      .def_property_readonly("has_missing", &OlsState::has_missing)
      .def_property_readonly(
          "n_factors", [](const OlsState& state) { return state.parts().missing.n_rows.size(); })
      .def(py::pickle(&state_parts, &state_of_parts));
}

}  // namespace groupglm
