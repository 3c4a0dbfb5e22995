// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "groupglm/models/mixed_update.hpp"

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

// For each group the numbers of its rows and its basis: every row of n in one group.
std::vector<Tau2Group> tau2_groups_of(
    const std::vector<std::pair<std::vector<Index>, Matrix>>& given, Index n) {
  std::vector<Tau2Group> groups;
  std::vector<bool> is_taken(static_cast<std::size_t>(n));
  Index n_taken = 0;
  for (const auto& [rows, basis] : given) {
    const auto q = matrix_of(basis);
    check(q.cols() > 0 && q.rows() == static_cast<Index>(rows.size()),
          "the basis of a group does not match its rows");
    for (const Index row : rows) {
      check(row >= 0 && row < n && !is_taken[static_cast<std::size_t>(row)],
            "the rows of the groups are not those of the data");
      is_taken[static_cast<std::size_t>(row)] = true;
    }
    n_taken += q.rows();
    groups.push_back({rows, q});
  }
  check(n_taken == n, "the rows of the groups are not those of the data");
  return groups;
}

template <typename Scalar>
py::tuple update_mixed_state(WeightedState& state, const Design& design,
                             const py::array_t<Scalar>& y, const py::array_t<Scalar>& v,
                             const std::vector<std::pair<std::vector<Index>, Matrix>>& groups,
                             const std::string& method, double given, int n_threads) {
  const DataView<Scalar> effects = view_of(y);
  const DataView<Scalar> variances = view_of(v);
  check(effects.n_rows == design.n_rows() && state.n_rows() == 0 &&
            state.parts().n_working == design.n_working() && state.parts().n_own == 0,
        "the state, the design and the effects do not match");
  check(effects.n_rows == variances.n_rows && effects.n_voxels == variances.n_voxels &&
            effects.n_voxels == state.n_voxels(),
        "the state, the effects and the variances do not match");
  check(given >= 0.0, "tau2 must not be below zero");
  const Tau2Method chosen = tau2_method_of(method);
  const std::vector<Tau2Group> own = tau2_groups_of(groups, effects.n_rows);
  const auto n_groups = static_cast<Index>(own.size());
  Matrix tau2({n_groups, effects.n_voxels});
  Matrix typical({n_groups, effects.n_voxels});
  Matrix q({n_groups, effects.n_voxels});
  Matrix smallest({n_groups, effects.n_voxels});
  Matrix largest({n_groups, effects.n_voxels});
  py::array_t<std::int32_t> n_images({n_groups, effects.n_voxels});
  const MixedFindings found{tau2.mutable_data(),    typical.mutable_data(),
                            q.mutable_data(),       smallest.mutable_data(),
                            largest.mutable_data(), n_images.mutable_data()};
  {
    const py::gil_scoped_release unlocked;
    update_mixed<Scalar>(state, design, effects, variances, own, chosen, given, found, n_threads);
  }
  return py::make_tuple(tau2, typical, q, smallest, largest, n_images);
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
  const auto state = py::arg("state");
  const auto design = py::arg("design");
  const auto groups = py::arg("groups");
  module.def("update_mixed", &update_mixed_state<float>, state, design, y, v, groups,
             py::arg("method"), py::arg("given"), py::arg("n_threads"));
  module.def("update_mixed", &update_mixed_state<double>, state, design, y, v, groups,
             py::arg("method"), py::arg("given"), py::arg("n_threads"));
}

}  // namespace groupglm
