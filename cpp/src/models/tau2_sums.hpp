// SPDX-License-Identifier: BSD-3-Clause
// Sums over the images of a few neighbouring voxels, from which every estimator of tau2 follows.
//
// A voxel has the effects y and the variances v of n images, and a basis Q (n, r) of the design
// that all voxels share. With w = 1 / (v + tau2) and W = diag(w), which a missing image has as 0:
//
//   A = Q'WQ,  b = A^-1 Q'Wy,  e = y - Qb,  Py = We,  P = W - WQ A^-1 Q'W
//   y'Py = sum(w e^2)        y'P^2 y = sum(w^2 e^2)      y'P^3 y = sum(w^3 e^2) - d'A^-1 d
//   tr P = sum(w) - tr(A^-1 A2)                          tr P^2 = sum(w^2) - 2 tr(A^-1 A3)
//                                                                 + tr(A^-1 A2 A^-1 A2)
//
// with A2 = Q'W^2 Q, A3 = Q'W^3 Q, d = Q'W^2 e. Each sum is over n images and costs a multiply-add
// for each of r (r + 1) / 2 products of columns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "groupglm/models/heterogeneity.hpp"
#include "loops/lanes.hpp"

namespace groupglm {

using Lanes = std::vector<Lane>;

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

inline Index n_products(Index r) { return r * (r + 1) / 2; }

// Where the entry (j, k), k <= j, of a symmetric matrix is, its lower triangle row by row.
inline Index packed(Index j, Index k) { return j * (j + 1) / 2 + k; }

inline Lane full(double value) { return Lane::Constant(value); }

// The images of kLane voxels: (n, kLane) each. A missing image has y = 0 and v = infinity.
struct LaneImages {
  Index n = 0;
  const double* y = nullptr;
  const double* v = nullptr;

  Lane effects(Index i) const { return LaneMap(y + i * kLane); }
  Lane variances(Index i) const { return LaneMap(v + i * kLane); }
};

// L D L' = a, in place: the factor below the diagonal, D on it. A pivot is never below rounding.
inline void factor_lanes(Lane* a, Index r) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  for (Index j = 0; j < r; ++j) {
    const Lane whole = a[packed(j, j)];
    Lane pivot = whole;
    for (Index k = 0; k < j; ++k) {
      Lane sum = a[packed(j, k)];
      for (Index m = 0; m < k; ++m) sum -= a[packed(j, m)] * a[packed(k, m)];
      a[packed(j, k)] = sum;  // times D(k), until the row is done
    }
    for (Index k = 0; k < j; ++k) {
      const Lane product = a[packed(j, k)];
      a[packed(j, k)] = product / a[packed(k, k)];
      pivot -= product * a[packed(j, k)];
    }
    a[packed(j, j)] = pivot.max(kEps * whole);
  }
}

// x = (L D L')^-1 x.
inline void solve_lanes(const Lane* factor, Index r, Lane* x) {
  for (Index j = 1; j < r; ++j) {
    for (Index k = 0; k < j; ++k) x[j] -= factor[packed(j, k)] * x[k];
  }
  for (Index j = 0; j < r; ++j) x[j] /= factor[packed(j, j)];
  for (Index j = r - 1; j >= 0; --j) {
    for (Index k = j + 1; k < r; ++k) x[j] -= factor[packed(k, j)] * x[k];
  }
}

// The numbers of kLane voxels at one tau2 a voxel. Which of them are set, each function says.
struct Moments {
  explicit Moments(Index r)
      : a(at(n_products(r))), a2(a.size()), a3(a.size()), inverse(at(r * r)), b(at(r)), d(at(r)) {}

  Lanes a, a2, a3;  // a: as the factor L D L'
  Lanes inverse;    // A^-1, (r, r)
  Lanes b, d;
  Lane s1, s2, s3;  // sum(w e^2), sum(w^2 e^2), sum(w^3 e^2)
  Lane w1, w2;      // sum(w), sum(w^2)
};

// The sums, over the images of one voxel a lane.
class Tau2Sums {
 public:
  explicit Tau2Sums(const ImageBasis& basis)
      : basis_(basis),
        weights_(at(basis.n())),
        residuals_(at(basis.n())),
        moments_(basis.r()),
        product_(at(basis.r() * basis.r())) {}

  const ImageBasis& basis() const { return basis_; }

  // Sets a, b at tau2 = t.
  void fit(const LaneImages& images, const Lane& t);
  // After `fit`: s1.
  void add_scatter(const LaneImages& images);
  // After `fit`: a2, a3, d, all s and w, and A^-1.
  void add_moments(const LaneImages& images);
  // The same without what has cubes of w: a3, d, s3 and w2.
  void add_squares(const LaneImages& images);
  // y'P^2 y and tr P (or, unless restricted, sum(w)) at t, by one loop: for their sign in a scan.
  void scan(const LaneImages& images, const Lane& t, bool restricted, Lane& g, Lane& f);
  // With w = 1 for each image present: y less its fit by least squares, into out (n, kLane), and
  // its sum of squares; b and a are those of that fit.
  Lane centre(const LaneImages& images, const Lane& n_images, double* out);
  // After `centre`: whether a lane's images cannot tell the columns of the basis apart.
  bool is_deficient(int lane) const;
  // After `centre`: the sum of (1 - h) v, with h the leverages.
  Lane variance_left(const LaneImages& images);

  const Moments& moments() const { return moments_; }
  Lane trace() const { return moments_.w1 - trace_with_inverse(moments_.a2); }
  Lane trace_of_square();
  Lane scatter_cubed();
  // log det A.
  double log_determinant(Index lane) const;

 private:
  Lane trace_with_inverse(const Lanes& symmetric) const;
  void factor_and_solve();
  void invert();
  template <int R>
  void weigh(const LaneImages& images, const Lane& t);
  template <int R, bool Cubes>
  void sum_moments(const LaneImages& images);
  template <int R>
  void sum_scan(const LaneImages& images, const Lane& t);

  const ImageBasis& basis_;
  Lanes weights_;    // (n)
  Lanes residuals_;  // (n)
  Moments moments_;
  Lanes product_;
};

}  // namespace groupglm
