// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/neighbours.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace groupglm {

namespace {

constexpr Index kMaxPlaces = std::numeric_limits<std::int32_t>::max();

struct Step {
  std::array<Index, 3> along{};
  std::int64_t flat = 0;  // the same step in flat indices of the grid
  Index reached = 0;      // position in `indices` from which the step's next target is searched
};

// The steps to a voxel's neighbours, in order of the flat index.
std::vector<Step> steps_of(const std::array<Index, 3>& shape, int connectivity) {
  if (connectivity != 6 && connectivity != 18 && connectivity != 26) {
    throw std::invalid_argument("connectivity is " + std::to_string(connectivity) +
                                "; it must be 6 (faces), 18 (and edges) or 26 (and corners)");
  }
  const Index most_axes = connectivity == 6 ? 1 : (connectivity == 18 ? 2 : 3);
  std::vector<Step> steps;
  for (Index z = -1; z <= 1; ++z) {
    for (Index y = -1; y <= 1; ++y) {
      for (Index x = -1; x <= 1; ++x) {
        const Index axes = x * x + y * y + z * z;
        if (axes == 0 || axes > most_axes) continue;
        steps.push_back({{x, y, z}, x + shape[0] * (y + shape[1] * z), 0});
      }
    }
  }
  return steps;
}

void check_volume(const std::array<Index, 3>& shape, const std::int64_t* indices, Index n) {
  std::int64_t n_voxels = 1;
  for (const Index length : shape) {
    if (length < 1 || n_voxels > std::numeric_limits<std::int64_t>::max() / 4 / length) {
      throw std::invalid_argument("shape has an axis of " + std::to_string(length) +
                                  " voxels; every axis needs at least one, and all together fewer "
                                  "than 2^61 voxels");
    }
    n_voxels *= length;
  }
  if (n > kMaxPlaces) throw std::invalid_argument("the mask has 2^31 voxels or more");
  for (Index i = 0; i < n; ++i) {
    if (indices[i] < (i == 0 ? 0 : indices[i - 1] + 1) || indices[i] >= n_voxels) {
      throw std::invalid_argument(
          "indices[" + std::to_string(i) + "] is " + std::to_string(indices[i]) +
          "; they must increase from 0 to at " + "most " + std::to_string(n_voxels - 1));
    }
  }
}

void check_lists(const std::vector<std::int64_t>& starts, const std::vector<std::int32_t>& places) {
  if (starts.empty() || starts.front() != 0 || !std::is_sorted(starts.begin(), starts.end()) ||
      starts.back() != static_cast<std::int64_t>(places.size())) {
    throw std::invalid_argument(
        "starts must increase from 0 to the number of neighbours in the lists");
  }
  if (static_cast<Index>(starts.size()) - 1 > kMaxPlaces) {
    throw std::invalid_argument("there are 2^31 places or more");
  }
}

void check_places(const Neighbours& neighbours) {
  const Index n = neighbours.n_places();
  for (Index i = 0; i < n; ++i) {
    std::int32_t previous = -1;
    for (const std::int32_t* p = neighbours.begin(i); p != neighbours.end(i); ++p) {
      if (*p <= previous || *p >= n || *p == i) {
        throw std::invalid_argument("place " + std::to_string(i) + " has the neighbour " +
                                    std::to_string(*p) +
                                    "; a list must increase from 0 to at most " +
                                    std::to_string(n - 1) + " without the place itself");
      }
      previous = *p;
    }
  }
}

// Places are visited in order, so the lists that name a place must be met in order too.
void check_symmetry(const Neighbours& neighbours) {
  std::vector<std::int64_t> next(neighbours.starts().begin(), neighbours.starts().end() - 1);
  for (Index i = 0; i < neighbours.n_places(); ++i) {
    for (const std::int32_t* p = neighbours.begin(i); p != neighbours.end(i); ++p) {
      const auto place = static_cast<std::size_t>(*p);
      const std::int64_t seen = next[place]++;
      if (seen >= neighbours.starts()[place + 1] ||
          neighbours.places()[static_cast<std::size_t>(seen)] != i) {
        throw std::invalid_argument("neighbours must be mutual, but those of " + std::to_string(i) +
                                    " and of " + std::to_string(*p) + " disagree; give " +
                                    "the union of the adjacency and its transpose");
      }
    }
  }
}

}  // namespace

Neighbours::Neighbours(std::vector<std::int64_t> starts, std::vector<std::int32_t> places)
    : starts_(std::move(starts)), places_(std::move(places)) {
  check_lists(starts_, places_);
  check_places(*this);
  check_symmetry(*this);
}

Neighbours neighbours_of_volume(const std::array<Index, 3>& shape, const std::int64_t* indices,
                                Index n, int connectivity) {
  check_volume(shape, indices, n);
  std::vector<Step> steps = steps_of(shape, connectivity);
  Neighbours neighbours;
  neighbours.starts_.reserve(static_cast<std::size_t>(n) + 1);
  // As many as there can be, so that nothing is moved. Where the system gives memory page by page,
  // the pages that are never written to take none; on Windows they count as committed.
  neighbours.places_.reserve(static_cast<std::size_t>(n) * steps.size());
  for (Index i = 0; i < n; ++i) {
    const std::array<Index, 3> place = {indices[i] % shape[0], indices[i] / shape[0] % shape[1],
                                        indices[i] / shape[0] / shape[1]};
    bool at_face = false;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      at_face = at_face || place[axis] == 0 || place[axis] == shape[axis] - 1;
    }
    for (Step& step : steps) {
      bool inside = true;
      for (std::size_t axis = 0; at_face && axis < 3; ++axis) {
        const Index there = place[axis] + step.along[axis];
        inside = inside && there >= 0 && there < shape[axis];
      }
      if (!inside) continue;
      // The targets of a step increase from voxel to voxel, so the search goes on from the last
      // one.
      const std::int64_t target = indices[i] + step.flat;
      while (step.reached < n && indices[step.reached] < target) ++step.reached;
      if (step.reached < n && indices[step.reached] == target) {
        neighbours.places_.push_back(static_cast<std::int32_t>(step.reached));
      }
    }
    neighbours.starts_.push_back(static_cast<std::int64_t>(neighbours.places_.size()));
  }
  return neighbours;
}

Neighbours joined_neighbours(const std::vector<const Neighbours*>& parts) {
  Index n_places = 0;
  std::size_t n_neighbours = 0;
  for (const Neighbours* part : parts) {
    n_places += part->n_places();
    n_neighbours += part->places_.size();
  }
  if (n_places > kMaxPlaces) throw std::invalid_argument("the parts have 2^31 places or more");
  Neighbours joined;
  joined.starts_.reserve(static_cast<std::size_t>(n_places) + 1);
  joined.places_.reserve(n_neighbours);
  for (const Neighbours* part : parts) {
    const auto first_place = static_cast<std::int32_t>(joined.n_places());
    const std::int64_t first_start = joined.starts_.back();
    for (const std::int32_t place : part->places_) joined.places_.push_back(first_place + place);
    for (Index i = 1; i <= part->n_places(); ++i) {
      joined.starts_.push_back(first_start + part->starts_[static_cast<std::size_t>(i)]);
    }
  }
  return joined;
}

}  // namespace groupglm
