// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/repeated_state.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <type_traits>

#include "groupglm/parallel.hpp"
#include "models/visit_slice.hpp"
#include "models/voxel_scales.hpp"

namespace groupglm {

namespace {

constexpr Index kVisitTile = 1024;  // a row of a tile and its means fit the first-level cache
constexpr Index kSliceBytes = Index{64} << 20;
constexpr int kLargestExponent = 1018;  // differences and sqrt(m) times a mean stay within double

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <typename Scalar>
[[noreturn]] void refuse(const DataView<Scalar>& y, Index first) {
  for (Index i = 0; i < y.n_rows; ++i) {
    Index count = 0;
    for (Index v = 0; v < y.n_voxels; ++v) count += std::isinf(y(i, v)) ? 1 : 0;
    if (count > 0) throw InfiniteValue(first + i, count);
  }
  throw std::overflow_error("values beyond 1e306");
}

// The rotated rows of a slice, and the voxels of each tile that lack an image.
struct Rotated {
  RowMatrix within;
  std::vector<RowMatrix> means;
  std::vector<std::vector<OddStart>> odd;  // a tile each, in the order of the rows
};

// What one tile has of a row.
template <typename Scalar>
struct TileRow {
  const Scalar* y;
  double* mean;
  Index first;
  Index count;
};

// Finds the voxels of a tile that lack an image of a subject for the first time.
template <typename Scalar>
void find_odd(const TileRow<Scalar>& row, const SlicePlan& plan, Index i, double before,
              std::vector<OddStart>& odd) {
  for (Index v = 0; v < row.count; ++v) {
    const bool was_whole = before == 0.0 || !std::isnan(row.mean[v]);
    if (!std::isnan(row.y[v]) || !was_whole) continue;
    odd.push_back({row.first + v, i, before, before == 0.0 ? 0.0 : row.mean[v],
                   plan.before.data() + i * plan.before.cols()});
  }
}

// Rotates a row of a tile. NaN spreads to all rows of the subject that follow.
template <typename Scalar>
void rotate_row(const TileRow<Scalar>& row, const VisitPlace& place, Rotated& out) {
  double* const mean = row.mean;
  if (place.within < 0) {
    for (Index v = 0; v < row.count; ++v) mean[v] = static_cast<double>(row.y[v]);
  } else {
    double* const within = out.within.data() + place.within * out.within.cols() + row.first;
    for (Index v = 0; v < row.count; ++v) {
      const double difference = static_cast<double>(row.y[v]) - mean[v];
      within[v] = place.length * difference;
      mean[v] += place.share * difference;
    }
  }
  if (!place.is_last) return;
  RowMatrix& means = out.means[at(place.set)];
  double* const rotated = means.data() + place.mean * means.cols() + row.first;
  for (Index v = 0; v < row.count; ++v) rotated[v] = place.root * mean[v];
}

// Rotates all rows of a slice; `mean` holds the running mean of the subject. False if a value is
// infinite or too large.
template <typename Scalar>
bool rotate_slice(const SlicePlan& plan, const DataView<Scalar>& y, VectorXd& mean, Rotated& out,
                  int n_threads) {
  const Scalar limit = std::is_same_v<Scalar, float>
                           ? std::numeric_limits<Scalar>::max()
                           : static_cast<Scalar>(std::ldexp(1.0, kLargestExponent));
  const Index n_tiles = (y.n_voxels + kVisitTile - 1) / kVisitTile;
  std::atomic<bool> refused{false};
  parallel_for(n_tiles, n_threads, [&](Index tile, int) {
    std::array<Scalar, kVisitTile> gathered;
    const Index first = tile * kVisitTile;
    const Index count = std::min(kVisitTile, y.n_voxels - first);
    TileRow<Scalar> row{nullptr, mean.data() + first, first, count};
    for (Index i = 0; i < y.n_rows; ++i) {
      const VisitPlace& place = plan.places[at(i)];
      row.y = y.data + i * y.row_stride + first * y.voxel_stride;
      if (y.voxel_stride != 1) {
        for (Index v = 0; v < count; ++v) gathered[at(v)] = y(i, first + v);
        row.y = gathered.data();
      }
      unsigned misses = 0;
      unsigned exceeds = 0;
      for (Index v = 0; v < count; ++v) {
        misses |= row.y[v] != row.y[v] ? 1U : 0U;
        exceeds |= std::abs(row.y[v]) > limit ? 1U : 0U;
      }
      if (exceeds != 0) refused = true;
      // 1 / share is the number of the visit.
      const double before = place.within < 0 ? 0.0 : std::round(1.0 / place.share) - 1.0;
      if (misses != 0) find_odd(row, plan, i, before, out.odd[at(tile)]);
      rotate_row(row, place, out);
    }
  });
  return !refused;
}

bool is_extreme(double value) {
  return value != 0.0 && std::abs(std::ilogb(value)) > kOrdinaryExponent;
}

// The voxels that get rows of their own: in `within`, and in the means of each size.
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
};

template <typename Scalar>
OddRows count_odd(const std::vector<std::vector<OddStart>>& odd, const SlicePlan& plan,
                  const DataView<Scalar>& y) {
  OddRows out;
  for (const auto& tile : odd) {
    for (const OddStart& start : tile) {
      double count = start.count;
      bool is_last = false;
      bool has_within = false;
      for (Index i = start.row; i < y.n_rows && !is_last; ++i) {
        const auto value = static_cast<double>(y(i, start.voxel));
        if (!std::isnan(value)) {
          has_within = has_within || count > 0.0;
          count += 1.0;
          if (std::is_same_v<Scalar, double>) out.is_extreme |= is_extreme(value);
        }
        is_last = plan.places[at(i)].is_last;
      }
      if (has_within) out.within.push_back(start.voxel);
      if (is_last && count > 0.0) {
        out.means_of(static_cast<std::int64_t>(count)).push_back(start.voxel);
      }
    }
  }
  return out;
}

// A voxel of the subject that goes on after the slice.
struct OpenOdd {
  Index voxel;
  double count;
  double mean;
  VectorXd x;
};

OddVoxels joined(std::vector<std::vector<OpenOdd>>& tiles) {
  OddVoxels out;
  for (auto& tile : tiles) {
    std::sort(tile.begin(), tile.end(),
              [](const OpenOdd& a, const OpenOdd& b) { return a.voxel < b.voxel; });
    for (const OpenOdd& own : tile) {
      out.voxel.push_back(own.voxel);
      out.count.push_back(own.count);
      out.mean.push_back(own.mean);
      out.x.insert(out.x.end(), own.x.begin(), own.x.end());
    }
  }
  return out;
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
  const Index step = std::max<Index>(1, kSliceBytes / (8 * std::max<Index>(1, n_voxels())));
  for (Index first = 0; first < y.n_rows; first += step) {
    const Index count = std::min(step, y.n_rows - first);
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
  const Index q = n_working();
  const SlicePlan plan = plan_slice(visits, n_open_, x_mean_);
  Rotated rotated;
  rotated.within.resize(plan.within.rows(), n_voxels());
  for (const MeanSet& set : plan.sets) rotated.means.emplace_back(set.n_rows, n_voxels());
  rotated.odd.resize(at((n_voxels() + kVisitTile - 1) / kVisitTile));
  const OddVoxels carried = std::move(odd_);
  for (std::size_t k = 0; k < carried.voxel.size(); ++k) {
    rotated.odd[at(carried.voxel[k] / kVisitTile)].push_back(
        {carried.voxel[k], 0, carried.count[k], carried.mean[k], carried.x.data() + k * at(q)});
  }
  if (!rotate_slice(plan, y, mean_, rotated, n_threads)) refuse(y, 0);

  const auto add_rows = [&](OlsState& state, const RowMatrix& x, const VectorXd& intercept,
                            const RowMatrix& values) {
    const DataView<double> view{values.data(), values.rows(), values.cols(), values.cols(), 1};
    state.update<double>(x, intercept, view, n_threads, std::is_same_v<Scalar, double>);
  };
  // The rows within subjects are free of the constant: there is nothing to shift them by.
  add_rows(parts_.within, plan.within, VectorXd(), rotated.within);
  for (std::size_t k = 0; k < plan.sets.size(); ++k) {
    const auto size = static_cast<double>(plan.sets[k].size);
    add_rows(means_of(plan.sets[k].size), plan.sets[k].x, visits.intercept / std::sqrt(size),
             rotated.means[k]);
  }

  const OddRows own = count_odd(rotated.odd, plan, y);
  parts_.within.start_own(own.within, own.is_extreme);
  for (const auto& [size, voxels] : own.means) means_of(size).start_own(voxels, own.is_extreme);
  std::vector<std::vector<OpenOdd>> open(rotated.odd.size());
  parallel_for(static_cast<Index>(rotated.odd.size()), n_threads, [&](Index tile, int) {
    OddWalk walk(q);
    for (const OddStart& start : rotated.odd[at(tile)]) {
      walk.follow(
          start, plan, visits, y,
          [&](double* x, double value) { parts_.within.add_own(start.voxel, x, value); },
          [&](std::int64_t size, double* x, double value) {
            const auto place = std::lower_bound(parts_.sizes.begin(), parts_.sizes.end(), size);
            parts_.means[at(place - parts_.sizes.begin())].add_own(start.voxel, x, value);
          });
      if (walk.is_open()) {
        open[at(tile)].push_back({start.voxel, walk.count(), walk.mean(), walk.x()});
      }
    }
  });
  odd_ = joined(open);
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
