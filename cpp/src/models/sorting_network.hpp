// SPDX-License-Identifier: BSD-3-Clause
// A network of comparisons that sorts, the same for all values: so many rows of values are sorted
// side by side in registers, without a branch.
//
// Batcher's merge exchange for any number of values (Knuth, The Art of Computer Programming, vol.
// 3, 2nd ed., 5.2.2, algorithm M): some n log2(n)^2 / 4 comparisons.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "loops/lanes.hpp"

namespace groupglm {

using Eigen::Index;

class SortingNetwork {
 public:
  /// Sorts n values.
  explicit SortingNetwork(Index n) {
    Index top = 1;
    while (2 * top < n) top *= 2;
    if (n < 2) return;
    for (Index p = top; p > 0; p /= 2) {
      Index q = top;
      Index r = 0;
      Index d = p;
      while (true) {
        for (Index i = 0; i + d < n; ++i) {
          if ((i & p) == r) {
            pairs_.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + d)});
          }
        }
        if (q == p) break;
        d = q - p;
        q /= 2;
        r = p;
      }
    }
  }

  /// Sorts n values as far as the values from `low` to `high` are in their places.
  SortingNetwork(Index n, Index low, Index high) : SortingNetwork(n) {
    std::vector<bool> is_needed(static_cast<std::size_t>(n), false);
    for (Index i = low; i <= high; ++i) is_needed[static_cast<std::size_t>(i)] = true;
    std::vector<Pair> kept;
    for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
      if (!is_needed[pair->low] && !is_needed[pair->high]) continue;
      is_needed[pair->low] = is_needed[pair->high] = true;
      kept.push_back(*pair);
    }
    pairs_.assign(kept.rbegin(), kept.rend());
  }

  Index n_comparisons() const { return static_cast<Index>(pairs_.size()); }

  /// Sorts each column of `values` (n, kBlock), none of which is NaN.
  void sort(double* values) const {
    for (const Pair& pair : pairs_) {
      double* const low = values + kBlock * static_cast<Index>(pair.low);
      double* const high = values + kBlock * static_cast<Index>(pair.high);
      // By registers: a copy of a block would go through memory in pieces of another size.
      for (Index lane = 0; lane < kBlock; lane += kLane) {
        const Lane one = LaneMap(low + lane);
        const Lane other = LaneMap(high + lane);
        LaneOut(low + lane) = one.min(other);
        LaneOut(high + lane) = one.max(other);
      }
    }
  }

 private:
  struct Pair {
    std::uint32_t low;
    std::uint32_t high;
  };
  std::vector<Pair> pairs_;
};

}  // namespace groupglm
