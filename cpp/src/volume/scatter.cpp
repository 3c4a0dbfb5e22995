// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/scatter.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace groupglm {

namespace {

// Values that are checked together before they are converted, while they are in the first-level
// cache.
constexpr Eigen::Index kLookedAt = 1024;

// Whether float holds all finite values. A count of the ordinary values vectorises; an early exit
// would not. Few blocks have other values, and these are checked again one by one.
template <typename Scalar>
bool float_holds([[maybe_unused]] const Scalar* values, [[maybe_unused]] Eigen::Index n) {
  if constexpr (std::is_same_v<Scalar, double>) {
    constexpr double most = std::numeric_limits<float>::max();
    constexpr double least = std::numeric_limits<float>::min();
    Eigen::Index n_ordinary = 0;
    for (Eigen::Index k = 0; k < n; ++k) {
      const double size = std::abs(values[k]);
      n_ordinary += static_cast<Eigen::Index>((size >= least) & (size <= most));
    }
    if (n_ordinary == n) return true;
    return std::none_of(values, values + n, [](double value) {
      const double size = std::abs(value);
      return std::isfinite(size) && (size > most || (size < least && size > 0.0));
    });
  } else {
    return true;
  }
}

// Whether all bits are zero. Combining all bits vectorises; an early exit would not.
template <typename Scalar>
bool is_zero(const Scalar* values, Eigen::Index n) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
  Bits any = 0;
  for (Eigen::Index k = 0; k < n; ++k) {
    Bits bits = 0;
    std::memcpy(&bits, values + k, sizeof(bits));
    any |= bits;
  }
  return any == 0;
}

}  // namespace

template <typename Scalar>
bool scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume) {
  Eigen::Index i = 0;
  Eigen::Index done = 0;
  Eigen::Index looked_at = 0;
  bool is_held = true;
  while (i < n_places) {
    // A mask is made of runs of neighbours along the first axis; a whole run is converted at once.
    Eigen::Index end = i + 1;
    while (end < n_places && places[end] == places[end - 1] + 1) ++end;
    std::fill(volume + done, volume + places[i], 0.0F);
    if (end > looked_at) {
      const Eigen::Index next = std::min(n_places, end + kLookedAt);
      is_held = is_held && float_holds(row + looked_at, next - looked_at);
      looked_at = next;
    }
    float* out = volume + places[i];
    for (Eigen::Index k = 0; k < end - i; ++k) out[k] = static_cast<float>(row[i + k]);
    done = places[i] + end - i;
    i = end;
  }
  std::fill(volume + done, volume + n_volume, 0.0F);
  return is_held;
}

template <typename Scalar>
bool narrow(const Scalar* row, Eigen::Index n, float* out) {
  bool is_held = true;
  for (Eigen::Index first = 0; first < n; first += kLookedAt) {
    const Eigen::Index count = std::min(kLookedAt, n - first);
    is_held = is_held && float_holds(row + first, count);
    for (Eigen::Index k = first; k < first + count; ++k) out[k] = static_cast<float>(row[k]);
  }
  return is_held;
}

template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* runs, Eigen::Index n_runs, Scalar* row) {
  for (Eigen::Index r = 0; r < n_runs; ++r) {
    row = std::copy_n(volume + runs[2 * r], runs[2 * r + 1], row);
  }
}

template <typename Scalar>
bool gather_rest_is_zero(const Scalar* volume, Eigen::Index n_volume, const std::int64_t* runs,
                         Eigen::Index n_runs, Scalar* row) {
  Eigen::Index done = 0;
  for (Eigen::Index r = 0; r < n_runs; ++r) {
    const Eigen::Index first = runs[2 * r];
    if (!is_zero(volume + done, first - done)) return false;
    done = first + runs[2 * r + 1];
    row = std::copy(volume + first, volume + done, row);
  }
  return is_zero(volume + done, n_volume - done);
}

template bool scatter<float>(const float*, const std::int64_t*, Eigen::Index, float*, Eigen::Index);
template bool scatter<double>(const double*, const std::int64_t*, Eigen::Index, float*,
                              Eigen::Index);

template bool narrow<float>(const float*, Eigen::Index, float*);
template bool narrow<double>(const double*, Eigen::Index, float*);

template void gather<float>(const float*, const std::int64_t*, Eigen::Index, float*);
template void gather<double>(const double*, const std::int64_t*, Eigen::Index, double*);

template bool gather_rest_is_zero<float>(const float*, Eigen::Index, const std::int64_t*,
                                         Eigen::Index, float*);
template bool gather_rest_is_zero<double>(const double*, Eigen::Index, const std::int64_t*,
                                          Eigen::Index, double*);

}  // namespace groupglm
