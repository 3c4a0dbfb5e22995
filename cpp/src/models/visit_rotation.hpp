// SPDX-License-Identifier: BSD-3-Clause
// The images of a slice, rotated at one tile of voxels, whose rotated rows stay within the caches.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include "models/tile_update.hpp"
#include "models/visit_slice.hpp"

namespace groupglm {

/// Images of a slice: their rotated rows at a tile take a quarter of the second-level cache.
inline constexpr Index kSliceRows = kBlockRows;

/// Differences of values below 2^kLargestExponent, and sqrt(m) times their mean, are within double.
inline constexpr int kLargestExponent = 1018;

/// One thread's memory.
template <typename Scalar>
struct RotatedTile {
  RowMatrix rows;                  // (rows of a slice, kTile)
  std::array<Scalar, kTile> read;  // a row whose values are not side by side
  std::array<double, kTile> lost;  // NaN at the voxels that lack an image

  explicit RotatedTile(Index n_rows) : rows(n_rows, kTile), read(), lost() {}

  DataView<double> view(Index first, Index n_rows, Index count) const {
    return {rows.data() + first * kTile, n_rows, count, kTile, 1};
  }
};

// Rows lie far apart, where the hardware does not prefetch the next tile. Always inlined, because
// to the compiler a function that only prefetches has no effect.
template <typename Scalar>
#if defined(__GNUC__)
[[gnu::always_inline]] inline void prefetch_tile(const Scalar* row) {
  constexpr Index kBytes = kTile * static_cast<Index>(sizeof(Scalar));
  const auto* next = reinterpret_cast<const char*>(row + kTile);
  for (Index byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(next + byte, 0, 2);
}
#else
inline void prefetch_tile(const Scalar*) {
}
#endif

/// Rotates the images of a slice at one tile, where y begins.
///
/// mean (count): the mean of the subject's images so far. NaN spreads to all rows of the subject
/// that follow, and to `lost`. False if a value is infinite or too large. 4 flops a value.
template <typename Scalar>
bool rotate_tile(const SlicePlan& plan, const DataView<Scalar>& y, Index count, double* mean,
                 RotatedTile<Scalar>& out) {
  constexpr bool kMayExceed = std::is_same_v<Scalar, double>;
  const bool has_next = y.voxel_stride == 1 && y.n_voxels >= 2 * kTile;
  double* const lost = out.lost.data();
  std::fill_n(lost, count, 0.0);
  const auto look = [&] {
    for (Index v = 0; v < count; ++v) lost[v] += mean[v] - mean[v];
  };
  unsigned exceeds = 0;  // NOLINT(misc-const-correctness): it varies where Scalar is double
  for (Index i = 0; i < y.n_rows; ++i) {
    const VisitPlace& place = plan.places[static_cast<std::size_t>(i)];
    const Scalar* row = y.data + i * y.row_stride;
    if (has_next) prefetch_tile(row);
    if (y.voxel_stride != 1) {
      for (Index v = 0; v < count; ++v) out.read[static_cast<std::size_t>(v)] = y(i, v);
      row = out.read.data();
    }
    if constexpr (kMayExceed) {
      const Scalar limit = std::ldexp(1.0, kLargestExponent);
      for (Index v = 0; v < count; ++v) exceeds |= std::abs(row[v]) > limit ? 1U : 0U;
    }
    if (place.is_first) {
      for (Index v = 0; v < count; ++v) mean[v] = static_cast<double>(row[v]);
    } else {
      double* const within = out.rows.data() + place.within * kTile;
      for (Index v = 0; v < count; ++v) {
        const double difference = static_cast<double>(row[v]) - mean[v];
        within[v] = place.length * difference;
        mean[v] += place.share * difference;
      }
    }
    if (!place.is_last) continue;
    double* const rotated = out.rows.data() + place.mean * kTile;
    for (Index v = 0; v < count; ++v) rotated[v] = place.root * mean[v];
    look();
  }
  if (plan.n_open > 0) look();
  if (kMayExceed) return exceeds == 0;
  // An infinite value leaves a mean that is not finite.
  for (Index v = 0; v < count; ++v) {
    for (Index i = 0; std::isnan(lost[v]) && i < y.n_rows; ++i) {
      if (std::isinf(y(i, v))) return false;
    }
  }
  return true;
}

}  // namespace groupglm
