// SPDX-License-Identifier: BSD-3-Clause
// From a volume to a row of the mask's voxels, and back.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace groupglm {

/// Writes a row into a volume: volume[places[i]] = row[i], zero elsewhere.
///
/// `places` increases, from at least 0 to below n_volume. Every element of the volume is written
/// once: 4 bytes a voxel of the grid, and at most 16 bytes are read a voxel of the mask.
///
/// Returns whether float holds all finite values to its precision. It does not if a value
/// overflows, or is so near to zero that digits are lost.
template <typename Scalar>
bool scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume);

/// Writes every value of a row (n) to the same place of `out` (n); returns what `scatter` does.
template <typename Scalar>
bool narrow(const Scalar* row, Eigen::Index n, float* out);

/// Reads a row out of a volume, run after run. runs (n_runs, 2): the first place and the length of
/// each run.
///
/// A mask is made of runs. A list of its places would have twice as many bytes as the values
/// themselves, and would have left the cache when the next image comes. Its runs need a twentieth
/// of that.
template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* runs, Eigen::Index n_runs, Scalar* row);

/// Reads a row as `gather` does; the runs must increase and not overlap. Returns whether the volume
/// (n_volume) is +0 everywhere else: the row then tells the whole volume.
template <typename Scalar>
bool gather_rest_is_zero(const Scalar* volume, Eigen::Index n_volume, const std::int64_t* runs,
                         Eigen::Index n_runs, Scalar* row);

}  // namespace groupglm
