// SPDX-License-Identifier: BSD-3-Clause
// SIMD registers of doubles, as fixed-size arrays that the compiler keeps in registers.
//
// A lane is one register of doubles; a block is the number of lanes that are processed together; a
// panel (loops/projection.hpp) is a few blocks of voxels. Loops over other numbers of values use
// other names for them.
#pragma once

#include <Eigen/Core>

#include "groupglm/loops/projection.hpp"

namespace groupglm {

// The doubles of one register, and the registers of a block of voxels. The sums of four columns or
// rows, the data and a broadcast must fit the register file (32 registers with AVX-512, else 16).
#if defined(__AVX512F__)
inline constexpr int kLane = 8;
inline constexpr int kLanes = 4;
#elif defined(__AVX__)
inline constexpr int kLane = 4;
inline constexpr int kLanes = 2;
#else
inline constexpr int kLane = 2;
inline constexpr int kLanes = 2;
#endif
inline constexpr int kBlock = kLane * kLanes;
static_assert(kPanel % kBlock == 0);

using Lane = Eigen::Array<double, kLane, 1>;
using LaneMap = Eigen::Map<const Lane>;
using LaneOut = Eigen::Map<Lane>;

#if defined(__clang__)
#define GROUPGLM_INLINE [[gnu::always_inline]] inline
#define GROUPGLM_UNROLL _Pragma("unroll 4")
#define GROUPGLM_UNROLL_16 _Pragma("unroll 16")
#elif defined(__GNUC__)
#define GROUPGLM_INLINE [[gnu::always_inline]] inline
#define GROUPGLM_UNROLL _Pragma("GCC unroll 4")
#define GROUPGLM_UNROLL_16 _Pragma("GCC unroll 16")
#else
#define GROUPGLM_INLINE inline
#define GROUPGLM_UNROLL
#define GROUPGLM_UNROLL_16
#endif

}  // namespace groupglm
