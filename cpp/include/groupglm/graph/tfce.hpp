// SPDX-License-Identifier: BSD-3-Clause
// Threshold-free cluster enhancement (Smith and Nichols 2009, NeuroImage 44, 83-98).
//
// For a place v with a positive statistic,
//   TFCE(v) = integral from 0 to stat(v) of extent(v, h)^E h^H dh,
// where extent(v, h) is the number of places in the cluster of v among those with stat >= h, or the
// sum of their weights (areas, volumes) where there are any. The negative part of a two-sided map
// is enhanced by itself and keeps its sign. NaN is in no cluster.
//
// The extent changes only where a place joins, so the integral is a finite sum and no step size is
// needed. Places join in descending order, and the clusters they merge form a tree with a node a
// place: node i of extent A_i stands between the height h_i of its place and that of the place that
// joins next, its parent p. Then
//   TFCE(i) = TFCE(p) + A_i^E (F(h_i) - F(h_p)),   F(h) = h^(H + 1) / (H + 1),
// from the root (F = 0 below it) upwards. All terms are positive: nothing cancels, and places of
// equal value have terms of zero between them, whatever their order.
//
// With n_steps > 0 the integral is the sum over the heights t_k = k max|stat| / n_steps without the
// factor dh, as fslmaths has it: F(h) becomes the sum of t_k^H over t_k <= h, the rest is the same.
//
// An infinite statistic is enhanced infinitely, and its neighbours as by any larger than theirs;
// steps go to the largest finite one.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "groupglm/graph/map_rows.hpp"
#include "groupglm/graph/neighbours.hpp"
#include "groupglm/graph/place_weights.hpp"

namespace groupglm {

inline constexpr Index kMaxTfceSteps = 1'000'000;

/// Powers are finite and at least zero; n_steps from 0 (the exact integral) to kMaxTfceSteps.
struct TfceRule {
  double extent_power = 0.5;  // E
  double height_power = 2.0;  // H
  bool two_sided = true;
  Index n_steps = 0;
};

/// Memory for maps on these neighbours and one rule, used again from map to map: about 100 bytes a
/// place, 8 more once weights were used, and two a neighbour.
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
  Entries spare_;            // (n + 1): the sort's other half
  Integers node_;            // (n): of a place, by descending value, the positive ones first
  Integers place_;           // (n): of a node
  Integers above_;           // (n): of a node, the highest neighbour, itself at a peak
  Integers slope_;           // (n): of a node, the peak that the way up leads to
  Integers slope_of_place_;  // (n)
  Integers seams_;           // other slopes above a place, list after list
  Eigen::Array<Index, Eigen::Dynamic, 1> seam_;  // (n): where a node's list begins
  Integers parent_;                              // (n): of a slope, union-find
  Integers component_size_;                      // (n): of a root
  Eigen::ArrayXd component_weight_;              // (n): of a root, with weights
  Integers last_;                                // (n): of a root, the node that joined last
  Eigen::ArrayXd best_;                          // (n): of a root, the largest sum so far
  Eigen::ArrayXd integral_;                      // (n + 1): F at each node's height
  Integers node_parent_;                         // (n): in the tree
  Integers node_size_;                           // (n)
  Eigen::ArrayXd score_;                         // (n + 1)
  Eigen::ArrayXd extent_;                        // (n + 1): s^E by size s, as far as it was needed;
                                                 // with weights A^E by node
  Index n_extents_ = 0;
  std::vector<double> step_;      // (n_steps + 1): heights t_k
  std::vector<double> step_sum_;  // (n_steps + 1): sum of t_k^H up to each
};

/// Enhances a map stat (n) into out (n): zero where the statistic is zero, NaN or, one-sided,
/// negative. O(n log n) at worst. std::invalid_argument for finite values so large that their
/// enhancement is infinite. Without weights a place counts one, as with weights of 1 to the bit.
template <typename Scalar>
void tfce(const Scalar* stat, const Neighbours& neighbours, double* out, TfceWorkspace& workspace,
          const PlaceWeights* weights = nullptr);

/// The largest |TFCE| of a map, zero when there is none. The sum goes from the peaks down, which
/// saves the tree; it is that of `tfce` up to rounding.
template <typename Scalar>
double tfce_maximum(const Scalar* stat, const Neighbours& neighbours, TfceWorkspace& workspace,
                    const PlaceWeights* weights = nullptr);

/// The same for every row of maps, a map a thread; out (n_maps).
template <typename Scalar>
void tfce_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                         const TfceRule& rule, double* out, int n_threads,
                         const PlaceWeights* weights = nullptr);

}  // namespace groupglm
