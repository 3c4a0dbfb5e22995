// SPDX-License-Identifier: BSD-3-Clause
// The powers of two by which a state scales voxels whose squares would leave the range of double.
//
// Such a voxel goes through the same operations as any other, on y 2^-exponent instead of y. Its w
// and rss are, to the last bit, those of data in another unit. Data of ordinary size have no
// exponent.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "models/tile_update.hpp"

namespace groupglm {

/// Values with binary exponents from -380 to 380 (1e-114 to 1e114) have squares that neither vanish
/// nor overflow, and so have the sums and products of these squares.
inline constexpr int kOrdinaryExponent = 380;

/// The exponent of the scale of values whose largest has the binary exponent `top`.
inline int scale_of_exponent(int top) { return std::abs(top) <= kOrdinaryExponent ? 0 : top; }

/// Voxels with sums of squares outside this range are examined. Values that need an exponent always
/// have such sums.
inline constexpr double kSmallestSquare = 1e-240;
inline constexpr double kLargestSquare = 1e240;
static_assert(kOrdinaryExponent < 398, "2^398 is 1e120 less room for a million rows");

/// Also false for NaN.
inline bool is_ordinary_square(double size) {
  return size >= kSmallestSquare && size <= kLargestSquare;
}

/// A voxel of a tile, and its new exponent.
struct ScaledVoxel {
  Index voxel;
  int exponent;
};

// The tile's voxels whose sums of squares are not of ordinary size (NaN and zero included), or that
// have an exponent already.
inline std::vector<Index> voxels_to_look_at(const OlsParts& state, const OlsParts* other,
                                            Index first, Index count, Workspace& ws) {
  using PanelRow = Eigen::Map<Eigen::Array<double, kPanel, 1>>;
  const bool any_scaled = state.has_scales() || (other != nullptr && other->has_scales());
  std::vector<Index> voxels;
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    Eigen::Array<double, kPanel, 1> size = PanelRow(ws.rss.data() + panel * kPanel);
    for (Index k = 0; k < ws.q; ++k) size += PanelRow(ws.w_row(panel, k)).square();
    if (!any_scaled && (size >= kSmallestSquare && size <= kLargestSquare).all()) continue;
    const Index n = std::min(kPanel, count - panel * kPanel);
    for (Index v = 0; v < n; ++v) {
      const Index voxel = first + panel * kPanel + v;
      const bool is_scaled =
          state.exponent_of(voxel) != 0 || (other != nullptr && other->exponent_of(voxel) != 0);
      if (is_scaled || !is_ordinary_square(size[v])) voxels.push_back(voxel);
    }
  }
  return voxels;
}

// The largest magnitude of a voxel's numbers in a state, in the state's scale.
inline double largest_of_state(const OlsParts& state, Index voxel) {
  return std::max(state.w.col(voxel).cwiseAbs().maxCoeff(), std::sqrt(state.rss[voxel]));
}

/// The voxels of a tile that need another scale than that of the data. y begins at the tile.
template <typename Scalar>
std::vector<ScaledVoxel> find_scaled_voxels(const OlsParts& state, const OlsParts* other,
                                            const DataView<Scalar>& y, Index first, Index count,
                                            Workspace& ws) {
  const std::vector<Index> voxels = voxels_to_look_at(state, other, first, count, ws);
  std::vector<double> largest(voxels.size(), 0.0);
  for (Index i = 0; i < y.n_rows; ++i) {
    for (std::size_t k = 0; k < voxels.size(); ++k) {
      const double size = std::abs(static_cast<double>(y(i, voxels[k] - first)));
      if (size > largest[k]) largest[k] = size;  // false for NaN
    }
  }
  std::vector<ScaledVoxel> found;
  for (std::size_t k = 0; k < voxels.size(); ++k) {
    const Index voxel = voxels[k];
    if (std::isinf(largest[k])) continue;  // will be refused as infinite
    const int before = state.exponent_of(voxel);
    const int others = other != nullptr ? other->exponent_of(voxel) : 0;
    if (other != nullptr) largest[k] = std::max(largest[k], std::sqrt(other->rss[voxel]));
    int top = std::numeric_limits<int>::min();
    if (largest[k] > 0.0) top = std::ilogb(largest[k]) + others;
    const double held = largest_of_state(state, voxel);
    if (held > 0.0) top = std::max(top, std::ilogb(held) + before);
    const int exponent = largest[k] > 0.0 || held > 0.0 ? scale_of_exponent(top) : 0;
    if (exponent != 0 || before != 0 || others != 0) found.push_back({voxel, exponent});
  }
  return found;
}

}  // namespace groupglm
