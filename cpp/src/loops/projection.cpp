// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/projection.hpp"

#include <algorithm>
#include <type_traits>

#include "loops/lanes.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

#if defined(__GNUC__)
// Always inlined: to the compiler, a function that only prefetches has no effect, and it drops the
// calls.
GROUPGLM_INLINE void prefetch_row(const Ahead& ahead, Index row) {
  if (row >= ahead.n_rows) return;
  const char* data = ahead.data + row * ahead.row_bytes;
  for (Index line = 0; line < ahead.n_lines; ++line) __builtin_prefetch(data + line * 64, 0, 2);
}
#else
inline void prefetch_row(const Ahead&, Index) {}
#endif

// Adds one row of a block to the sums of J columns. The fixed trip counts let the compiler keep the
// sums in registers.
template <int J>
GROUPGLM_INLINE void add_row(const double* qi, const Lane& value, Lane (&sum)[J]) {
  GROUPGLM_UNROLL
  for (int j = 0; j < J; ++j) sum[j] += qi[j] * value;
}

template <typename Scalar>
GROUPGLM_INLINE Lane load(const Scalar* data) {
  Lane value;
  for (int k = 0; k < kLane; ++k) value[k] = static_cast<double>(data[k]);
  return value;
}

// Multiplies the first J columns of q with one block of voxels. The same loop converts, shifts and
// stores the new rows, and sums the squares.
template <int J, typename Scalar>
void load_block(const double* q, Index n_prior, Index n_columns, const PanelSource<Scalar>& source,
                const double* shift, const Ahead& ahead, double* y, double* w, double* total) {
  Lane sum[kLanes][J];
  Lane squares[kLanes];
  Lane offset[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    for (int j = 0; j < J; ++j) sum[l][j].setZero();
    squares[l].setZero();
    offset[l] = LaneMap(shift + l * kLane);
  }
  for (Index i = 0; i < n_prior; ++i) {
    GROUPGLM_UNROLL
    for (int l = 0; l < kLanes; ++l) {
      const Lane value = LaneMap(y + i * kPanel + l * kLane);
      add_row<J>(q + i * n_columns, value, sum[l]);
      squares[l] += value * value;
    }
  }
  for (Index i = 0; i < source.n_rows; ++i) {
    const Scalar* in = source.data + i * source.row_stride;
    double* out = y + (n_prior + i) * kPanel;
    prefetch_row(ahead, i);
    GROUPGLM_UNROLL
    for (int l = 0; l < kLanes; ++l) {
      const Lane value = load(in + l * kLane) - offset[l];
      LaneOut(out + l * kLane) = value;
      add_row<J>(q + (n_prior + i) * n_columns, value, sum[l]);
      squares[l] += value * value;
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    for (int j = 0; j < J; ++j) LaneOut(w + j * kPanel + l * kLane) = sum[l][j];
    LaneOut(total + l * kLane) = squares[l];
  }
}

// Multiplies J further columns of q with one block of voxels.
template <int J>
void project_block(const double* q, Index n_rows, Index n_columns, const double* y, double* w) {
  Lane sum[kLanes][J];
  for (auto& lane : sum) {
    for (auto& column : lane) column.setZero();
  }
  for (Index i = 0; i < n_rows; ++i) {
    GROUPGLM_UNROLL
    for (int l = 0; l < kLanes; ++l) {
      add_row<J>(q + i * n_columns, LaneMap(y + i * kPanel + l * kLane), sum[l]);
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    for (int j = 0; j < J; ++j) LaneOut(w + j * kPanel + l * kLane) = sum[l][j];
  }
}

// Calls function(std::integral_constant<int, J>) with J = min(4, n_columns).
template <typename Function>
void with_columns(Index n_columns, const Function& function) {
  switch (std::min<Index>(4, n_columns)) {
    case 4:
      return function(std::integral_constant<int, 4>());
    case 3:
      return function(std::integral_constant<int, 3>());
    case 2:
      return function(std::integral_constant<int, 2>());
    default:
      return function(std::integral_constant<int, 1>());
  }
}

// out (R, kPanel) = R rows of n times y (n, kPanel).
template <int R>
void multiply_some(const double* rows, Index n, const double* y, double* out) {
  for (Index v = 0; v < kPanel; v += kBlock) {
    Lane sum[R][kLanes];
    for (auto& row : sum) {
      for (auto& lane : row) lane.setZero();
    }
    for (Index i = 0; i < n; ++i) {
      Lane value[kLanes];
      for (int l = 0; l < kLanes; ++l) value[l] = LaneMap(y + i * kPanel + v + l * kLane);
      GROUPGLM_UNROLL
      for (int r = 0; r < R; ++r) {
        const double weight = rows[r * n + i];
        for (int l = 0; l < kLanes; ++l) sum[r][l] += weight * value[l];
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int l = 0; l < kLanes; ++l) LaneOut(out + r * kPanel + v + l * kLane) = sum[r][l];
    }
  }
}

}  // namespace

template <typename Scalar>
void project_panel(const double* q, Index n_prior, Index n_columns,
                   const PanelSource<Scalar>& source, const double* shift, const Ahead& ahead,
                   double* y, double* w, double* total) {
  for (Index v = 0; v < kPanel; v += kBlock) {
    PanelSource<Scalar> block = source;
    if (block.n_rows > 0) block.data += v;
    with_columns(n_columns, [&](auto columns) {
      load_block<columns.value>(q, n_prior, n_columns, block, shift + v, v == 0 ? ahead : Ahead{},
                                y + v, w + v, total + v);
    });
    for (Index j = 4; j < n_columns; j += 4) {
      with_columns(n_columns - j, [&](auto columns) {
        project_block<columns.value>(q + j, n_prior + source.n_rows, n_columns, y + v,
                                     w + j * kPanel + v);
      });
    }
  }
}

template void project_panel(const double*, Index, Index, const PanelSource<float>&, const double*,
                            const Ahead&, double*, double*, double*);
template void project_panel(const double*, Index, Index, const PanelSource<double>&, const double*,
                            const Ahead&, double*, double*, double*);

void residual_panel(const double* q, Index n_rows, Index n_columns, const double* y,
                    const double* w, double* rss) {
  for (Index v = 0; v < kPanel; v += kBlock) {
    Lane sum[kLanes];
    for (auto& lane : sum) lane.setZero();
    for (Index i = 0; i < n_rows; ++i) {
      Lane residual[kLanes];
      for (int l = 0; l < kLanes; ++l) residual[l] = LaneMap(y + i * kPanel + v + l * kLane);
      for (Index j = 0; j < n_columns; ++j) {
        const double qij = q[i * n_columns + j];
        for (int l = 0; l < kLanes; ++l) {
          residual[l] -= qij * LaneMap(w + j * kPanel + v + l * kLane);
        }
      }
      for (int l = 0; l < kLanes; ++l) sum[l] += residual[l] * residual[l];
    }
    for (int l = 0; l < kLanes; ++l) LaneOut(rss + v + l * kLane) = sum[l];
  }
}

void multiply_panel(const double* rows, Index n_rows, Index n, const double* y, double* out) {
  Index r = 0;
  for (; r + 4 <= n_rows; r += 4) multiply_some<4>(rows + r * n, n, y, out + r * kPanel);
  for (; r < n_rows; ++r) multiply_some<1>(rows + r * n, n, y, out + r * kPanel);
}

}  // namespace groupglm
