// SPDX-License-Identifier: BSD-3-Clause
// Shared by clusters and TFCE: sets of labels that merge, and the extremes of a map.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace groupglm {

/// The root of a label; the search halves the path (Tarjan and van Leeuwen, 1984).
inline std::int32_t find_root(std::int32_t* parent, std::int32_t label) {
  while (parent[label] != label) {
    parent[label] = parent[parent[label]];
    label = parent[label];
  }
  return label;
}

/// The largest finite value of a map and of the negated map; at least zero.
template <typename Scalar>
struct Extremes {
  Scalar positive = 0;
  Scalar negative = 0;
};

/// Searches a map (n) by the bits of its numbers, which as integers are in the order of magnitude.
/// A compiler may vectorise a maximum of integers, but not one of floats.
template <typename Scalar>
Extremes<Scalar> extremes_of(const Scalar* stat, Eigen::Index n) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::int32_t, std::int64_t>;
  constexpr Bits kSign = std::numeric_limits<Bits>::min();
  constexpr Scalar kInfinity = std::numeric_limits<Scalar>::infinity();
  Bits infinity = 0;
  std::memcpy(&infinity, &kInfinity, sizeof(Bits));
  Bits positive = 0;
  Bits negative = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    Bits bits = 0;
    std::memcpy(&bits, stat + i, sizeof(Bits));
    const Bits flipped = bits ^ kSign;  // negative for a positive number
    const Bits up = bits >= infinity ? 0 : bits;
    const Bits down = flipped >= infinity ? 0 : flipped;
    positive = positive < up ? up : positive;
    negative = negative < down ? down : negative;
  }
  Extremes<Scalar> extremes;
  std::memcpy(&extremes.positive, &positive, sizeof(Bits));
  std::memcpy(&extremes.negative, &negative, sizeof(Bits));
  return extremes;
}

}  // namespace groupglm
