// SPDX-License-Identifier: BSD-3-Clause
// The same work on many maps, one map a thread.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "groupglm/graph/map_rows.hpp"
#include "groupglm/parallel.hpp"

namespace groupglm {

/// Calls body(map, i, workspace) for every row of maps. Each thread has its own workspace, from
/// make(). If a body throws std::invalid_argument, it is thrown again with the number of its row:
/// the first such row, for any number of threads.
template <typename Scalar, typename Make, typename Body>
void for_each_map(const MapRows<Scalar>& maps, int n_threads, const Make& make, const Body& body) {
  using Workspace = decltype(make());
  const auto n_workers = std::min<Eigen::Index>(maps.n_maps, resolve_threads(n_threads));
  std::vector<std::optional<Workspace>> workspaces(static_cast<std::size_t>(n_workers));
  std::vector<std::string> complaints(static_cast<std::size_t>(maps.n_maps));
  parallel_for(maps.n_maps, n_threads, [&](Eigen::Index i, int thread) {
    // Made by the thread that uses it, so that its memory is near that thread.
    auto& workspace = workspaces[static_cast<std::size_t>(thread)];
    if (!workspace) workspace.emplace(make());
    try {
      body(maps.data + i * maps.stride, i, *workspace);
    } catch (const std::invalid_argument& error) {
      complaints[static_cast<std::size_t>(i)] = error.what();
    }
  });
  for (std::size_t i = 0; i < complaints.size(); ++i) {
    if (complaints[i].empty()) continue;
    throw std::invalid_argument("map " + std::to_string(i) + ": " + complaints[i]);
  }
}

}  // namespace groupglm
