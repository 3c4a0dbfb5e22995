// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/clusters.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "groupglm/graph/local_maxima.hpp"
#include "groupglm/graph/map_rows.hpp"
#include "groupglm/graph/neighbours.hpp"
#include "groupglm/graph/place_weights.hpp"
#include "groupglm/graph/tfce.hpp"

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

Neighbours joined(const std::vector<std::reference_wrapper<const Neighbours>>& parts) {
  std::vector<const Neighbours*> pointers;
  for (const Neighbours& part : parts) pointers.push_back(&part);
  // The caller holds the Python list from which `parts` was converted.
  const py::gil_scoped_release unlocked;
  return joined_neighbours(pointers);
}

py::tuple adjacency(const Neighbours& neighbours) {
  return py::make_tuple(array_of(neighbours.starts()), array_of(neighbours.places()));
}

Neighbours of_pickled(const py::tuple& parts) {
  if (parts.size() != 2) throw py::value_error("not pickled neighbours");
  return of_adjacency(parts[0].cast<Contiguous<std::int64_t>>(),
                      parts[1].cast<Contiguous<std::int32_t>>());
}

// A map (n).
template <typename Scalar>
void check_map(const Contiguous<Scalar>& map, const Neighbours& neighbours) {
  if (map.ndim() == 1 && map.size() == neighbours.n_places()) return;
  throw py::value_error("the map must have one dimension of " +
                        std::to_string(neighbours.n_places()) +
                        " values, one for each place of the neighbours");
}

// Maps as rows (n_maps, n). There may be gaps between the rows, as between those of a part of the
// places.
template <typename Scalar>
MapRows<Scalar> checked_rows(const py::array_t<Scalar>& maps, const Neighbours& neighbours) {
  const Index n = neighbours.n_places();
  if (maps.ndim() != 2 || maps.shape(1) != n) {
    throw py::value_error("the maps must have two dimensions, the last of " + std::to_string(n) +
                          " values, one for each place of the neighbours");
  }
  constexpr auto size = static_cast<py::ssize_t>(sizeof(Scalar));
  check((n < 2 || maps.strides(1) == size) && maps.strides(0) % size == 0,
        "the values of a map must lie side by side");
  return {maps.data(), maps.shape(0), maps.strides(0) / size};
}

using Weights = std::optional<Matrix>;

std::optional<PlaceWeights> checked_weights(const Weights& weights, const Neighbours& neighbours) {
  if (!weights) return std::nullopt;
  if (weights->ndim() != 1) {
    throw py::value_error("weights has " + std::to_string(weights->ndim()) +
                          " dimensions; it must have one, with a weight for each place");
  }
  return PlaceWeights(weights->data(), weights->size(), neighbours.n_places());
}

// call(labels, sizes, masses, workspace) labels the clusters.
template <typename Size, typename Call>
py::tuple labelled(Index n, const Call& call) {
  Contiguous<std::int32_t> labels(n);
  std::int32_t* const out = labels.mutable_data();
  std::vector<Size> sizes;
  std::vector<double> masses;
  ClusterCounts counts;
  {
    // The views stay valid without the GIL: the arguments and `labels` hold the arrays.
    const py::gil_scoped_release unlocked;
    sizes.resize(static_cast<std::size_t>(n));
    masses.resize(static_cast<std::size_t>(n));
    ClusterWorkspace workspace(n);
    counts = call(out, sizes.data(), masses.data(), workspace);
    sizes.resize(static_cast<std::size_t>(counts.n_positive + counts.n_negative));
    masses.resize(sizes.size());
  }
  return py::make_tuple(labels, array_of(sizes), array_of(masses), counts.n_positive);
}

template <typename Scalar>
py::tuple label(const Contiguous<Scalar>& stat, const Neighbours& neighbours, double threshold,
                bool two_sided, const Weights& weights) {
  check_map(stat, neighbours);
  const ClusterRule rule{threshold, two_sided};
  if (const auto checked = checked_weights(weights, neighbours)) {
    return labelled<double>(stat.size(), [&](auto&&... out) {
      return label_clusters(stat.data(), neighbours, *checked, rule, out...);
    });
  }
  return labelled<std::int64_t>(stat.size(), [&](auto&&... out) {
    return label_clusters(stat.data(), neighbours, rule, out...);
  });
}

// call(sizes, masses) computes the maxima of the maps.
template <typename Size, typename Call>
py::tuple maxima_of(Index n_maps, const Call& call) {
  Contiguous<Size> sizes(n_maps);
  Matrix masses(n_maps);
  Size* const size = sizes.mutable_data();
  double* const mass = masses.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    call(size, mass);
  }
  return py::make_tuple(sizes, masses);
}

template <typename Scalar>
py::tuple maxima(const py::array_t<Scalar>& stats, const Neighbours& neighbours, double threshold,
                 bool two_sided, int n_threads, const Weights& weights) {
  const MapRows<Scalar> maps = checked_rows(stats, neighbours);
  const ClusterRule rule{threshold, two_sided};
  if (const auto checked = checked_weights(weights, neighbours)) {
    return maxima_of<double>(maps.n_maps, [&](double* sizes, double* masses) {
      cluster_maxima_of_maps(maps, neighbours, *checked, rule, sizes, masses, n_threads);
    });
  }
  return maxima_of<std::int64_t>(maps.n_maps, [&](std::int64_t* sizes, double* masses) {
    cluster_maxima_of_maps(maps, neighbours, rule, sizes, masses, n_threads);
  });
}

template <typename Scalar>
Matrix enhance(const Contiguous<Scalar>& stat, const Neighbours& neighbours, double extent_power,
               double height_power, bool two_sided, Index n_steps, const Weights& weights) {
  check_map(stat, neighbours);
  const TfceRule rule{extent_power, height_power, two_sided, n_steps};
  const auto checked = checked_weights(weights, neighbours);
  Matrix out(stat.size());
  double* const view = out.mutable_data();
  const py::gil_scoped_release unlocked;
  TfceWorkspace workspace(neighbours, rule);
  tfce(stat.data(), neighbours, view, workspace, checked ? &*checked : nullptr);
  return out;
}

template <typename Scalar>
Matrix enhanced_maxima(const py::array_t<Scalar>& stats, const Neighbours& neighbours,
                       double extent_power, double height_power, bool two_sided, Index n_steps,
                       int n_threads, const Weights& weights) {
  const MapRows<Scalar> maps = checked_rows(stats, neighbours);
  const TfceRule rule{extent_power, height_power, two_sided, n_steps};
  const auto checked = checked_weights(weights, neighbours);
  Matrix out(maps.n_maps);
  double* const view = out.mutable_data();
  const py::gil_scoped_release unlocked;
  tfce_maxima_of_maps(maps, neighbours, rule, view, n_threads, checked ? &*checked : nullptr);
  return out;
}

template <typename Scalar>
Contiguous<std::int32_t> maxima_among_neighbours(const Contiguous<Scalar>& stat,
                                                 const Contiguous<std::int32_t>& labels,
                                                 const Neighbours& neighbours, int n_threads) {
  check_map(stat, neighbours);
  check(labels.ndim() == 1 && labels.size() == stat.size(), "labels must have the map's shape");
  Contiguous<std::int32_t> out(stat.size());
  std::int32_t* const view = out.mutable_data();
  const py::gil_scoped_release unlocked;
  local_maxima(stat.data(), labels.data(), neighbours, view, n_threads);
  return out;
}

template <typename Scalar>
void register_maps(py::module_& module) {
  module.def("label_clusters", &label<Scalar>, py::arg("stat").noconvert(), py::arg("neighbours"),
             py::arg("threshold"), py::arg("two_sided"),
             py::arg("weights").noconvert() = py::none());
  module.def("cluster_maxima", &maxima<Scalar>, py::arg("stats").noconvert(), py::arg("neighbours"),
             py::arg("threshold"), py::arg("two_sided"), py::arg("n_threads"),
             py::arg("weights").noconvert() = py::none());
  module.def("local_maxima", &maxima_among_neighbours<Scalar>, py::arg("stat").noconvert(),
             py::arg("labels").noconvert(), py::arg("neighbours"), py::arg("n_threads"));
  module.def("tfce", &enhance<Scalar>, py::arg("stat").noconvert(), py::arg("neighbours"),
             py::arg("extent_power"), py::arg("height_power"), py::arg("two_sided"),
             py::arg("n_steps"), py::arg("weights").noconvert() = py::none());
  module.def("tfce_maxima", &enhanced_maxima<Scalar>, py::arg("stats").noconvert(),
             py::arg("neighbours"), py::arg("extent_power"), py::arg("height_power"),
             py::arg("two_sided"), py::arg("n_steps"), py::arg("n_threads"),
             py::arg("weights").noconvert() = py::none());
}

}  // namespace

void register_clusters(py::module_& module) {
  // module_local, because the modules of several levels may be loaded into one process.
  py::class_<Neighbours>(module, "Neighbours", py::module_local())
      .def_static("of_volume", &of_volume, py::arg("shape"), py::arg("indices").noconvert(),
                  py::arg("connectivity"))
      .def_static("of_adjacency", &of_adjacency, py::arg("starts").noconvert(),
                  py::arg("places").noconvert())
      .def_static("joined", &joined, py::arg("parts"))
      .def_property_readonly("n_places", &Neighbours::n_places)
      .def("adjacency", &adjacency)
      .def(py::pickle(&adjacency, &of_pickled));
  register_maps<float>(module);
  register_maps<double>(module);
}

}  // namespace groupglm
