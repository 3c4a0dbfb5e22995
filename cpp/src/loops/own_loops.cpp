// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/convolution.hpp"
#include "groupglm/loops/inner_loops.hpp"

namespace groupglm {

InnerLoops own_inner_loops() {
  return {GROUPGLM_LEVEL,      &project_panel<float>, &project_panel<double>,
          &residual_panel,     &multiply_panel,       &convolve,
          &weigh_panel<float>, &weigh_panel<double>,  &rotate_panel,
          own_image_loops()};
}

}  // namespace groupglm
