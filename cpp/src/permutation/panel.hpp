// SPDX-License-Identifier: BSD-3-Clause
// One panel of voxels of a permutation test: residuals of unit length, and their products with the
// permuted rows of the design.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/parallel.hpp"
#include "groupglm/permutation/permutation.hpp"
#include "models/voxel_runs.hpp"
#include "models/voxel_scales.hpp"
#include "non_finite.hpp"

namespace groupglm {

using Panel = Eigen::Array<double, kPanel, 1>;
using PanelColumns = std::array<bool, kPanel>;

// Panels of a task: enough that the cost of handing it to a thread is negligible.
inline constexpr Index kTaskPanels = 8;

inline constexpr double kNone = -kInfinity;

/// A thread's memory: y (n, kPanel), and products (n_products, kPanel).
struct PermutationWorkspace {
  PermutationWorkspace(Index n, Index n_products)
      : y(static_cast<std::size_t>(n * kPanel)),
        products(static_cast<std::size_t>(n_products * kPanel)) {}
  std::vector<double> y;
  std::vector<double> products;
  PanelColumns live{};
  Panel rounding = Panel::Zero();  // angle by which a column of y may be wrong
  Panel scale = Panel::Ones();     // y is the data times this, without the basis
};

/// y -= basis' basis y, in two passes: the second removes what rounding of a large mean leaves
/// after the first.
inline void take_off(const Eigen::Map<const RowMatrix>& basis, double* y, double* products) {
  if (basis.rows() == 0) return;
  for (int pass = 0; pass < 2; ++pass) {
    inner_loops().multiply(basis.data(), basis.rows(), basis.cols(), y, products);
    for (Index i = 0; i < basis.cols(); ++i) {
      Eigen::Map<Panel> row(y + i * kPanel);
      for (Index j = 0; j < basis.rows(); ++j) {
        row -= basis(j, i) * Eigen::Map<const Panel>(products + j * kPanel);
      }
    }
  }
}

/// One row of a panel: `count` values, then zeros.
template <typename Scalar>
Panel read_row(const DataView<Scalar>& data, Index row, Index first, Index count) {
  if (count == kPanel && data.voxel_stride == 1) {
    using Stored = Eigen::Array<Scalar, kPanel, 1>;
    const Scalar* const values = data.data + row * data.row_stride + first;
    return Eigen::Map<const Stored>(values).template cast<double>();
  }
  Panel values = Panel::Zero();
  for (Index v = 0; v < count; ++v) values[v] = static_cast<double>(data(row, first + v));
  return values;
}

/// Scales the columns of y (n, kPanel) whose squares leave the range of double by powers of two, so
/// that their squares fit, and computes their sums of squares again. factor holds these powers.
inline void scale_columns(Index n, double* y, Panel& total, Panel& factor) {
  for (Index v = 0; v < kPanel; ++v) {
    if (is_ordinary_square(total[v])) continue;
    double largest = 0;
    for (Index i = 0; i < n; ++i) largest = std::max(largest, std::abs(y[i * kPanel + v]));
    if (largest <= 0 || largest > std::numeric_limits<double>::max()) continue;
    const int exponent = scale_of_exponent(std::ilogb(largest));
    if (exponent == 0) continue;
    total[v] = 0;
    factor[v] = std::ldexp(1.0, -exponent);
    for (Index i = 0; i < n; ++i) {
      double& value = y[i * kPanel + v];
      value = std::ldexp(value, -exponent);
      total[v] += value * value;
    }
  }
}

/// Reads `count` voxels of n rows (read(i) returns a row as a Panel), removes the basis (m, n) and
/// scales the columns to unit length. A column has no statistic if it has no voxel, or its voxel
/// does not vary or has missing values. Such columns become copies of one that has a statistic, so
/// that they change no maximum. Returns false if no column has a statistic. products needs room for
/// the rows of the basis.
template <typename ReadRow>
bool load_rows(Index n, const ReadRow& read, const Eigen::Map<const RowMatrix>& basis, Index count,
               PermutationWorkspace& workspace) {
  double* const y = workspace.y.data();
  using Row = Eigen::Map<Panel>;
  Panel total = Panel::Zero();
  for (Index i = 0; i < n; ++i) {
    const Panel values = read(i);
    total += values.square();
    Row(y + i * kPanel) = values;
  }
  workspace.scale.setOnes();
  scale_columns(n, y, total, workspace.scale);
  take_off(basis, y, workspace.products.data());
  Panel square = Panel::Zero();
  for (Index i = 0; i < n; ++i) square += Row(y + i * kPanel).square();
  const double share = rounding_share(n);
  Index source = -1;
  for (Index v = 0; v < kPanel; ++v) {
    // Also false for NaN.
    const bool live = v < count && square[v] > share * share * total[v];
    workspace.live[static_cast<std::size_t>(v)] = live;
    if (live && source < 0) source = v;
  }
  if (source < 0) return false;
  for (Index v = 0; v < kPanel; ++v) {
    if (workspace.live[static_cast<std::size_t>(v)]) continue;
    square[v] = square[source];
    total[v] = total[source];
    workspace.scale[v] = workspace.scale[source];
    for (Index i = 0; i < n; ++i) y[i * kPanel + v] = y[i * kPanel + source];
  }
  const Panel scale = square.sqrt().inverse();
  for (Index i = 0; i < n; ++i) Row(y + i * kPanel) *= scale;
  // Below one, because these columns passed the test above.
  workspace.rounding = share * total.sqrt() * scale;
  workspace.scale *= scale;
  return true;
}

/// The same for `count` neighbouring voxels from `first`.
template <typename Scalar>
bool load_panel(const DataView<Scalar>& data, const PermutedModel& model, Index first, Index count,
                PermutationWorkspace& workspace) {
  return load_rows(
      data.n_rows, [&](Index i) { return read_row(data, i, first, count); }, model.basis, count,
      workspace);
}

// Calls body(first voxel, count, thread) for every panel.
template <typename Body>
void for_each_panel(Index n_voxels, int n_threads, const Body& body) {
  constexpr Index task_voxels = kTaskPanels * kPanel;
  const Index n_tasks = (n_voxels + task_voxels - 1) / task_voxels;
  parallel_for(n_tasks, n_threads, [&](Index task, int thread) {
    const Index end = std::min(n_voxels, (task + 1) * task_voxels);
    for (Index first = task * task_voxels; first < end; first += kPanel) {
      body(first, std::min(kPanel, end - first), thread);
    }
  });
}

// Products held together: 512 rows of a panel (128 KB) stay in the second-level cache.
inline constexpr Index kProducts = 512;

// What the nuisance leaves of the data is rounding below this share of them.
inline constexpr double kSmallestTotal = 1e-12;
inline constexpr double kHuge = 1e300;

// Below this share a difference of squares has lost digits, which sums of squared residuals keep.
inline constexpr double kImprecise = 1e-4;

/// One permutation's numbers at the voxels of a panel. If the nuisance explains all of the
/// rearranged data but rounding (flips of few images can do that), there is no statistic: e is 0,
/// and d and RSS are kHuge, so that t and F are 0.
struct Scores {
  Panel effect;  // e
  Panel total;   // d
  Panel rest;    // RSS = d - e; 0 where it is rounding
};

/// Rows (n_rows, n) of a permutation and their products (n_rows, kPanel) with y. The first n_effect
/// rows are those of the effect.
struct PermutedProducts {
  const double* rows;
  const double* products;
  Index n_effect;
  Index n_rows;
  Index n;
};

/// Computes d and RSS of one voxel from what nuisance and effect leave of its y, row by row.
inline void refine(const PermutedProducts& p, const PermutationWorkspace& workspace, Index v,
                   Scores& scores) {
  double total = 0;
  double rest = 0;
  for (Index i = 0; i < p.n; ++i) {
    double left = workspace.y[static_cast<std::size_t>(i * kPanel + v)];
    for (Index j = p.n_effect; j < p.n_rows; ++j) {
      left -= p.rows[j * p.n + i] * p.products[j * kPanel + v];
    }
    total += left * left;
    for (Index j = 0; j < p.n_effect; ++j) left -= p.rows[j * p.n + i] * p.products[j * kPanel + v];
    rest += left * left;
  }
  const double rounding = workspace.rounding[v] * workspace.rounding[v];
  if (total < std::max(kSmallestTotal, rounding)) {
    scores.effect[v] = 0;
    scores.total[v] = scores.rest[v] = kHuge;
    return;
  }
  scores.total[v] = total;
  scores.rest[v] = rest > rounding ? rest : 0;
}

/// e and d of one permutation, as sums of squares; `settle` computes RSS and mends lost digits.
inline Scores scores_of(const PermutedProducts& p) {
  using Row = Eigen::Map<const Panel>;
  Scores scores;
  scores.effect = Row(p.products).square();
  for (Index j = 1; j < p.n_effect; ++j) scores.effect += Row(p.products + j * kPanel).square();
  scores.total.setOnes();
  for (Index j = p.n_effect; j < p.n_rows; ++j) {
    scores.total -= Row(p.products + j * kPanel).square();
  }
  return scores;
}

/// Brings all `scores` to the precision that the data allow.
inline void settle(const PermutedProducts& p, const PermutationWorkspace& workspace,
                   Scores& scores) {
  scores.rest = scores.total - scores.effect;
  if (((scores.rest > kImprecise * scores.total) && (scores.total > kImprecise)).all()) return;
  for (Index v = 0; v < kPanel; ++v) {
    const bool precise =
        scores.rest[v] > kImprecise * scores.total[v] && scores.total[v] > kImprecise;
    if (workspace.live[static_cast<std::size_t>(v)] && !precise) refine(p, workspace, v, scores);
  }
}

// The rank of odds e / RSS, which rises with the odds. Up to where it has lost digits it is r2 = e
// / d, which needs no RSS; from there on it is 1 + e / RSS.
inline double rank_of_odds(double odds) {
  const double size = std::abs(odds);
  return std::copysign(size < 1 / kImprecise ? size / (1 + size) : 1 + size, odds);
}

inline double odds_of_rank(double rank) {
  const double size = std::abs(rank);
  return std::copysign(size < 1 ? size / (1 - size) : size - 1, rank);
}

/// The rank of the largest odds of a panel; with the sign of the effect's only product if
/// `is_signed`. Settles the scores if precision needs it.
inline double largest_rank(const PermutedProducts& p, const PermutationWorkspace& workspace,
                           bool is_signed, Scores& scores) {
  using Row = Eigen::Map<const Panel>;
  const bool total_is_one = p.n_rows == p.n_effect;
  double share = 0;
  if (is_signed) {
    const Panel effect = Row(p.products) * Row(p.products).abs();
    share = total_is_one ? effect.maxCoeff() : (effect / scores.total).maxCoeff();
  } else {
    share = total_is_one ? scores.effect.maxCoeff() : (scores.effect / scores.total).maxCoeff();
  }
  // Also false for NaN.
  const bool precise =
      std::abs(share) < 1 - kImprecise && (total_is_one || scores.total.minCoeff() > kImprecise);
  if (precise) return share;
  settle(p, workspace, scores);
  double largest = kNone;
  for (Index v = 0; v < kPanel; ++v) {
    if (!workspace.live[static_cast<std::size_t>(v)]) continue;
    const double odds = scores.effect[v] / scores.rest[v];
    largest = std::max(largest, is_signed ? std::copysign(odds, p.products[v]) : odds);
  }
  return rank_of_odds(largest);
}

// Statistics whose angles differ by less than this are equal. It covers rearrangements that are
// equal except for the order of sums, and bases that are right to a few digits less than the data.
inline constexpr double kTieAngle = 1e-9;

/// The least statistic that the rounding of the data cannot tell from one of root odds `tangent` =
/// tan(angle). The angle between y and its residual is as uncertain as y itself.
inline double least_tangent(double tangent, double rounding) {
  constexpr double kRight = 1.5707963267948966;
  const double angle = std::atan(tangent) - std::max(kTieAngle, rounding);
  return angle > -kRight ? std::tan(angle) : kNone;
}

inline std::vector<std::optional<PermutationWorkspace>> workspaces_for(int n_threads) {
  return std::vector<std::optional<PermutationWorkspace>>(
      static_cast<std::size_t>(resolve_threads(n_threads)));
}

/// Calls work(first voxel, count, workspace, best) for every panel, and merges the maxima of the
/// threads. work raises best (B) and fills the maps of the panel. A panel without a statistic is
/// not passed to work; its maps become 0.
template <typename Scalar, typename Work>
void permute_panels(const DataView<Scalar>& y, const PermutedModel& model, Index n_permutations,
                    const PermutedOutputs& out, Index n_products, int n_threads, const Work& work) {
  auto workspaces = workspaces_for(n_threads);
  std::vector<std::vector<double>> best(workspaces.size());
  for_each_panel(y.n_voxels, n_threads, [&](Index first, Index count, int thread) {
    const auto at = static_cast<std::size_t>(thread);
    if (!workspaces[at]) {
      // Made by the thread that uses it, so that its memory is near that thread.
      workspaces[at].emplace(y.n_rows, n_products);
      best[at].assign(static_cast<std::size_t>(n_permutations), kNone);
    }
    if (load_panel(y, model, first, count, *workspaces[at])) {
      work(first, count, *workspaces[at], best[at].data());
    } else if (out.maps != nullptr) {
      for (Index b = 0; b < n_permutations; ++b) {
        std::fill_n(out.maps + b * y.n_voxels + first, count, 0.0);
        if (out.least != nullptr) std::fill_n(out.least + b * y.n_voxels + first, count, kNaN);
      }
    }
  });
  // A maximum is the same, whichever thread found it.
  std::fill_n(out.best, n_permutations, kNone);
  for (const auto& found : best) {
    for (std::size_t b = 0; b < found.size(); ++b) out.best[b] = std::max(out.best[b], found[b]);
  }
}

}  // namespace groupglm
