// SPDX-License-Identifier: BSD-3-Clause
// The places of one sign of a map, in descending order of magnitude.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

namespace groupglm {

/// A sort key in the upper half, and a place in the lower half. A larger value has a smaller key.
using Entry = std::uint64_t;

inline std::int32_t place_of(Entry entry) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(entry));
}

/// Positive floats are in the same order as their bits. A double is rounded to float first, so that
/// different doubles may get equal keys; `order_equal_keys` puts these in order.
template <typename Scalar>
Entry entry_of(Scalar value, Eigen::Index place) {
  // Infinity keeps its own bits, above the bits of every finite number.
  const auto rounded =
      std::isinf(value)
          ? std::numeric_limits<float>::infinity()
          : static_cast<float>(std::min(value, Scalar{std::numeric_limits<float>::max()}));
  std::uint32_t bits = 0;
  std::memcpy(&bits, &rounded, sizeof bits);
  return (Entry{0x7fffffffU - bits} << 32U) | static_cast<Entry>(place);
}

/// Writes the entries of the places with sign * stat > 0 (room for n + 1); returns how many.
template <typename Scalar>
Eigen::Index collect(const Scalar* stat, Eigen::Index n, Scalar sign, Entry* entries) {
  Eigen::Index count = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    // Every entry is written, and stays only if it counts: the sign is not predictable.
    const Scalar value = sign * stat[i];
    entries[count] = entry_of(value > 0 ? value : Scalar{0}, i);
    count += static_cast<Eigen::Index>(value > 0);
  }
  return count;
}

/// Sorts by key and keeps equal keys in their order: a radix sort from the lowest digit. Returns
/// the sorted entries, which are in `entries` or in `spare`.
inline Entry* sort_by_key(Entry* entries, Entry* spare, Eigen::Index n) {
  constexpr unsigned kBits = 11;
  constexpr std::size_t kBuckets = std::size_t{1} << kBits;
  constexpr std::size_t kPasses = 3;
  const auto digit = [](Entry entry, std::size_t pass) {
    return static_cast<std::size_t>(entry >> (32U + kBits * static_cast<unsigned>(pass))) &
           (kBuckets - 1);
  };
  std::array<std::array<std::uint32_t, kBuckets>, kPasses> starts{};
  for (Eigen::Index i = 0; i < n; ++i) {
    for (std::size_t pass = 0; pass < kPasses; ++pass) ++starts[pass][digit(entries[i], pass)];
  }
  for (std::size_t pass = 0; pass < kPasses; ++pass) {
    std::uint32_t total = 0;
    for (std::uint32_t& start : starts[pass]) total += std::exchange(start, total);
    for (Eigen::Index i = 0; i < n; ++i) {
      spare[starts[pass][digit(entries[i], pass)]++] = entries[i];
    }
    std::swap(entries, spare);
  }
  return entries;
}

/// Puts entries of equal keys in the order of their doubles, and equal doubles in the order of
/// their places.
inline void order_equal_keys(const double* stat, double sign, Entry* entries, Eigen::Index n) {
  const auto above = [&](Entry a, Entry b) {
    const double first = sign * stat[place_of(a)];
    const double second = sign * stat[place_of(b)];
    return first > second || (first == second && place_of(a) < place_of(b));
  };
  for (Eigen::Index begin = 0; begin < n;) {
    Eigen::Index end = begin + 1;
    while (end < n && entries[end] >> 32U == entries[begin] >> 32U) ++end;
    if (end > begin + 1) std::sort(entries + begin, entries + end, above);
    begin = end;
  }
}

inline void order_equal_keys(const float*, float, Entry*, Eigen::Index) {}

}  // namespace groupglm
