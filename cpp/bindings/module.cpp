// SPDX-License-Identifier: BSD-3-Clause
#include "bindings.hpp"

PYBIND11_MODULE(GROUPGLM_MODULE, module) {
  module.doc() = "Compiled core of groupglm; one module a level of the instruction set.";
  groupglm::register_build_info(module);
  groupglm::register_design(module);
  groupglm::register_ols_state(module);
  groupglm::register_ols_fit(module);
  groupglm::register_weighted(module);
  groupglm::register_repeated(module);
  groupglm::register_scatter(module);
  groupglm::register_smoothing(module);
  groupglm::register_clusters(module);
  groupglm::register_mesh_smoothing(module);
  groupglm::register_edge_sums(module);
  groupglm::register_resampling(module);
  groupglm::register_permutation(module);
  groupglm::register_permutation_models(module);
  groupglm::register_permutation_present(module);
  groupglm::register_permutation_repeated(module);
  groupglm::register_heterogeneity(module);
  groupglm::register_sandwich(module);
  groupglm::register_nested(module);
  groupglm::register_robust(module);
  groupglm::register_tails(module);
  groupglm::register_effect_sizes(module);
}
