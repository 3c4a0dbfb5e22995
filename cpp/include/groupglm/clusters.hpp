// SPDX-License-Identifier: BSD-3-Clause
// Clusters: connected places whose statistic passes a threshold.
//
// A place is in a positive cluster when stat > threshold and in a negative one when
// -stat > threshold, both strictly, compared in double. NaN is in none. The size of a cluster is
// its number of places, its mass the sum of |stat| - threshold over them, in double (Bullmore et
// al. 1999, IEEE Transactions on Medical Imaging 18, 32-42): infinite where a statistic is.
//
// One pass in order of the places with union-find over provisional labels; O(n) comparisons plus
// O(neighbours) for each place that passes.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/neighbours.hpp"

namespace groupglm {

/// What a cluster is. The threshold is at least zero.
struct ClusterRule {
  double threshold = 0;
  bool two_sided = true;  // negative clusters too
};

/// Memory for maps of n places, used again from map to map: 25 bytes a place.
class ClusterWorkspace {
 public:
  explicit ClusterWorkspace(Index n_places);

 private:
  friend class ClusterPass;
  using Labels = Eigen::Array<std::int32_t, Eigen::Dynamic, 1>;

  Labels label_;         // (n): of a place; zero before and after a pass
  Labels passing_;       // (n): the places that pass
  Labels parent_;        // (n + 1): of a provisional label; labels begin at 1
  Labels size_;          // (n + 1)
  Eigen::ArrayXd mass_;  // (n + 1)
  Eigen::Array<bool, Eigen::Dynamic, 1> negative_;  // (n + 1)
};

struct ClusterCounts {
  Index n_positive = 0;
  Index n_negative = 0;
};

/// Labels (n) of the clusters of a map: 0 in none, then 1 to k; the positive ones first, each sign
/// in order of the first place. Sizes and masses (room for n) get k entries.
template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, std::int32_t* labels, std::int64_t* sizes,
                             double* masses, ClusterWorkspace& workspace);

struct ClusterMaxima {
  std::int64_t size = 0;  // zero when there is no cluster
  double mass = 0;
};

/// Size of the largest cluster and mass of the heaviest, of both signs together.
template <typename Scalar>
ClusterMaxima cluster_maxima(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, ClusterWorkspace& workspace);

/// The same for every row of stat (n_maps, n), a map a thread; sizes and masses (n_maps).
template <typename Scalar>
void cluster_maxima_of_maps(const Scalar* stat, Index n_maps, const Neighbours& neighbours,
                            const ClusterRule& rule, std::int64_t* sizes, double* masses,
                            int n_threads);

}  // namespace groupglm
