// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

void check_places(const py::array_t<std::int64_t, py::array::c_style>& places, const py::array& row,
                  const py::array& volume) {
  if (row.ndim() != 1 || places.ndim() != 1 || volume.ndim() != 1 || row.size() != places.size()) {
    throw py::value_error("a row, its places and the volume must be vectors that match");
  }
  const Index n = places.size();
  if (n > 0 && (places.at(0) < 0 || places.at(n - 1) >= volume.size())) {
    throw py::value_error("places lie outside the volume");
  }
}

template <typename Scalar>
void gather_row(const py::array_t<Scalar, py::array::c_style>& volume,
                const py::array_t<std::int64_t, py::array::c_style>& places,
                py::array_t<Scalar, py::array::c_style>& row) {
  check_places(places, row, volume);
  Scalar* out = row.mutable_data();
  const py::gil_scoped_release unlocked;
  gather(volume.data(), places.data(), places.size(), out);
}

template <typename Scalar>
void scatter_row(const py::array_t<Scalar, py::array::c_style>& row,
                 const py::array_t<std::int64_t, py::array::c_style>& places,
                 py::array_t<float, py::array::c_style>& volume) {
  check_places(places, row, volume);
  float* out = volume.mutable_data();
  const py::gil_scoped_release unlocked;
  scatter(row.data(), places.data(), places.size(), out, volume.size());
}

}  // namespace

void register_scatter(py::module_& module) {
  const auto row = py::arg("row").noconvert();
  const auto places = py::arg("places").noconvert();
  const auto volume = py::arg("volume").noconvert();
  module.def("gather", &gather_row<float>, volume, places, row);
  module.def("gather", &gather_row<double>, volume, places, row);
  module.def("scatter", &scatter_row<float>, row, places, volume);
  module.def("scatter", &scatter_row<double>, row, places, volume);
}

}  // namespace groupglm
