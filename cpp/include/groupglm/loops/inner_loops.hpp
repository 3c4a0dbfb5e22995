// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of fits, permutations and smoothing as function pointers, so that loops compiled
// for a wider instruction set can replace the module's own.
#pragma once

#include <Eigen/Core>

#include "groupglm/loops/image_sums.hpp"
#include "groupglm/loops/projection.hpp"
#include "groupglm/loops/rotation.hpp"

namespace groupglm {

/// Plain data, because it crosses from one extension module to another. projection.hpp,
/// convolution.hpp, rotation.hpp and image_sums.hpp say what each function does.
struct InnerLoops {
  template <typename Scalar>
  using Project = void(const double* q, Eigen::Index n_prior, Eigen::Index n_columns,
                       const PanelSource<Scalar>& source, const double* shift, const Ahead& ahead,
                       double* y, double* w, double* total);

  const char* level;  // name of the instruction set
  Project<float>* project_float;
  Project<double>* project_double;
  void (*residual)(const double* q, Eigen::Index n_rows, Eigen::Index n_columns, const double* y,
                   const double* w, double* rss);
  void (*multiply)(const double* rows, Eigen::Index n_rows, Eigen::Index n, const double* y,
                   double* out);

  void (*convolve)(const double* at, Eigen::Index pitch, const double* half, Eigen::Index radius,
                   Eigen::Index width, double* out);

  template <typename Scalar>
  using Weigh = void(const WeighedRows<Scalar>& rows, double* sums, double* value, double* weight,
                     RowPresence* presence);
  Weigh<float>* weigh_float;
  Weigh<double>* weigh_double;
  void (*rotate)(const RotationRows& rows, double* slots, double* scratch);

  ImageLoops images;

  void weigh(const WeighedRows<float>& rows, double* sums, double* value, double* weight,
             RowPresence* presence) const {
    weigh_float(rows, sums, value, weight, presence);
  }
  void weigh(const WeighedRows<double>& rows, double* sums, double* value, double* weight,
             RowPresence* presence) const {
    weigh_double(rows, sums, value, weight, presence);
  }
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

/// The name of a Python capsule that holds a pointer to InnerLoops.
inline constexpr char kLoopsCapsule[] = "groupglm.inner_loops";

/// The loops compiled in the module of this function.
InnerLoops own_inner_loops();

/// The loops in use: the module's own, unless `use_inner_loops` has replaced them.
const InnerLoops& inner_loops();

/// Uses other loops from now on. Call it before any thread runs a loop.
void use_inner_loops(const InnerLoops& loops);

}  // namespace groupglm
