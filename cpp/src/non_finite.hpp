// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <limits>

namespace groupglm {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace groupglm
