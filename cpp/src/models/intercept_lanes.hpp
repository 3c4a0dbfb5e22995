// SPDX-License-Identifier: BSD-3-Clause
// The state of subjects' images, voxel by voxel in the lanes of registers, in an orthonormal basis
// of the design (see models/random_intercept.hpp).
#pragma once

#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "groupglm/models/ols_fit.hpp"
#include "groupglm/models/repeated_state.hpp"
#include "loops/lanes.hpp"
#include "models/small_symmetric.hpp"

namespace groupglm {

using Lanes = std::vector<Lane>;

inline Lane in_lanes(double value) { return Lane::Constant(value); }

template <typename T>
T constant(double value);
template <>
inline double constant<double>(double value) {
  return value;
}
template <>
inline Lane constant<Lane>(double value) {
  return in_lanes(value);
}

/// The design in the rows that a voxel has.
struct VoxelShape {
  Factor factor;  // of all its rows together
  Index n_images = 0;
  MatrixXd basis;           // (p, r): the basis over the factor's scaled columns
  std::vector<MatrixXd> u;  // (q, r) a state: its rows of the orthonormal basis
  std::vector<double> n;    // rows of each state
  double log_det = 0.0;     // log det X'X; 0 if columns depend on each other
  bool is_identified = false;

  Index rank() const { return factor.rank; }
};

/// The state's factors: R of each of the states, `within` first.
struct VoxelFactors {
  std::vector<MatrixXd> r;
  std::vector<double> n;
  bool operator==(const VoxelFactors& other) const { return n == other.n && r == other.r; }
};

VoxelShape make_shape(const VoxelFactors& factors, const std::vector<double>& sizes,
                      const Design& design);

/// All states, `within` first with a size of 0.
struct StateList {
  explicit StateList(const RepeatedState& state);
  std::vector<const OlsState*> states;
  std::vector<double> sizes;
  bool has_scales = false;  // whether any state has

  Index n_voxels() const { return states.front()->n_voxels(); }
  VoxelFactors shared() const;
  VoxelFactors of_voxel(Index voxel) const;
  bool is_complete(Index voxel) const;
  int exponent_of(Index voxel) const;
};

/// Shapes of the voxels of a register. T: double if all share it, else Lane.
template <typename T>
struct LaneShape {
  Index r = 0;
  std::vector<double> sizes;  // of the states with rows, `within` first
  std::vector<Index> states;  // their numbers in the list
  std::vector<T> u;           // (states, q, r)
  std::vector<T> a;           // (states, packed r): X_k'X_k
  std::vector<T> n;           // (states): rows
  T df = constant<T>(0.0);    // n - p

  Index n_states() const { return static_cast<Index>(sizes.size()); }
};

/// What the voxels of a register have besides.
struct LaneGroup {
  Index count = 0;  // lanes beyond it repeat the first
  std::array<Index, kLane> voxel{};
  std::array<int, kLane> exponent{};
  std::array<const VoxelShape*, kLane> shape{};
};

/// The residuals of ordinary least squares: t_k = X_k'y_k, s_k = |y_k|^2.
struct LaneData {
  Lanes left;   // (states, q): w less its fit
  Lanes rss;    // (states)
  Lanes t;      // (states, r)
  Lanes s;      // (states)
  Lanes start;  // (r): ordinary least squares in the basis
  Lane total;   // |y|^2 of the data as they are
};

/// What depends on the ratio and on the shape alone.
template <typename T>
struct ShapeAt {
  std::vector<T> d;        // (states): 1 / (1 + m ratio)
  std::vector<T> md2;      // (states): m d^2
  std::vector<T> factor;   // (packed r): A = L D L'
  std::vector<T> inverse;  // (r, r): A^-1
  std::vector<T> m;        // (packed r): M
  T slope;                 // a = tr(PK)
};

/// What depends on the data too: b, Q and q2.
struct ValueAt {
  Lanes b;
  Lanes g;
  Lanes t2;  // sum m d^2 t_k
  Lane q;
  Lane q2;
};

template <typename T, typename S>
void set_shape_at(const LaneShape<S>& shape, const T& ratio, ShapeAt<T>& out) {
  const Index r = shape.r;
  const Index n_states = shape.n_states();
  out.d.resize(at(n_states));
  out.md2.resize(at(n_states));
  out.factor.assign(at(n_products(r)), constant<T>(0.0));
  out.m.assign(at(n_products(r)), constant<T>(0.0));
  out.inverse.resize(at(r * r));
  out.slope = constant<T>(0.0);
  for (Index k = 0; k < n_states; ++k) {
    const double size = shape.sizes[at(k)];
    const T d = 1.0 / (1.0 + size * ratio);
    out.d[at(k)] = d;
    out.md2[at(k)] = size * d * d;
    out.slope += size * shape.n[at(k)] * d;
    const S* const a = shape.a.data() + k * n_products(r);
    for (Index j = 0; j < n_products(r); ++j) out.factor[at(j)] += d * a[j];
    if (size == 0.0) continue;
    for (Index j = 0; j < n_products(r); ++j) out.m[at(j)] += out.md2[at(k)] * a[j];
  }
  factor_symmetric(out.factor.data(), r);
  for (Index j = 0; j < r; ++j) {
    T* const column = out.inverse.data() + j * r;
    for (Index k = 0; k < r; ++k) column[k] = constant<T>(k == j ? 1.0 : 0.0);
    solve_symmetric(out.factor.data(), r, column);
  }
  for (Index j = 0; j < r; ++j) {
    out.slope -= out.inverse[at(j * r + j)] * out.m[at(packed(j, j))];
    for (Index k = 0; k < j; ++k) {
      out.slope -= 2.0 * out.inverse[at(j * r + k)] * out.m[at(packed(j, k))];
    }
  }
}

template <typename T>
void set_value_at(const LaneData& data, const ShapeAt<T>& shape, Index r, ValueAt& out) {
  const auto n_states = static_cast<Index>(shape.d.size());
  out.b.resize(at(r));
  out.g.resize(at(r));
  out.t2.resize(at(r));
  for (Index j = 0; j < r; ++j) {
    Lane g = shape.d[0] * data.t[at(j)];
    Lane t2 = in_lanes(0.0);
    for (Index k = 1; k < n_states; ++k) {
      const Lane& t = data.t[at(k * r + j)];
      g += shape.d[at(k)] * t;
      t2 += shape.md2[at(k)] * t;
    }
    out.g[at(j)] = g;
    out.t2[at(j)] = t2;
  }
  out.q = shape.d[0] * data.s[0];
  out.q2 = in_lanes(0.0);
  for (Index k = 1; k < n_states; ++k) {
    out.q += shape.d[at(k)] * data.s[at(k)];
    out.q2 += shape.md2[at(k)] * data.s[at(k)];
  }
  for (Index j = 0; j < r; ++j) {
    Lane b = shape.inverse[at(j * r)] * out.g[0];
    for (Index k = 1; k < r; ++k) b += shape.inverse[at(j * r + k)] * out.g[at(k)];
    out.b[at(j)] = b;
    out.q -= b * out.g[at(j)];
  }
  // q2 = sum m d^2 s_k - 2 b't2 + b'M b.
  for (Index j = 0; j < r; ++j) {
    Lane row = 0.5 * shape.m[at(packed(j, j))] * out.b[at(j)] - out.t2[at(j)];
    for (Index k = 0; k < j; ++k) row += shape.m[at(packed(j, k))] * out.b[at(k)];
    out.q2 += 2.0 * out.b[at(j)] * row;
  }
  out.q2 = out.q2.max(0.0);
}

/// Sets t and s from what is left of the data.
template <typename S>
void square_up(const LaneShape<S>& shape, LaneData& data) {
  const Index r = shape.r;
  data.t.assign(at(shape.n_states() * r), in_lanes(0.0));
  data.s.assign(data.rss.begin(), data.rss.end());
  const Index q = static_cast<Index>(data.left.size()) / shape.n_states();
  for (Index k = 0; k < shape.n_states(); ++k) {
    for (Index i = 0; i < q; ++i) {
      const S* const u = shape.u.data() + (k * q + i) * r;
      const Lane left = data.left[at(k * q + i)];
      data.s[at(k)] += left * left;
      for (Index j = 0; j < r; ++j) data.t[at(k * r + j)] += u[j] * left;
    }
  }
}

/// Takes X b off what is left of the data.
template <typename S>
void take_off(const LaneShape<S>& shape, const Lanes& b, LaneData& data) {
  const Index r = shape.r;
  for (std::size_t i = 0; i < data.left.size(); ++i) {
    const S* const u = shape.u.data() + static_cast<Index>(i) * r;
    for (Index j = 0; j < r; ++j) data.left[i] -= u[j] * b[at(j)];
  }
  for (Index j = 0; j < r; ++j) data.start[at(j)] += b[at(j)];
  square_up(shape, data);
}

/// Takes ordinary least squares off the data: data.left (states, q) and data.rss (states) are those
/// of the states.
template <typename S>
void centre(const LaneShape<S>& shape, LaneData& data) {
  const Index r = shape.r;
  data.total = in_lanes(0.0);
  for (const Lane& rss : data.rss) data.total += rss;
  Lanes b(at(r), in_lanes(0.0));
  for (std::size_t i = 0; i < data.left.size(); ++i) {
    const S* const u = shape.u.data() + static_cast<Index>(i) * r;
    data.total += data.left[i] * data.left[i];
    for (Index j = 0; j < r; ++j) b[at(j)] += u[j] * data.left[i];
  }
  data.start.assign(at(r), in_lanes(0.0));
  take_off(shape, b, data);
}

/// Ratios above this cost digits of Q, one for each factor of ten, unless the fit there is taken
/// off the data.
inline constexpr double kFar = 1e3;

/// Sets everything at the voxels' ratios. Data of far ratios are taken about the fit there.
template <typename S>
void settle(const LaneShape<S>& shape, const Lane& ratio, LaneData& data, ShapeAt<Lane>& own,
            ValueAt& value) {
  set_shape_at(shape, ratio, own);
  set_value_at(data, own, shape.r, value);
  if (!(ratio > kFar).any()) return;
  for (Lane& b : value.b) b = (ratio > kFar).select(b, 0.0);
  take_off(shape, value.b, data);
  set_value_at(data, own, shape.r, value);
}

LaneShape<double> shared_lanes(const VoxelShape& shape, const std::vector<double>& sizes);
LaneShape<Lane> own_lanes(const LaneGroup& group, const std::vector<double>& sizes);

/// The shape of voxels without missing values.
struct SharedShape {
  VoxelShape shape;
  LaneShape<double> lanes;  // empty unless it is identified
};
SharedShape shared_shape(const StateList& list, const Design& design);

/// Calls body(shape, data, group) for registers of voxels, and none(voxel, shape) for each voxel
/// whose rows cannot tell the variances apart. Whichever voxels share a register, each lane must be
/// treated by itself. `make` makes a body, one for each of the tasks that run at the same time.
template <typename Make, typename None>
void visit_lanes(const StateList& list, const Design& design, const SharedShape& shared,
                 const Make& make, const None& none, int n_threads);

}  // namespace groupglm

#include "models/intercept_visit.hpp"
