// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/convolution.hpp"

#include "loops/lanes.hpp"

namespace groupglm {

namespace {

// Registers of sums computed together: enough to hide the latency of an addition, few enough for
// the register file.
constexpr int kSums = 4;
static_assert(kStrip % (kLane * kSums) == 0);

}  // namespace

void convolve(const double* at, Eigen::Index pitch, const double* half, Eigen::Index radius,
              Eigen::Index width, double* out) {
  for (Eigen::Index v = 0; v < width; v += Eigen::Index{kLane} * kSums) {
    Lane sum[kSums];
    for (auto& lane : sum) lane.setZero();
    const double* before = at + v - radius * pitch;
    const double* after = at + v + radius * pitch;
    for (Eigen::Index k = radius; k > 0; --k, before += pitch, after -= pitch) {
      for (int l = 0; l < kSums; ++l) {
        sum[l] += half[k] * (LaneMap(before + l * kLane) + LaneMap(after + l * kLane));
      }
    }
    for (int l = 0; l < kSums; ++l) {
      LaneOut(out + v + l * kLane) = sum[l] + half[0] * LaneMap(at + v + l * kLane);
    }
  }
}

}  // namespace groupglm
