// SPDX-License-Identifier: BSD-3-Clause
// One block of voxels of robust regression, side by side in registers (see models/robust.hpp).
//
// Each voxel goes through the same operations in the same order, whatever its place in the block
// and whatever the other voxels are.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "groupglm/models/robust.hpp"
#include "models/robust_shape.hpp"
#include "models/sorting_network.hpp"

namespace groupglm {

/// Below this, a pivot of U'WU, which is at most 1, says that the weights left too few images.
inline constexpr double kLostPivot = 1e-12;

/// Bases of up to this many columns have sums that stay in registers.
inline constexpr Index kUnrolledBasis = 3;

/// Beyond any residual over its scale, and with a square that double holds.
inline constexpr double kFarShare = 1e100;

/// The normal distribution's median absolute deviation.
inline constexpr double kNormalMad = 0.6745;

template <typename T>
class RobustBlock {
 public:
  RobustBlock(const BlockShape<T>& shape, const SortingNetwork& network, const RobustMethod& method)
      : shape_(shape),
        network_(network),
        method_(method),
        y_(at(shape.n)),
        e_(at(shape.n)),
        sorted_(at(shape.n)),
        gram_(at(n_products(shape.r))),
        step_(at(shape.r)),
        d_(at(shape.r)),
        d_ols_(at(shape.r)),
        b_(at(shape.p)) {
    for (Voxels& value : y_) value.setZero();
    for (Voxels& value : d_) value.setZero();
    for (Voxels& value : d_ols_) value.setZero();
  }

  /// The data of a voxel: zero where an image is missing.
  double& y(Index image, Index lane) { return y_[at(image)][lane]; }
  void set_sd(Index lane, double sd) { sd_[lane] = sd; }
  double d(Index k, Index lane) const { return d_[at(k)][lane]; }
  double d_ols(Index k, Index lane) const { return d_ols_[at(k)][lane]; }

  /// A voxel starts: its y, its shape and its sd are set.
  void start(Index lane) {
    for (Voxels& value : d_) value[lane] = 0.0;
    for (Voxels& value : b_) value[lane] = 0.0;
    iteration_[at(lane)] = kStart;
    is_done_[at(lane)] = is_converged_[at(lane)] = is_exact_[at(lane)] = false;
  }

  /// The lane has no voxel.
  void rest(Index lane) {
    start(lane);
    is_done_[at(lane)] = true;
  }

  bool is_done(Index lane) const { return is_done_[at(lane)]; }
  bool all_done() const { return std::all_of(is_done_.begin(), is_done_.end(), is_true); }
  bool is_converged(Index lane) const { return is_converged_[at(lane)]; }
  bool is_exact(Index lane) const { return is_exact_[at(lane)]; }
  int n_iterations(Index lane) const { return std::max(iteration_[at(lane)], 0); }
  double ols_squares(Index lane) const { return ols_squares_[lane]; }
  double least_scale(Index lane) const { return least_[lane]; }

  /// One iteration of all voxels.
  void iterate();

  /// Sets a voxel to what iterations have found before, for `summarise`.
  void resume(Index lane, const double* d, const double* d_ols, double ols_squares,
              double least_scale, bool is_exact) {
    for (Index k = 0; k < shape_.r; ++k) {
      d_[at(k)][lane] = d[k];
      d_ols_[at(k)][lane] = d_ols[k];
    }
    ols_squares_[lane] = ols_squares;
    least_[lane] = least_scale;
    is_exact_[at(lane)] = is_exact;
  }

  /// What follows from the last coefficients.
  struct Summary {
    Voxels mad;    // s, before it is at least the least scale
    Voxels scale;  // s
    Voxels share;  // sigma over the standard deviation of least squares
  };
  /// Also sets weights(image) and pseudo(image).
  Summary summarise();
  const Voxels& weight(Index image) const { return sorted_[at(image)]; }
  const Voxels& pseudo(Index image) const { return e_[at(image)]; }

 private:
  static constexpr int kStart = -1;
  static bool is_true(bool value) { return value; }

  // psi(u) / u for u >= 0.
  Voxels weights_of(const Voxels& u) const {
    if (method_.weights == RobustWeights::huber) return 1.0 / u.max(1.0);
    return (1.0 - u * u).max(0.0).square();
  }
  Voxels slope_of(const Voxels& u) const {
    if (method_.weights == RobustWeights::huber) {
      return (u < 1.0).select(Voxels::Ones().eval(), Voxels::Zero().eval());
    }
    const Voxels left = (1.0 - u * u).max(0.0);
    return left * (5.0 * left - 4.0);
  }
  Voxels adjusted(Index image) const {
    Voxels a = e_[at(image)].abs() * shape_.adjust[at(image)];
    if constexpr (!std::is_same_v<T, double>) a += shape_.far[at(image)];
    return a;
  }

  // e = y - U d, and their sum of squares.
  template <Index R>
  Voxels residuals();
  // The median of the largest n - p + 1 adjusted residuals, over the normal distribution's.
  Voxels robust_scale();
  // U'WU and U'We.
  template <Index R>
  void weighted_sums(const Voxels& inverse);
  void settle(const Voxels& squares);

  const BlockShape<T>& shape_;
  const SortingNetwork& network_;
  const RobustMethod& method_;
  std::vector<Voxels> y_;
  std::vector<Voxels> e_;
  std::vector<Voxels> sorted_;
  std::vector<Voxels> gram_;
  std::vector<Voxels> step_;
  std::vector<Voxels> d_;
  std::vector<Voxels> d_ols_;
  std::vector<Voxels> b_;
  Voxels sd_ = Voxels::Zero();
  Voxels squares_y_ = Voxels::Zero();
  Voxels ols_squares_ = Voxels::Zero();
  Voxels least_ = Voxels::Ones();
  std::array<int, kBlock> iteration_{};
  std::array<bool, kBlock> is_done_{};
  std::array<bool, kBlock> is_converged_{};
  std::array<bool, kBlock> is_exact_{};
};

template <typename T>
template <Index R>
Voxels RobustBlock<T>::residuals() {
  const Index r = R > 0 ? R : shape_.r;
  Voxels squares = Voxels::Zero();
  const T* q = shape_.q.data();
  for (Index i = 0; i < shape_.n; ++i, q += r) {
    Voxels left = y_[at(i)] - q[0] * d_[0];
    for (Index k = 1; k < r; ++k) left -= q[k] * d_[at(k)];
    e_[at(i)] = left;
    sorted_[at(i)] = adjusted(i);
    squares += left * left;
  }
  return squares;
}

template <typename T>
Voxels RobustBlock<T>::robust_scale() {
  network_.sort(sorted_.front().data());
  Voxels median;
  for (Index lane = 0; lane < kBlock; ++lane) {
    Index n = 0;
    Index rank = 0;
    if constexpr (std::is_same_v<T, double>) {
      n = shape_.n;
      rank = shape_.r;
    } else {
      n = static_cast<Index>(shape_.n_images[lane]);
      rank = static_cast<Index>(shape_.rank[lane]);
    }
    const Index first = std::max<Index>(rank, 1) - 1;
    const Index low = first + (n - 1 - first) / 2;
    const Index high = first + (n - first) / 2;
    median[lane] = n == 0 ? 0.0 : 0.5 * (sorted_[at(low)][lane] + sorted_[at(high)][lane]);
  }
  return median / kNormalMad;
}

template <typename T>
template <Index R>
void RobustBlock<T>::weighted_sums(const Voxels& inverse) {
  const Index r = R > 0 ? R : shape_.r;
  constexpr Index kSums = R > 0 ? R * (R + 1) / 2 : 1;
  std::array<Voxels, kSums> own_gram;
  std::array<Voxels, (R > 0 ? R : 1)> own_step;
  Voxels* const gram = R > 0 ? own_gram.data() : gram_.data();
  Voxels* const step = R > 0 ? own_step.data() : step_.data();
  std::fill(gram, gram + n_products(r), Voxels::Zero());
  std::fill(step, step + r, Voxels::Zero());
  const T* q = shape_.q.data();
  for (Index i = 0; i < shape_.n; ++i, q += r) {
    const Voxels w = weights_of(adjusted(i) * inverse);
    const Voxels we = w * e_[at(i)];
    Voxels* sum = gram;
    for (Index j = 0; j < r; ++j) {
      const Voxels wq = w * q[j];
      step[j] += q[j] * we;
      for (Index k = 0; k <= j; ++k) *sum++ += wq * q[k];
    }
  }
  if constexpr (R > 0) {
    std::copy_n(gram, n_products(r), gram_.begin());
    std::copy_n(step, r, step_.begin());
  }
  if constexpr (!std::is_same_v<T, double>) {
    for (Index j = 0; j < r; ++j) gram_[at(packed(j, j))] += shape_.idle[at(j)];
  }
}

template <typename T>
void RobustBlock<T>::iterate() {
  const auto with_basis = [this](auto each) {
    switch (shape_.r) {
      case 1:
        return each(std::integral_constant<Index, 1>{});
      case 2:
        return each(std::integral_constant<Index, 2>{});
      case kUnrolledBasis:
        return each(std::integral_constant<Index, kUnrolledBasis>{});
      default:
        return each(std::integral_constant<Index, 0>{});
    }
  };
  const Voxels squares = with_basis([&](auto r) { return residuals<decltype(r)::value>(); });
  const Voxels mad = robust_scale();
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (iteration_[at(lane)] == kStart) {
      squares_y_[lane] = squares[lane];
      const double least = std::numeric_limits<double>::epsilon() * std::sqrt(squares[lane]);
      least_[lane] = std::max(1e-6 * sd_[lane], least);
      if (least_[lane] == 0.0) least_[lane] = 1.0;  // all values are zero
    }
  }
  Voxels inverse = 1.0 / (mad.max(least_) * method_.tuning);
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (iteration_[at(lane)] == kStart) inverse[lane] = 0.0;  // least squares: all weights are 1
  }
  with_basis([&](auto r) { weighted_sums<decltype(r)::value>(inverse); });
  settle(squares);
}

// Takes the step of each voxel, and sees whether it is done.
template <typename T>
void RobustBlock<T>::settle(const Voxels& squares) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  const Index r = shape_.r;
  factor_symmetric(gram_.data(), r);
  Voxels pivot = Voxels::Ones();
  for (Index j = 0; j < r; ++j) pivot = pivot.min(gram_[at(packed(j, j))]);
  solve_symmetric(gram_.data(), r, step_.data());
  const Voxels n = Voxels::Zero() + shape_.n_images;
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (iteration_[at(lane)] == 0 && !is_done_[at(lane)]) {
      ols_squares_[lane] = squares[lane];
      for (Index k = 0; k < r; ++k) d_ols_[at(k)][lane] = d_[at(k)][lane];
      // The rounding of residuals that are zero, as rounding_share() in voxel_runs.hpp.
      is_exact_[at(lane)] = squares[lane] <= 64.0 * kEps * kEps * n[lane] * squares_y_[lane];
      is_done_[at(lane)] = is_converged_[at(lane)] = is_exact_[at(lane)];
    }
    if (!(pivot[lane] > kLostPivot)) is_done_[at(lane)] = true;
    if (is_done_[at(lane)]) {
      for (Index k = 0; k < r; ++k) step_[at(k)][lane] = 0.0;
    }
  }
  for (Index k = 0; k < r; ++k) d_[at(k)] += step_[at(k)];
  // How far the coefficients have changed beyond what counts as no change.
  const double least_change = std::sqrt(kEps);
  const Voxels rounding = 8.0 * kEps * squares_y_.sqrt();
  Voxels beyond = Voxels::Constant(-1.0);
  for (Index j = 0; j < shape_.p; ++j) {
    Voxels change = Voxels::Zero();
    for (Index k = 0; k < r; ++k) change += shape_.to_beta[at(j * r + k)] * step_[at(k)];
    Voxels& b = b_[at(j)];
    const Voxels before = b.abs();
    b += change;
    const Voxels relative = least_change * before.max(b.abs());
    beyond = beyond.max(change.abs() - relative.max(rounding * shape_.length[at(j)]));
  }
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (is_done_[at(lane)]) continue;
    const int iteration = ++iteration_[at(lane)];
    if (iteration == 0) continue;  // least squares
    is_converged_[at(lane)] = beyond[lane] <= 0.0;
    is_done_[at(lane)] = is_converged_[at(lane)] || iteration == kMostIterations;
  }
}

template <typename T>
typename RobustBlock<T>::Summary RobustBlock<T>::summarise() {
  const double least_change = std::sqrt(std::numeric_limits<double>::epsilon());
  residuals<0>();
  Summary out;
  out.mad = robust_scale();
  out.scale = out.mad.max(least_);
  const Voxels st = out.scale * method_.tuning;
  Voxels inverse = 1.0 / st;
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (is_exact_[at(lane)]) inverse[lane] = 0.0;
  }
  Voxels slopes = Voxels::Zero();
  Voxels psi_squares = Voxels::Zero();
  Voxels n_whole = Voxels::Zero();
  Voxels n_none = Voxels::Zero();
  Voxels whole_squares = Voxels::Zero();
  for (Index i = 0; i < shape_.n; ++i) {
    const Voxels u = (adjusted(i) * inverse).min(kFarShare);
    const Voxels w = weights_of(u);
    slopes += slope_of(u);
    psi_squares += shape_.left[at(i)] * (u * w).min(1.0).square();
    const Voxels is_whole = (w > 1.0 - least_change).template cast<double>();
    n_whole += is_whole;
    n_none += (w < least_change).template cast<double>();
    whole_squares += is_whole * e_[at(i)] * e_[at(i)];
    sorted_[at(i)] = w;
  }
  const Voxels n = Voxels::Zero() + shape_.n_images;
  const Voxels p = Voxels::Zero() + shape_.rank;
  const Voxels m1 = slopes / n;
  const Voxels m2 = psi_squares / (n - p);
  Voxels sigma = (1.0 + p / n * (1.0 - m1) / m1) * m2.sqrt() * st / m1;
  const Voxels ols = (ols_squares_ / (n - p)).sqrt();
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (n_whole[lane] + n_none[lane] >= static_cast<double>(shape_.n)) {
      const double df = n_whole[lane] - p[lane];
      sigma[lane] = df > 0.0 ? std::sqrt(whole_squares[lane] / df) : 0.0;
    }
    if (!std::isfinite(sigma[lane])) sigma[lane] = ols[lane];
  }
  const Voxels shrunk =
      ((ols.square() * p.square() + sigma.square() * n) / (p.square() + n)).sqrt();
  out.share = sigma.max(shrunk) / ols;
  for (Index lane = 0; lane < kBlock; ++lane) {
    if (is_exact_[at(lane)] || !(ols[lane] > 0.0)) out.share[lane] = 1.0;
  }
  const Index r = shape_.r;
  const T* q = shape_.q.data();
  for (Index i = 0; i < shape_.n; ++i, q += r) {
    Voxels value = out.share * y_[at(i)];
    for (Index k = 0; k < r; ++k) value += q[k] * (d_[at(k)] - out.share * d_ols_[at(k)]);
    e_[at(i)] = value;
  }
  return out;
}

}  // namespace groupglm
