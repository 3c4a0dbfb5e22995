// SPDX-License-Identifier: BSD-3-Clause
// The restricted likelihood of nested intercepts and its derivatives at one pair of ratios a voxel.
//
// With V_s and V_f the 0-1 matrices of images of one subject and of one family, the products
// B = [X y]' V^-1 [X y], M_k = [X y]' V^-1 V_k V^-1 [X y], N_kl = [X y]' V^-1 V_k V^-1 V_l V^-1
// [X y], and the traces tr(V^-1 V_k), tr(V^-1 V_k V^-1 V_l) give everything. The criterion is
//   (n - p) log y'Py + log det V + log det X'V^-1 X.
#pragma once

#include <array>

#include "models/nested_rows.hpp"

namespace groupglm {

/// The two components beside that of an image: subjects and families.
enum Component : int { kSubject, kFamily };

template <typename V>
class NestedMoments {
 public:
  explicit NestedMoments(Index r)
      : r_(r),
        m_(r + 1),
        weight_(),
        sums_(lanes::at(3 * m_)),
        b(lanes::at(lanes::n_packed(m_))),
        m{std::vector<V>(b.size()), std::vector<V>(b.size())},
        n{std::vector<V>(b.size()), std::vector<V>(b.size()), std::vector<V>(b.size())},
        inverse(lanes::at(lanes::n_packed(r))),
        beta(lanes::at(r)),
        factor_(inverse.size()),
        whole_{std::vector<V>(lanes::at(r * r)), std::vector<V>(lanes::at(r * r))},
        q_{std::vector<V>(lanes::at(r)), std::vector<V>(lanes::at(r))},
        solved_(lanes::at(r)) {}

  /// Sets `criterion`, `scatter` and beta at the ratios of subjects and families.
  void set_criterion(const NestedRows& rows, const NestedSums<V>& sums, const V& subject,
                     const V& family);
  /// Sets everything.
  void set_all(const NestedRows& rows, const NestedSums<V>& sums, const V& subject,
               const V& family);

 private:
  Index r_;
  Index m_;
  std::vector<V> weight_;  // (kinds): a
  std::vector<V> sums_;    // of a family: sums of a z, a^2 z, a^3 z

 public:
  std::vector<V> b;                 // packed (r + 1)
  std::array<std::vector<V>, 2> m;  // by component
  std::array<std::vector<V>, 3> n;  // subject and subject, subject and family, family twice
  std::vector<V> inverse;           // (X'V^-1 X)^-1, packed
  std::vector<V> beta;              // (r)
  V criterion;
  V scatter;                // y'Py
  std::array<V, 2> slope;   // of the criterion, by component
  std::array<V, 2> py;      // y'P V_k Py
  std::array<V, 2> trace;   // tr(P V_k)
  std::array<V, 3> pypy;    // y'P V_k P V_l Py
  std::array<V, 3> traces;  // tr(P V_k P V_l)

 private:
  template <bool Derivatives>
  void set_products(const NestedRows& rows, const NestedSums<V>& sums, const V& subject,
                    const V& family);
  void solve(double df);
  V quadratic(const std::vector<V>& product) const;

  std::vector<V> factor_;
  std::array<std::vector<V>, 2> whole_;  // inverse M_k
  std::array<std::vector<V>, 2> q_;
  std::vector<V> solved_;
  V log_det_;
  std::array<V, 2> t_;   // tr(V^-1 V_k)
  std::array<V, 3> tt_;  // tr(V^-1 V_k V^-1 V_l)
};

}  // namespace groupglm
