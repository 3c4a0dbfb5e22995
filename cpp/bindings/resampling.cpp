// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/resampling.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include "bindings.hpp"

namespace groupglm {

namespace {

template <typename Item>
using FortranArray = py::array_t<Item, py::array::f_style>;

using Shape = std::array<Index, 3>;
using Slack = std::array<double, 3>;

Shape3 shape_of(const py::array& volume) {
  if (volume.ndim() != 3 || volume.size() == 0) {
    throw py::value_error("the volume must have three dimensions and a voxel");
  }
  return {volume.shape(0), volume.shape(1), volume.shape(2)};
}

void check_shape(const Shape3& shape) {
  constexpr Index most = std::numeric_limits<Index>::max() / 16;  // bytes of the widest item
  Index n = 1;
  for (const Index length : shape) {
    if (length < 1 || length > most / n) throw py::value_error("the shape is not possible");
    n *= length;
  }
}

VoxelMap map_of_matrix(const Matrix& array, const std::array<double, 3>& slack) {
  const auto rows = matrix_of(array);
  if (rows.rows() != 3 || rows.cols() != 4) throw py::value_error("the map must be 3 x 4");
  if (!rows.allFinite()) throw py::value_error("the map must be finite");
  VoxelMap map{};
  for (Index row = 0; row < 3; ++row) {
    const auto i = static_cast<std::size_t>(row);
    for (Index column = 0; column < 3; ++column) {
      map.matrix[i][static_cast<std::size_t>(column)] = rows(row, column);
    }
    map.offset[i] = rows(row, 3);
    if (!(slack[i] >= 0 && slack[i] < 0.5)) {
      throw py::value_error("the slack must be at least 0 and below half a voxel");
    }
  }
  map.slack = slack;
  return map;
}

Interpolation interpolation_of(const std::string& name) {
  if (name == "nearest") return Interpolation::nearest;
  if (name == "linear") return Interpolation::linear;
  if (name == "continuous") return Interpolation::cubic;
  throw py::value_error("there is no interpolation " + name);
}

template <typename Scalar>
py::tuple resample(const FortranArray<Scalar>& volume, const Matrix& voxel_map, const Shape& shape,
                   const std::string& interpolation, double fill, int n_threads,
                   const Slack& slack) {
  const Shape3 source_shape = shape_of(volume);
  const VoxelMap map = map_of_matrix(voxel_map, slack);
  const Interpolation kind = interpolation_of(interpolation);
  check_shape(shape);
  FortranArray<Scalar> out(shape);
  const Scalar* source = volume.data();
  Scalar* values = out.mutable_data();
  FiniteRange range;
  {
    const py::gil_scoped_release unlocked;
    range = resample_volume(source, source_shape, map, kind, fill, values, shape, n_threads);
  }
  return py::make_tuple(out, range.lowest, range.highest);
}

template <typename Item>
FortranArray<Item> nearest(const FortranArray<Item>& volume, const Matrix& voxel_map,
                           const Shape& shape, int n_threads, const Slack& slack) {
  const Shape3 source_shape = shape_of(volume);
  const VoxelMap map = map_of_matrix(voxel_map, slack);
  check_shape(shape);
  FortranArray<Item> out(shape);
  const Item* source = volume.data();
  Item* values = out.mutable_data();
  const py::gil_scoped_release unlocked;
  resample_nearest(source, source_shape, map, Item{0}, values, shape, n_threads);
  return out;
}

}  // namespace

void register_resampling(py::module_& module) {
  const auto volume = py::arg("volume").noconvert();
  const auto voxel_map = py::arg("voxel_map").noconvert();
  const auto slack = py::arg("slack") = Slack{0, 0, 0};
  const auto shape = py::arg("shape");
  const auto threads = py::arg("n_threads");
  module.def("resample_volume", &resample<float>, volume, voxel_map, shape,
             py::arg("interpolation"), py::arg("fill"), threads, slack);
  module.def("resample_volume", &resample<double>, volume, voxel_map, shape,
             py::arg("interpolation"), py::arg("fill"), threads, slack);
  module.def("resample_nearest", &nearest<std::uint8_t>, volume, voxel_map, shape, threads, slack);
  module.def("resample_nearest", &nearest<std::uint16_t>, volume, voxel_map, shape, threads, slack);
  module.def("resample_nearest", &nearest<std::uint32_t>, volume, voxel_map, shape, threads, slack);
  module.def("resample_nearest", &nearest<std::uint64_t>, volume, voxel_map, shape, threads, slack);
}

}  // namespace groupglm
