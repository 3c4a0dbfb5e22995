// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include <algorithm>

namespace groupglm {

template <typename Scalar>
void scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume) {
  Eigen::Index i = 0;
  Eigen::Index done = 0;
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
}

template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* runs, Eigen::Index n_runs, Scalar* row) {
  for (Eigen::Index r = 0; r < n_runs; ++r) {
    row = std::copy_n(volume + runs[2 * r], runs[2 * r + 1], row);
  }
}

template void scatter<float>(const float*, const std::int64_t*, Eigen::Index, float*, Eigen::Index);
template void scatter<double>(const double*, const std::int64_t*, Eigen::Index, float*,
                              Eigen::Index);

template void gather<float>(const float*, const std::int64_t*, Eigen::Index, float*);
template void gather<double>(const double*, const std::int64_t*, Eigen::Index, double*);

}  // namespace groupglm
