// SPDX-License-Identifier: BSD-3-Clause
#include "volume/resampling_axis.hpp"

#include <algorithm>
#include <cmath>

#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

// Lines filtered together, one line a lane. The filter's steps depend on each other within a line.
// 32 lanes are four to sixteen independent registers, which hide its latency, and a tile of 32
// lines of 100 voxels (26 kB) stays in the first-level cache.
constexpr Index kLines = 32;
using LineValues = Eigen::Array<double, kLines, 1>;
using LineMap = Eigen::Map<LineValues>;
using ConstLineMap = Eigen::Map<const LineValues>;

const double kPole = std::sqrt(3.0) - 2.0;
constexpr double kGain = 6.0;   // (1 - pole)(1 - 1 / pole)
constexpr Index kHorizon = 32;  // pole^32 is 5e-19: later terms are below a double's last bit

ConstLineMap row_of(const double* rows, Index row) { return ConstLineMap(rows + row * kLines); }
LineMap row_of(double* rows, Index row) { return LineMap(rows + row * kLines); }

Index mirrored(Index voxel, Index n) {
  if (n == 1) return 0;
  const Index period = 2 * (n - 1);
  const Index place = ((voxel % period) + period) % period;
  return std::min(place, period - place);
}

// The first value of the causal filter: the sum over the line, mirrored without end on both sides.
LineValues causal_start(const double* rows, Index n) {
  LineValues sum = row_of(rows, 0);
  double power = kPole;
  if (n - 1 > kHorizon) {
    for (Index i = 1; i <= kHorizon; ++i, power *= kPole) sum += power * row_of(rows, i);
    return sum;
  }
  const double last = std::pow(kPole, static_cast<double>(n - 1));
  sum += last * row_of(rows, n - 1);
  for (Index i = 1; i < n - 1; ++i, power *= kPole) {
    sum += power * (row_of(rows, i) + last * row_of(rows, n - 1 - i));
  }
  return sum / (1.0 - last * last);
}

// From values times kGain to coefficients; n >= 2.
void filter_rows(double* rows, Index n) {
  LineValues state = causal_start(rows, n);
  row_of(rows, 0) = state;
  for (Index i = 1; i < n; ++i) {
    state = row_of(rows, i) + kPole * state;
    row_of(rows, i) = state;
  }
  const double end = kPole / (kPole * kPole - 1.0);
  state = end * (kPole * row_of(rows, n - 2) + row_of(rows, n - 1));
  row_of(rows, n - 1) = state;
  for (Index i = n - 2; i >= 0; --i) {
    state = kPole * (state - row_of(rows, i));
    row_of(rows, i) = state;
  }
}

// The lines of a tile: `n_lanes` lines, `lane_stride` apart; the values of a line are `step` apart.
struct Lines {
  Index n_lanes;
  Index lane_stride;
  Index step;
};

// Lanes without a line keep their old values: they are not stored and affect no other lane.
template <typename In>
void load_rows(const In* in, const Lines& lines, Index n, double gain, double* rows) {
  if (lines.lane_stride == 1) {
    for (Index i = 0; i < n; ++i) {
      const In* from = in + i * lines.step;
      double* row = rows + i * kLines;
      if (lines.n_lanes == kLines) {
        for (Index lane = 0; lane < kLines; ++lane)
          row[lane] = gain * static_cast<double>(from[lane]);
      } else {
        for (Index lane = 0; lane < lines.n_lanes; ++lane) {
          row[lane] = gain * static_cast<double>(from[lane]);
        }
      }
    }
    return;
  }
  for (Index lane = 0; lane < lines.n_lanes; ++lane) {
    const In* from = in + lane * lines.lane_stride;
    for (Index i = 0; i < n; ++i) {
      rows[i * kLines + lane] = gain * static_cast<double>(from[i * lines.step]);
    }
  }
}

void pad_rows(double* padded, Index n) {
  double* rows = padded + kPadBefore * kLines;
  row_of(padded, 0) = row_of(rows, mirrored(-1, n));
  row_of(rows, n) = row_of(rows, mirrored(n, n));
  row_of(rows, n + 1) = row_of(rows, mirrored(n + 1, n));
}

template <Index n_taps>
LineValues combine(const double* rows, const double* weights) {
  LineValues sum = weights[0] * row_of(rows, 0);
  for (Index tap = 1; tap < n_taps; ++tap) sum += weights[tap] * row_of(rows, tap);
  return sum;
}

// Writes the output row by row. `out` is a tile in the form of `rows` if the lines are not side by
// side.
template <Index n_taps, typename Out>
void combine_rows(const AxisPlan& plan, const double* padded, Index n_lanes, Index step, Out* out) {
  for (Index voxel = 0; voxel < plan.n_out(); ++voxel) {
    const LineValues sum =
        combine<n_taps>(padded + plan.starts[static_cast<std::size_t>(voxel)] * kLines,
                        plan.weights.data() + voxel * n_taps);
    Out* to = out + voxel * step;
    if (n_lanes == kLines) {
      for (Index lane = 0; lane < kLines; ++lane) to[lane] = static_cast<Out>(sum[lane]);
    } else {
      for (Index lane = 0; lane < n_lanes; ++lane) to[lane] = static_cast<Out>(sum[lane]);
    }
  }
}

template <typename Out>
void combine_rows(const AxisPlan& plan, const double* padded, Index n_lanes, Index step, Out* out) {
  if (plan.n_taps == 1) return combine_rows<1>(plan, padded, n_lanes, step, out);
  if (plan.n_taps == 2) return combine_rows<2>(plan, padded, n_lanes, step, out);
  combine_rows<4>(plan, padded, n_lanes, step, out);
}

template <typename Out>
void store_lines(const AxisPlan& plan, const double* padded, double* tile, const Lines& lines,
                 Out* out) {
  if (lines.lane_stride == 1) return combine_rows(plan, padded, lines.n_lanes, lines.step, out);
  combine_rows(plan, padded, kLines, kLines, tile);
  for (Index lane = 0; lane < lines.n_lanes; ++lane) {
    Out* to = out + lane * lines.lane_stride;
    for (Index voxel = 0; voxel < plan.n_out(); ++voxel) {
      to[voxel * lines.step] = static_cast<Out>(tile[voxel * kLines + lane]);
    }
  }
}

}  // namespace

AxisPlan plan_points(const std::vector<double>& points, Index n_source,
                     Interpolation interpolation) {
  AxisPlan plan;
  const bool exact =
      std::all_of(points.begin(), points.end(), [](double p) { return p == std::floor(p); });
  const bool cubic = interpolation == Interpolation::cubic && !exact;
  plan.filter = cubic && n_source > 1;
  plan.n_taps = exact ? 1 : cubic ? 4 : 2;
  // The four coefficients of the cubic begin one voxel before the point's voxel.
  const Index before = cubic ? 1 : 0;
  for (const double point : points) {
    const double whole = std::floor(point);
    const double t = point - whole;
    plan.starts.push_back(static_cast<Index>(whole) + kPadBefore - before);
    std::array<double, 4> weights{1.0 - t, t, 0.0, 0.0};
    if (cubic) cubic_weights(t, weights.data());
    plan.weights.insert(plan.weights.end(), weights.begin(), weights.begin() + plan.n_taps);
  }
  return plan;
}

AxisPlan plan_coefficients(Index n_source) {
  AxisPlan plan;
  plan.filter = n_source > 1;
  for (Index row = 0; row < n_source + kPadding; ++row) plan.starts.push_back(row);
  plan.weights.assign(plan.starts.size(), 1.0);
  return plan;
}

template <typename In, typename Out>
void apply_axis(const AxisPlan& plan, std::size_t axis, const Box<const In>& in,
                const Box<Out>& out, int n_threads) {
  const std::size_t lane_axis = axis == 0 ? 1 : 0;
  const std::size_t other_axis = 3 - axis - lane_axis;
  const Index n = in.shape[axis];
  const Index n_tiles = (in.shape[lane_axis] + kLines - 1) / kLines;
  const Index n_tasks = n_tiles * in.shape[other_axis];
  const Index padded_size = (n + kPadding) * kLines;
  const Index tile_size = axis == 0 ? plan.n_out() * kLines : 0;
  const Index room = padded_size + tile_size;
  const auto n_workers = std::min<Index>(resolve_threads(n_threads), n_tasks);
  std::vector<double> workspace(static_cast<std::size_t>(n_workers * room), 0.0);
  parallel_for(n_tasks, n_threads, [&](Index task, int thread) {
    const Index first = (task % n_tiles) * kLines;
    const Index other = task / n_tiles;
    const Index n_lanes = std::min(kLines, in.shape[lane_axis] - first);
    double* padded = workspace.data() + thread * room;
    double* rows = padded + kPadBefore * kLines;
    const In* from = in.data + first * in.strides[lane_axis] + other * in.strides[other_axis];
    Out* to = out.data + first * out.strides[lane_axis] + other * out.strides[other_axis];
    const Lines lines_in{n_lanes, in.strides[lane_axis], in.strides[axis]};
    const Lines lines_out{n_lanes, out.strides[lane_axis], out.strides[axis]};
    load_rows(from, lines_in, n, plan.filter ? kGain : 1.0, rows);
    if (plan.filter) filter_rows(rows, n);
    pad_rows(padded, n);
    store_lines(plan, padded, padded + padded_size, lines_out, to);
  });
}

template void apply_axis(const AxisPlan&, std::size_t, const Box<const float>&, const Box<double>&,
                         int);
template void apply_axis(const AxisPlan&, std::size_t, const Box<const double>&, const Box<double>&,
                         int);
template void apply_axis(const AxisPlan&, std::size_t, const Box<const double>&, const Box<float>&,
                         int);

}  // namespace groupglm
