// SPDX-License-Identifier: BSD-3-Clause
// What the kernels of models that are refitted have in common: the design of a pattern, reading a
// panel of it, and writing its statistics.
#pragma once

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "permutation/patterns.hpp"

namespace groupglm {

/// Orthonormal rows (q + k, n_S) of the design in the rows that are present: q of the nuisance,
/// then those of the effect that the nuisance leaves.
inline RowMatrix present_design(const BasisMap& nuisance, const BasisMap& effect,
                                const PresentPlaces& places, Index q) {
  const Index n = places.size();
  RowMatrix design(q + effect.rows(), n);
  if (q > 0) {
    const MatrixXd present = nuisance(Eigen::all, places.places).transpose();
    const Eigen::ColPivHouseholderQR<MatrixXd> qr(present);
    const MatrixXd thin = qr.householderQ() * MatrixXd::Identity(n, q);
    design.topRows(q) = thin.transpose();
  }
  RowMatrix own = effect(Eigen::all, places.places);
  orthonormalise(BasisMap(design.data(), q, n), own);
  design.bottomRows(effect.rows()) = own;
  return design;
}

/// Reads a panel of a pattern, takes the first q rows of the design off it, and scales it to unit
/// length; false if no voxel varies.
template <typename Scalar>
bool load_pattern(const DataView<Scalar>& y, const PresentPatterns& patterns,
                  const PatternPanel& panel, const PresentPlaces& places, const RowMatrix& design,
                  Index q, PermutationWorkspace& space) {
  const std::int64_t* const columns = patterns.columns + panel.first;
  const auto read = [&](Index i) {
    Panel values = Panel::Zero();
    for (Index c = 0; c < panel.count; ++c) {
      values[c] = static_cast<double>(y(places[i], columns[c]));
    }
    return values;
  };
  return load_rows(places.size(), read, BasisMap(design.data(), q, design.cols()), panel.count,
                   space);
}

/// Where the statistics of a model go.
struct PatternResults {
  const PresentPatterns& patterns;
  const EquivalentStatistic& equivalent;
  const PermutedOutputs& out;
  Index n_voxels;
  Index n_effects;
  bool two_sided;
  double tie;  // statistics whose angles differ by less are equal
};

/// Writes t or F of rearrangement b at the voxels of a panel, whose fit has df degrees of freedom.
inline void write_statistics(const PatternResults& results, const PatternPanel& panel,
                             const PermutationWorkspace& space, const Panel& stat, double df,
                             Index b, double* best) {
  const Index table = results.patterns.table[panel.pattern];
  const auto k = static_cast<double>(results.n_effects);
  const bool is_signed = results.n_effects == 1;
  const bool one_tail = is_signed && !results.two_sided;
  for (Index c = 0; c < panel.count; ++c) {
    if (!space.live[static_cast<std::size_t>(c)] || std::isnan(stat[c])) continue;
    const double f = is_signed ? stat[c] * stat[c] : stat[c];
    const double value = results.equivalent.of_f(table, f, stat[c]);
    best[b] = std::max(best[b], one_tail ? value : std::abs(value));
    if (results.out.maps == nullptr) continue;
    const Index at = b * results.n_voxels + results.patterns.columns[panel.first + c];
    results.out.maps[at] = value;
    if (results.out.least == nullptr) continue;
    // As if it were t or F with the residual degrees of freedom.
    const double root = std::sqrt(f * k / df);
    const double tangent = least_tangent(one_tail ? std::copysign(root, stat[c]) : root,
                                         std::max(results.tie, space.rounding[c]));
    results.out.least[at] = results.equivalent.of_f(table, tangent * tangent * df / k, tangent);
  }
}

}  // namespace groupglm
