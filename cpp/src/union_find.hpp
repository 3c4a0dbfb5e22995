// SPDX-License-Identifier: BSD-3-Clause
// What clusters and TFCE share: sets of labels that merge, and the check of a map.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace groupglm {

/// The root of a label; halves the path on the way (Tarjan and van Leeuwen, 1984).
inline std::int32_t find_root(std::int32_t* parent, std::int32_t label) {
  while (parent[label] != label) {
    parent[label] = parent[parent[label]];
    label = parent[label];
  }
  return label;
}

/// Largest value and largest negated value of a map, at least zero; NaN left out.
template <typename Scalar>
struct Extremes {
  Scalar positive = 0;
  Scalar negative = 0;
};

/// Searches a map (n). By the bits of the numbers, which as integers are ordered like magnitudes:
/// a compiler may turn a maximum of integers into one of registers, not one of floats.
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
    const Bits up = bits > infinity ? 0 : bits;
    const Bits down = flipped > infinity ? 0 : flipped;
    positive = positive < up ? up : positive;
    negative = negative < down ? down : negative;
  }
  Extremes<Scalar> extremes;
  std::memcpy(&extremes.positive, &positive, sizeof(Bits));
  std::memcpy(&extremes.negative, &negative, sizeof(Bits));
  return extremes;
}

/// The same of a map that must have no infinite value; std::invalid_argument if it has.
template <typename Scalar>
Extremes<Scalar> finite_extremes_of(const Scalar* stat, Eigen::Index n) {
  const Extremes<Scalar> extremes = extremes_of(stat, n);
  if (std::isinf(extremes.positive) || std::isinf(extremes.negative)) {
    Eigen::Index place = 0;
    while (!std::isinf(stat[place])) ++place;
    throw std::invalid_argument("the map is infinite at place " + std::to_string(place) +
                                "; a cluster with it has no finite measure: set it to NaN to leave "
                                "it out, or use a z map, which is finite");
  }
  return extremes;
}

}  // namespace groupglm
