// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/mesh_smoothing.hpp"

#include <string>

#include "bindings.hpp"

namespace groupglm {

namespace {

template <typename Scalar>
void smooth_maps(Contiguous<Scalar>& maps, const Neighbours& neighbours, Index n_iterations,
                 int n_threads) {
  if (maps.ndim() != 2 || maps.shape(1) != neighbours.n_places()) {
    throw py::value_error("the maps must have two dimensions, the last of " +
                          std::to_string(neighbours.n_places()) +
                          " values, one for each place of the neighbours");
  }
  Scalar* const values = maps.mutable_data();  // refuses a read-only array
  const Index n_maps = maps.shape(0);
  const py::gil_scoped_release unlocked;
  smooth_on_mesh<Scalar>(values, n_maps, neighbours, n_iterations, n_threads);
}

}  // namespace

void register_mesh_smoothing(py::module_& module) {
  const auto maps = py::arg("maps").noconvert();
  const auto neighbours = py::arg("neighbours");
  const auto iterations = py::arg("n_iterations");
  const auto threads = py::arg("n_threads");
  module.def("smooth_on_mesh", &smooth_maps<float>, maps, neighbours, iterations, threads);
  module.def("smooth_on_mesh", &smooth_maps<double>, maps, neighbours, iterations, threads);
}

}  // namespace groupglm
