// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstring>

// Branch-free log and exp, which the compiler vectorises when a loop calls them.
namespace groupglm::detail {

// condition ? yes : no, by bits. With `?:` the compiler may move floating-point arithmetic into a
// branch, and then does not vectorise it, because arithmetic may trap.
inline double lane_select(bool condition, double yes, double no) {
  const std::uint64_t mask = std::uint64_t{0} - static_cast<std::uint64_t>(condition);
  std::uint64_t yes_bits = 0;
  std::uint64_t no_bits = 0;
  std::memcpy(&yes_bits, &yes, sizeof yes);
  std::memcpy(&no_bits, &no, sizeof no);
  const std::uint64_t bits = (yes_bits & mask) | (no_bits & ~mask);
  double result = 0.0;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// log(v) for positive normal v, within 2 units in the last place. v = 2^k m with m in [sqrt(1/2),
// sqrt(2)]; log m = 2 artanh(s), s = (m - 1) / (m + 1), by its Taylor series. |s| <= 0.1716, so the
// term of degree 23 is beyond double precision.
inline double lane_log(double v) {
  constexpr double kLogTwoHigh = 0x1.62e42fefa38p-1;  // 11 bits short, so that k times it is exact
  constexpr double kLogTwoLow = 0x1.ef35793c7673p-45;
  constexpr std::uint64_t kSqrtHalfBits = 0x3fe6a09e667f3bcd;
  constexpr std::uint64_t kSignificand = 0x000fffffffffffff;
  constexpr double kShift = 0x1.8p52;  // adding it turns a small integer into a double's low bits
  constexpr std::uint64_t kShiftBits = 0x4338000000000000;
  std::uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof bits);
  const std::uint64_t relative = bits - kSqrtHalfBits;
  // Biased by 1024 to stay positive: before AVX-512 there is no vector instruction for an
  // arithmetic shift of 64 bits.
  const std::uint64_t biased = (relative + (std::uint64_t{1024} << 52)) >> 52;
  const std::uint64_t exponent_bits = kShiftBits + biased - 1024;
  const std::uint64_t m_bits = (relative & kSignificand) + kSqrtHalfBits;
  double k = 0.0;
  double m = 0.0;
  std::memcpy(&k, &exponent_bits, sizeof k);
  std::memcpy(&m, &m_bits, sizeof m);
  k -= kShift;
  const double s = (m - 1.0) / (m + 1.0);
  const double q = s * s;
  double series = 1.0 / 21.0;
  series = series * q + 1.0 / 19.0;
  series = series * q + 1.0 / 17.0;
  series = series * q + 1.0 / 15.0;
  series = series * q + 1.0 / 13.0;
  series = series * q + 1.0 / 11.0;
  series = series * q + 1.0 / 9.0;
  series = series * q + 1.0 / 7.0;
  series = series * q + 1.0 / 5.0;
  series = series * q + 1.0 / 3.0;
  const double twice = s + s;
  return k * kLogTwoHigh + (twice + (twice * q * series + k * kLogTwoLow));
}

// log(1 + u) for u > -1. v = 1 + u must be given to full precision, for u below -1/2 or large.
inline double lane_log1p(double u, double v) {
  const bool near = (u < 0.5) & (u > -0.5);
  const double rounded = 1.0 + u;
  const double base = lane_select(near, rounded, v);
  // The digits that rounding of 1 + u lost, to first order; they are small enough for that.
  const double lost = lane_select(near, u - (rounded - 1.0), 0.0);
  return lane_log(base) + lost;
}

// exp(-x) for x >= 0, gradually underflowing to zero; within 1 unit in the last place, plus the
// relative rounding of x itself. Taylor's series to degree 13 for |r| <= log(2) / 2.
inline double lane_exp_negative(double x) {
  constexpr double kLogTwoHigh = 0x1.62e42fefa38p-1;
  constexpr double kLogTwoLow = 0x1.ef35793c7673p-45;
  constexpr double kInverseLogTwo = 1.44269504088896340736;
  constexpr double kShift = 0x1.8p52;
  constexpr std::uint64_t kShiftBits = 0x4338000000000000;
  const double clipped = lane_select(x < 1200.0, x, 1200.0);
  const double shifted = clipped * -kInverseLogTwo + kShift;
  const double n = shifted - kShift;
  std::uint64_t n_bits = 0;
  std::memcpy(&n_bits, &shifted, sizeof n_bits);
  n_bits -= kShiftBits;
  const double r = (-clipped - n * kLogTwoHigh) - n * kLogTwoLow;
  double series = 1.0 / 6227020800.0;
  series = series * r + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  series = series * r + 1.0;
  series = series * r + 1.0;
  // 2^n in two factors: a single one would leave the normal range before the result underflows.
  const std::uint64_t biased = n_bits + 2048;
  const std::uint64_t first_power = biased / 2;
  const std::uint64_t second_power = biased - first_power;
  const std::uint64_t first_bits = (first_power - 1) << 52;  // 2^(first_power - 1024)
  const std::uint64_t second_bits = (second_power - 1) << 52;
  double first = 0.0;
  double second = 0.0;
  std::memcpy(&first, &first_bits, sizeof first);
  std::memcpy(&second, &second_bits, sizeof second);
  return series * first * second;
}

}  // namespace groupglm::detail
