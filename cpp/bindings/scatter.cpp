// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
void scatter_row(const py::array_t<Scalar, py::array::c_style>& row,
                 const py::array_t<std::int64_t, py::array::c_style>& places,
                 py::array_t<float, py::array::c_style>& volume) {
  if (row.ndim() != 1 || places.ndim() != 1 || volume.ndim() != 1 || row.size() != places.size()) {
    throw py::value_error("a row, its places and the volume must be vectors that match");
  }
  const Index n = row.size();
  if (n > 0 && (places.at(0) < 0 || places.at(n - 1) >= volume.size())) {
    throw py::value_error("places lie outside the volume");
  }
  float* out = volume.mutable_data();
  const py::gil_scoped_release unlocked;
  scatter(row.data(), places.data(), n, out, volume.size());
}

}  // namespace

void register_scatter(py::module_& module) {
  const auto row = py::arg("row").noconvert();
  const auto places = py::arg("places").noconvert();
  const auto volume = py::arg("volume").noconvert();
  module.def("scatter", &scatter_row<float>, row, places, volume);
  module.def("scatter", &scatter_row<double>, row, places, volume);
}

}  // namespace groupglm
