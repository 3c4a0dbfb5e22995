// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/smoothing.hpp"

#include <array>

#include "bindings.hpp"

namespace groupglm {

namespace {

using Shape = std::array<Eigen::Index, 3>;

bool has_size(const Shape& shape, Eigen::Index size) {
  for (const Eigen::Index length : shape) {
    if (length < 1 || size % length != 0) return false;
    size /= length;
  }
  return size == 1;
}

template <typename Scalar>
void smooth(py::array_t<Scalar, py::array::c_style>& volume, const Shape& shape,
            const std::array<double, 3>& sigma, int n_threads) {
  if (volume.ndim() != 1 || !has_size(shape, volume.size())) {
    throw py::value_error("the volume must be one run of as many values as its shape has voxels");
  }
  Scalar* values = volume.mutable_data();  // refuses a read-only array
  const py::gil_scoped_release unlocked;
  smooth_volume<Scalar>(values, shape, sigma, n_threads);
}

}  // namespace

void register_smoothing(py::module_& module) {
  const auto volume = py::arg("volume").noconvert();
  const auto shape = py::arg("shape");
  const auto sigma = py::arg("sigma");
  const auto threads = py::arg("n_threads");
  module.def("smooth_volume", &smooth<float>, volume, shape, sigma, threads);
  module.def("smooth_volume", &smooth<double>, volume, shape, sigma, threads);
}

}  // namespace groupglm
