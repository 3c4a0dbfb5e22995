// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/parallel.hpp"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace groupglm {

int resolve_threads(int requested) { return requested > 0 ? requested : omp_get_max_threads(); }

void parallel_for(Eigen::Index n_tasks, int n_threads,
                  const std::function<void(Eigen::Index, int)>& body) {
  const auto wanted = static_cast<int>(std::min<Eigen::Index>(n_tasks, resolve_threads(n_threads)));
  if (wanted <= 1 || omp_in_parallel()) {
    for (Eigen::Index task = 0; task < n_tasks; ++task) body(task, 0);
    return;
  }
  // Dynamic: tasks with missing data cost more than the others.
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(wanted)
  for (Eigen::Index task = 0; task < n_tasks; ++task) {
    if (failed) continue;
    try {
      body(task, omp_get_thread_num());
    } catch (...) {
      // An exception cannot leave an OpenMP region by itself.
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace groupglm
