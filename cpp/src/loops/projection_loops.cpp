// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/projection.hpp"

namespace groupglm {

namespace {

ProjectionLoops& loops_in_use() {
  static ProjectionLoops loops = own_projection_loops();
  return loops;
}

}  // namespace

const ProjectionLoops& projection_loops() { return loops_in_use(); }

void use_projection_loops(const ProjectionLoops& loops) { loops_in_use() = loops; }

}  // namespace groupglm
