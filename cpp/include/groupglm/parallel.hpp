// SPDX-License-Identifier: BSD-3-Clause
// Threads. parallel.cpp is the only file that names OpenMP.
#pragma once

#include <Eigen/Core>
#include <functional>

namespace groupglm {

/// The number of threads that a request stands for. A positive number is used as it is, up to four
/// times the number of processors (two at least). Zero or less means as many as OpenMP would use:
/// the machine's cores, or OMP_NUM_THREADS.
int resolve_threads(int requested);

/// Calls body(task, thread) for every task in [0, n_tasks), with 0 <= thread < n_threads.
///
/// Tasks run in any order, so a body writes only to places of its own task or to its thread's
/// workspace. Results are then the same bits for any number of threads. All tasks run on the
/// caller's thread if one thread is wanted, inside a parallel region, and in a forked child. The
/// first exception that a body throws (no memory, for example) is thrown again here, after all
/// threads have stopped.
void parallel_for(Eigen::Index n_tasks, int n_threads,
                  const std::function<void(Eigen::Index, int)>& body);

}  // namespace groupglm
