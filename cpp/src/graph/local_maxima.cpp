// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/local_maxima.hpp"

#include <algorithm>

#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

// Places of a task: enough that the cost of handing it to a thread is negligible.
constexpr Index kTaskPlaces = 4096;

template <typename Scalar>
std::int32_t count_equal(const Scalar* values, const std::int32_t* labels,
                         const Neighbours& neighbours, Index place) {
  const Scalar value = values[place];
  if (value != value) return kExceeded;
  std::int32_t n_equal = 0;
  for (const std::int32_t* other = neighbours.begin(place); other != neighbours.end(place);
       ++other) {
    if (!(values[*other] >= value) || labels[*other] != labels[place]) continue;
    if (values[*other] > value) return kExceeded;
    ++n_equal;
  }
  return n_equal;
}

}  // namespace

template <typename Scalar>
void local_maxima(const Scalar* values, const std::int32_t* labels, const Neighbours& neighbours,
                  std::int32_t* n_equal, int n_threads) {
  const Index n = neighbours.n_places();
  parallel_for((n + kTaskPlaces - 1) / kTaskPlaces, n_threads, [&](Index task, int) {
    const Index end = std::min(n, (task + 1) * kTaskPlaces);
    for (Index place = task * kTaskPlaces; place < end; ++place) {
      n_equal[place] = count_equal(values, labels, neighbours, place);
    }
  });
}

template void local_maxima(const float*, const std::int32_t*, const Neighbours&, std::int32_t*,
                           int);
template void local_maxima(const double*, const std::int32_t*, const Neighbours&, std::int32_t*,
                           int);

}  // namespace groupglm
