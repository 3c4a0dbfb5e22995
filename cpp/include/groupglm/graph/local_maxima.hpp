// SPDX-License-Identifier: BSD-3-Clause
// Places that no neighbour exceeds.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/graph/neighbours.hpp"

namespace groupglm {

/// The value that `local_maxima` writes for a place that is not a local maximum.
inline constexpr std::int32_t kExceeded = -1;

/// n_equal[i] = the number of neighbours of place i that have its label and its value. It is
/// kExceeded if a neighbour with the same label has a larger value, or if the value of place i is
/// NaN.
///
/// values, labels and n_equal have one entry for each place of the neighbours. A maximum whose
/// neighbours all equal it lies inside a plateau. Time O(places + pairs of neighbours); the result
/// is the same for any number of threads.
template <typename Scalar>
void local_maxima(const Scalar* values, const std::int32_t* labels, const Neighbours& neighbours,
                  std::int32_t* n_equal, int n_threads);

}  // namespace groupglm
