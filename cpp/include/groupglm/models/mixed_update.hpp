// SPDX-License-Identifier: BSD-3-Clause
// The weighted state of mixed effects: tau2 is estimated, and the images are weighted by it, panel
// by panel of voxels, so that the second reading of a panel's rows is from the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "groupglm/models/heterogeneity.hpp"
#include "groupglm/models/weighted_state.hpp"

namespace groupglm {

/// Images that share a tau2: their rows, and an orthonormal basis (rows, r) of their design.
struct Tau2Group {
  std::vector<Index> rows;
  RowMatrix basis;
};

/// What is known of each group at each voxel, (n_groups, n_voxels) each.
struct MixedFindings {
  double* tau2;
  double* typical;   // variance of an image
  double* q;         // Cochran's Q of the group by itself
  double* smallest;  // variance of its images, infinite without any
  double* largest;   // 0 without any
  std::int32_t* n_images;
};

/// Adds y (n, n_voxels), whose images have the variances v and n rows of the design, with the
/// weights 1 / (v + tau2) to an empty state. Every image is in one of the groups.
///
/// tau2 and the typical variance are what `estimate_tau2` says of each group: NaN where it has no
/// more images than the rank of its basis, where it takes no part. Memory: one HeterogeneityTile
/// and one panel of the state a thread.
template <typename Scalar>
void update_mixed(WeightedState& state, const Design& design, const DataView<Scalar>& y,
                  const DataView<Scalar>& v, const std::vector<Tau2Group>& groups,
                  Tau2Method method, double given, const MixedFindings& found, int n_threads);

}  // namespace groupglm
