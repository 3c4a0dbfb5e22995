// SPDX-License-Identifier: BSD-3-Clause
// Threshold-free cluster enhancement (Smith and Nichols 2009, NeuroImage 44, 83-98).
//
// For a place v with a positive statistic,
//   TFCE(v) = integral from 0 to stat(v) of extent(v, h)^E h^H dh,
// where extent(v, h) is the size of the cluster that v is in at the threshold stat >= h: its number
// of places, or the sum of their weights (areas, volumes) if there are weights. The negative part
// of a two-sided map is enhanced separately and keeps its sign. NaN is in no cluster.
//
// The extent changes only where a place joins a cluster, so the integral is a finite sum and needs
// no step size. Places join in descending order of their values. The clusters that they merge form
// a tree with one node a place: node i has the height h_i of its place and the extent A_i of its
// cluster, and its parent p is the place that joins that cluster next. Then
//   TFCE(i) = TFCE(p) + A_i^E (F(h_i) - F(h_p)),   F(h) = h^(H + 1) / (H + 1),
// from the root, below which F = 0, upwards. No term is negative, so nothing cancels. Places of
// equal value have terms of zero between them, whatever their order.
//
// With n_steps > 0 the integral is the sum over the heights t_k = k max|stat| / n_steps, without
// the factor dh, as in fslmaths: F(h) is then the sum of t_k^H over t_k <= h, and the rest is the
// same.
//
// An infinite statistic gets an infinite score. It adds to its neighbours' extents as any statistic
// larger than theirs does. The steps end at the largest finite statistic.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "groupglm/graph/map_rows.hpp"
#include "groupglm/graph/neighbours.hpp"
#include "groupglm/graph/place_weights.hpp"

namespace groupglm {

inline constexpr Index kMaxTfceSteps = 1'000'000;

/// Powers are finite and at least zero; n_steps is from 0 (the exact integral) to kMaxTfceSteps.
struct TfceRule {
  double extent_power = 0.5;  // E
  double height_power = 2.0;  // H
  bool two_sided = true;
  Index n_steps = 0;
};

/// Memory for maps on the same neighbours with the same rule, reused from map to map: about 100
/// bytes a place, 2 bytes a neighbour, and 8 bytes a place more after the first use of weights.
class TfceWorkspace {
 public:
  TfceWorkspace(const Neighbours& neighbours, const TfceRule& rule);

 private:
  template <bool kWeighted>
  friend class TfcePass;
  using Integers = Eigen::Array<std::int32_t, Eigen::Dynamic, 1>;
  using Entries = Eigen::Array<std::uint64_t, Eigen::Dynamic, 1>;

  TfceRule rule_;
  Entries entries_;          // (n + 1): sort key and place of the places of one sign
  Entries spare_;            // (n + 1): second buffer of the sort
  Integers node_;            // (n): node of a place: descending value, positive ones first
  Integers place_;           // (n): place of a node
  Integers above_;           // (n): highest neighbour of a node; at a peak, itself
  Integers slope_;           // (n): slope of a node, named by its peak (see TfcePass)
  Integers slope_of_place_;  // (n)
  Integers seams_;           // other slopes that touch a place from above, list by list
  Eigen::Array<Index, Eigen::Dynamic, 1> seam_;  // (n): where a node's list begins
  Integers parent_;                              // (n): parent of a slope in the union-find
  Integers component_size_;                      // (n): number of places of a root
  Eigen::ArrayXd component_weight_;              // (n): weight of a root, with weights
  Integers last_;                                // (n): the node that joined a root last
  Eigen::ArrayXd best_;                          // (n): the largest sum of a root so far
  Eigen::ArrayXd integral_;                      // (n + 1): F at each node's height
  Integers node_parent_;                         // (n): parent of a node in the tree
  Integers node_size_;                           // (n)
  Eigen::ArrayXd score_;                         // (n + 1)
  Eigen::ArrayXd extent_;                        // (n + 1): s^E by size s, as far as it was needed;
                                                 // with weights A^E by node
  Index n_extents_ = 0;
  std::vector<double> step_;      // (n_steps + 1): heights t_k
  std::vector<double> step_sum_;  // (n_steps + 1): sum of t_k^H up to each
};

/// Enhances a map stat (n) into out (n). out is zero where the statistic is zero or NaN, and where
/// it is negative in a one-sided map. Time O(n log n) at worst. Throws std::invalid_argument for
/// finite values so large that their score is infinite. Without weights a place counts one; weights
/// of 1 give the same bits.
template <typename Scalar>
void tfce(const Scalar* stat, const Neighbours& neighbours, double* out, TfceWorkspace& workspace,
          const PlaceWeights* weights = nullptr);

/// The largest |TFCE| of a map; zero if there is none. The sum runs from the peaks down, which
/// needs no tree; it equals that of `tfce` up to rounding.
template <typename Scalar>
double tfce_maximum(const Scalar* stat, const Neighbours& neighbours, TfceWorkspace& workspace,
                    const PlaceWeights* weights = nullptr);

/// As above for every row of maps, one map a thread; out has n_maps entries.
template <typename Scalar>
void tfce_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                         const TfceRule& rule, double* out, int n_threads,
                         const PlaceWeights* weights = nullptr);

}  // namespace groupglm
