// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/clusters.hpp"

#include <array>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "groupglm/neighbours.hpp"
#include "groupglm/tfce.hpp"

namespace groupglm {

namespace {

Neighbours of_volume(const std::array<Index, 3>& shape, const Contiguous<std::int64_t>& indices,
                     int connectivity) {
  if (indices.ndim() != 1) throw py::value_error("the indices must have one dimension");
  const py::gil_scoped_release unlocked;
  return neighbours_of_volume(shape, indices.data(), indices.size(), connectivity);
}

Neighbours of_adjacency(const Contiguous<std::int64_t>& starts,
                        const Contiguous<std::int32_t>& places) {
  if (starts.ndim() != 1 || places.ndim() != 1) {
    throw py::value_error("starts and places must have one dimension");
  }
  const py::gil_scoped_release unlocked;
  return {{starts.data(), starts.data() + starts.size()},
          {places.data(), places.data() + places.size()}};
}

py::tuple adjacency(const Neighbours& neighbours) {
  return py::make_tuple(array_of(neighbours.starts()), array_of(neighbours.places()));
}

Neighbours of_pickled(const py::tuple& parts) {
  if (parts.size() != 2) throw py::value_error("not pickled neighbours");
  return of_adjacency(parts[0].cast<Contiguous<std::int64_t>>(),
                      parts[1].cast<Contiguous<std::int32_t>>());
}

// A map (n), or maps as rows (n_maps, n).
template <typename Scalar>
void check_maps(const Contiguous<Scalar>& maps, const Neighbours& neighbours, py::ssize_t ndim) {
  if (maps.ndim() == ndim && maps.shape(ndim - 1) == neighbours.n_places()) return;
  throw py::value_error("the maps must have " + std::to_string(ndim) +
                        " dimension(s), the last of " + std::to_string(neighbours.n_places()) +
                        " values, one for each place of the neighbours");
}

template <typename Scalar>
py::tuple label(const Contiguous<Scalar>& stat, const Neighbours& neighbours, double threshold,
                bool two_sided) {
  check_maps(stat, neighbours, 1);
  const ClusterRule rule{threshold, two_sided};
  Contiguous<std::int32_t> labels(stat.size());
  std::int32_t* const out = labels.mutable_data();
  std::vector<std::int64_t> sizes;
  std::vector<double> masses;
  ClusterCounts counts;
  {
    // The views stay valid without the GIL: the arguments and `labels` hold the arrays.
    const py::gil_scoped_release unlocked;
    const auto n = static_cast<std::size_t>(stat.size());
    sizes.resize(n);
    masses.resize(n);
    ClusterWorkspace workspace(stat.size());
    counts =
        label_clusters(stat.data(), neighbours, rule, out, sizes.data(), masses.data(), workspace);
    sizes.resize(static_cast<std::size_t>(counts.n_positive + counts.n_negative));
    masses.resize(sizes.size());
  }
  return py::make_tuple(labels, array_of(sizes), array_of(masses), counts.n_positive);
}

template <typename Scalar>
py::tuple maxima(const Contiguous<Scalar>& stats, const Neighbours& neighbours, double threshold,
                 bool two_sided, int n_threads) {
  check_maps(stats, neighbours, 2);
  const ClusterRule rule{threshold, two_sided};
  Contiguous<std::int64_t> sizes(stats.shape(0));
  Contiguous<double> masses(stats.shape(0));
  std::int64_t* const size = sizes.mutable_data();
  double* const mass = masses.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    cluster_maxima_of_maps(stats.data(), stats.shape(0), neighbours, rule, size, mass, n_threads);
  }
  return py::make_tuple(sizes, masses);
}

template <typename Scalar>
Contiguous<double> enhance(const Contiguous<Scalar>& stat, const Neighbours& neighbours,
                           double extent_power, double height_power, bool two_sided,
                           Index n_steps) {
  check_maps(stat, neighbours, 1);
  const TfceRule rule{extent_power, height_power, two_sided, n_steps};
  Contiguous<double> out(stat.size());
  double* const view = out.mutable_data();
  const py::gil_scoped_release unlocked;
  TfceWorkspace workspace(neighbours, rule);
  tfce(stat.data(), neighbours, view, workspace);
  return out;
}

template <typename Scalar>
Contiguous<double> enhanced_maxima(const Contiguous<Scalar>& stats, const Neighbours& neighbours,
                                   double extent_power, double height_power, bool two_sided,
                                   Index n_steps, int n_threads) {
  check_maps(stats, neighbours, 2);
  const TfceRule rule{extent_power, height_power, two_sided, n_steps};
  Contiguous<double> out(stats.shape(0));
  double* const view = out.mutable_data();
  const py::gil_scoped_release unlocked;
  tfce_maxima_of_maps(stats.data(), stats.shape(0), neighbours, rule, view, n_threads);
  return out;
}

template <typename Scalar>
void register_maps(py::module_& module) {
  module.def("label_clusters", &label<Scalar>, py::arg("stat").noconvert(), py::arg("neighbours"),
             py::arg("threshold"), py::arg("two_sided"));
  module.def("cluster_maxima", &maxima<Scalar>, py::arg("stats").noconvert(), py::arg("neighbours"),
             py::arg("threshold"), py::arg("two_sided"), py::arg("n_threads"));
  module.def("tfce", &enhance<Scalar>, py::arg("stat").noconvert(), py::arg("neighbours"),
             py::arg("extent_power"), py::arg("height_power"), py::arg("two_sided"),
             py::arg("n_steps"));
  module.def("tfce_maxima", &enhanced_maxima<Scalar>, py::arg("stats").noconvert(),
             py::arg("neighbours"), py::arg("extent_power"), py::arg("height_power"),
             py::arg("two_sided"), py::arg("n_steps"), py::arg("n_threads"));
}

}  // namespace

void register_clusters(py::module_& module) {
  // module_local: the modules of several levels may be loaded into one process.
  py::class_<Neighbours>(module, "Neighbours", py::module_local())
      .def_static("of_volume", &of_volume, py::arg("shape"), py::arg("indices").noconvert(),
                  py::arg("connectivity"))
      .def_static("of_adjacency", &of_adjacency, py::arg("starts").noconvert(),
                  py::arg("places").noconvert())
      .def_property_readonly("n_places", &Neighbours::n_places)
      .def("adjacency", &adjacency)
      .def(py::pickle(&adjacency, &of_pickled));
  register_maps<float>(module);
  register_maps<double>(module);
}

}  // namespace groupglm
