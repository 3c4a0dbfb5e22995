// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/scatter.hpp"

#include <algorithm>

namespace groupglm {

namespace {

// The end of the run of neighbours along the first axis that begins at i.
Eigen::Index run_end(const std::int64_t* places, Eigen::Index n_places, Eigen::Index i) {
  Eigen::Index end = i + 1;
  while (end < n_places && places[end] == places[end - 1] + 1) ++end;
  return end;
}

}  // namespace

template <typename Scalar>
void scatter(const Scalar* row, const std::int64_t* places, Eigen::Index n_places, float* volume,
             Eigen::Index n_volume) {
  Eigen::Index i = 0;
  Eigen::Index done = 0;
  while (i < n_places) {
    // A mask is made of runs of neighbours along the first axis: a run is converted as one.
    const Eigen::Index end = run_end(places, n_places, i);
    std::fill(volume + done, volume + places[i], 0.0F);
    float* out = volume + places[i];
    for (Eigen::Index k = 0; k < end - i; ++k) out[k] = static_cast<float>(row[i + k]);
    done = places[i] + end - i;
    i = end;
  }
  std::fill(volume + done, volume + n_volume, 0.0F);
}

template <typename Scalar>
void gather(const Scalar* volume, const std::int64_t* places, Eigen::Index n_places, Scalar* row) {
  Eigen::Index i = 0;
  while (i < n_places) {
    const Eigen::Index end = run_end(places, n_places, i);
    std::copy_n(volume + places[i], end - i, row + i);
    i = end;
  }
}

template void scatter<float>(const float*, const std::int64_t*, Eigen::Index, float*, Eigen::Index);
template void scatter<double>(const double*, const std::int64_t*, Eigen::Index, float*,
                              Eigen::Index);

template void gather<float>(const float*, const std::int64_t*, Eigen::Index, float*);
template void gather<double>(const double*, const std::int64_t*, Eigen::Index, double*);

}  // namespace groupglm
