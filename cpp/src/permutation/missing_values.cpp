// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/missing_values.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "permutation/panel.hpp"

namespace groupglm {

namespace {

using PanelMap = Eigen::Map<const Panel>;
using BasisMap = Eigen::Map<const RowMatrix>;

// A panel of voxels of one pattern.
struct PatternPanel {
  Index pattern;
  Index first;  // position in columns
  Index count;
};

std::vector<PatternPanel> panels_of(const PresentPatterns& patterns) {
  std::vector<PatternPanel> panels;
  for (Index p = 0; p < patterns.n_patterns; ++p) {
    for (Index first = patterns.starts[p]; first < patterns.starts[p + 1]; first += kPanel) {
      panels.push_back({p, first, std::min(kPanel, patterns.starts[p + 1] - first)});
    }
  }
  return panels;
}

// Subtracts from `rows` their projection on the orthonormal `basis`, twice, and makes the rows
// orthonormal. A row of which nothing is left becomes zero. A single row keeps its direction.
void orthonormalise(const BasisMap& basis, Eigen::Ref<RowMatrix> rows) {
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

// A thread's memory.
struct PresentWorkspace {
  PresentWorkspace(const PresentModel& model, Index n)
      : panel(n, std::max(kProducts, model.effect.rows() + model.nuisance.rows())),
        compact(static_cast<std::size_t>(n)) {}
  PermutationWorkspace panel;
  std::vector<Index> places;     // (n_S): the rows that are present
  std::vector<Index> compact;    // (n): position of a row in places, -1 if it is absent
  std::vector<double> design;    // (k + q_S, n_S): orthonormal, the effect first
  std::vector<double> nuisance;  // (q_S, n_S); for ter Braak the effect follows
  std::vector<double> rows;      // (permutations at once, rows, n_S)
};

class Present {
 public:
  Present(const PresentModel& model, const PresentPatterns& patterns,
          const EquivalentTables& tables, const Orders& orders, const PermutedOutputs& out, Index n,
          Index n_voxels)
      : model_(model),
        patterns_(patterns),
        tables_(tables),
        orders_(orders),
        out_(out),
        n_(n),
        n_voxels_(n_voxels) {}

  template <typename Scalar>
  void work(const DataView<Scalar>& y, const PatternPanel& panel, PresentWorkspace& space,
            double* best) const {
    find_places(panel.pattern, space);
    const Index n_basis = make_design(panel.pattern, space);
    const auto n = static_cast<Index>(space.places.size());
    const std::int64_t* const columns = patterns_.columns + panel.first;
    const auto read = [&](Index i) {
      Panel values = Panel::Zero();
      const Index row = space.places[static_cast<std::size_t>(i)];
      for (Index v = 0; v < panel.count; ++v) values[v] = static_cast<double>(y(row, columns[v]));
      return values;
    };
    const BasisMap basis(space.nuisance.data(), n_basis, n);
    if (!load_rows(n, read, basis, panel.count, space.panel)) return;  // the maps are zero already
    permute(panel, n, space, best);
  }

 private:
  Index k() const { return model_.effect.rows(); }
  bool is_smith() const { return model_.rearranged == Rearranged::kEffect; }

  void find_places(Index pattern, PresentWorkspace& space) const {
    space.places.clear();
    for (Index i = 0; i < n_; ++i) {
      const bool present = patterns_.present[pattern * n_ + i] != 0;
      space.compact[static_cast<std::size_t>(i)] =
          present ? static_cast<Index>(space.places.size()) : -1;
      if (present) space.places.push_back(i);
    }
  }

  // Makes the bases of the rows present; returns the number of rows that are removed from the data.
  Index make_design(Index pattern, PresentWorkspace& space) const {
    const auto n = static_cast<Index>(space.places.size());
    const Index q = patterns_.rank[pattern];
    space.nuisance.resize(static_cast<std::size_t>((q + k()) * n));
    space.design.resize(static_cast<std::size_t>((q + k()) * n));
    Eigen::Map<RowMatrix> nuisance(space.nuisance.data(), q, n);
    if (q > 0) {
      const MatrixXd present = model_.nuisance(Eigen::all, space.places).transpose();
      const Eigen::ColPivHouseholderQR<MatrixXd> qr(present);
      const MatrixXd thin = qr.householderQ() * MatrixXd::Identity(n, q);
      nuisance = thin.transpose();
    }
    Eigen::Map<RowMatrix> effect(space.design.data(), k(), n);
    effect = model_.effect(Eigen::all, space.places);
    orthonormalise(BasisMap(space.nuisance.data(), q, n), effect);
    std::copy_n(space.nuisance.data(), q * n, space.design.data() + k() * n);
    if (model_.rearranged != Rearranged::kFullResiduals) return q;
    std::copy_n(space.design.data(), k() * n, space.nuisance.data() + q * n);
    return q + k();
  }

  // Writes the rows (n_rows, n) of the design in the order in which rearrangement b meets the data.
  void fill_rows(Index b, Index n, Index n_rows, const PresentWorkspace& space, double* out) const {
    const std::int64_t* const order = orders_.order + b * n_;
    const double* const signs = orders_.signs + b * n_;
    for (Index i = 0; i < n; ++i) {
      const Index place = space.places[static_cast<std::size_t>(i)];
      // This loop ends, because the cycle comes back to the place itself, which is present.
      Index source = -1;
      for (Index j = order[place]; source < 0; j = order[j]) {
        source = space.compact[static_cast<std::size_t>(j)];
      }
      const double sign = signs[place];
      for (Index r = 0; r < n_rows; ++r) {
        out[r * n + i] = sign * space.design[static_cast<std::size_t>(r * n + source)];
      }
    }
    if (!is_smith()) return;
    const Index q = static_cast<Index>(space.design.size()) / n - k();
    orthonormalise(BasisMap(space.nuisance.data(), q, n), Eigen::Map<RowMatrix>(out, k(), n));
  }

  void permute(const PatternPanel& panel, Index n, PresentWorkspace& space, double* best) const {
    const Index n_rows = is_smith() ? k() : static_cast<Index>(space.design.size()) / n;
    const Index at_once = std::max<Index>(1, kProducts / n_rows);
    space.rows.resize(static_cast<std::size_t>(at_once * n_rows * n));
    const bool is_signed = k() == 1 && !model_.two_sided;
    const Index table = patterns_.table[panel.pattern];
    for (Index b = 0; b < orders_.n_permutations; b += at_once) {
      const Index n_now = std::min(at_once, orders_.n_permutations - b);
      for (Index i = 0; i < n_now; ++i) {
        fill_rows(b + i, n, n_rows, space, space.rows.data() + i * n_rows * n);
      }
      inner_loops().multiply(space.rows.data(), n_now * n_rows, n, space.panel.y.data(),
                             space.panel.products.data());
      for (Index i = 0; i < n_now; ++i) {
        const PermutedProducts products{space.rows.data() + i * n_rows * n,
                                        space.panel.products.data() + i * n_rows * kPanel, k(),
                                        n_rows, n};
        Scores scores = scores_of(products);
        const double odds = odds_of_rank(largest_rank(products, space.panel, is_signed, scores));
        best[b + i] = std::max(best[b + i], equivalent(table, std::abs(odds), odds));
        if (out_.maps == nullptr) continue;
        settle(products, space.panel, scores);
        write(panel, scores, products.products, space, b + i);
      }
    }
  }

  void write(const PatternPanel& panel, const Scores& scores, const double* products,
             const PresentWorkspace& space, Index b) const {
    const Index table = patterns_.table[panel.pattern];
    for (Index v = 0; v < panel.count; ++v) {
      if (!space.panel.live[static_cast<std::size_t>(v)]) continue;
      const Index at = b * n_voxels_ + patterns_.columns[panel.first + v];
      const double odds = scores.effect[v] / scores.rest[v];
      const double sign = k() == 1 ? products[v] : 1.0;
      out_.maps[at] = equivalent(table, odds, sign);
      if (out_.least == nullptr) continue;
      const bool is_signed = k() == 1 && !model_.two_sided;
      const double root = is_signed ? std::copysign(std::sqrt(odds), sign) : std::sqrt(odds);
      const double tangent = least_tangent(root, space.panel.rounding[v]);
      out_.least[at] = equivalent(table, tangent * tangent, tangent);
    }
  }

  // The statistic that has the p-value of F = odds df / k; for k = 1 its signed root.
  double equivalent(Index table, double odds, double sign) const {
    const double f = odds * (tables_.heads[3 * table] / static_cast<double>(k()));
    double star = f;  // zero and infinity are the same for any df
    if (f > 0 && std::isfinite(f)) star = f * std::exp(log_ratio(table, std::log(f)));
    if (k() == 1) return std::copysign(std::sqrt(star), sign);
    return std::copysign(star, sign);
  }

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

  const PresentModel& model_;
  const PresentPatterns& patterns_;
  const EquivalentTables& tables_;
  const Orders& orders_;
  const PermutedOutputs& out_;
  Index n_;
  Index n_voxels_;
};

}  // namespace

template <typename Scalar>
void permuted_present_statistics(const DataView<Scalar>& y, const PresentModel& model,
                                 const PresentPatterns& patterns, const EquivalentTables& tables,
                                 const Orders& orders, const PermutedOutputs& out, int n_threads) {
  const auto panels = panels_of(patterns);
  if (out.maps != nullptr) {
    for (Index b = 0; b < orders.n_permutations; ++b) {
      double* const map = out.maps + b * y.n_voxels;
      for (Index c = 0; c < patterns.starts[patterns.n_patterns]; ++c) {
        map[patterns.columns[c]] = 0;
        if (out.least != nullptr) out.least[b * y.n_voxels + patterns.columns[c]] = kNaN;
      }
    }
  }
  const Present present(model, patterns, tables, orders, out, y.n_rows, y.n_voxels);
  std::vector<std::optional<PresentWorkspace>> spaces(
      static_cast<std::size_t>(resolve_threads(n_threads)));
  std::vector<std::vector<double>> best(spaces.size());
  parallel_for(static_cast<Index>(panels.size()), n_threads, [&](Index task, int thread) {
    const auto at = static_cast<std::size_t>(thread);
    if (!spaces[at]) {
      spaces[at].emplace(model, y.n_rows);
      best[at].assign(static_cast<std::size_t>(orders.n_permutations), kNone);
    }
    present.work(y, panels[static_cast<std::size_t>(task)], *spaces[at], best[at].data());
  });
  for (const auto& found : best) {
    for (std::size_t b = 0; b < found.size(); ++b) out.best[b] = std::max(out.best[b], found[b]);
  }
}

template void permuted_present_statistics(const DataView<float>&, const PresentModel&,
                                          const PresentPatterns&, const EquivalentTables&,
                                          const Orders&, const PermutedOutputs&, int);
template void permuted_present_statistics(const DataView<double>&, const PresentModel&,
                                          const PresentPatterns&, const EquivalentTables&,
                                          const Orders&, const PermutedOutputs&, int);

}  // namespace groupglm
