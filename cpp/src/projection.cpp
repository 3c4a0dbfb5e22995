// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/projection.hpp"

#include <algorithm>

namespace groupglm {

namespace {

using Eigen::Index;

// One SIMD register of doubles and how many of them a block holds: the accumulators of four columns
// and of the squares, the data and a broadcast must fit the register file (32 with AVX-512, else
// 16).
#if defined(__AVX512F__)
constexpr int kLane = 8;
constexpr int kLanes = 4;
#elif defined(__AVX__)
constexpr int kLane = 4;
constexpr int kLanes = 2;
#else
constexpr int kLane = 2;
constexpr int kLanes = 2;
#endif
constexpr int kBlock = kLane * kLanes;
static_assert(kPanel % kBlock == 0);

using Lane = Eigen::Array<double, kLane, 1>;
using LaneMap = Eigen::Map<const Lane>;
using LaneOut = Eigen::Map<Lane>;

// J columns of q against one block of voxels; the squares come along when total is wanted. The
// fixed trip counts let the compiler keep the sums in registers.
template <int J, bool Squares>
void project_block(const double* q, Index n_rows, Index n_columns, const double* y, double* w,
                   double* total) {
  Lane sum[J][kLanes];
  Lane squares[kLanes];
  for (auto& row : sum) {
    for (auto& lane : row) lane.setZero();
  }
  for (auto& lane : squares) lane.setZero();
  for (Index i = 0; i < n_rows; ++i) {
    const double* yi = y + i * kPanel;
    const double* qi = q + i * n_columns;
#pragma GCC unroll 4
    for (int l = 0; l < kLanes; ++l) {
      const Lane value = LaneMap(yi + l * kLane);
#pragma GCC unroll 4
      for (int j = 0; j < J; ++j) sum[j][l] += qi[j] * value;
      if constexpr (Squares) squares[l] += value * value;
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    for (int j = 0; j < J; ++j) LaneOut(w + j * kPanel + l * kLane) = sum[j][l];
    if constexpr (Squares) LaneOut(total + l * kLane) = squares[l];
  }
}

template <bool Squares>
void project_columns(Index j_count, const double* q, Index n_rows, Index n_columns, const double* y,
                     double* w, double* total) {
  switch (j_count) {
    case 4:
      return project_block<4, Squares>(q, n_rows, n_columns, y, w, total);
    case 3:
      return project_block<3, Squares>(q, n_rows, n_columns, y, w, total);
    case 2:
      return project_block<2, Squares>(q, n_rows, n_columns, y, w, total);
    default:
      return project_block<1, Squares>(q, n_rows, n_columns, y, w, total);
  }
}

}  // namespace

void project_panel(const double* q, Index n_rows, Index n_columns, const double* y, double* w,
                   double* total) {
  for (Index v = 0; v < kPanel; v += kBlock) {
    project_columns<true>(std::min<Index>(4, n_columns), q, n_rows, n_columns, y + v, w + v,
                          total + v);
    for (Index j = 4; j < n_columns; j += 4) {
      project_columns<false>(std::min<Index>(4, n_columns - j), q + j, n_rows, n_columns, y + v,
                             w + j * kPanel + v, nullptr);
    }
  }
}

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

}  // namespace groupglm
