// SPDX-License-Identifier: BSD-3-Clause
#include "special/tail_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace groupglm::detail {

namespace {

constexpr int kNodes = TailTable::kDegree + 1;
constexpr double kPi = 3.14159265358979323846;

using Coefficients = std::array<double, kNodes>;

// The j-th Chebyshev node, in increasing order.
double node(int j) { return -std::cos(kPi * (j + 0.5) / kNodes); }

using Matrix = std::array<std::array<long double, kNodes>, kNodes>;

// Row k holds the weights that give the k-th Chebyshev coefficient from the values at the nodes.
Matrix chebyshev_weights() {
  const long double pi = std::acos(-1.0L);
  Matrix weights{};
  for (int k = 0; k < kNodes; ++k) {
    for (int j = 0; j < kNodes; ++j) {
      const long double angle = k * pi * (kNodes - 1 - j + 0.5L) / kNodes;
      weights[static_cast<std::size_t>(k)][static_cast<std::size_t>(j)] =
          std::cos(angle) * (k == 0 ? 1.0L : 2.0L) / kNodes;
    }
  }
  return weights;
}

// Monomial coefficients of the polynomial through values at the nodes. Chebyshev coefficients fall
// here by a factor of 15 or more a degree, so that their conversion to monomials loses nothing.
// Sums are in long double: where it is longer than double, the only error left is the rounding of
// the values themselves.
Coefficients interpolate(const Coefficients& values) {
  static const Matrix weights = chebyshev_weights();
  std::array<long double, kNodes> chebyshev{};
  for (std::size_t k = 0; k < kNodes; ++k) {
    for (std::size_t j = 0; j < kNodes; ++j) chebyshev[k] += weights[k][j] * values[j];
  }
  std::array<long double, kNodes> sums{};
  Coefficients previous{};  // T_{k-1}, then T_k in `current`: T_{k+1} = 2 u T_k - T_{k-1}
  Coefficients current{};
  current[0] = 1.0;
  for (std::size_t k = 0; k < kNodes; ++k) {
    for (std::size_t i = 0; i < kNodes; ++i) sums[i] += chebyshev[k] * current[i];
    Coefficients next{};
    const double factor = k == 0 ? 1.0 : 2.0;
    for (std::size_t i = 0; i + 1 < kNodes; ++i) next[i + 1] = factor * current[i];
    for (std::size_t i = 0; i < kNodes; ++i) next[i] -= previous[i];
    previous = current;
    current = next;
  }
  Coefficients result{};
  for (std::size_t i = 0; i < kNodes; ++i) result[i] = static_cast<double>(sums[i]);
  return result;
}

}  // namespace

double TailTable::edge(int n_pieces) {
  return std::sqrt(std::ldexp(1.0 + 0.25 * (n_pieces % 4), n_pieces / 4) - 1.0);
}

int TailTable::pieces_within(double root) {
  int n = 0;
  while (n < kMaxPieces && edge(n + 1) <= root) ++n;
  return n;
}

TailTable::TailTable(int n_pieces, const std::function<TableValue(double)>& function)
    : TailTable(n_pieces, 0, function) {
  lower_offset_ = 0;
  lower_limit_ = upper_limit_;
}

TailTable::TailTable(int n_upper, int n_lower, const std::function<TableValue(double)>& function)
    : upper_limit_(edge(n_upper)),
      lower_limit_(edge(n_lower)),
      lower_offset_(n_upper),
      // At least one piece, because lanes whose value is outside the table read the first one.
      coefficients_(static_cast<std::size_t>(std::max(n_upper + n_lower, 1)) * kStride) {
  for (int piece = 0; piece < n_upper; ++piece) fit_piece(piece, false, function);
  for (int piece = 0; piece < n_lower; ++piece) fit_piece(piece, true, function);
}

void TailTable::fit_piece(int piece, bool lower,
                          const std::function<TableValue(double)>& function) {
  const double centre = 0.5 * (edge(piece) + edge(piece + 1));
  const double half_width = 0.5 * (edge(piece + 1) - edge(piece));
  Coefficients tails{};
  Coefficients scores{};
  for (int j = 0; j < kNodes; ++j) {
    const double magnitude = centre + half_width * node(j);
    const TableValue value = function(lower ? -magnitude : magnitude);
    tails[static_cast<std::size_t>(j)] = value.scaled_tail;
    scores[static_cast<std::size_t>(j)] = value.score;
  }
  const auto row = static_cast<std::size_t>(piece + (lower ? lower_offset_ : 0));
  double* out = coefficients_.data() + row * kStride;
  out[0] = centre;
  out[1] = 1.0 / half_width;
  const Coefficients tail = interpolate(tails);
  const Coefficients score = interpolate(scores);
  std::copy(tail.begin(), tail.end(), out + 2);
  std::copy(score.begin(), score.end(), out + 2 + kNodes);
}

namespace {

// Evaluates one polynomial for a block of values; out[i] needs the coefficients rows[offset[i]
// ...]. Without branches, so that the compiler vectorises the loop over the values.
void horner_block(const double* rows, const std::int64_t* offset, const double* local,
                  double* out) {
  for (int i = 0; i < TailTable::kBatch; ++i) {
    const double* c = rows + offset[i];
    double sum = c[TailTable::kDegree];
    for (int k = TailTable::kDegree - 1; k >= 0; --k) sum = sum * local[i] + c[k];
    out[i] = sum;
  }
}

}  // namespace

void TailTable::evaluate(const double* root, double* scaled_tail, double* score) const {
  alignas(64) std::int64_t offset[kBatch];
  alignas(64) double local[kBatch];
  const double* rows = coefficients_.data();
  const std::uint64_t lower_start = static_cast<std::uint64_t>(lower_offset_) * kStride;
  for (int i = 0; i < kBatch; ++i) {
    const double shifted = 1.0 + root[i] * root[i];
    std::uint64_t bits = 0;
    std::memcpy(&bits, &shifted, sizeof bits);
    // The piece is the exponent and two bits of the significand, counted from those of 1.0.
    const std::uint64_t piece = (bits >> 50) - (std::uint64_t{1023} << 2);
    const std::uint64_t below = std::uint64_t{0} - static_cast<std::uint64_t>(root[i] < 0.0);
    offset[i] = static_cast<std::int64_t>(piece * kStride + (below & lower_start));
  }
  for (int i = 0; i < kBatch; ++i) {
    local[i] = (std::fabs(root[i]) - rows[offset[i]]) * rows[offset[i] + 1];
  }
  if (scaled_tail != nullptr) horner_block(rows + 2, offset, local, scaled_tail);
  if (score != nullptr) horner_block(rows + 2 + kNodes, offset, local, score);
}

}  // namespace groupglm::detail
