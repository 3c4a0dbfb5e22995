// SPDX-License-Identifier: BSD-3-Clause
// Places that no neighbour exceeds.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/graph/neighbours.hpp"

namespace groupglm {

/// What `local_maxima` gives for a place that is none.
inline constexpr std::int32_t kExceeded = -1;

/// n_equal[i] = how many neighbours of place i have its label and its value, or kExceeded if a
/// neighbour of its label has a larger one, or its own is NaN.
///
/// values, labels, n_equal: one for each place of the neighbours. A maximum all of whose neighbours
/// are equal to it lies inside a plateau.
/// O(places + pairs of neighbours) time; the same for any number of threads.
template <typename Scalar>
void local_maxima(const Scalar* values, const std::int32_t* labels, const Neighbours& neighbours,
                  std::int32_t* n_equal, int n_threads);

}  // namespace groupglm
