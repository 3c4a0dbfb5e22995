// SPDX-License-Identifier: BSD-3-Clause
// Which places of a row are neighbours: voxels of a mask, vertices of a surface.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

namespace groupglm {

using Eigen::Index;

/// Lists of neighbours in compressed rows. Each pair of neighbours is in both lists, because places
/// are visited in the order of their values and either of the two may come first. Each list
/// increases, without repeats and without the place itself.
class Neighbours {
 public:
  /// Takes starts (n + 1) and places (starts[n]). Throws std::invalid_argument unless the lists are
  /// as described above.
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
  Neighbours() = default;  // for the friends, which build correct lists
  static std::size_t at(Index place) { return static_cast<std::size_t>(place); }

  std::vector<std::int64_t> starts_{0};
  std::vector<std::int32_t> places_;
};

/// The neighbours among some voxels of a grid: voxels that share a face (connectivity 6), a face or
/// an edge (18), or a face, an edge or a corner (26).
///
/// indices (n): the voxels' flat indices in a grid of the given shape, first axis fastest, in
/// increasing order. Time O(connectivity n); no memory grows with the grid. Throws
/// std::invalid_argument for another connectivity, or indices outside the grid or out of order.
Neighbours neighbours_of_volume(const std::array<Index, 3>& shape, const std::int64_t* indices,
                                Index n, int connectivity);

/// The neighbours of several parts side by side: the places of a part follow those of the part
/// before it, and no place has a neighbour in another part. Throws std::invalid_argument for 2^31
/// places or more in all.
Neighbours joined_neighbours(const std::vector<const Neighbours*>& parts);

}  // namespace groupglm
