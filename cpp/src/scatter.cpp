// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace groupglm {

namespace {

// Counted and not asked for one by one, so that a run is worked on as vectors.
template <typename Scalar>
Eigen::Index count_outside_float([[maybe_unused]] const Scalar* values,
                                 [[maybe_unused]] Eigen::Index n) {
  if constexpr (std::is_same_v<Scalar, double>) {
    constexpr double most = std::numeric_limits<float>::max();
    constexpr double least = std::numeric_limits<float>::min();
    constexpr double finite = std::numeric_limits<double>::max();
    Eigen::Index count = 0;
    for (Eigen::Index k = 0; k < n; ++k) {
      const double size = std::abs(values[k]);
      const bool is_large = size > most && size <= finite;
      const bool is_small = size < least && size > 0.0;
      count += static_cast<Eigen::Index>(is_large | is_small);
    }
    return count;
  } else {
    return 0;
  }
}

}  // namespace

template <typename Scalar>
bool scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume) {
  Eigen::Index i = 0;
  Eigen::Index done = 0;
  const Eigen::Index n_outside = count_outside_float(row, n_places);
  while (i < n_places) {
    // A mask is made of runs of neighbours along the first axis: a run is converted as one.
    Eigen::Index end = i + 1;
    while (end < n_places && places[end] == places[end - 1] + 1) ++end;
    std::fill(volume + done, volume + places[i], 0.0F);
    float* out = volume + places[i];
    for (Eigen::Index k = 0; k < end - i; ++k) out[k] = static_cast<float>(row[i + k]);
    done = places[i] + end - i;
    i = end;
  }
  std::fill(volume + done, volume + n_volume, 0.0F);
  return n_outside == 0;
}

template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* runs, Eigen::Index n_runs, Scalar* row) {
  for (Eigen::Index r = 0; r < n_runs; ++r) {
    row = std::copy_n(volume + runs[2 * r], runs[2 * r + 1], row);
  }
}

template bool scatter<float>(const float*, const std::int64_t*, Eigen::Index, float*, Eigen::Index);
template bool scatter<double>(const double*, const std::int64_t*, Eigen::Index, float*,
                              Eigen::Index);

template void gather<float>(const float*, const std::int64_t*, Eigen::Index, float*);
template void gather<double>(const double*, const std::int64_t*, Eigen::Index, double*);

}  // namespace groupglm
