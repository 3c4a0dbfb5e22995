// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/image_sums.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "loops/lanes.hpp"
#include "loops/panel_rows.hpp"
#include "special/lane_functions.hpp"

namespace groupglm {

namespace {

using detail::lane_select;
using Eigen::Index;

constexpr double kInf = std::numeric_limits<double>::infinity();

static_assert(kOctet % kLane == 0 && kPanel % kOctet == 0);

constexpr int products(int r) { return r * (r + 1) / 2; }

GROUPGLM_INLINE Lane load(const double* from, Index i) { return LaneMap(from + i * kOctet); }

GROUPGLM_INLINE void store(const Lane& value, double* to, Index i) {
  LaneOut(to + i * kOctet) = value;
}

template <int N>
GROUPGLM_INLINE void clear(Lane (&sums)[N]) {
  for (auto& sum : sums) sum.setZero();
}

template <int N>
GROUPGLM_INLINE void store_all(const Lane (&sums)[N], double* to) {
  for (int j = 0; j < N; ++j) store(sums[j], to, j);
}

template <int N>
GROUPGLM_INLINE void add(const double* factors, const Lane& value, Lane (&sums)[N]) {
  GROUPGLM_UNROLL
  for (int j = 0; j < N; ++j) sums[j] += factors[j] * value;
}

// Calls function(std::integral_constant<int, R>), R = 0 for a basis of more than kUnrolledRank
// columns.
template <typename Function>
void with_rank(Index r, const Function& function) {
  static_assert(kUnrolledRank == 3);
  switch (r) {
    case 1:
      return function(std::integral_constant<int, 1>());
    case 2:
      return function(std::integral_constant<int, 2>());
    case 3:
      return function(std::integral_constant<int, 3>());
    default:
      return function(std::integral_constant<int, 0>());
  }
}

// The part of an octet that one register holds.
OctetImages part(const OctetImages& images, Index lane) {
  return {images.n, images.y + lane, images.v + lane};
}

ImageSums part(const ImageSums& sums, Index lane) {
  return {sums.a + lane,  sums.a2 + lane, sums.a3 + lane, sums.b + lane,  sums.d + lane,
          sums.s1 + lane, sums.s2 + lane, sums.s3 + lane, sums.w1 + lane, sums.w2 + lane};
}

template <int N>
void some_columns(const BasisRows& basis, Index first, Index n, const double* x, double* out) {
  Lane sum[N];
  clear(sum);
  for (Index i = 0; i < n; ++i) add(basis.row(i) + first, load(x, i), sum);
  store_all(sum, out);
}

void columns_of_lane(const BasisRows& basis, Index first, Index count, Index n, const double* x,
                     double* out) {
  Index j = 0;
  for (; j + 4 <= count; j += 4) some_columns<4>(basis, first + j, n, x, out + j * kOctet);
  for (; j + 2 <= count; j += 2) some_columns<2>(basis, first + j, n, x, out + j * kOctet);
  for (; j < count; ++j) some_columns<1>(basis, first + j, n, x, out + j * kOctet);
}

void columns(const BasisRows& basis, Index first, Index count, Index n, const double* x,
             double* out) {
  for (Index l = 0; l < kOctet; l += kLane) {
    columns_of_lane(basis, first, count, n, x + l, out + l);
  }
}

// The coefficients of a lane, in registers if their number R is known.
template <int R>
struct Coefficients {
  explicit Coefficients(const double* from) {
    for (int j = 0; j < R; ++j) b[j] = load(from, j);
  }
  GROUPGLM_INLINE Lane residual(const Lane& y, const double* q) const {
    Lane e = y;
    GROUPGLM_UNROLL
    for (int j = 0; j < R; ++j) e -= q[j] * b[j];
    return e;
  }
  Lane b[R];
};

struct ManyCoefficients {
  GROUPGLM_INLINE Lane residual(const Lane& y, const double* q) const {
    Lane e = y;
    for (Index j = 0; j < r; ++j) e -= q[j] * load(b, j);
    return e;
  }
  const double* b;
  Index r;
};

// Calls function(coefficients of a lane).
template <int R, typename Function>
GROUPGLM_INLINE void with_coefficients(const double* b, Index r, const Function& function) {
  if constexpr (R == 0) {
    function(ManyCoefficients{b, r});
  } else {
    function(Coefficients<R>(b));
  }
}

template <int R>
void residuals_of_lane(const OctetImages& images, const BasisRows& basis, const double* b,
                       const double* present, double* out, double* rss) {
  with_coefficients<R>(b, basis.r, [&](const auto& fit) {
    Lane sum = Lane::Zero();
    for (Index i = 0; i < images.n; ++i) {
      Lane e = fit.residual(load(images.y, i), basis.row(i));
      if (present != nullptr) e *= load(present, i);
      store(e, out, i);
      sum += e * e;
    }
    store(sum, rss, 0);
  });
}

void residuals(const OctetImages& images, const BasisRows& basis, const double* b,
               const double* present, double* out, double* rss) {
  with_rank(basis.r, [&](auto rank) {
    for (Index l = 0; l < kOctet; l += kLane) {
      residuals_of_lane<rank.value>(part(images, l), basis, b + l,
                                    present == nullptr ? nullptr : present + l, out + l, rss + l);
    }
  });
}

template <int R>
void weigh_lane(const OctetImages& images, const BasisRows& basis, const Lane& t, double* weights,
                double* scratch, const ImageSums& sums) {
  if constexpr (R == 0) {
    for (Index i = 0; i < images.n; ++i) {
      const Lane w = (load(images.v, i) + t).inverse();
      store(w, weights, i);
      store(w * load(images.y, i), scratch, i);
    }
    columns_of_lane(basis, basis.r, basis.n_products(), images.n, weights, sums.a);
    columns_of_lane(basis, 0, basis.r, images.n, scratch, sums.b);
  } else {
    Lane a[products(R)];
    Lane b[R];
    clear(a);
    clear(b);
    for (Index i = 0; i < images.n; ++i) {
      const double* const q = basis.row(i);
      const Lane w = Lane::Constant(1.0) / (load(images.v, i) + t);
      store(w, weights, i);
      add(q, w * load(images.y, i), b);
      add(q + R, w, a);
    }
    store_all(a, sums.a);
    store_all(b, sums.b);
  }
}

void weigh(const OctetImages& images, const BasisRows& basis, const double* t, double* weights,
           double* scratch, const ImageSums& sums) {
  with_rank(basis.r, [&](auto rank) {
    for (Index l = 0; l < kOctet; l += kLane) {
      weigh_lane<rank.value>(part(images, l), basis, LaneMap(t + l), weights + l, scratch + l,
                             part(sums, l));
    }
  });
}

template <int R>
void scatter_of_lane(const OctetImages& images, const BasisRows& basis, const double* weights,
                     const ImageSums& sums) {
  with_coefficients<R>(sums.b, basis.r, [&](const auto& fit) {
    Lane s1 = Lane::Zero();
    for (Index i = 0; i < images.n; ++i) {
      const Lane e = fit.residual(load(images.y, i), basis.row(i));
      s1 += load(weights, i) * e * e;
    }
    store(s1, sums.s1, 0);
  });
}

void scatter(const OctetImages& images, const BasisRows& basis, const double* weights,
             const ImageSums& sums) {
  with_rank(basis.r, [&](auto rank) {
    for (Index l = 0; l < kOctet; l += kLane) {
      scatter_of_lane<rank.value>(part(images, l), basis, weights + l, part(sums, l));
    }
  });
}

// Of many columns: one loop makes what the sums of columns need, which then take a loop each.
void many_moments(const OctetImages& images, const BasisRows& basis, const double* weights,
                  bool cubes, double* scratch, const ImageSums& sums) {
  const ManyCoefficients fit{sums.b, basis.r};
  Lane s[3];
  Lane ws[2];
  clear(s);
  clear(ws);
  for (Index i = 0; i < images.n; ++i) {
    const Lane e = fit.residual(load(images.y, i), basis.row(i));
    const Lane w = load(weights, i);
    const Lane we = w * e;
    const Lane squares = we * we;
    s[0] += we * e;
    s[1] += squares;
    s[2] += w * squares;
    ws[0] += w;
    ws[1] += w * w;
    store(w * we, scratch, i);
  }
  store(s[0], sums.s1, 0);
  store(s[1], sums.s2, 0);
  store(s[2], sums.s3, 0);
  store(ws[0], sums.w1, 0);
  store(ws[1], sums.w2, 0);
  const auto sum_powers = [&](double* out) {
    columns_of_lane(basis, basis.r, basis.n_products(), images.n, scratch, out);
  };
  if (cubes) columns_of_lane(basis, 0, basis.r, images.n, scratch, sums.d);
  for (Index i = 0; i < images.n; ++i) {
    const Lane w = load(weights, i);
    store(w * w, scratch, i);
  }
  sum_powers(sums.a2);
  if (!cubes) return;
  for (Index i = 0; i < images.n; ++i) store(load(scratch, i) * load(weights, i), scratch, i);
  sum_powers(sums.a3);
}

template <int R, bool Cubes>
void moments_of_lane(const OctetImages& images, const BasisRows& basis, const double* weights,
                     const ImageSums& sums) {
  const Coefficients<R> fit(sums.b);
  Lane a2[products(R)];
  Lane a3[products(R)];
  Lane d[R];
  Lane s[3];
  Lane ws[2];
  clear(a2);
  clear(a3);
  clear(d);
  clear(s);
  clear(ws);
  for (Index i = 0; i < images.n; ++i) {
    const double* const q = basis.row(i);
    const Lane e = fit.residual(load(images.y, i), q);
    const Lane w = load(weights, i);
    const Lane square = w * w;
    const Lane we = w * e;
    const Lane we2 = we * we;
    s[0] += we * e;
    s[1] += we2;
    ws[0] += w;
    add(q + R, square, a2);
    if constexpr (Cubes) {
      s[2] += w * we2;
      ws[1] += square;
      add(q, w * we, d);
      add(q + R, w * square, a3);
    }
  }
  store_all(a2, sums.a2);
  store(s[0], sums.s1, 0);
  store(s[1], sums.s2, 0);
  store(ws[0], sums.w1, 0);
  if constexpr (Cubes) {
    store_all(a3, sums.a3);
    store_all(d, sums.d);
    store(s[2], sums.s3, 0);
    store(ws[1], sums.w2, 0);
  }
}

void moments(const OctetImages& images, const BasisRows& basis, const double* weights, bool cubes,
             double* scratch, const ImageSums& sums) {
  with_rank(basis.r, [&](auto rank) {
    constexpr int kR = rank.value;
    for (Index l = 0; l < kOctet; l += kLane) {
      const OctetImages own = part(images, l);
      if constexpr (kR == 0) {
        many_moments(own, basis, weights + l, cubes, scratch + l, part(sums, l));
      } else if (cubes) {
        moments_of_lane<kR, true>(own, basis, weights + l, part(sums, l));
      } else {
        moments_of_lane<kR, false>(own, basis, weights + l, part(sums, l));
      }
    }
  });
}

template <int R>
void scan_lane(const OctetImages& images, const BasisRows& basis, const Lane& t,
               const ImageSums& sums) {
  Lane a[products(R)];
  Lane a2[products(R)];
  Lane b[R];
  Lane d[R];
  clear(a);
  clear(a2);
  clear(b);
  clear(d);
  Lane w1 = Lane::Zero();
  Lane s2 = Lane::Zero();
  for (Index i = 0; i < images.n; ++i) {
    const double* const q = basis.row(i);
    const Lane w = Lane::Constant(1.0) / (load(images.v, i) + t);
    const Lane wy = w * load(images.y, i);
    w1 += w;
    s2 += wy * wy;
    add(q, wy, b);
    add(q, w * wy, d);
    add(q + R, w, a);
    add(q + R, w * w, a2);
  }
  store_all(a, sums.a);
  store_all(a2, sums.a2);
  store_all(b, sums.b);
  store_all(d, sums.d);
  store(w1, sums.w1, 0);
  store(s2, sums.s2, 0);
}

void scan(const OctetImages& images, const BasisRows& basis, const double* t,
          const ImageSums& sums) {
  with_rank(basis.r, [&](auto rank) {
    if constexpr (rank.value > 0) {
      for (Index l = 0; l < kOctet; l += kLane) {
        scan_lane<rank.value>(part(images, l), basis, LaneMap(t + l), part(sums, l));
      }
    }
  });
}

}  // namespace

template <typename Scalar>
void read_images(const ImageSource<Scalar>& source, double* y, double* v, const PanelFacts& facts) {
  constexpr int kPanelInt = static_cast<int>(kPanel);
  double n_images[kPanelInt];
  double smallest[kPanelInt];
  double largest[kPanelInt];
  std::fill_n(n_images, kPanelInt, 0.0);
  std::fill_n(smallest, kPanelInt, kInf);
  std::fill_n(largest, kPanelInt, 0.0);
  for (Index i = 0; i < source.n; ++i) {
    const Index row = source.rows == nullptr ? i : source.rows[i];
    const Scalar* const y_in = source.y + row * source.y_stride;
    const Scalar* const v_in = source.v + row * source.v_stride;
    if (source.has_next) {
      prefetch_next(y_in);
      prefetch_next(v_in);
    }
    // Converted first: the compiler would compare floats as such, and then widen every mask.
    double effects[kPanelInt];
    double variances[kPanelInt];
    to_doubles(y_in, effects);
    to_doubles(v_in, variances);
    for (int k = 0; k < kPanelInt; ++k) {
      const double effect = effects[k];
      const double variance = variances[k];
      // `effect - effect` is NaN for NaN and infinity.
      const bool present = (variance > 0.0) & (variance < kInf) & (effect - effect == 0.0);
      const double low = lane_select(present, variance, kInf);
      const double high = lane_select(present, variance, 0.0);
      effects[k] = lane_select(present, effect, 0.0);
      variances[k] = low;
      n_images[k] += lane_select(present, 1.0, 0.0);
      smallest[k] = lane_select(low < smallest[k], low, smallest[k]);
      largest[k] = lane_select(high > largest[k], high, largest[k]);
    }
    for (Index octet = 0; octet < kPanelOctets; ++octet) {
      const Index to = (octet * source.n + i) * kOctet;
      std::copy_n(effects + octet * kOctet, kOctet, y + to);
      std::copy_n(variances + octet * kOctet, kOctet, v + to);
    }
  }
  std::copy_n(n_images, kPanelInt, facts.n_images);
  std::copy_n(smallest, kPanelInt, facts.smallest);
  std::copy_n(largest, kPanelInt, facts.largest);
}

template void read_images(const ImageSource<float>&, double*, double*, const PanelFacts&);
template void read_images(const ImageSource<double>&, double*, double*, const PanelFacts&);

ImageLoops own_image_loops() {
  return {&read_images<float>,
          &read_images<double>,
          &columns,
          &residuals,
          &weigh,
          &scatter,
          &moments,
          &scan};
}

}  // namespace groupglm
