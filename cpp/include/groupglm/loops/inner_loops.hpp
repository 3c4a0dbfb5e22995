// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of fits, permutations and smoothing as function pointers, so that those compiled
// for a wider instruction set can take the place of a module's own.
#pragma once

#include <Eigen/Core>

#include "groupglm/loops/projection.hpp"

namespace groupglm {

/// Plain data: it crosses from one extension module to another. What each does is said where it is
/// declared, in projection.hpp and convolution.hpp.
struct InnerLoops {
  template <typename Scalar>
  using Project = void(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
                       const PanelSource<Scalar>& source, const double* shift, const Ahead& ahead,
                       double* y, double* w, double* total);

  const char* level;  // of the instruction set
  Project<float>* project_float;
  Project<double>* project_double;
  void (*residual)(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                   const double* w, double* rss);
  void (*multiply)(const double* rows, Eigen::Index n_rows, Eigen::Index n, const double* y,
                   double* out);

  void (*convolve)(const double* at, Eigen::Index pitch, const double* half, Eigen::Index radius,
                   Eigen::Index width, double* out);

  void project(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
               const PanelSource<float>& source, const double* shift, const Ahead& ahead, double* y,
               double* w, double* total) const {
    project_float(q, n_prior, n_columns, source, shift, ahead, y, w, total);
  }
  void project(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
               const PanelSource<double>& source, const double* shift, const Ahead& ahead,
               double* y, double* w, double* total) const {
    project_double(q, n_prior, n_columns, source, shift, ahead, y, w, total);
  }
};

/// What a Python capsule with a pointer to InnerLoops is called.
inline constexpr char kLoopsCapsule[] = "groupglm.inner_loops";

/// The loops that were compiled together with this function.
InnerLoops own_inner_loops();

/// The loops in use: the own ones, unless others were given.
const InnerLoops& inner_loops();

/// Uses other loops from now on; to be called before any thread runs them.
void use_inner_loops(const InnerLoops& loops);

}  // namespace groupglm
