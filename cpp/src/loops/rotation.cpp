// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/rotation.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "loops/lanes.hpp"
#include "loops/panel_rows.hpp"
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

// Whether every value is finite, and every weight or variance finite and above zero: the rule.
template <int N, typename Scalar>
bool is_complete(const WeighedRows<Scalar>& rows) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
  constexpr auto kMost = std::numeric_limits<Scalar>::max();
  Bits lacking[kPanel] = {};
  for (int r = 0; r < N; ++r) {
    const Scalar* __restrict y = rows.value + r * rows.value_stride;
    const Scalar* __restrict given = rows.given + r * rows.given_stride;
    for (int v = 0; v < static_cast<int>(kPanel); ++v) {
      const bool is_ordinary = (std::abs(y[v]) <= kMost) & (given[v] > 0) & (given[v] <= kMost);
      lacking[v] |= static_cast<Bits>(!is_ordinary);
    }
  }
  Bits any = 0;
  for (const Bits each : lacking) any |= each;
  return any == 0;
}

// The fixed number of rows N lets the compiler keep a voxel's sums in registers. Complete rows,
// which have every value, need no masks.
template <int N, bool kVariances, bool kComplete, typename Scalar>
void weigh(const WeighedRows<Scalar>& rows, double* __restrict sums, double* __restrict value,
           double* __restrict weight, RowPresence* presence) {
  constexpr int kPanelInt = static_cast<int>(kPanel);
  // Converted first: the compiler would compare floats as such, and then widen every mask.
  double y_in[N * kPanelInt];
  double given_in[N * kPanelInt];
  for (int r = 0; r < N; ++r) {
    to_doubles(rows.value + r * rows.value_stride, y_in + r * kPanelInt);
    to_doubles(rows.given + r * rows.given_stride, given_in + r * kPanelInt);
  }
  const double* __restrict tau2 = rows.tau2;
  std::uint64_t any[N];
  std::uint64_t all[N];
  std::uint64_t infinite[N];
  GROUPGLM_UNROLL
  for (int r = 0; r < N; ++r) {
    any[r] = infinite[r] = 0;
    all[r] = ~std::uint64_t{0};
  }
  for (int v = 0; v < kPanelInt; ++v) {
    double total = sums[kTotal * kPanelInt + v];
    double weights = sums[kWeightSum * kPanelInt + v];
    double largest = sums[kWeightMax * kPanelInt + v];
    double smallest = sums[kWeightMin * kPanelInt + v];
    double n_present = sums[kRowsPresent * kPanelInt + v];
    double heaviest = sums[kHeaviestRow * kPanelInt + v];
    GROUPGLM_UNROLL
    for (int r = 0; r < N; ++r) {
      const double y = y_in[r * kPanelInt + v];
      const double given = given_in[r * kPanelInt + v];
      // Comparisons with NaN are false.
      const bool has_row = kComplete || ((y == y) & (given > 0.0));
      const double own = lane_select(has_row, kVariances ? 1.0 / (given + tau2[v]) : given, 0.0);
      const double at = lane_select(has_row, y, 0.0);
      if (!kComplete) {
        any[r] |= mask(has_row);
        all[r] &= mask(has_row);
        infinite[r] |= mask(std::abs(y) == kInfinity) | mask(std::abs(given) == kInfinity);
      }
      total += at;
      weights += own;
      heaviest = lane_select(own > largest, rows.number + r, heaviest);
      largest = lane_select(own > largest, own, largest);
      smallest = lane_select(has_row & (own < smallest), own, smallest);
      n_present += lane_select(has_row, 1.0, 0.0);
      value[r * kPanelInt + v] = at;
      weight[r * kPanelInt + v] = own;
    }
    sums[kTotal * kPanelInt + v] = total;
    sums[kWeightSum * kPanelInt + v] = weights;
    sums[kWeightMax * kPanelInt + v] = largest;
    sums[kWeightMin * kPanelInt + v] = smallest;
    sums[kRowsPresent * kPanelInt + v] = n_present;
    sums[kHeaviestRow * kPanelInt + v] = heaviest;
  }
  GROUPGLM_UNROLL
  for (int r = 0; r < N; ++r) {
    presence[r] = {kComplete || any[r] != 0, all[r] != 0, infinite[r] != 0};
  }
}

template <int N, typename Scalar>
void weigh_rows(const WeighedRows<Scalar>& rows, double* sums, double* value, double* weight,
                RowPresence* presence) {
  const bool complete = is_complete<N>(rows);
  const auto& loop =
      rows.as_variances
          ? (complete ? weigh<N, true, true, Scalar> : weigh<N, true, false, Scalar>)
          : (complete ? weigh<N, false, true, Scalar> : weigh<N, false, false, Scalar>);
  loop(rows, sums, value, weight, presence);
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

// With M known, R rows from i turn a voxel's factor while it stays in registers.
template <int M, int R, bool kByVoxel>
void rotate_rows(const RotationRows& rows, Index i, double* __restrict slots) {
  constexpr int kPanelInt = static_cast<int>(kPanel);
  constexpr int kSlots = 2 * M + 1 + M * (M - 1) / 2;
  const double* __restrict x = rows.x + i * M * (kByVoxel ? kPanel : 1);
  const double* __restrict y = rows.y + i * kPanel;
  const double* __restrict w = rows.w + i * kPanel;
  for (int v = 0; v < kPanelInt; ++v) {
    double slot[kSlots];
    GROUPGLM_UNROLL_16
    for (int k = 0; k < kSlots; ++k) slot[k] = slots[k * kPanelInt + v];
    GROUPGLM_UNROLL_16
    for (int n = 0; n < R; ++n) {
      double row[M];
      GROUPGLM_UNROLL
      for (int j = 0; j < M; ++j) {
        row[j] = kByVoxel ? x[(n * M + j) * kPanelInt + v] : x[n * M + j];
      }
      double value = y[n * kPanelInt + v];
      double weight = w[n * kPanelInt + v];
      int upper = 2 * M + 1;
      GROUPGLM_UNROLL
      for (int k = 0; k < M; ++k) {
        const double xk = row[k];
        const Rotation turn = rotation(slot[k], xk, weight);
        slot[k] = turn.d;
        weight *= turn.c;
        GROUPGLM_UNROLL
        for (int j = k + 1; j < M; ++j) {
          const double r = slot[upper];
          slot[upper] = turn.c * r + turn.s * row[j];
          row[j] -= xk * r;
          ++upper;
        }
        const double theta = slot[M + k];
        slot[M + k] = turn.c * theta + turn.s * value;
        value -= xk * theta;
      }
      slot[2 * M] += weight * value * value;
    }
    GROUPGLM_UNROLL_16
    for (int k = 0; k < kSlots; ++k) slots[k * kPanelInt + v] = slot[k];
  }
}

template <int M, bool kByVoxel>
void rotate_fixed(const RotationRows& rows, double* __restrict slots) {
  // More rows would not fit the registers.
  constexpr Index kRows = M <= 2 ? 4 : 1;
  Index i = 0;
  for (; i + kRows <= rows.n_rows; i += kRows) {
    rotate_rows<M, static_cast<int>(kRows), kByVoxel>(rows, i, slots);
  }
  for (; i < rows.n_rows; ++i) rotate_rows<M, 1, kByVoxel>(rows, i, slots);
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

template <typename Scalar>
void weigh_panel(const WeighedRows<Scalar>& rows, double* sums, double* value, double* weight,
                 RowPresence* presence) {
  if (rows.has_next) {
    for (Index r = 0; r < rows.n_rows; ++r) {
      prefetch_next(rows.value + r * rows.value_stride);
      prefetch_next(rows.given + r * rows.given_stride);
    }
  }
  if (rows.n_rows == kTogether) {
    return weigh_rows<static_cast<int>(kTogether)>(rows, sums, value, weight, presence);
  }
  WeighedRows<Scalar> row = rows;
  for (Index r = 0; r < rows.n_rows; ++r) {
    weigh_rows<1>(row, sums, value + r * kPanel, weight + r * kPanel, presence + r);
    row.value += row.value_stride;
    row.given += row.given_stride;
    row.number += 1.0;
  }
}

template void weigh_panel(const WeighedRows<float>&, double*, double*, double*, RowPresence*);
template void weigh_panel(const WeighedRows<double>&, double*, double*, double*, RowPresence*);

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
