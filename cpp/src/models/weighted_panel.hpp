// SPDX-License-Identifier: BSD-3-Clause
// One panel of voxels of a weighted fit: its numbers, and rows of data on their way into them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/models/weighted_state.hpp"
#include "non_finite.hpp"
#include "special/lane_functions.hpp"

namespace groupglm {

// Rows that are weighed before they are rotated in: their values and weights fit the first-level
// cache beside the panel's own numbers.
inline constexpr Index kWeighedRows = 32;

static_assert(kWeightedSums + kPresent == kRowsPresent &&
              kWeightedSums + kHeaviest == kHeaviestRow);

/// A thread's memory for one panel. Everything is (any, kPanel); voxels past the end of the data
/// have values of NaN, and nothing of them is stored.
class WeightedPanel {
 public:
  WeightedPanel(Index n_working, Index n_own, Index n_columns_shared)
      : at_{n_working + n_own},
        n_own_(n_own),
        n_shared_(n_columns_shared),
        slots_(at_.count() * kPanel),
        sums_((kWeightedSums + kWeightedCounts) * kPanel),
        value_(kPanel),
        given_(kPanel),
        y_(kWeighedRows * kPanel),
        w_(kWeighedRows * kPanel),
        x_(kWeighedRows * at_.m * (n_own > 0 ? kPanel : 1)),
        scratch_((at_.m + 2) * kPanel),
        tau2_(kPanel) {}

  void load(const WeightedParts& state, Index first, Index count);
  void store(Index first, Index count, WeightedParts& state) const;

  /// Prepares for voxels whose variances have tau2 added; nullptr for none. Rows are missing where
  /// it is NaN.
  void set_tau2(const double* tau2, Index count);

  /// Takes up to kTogether rows from `row`: image is the number of the first, x (n_rows, q) their
  /// rows of the working design. Returns false if a value is infinite.
  template <typename Scalar>
  bool add(const WeightedRows<Scalar>& rows, Index row, Index n_rows, Index first, Index count,
           Index image, const double* x);

  /// Takes what another state has, as rows.
  void add_state(const WeightedParts& other, Index first, Index count, Index n_rows_before);

  /// Rotates in the rows that wait.
  void flush();

 private:
  double* slot(Index k) { return slots_.data() + k * kPanel; }
  double* sum(Index k) { return sums_.data() + k * kPanel; }
  double* counted(Index k) { return sum(kWeightedSums + k); }
  double* y() { return y_.data() + waiting_ * kPanel; }
  double* w() { return w_.data() + waiting_ * kPanel; }
  template <typename Scalar>
  bool add_copy(const WeightedRows<Scalar>& rows, Index row, Index first, Index count,
                double number, const double* x);
  template <typename Scalar>
  void copy_rows(const WeightedRows<Scalar>& rows, Index row, Index first, Index count);
  void count_missing(bool as_variances);

  RotationSlots at_;
  Index n_own_;
  Index n_shared_;  // columns of X, which come before the covariates
  Index waiting_ = 0;
  VectorXd slots_;
  VectorXd sums_;   // those of the state, and then its counts
  VectorXd value_;  // (kPanel): of the row that comes in, and the weights or variances given
  VectorXd given_;
  VectorXd y_;  // (kWeighedRows, kPanel)
  VectorXd w_;
  VectorXd x_;
  VectorXd scratch_;
  VectorXd tau2_;
  std::array<bool, static_cast<std::size_t>(kPanel)> is_lost_{};  // whether tau2 is NaN
  bool any_lost_ = false;
};

}  // namespace groupglm
