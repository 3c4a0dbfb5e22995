// SPDX-License-Identifier: BSD-3-Clause
// Smoothing of maps on a mesh: repeated means of neighbours.
//
// In one iteration a place with k neighbours that have a value gets the mean of these and itself,
//   x'[i] = (x[i] + sum over neighbours j of x[j]) / (1 + k).
// This is the rule of FreeSurfer (mris_fwhm, mri_surf2surf), which tends to a Gaussian: on a
// regular mesh of triangles, n iterations are a random walk of n steps, each of which stays with
// probability 1/7. A missing value (NaN) is in no mean and stays missing, as if the mesh had no
// place there.
//
// Time O(iterations x pairs of neighbours x maps). Eight maps go over the mesh together, so that
// the eight values of a place are one line of memory, which is loaded once for each neighbour.
#pragma once

#include <Eigen/Core>

#include "groupglm/graph/neighbours.hpp"

namespace groupglm {

/// The most iterations: it bounds the time of a call.
inline constexpr Index kMaxSmoothingIterations = 1000000;

/// Smooths maps (n_maps rows of one value for each place) in place.
///
/// Sums are in double, and a value is rounded to Scalar once, after the last iteration. Results are
/// the same bits for any number of threads, and for a map alone or among others. An infinite value
/// spreads, as infinity or NaN; the caller must refuse it.
///
/// Workspace a thread: 24 doubles a place, 3 for a single map.
///
/// Throws std::invalid_argument for n_iterations out of range.
template <typename Scalar>
void smooth_on_mesh(Scalar* maps, Index n_maps, const Neighbours& neighbours, Index n_iterations,
                    int n_threads);

}  // namespace groupglm
