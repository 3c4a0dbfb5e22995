// SPDX-License-Identifier: BSD-3-Clause
// What the degrees of freedom of a contrast need, at a ratio (the formulas are in
// groupglm/models/random_intercept.hpp).
#pragma once

#include "models/intercept_lanes.hpp"

namespace groupglm {

inline Lane dot(const Lane* a, const Lane* b, Index n) {
  Lane sum = in_lanes(0.0);
  for (Index j = 0; j < n; ++j) sum += a[j] * b[j];
  return sum;
}

// y = S x for a symmetric matrix, packed.
inline void multiply(const Lanes& s, const Lane* x, Index r, Lane* y) {
  for (Index j = 0; j < r; ++j) y[j] = in_lanes(0.0);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k < j; ++k) {
      y[j] += s[at(packed(j, k))] * x[k];
      y[k] += s[at(packed(j, k))] * x[j];
    }
    y[j] += s[at(packed(j, j))] * x[j];
  }
}

// y = A x for a matrix (r, r).
inline void multiply_full(const Lanes& a, const Lane* x, Index r, Lane* y) {
  for (Index j = 0; j < r; ++j) y[j] = dot(a.data() + j * r, x, r);
}

// What the degrees of freedom of all contrasts need of a register at its ratios.
struct Information {
  Lanes n;             // (packed r): N
  Lane w11, w12, w22;  // W
  Lane o11, o12, o22;  // the same by the curvature of the criterion, if it was asked for
  bool has_curvature = false;
};

template <typename S>
class InformationOf {
 public:
  InformationOf(const LaneShape<S>& shape, const LaneData& data, const ShapeAt<Lane>& at_ratio,
                const ValueAt& value)
      : shape_(shape), data_(data), own_(at_ratio), value_(value) {}

  void set(const Lane& s2, bool with_curvature, Information& out) const {
    const Index r = shape_.r;
    out.n.assign(at(n_products(r)), in_lanes(0.0));
    Lane e = in_lanes(0.0);
    for (Index k = 1; k < shape_.n_states(); ++k) {
      const Lane md = shape_.sizes[at(k)] * own_.d[at(k)];
      e += shape_.n[at(k)] * md * md;
      const Lane m2d3 = md * own_.md2[at(k)];
      for (Index j = 0; j < n_products(r); ++j) {
        out.n[at(j)] += m2d3 * shape_.a[at(k * n_products(r) + j)];
      }
    }
    const Lanes product = inverse_times_m();
    for (Index i = 0; i < r; ++i) {
      for (Index j = 0; j < r; ++j) {
        const Lane& n = out.n[at(i >= j ? packed(i, j) : packed(j, i))];
        e -= 2.0 * own_.inverse[at(i * r + j)] * n;
        e += product[at(i * r + j)] * product[at(j * r + i)];
      }
    }
    const Lane df = in_lanes(0.0) + shape_.df;
    const Lane& a = own_.slope;
    invert(df, a, e, out.w11, out.w12, out.w22);
    out.has_curvature = with_curvature;
    if (with_curvature) {
      const Lane curvature = 2.0 * third_moment(out.n) / s2 - e;
      invert(df, a, curvature, out.o11, out.o12, out.o22);
    }
  }

 private:
  // 2 [df, a; a, e]^-1
  static void invert(const Lane& df, const Lane& a, const Lane& e, Lane& w11, Lane& w12,
                     Lane& w22) {
    const Lane twice = 2.0 / (df * e - a * a);
    w11 = twice * e;
    w12 = -twice * a;
    w22 = twice * df;
  }

  Lanes inverse_times_m() const {
    const Index r = shape_.r;
    Lanes out(at(r * r), in_lanes(0.0));
    for (Index i = 0; i < r; ++i) {
      for (Index j = 0; j < r; ++j) {
        for (Index k = 0; k < r; ++k) {
          out[at(i * r + j)] +=
              own_.inverse[at(i * r + k)] * own_.m[at(j >= k ? packed(j, k) : packed(k, j))];
        }
      }
    }
    return out;
  }

  // y'PKPKPy = sum m^2 d^3 |e_k|^2 - h'A^-1 h, h = sum m d^2 X_k'e_k.
  Lane third_moment(const Lanes& n) const {
    const Index r = shape_.r;
    Lane sum = in_lanes(0.0);
    Lanes h(at(r));
    Lanes solved(at(r));
    multiply(n, value_.b.data(), r, h.data());
    sum += dot(value_.b.data(), h.data(), r);
    for (Index k = 1; k < shape_.n_states(); ++k) {
      const Lane weight = shape_.sizes[at(k)] * own_.d[at(k)] * own_.md2[at(k)];
      const Lane* const t = data_.t.data() + k * r;
      sum += weight * (data_.s[at(k)] - 2.0 * dot(value_.b.data(), t, r));
    }
    multiply(own_.m, value_.b.data(), r, h.data());
    for (Index j = 0; j < r; ++j) h[at(j)] = value_.t2[at(j)] - h[at(j)];
    multiply_full(own_.inverse, h.data(), r, solved.data());
    return sum - dot(h.data(), solved.data(), r);
  }

  const LaneShape<S>& shape_;
  const LaneData& data_;
  const ShapeAt<Lane>& own_;
  const ValueAt& value_;
};

// Rows C over the basis: C Phi C', C Phi M Phi C' and C Phi (N - M Phi M) Phi C', (k, k) each.
struct RowMoments {
  Lanes c, d, e;
};

inline RowMoments moments_of(const Lanes& rows, Index k, Index r, const ShapeAt<Lane>& own,
                             const Information& information) {
  Lanes z(at(k * r));
  Lanes mz(at(k * r));
  Lanes imz(at(k * r));
  Lanes nz(at(k * r));
  for (Index i = 0; i < k; ++i) {
    multiply_full(own.inverse, rows.data() + i * r, r, z.data() + i * r);
    multiply(own.m, z.data() + i * r, r, mz.data() + i * r);
    multiply_full(own.inverse, mz.data() + i * r, r, imz.data() + i * r);
    multiply(information.n, z.data() + i * r, r, nz.data() + i * r);
  }
  RowMoments out{Lanes(at(k * k)), Lanes(at(k * k)), Lanes(at(k * k))};
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      const std::size_t place = at(i * k + j);
      out.c[place] = dot(rows.data() + i * r, z.data() + j * r, r);
      out.d[place] = dot(z.data() + i * r, mz.data() + j * r, r);
      out.e[place] = dot(z.data() + i * r, nz.data() + j * r, r) -
                     dot(mz.data() + i * r, imz.data() + j * r, r);
    }
  }
  return out;
}

}  // namespace groupglm
