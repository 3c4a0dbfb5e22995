// SPDX-License-Identifier: BSD-3-Clause
// What each place of a row counts for in the extent of a cluster: its area (mm2) or volume (mm3).
#pragma once

#include <Eigen/Core>
#include <limits>

namespace groupglm {

/// A checked view of weights (n), which must outlive it.
class PlaceWeights {
 public:
  /// std::invalid_argument unless there are n_places weights, all finite and above zero, with a
  /// finite sum.
  PlaceWeights(const double* weights, Eigen::Index n_weights, Eigen::Index n_places);

  double operator[](Eigen::Index place) const { return weights_[place]; }

  /// The sum of all weights.
  double total() const { return total_; }

  /// std::invalid_argument if the power of a weight is zero in double: such an extent would hide a
  /// place, or turn an infinite statistic into NaN.
  void check_power(double power) const;

 private:
  const double* weights_;
  double total_ = 0;
  double smallest_ = std::numeric_limits<double>::infinity();
};

}  // namespace groupglm
