// SPDX-License-Identifier: BSD-3-Clause
// Clusters: connected places whose statistic passes a threshold.
//
// A place is in a positive cluster when stat > threshold and in a negative one when
// -stat > threshold, both strictly, compared in double. NaN is in none. With w_i the weight of
// place i (its area or volume; 1 without weights), a cluster C has
//   size = sum of w_i over C,   mass = sum of w_i (|stat_i| - threshold) over C,
// in double (Bullmore et al. 1999, IEEE Transactions on Medical Imaging 18, 32-42); the mass is
// infinite where a statistic is. Unweighted sizes are counts, and weights of 1 give the same bits.
//
// One pass in order of the places with union-find over provisional labels; O(n) comparisons plus
// O(neighbours) for each place that passes.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "groupglm/graph/map_rows.hpp"
#include "groupglm/graph/neighbours.hpp"
#include "groupglm/graph/place_weights.hpp"

namespace groupglm {

/// What a cluster is. The threshold is at least zero.
struct ClusterRule {
  double threshold = 0;
  bool two_sided = true;  // negative clusters too
};

/// Memory for maps of n places, used again from map to map: 25 bytes a place, and 8
/// more once weights were used.
class ClusterWorkspace {
 public:
  explicit ClusterWorkspace(Index n_places);

 private:
  template <bool kWeighted>
  friend class ClusterPass;
  using Labels = Eigen::Array<std::int32_t, Eigen::Dynamic, 1>;

  Labels label_;           // (n): of a place; zero before and after a pass
  Labels passing_;         // (n): the places that pass
  Labels parent_;          // (n + 1): of a provisional label; labels begin at 1
  Labels size_;            // (n + 1): number of places
  Eigen::ArrayXd extent_;  // (n + 1): sum of weights, where there are any
  Eigen::ArrayXd mass_;    // (n + 1)
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

/// The same, with sizes that are sums of weights.
template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const PlaceWeights& weights, const ClusterRule& rule,
                             std::int32_t* labels, double* sizes, double* masses,
                             ClusterWorkspace& workspace);

/// Zero when there is no cluster.
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

/// The same for every row of maps, a map a thread; sizes and masses (n_maps).
template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const ClusterRule& rule, std::int64_t* sizes, double* masses,
                            int n_threads);
template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const PlaceWeights& weights, const ClusterRule& rule, double* sizes,
                            double* masses, int n_threads);

}  // namespace groupglm
