// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Eigen/Core>

namespace groupglm {

/// Maps as rows of a matrix, whose rows may be longer than a map: map i begins at data + i * stride
/// and has one value for each place of the neighbours that it is used with.
template <typename Scalar>
struct MapRows {
  const Scalar* data = nullptr;
  Eigen::Index n_maps = 0;
  Eigen::Index stride = 0;
};

}  // namespace groupglm
