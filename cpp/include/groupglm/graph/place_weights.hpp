// SPDX-License-Identifier: BSD-3-Clause
// The weight of each place in the size of a cluster: its area (mm2) or volume (mm3).
#pragma once

#include <Eigen/Core>
#include <limits>

namespace groupglm {

/// A checked view of weights (n); the weights must outlive the view.
class PlaceWeights {
 public:
  /// Throws std::invalid_argument unless there are n_places weights, all finite and above zero, and
  /// their sum is finite.
  PlaceWeights(const double* weights, Eigen::Index n_weights, Eigen::Index n_places);

  double operator[](Eigen::Index place) const { return weights_[place]; }

  /// The sum of all weights.
  double total() const { return total_; }

  /// Throws std::invalid_argument if weight^power is zero in double for some weight: that place
  /// would not count, or an infinite statistic there would become NaN.
  void check_power(double power) const;

 private:
  const double* weights_;
  double total_ = 0;
  double smallest_ = std::numeric_limits<double>::infinity();
};

}  // namespace groupglm
