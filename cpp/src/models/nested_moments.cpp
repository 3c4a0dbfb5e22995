// SPDX-License-Identifier: BSD-3-Clause
#include "models/nested_moments.hpp"

#include "loops/lanes.hpp"

namespace groupglm {

using lanes::at;
using lanes::packed;

template <typename V>
template <bool Derivatives>
void NestedMoments<V>::set_products(const NestedRows& rows, const NestedSums<V>& sums,
                                    const V& subject, const V& family) {
  const Index r = r_;
  const Index width = m_;
  const auto zero = [](std::vector<V>& values) {
    for (V& each : values) each = V::Zero();
  };
  zero(b);
  log_det_ = V::Zero();
  if constexpr (Derivatives) {
    for (auto& each : m) zero(each);
    for (auto& each : n) zero(each);
    t_.fill(V::Zero());
    tt_.fill(V::Zero());
  }
  // All subjects, as if no families were.
  weight_.resize(rows.size.size());
  for (Index k = 0; k < rows.n_kinds(); ++k) {
    const double size = rows.size[at(k)];
    const V within = 1.0 + size * subject;
    const V a = size / within;
    weight_[at(k)] = a;
    log_det_ += rows.n_of_kind[at(k)] * lanes::log_of(within);
    const V a2 = a * a;
    const V a3 = a2 * a;
    const auto add = [&](Index to, const auto& product) {
      b[at(to)] += a * product;
      if constexpr (Derivatives) {
        m[kSubject][at(to)] += a2 * product;
        n[0][at(to)] += a3 * product;
      }
    };
    for (Index j = 0; j < lanes::n_packed(r); ++j) add(j, rows.products(k, j));
    for (Index j = 0; j < r; ++j) add(packed(r, j), sums.kind_xy[at(k * r + j)]);
    add(packed(r, r), sums.kind_yy[at(k)]);
  }
  for (Index j = 0; j < lanes::n_packed(r); ++j) b[at(j)] += rows.within[at(j)];
  for (Index j = 0; j < r; ++j) b[at(packed(r, j))] += sums.within_xy[at(j)];
  b[at(packed(r, r))] += sums.within_yy;

  // What families take away.
  V* const u = sums_.data();
  V* const u2 = u + width;
  V* const u3 = u2 + width;
  Index g = 0;
  for (const Index end : rows.family_end) {
    for (V& each : sums_) each = V::Zero();
    V k1 = V::Zero();
    V k2 = V::Zero();
    V k3 = V::Zero();
    for (; g < end; ++g) {
      const V a = weight_[at(rows.kind[at(g)])];
      const V a2 = a * a;
      const double* const x = rows.group_means.row(g).data();
      const double count = rows.n_of_group[at(g)];
      k1 += count * a;
      for (Index j = 0; j < r; ++j) u[j] += a * x[j];
      u[r] += a * sums.group[at(g)];
      if constexpr (Derivatives) {
        const V a3 = a2 * a;
        k2 += count * a2;
        k3 += count * a3;
        for (Index j = 0; j < r; ++j) u2[j] += a2 * x[j];
        u2[r] += a2 * sums.group[at(g)];
        for (Index j = 0; j < r; ++j) u3[j] += a3 * x[j];
        u3[r] += a3 * sums.group[at(g)];
      }
    }
    const V whole = 1.0 + family * k1;
    log_det_ += lanes::log_of(whole);
    const V kappa = 1.0 / whole;
    const V c = family * kappa;
    if constexpr (!Derivatives) {
      for (Index j = 0; j < width; ++j) {
        const V cu = c * u[j];
        for (Index k = 0; k <= j; ++k) b[at(packed(j, k))] -= cu * u[k];
      }
    } else {
      const V kappa2 = kappa * kappa;
      const V ck2 = c * k2;
      const V of_m = c * ck2;
      const V of_n_uu = c * c * k3 - c * ck2 * ck2;
      const V of_mixed_uu = -kappa2 * ck2;
      const V of_family_uu = kappa2 * kappa * k1;
      for (Index j = 0; j < width; ++j) {
        for (Index k = 0; k <= j; ++k) {
          const Index to = packed(j, k);
          const V uu = u[j] * u[k];
          const V uv = u[j] * u2[k] + u2[j] * u[k];
          const V uw = u[j] * u3[k] + u3[j] * u[k];
          const V vv = u2[j] * u2[k];
          b[at(to)] -= c * uu;
          m[kSubject][at(to)] += of_m * uu - c * uv;
          m[kFamily][at(to)] += kappa2 * uu;
          n[0][at(to)] += of_n_uu * uu - c * (uw + vv) + of_m * uv;
          n[1][at(to)] += 0.5 * kappa2 * uv + of_mixed_uu * uu;
          n[2][at(to)] += of_family_uu * uu;
        }
      }
      t_[kSubject] += k1 - ck2;
      t_[kFamily] += k1 * kappa;
      tt_[0] += k2 - 2.0 * c * k3 + ck2 * ck2;
      tt_[1] += kappa2 * k2;
      tt_[2] += k1 * kappa * k1 * kappa;
    }
  }
}

template <typename V>
V NestedMoments<V>::quadratic(const std::vector<V>& product) const {
  // (-beta, 1)' product (-beta, 1)
  V sum = product[at(packed(r_, r_))];
  for (Index j = 0; j < r_; ++j) {
    V row = 0.5 * product[at(packed(j, j))] * beta[at(j)] - product[at(packed(r_, j))];
    for (Index k = 0; k < j; ++k) row += product[at(packed(j, k))] * beta[at(k)];
    sum += 2.0 * beta[at(j)] * row;
  }
  return sum;
}

template <typename V>
void NestedMoments<V>::solve(double df) {
  for (std::size_t j = 0; j < factor_.size(); ++j) factor_[j] = b[j];
  lanes::factor(factor_.data(), r_);
  for (Index j = 0; j < r_; ++j) beta[at(j)] = b[at(packed(r_, j))];
  lanes::solve(factor_.data(), r_, beta.data());
  scatter = quadratic(b).max(V::Constant(0.0));
  V pivots = V::Constant(1.0);
  V log_pivots = V::Zero();
  for (Index j = 0; j < r_; ++j) {
    pivots *= factor_[at(packed(j, j))];
    if (j % 4 == 3 || j + 1 == r_) {  // four pivots stay within double
      log_pivots += lanes::log_of(pivots);
      pivots = V::Constant(1.0);
    }
  }
  const V least = V::Constant(std::numeric_limits<double>::min());
  criterion = df * lanes::log_of(V(scatter.max(least))) + log_det_ + log_pivots;
}

template <typename V>
void NestedMoments<V>::set_criterion(const NestedRows& rows, const NestedSums<V>& sums,
                                     const V& subject, const V& family) {
  set_products<false>(rows, sums, subject, family);
  solve(static_cast<double>(rows.n - r_));
}

template <typename V>
void NestedMoments<V>::set_all(const NestedRows& rows, const NestedSums<V>& sums, const V& subject,
                               const V& family) {
  const auto df = static_cast<double>(rows.n - r_);
  set_products<true>(rows, sums, subject, family);
  solve(df);
  lanes::invert(factor_.data(), r_, inverse.data());
  for (const int k : {kSubject, kFamily}) {
    const auto i = static_cast<std::size_t>(k);
    lanes::multiply(inverse.data(), m[i].data(), r_, whole_[i].data());
    py[i] = quadratic(m[i]);
    trace[i] = t_[i] - lanes::trace_of_product(inverse.data(), m[i].data(), r_);
    slope[i] = trace[i] - df * py[i] / scatter.max(V::Constant(1e-300));
    for (Index j = 0; j < r_; ++j) {
      V own = m[i][at(packed(r_, j))];
      for (Index l = 0; l < r_; ++l) own -= m[i][at(packed(j, l))] * beta[at(l)];
      q_[i][at(j)] = own;
    }
  }
  for (std::size_t pair = 0; pair < 3; ++pair) {
    const std::size_t k = pair / 2;           // subject, subject, family
    const std::size_t l = pair == 0 ? 0 : 1;  // subject, family, family
    for (Index j = 0; j < r_; ++j) solved_[at(j)] = q_[l][at(j)];
    lanes::solve(factor_.data(), r_, solved_.data());
    pypy[pair] = quadratic(n[pair]);
    for (Index j = 0; j < r_; ++j) pypy[pair] -= q_[k][at(j)] * solved_[at(j)];
    traces[pair] = tt_[pair] - 2.0 * lanes::trace_of_product(inverse.data(), n[pair].data(), r_) +
                   lanes::trace_of_whole(whole_[k].data(), whole_[l].data(), r_);
  }
}

template class NestedMoments<Lane>;
template class NestedMoments<Eigen::Array<double, 1, 1>>;

}  // namespace groupglm
