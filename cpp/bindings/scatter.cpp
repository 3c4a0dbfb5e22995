// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/scatter.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
void check_runs(const py::array_t<Scalar, py::array::c_style>& volume, const Integers& runs,
                const py::array_t<Scalar, py::array::c_style>& row) {
  if (row.ndim() != 1 || volume.ndim() != 1 || runs.ndim() != 2 || runs.shape(1) != 2) {
    throw py::value_error("a row and the volume must be vectors, and runs have two columns");
  }
  Index left = row.size();
  const std::int64_t* const run = runs.data();
  for (Index r = 0; r < runs.shape(0); ++r) {
    const std::int64_t first = run[2 * r];
    const std::int64_t length = run[2 * r + 1];
    if (first < 0 || length < 0 || length > left || first > volume.size() - length) {
      throw py::value_error("runs lie outside the volume, or are longer than the row");
    }
    left -= length;
  }
  if (left != 0) throw py::value_error("runs are shorter than the row");
}

template <typename Scalar>
void gather_row(const py::array_t<Scalar, py::array::c_style>& volume, const Integers& runs,
                py::array_t<Scalar, py::array::c_style>& row) {
  check_runs(volume, runs, row);
  Scalar* out = row.mutable_data();
  const py::gil_scoped_release unlocked;
  gather(volume.data(), runs.data(), runs.shape(0), out);
}

template <typename Scalar>
bool gather_all_but_zeros(const py::array_t<Scalar, py::array::c_style>& volume,
                          const Integers& runs, py::array_t<Scalar, py::array::c_style>& row) {
  check_runs(volume, runs, row);
  const std::int64_t* const run = runs.data();
  for (Index r = 1; r < runs.shape(0); ++r) {
    check(run[2 * r] >= run[2 * r - 2] + run[2 * r - 1], "runs must increase and not overlap");
  }
  Scalar* out = row.mutable_data();
  const py::gil_scoped_release unlocked;
  return gather_rest_is_zero(volume.data(), volume.size(), run, runs.shape(0), out);
}

template <typename Scalar>
bool scatter_row(const py::array_t<Scalar, py::array::c_style>& row,
                 const py::array_t<std::int64_t, py::array::c_style>& places,
                 py::array_t<float, py::array::c_style>& volume) {
  if (row.ndim() != 1 || places.ndim() != 1 || volume.ndim() != 1 || row.size() != places.size()) {
    throw py::value_error("a row, its places and the volume must be vectors that match");
  }
  const Index n = row.size();
  const std::int64_t* const place = places.data();
  // A count vectorises; an early exit would not.
  Index n_wrong = n > 0 && place[0] < 0 ? 1 : 0;
  for (Index i = 1; i < n; ++i) n_wrong += place[i] <= place[i - 1] ? 1 : 0;
  if (n_wrong > 0) throw py::value_error("places must increase, from 0");
  if (n > 0 && place[n - 1] >= volume.size()) {
    throw py::value_error("places lie outside the volume");
  }
  float* out = volume.mutable_data();
  const py::gil_scoped_release unlocked;
  return scatter(row.data(), places.data(), n, out, volume.size());
}

template <typename Scalar>
bool narrow_row(const py::array_t<Scalar, py::array::c_style>& row,
                py::array_t<float, py::array::c_style>& out) {
  if (row.ndim() != 1 || out.ndim() != 1 || row.size() != out.size()) {
    throw py::value_error("a row and what it is written to must be vectors of the same length");
  }
  float* to = out.mutable_data();
  const py::gil_scoped_release unlocked;
  return narrow(row.data(), row.size(), to);
}

}  // namespace

void register_scatter(py::module_& module) {
  const auto row = py::arg("row").noconvert();
  const auto places = py::arg("places").noconvert();
  const auto volume = py::arg("volume").noconvert();
  const auto runs = py::arg("runs").noconvert();
  module.def("gather", &gather_row<float>, volume, runs, row);
  module.def("gather", &gather_row<double>, volume, runs, row);
  module.def("gather_rest_is_zero", &gather_all_but_zeros<float>, volume, runs, row);
  module.def("gather_rest_is_zero", &gather_all_but_zeros<double>, volume, runs, row);
  module.def("scatter", &scatter_row<float>, row, places, volume);
  module.def("scatter", &scatter_row<double>, row, places, volume);
  const auto out = py::arg("out").noconvert();
  module.def("narrow", &narrow_row<float>, row, out);
  module.def("narrow", &narrow_row<double>, row, out);
}

}  // namespace groupglm
