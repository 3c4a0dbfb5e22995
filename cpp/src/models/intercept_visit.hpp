// SPDX-License-Identifier: BSD-3-Clause
// How voxels come into the lanes of registers; part of models/intercept_lanes.hpp.
#pragma once

#include <algorithm>
#include <deque>

#include "groupglm/parallel.hpp"

namespace groupglm {

inline constexpr Index kLaneRun = 512;  // voxels of a task
inline constexpr std::size_t kMostShapes = 4 * kLane;

// The w and rss of a register of voxels, in the scale that each voxel's states share.
inline void load_lanes(const StateList& list, const std::vector<Index>& states,
                       const LaneGroup& group, LaneData& data) {
  Lanes& w = data.left;
  Lanes& rss = data.rss;
  const Index q = list.states.front()->n_working();
  w.resize(states.size() * at(q));
  rss.resize(states.size());
  const Index first = group.voxel[0];
  bool is_run = group.count == kLane;
  for (int l = 0; l < kLane; ++l) {
    is_run = is_run && group.voxel[at(l)] == first + l && group.exponent[at(l)] == 0;
  }
  for (std::size_t k = 0; k < states.size(); ++k) {
    const OlsState& state = *list.states[at(states[k])];
    if (is_run && !state.has_scales()) {
      for (Index i = 0; i < q; ++i) {
        w[k * at(q) + at(i)] = LaneMap(state.w().data() + i * state.n_voxels() + first);
      }
      rss[k] = LaneMap(state.rss().data() + first);
      continue;
    }
    for (int l = 0; l < kLane; ++l) {
      const Index voxel = group.voxel[at(l)];
      const int shift = state.exponent_of(voxel) - group.exponent[at(l)];
      for (Index i = 0; i < q; ++i) {
        w[k * at(q) + at(i)][l] = std::ldexp(state.w()(i, voxel), shift);
      }
      rss[k][l] = std::ldexp(state.rss()[voxel], 2 * shift);
    }
  }
}

// Gathers voxels until a register is full.
template <typename Flush>
class LaneQueue {
 public:
  explicit LaneQueue(const Flush& flush) : flush_(flush) {}

  void add(const StateList& list, Index voxel, const VoxelShape& shape) {
    if (group_.count > 0 && group_.shape[0]->rank() != shape.rank()) flush();
    group_.voxel[at(group_.count)] = voxel;
    group_.exponent[at(group_.count)] = list.exponent_of(voxel);
    group_.shape[at(group_.count)] = &shape;
    if (++group_.count == kLane) flush();
  }

  void flush() {
    if (group_.count == 0) return;
    for (Index l = group_.count; l < kLane; ++l) {
      group_.voxel[at(l)] = group_.voxel[0];
      group_.exponent[at(l)] = group_.exponent[0];
      group_.shape[at(l)] = group_.shape[0];
    }
    flush_(group_);
    group_.count = 0;
  }

 private:
  const Flush& flush_;
  LaneGroup group_;
};

template <typename Make, typename None>
void visit_lanes(const StateList& list, const Design& design, const SharedShape& shared,
                 const Make& make, const None& none, int n_threads) {
  const Index n = list.n_voxels();
  parallel_for((n + kLaneRun - 1) / kLaneRun, n_threads, [&](Index run, int) {
    const Index first = run * kLaneRun;
    const Index end = std::min(n, first + kLaneRun);
    auto body = make();
    LaneData data;
    const auto flush_shared = [&](const LaneGroup& group) {
      load_lanes(list, shared.lanes.states, group, data);
      centre(shared.lanes, data);
      body(shared.lanes, data, group);
    };
    const auto flush_own = [&](const LaneGroup& group) {
      const LaneShape<Lane> own = own_lanes(group, list.sizes);
      load_lanes(list, own.states, group, data);
      centre(own, data);
      body(own, data, group);
    };
    LaneQueue whole(flush_shared);
    LaneQueue lacking(flush_own);
    std::deque<VoxelShape> shapes;  // a deque keeps them where they are
    std::optional<VoxelFactors> last;
    for (Index v = first; v < end; ++v) {
      if (list.is_complete(v)) {
        if (shared.shape.is_identified) {
          whole.add(list, v, shared.shape);
        } else {
          none(v, shared.shape);
        }
        continue;
      }
      VoxelFactors factors = list.of_voxel(v);
      if (!last || !(factors == *last)) {
        shapes.push_back(make_shape(factors, list.sizes, design));
        last = std::move(factors);
      }
      if (shapes.back().is_identified) {
        lacking.add(list, v, shapes.back());
      } else {
        none(v, shapes.back());
      }
      if (shapes.size() > kMostShapes) {
        lacking.flush();
        shapes.erase(shapes.begin(), shapes.end() - 1);
      }
    }
    whole.flush();
    lacking.flush();
  });
}

}  // namespace groupglm
