// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/inner_loops.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "groupglm/loops/convolution.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::convolve;
using groupglm::kStrip;
using reference::Index;
using reference::Real;

}  // namespace

TEST_CASE("the loops in use are the own ones until others are given") {
  const groupglm::InnerLoops own = groupglm::own_inner_loops();
  const bool own_in_use = groupglm::inner_loops().convolve == own.convolve;
  CHECK(own_in_use);
  CHECK(std::string(own.level) == "baseline");
  groupglm::InnerLoops others = own;
  others.level = "others";
  groupglm::use_inner_loops(others);
  CHECK(std::string(groupglm::inner_loops().level) == "others");
  groupglm::use_inner_loops(own);
}

TEST_CASE("convolve is the weighted sum of neighbours, along a row and between rows") {
  constexpr double kGuard = -12345.0;
  for (const Index radius : {Index{0}, Index{1}, Index{7}}) {
    for (const Index width : {Index{0}, kStrip, 3 * kStrip}) {
      for (const Index pitch : {Index{1}, width + 3}) {
        CAPTURE(radius);
        CAPTURE(width);
        CAPTURE(pitch);
        const Index n = 2 * radius * pitch + width;
        const reference::RowMatrix values = reference::normals(1, n, 3);
        const reference::RowMatrix half = reference::normals(1, radius + 1, 4).cwiseAbs();
        std::vector<double> out(static_cast<std::size_t>(width) + 1, kGuard);
        convolve(values.data() + radius * pitch, pitch, half.data(), radius, width, out.data());
        for (Index v = 0; v < width; ++v) {
          Real sum = 0;
          Real size = 0;
          for (Index k = -radius; k <= radius; ++k) {
            const Real term = Real(half(0, std::abs(k))) * values(0, v + (k + radius) * pitch);
            sum += term;
            size += std::abs(term);
          }
          // For every pair, one rounding each of its sum, its product and the addition.
          const Real bound =
              3 * static_cast<Real>(radius + 1) * std::numeric_limits<double>::epsilon() * size;
          REQUIRE(std::abs(Real(out[static_cast<std::size_t>(v)]) - sum) <= bound);
        }
        CHECK(out.back() == kGuard);
      }
    }
  }
}
