// SPDX-License-Identifier: BSD-3-Clause
// Sums over the images of eight neighbouring voxels, from which every estimator of tau2 follows.
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

#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/models/heterogeneity.hpp"
#include "models/small_symmetric.hpp"

namespace groupglm {

// Numbers of eight neighbouring voxels, which are estimated together. Each of them is a lane.
using Octet = Eigen::Array<double, static_cast<int>(kOctet), 1>;
using OctetMap = Eigen::Map<const Octet>;
using OctetOut = Eigen::Map<Octet>;
using Octets = std::vector<Octet>;

inline double* start(Octets& octets) { return octets.empty() ? nullptr : octets.data()->data(); }

inline Octet full(double value) { return Octet::Constant(value); }

// The numbers of one image. A missing one has y = 0 and v = infinity.
inline Octet effects(const OctetImages& images, Index i) { return OctetMap(images.y + i * kOctet); }
inline Octet variances(const OctetImages& images, Index i) {
  return OctetMap(images.v + i * kOctet);
}

// The numbers of an octet at one tau2 a voxel. Which of them are set, each function says.
struct Moments {
  void resize(Index r) {
    for (Octets* each : {&a, &a2, &a3}) each->resize(at(n_products(r)));
    for (Octets* each : {&b, &d}) each->resize(at(r));
    inverse.resize(at(r * r));
  }

  Octets a, a2, a3;  // a: as the factor L D L'
  Octets inverse;    // A^-1, (r, r)
  Octets b, d;
  Octet s1, s2, s3;  // sum(w e^2), sum(w^2 e^2), sum(w^3 e^2)
  Octet w1, w2;      // sum(w), sum(w^2)

  ImageSums sums() {
    return {start(a),  start(a2), start(a3), start(b),  start(d),
            s1.data(), s2.data(), s3.data(), w1.data(), w2.data()};
  }
};

// The sums, over the images of one voxel a lane.
class Tau2Sums {
 public:
  explicit Tau2Sums(const ImageBasis& basis) { use(basis); }

  // Goes on with another basis, which must outlive what is done with it.
  void use(const ImageBasis& basis) {
    basis_ = &basis;
    weights_.resize(at(basis.n()));
    scratch_.resize(at(basis.n()));
    moments_.resize(basis.r());
    product_.resize(at(basis.r() * basis.r()));
  }

  const ImageBasis& basis() const { return *basis_; }

  // Sets a, b at tau2 = t.
  void fit(const OctetImages& images, const Octet& t);
  // After `fit`: s1.
  void add_scatter(const OctetImages& images);
  // After `fit`: a2, a3, d, all s and w, and A^-1.
  void add_moments(const OctetImages& images);
  // The same without what has cubes of w: a3, d, s3 and w2.
  void add_squares(const OctetImages& images);
  // y'P^2 y and tr P (or, unless restricted, sum(w)) at t, by one loop: for their sign in a scan.
  void scan(const OctetImages& images, const Octet& t, bool restricted, Octet& g, Octet& f);
  // With w = 1 for each image present: y less its fit by least squares, into out (n, kOctet), and
  // its sum of squares; b and a are those of that fit.
  Octet centre(const OctetImages& images, const Octet& n_images, double* out);
  // After `centre`: whether a lane's images cannot tell the columns of the basis apart.
  bool is_deficient(int lane) const;
  // After `centre`: the sum of (1 - h) v, with h the leverages.
  Octet variance_left(const OctetImages& images);

  const Moments& moments() const { return moments_; }
  Octet trace() const { return moments_.w1 - trace_with_inverse(moments_.a2); }
  Octet trace_of_square();
  Octet scatter_cubed();
  // log det A.
  double log_determinant(Index lane) const;

 private:
  Octet trace_with_inverse(const Octets& symmetric) const;
  void factor_and_solve();
  void invert();
  BasisRows rows() const { return {basis_->row(0), basis_->r()}; }
  double* weights() { return start(weights_); }
  double* scratch() { return start(scratch_); }

  const ImageBasis* basis_ = nullptr;
  Octets weights_;  // (n)
  Octets scratch_;  // (n)
  Moments moments_;
  Octets product_;
};

}  // namespace groupglm
