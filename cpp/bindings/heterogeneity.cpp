// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/heterogeneity.hpp"

#include <array>
#include <string>
#include <utility>

#include "bindings.hpp"

namespace groupglm {

namespace {

Tau2Method tau2_method_of(const std::string& name) {
  static const std::array<std::pair<const char*, Tau2Method>, 6> kMethods{{
      {"reml", Tau2Method::reml},
      {"ml", Tau2Method::ml},
      {"dersimonian-laird", Tau2Method::dersimonian_laird},
      {"paule-mandel", Tau2Method::paule_mandel},
      {"hedges", Tau2Method::hedges},
      {"given", Tau2Method::given},
  }};
  for (const auto& [known, method] : kMethods) {
    if (name == known) return method;
  }
  throw py::value_error("no such estimator of tau2");
}

template <typename Scalar>
py::tuple tau2_of(const Matrix& basis, const py::array_t<Scalar>& y, const py::array_t<Scalar>& v,
                  const std::string& method, double given, int n_threads) {
  const auto q = matrix_of(basis);
  const DataView<Scalar> effects = view_of(y);
  const DataView<Scalar> variances = view_of(v);
  check(q.cols() > 0 && q.rows() == effects.n_rows && effects.n_rows == variances.n_rows &&
            effects.n_voxels == variances.n_voxels,
        "the basis, the effects and the variances do not match");
  check(given >= 0.0, "tau2 must not be below zero");
  const Tau2Method chosen = tau2_method_of(method);
  Matrix tau2(effects.n_voxels);
  Matrix typical(effects.n_voxels);
  double* const tau2_out = tau2.mutable_data();
  double* const typical_out = typical.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    estimate_tau2<Scalar>(q, effects, variances, chosen, given, tau2_out, typical_out, n_threads);
  }
  return py::make_tuple(tau2, typical);
}

}  // namespace

void register_heterogeneity(py::module_& module) {
  const auto basis = py::arg("basis").noconvert();
  const auto y = py::arg("y").noconvert();
  const auto v = py::arg("v").noconvert();
  module.def("estimate_tau2", &tau2_of<float>, basis, y, v, py::arg("method"), py::arg("given"),
             py::arg("n_threads"));
  module.def("estimate_tau2", &tau2_of<double>, basis, y, v, py::arg("method"), py::arg("given"),
             py::arg("n_threads"));
}

}  // namespace groupglm
