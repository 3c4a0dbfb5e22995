// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Eigen/Core>

namespace groupglm {

/// Maps as rows, of which a part of the places may be seen alone: map i begins at data + i * stride
/// and has as many values as the neighbours that go with it have places.
template <typename Scalar>
struct MapRows {
  const Scalar* data = nullptr;
  Eigen::Index n_maps = 0;
  Eigen::Index stride = 0;
};

}  // namespace groupglm
