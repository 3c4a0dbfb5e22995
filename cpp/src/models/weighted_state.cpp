// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/weighted_state.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "groupglm/huge_pages.hpp"
#include "groupglm/parallel.hpp"
#include "models/weighted_panel.hpp"

namespace groupglm {

namespace {

// A task is a run of panels, so that the panel that it prefetches next is its own.
constexpr Index kTaskPanels = 32;

// By several threads and in huge pages: most of the time is the system's, for memory that is new.
WeightedParts empty_parts(Index n_working, Index n_own, Index n_voxels, int n_threads) {
  WeightedParts parts;
  parts.n_working = n_working;
  parts.n_own = n_own;
  parts.slots.resize(parts.at().count(), n_voxels);
  parts.sums.resize(kWeightedSums, n_voxels);
  parts.counts.resize(kWeightedCounts, n_voxels);
  advise_huge_pages(parts.slots);
  advise_huge_pages(parts.sums);
  advise_huge_pages(parts.counts);
  const Index run = kTaskPanels * kPanel;
  parallel_for((n_voxels + run - 1) / run, n_threads, [&](Index task, int) {
    const Index first = task * run;
    const Index count = std::min(run, n_voxels - first);
    parts.slots.middleCols(first, count).setZero();
    parts.sums.middleCols(first, count).setZero();
    parts.sums.row(kWeightMin).segment(first, count).setConstant(kInfinity);
    parts.counts.middleCols(first, count).setZero();
    parts.counts.row(kHeaviest).segment(first, count).setConstant(-1);
  });
  return parts;
}

// Calls work(panel memory, first voxel, number of voxels, thread) for every panel of a state, and
// stores what it makes of the numbers there.
template <typename Work>
void update_panels(WeightedParts& state, Index n_shared, int n_threads, const Work& work) {
  const Index n_panels = (state.n_voxels() + kPanel - 1) / kPanel;
  const Index n_tasks = (n_panels + kTaskPanels - 1) / kTaskPanels;
  const auto threads = static_cast<int>(
      std::clamp<Index>(n_tasks, 1, static_cast<Index>(resolve_threads(n_threads))));
  std::vector<WeightedPanel> memory(static_cast<std::size_t>(threads),
                                    WeightedPanel(state.n_working, state.n_own, n_shared));
  parallel_for(n_tasks, threads, [&](Index task, int thread) {
    WeightedPanel& panel = memory[static_cast<std::size_t>(thread)];
    const Index end = std::min(n_panels, (task + 1) * kTaskPanels);
    for (Index p = task * kTaskPanels; p < end; ++p) {
      const Index first = p * kPanel;
      const Index count = std::min(kPanel, state.n_voxels() - first);
      panel.load(state, first, count);
      work(panel, first, count, thread);
      panel.store(first, count, state);
    }
  });
}

template <typename Scalar>
[[noreturn]] void throw_infinite(const WeightedRows<Scalar>& rows) {
  std::vector<DataView<Scalar>> beside{rows.y};
  if (rows.w.data != nullptr) beside.push_back(rows.w);
  beside.insert(beside.end(), rows.z.begin(), rows.z.end());
  const auto n_beside = static_cast<Index>(beside.size());
  for (Index row = 0; row < rows.y.n_rows * n_beside; ++row) {
    const DataView<Scalar>& view = beside[static_cast<std::size_t>(row % n_beside)];
    Index count = 0;
    for (Index v = 0; v < view.n_voxels; ++v) count += std::isinf(view(row / n_beside, v)) ? 1 : 0;
    if (count > 0) throw InfiniteValue(row, count);
  }
  throw InfiniteValue(0, 0);
}

template <typename Matrix>
Matrix columns_of(const Matrix& from, const std::vector<Index>& voxels) {
  Matrix out(from.rows(), static_cast<Index>(voxels.size()));
  for (Index k = 0; k < from.rows(); ++k) {
    for (std::size_t v = 0; v < voxels.size(); ++v)
      out(k, static_cast<Index>(v)) = from(k, voxels[v]);
  }
  return out;
}

template <typename Matrix>
void put_columns(const Matrix& from, const std::vector<Index>& places, Matrix& to) {
  for (Index k = 0; k < from.rows(); ++k) {
    for (std::size_t v = 0; v < places.size(); ++v)
      to(k, places[v]) = from(k, static_cast<Index>(v));
  }
}

}  // namespace

bool WeightedParts::is_consistent() const {
  if (n_rows < 0 || n_working < 0 || n_own < 0 || n_columns() > (Index{1} << 20)) return false;
  const Index n = n_voxels();
  const RotationSlots slot = at();
  if (slots.rows() != slot.count() || sums.rows() != kWeightedSums || sums.cols() != n ||
      counts.rows() != kWeightedCounts || counts.cols() != n) {
    return false;
  }
  if (n == 0) return true;
  if (!slots.allFinite() || !sums.topRows(kWeightMin).allFinite()) return false;
  if (!(slots.topRows(n_columns()).array() >= 0.0).all()) return false;
  if (!(slots.row(slot.rss()).array() >= 0.0).all()) return false;
  if (!(sums.row(kWeightSum).array() >= 0.0).all()) return false;
  if (!(sums.row(kWeightMax).array() >= 0.0).all()) return false;
  if (!(sums.row(kWeightMin).array() > 0.0).all()) return false;
  const auto counted = counts.cast<std::int64_t>().array();
  if (!(counted >= -1).all() || !(counted <= n_rows).all()) return false;
  for (const Index k : {kPresent, kOutside, kUnusable, kNegative}) {
    if (!(counts.row(k).array() >= 0).all()) return false;
  }
  return (counts.row(kHeaviest).cast<std::int64_t>().array() < std::max<Index>(n_rows, 1)).all();
}

WeightedState::WeightedState(Index n_working, Index n_own, Index n_voxels, int n_threads)
    : parts_(empty_parts(n_working, n_own, n_voxels, n_threads)) {}

WeightedState::WeightedState(WeightedParts parts) : parts_(std::move(parts)) {
  if (!parts_.is_consistent()) throw std::invalid_argument("the parts of a state do not fit");
}

template <typename Scalar>
void WeightedState::update(const Design& design, Index first_row, const WeightedRows<Scalar>& rows,
                           int n_threads) {
  std::atomic<bool> infinite{false};
  update_panels(parts_, design.n_columns, n_threads,
                [&](WeightedPanel& panel, Index first, Index count, int thread) {
                  if (rows.before_panel) rows.before_panel(first, count, thread);
                  bool finite = true;
                  Index group = -1;
                  const auto group_of = [&](Index i) {
                    return rows.groups == nullptr ? 0 : rows.groups[i];
                  };
                  for (Index i = 0; i < rows.y.n_rows;) {
                    if (group_of(i) != group) {
                      group = group_of(i);
                      const Index from = group * rows.y.n_voxels + first;
                      panel.set_tau2(rows.tau2 == nullptr ? nullptr : rows.tau2 + from, count);
                    }
                    Index n = 1;
                    while (n < kTogether && i + n < rows.y.n_rows && group_of(i + n) == group) ++n;
                    finite &= panel.add(rows, i, n, first, count, parts_.n_rows + i,
                                        design.working.row(first_row + i).data());
                    i += n;
                  }
                  panel.flush();
                  if (!finite) infinite = true;
                });
  if (infinite) throw_infinite(rows);
  parts_.n_rows += rows.y.n_rows;
}

void WeightedState::merge(const WeightedState& other, int n_threads) {
  if (&other == this) {
    merge(WeightedState(other), n_threads);
    return;
  }
  update_panels(parts_, 0, n_threads, [&](WeightedPanel& panel, Index first, Index count, int) {
    panel.add_state(other.parts_, first, count, parts_.n_rows);
  });
  parts_.n_rows += other.n_rows();
}

WeightedState WeightedState::select(const std::vector<Index>& voxels) const {
  WeightedState chosen;
  chosen.parts_.n_rows = parts_.n_rows;
  chosen.parts_.n_working = parts_.n_working;
  chosen.parts_.n_own = parts_.n_own;
  chosen.parts_.slots = columns_of(parts_.slots, voxels);
  chosen.parts_.sums = columns_of(parts_.sums, voxels);
  chosen.parts_.counts = columns_of(parts_.counts, voxels);
  return chosen;
}

WeightedState WeightedState::spread(const std::vector<Index>& places, Index n_voxels,
                                    bool as_variances) const {
  WeightedState whole(parts_.n_working, parts_.n_own, n_voxels);
  whole.parts_.n_rows = parts_.n_rows;
  const auto n_outside = static_cast<std::int32_t>(as_variances ? parts_.n_rows : 0);
  whole.parts_.counts.row(kOutside).setConstant(n_outside);
  put_columns(parts_.slots, places, whole.parts_.slots);
  put_columns(parts_.sums, places, whole.parts_.sums);
  put_columns(parts_.counts, places, whole.parts_.counts);
  return whole;
}

void WeightedState::put(const std::vector<Index>& places, const WeightedState& other) {
  parts_.n_rows = other.n_rows();
  put_columns(other.parts_.slots, places, parts_.slots);
  put_columns(other.parts_.sums, places, parts_.sums);
  put_columns(other.parts_.counts, places, parts_.counts);
}

Index WeightedState::n_missing() const {
  return (parts_.counts.row(kPresent).cast<Index>().array() < n_rows()).count();
}

template void WeightedState::update(const Design&, Index, const WeightedRows<float>&, int);
template void WeightedState::update(const Design&, Index, const WeightedRows<double>&, int);

}  // namespace groupglm
