// SPDX-License-Identifier: BSD-3-Clause
#include "models/tau2_sums.hpp"

#include <cmath>

namespace groupglm {

namespace {

// A column of the basis of which, in the images present, the columns before it leave no more than
// this share of its square counts as dependent on them.
constexpr double kDependentShare = 1e-10;

}  // namespace

ImageBasis::ImageBasis(const Eigen::Ref<const RowMatrix>& q)
    : n_(q.rows()), r_(q.cols()), width_(r_ + n_products(r_)), rows_(at(n_ * width_)) {
  for (Index i = 0; i < n_; ++i) {
    double* const out = rows_.data() + i * width_;
    for (Index j = 0; j < r_; ++j) {
      out[j] = q(i, j);
      for (Index k = 0; k <= j; ++k) out[r_ + packed(j, k)] = q(i, j) * q(i, k);
    }
  }
}

RowMatrix ImageBasis::matrix() const {
  RowMatrix q(n_, r_);
  for (Index i = 0; i < n_; ++i) q.row(i) = Eigen::Map<const Eigen::RowVectorXd>(row(i), r_);
  return q;
}

void Tau2Sums::fit(const OctetImages& images, const Octet& t) {
  inner_loops().images.weigh(images, rows(), t.data(), weights(), scratch(), moments_.sums());
  factor_and_solve();
}

void Tau2Sums::factor_and_solve() {
  factor_symmetric(moments_.a.data(), basis_->r());
  solve_symmetric(moments_.a.data(), basis_->r(), moments_.b.data());
}

Octet Tau2Sums::centre(const OctetImages& images, const Octet& n_images, double* out) {
  const Index r = basis_->r();
  const ImageLoops& loops = inner_loops().images;
  const bool complete = (n_images == static_cast<double>(images.n)).all();
  loops.columns(rows(), 0, r, images.n, images.y, moments_.sums().b);
  if (!complete) {
    for (Index i = 0; i < images.n; ++i) {
      const Octet v = variances(images, i);
      for (int l = 0; l < kOctet; ++l) {
        weights_[at(i)][l] = v[l] < std::numeric_limits<double>::infinity() ? 1.0 : 0.0;
      }
    }
    loops.columns(rows(), r, n_products(r), images.n, weights(), moments_.sums().a);
  }
  // Exactly one where every image is present: a voxel's bits do not depend on its neighbours.
  for (int l = 0; l < kOctet; ++l) {
    if (n_images[l] < static_cast<double>(images.n)) continue;
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) moments_.a[at(packed(j, k))][l] = k == j ? 1.0 : 0.0;
    }
  }
  for (Index j = 0; j < r; ++j) moments_.d[at(j)] = moments_.a[at(packed(j, j))];
  if (!complete) factor_and_solve();
  Octet rss;
  loops.residuals(images, rows(), moments_.sums().b, complete ? nullptr : weights(), out,
                  rss.data());
  return rss;
}

// A column of the basis has norm one. Where the images that remain have no more than this of its
// square, it can be rounding alone, as in a column of a group whose images are all missing.
constexpr double kRoundingOnly = 1e-20;

bool Tau2Sums::is_deficient(int lane) const {
  for (Index j = 0; j < basis_->r(); ++j) {
    const double left = moments_.a[at(packed(j, j))][lane];
    const double whole = moments_.d[at(j)][lane];
    if (!(left > kDependentShare * whole) || !(whole > kRoundingOnly)) return true;
  }
  return false;
}

Octet Tau2Sums::variance_left(const OctetImages& images) {
  invert();
  const Index r = basis_->r();
  Octet sum = full(0.0);
  for (Index i = 0; i < images.n; ++i) {
    const double* const m = basis_->row(i) + r;
    Octet leverage = full(0.0);
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) {
        leverage += (k < j ? 2.0 : 1.0) * m[packed(j, k)] * moments_.inverse[at(j * r + k)];
      }
    }
    const Octet left = (1.0 - leverage) * variances(images, i);
    for (int l = 0; l < kOctet; ++l) {
      if (variances(images, i)[l] < std::numeric_limits<double>::infinity()) sum[l] += left[l];
    }
  }
  return sum;
}

void Tau2Sums::add_scatter(const OctetImages& images) {
  inner_loops().images.scatter(images, rows(), weights(), moments_.sums());
}

void Tau2Sums::add_moments(const OctetImages& images) {
  inner_loops().images.moments(images, rows(), weights(), true, scratch(), moments_.sums());
  invert();
}

void Tau2Sums::add_squares(const OctetImages& images) {
  inner_loops().images.moments(images, rows(), weights(), false, scratch(), moments_.sums());
  invert();
}

void Tau2Sums::invert() {
  const Index r = basis_->r();
  for (Index j = 0; j < r; ++j) {
    Octet* const column = moments_.inverse.data() + j * r;
    for (Index k = 0; k < r; ++k) column[k] = full(k == j ? 1.0 : 0.0);
    solve_symmetric(moments_.a.data(), r, column);
  }
}

// tr(A^-1 S) of a symmetric S.
Octet Tau2Sums::trace_with_inverse(const Octets& symmetric) const {
  const Index r = basis_->r();
  Octet sum = full(0.0);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < j; ++k) {
      sum += 2.0 * moments_.inverse[at(j * r + k)] * symmetric[at(packed(j, k))];
    }
    sum += moments_.inverse[at(j * r + j)] * symmetric[at(packed(j, j))];
  }
  return sum;
}

Octet Tau2Sums::trace_of_square() {
  const Index r = basis_->r();
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) {
      Octet sum = full(0.0);
      for (Index m = 0; m < r; ++m) {
        const Index entry = m >= k ? packed(m, k) : packed(k, m);
        sum += moments_.inverse[at(j * r + m)] * moments_.a2[at(entry)];
      }
      product_[at(j * r + k)] = sum;
    }
  }
  Octet sum = moments_.w2 - 2.0 * trace_with_inverse(moments_.a3);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) sum += product_[at(j * r + k)] * product_[at(k * r + j)];
  }
  return sum;
}

Octet Tau2Sums::scatter_cubed() {
  const Index r = basis_->r();
  Octet sum = moments_.s3;
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) {
      sum -= moments_.inverse[at(j * r + k)] * moments_.d[at(j)] * moments_.d[at(k)];
    }
  }
  return sum;
}

double Tau2Sums::log_determinant(Index lane) const {
  double sum = 0.0;
  for (Index j = 0; j < basis_->r(); ++j) sum += std::log(moments_.a[at(packed(j, j))][lane]);
  return sum;
}

// By powers of w times y rather than residuals: one loop, and one division an image. What cancels
// is small, because y is without its fit by least squares.
void Tau2Sums::scan(const OctetImages& images, const Octet& t, bool restricted, Octet& g,
                    Octet& f) {
  const Index r = basis_->r();
  if (r > kUnrolledRank) {
    fit(images, t);
    add_squares(images);
    g = moments_.s2;
  } else {
    inner_loops().images.scan(images, rows(), t.data(), moments_.sums());
    factor_and_solve();
    if (restricted) invert();
    g = moments_.s2;
    for (Index j = 0; j < r; ++j) {
      g -= 2.0 * moments_.b[at(j)] * moments_.d[at(j)];
      for (Index k = 0; k <= j; ++k) {
        const double twice = k < j ? 2.0 : 1.0;
        g += twice * moments_.b[at(j)] * moments_.b[at(k)] * moments_.a2[at(packed(j, k))];
      }
    }
  }
  f = restricted ? trace() : moments_.w1;
}

}  // namespace groupglm
