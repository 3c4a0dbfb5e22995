// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/rotation.hpp"

#include <cmath>
#include <cstdint>

#include "loops/lanes.hpp"
#include "non_finite.hpp"
#include "special/lane_functions.hpp"

namespace groupglm {

namespace {

using detail::lane_select;
using Eigen::Index;

// All bits set, or none.
GROUPGLM_INLINE std::uint64_t mask(bool condition) {
  return std::uint64_t{0} - static_cast<std::uint64_t>(condition);
}

template <bool kVariances>
RowPresence weigh(const double* __restrict y, const double* __restrict given,
                  const double* __restrict tau2, double number, double* __restrict sums,
                  double* __restrict value, double* __restrict weight) {
  constexpr int kPanelInt = static_cast<int>(kPanel);
  std::uint64_t any = 0;
  std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t infinite = 0;
  for (int v = 0; v < kPanelInt; ++v) {
    // Comparisons with NaN are false.
    const bool has_row = (y[v] == y[v]) & (given[v] > 0.0);
    const double own =
        lane_select(has_row, kVariances ? 1.0 / (given[v] + tau2[v]) : given[v], 0.0);
    const double at = lane_select(has_row, y[v], 0.0);
    any |= mask(has_row);
    all &= mask(has_row);
    infinite |= mask(std::abs(y[v]) == kInfinity) | mask(std::abs(given[v]) == kInfinity);
    sums[kTotal * kPanelInt + v] += at;
    sums[kWeightSum * kPanelInt + v] += own;
    const double largest = sums[kWeightMax * kPanelInt + v];
    const double smallest = sums[kWeightMin * kPanelInt + v];
    const double before = sums[kHeaviestRow * kPanelInt + v];
    sums[kWeightMax * kPanelInt + v] = lane_select(own > largest, own, largest);
    sums[kHeaviestRow * kPanelInt + v] = lane_select(own > largest, number, before);
    sums[kWeightMin * kPanelInt + v] = lane_select(has_row & (own < smallest), own, smallest);
    sums[kRowsPresent * kPanelInt + v] += lane_select(has_row, 1.0, 0.0);
    value[v] = at;
    weight[v] = own;
  }
  return {any != 0, all != 0, infinite != 0};
}

// What a row does to column k of a factor.
struct Rotation {
  double d;
  double c;
  double s;
};

GROUPGLM_INLINE Rotation rotation(double d, double x, double w) {
  const double wx = w * x;
  const double added = wx * x;
  const bool turns = added > 0.0;
  const double total = d + added;
  const double inverse = 1.0 / lane_select(turns, total, 1.0);
  return {total, lane_select(turns, d * inverse, 1.0), lane_select(turns, wx * inverse, 0.0)};
}

// With M known, the row of a voxel stays in registers.
template <int M, bool kByVoxel>
void rotate_fixed(const RotationRows& rows, double* __restrict slots) {
  constexpr int kPanelInt = static_cast<int>(kPanel);
  for (Index i = 0; i < rows.n_rows; ++i) {
    const double* __restrict x = rows.x + i * M * (kByVoxel ? kPanel : 1);
    const double* __restrict y = rows.y + i * kPanel;
    const double* __restrict w = rows.w + i * kPanel;
    for (int v = 0; v < kPanelInt; ++v) {
      double row[M];
      GROUPGLM_UNROLL
      for (int j = 0; j < M; ++j) row[j] = kByVoxel ? x[j * kPanelInt + v] : x[j];
      double value = y[v];
      double weight = w[v];
      int upper = (2 * M + 1) * kPanelInt + v;
      GROUPGLM_UNROLL
      for (int k = 0; k < M; ++k) {
        const double xk = row[k];
        const Rotation turn = rotation(slots[k * kPanelInt + v], xk, weight);
        slots[k * kPanelInt + v] = turn.d;
        weight *= turn.c;
        GROUPGLM_UNROLL
        for (int j = k + 1; j < M; ++j) {
          const double r = slots[upper];
          slots[upper] = turn.c * r + turn.s * row[j];
          row[j] -= xk * r;
          upper += kPanelInt;
        }
        const double theta = slots[(M + k) * kPanelInt + v];
        slots[(M + k) * kPanelInt + v] = turn.c * theta + turn.s * value;
        value -= xk * theta;
      }
      slots[2 * M * kPanelInt + v] += weight * value * value;
    }
  }
}

void rotate_any(const RotationRows& rows, double* __restrict slots, double* __restrict scratch) {
  const Index m = rows.m;
  const RotationSlots at{m};
  double* __restrict value = scratch + m * kPanel;
  double* __restrict weight = value + kPanel;
  for (Index i = 0; i < rows.n_rows; ++i) {
    for (Index j = 0; j < m; ++j) {
      for (Index v = 0; v < kPanel; ++v) {
        scratch[j * kPanel + v] =
            rows.x_by_voxel ? rows.x[(i * m + j) * kPanel + v] : rows.x[i * m + j];
      }
    }
    for (Index v = 0; v < kPanel; ++v) {
      value[v] = rows.y[i * kPanel + v];
      weight[v] = rows.w[i * kPanel + v];
    }
    for (Index k = 0; k < m; ++k) {
      double c[kPanel];
      double s[kPanel];
      double* __restrict d = slots + at.d(k) * kPanel;
      double* __restrict theta = slots + at.theta(k) * kPanel;
      const double* __restrict xk = scratch + k * kPanel;
      for (Index v = 0; v < kPanel; ++v) {
        const Rotation turn = rotation(d[v], xk[v], weight[v]);
        d[v] = turn.d;
        c[v] = turn.c;
        s[v] = turn.s;
        weight[v] *= turn.c;
        const double before = theta[v];
        theta[v] = turn.c * before + turn.s * value[v];
        value[v] -= xk[v] * before;
      }
      for (Index j = k + 1; j < m; ++j) {
        double* __restrict r = slots + at.r(k, j) * kPanel;
        double* __restrict xj = scratch + j * kPanel;
        for (Index v = 0; v < kPanel; ++v) {
          const double before = r[v];
          r[v] = c[v] * before + s[v] * xj[v];
          xj[v] -= xk[v] * before;
        }
      }
    }
    double* __restrict rss = slots + at.rss() * kPanel;
    for (Index v = 0; v < kPanel; ++v) rss[v] += weight[v] * value[v] * value[v];
  }
}

template <int M>
void rotate_columns(const RotationRows& rows, double* slots) {
  if (rows.x_by_voxel) {
    rotate_fixed<M, true>(rows, slots);
  } else {
    rotate_fixed<M, false>(rows, slots);
  }
}

}  // namespace

RowPresence weigh_panel(const WeighedRow& row, double* sums, double* value, double* weight) {
  const auto& weigh_row = row.as_variances ? weigh<true> : weigh<false>;
  return weigh_row(row.value, row.given, row.tau2, row.number, sums, value, weight);
}

void rotate_panel(const RotationRows& rows, double* slots, double* scratch) {
  switch (rows.m) {
    case 1:
      return rotate_columns<1>(rows, slots);
    case 2:
      return rotate_columns<2>(rows, slots);
    case 3:
      return rotate_columns<3>(rows, slots);
    case 4:
      return rotate_columns<4>(rows, slots);
    default:
      return rotate_any(rows, slots, scratch);
  }
}

}  // namespace groupglm
