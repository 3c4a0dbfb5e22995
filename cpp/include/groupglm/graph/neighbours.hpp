// SPDX-License-Identifier: BSD-3-Clause
// Who is neighbour of whom among the places of a row: voxels of a mask, vertices of a surface.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

namespace groupglm {

using Eigen::Index;

/// Lists of neighbours in compressed rows, each pair in both lists: a place becomes active in the
/// order of its value, so either of a pair may come first. The lists are increasing, without the
/// place itself and without repeats.
class Neighbours {
 public:
  /// Takes starts (n + 1) and places (starts[n]); std::invalid_argument unless they are as above.
  Neighbours(std::vector<std::int64_t> starts, std::vector<std::int32_t> places);

  Index n_places() const { return static_cast<Index>(starts_.size()) - 1; }

  const std::int32_t* begin(Index place) const { return places_.data() + starts_[at(place)]; }
  const std::int32_t* end(Index place) const { return places_.data() + starts_[at(place) + 1]; }

  const std::vector<std::int64_t>& starts() const { return starts_; }
  const std::vector<std::int32_t>& places() const { return places_; }

 private:
  friend Neighbours neighbours_of_volume(const std::array<Index, 3>&, const std::int64_t*, Index,
                                         int);
  friend Neighbours joined_neighbours(const std::vector<const Neighbours*>&);
  Neighbours() = default;  // filled by who knows that the lists are right
  static std::size_t at(Index place) { return static_cast<std::size_t>(place); }

  std::vector<std::int64_t> starts_{0};
  std::vector<std::int32_t> places_;
};

/// The neighbours among some voxels of a grid: those that share a face (connectivity 6), a face or
/// an edge (18), or a face, an edge or a corner (26).
///
/// indices (n): places of the voxels in the grid of the given shape, the first axis fastest,
/// increasing. O(connectivity n) time, and no memory that grows with the grid.
/// std::invalid_argument for another connectivity or indices outside the grid or out of order.
Neighbours neighbours_of_volume(const std::array<Index, 3>& shape, const std::int64_t* indices,
                                Index n, int connectivity);

/// The graph of parts side by side: the places of one follow those of the one before, and no place
/// has a neighbour in another part. std::invalid_argument for 2^31 places or more in all.
Neighbours joined_neighbours(const std::vector<const Neighbours*>& parts);

}  // namespace groupglm
