// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/inner_loops.hpp"

namespace groupglm {

namespace {

InnerLoops& loops_in_use() {
  static InnerLoops loops = own_inner_loops();
  return loops;
}

}  // namespace

const InnerLoops& inner_loops() { return loops_in_use(); }

void use_inner_loops(const InnerLoops& loops) { loops_in_use() = loops; }

}  // namespace groupglm
