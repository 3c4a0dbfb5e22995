// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/missing_values.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "permutation/patterns.hpp"

namespace groupglm {

namespace {

// A thread's memory.
struct PresentWorkspace {
  PresentWorkspace(const PresentModel& model, Index n)
      : panel(n, std::max(kProducts, model.effect.rows() + model.nuisance.rows())), places(n) {}
  PermutationWorkspace panel;
  PresentPlaces places;
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
        equivalent_(tables, model.effect.rows()),
        orders_(orders),
        out_(out),
        n_(n),
        n_voxels_(n_voxels) {}

  template <typename Scalar>
  void work(const DataView<Scalar>& y, const PatternPanel& panel, PresentWorkspace& space,
            double* best) const {
    space.places.find(patterns_, panel.pattern);
    const Index n_basis = make_design(panel.pattern, space);
    const auto n = space.places.size();
    const std::int64_t* const columns = patterns_.columns + panel.first;
    const auto read = [&](Index i) {
      Panel values = Panel::Zero();
      const Index row = space.places[i];
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

  // Makes the bases of the rows present; returns the number of rows that are removed from the data.
  Index make_design(Index pattern, PresentWorkspace& space) const {
    const auto n = space.places.size();
    const Index q = patterns_.rank[pattern];
    space.nuisance.resize(static_cast<std::size_t>((q + k()) * n));
    space.design.resize(static_cast<std::size_t>((q + k()) * n));
    Eigen::Map<RowMatrix> nuisance(space.nuisance.data(), q, n);
    if (q > 0) {
      const MatrixXd present = model_.nuisance(Eigen::all, space.places.places).transpose();
      const Eigen::ColPivHouseholderQR<MatrixXd> qr(present);
      const MatrixXd thin = qr.householderQ() * MatrixXd::Identity(n, q);
      nuisance = thin.transpose();
    }
    Eigen::Map<RowMatrix> effect(space.design.data(), k(), n);
    effect = model_.effect(Eigen::all, space.places.places);
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
      const Index source = space.places.source(order, i);
      const double sign = signs[space.places[i]];
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
        best[b + i] = std::max(best[b + i], equivalent_.of_odds(table, std::abs(odds), odds));
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
      out_.maps[at] = equivalent_.of_odds(table, odds, sign);
      if (out_.least == nullptr) continue;
      const bool is_signed = k() == 1 && !model_.two_sided;
      const double root = is_signed ? std::copysign(std::sqrt(odds), sign) : std::sqrt(odds);
      const double tangent = least_tangent(root, space.panel.rounding[v]);
      out_.least[at] = equivalent_.of_odds(table, tangent * tangent, tangent);
    }
  }

  const PresentModel& model_;
  const PresentPatterns& patterns_;
  EquivalentStatistic equivalent_;
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
  clear_columns(patterns, out, orders.n_permutations, y.n_voxels);
  const Present present(model, patterns, tables, orders, out, y.n_rows, y.n_voxels);
  permute_patterns<PresentWorkspace>(
      patterns, orders.n_permutations, out, n_threads,
      [&](std::optional<PresentWorkspace>& space) { space.emplace(model, y.n_rows); },
      [&](const PatternPanel& panel, PresentWorkspace& space, double* best) {
        present.work(y, panel, space, best);
      });
}

template void permuted_present_statistics(const DataView<float>&, const PresentModel&,
                                          const PresentPatterns&, const EquivalentTables&,
                                          const Orders&, const PermutedOutputs&, int);
template void permuted_present_statistics(const DataView<double>&, const PresentModel&,
                                          const PresentPatterns&, const EquivalentTables&,
                                          const Orders&, const PermutedOutputs&, int);

}  // namespace groupglm
