// SPDX-License-Identifier: BSD-3-Clause
// Holes of a volume: NaN and infinity.
#pragma once

#include <memory>

#include "groupglm/volume/resampling.hpp"

namespace groupglm {

/// The range of the finite values and zero, and whether all values are finite.
template <typename Scalar>
FiniteRange finite_range(const Scalar* values, Eigen::Index n);

/// A copy whose holes are extrapolated from their neighbours, two voxels deep; deeper holes are
/// zero.
template <typename Scalar>
std::unique_ptr<double[]> fill_holes(const Scalar* source, const Shape3& shape, int n_threads);

}  // namespace groupglm
