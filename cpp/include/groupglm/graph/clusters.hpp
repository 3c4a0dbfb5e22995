// SPDX-License-Identifier: BSD-3-Clause
// Clusters: connected places whose statistic passes a threshold.
//
// The clusters of a map at a threshold u: a positive cluster is a connected set of places with
// stat > u, a negative one with -stat > u. Both comparisons are strict and in double. NaN is in no
// cluster. Let w_i be the weight of place i: its area or volume, or 1 without weights. A cluster C
// has
//   size = sum of w_i over C,   mass = sum of w_i (|stat_i| - u) over C,
// in double (Bullmore et al. 1999, IEEE Transactions on Medical Imaging 18, 32-42). The mass is
// infinite where a statistic is infinite. Sizes without weights are counts; weights of 1 give the
// same bits.
//
// One pass visits the places in order and joins them by union-find over provisional labels. It
// takes O(n) comparisons, and O(neighbours) for each place that passes.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/graph/map_rows.hpp"
#include "groupglm/graph/neighbours.hpp"
#include "groupglm/graph/place_weights.hpp"

namespace groupglm {

/// The rule that says what a cluster is. The threshold is at least zero.
struct ClusterRule {
  double threshold = 0;
  bool two_sided = true;  // negative clusters too
};

/// Memory for maps of n places, reused from map to map: 25 bytes a place, and 8 more after the
/// first use of weights.
class ClusterWorkspace {
 public:
  explicit ClusterWorkspace(Index n_places);

 private:
  template <bool kWeighted>
  friend class ClusterPass;
  using Labels = Eigen::Array<std::int32_t, Eigen::Dynamic, 1>;

  Labels label_;           // (n): label of a place; zero before and after a pass
  Labels passing_;         // (n): the places that pass the threshold
  Labels parent_;          // (n + 1): parent of a provisional label; labels begin at 1
  Labels size_;            // (n + 1): number of places
  Eigen::ArrayXd extent_;  // (n + 1): sum of weights, if there are weights
  Eigen::ArrayXd mass_;    // (n + 1)
  Eigen::Array<bool, Eigen::Dynamic, 1> negative_;  // (n + 1)
};

struct ClusterCounts {
  Index n_positive = 0;
  Index n_negative = 0;
};

/// Writes the labels (n) of a map's clusters: 0 is in no cluster, then 1 to k. The positive
/// clusters come first; within each sign they are in order of their first place. The first k
/// entries of sizes and masses, which have room for n, are written.
template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, std::int32_t* labels, std::int64_t* sizes,
                             double* masses, ClusterWorkspace& workspace);

/// As above; a size is a sum of weights.
template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const PlaceWeights& weights, const ClusterRule& rule,
                             std::int32_t* labels, double* sizes, double* masses,
                             ClusterWorkspace& workspace);

/// The largest size and mass of a map; both are zero if the map has no cluster.
template <typename Size>
struct Maxima {
  Size size = 0;
  double mass = 0;
};
using ClusterMaxima = Maxima<std::int64_t>;
using WeightedMaxima = Maxima<double>;

/// Size of the largest cluster and mass of the heaviest, of both signs together.
template <typename Scalar>
ClusterMaxima cluster_maxima(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, ClusterWorkspace& workspace);
template <typename Scalar>
WeightedMaxima cluster_maxima(const Scalar* stat, const Neighbours& neighbours,
                              const PlaceWeights& weights, const ClusterRule& rule,
                              ClusterWorkspace& workspace);

/// As above for every row of maps, one map a thread; sizes and masses have n_maps entries.
template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const ClusterRule& rule, std::int64_t* sizes, double* masses,
                            int n_threads);
template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const PlaceWeights& weights, const ClusterRule& rule, double* sizes,
                            double* masses, int n_threads);

}  // namespace groupglm
