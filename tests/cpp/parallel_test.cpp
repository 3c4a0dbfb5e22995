// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/parallel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

using groupglm::parallel_for;
using groupglm::resolve_threads;

TEST_CASE("parallel_for calls the body once a task, with a thread number in range") {
  for (const int threads : {1, 2, 3, 8}) {
    for (const Eigen::Index n_tasks : {0, 1, 2, 7, 1000}) {
      CAPTURE(threads);
      CAPTURE(n_tasks);
      std::vector<int> calls(static_cast<std::size_t>(n_tasks), 0);
      std::atomic<int> outside{0};
      parallel_for(n_tasks, threads, [&](Eigen::Index task, int thread) {
        calls[static_cast<std::size_t>(task)] += 1;
        if (thread < 0 || thread >= threads) ++outside;
      });
      CHECK(std::all_of(calls.begin(), calls.end(), [](int n) { return n == 1; }));
      CHECK(outside == 0);
    }
  }
}

TEST_CASE("a parallel_for inside another runs on its caller's thread") {
  std::vector<int> sums(16, 0);
  std::atomic<int> not_zero{0};
  parallel_for(16, 2, [&](Eigen::Index outer, int) {
    // Without a lock: only right when the inner tasks follow one another.
    parallel_for(100, 2, [&](Eigen::Index inner, int thread) {
      sums[static_cast<std::size_t>(outer)] += static_cast<int>(inner);
      if (thread != 0) ++not_zero;
    });
  });
  CHECK(not_zero == 0);
  CHECK(std::all_of(sums.begin(), sums.end(), [](int sum) { return sum == 4950; }));
}

TEST_CASE("resolve_threads takes positive numbers as they are") {
  CHECK(resolve_threads(1) == 1);
  CHECK(resolve_threads(5) == 5);
  CHECK(resolve_threads(0) >= 1);
  CHECK(resolve_threads(-1) == resolve_threads(0));
}

TEST_CASE("an exception of one task reaches the caller, once all threads have stopped") {
  for (const int threads : {1, 2, 3}) {
    CHECK_THROWS_AS(parallel_for(100, threads,
                                 [](Eigen::Index task, int) {
                                   if (task % 7 == 3) throw std::bad_alloc();
                                 }),
                    std::bad_alloc);
  }
}
