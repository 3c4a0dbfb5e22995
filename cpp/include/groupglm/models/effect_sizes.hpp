// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Eigen/Core>

// Intervals of effect sizes, and Bayes factors, at many places: from statistics and their degrees
// of freedom, whatever the model. `special/noncentral.hpp` has the formulas, and
// `special/smooth_values.hpp` says how many values are computed fast.
//
// Where the degrees of freedom are not above zero, or a statistic is not finite, results are NaN.
namespace groupglm {

// Numbers of places: an array, or one for all if it is nullptr.
struct PlaceNumbers {
  const double* by_place = nullptr;
  double common = 0.0;

  double at(Eigen::Index i) const { return by_place == nullptr ? common : by_place[i]; }
};

// The noncentralities of t between which `confidence` lies, with equal tails. Memory: 28 bytes a
// place besides arguments and results.
void t_noncentralities(const double* t, Eigen::Index n, const PlaceNumbers& df, double confidence,
                       double* low, double* high, int n_threads);

// The same for F with `rank` degrees of freedom in the numerator.
void f_noncentralities(const double* f, Eigen::Index n, double rank, const PlaceNumbers& df,
                       double confidence, double* low, double* high, int n_threads);

// P(T <= t) of noncentral t distributions, one by one.
void noncentral_t_probabilities(const double* t, const double* noncentrality, Eigen::Index n,
                                const PlaceNumbers& df, double* out, int n_threads);

// The natural logarithms of Bayes factors for F; t has a rank of 1, and its square is F.
void log_bayes_factors(const double* f, Eigen::Index n, double rank, const PlaceNumbers& df,
                       const PlaceNumbers& scale, double* out, int n_threads);

}  // namespace groupglm
