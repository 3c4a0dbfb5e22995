// SPDX-License-Identifier: BSD-3-Clause
#include "models/tau2_sums.hpp"

#include <array>
#include <cmath>

namespace groupglm {

namespace {

// Bases of up to this many columns have loops of their own, whose sums stay in registers.
constexpr int kUnrolled = 3;

// A column of the basis of which, in the images present, the columns before it leave no more than
// this share of its square counts as dependent on them.
constexpr double kDependentShare = 1e-10;

constexpr int products(int r) { return r * (r + 1) / 2; }

template <int N>
GROUPGLM_INLINE void clear(Lane (&sums)[N]) {
  for (auto& sum : sums) sum.setZero();
}

template <int N>
GROUPGLM_INLINE void add(const double* factors, const Lane& value, Lane (&sums)[N]) {
  GROUPGLM_UNROLL
  for (int j = 0; j < N; ++j) sums[j] += factors[j] * value;
}

template <int N>
void some_column_sums(const ImageBasis& basis, Index first, const Lane* x, Lane* out) {
  Lane sum[N];
  clear(sum);
  for (Index i = 0; i < basis.n(); ++i) add(basis.row(i) + first, x[i], sum);
  std::copy_n(sum, N, out);
}

// out (n_columns) = for each column, from `first`, of the basis and its products the sum over the
// images of it times x (n).
void column_sums(const ImageBasis& basis, Index first, Index n_columns, const Lane* x, Lane* out) {
  Index j = 0;
  for (; j + 4 <= n_columns; j += 4) some_column_sums<4>(basis, first + j, x, out + j);
  for (; j + 2 <= n_columns; j += 2) some_column_sums<2>(basis, first + j, x, out + j);
  for (; j < n_columns; ++j) some_column_sums<1>(basis, first + j, x, out + j);
}

// Calls function(std::integral_constant<int, R>), R = 0 for a basis of more than kUnrolled columns.
template <typename Function>
void with_rank(Index r, const Function& function) {
  switch (r) {
    case 1:
      return function(std::integral_constant<int, 1>());
    case 2:
      return function(std::integral_constant<int, 2>());
    case kUnrolled:
      return function(std::integral_constant<int, kUnrolled>());
    default:
      return function(std::integral_constant<int, 0>());
  }
}

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

template <int R>
void Tau2Sums::weigh(const LaneImages& images, const Lane& t) {
  Moments& m = moments_;
  if constexpr (R == 0) {
    for (Index i = 0; i < images.n; ++i) weights_[at(i)] = (images.variances(i) + t).inverse();
    column_sums(basis_, basis_.r(), n_products(basis_.r()), weights_.data(), m.a.data());
    for (Index i = 0; i < images.n; ++i) residuals_[at(i)] = weights_[at(i)] * images.effects(i);
    column_sums(basis_, 0, basis_.r(), residuals_.data(), m.b.data());
  } else {
    Lane a[products(R)];
    Lane b[R];
    clear(a);
    clear(b);
    for (Index i = 0; i < images.n; ++i) {
      const double* const q = basis_.row(i);
      const Lane w = full(1.0) / (images.variances(i) + t);
      weights_[at(i)] = w;
      add(q, w * images.effects(i), b);
      add(q + R, w, a);
    }
    std::copy_n(a, products(R), m.a.begin());
    std::copy_n(b, R, m.b.begin());
  }
}

void Tau2Sums::fit(const LaneImages& images, const Lane& t) {
  with_rank(basis_.r(), [&](auto rank) { weigh<rank.value>(images, t); });
  factor_and_solve();
}

void Tau2Sums::factor_and_solve() {
  factor_lanes(moments_.a.data(), basis_.r());
  solve_lanes(moments_.a.data(), basis_.r(), moments_.b.data());
}

Lane Tau2Sums::centre(const LaneImages& images, const Lane& n_images, double* out) {
  const Index r = basis_.r();
  const bool complete = (n_images == static_cast<double>(images.n)).all();
  for (Index i = 0; i < images.n; ++i) residuals_[at(i)] = images.effects(i);
  column_sums(basis_, 0, r, residuals_.data(), moments_.b.data());
  if (!complete) {
    for (Index i = 0; i < images.n; ++i) {
      const Lane v = images.variances(i);
      for (int l = 0; l < kLane; ++l) {
        weights_[at(i)][l] = v[l] < std::numeric_limits<double>::infinity() ? 1.0 : 0.0;
      }
    }
    column_sums(basis_, r, n_products(r), weights_.data(), moments_.a.data());
  }
  // Exactly one where every image is present: a voxel's bits do not depend on its neighbours.
  for (int l = 0; l < kLane; ++l) {
    if (n_images[l] < static_cast<double>(images.n)) continue;
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) moments_.a[at(packed(j, k))][l] = k == j ? 1.0 : 0.0;
    }
  }
  for (Index j = 0; j < r; ++j) moments_.d[at(j)] = moments_.a[at(packed(j, j))];
  if (!complete) factor_and_solve();
  Lane rss = full(0.0);
  for (Index i = 0; i < images.n; ++i) {
    const double* const q = basis_.row(i);
    Lane e = images.effects(i);
    for (Index j = 0; j < r; ++j) e -= q[j] * moments_.b[at(j)];
    if (!complete) e *= weights_[at(i)];
    LaneOut(out + i * kLane) = e;
    rss += e * e;
  }
  return rss;
}

// A column of the basis has norm one. Where the images that remain have no more than this of its
// square, it can be rounding alone, as in a column of a group whose images are all missing.
constexpr double kRoundingOnly = 1e-20;

bool Tau2Sums::is_deficient(int lane) const {
  for (Index j = 0; j < basis_.r(); ++j) {
    const double left = moments_.a[at(packed(j, j))][lane];
    const double whole = moments_.d[at(j)][lane];
    if (!(left > kDependentShare * whole) || !(whole > kRoundingOnly)) return true;
  }
  return false;
}

Lane Tau2Sums::variance_left(const LaneImages& images) {
  invert();
  const Index r = basis_.r();
  Lane sum = full(0.0);
  for (Index i = 0; i < images.n; ++i) {
    const double* const m = basis_.row(i) + r;
    Lane leverage = full(0.0);
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) {
        leverage += (k < j ? 2.0 : 1.0) * m[packed(j, k)] * moments_.inverse[at(j * r + k)];
      }
    }
    const Lane left = (1.0 - leverage) * images.variances(i);
    for (int l = 0; l < kLane; ++l) {
      if (images.variances(i)[l] < std::numeric_limits<double>::infinity()) sum[l] += left[l];
    }
  }
  return sum;
}

void Tau2Sums::add_scatter(const LaneImages& images) {
  Lane s1 = full(0.0);
  for (Index i = 0; i < images.n; ++i) {
    const double* const q = basis_.row(i);
    Lane e = images.effects(i);
    for (Index j = 0; j < basis_.r(); ++j) e -= q[j] * moments_.b[at(j)];
    s1 += weights_[at(i)] * e * e;
  }
  moments_.s1 = s1;
}

template <int R, bool Cubes>
void Tau2Sums::sum_moments(const LaneImages& images) {
  Moments& m = moments_;
  m.s1 = m.s2 = m.s3 = m.w1 = m.w2 = full(0.0);
  if constexpr (R == 0) {
    const Index r = basis_.r();
    for (Index i = 0; i < images.n; ++i) {
      const double* const q = basis_.row(i);
      Lane e = images.effects(i);
      for (Index j = 0; j < r; ++j) e -= q[j] * m.b[at(j)];
      const Lane w = weights_[at(i)];
      const Lane we = w * e;
      const Lane squares = we * we;
      m.s1 += we * e;
      m.s2 += squares;
      m.s3 += w * squares;
      m.w1 += w;
      m.w2 += w * w;
      residuals_[at(i)] = w * we;
    }
    if (Cubes) column_sums(basis_, 0, r, residuals_.data(), m.d.data());
    for (Index i = 0; i < images.n; ++i) residuals_[at(i)] = weights_[at(i)] * weights_[at(i)];
    column_sums(basis_, r, n_products(r), residuals_.data(), m.a2.data());
    if (!Cubes) return;
    for (Index i = 0; i < images.n; ++i) residuals_[at(i)] *= weights_[at(i)];
    column_sums(basis_, r, n_products(r), residuals_.data(), m.a3.data());
  } else {
    Lane a2[products(R)];
    Lane a3[products(R)];
    Lane d[R];
    Lane b[R];
    clear(a2);
    clear(a3);
    clear(d);
    std::copy_n(m.b.begin(), R, b);
    Lane s1 = full(0.0);
    Lane s2 = full(0.0);
    Lane w1 = full(0.0);
    Lane s3w2[2];
    clear(s3w2);
    for (Index i = 0; i < images.n; ++i) {
      const double* const q = basis_.row(i);
      Lane e = images.effects(i);
      GROUPGLM_UNROLL
      for (int j = 0; j < R; ++j) e -= q[j] * b[j];
      const Lane w = weights_[at(i)];
      const Lane square = w * w;
      const Lane we = w * e;
      const Lane we2 = we * we;
      s1 += we * e;
      s2 += we2;
      w1 += w;
      add(q + R, square, a2);
      if constexpr (Cubes) {
        s3w2[0] += w * we2;
        s3w2[1] += square;
        add(q, w * we, d);
        add(q + R, w * square, a3);
      }
    }
    std::copy_n(a2, products(R), m.a2.begin());
    std::copy_n(a3, products(R), m.a3.begin());
    std::copy_n(d, R, m.d.begin());
    m.s1 = s1;
    m.s2 = s2;
    m.s3 = s3w2[0];
    m.w1 = w1;
    m.w2 = s3w2[1];
  }
}

void Tau2Sums::add_moments(const LaneImages& images) {
  with_rank(basis_.r(), [&](auto rank) { sum_moments<rank.value, true>(images); });
  invert();
}

void Tau2Sums::add_squares(const LaneImages& images) {
  with_rank(basis_.r(), [&](auto rank) { sum_moments<rank.value, false>(images); });
  invert();
}

void Tau2Sums::invert() {
  const Index r = basis_.r();
  for (Index j = 0; j < r; ++j) {
    Lane* const column = moments_.inverse.data() + j * r;
    for (Index k = 0; k < r; ++k) column[k] = full(k == j ? 1.0 : 0.0);
    solve_lanes(moments_.a.data(), r, column);
  }
}

// tr(A^-1 S) of a symmetric S.
Lane Tau2Sums::trace_with_inverse(const Lanes& symmetric) const {
  const Index r = basis_.r();
  Lane sum = full(0.0);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < j; ++k) {
      sum += 2.0 * moments_.inverse[at(j * r + k)] * symmetric[at(packed(j, k))];
    }
    sum += moments_.inverse[at(j * r + j)] * symmetric[at(packed(j, j))];
  }
  return sum;
}

Lane Tau2Sums::trace_of_square() {
  const Index r = basis_.r();
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) {
      Lane sum = full(0.0);
      for (Index m = 0; m < r; ++m) {
        const Index entry = m >= k ? packed(m, k) : packed(k, m);
        sum += moments_.inverse[at(j * r + m)] * moments_.a2[at(entry)];
      }
      product_[at(j * r + k)] = sum;
    }
  }
  Lane sum = moments_.w2 - 2.0 * trace_with_inverse(moments_.a3);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) sum += product_[at(j * r + k)] * product_[at(k * r + j)];
  }
  return sum;
}

Lane Tau2Sums::scatter_cubed() {
  const Index r = basis_.r();
  Lane sum = moments_.s3;
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < r; ++k) {
      sum -= moments_.inverse[at(j * r + k)] * moments_.d[at(j)] * moments_.d[at(k)];
    }
  }
  return sum;
}

double Tau2Sums::log_determinant(Index lane) const {
  double sum = 0.0;
  for (Index j = 0; j < basis_.r(); ++j) sum += std::log(moments_.a[at(packed(j, j))][lane]);
  return sum;
}

// With powers of w times y rather than residuals: one loop, and one division an image. What cancels
// is small, because y is without its fit by least squares.
template <int R>
void Tau2Sums::sum_scan(const LaneImages& images, const Lane& t) {
  Moments& m = moments_;
  Lane a[products(R)];
  Lane a2[products(R)];
  Lane b[R];
  Lane d[R];
  clear(a);
  clear(a2);
  clear(b);
  clear(d);
  Lane w1 = full(0.0);
  Lane s2 = full(0.0);
  for (Index i = 0; i < images.n; ++i) {
    const double* const q = basis_.row(i);
    const Lane w = full(1.0) / (images.variances(i) + t);
    const Lane wy = w * images.effects(i);
    w1 += w;
    s2 += wy * wy;
    add(q, wy, b);
    add(q, w * wy, d);
    add(q + R, w, a);
    add(q + R, w * w, a2);
  }
  std::copy_n(a, products(R), m.a.begin());
  std::copy_n(a2, products(R), m.a2.begin());
  std::copy_n(b, R, m.b.begin());
  std::copy_n(d, R, m.d.begin());
  m.w1 = w1;
  m.s2 = s2;
}

void Tau2Sums::scan(const LaneImages& images, const Lane& t, bool restricted, Lane& g, Lane& f) {
  const Index r = basis_.r();
  if (r > kUnrolled) {
    fit(images, t);
    add_squares(images);
    g = moments_.s2;
  } else {
    with_rank(r, [&](auto rank) {
      if constexpr (rank.value > 0) sum_scan<rank.value>(images, t);
    });
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
