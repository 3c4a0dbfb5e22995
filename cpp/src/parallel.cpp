// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/parallel.hpp"

#include <omp.h>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <algorithm>
#include <atomic>
#include <exception>

namespace groupglm {

namespace {

// More threads than this per processor only cost memory. The system may also refuse to make them,
// and OpenMP then ends the process.
constexpr int kThreadsPerProcessor = 4;

#if defined(__unix__) || defined(__APPLE__)
// OpenMP's threads do not survive fork(); a child that waited for them would wait for ever.
std::atomic<bool> forked{false};
const int kForkHandler = pthread_atfork(nullptr, nullptr, [] { forked = true; });
bool is_forked_child() { return kForkHandler == 0 && forked; }
#else
bool is_forked_child() { return false; }
#endif

}  // namespace

int resolve_threads(int requested) {
  if (requested <= 0) return omp_get_max_threads();
  return std::min(requested, kThreadsPerProcessor * std::max(2, omp_get_num_procs()));
}

void parallel_for(Eigen::Index n_tasks, int n_threads,
                  const std::function<void(Eigen::Index, int)>& body) {
  const auto wanted = static_cast<int>(std::min<Eigen::Index>(n_tasks, resolve_threads(n_threads)));
  if (wanted <= 1 || is_forked_child() || omp_in_parallel()) {
    for (Eigen::Index task = 0; task < n_tasks; ++task) body(task, 0);
    return;
  }
  // Dynamic, because tasks with missing data take longer than the others.
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic, 1) num_threads(wanted)
  for (Eigen::Index task = 0; task < n_tasks; ++task) {
    if (failed) continue;
    try {
      body(task, omp_get_thread_num());
    } catch (...) {
      // No exception may leave an OpenMP region.
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace groupglm
