// SPDX-License-Identifier: BSD-3-Clause
// A panel's part of a row of data, on its way into the loops.
#pragma once

#include "loops/lanes.hpp"

namespace groupglm {

// The same row at the next panel: rows lie far apart, where the hardware does not prefetch. Always
// inlined, because to the compiler a function that only prefetches has no effect.
template <typename Scalar>
GROUPGLM_INLINE void prefetch_next(const Scalar* row) {
#if defined(__GNUC__)
  const auto* next = reinterpret_cast<const char*>(row + kPanel);
  constexpr Eigen::Index kLines = kPanel * static_cast<Eigen::Index>(sizeof(Scalar)) / 64;
  for (Eigen::Index line = 0; line < kLines; ++line)
    __builtin_prefetch(next + line * 64 + 63, 0, 2);
#else
  static_cast<void>(row);
#endif
}

template <typename Scalar>
GROUPGLM_INLINE void to_doubles(const Scalar* row, double* out) {
  for (Eigen::Index v = 0; v < kPanel; ++v) out[v] = static_cast<double>(row[v]);
}

}  // namespace groupglm
