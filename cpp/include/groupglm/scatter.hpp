// SPDX-License-Identifier: BSD-3-Clause
// From a row of results back to a volume.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace groupglm {

/// Writes a row into a volume: volume[places[i]] = row[i], zero elsewhere.
///
/// `places` increases from at least 0 to below n_volume. Every element of the volume is written
/// once: 4 bytes a voxel of the grid, and at most 16 read a voxel of the mask.
template <typename Scalar>
void scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume);

}  // namespace groupglm
