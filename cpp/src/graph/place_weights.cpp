// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/place_weights.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

namespace groupglm {

namespace {

std::string in_digits(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

PlaceWeights::PlaceWeights(const double* weights, Eigen::Index n_weights, Eigen::Index n_places)
    : weights_(weights) {
  if (n_weights != n_places) {
    throw std::invalid_argument("weights has " + std::to_string(n_weights) +
                                " values for the neighbours' " + std::to_string(n_places) +
                                " places; give one weight (an area or a volume) for each place");
  }
  for (Eigen::Index i = 0; i < n_weights; ++i) {
    if (!std::isfinite(weights[i]) || weights[i] <= 0) {
      throw std::invalid_argument(
          "weights[" + std::to_string(i) + "] is " + in_digits(weights[i]) +
          "; every weight must be finite and above zero: leave out places that have no area or "
          "volume, or give no weights to count places");
    }
    total_ += weights[i];
    smallest_ = std::min(smallest_, weights[i]);
  }
  if (!std::isfinite(total_)) {
    throw std::invalid_argument(
        "the sum of weights is infinite; give them in a larger unit (mm2, mm3)");
  }
}

void PlaceWeights::check_power(double power) const {
  if (std::pow(smallest_, power) > 0) return;
  throw std::invalid_argument("weights has the value " + in_digits(smallest_) + ", whose power " +
                              in_digits(power) +
                              " of the extent is zero in double; give weights in a smaller unit");
}

}  // namespace groupglm
