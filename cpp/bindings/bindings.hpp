// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

#include "groupglm/graph/neighbours.hpp"
#include "groupglm/models/ols_state.hpp"
#include "groupglm/models/repeated_state.hpp"
#include "groupglm/models/weighted_state.hpp"

namespace pybind11::detail {

/// Refuses objects that `__new__` made but neither `__init__` nor `__setstate__` filled: pybind11
/// would give access to uninitialised memory.
template <typename T>
class InitialisedCaster : public type_caster_base<T> {
 public:
  bool load(handle source, bool convert) {
    const type_info* const type = get_type_info(typeid(T));
    if (source && type != nullptr && PyObject_TypeCheck(source.ptr(), type->type) != 0) {
      auto* const object = reinterpret_cast<instance*>(source.ptr());
      if (!object->get_value_and_holder(type).holder_constructed()) return false;
    }
    return type_caster_base<T>::load(source, convert);
  }
};

template <>
class type_caster<groupglm::Design> : public InitialisedCaster<groupglm::Design> {};
template <>
class type_caster<groupglm::OlsState> : public InitialisedCaster<groupglm::OlsState> {};
template <>
class type_caster<groupglm::RepeatedState> : public InitialisedCaster<groupglm::RepeatedState> {};
template <>
class type_caster<groupglm::WeightedState> : public InitialisedCaster<groupglm::WeightedState> {};
template <>
class type_caster<groupglm::Neighbours> : public InitialisedCaster<groupglm::Neighbours> {};

}  // namespace pybind11::detail

namespace groupglm {

namespace py = pybind11;

void register_build_info(py::module_& module);
void register_design(py::module_& module);
void register_ols_state(py::module_& module);
void register_ols_fit(py::module_& module);
void register_weighted(py::module_& module);
void register_repeated(py::module_& module);
void register_scatter(py::module_& module);
void register_smoothing(py::module_& module);
void register_clusters(py::module_& module);
void register_mesh_smoothing(py::module_& module);
void register_edge_sums(py::module_& module);
void register_resampling(py::module_& module);
void register_permutation(py::module_& module);
void register_permutation_models(py::module_& module);
void register_permutation_present(py::module_& module);
void register_permutation_repeated(py::module_& module);
void register_heterogeneity(py::module_& module);
void register_sandwich(py::module_& module);
void register_nested(py::module_& module);
void register_robust(py::module_& module);
void register_tails(py::module_& module);
void register_effect_sizes(py::module_& module);

/// A C-ordered array without a copy; the caller converts where that is needed.
template <typename T>
using Contiguous = py::array_t<T, py::array::c_style>;
using Matrix = Contiguous<double>;
using Integers = Contiguous<std::int64_t>;

inline void check(bool holds, const char* complaint) {
  if (!holds) throw py::value_error(complaint);
}

template <typename T>
Contiguous<T> array_of(const std::vector<T>& values) {
  return Contiguous<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// The numbers of a state of least squares as a pickle holds them.
py::tuple state_parts(const OlsState& state);
OlsState state_of_parts(const py::tuple& values);

/// The voxels that an array of any type of whole number names; refuses others than n_voxels has.
std::vector<Index> voxels_of(const py::array_t<std::int64_t>& voxels, Index n_voxels);

/// A view of a two-dimensional array with any strides, without a copy.
template <typename Scalar>
DataView<Scalar> view_of(const py::array_t<Scalar>& array) {
  if (array.ndim() != 2) throw py::value_error("the data must have two dimensions");
  constexpr auto size = static_cast<py::ssize_t>(sizeof(Scalar));
  if (array.strides(0) % size != 0 || array.strides(1) % size != 0) {
    throw py::value_error("the data's strides must be whole elements");
  }
  return {array.data(), array.shape(0), array.shape(1), array.strides(0) / size,
          array.strides(1) / size};
}

inline Eigen::Map<const RowMatrix> matrix_of(const Matrix& array) {
  if (array.ndim() != 2) throw py::value_error("the matrix must have two dimensions");
  return {array.data(), array.shape(0), array.shape(1)};
}

}  // namespace groupglm
