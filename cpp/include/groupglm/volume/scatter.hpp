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
///
/// Returns whether float holds all finite values, to its precision: false where one overflows, or
/// is so near to zero that digits are lost.
template <typename Scalar>
bool scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume);

/// Reads a row out of a volume: the values of runs (n_runs, 2), first place and length of each, one
/// after the other.
///
/// A mask is made of runs. Its places would be twice as many bytes as the values themselves, and no
/// longer in the cache when the next image comes; its runs are a twentieth of that.
template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* runs, Eigen::Index n_runs, Scalar* row);

/// Reads a row as `gather` does, of runs that increase and do not overlap, and returns whether the
/// volume (n_volume) is +0 everywhere else: then the row holds all that is to be known of it.
template <typename Scalar>
bool gather_rest_is_zero(const Scalar* volume, Eigen::Index n_volume, const std::int64_t* runs,
                         Eigen::Index n_runs, Scalar* row);

}  // namespace groupglm
