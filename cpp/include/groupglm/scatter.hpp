// SPDX-License-Identifier: BSD-3-Clause
// From a volume to a row of the mask's voxels, and back.
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

/// Reads a row out of a volume: row[i] = volume[places[i]].
///
/// `places` increases; runs of neighbours are copied as one, which is what a mask is made of.
template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* places, Eigen::Index n_places, Scalar* row);

}  // namespace groupglm
