// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/repeated_state.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <type_traits>

#include "groupglm/parallel.hpp"
#include "models/ols_update.hpp"
#include "models/visit_rotation.hpp"
#include "models/voxel_scales.hpp"

namespace groupglm {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <typename Scalar>
[[noreturn]] void refuse(const DataView<Scalar>& y) {
  for (Index i = 0; i < y.n_rows; ++i) {
    Index count = 0;
    for (Index v = 0; v < y.n_voxels; ++v) count += std::isinf(y(i, v)) ? 1 : 0;
    if (count > 0) throw InfiniteValue(i, count);
  }
  throw std::overflow_error("values beyond 1e306");
}

bool is_extreme(double value) {
  return value != 0.0 && std::abs(std::ilogb(value)) > kOrdinaryExponent;
}

// Some of a slice's rotated rows, on their way into one of the states.
struct StateUpdate {
  std::int64_t size;  // of the subjects whose means they are; 0 for the rows within subjects
  Index first;
  Index n_rows;
  OlsUpdate<double> update;
};

// The voxels that get rows which no other voxel has: in `within`, and in the means of each size.
struct OddRows {
  std::vector<Index> within;
  std::vector<std::pair<std::int64_t, std::vector<Index>>> means;
  bool is_extreme = false;

  std::vector<Index>& means_of(std::int64_t size) {
    for (auto& [own, voxels] : means) {
      if (own == size) return voxels;
    }
    return means.emplace_back(size, std::vector<Index>()).second;
  }

  void append(const OddRows& other) {
    within.insert(within.end(), other.within.begin(), other.within.end());
    for (const auto& [size, voxels] : other.means) {
      std::vector<Index>& own = means_of(size);
      own.insert(own.end(), voxels.begin(), voxels.end());
    }
    is_extreme = is_extreme || other.is_extreme;
  }
};

// Counts the images of a voxel that lacks some; `count`: those it has of the subject that goes on.
template <typename Scalar>
void count_odd(const SlicePlan& plan, const VisitRows& visits, const DataView<Scalar>& y,
               Index voxel, double count, OddRows& out) {
  bool has_within = false;
  for (Index i = 0; i < y.n_rows; ++i) {
    const VisitPlace& place = plan.places[at(i)];
    if (place.is_first) count = 0.0;
    const auto value = static_cast<double>(y(i, voxel));
    if (!std::isnan(value)) {
      const bool lacks = count + 1.0 < static_cast<double>(visits.visit[i]);
      has_within = has_within || (lacks && count > 0.0);
      count += 1.0;
      if (std::is_same_v<Scalar, double>) out.is_extreme |= is_extreme(value);
    }
    const auto own = static_cast<std::int64_t>(count);
    if (!place.is_last || own == 0 || own == visits.size[i]) continue;
    std::vector<Index>& voxels = out.means_of(own);
    if (voxels.empty() || voxels.back() != voxel) voxels.push_back(voxel);
  }
  if (has_within) out.within.push_back(voxel);
}

void append(OddVoxels& to, Index voxel, const VisitsSoFar& own) {
  to.voxel.push_back(voxel);
  to.count.push_back(own.count);
  to.mean.push_back(own.mean);
  to.x.insert(to.x.end(), own.x.begin(), own.x.end());
}

void append(OddVoxels& to, const OddVoxels& other) {
  to.voxel.insert(to.voxel.end(), other.voxel.begin(), other.voxel.end());
  to.count.insert(to.count.end(), other.count.begin(), other.count.end());
  to.mean.insert(to.mean.end(), other.mean.begin(), other.mean.end());
  to.x.insert(to.x.end(), other.x.begin(), other.x.end());
}

// What a slice leaves of a tile.
struct TileRest {
  std::vector<Index> lacking;  // ascending: the voxels that lack an image
  OddRows odd;
  OddVoxels open;

  // Ascending: the voxels to which rows are still to be added, to one state or another.
  std::vector<Index> voxels(const std::vector<StateUpdate>& updates, Index tile) const {
    std::vector<Index> all = lacking;
    for (const StateUpdate& own : updates) {
      const std::vector<Index>& left = own.update.left(tile);
      all.insert(all.end(), left.begin(), left.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
};

// Rotates a slice tile by tile, and takes each tile into all states. False if a value is infinite
// or too large.
template <typename Scalar>
bool take_tiles(const SlicePlan& plan, const DataView<Scalar>& y, double* mean,
                std::vector<StateUpdate>& updates, std::vector<TileRest>& rest, int n_threads) {
  const auto n_tiles = static_cast<Index>(rest.size());
  const Index n_tasks = (n_tiles + kTaskTiles - 1) / kTaskTiles;
  const auto threads = static_cast<int>(
      std::clamp<Index>(n_tasks, 1, static_cast<Index>(resolve_threads(n_threads))));
  std::vector<RotatedTile<Scalar>> rotated(at(threads), RotatedTile<Scalar>(plan.n_rotated));
  const Index q = plan.x_mean.size();
  std::vector<Workspace> workspaces(at(threads), Workspace(y.n_rows + q, q));
  std::atomic<bool> refused{false};
  parallel_for(n_tasks, threads, [&](Index task, int thread) {
    RotatedTile<Scalar>& own = rotated[at(thread)];
    const Index end = std::min(n_tiles, (task + 1) * kTaskTiles);
    for (Index tile = task * kTaskTiles; tile < end && !refused; ++tile) {
      const Index first = tile * kTile;
      const Index count = std::min(kTile, y.n_voxels - first);
      if (!rotate_tile(plan, from_voxel(y, first), count, mean + first, own)) refused = true;
      for (StateUpdate& state : updates) {
        state.update.take(tile, own.view(state.first, state.n_rows, count), workspaces[at(thread)],
                          refused);
      }
      for (Index v = 0; v < count; ++v) {
        if (std::isnan(own.lost[at(v)])) rest[at(tile)].lacking.push_back(first + v);
      }
    }
  });
  return !refused;
}

}  // namespace

bool RepeatedParts::is_consistent() const {
  if (sizes.size() != means.size()) return false;
  std::int64_t before = 0;
  for (const std::int64_t size : sizes) {
    if (size <= before) return false;
    before = size;
  }
  return std::all_of(means.begin(), means.end(), [&](const OlsState& state) {
    return state.n_working() == within.n_working() && state.n_voxels() == within.n_voxels();
  });
}

RepeatedState::RepeatedState(Index n_working, Index n_voxels)
    : parts_{OlsState(n_working, n_voxels), {}, {}},
      mean_(VectorXd::Zero(n_voxels)),
      x_mean_(VectorXd::Zero(n_working)) {}

RepeatedState::RepeatedState(RepeatedParts parts) : parts_(std::move(parts)) {
  if (!parts_.is_consistent()) throw std::invalid_argument("the parts of a state do not fit");
  mean_ = VectorXd::Zero(n_voxels());
  x_mean_ = VectorXd::Zero(n_working());
}

OlsState& RepeatedState::means_of(std::int64_t size) {
  const auto found = std::lower_bound(parts_.sizes.begin(), parts_.sizes.end(), size);
  const auto place = found - parts_.sizes.begin();
  if (found == parts_.sizes.end() || *found != size) {
    parts_.sizes.insert(found, size);
    parts_.means.insert(parts_.means.begin() + place, OlsState(n_working(), n_voxels()));
  }
  return parts_.means[at(place)];
}

template <typename Scalar>
void RepeatedState::update(const VisitRows& visits, const DataView<Scalar>& y, int n_threads) {
  for (Index first = 0; first < y.n_rows; first += kSliceRows) {
    const Index count = std::min(kSliceRows, y.n_rows - first);
    const DataView<Scalar> some{y.data + first * y.row_stride, count, y.n_voxels, y.row_stride,
                                y.voxel_stride};
    try {
      take_slice({visits.rows.middleRows(first, count), visits.intercept, visits.visit + first,
                  visits.size + first},
                 some, n_threads);
    } catch (const InfiniteValue& found) {
      throw InfiniteValue(first + found.row, found.count);
    }
  }
}

template <typename Scalar>
void RepeatedState::take_slice(const VisitRows& visits, const DataView<Scalar>& y, int n_threads) {
  constexpr bool kExtreme = std::is_same_v<Scalar, double>;
  const SlicePlan plan = plan_slice(visits, n_open_, x_mean_);
  for (const MeanSet& set : plan.sets) means_of(set.size);  // all states are where they stay
  std::vector<StateUpdate> updates;
  if (plan.within.rows() > 0) {
    // The rows within subjects are free of the constant: there is nothing to shift them by.
    updates.push_back({0,
                       0,
                       plan.within.rows(),
                       {parts_.within.parts_, plan.within, nullptr, nullptr, kExtreme}});
  }
  for (const MeanSet& set : plan.sets) {
    const VectorXd intercept = visits.intercept / std::sqrt(static_cast<double>(set.size));
    const VectorXd* const shift = intercept.size() > 0 ? &intercept : nullptr;
    updates.push_back({set.size,
                       set.first,
                       set.n_rows,
                       {means_of(set.size).parts_, set.x, shift, nullptr, kExtreme}});
  }
  const VectorXd before = n_open_ > 0 ? mean_ : VectorXd();
  std::vector<TileRest> rest(at((n_voxels() + kTile - 1) / kTile));
  if (!take_tiles(plan, y, mean_.data(), updates, rest, n_threads)) refuse(y);
  for (StateUpdate& own : updates) own.update.finish();

  const auto so_far = [&](Index voxel) {
    const auto found = std::lower_bound(odd_.voxel.begin(), odd_.voxel.end(), voxel);
    if (found == odd_.voxel.end() || *found != voxel) {
      return VisitsSoFar{static_cast<double>(n_open_), n_open_ > 0 ? before[voxel] : 0.0, x_mean_};
    }
    const Index k = found - odd_.voxel.begin();
    const double* const x = odd_.x.data() + k * n_working();
    return VisitsSoFar{odd_.count[at(k)], odd_.mean[at(k)],
                       Eigen::Map<const VectorXd>(x, n_working())};
  };
  const auto n_tiles = static_cast<Index>(rest.size());
  parallel_for(n_tiles, n_threads, [&](Index tile, int) {
    TileRest& own = rest[at(tile)];
    for (const Index voxel : own.lacking) {
      count_odd(plan, visits, y, voxel, so_far(voxel).count, own.odd);
    }
  });
  OddRows odd;
  for (const TileRest& own : rest) odd.append(own.odd);
  parts_.within.start_own(odd.within, odd.is_extreme);
  for (const auto& [size, voxels] : odd.means) means_of(size).start_own(voxels, odd.is_extreme);

  parallel_for(n_tiles, n_threads, [&](Index tile, int) {
    TileRest& own = rest[at(tile)];
    for (const Index voxel : own.voxels(updates, tile)) {
      // Whether the rows of a state that has them from every voxel are still to be added here.
      const auto is_left = [&](std::int64_t size) {
        return std::any_of(updates.begin(), updates.end(), [&](const StateUpdate& state) {
          const std::vector<Index>& left = state.update.left(tile);
          return state.size == size && std::binary_search(left.begin(), left.end(), voxel);
        });
      };
      const bool has_within = is_left(0);
      VisitsSoFar now = so_far(voxel);
      follow_voxel(
          plan, visits, y, voxel, now,
          [&](double* x, double value) {
            if (has_within) parts_.within.add_own(voxel, x, value);
          },
          [&](std::int64_t count, std::int64_t size, double* x, double value) {
            if (count == size && !is_left(size)) return;
            const auto place = std::lower_bound(parts_.sizes.begin(), parts_.sizes.end(), count);
            parts_.means[at(place - parts_.sizes.begin())].add_own(voxel, x, value);
          });
      if (now.count < static_cast<double>(plan.n_open)) append(own.open, voxel, now);
    }
  });
  odd_ = {};
  for (const TileRest& own : rest) append(odd_, own.open);
  n_open_ = plan.n_open;
  x_mean_ = plan.x_mean;
}

void RepeatedState::merge(const RepeatedState& other, int n_threads) {
  if (!is_complete() || !other.is_complete()) {
    throw std::invalid_argument("a subject is not complete");
  }
  if (&other == this) {
    merge(RepeatedState(other), n_threads);
    return;
  }
  parts_.within.merge(other.parts_.within, n_threads);
  for (std::size_t k = 0; k < other.parts_.sizes.size(); ++k) {
    means_of(other.parts_.sizes[k]).merge(other.parts_.means[k], n_threads);
  }
}

RepeatedState RepeatedState::select(const std::vector<Index>& voxels) const {
  if (!is_complete()) throw std::invalid_argument("a subject is not complete");
  RepeatedParts out{parts_.within.select(voxels), parts_.sizes, {}};
  for (const OlsState& state : parts_.means) out.means.push_back(state.select(voxels));
  return RepeatedState(std::move(out));
}

RepeatedState RepeatedState::spread(const std::vector<Index>& places, Index n_voxels) const {
  RepeatedParts parts{parts_.within.spread(places, n_voxels), parts_.sizes, {}};
  for (const OlsState& state : parts_.means) parts.means.push_back(state.spread(places, n_voxels));
  RepeatedState out(std::move(parts));
  for (std::size_t v = 0; v < places.size(); ++v)
    out.mean_[places[v]] = mean_[static_cast<Index>(v)];
  out.n_open_ = n_open_;
  out.x_mean_ = x_mean_;
  out.odd_ = odd_;
  for (Index& voxel : out.odd_.voxel) voxel = places[at(voxel)];
  return out;
}

Index RepeatedState::n_missing() const {
  Index count = 0;
  for (Index v = 0; v < n_voxels(); ++v) {
    const auto lacks = [v](const OlsState& state) {
      return state.slot(v) != MissingVoxels::kComplete;
    };
    const bool any =
        lacks(parts_.within) || std::any_of(parts_.means.begin(), parts_.means.end(), lacks);
    count += any ? 1 : 0;
  }
  return count;
}

template void RepeatedState::update(const VisitRows&, const DataView<float>&, int);
template void RepeatedState::update(const VisitRows&, const DataView<double>&, int);

}  // namespace groupglm
