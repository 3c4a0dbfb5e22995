// SPDX-License-Identifier: BSD-3-Clause
// What the kernels of voxels that some images lack have in common: panels of one pattern, orders
// of the rows that are present, and statistics with the degrees of freedom of a complete voxel.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "groupglm/permutation/missing_values.hpp"
#include "permutation/panel.hpp"

namespace groupglm {

using BasisMap = Eigen::Map<const RowMatrix>;

/// A panel of voxels of one pattern.
struct PatternPanel {
  Index pattern;
  Index first;  // position in columns
  Index count;
};

inline std::vector<PatternPanel> panels_of(const PresentPatterns& patterns) {
  std::vector<PatternPanel> panels;
  for (Index p = 0; p < patterns.n_patterns; ++p) {
    for (Index first = patterns.starts[p]; first < patterns.starts[p + 1]; first += kPanel) {
      panels.push_back({p, first, std::min(kPanel, patterns.starts[p + 1] - first)});
    }
  }
  return panels;
}

/// Fills the maps and the least values of all columns of the patterns as where nothing varies.
inline void clear_columns(const PresentPatterns& patterns, const PermutedOutputs& out,
                          Index n_permutations, Index n_voxels) {
  if (out.maps == nullptr) return;
  for (Index b = 0; b < n_permutations; ++b) {
    double* const map = out.maps + b * n_voxels;
    for (Index c = 0; c < patterns.starts[patterns.n_patterns]; ++c) {
      map[patterns.columns[c]] = 0;
      if (out.least != nullptr) out.least[b * n_voxels + patterns.columns[c]] = kNaN;
    }
  }
}

/// Subtracts from `rows` their projection on the orthonormal `basis`, twice, and makes the rows
/// orthonormal. A row of which nothing is left becomes zero. A single row keeps its direction.
inline void orthonormalise(const BasisMap& basis, Eigen::Ref<RowMatrix> rows) {
  for (int pass = 0; pass < 2; ++pass) {
    if (basis.rows() > 0) rows -= (rows * basis.transpose()).eval() * basis;
  }
  for (Index j = 0; j < rows.rows(); ++j) {
    for (int pass = 0; pass < 2; ++pass) {
      for (Index i = 0; i < j; ++i) rows.row(j) -= rows.row(j).dot(rows.row(i)) * rows.row(i);
    }
    const double length = rows.row(j).norm();
    if (length > kEstimableTolerance) {
      rows.row(j) /= length;
    } else {
      rows.row(j).setZero();
    }
  }
}

/// The rows that a pattern has.
struct PresentPlaces {
  explicit PresentPlaces(Index n) : compact(static_cast<std::size_t>(n)) {}

  void find(const PresentPatterns& patterns, Index pattern) {
    const auto n = static_cast<Index>(compact.size());
    places.clear();
    for (Index i = 0; i < n; ++i) {
      const bool present = patterns.present[pattern * n + i] != 0;
      compact[static_cast<std::size_t>(i)] = present ? static_cast<Index>(places.size()) : -1;
      if (present) places.push_back(i);
    }
  }

  Index size() const { return static_cast<Index>(places.size()); }
  Index operator[](Index i) const { return places[static_cast<std::size_t>(i)]; }

  /// The place, among the rows present, that row number i of these takes: the absent rows are taken
  /// out of the cycles of the order (n).
  Index source(const std::int64_t* order, Index i) const {
    // This loop ends, because the cycle comes back to the row itself, which is present.
    Index found = -1;
    for (Index j = order[(*this)[i]]; found < 0; j = order[j]) {
      found = compact[static_cast<std::size_t>(j)];
    }
    return found;
  }

  std::vector<Index> places;   // (n_S): the rows that are present
  std::vector<Index> compact;  // (n): position of a row in places, -1 if it is absent
};

/// Statistics with the p-value that they have, and the degrees of freedom of a complete voxel.
class EquivalentStatistic {
 public:
  EquivalentStatistic(const EquivalentTables& tables, Index n_effect)
      : tables_(tables), n_effect_(n_effect) {}

  double df(Index table) const { return tables_.heads[3 * table]; }

  /// The statistic that has the p-value of F = odds df / k; for k = 1 its signed root.
  double of_odds(Index table, double odds, double sign) const {
    return of_f(table, odds * (df(table) / static_cast<double>(n_effect_)), sign);
  }

  double of_f(Index table, double f, double sign) const {
    double star = f;  // zero and infinity are the same for any df
    if (f > 0 && std::isfinite(f)) star = f * std::exp(log_ratio(table, std::log(f)));
    if (n_effect_ == 1) return std::copysign(std::sqrt(star), sign);
    return std::copysign(star, sign);
  }

 private:
  double log_ratio(Index table, double x) const {
    const double* const head = tables_.heads + 3 * table;
    const double* const values = tables_.values + 2 * table * tables_.n_knots;
    const double position = (x - head[1]) / head[2];
    if (!(position > 0)) return values[0];
    const auto last = static_cast<double>(tables_.n_knots - 1);
    if (position >= last) {
      const double* const end = values + 2 * (tables_.n_knots - 1);
      return end[0] + (position - last) * end[1];
    }
    const auto knot = static_cast<Index>(position);
    const double u = position - static_cast<double>(knot);
    const double* const at = values + 2 * knot;
    const double rise = at[2] - at[0];
    // Hermite's cubic: a line, and two terms for the slopes.
    const double a = at[1] - rise;
    const double b = rise - at[3];
    return at[0] + u * (rise + (1 - u) * (a * (1 - u) + b * u));
  }

  const EquivalentTables& tables_;
  Index n_effect_;
};

/// Calls work(panel, workspace, best) for every panel, and raises out.best to what the threads
/// found. make(optional) makes a thread's workspace.
template <typename Workspace, typename Make, typename Work>
void permute_patterns(const PresentPatterns& patterns, Index n_permutations,
                      const PermutedOutputs& out, int n_threads, const Make& make,
                      const Work& work) {
  const auto panels = panels_of(patterns);
  std::vector<std::optional<Workspace>> spaces(
      static_cast<std::size_t>(resolve_threads(n_threads)));
  std::vector<std::vector<double>> best(spaces.size());
  parallel_for(static_cast<Index>(panels.size()), n_threads, [&](Index task, int thread) {
    const auto at = static_cast<std::size_t>(thread);
    if (!spaces[at]) {
      make(spaces[at]);
      best[at].assign(static_cast<std::size_t>(n_permutations), kNone);
    }
    work(panels[static_cast<std::size_t>(task)], *spaces[at], best[at].data());
  });
  for (const auto& found : best) {
    for (std::size_t b = 0; b < found.size(); ++b) out.best[b] = std::max(out.best[b], found[b]);
  }
}

}  // namespace groupglm
