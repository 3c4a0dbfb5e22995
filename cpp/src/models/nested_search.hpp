// SPDX-License-Identifier: BSD-3-Clause
// The ratios of variances with the highest restricted likelihood, both at least 0.
//
// The likelihood may have several maxima. The criterion is taken at all pairs of kRatioGrid; each
// pair that is no higher than its neighbours starts a Newton iteration within the bounds, and so
// does each end of a jump: where the lowest pair of a ratio is far from that of the next ratio, a
// valley begins that may have no pair of the grid at its bottom. The lowest end counts. Where the
// second derivatives are not those of a minimum, the expected ones take their place (Fisher
// scoring).
#pragma once

#include <array>
#include <memory>

#include "models/nested_moments.hpp"

namespace groupglm {

/// Neighbours differ by a factor that changes the weight of no subject much more than threefold.
inline constexpr std::array<double, 10> kRatioGrid{0.0, 0.03, 0.1,  0.3,   1.0,
                                                   3.0, 10.0, 40.0, 200.0, 1000.0};
inline constexpr Index kGridPoints =
    static_cast<Index>(kRatioGrid.size()) * static_cast<Index>(kRatioGrid.size());

/// A ratio that reaches this has no maximum: the likelihood rises for ever, as where the images of
/// each subject are equal.
inline constexpr double kLargestRatio = 1e9;

/// What the criterion needs of the design at each point of the grid: it is the same for all voxels
/// that have the same images. Memory: 8 (r + 1) bytes a family and point.
class NestedGrid {
 public:
  explicit NestedGrid(const NestedRows& rows);

  /// The criterion at every point (kGridPoints), point (i, j) at i kRatioGrid.size() + j, with i of
  /// the subjects' ratio.
  template <typename V>
  void criteria(const NestedSums<V>& sums, V* out) const;

 private:
  struct Point {
    std::vector<double> weight;  // (kinds)
    std::vector<double> factor;  // L D L' of X'V^-1 X, packed
    RowMatrix taken;             // (families, r + 1): c u, and c
    double log_det = 0.0;        // with that of X'V^-1 X
  };
  const NestedRows& rows_;
  std::vector<Point> points_;
};

/// A pair of ratios, one voxel a lane.
template <typename V>
struct Ratios {
  V subject;
  V family;
};

/// Finds the ratios from the criteria at the grid; `moments` holds everything there afterwards.
template <typename V>
Ratios<V> highest_likelihood(const NestedRows& rows, const NestedSums<V>& sums, const V* criteria,
                             NestedMoments<V>& moments);

}  // namespace groupglm
