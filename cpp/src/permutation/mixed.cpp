// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/mixed.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "permutation/effect_fit.hpp"
#include "permutation/pattern_panels.hpp"

namespace groupglm {

namespace {

using Row = Eigen::Map<Panel>;
using ConstRow = Eigen::Map<const Panel>;

// The estimate of tau2 is right to some ten digits, so that statistics tie within this angle.
constexpr double kMixedTie = 1e-8;

// The images of a pattern that share a tau2.
struct GroupRows {
  std::vector<Index> rows;  // among the rows present
  ImageBasis basis;         // of the design in these rows
  HeterogeneityTile tile;
  std::vector<double> y;      // (rows, kPanel)
  std::vector<double> v;      // (rows, kPanel)
  std::vector<double> signs;  // (rows)
};

// A thread's memory.
struct MixedWorkspace {
  MixedWorkspace(const PermutedMixed& model, Index n)
      : panel(n, model.effect.rows() + model.nuisance.rows()),
        places(n),
        v(static_cast<std::size_t>(n * kPanel)),
        w(static_cast<std::size_t>(n * kPanel)),
        signs(static_cast<std::size_t>(n), 1.0),
        tau2(static_cast<std::size_t>(model.n_groups * kPanel)),
        groups(static_cast<std::size_t>(model.n_groups)),
        fit(model.effect.rows() + model.nuisance.rows()) {}

  PermutationWorkspace panel;  // panel.y: the data without nuisance
  PresentPlaces places;
  std::vector<double> v;      // (n_S, kPanel)
  std::vector<double> w;      // (n_S, kPanel): 1 / (v + tau2)
  std::vector<double> signs;  // (n_S)
  std::vector<double> tau2;   // (groups, kPanel)
  std::vector<GroupRows> groups;
  RowMatrix design;  // (q_S + k, n_S): orthonormal, the nuisance first
  RowMatrix moved;   // the same with the permuted effect
  EffectFit fit;
};

class Mixed {
 public:
  Mixed(const PermutedMixed& model, const PresentPatterns& patterns, const EquivalentTables& tables,
        const Orders& orders, const PermutedOutputs& out, Index n, Index n_voxels)
      : model_(model),
        patterns_(patterns),
        equivalent_(tables, model.effect.rows()),
        orders_(orders),
        n_(n),
        results_{patterns,        equivalent_, out, n_voxels, model.effect.rows(),
                 model.two_sided, kMixedTie} {}

  template <typename Scalar>
  void work(const DataView<Scalar>& y, const DataView<Scalar>& v, const PatternPanel& panel,
            MixedWorkspace& space, double* best) const {
    space.places.find(patterns_, panel.pattern);
    const Index q = patterns_.rank[panel.pattern];
    space.design = present_design(model_.nuisance, model_.effect, space.places, q);
    if (!load(y, v, panel, space)) return;  // the maps are zero already
    std::fill(space.signs.begin(), space.signs.end(), 1.0);
    find_groups(space);
    load_tiles(panel.count, space);
    if (model_.flips) {
      if (q > 0) {
        remove_nuisance(q, panel.count, space);
        load_tiles(panel.count, space);
      }
      set_bases(space.design, space);
    }
    Panel stat = Panel::Zero();  // beyond the panel's voxels it stays so
    for (Index b = 0; b < orders_.n_permutations; ++b) {
      if (model_.flips) {
        flip(b, space);
      } else {
        permute(b, q, space);
      }
      statistics(model_.flips ? space.design : space.moved, q, space, stat);
      const auto df = static_cast<double>(space.places.size() - space.design.rows());
      write_statistics(results_, panel, space.panel, stat, df, b, best);
    }
  }

 private:
  Index k() const { return model_.effect.rows(); }

  // Reads a panel. What the nuisance explains by least squares is taken off, in the data's unit: no
  // statistic depends on it.
  template <typename Scalar>
  bool load(const DataView<Scalar>& y, const DataView<Scalar>& v, const PatternPanel& panel,
            MixedWorkspace& space) const {
    const Index n = space.places.size();
    const std::int64_t* const columns = patterns_.columns + panel.first;
    const Index q = space.design.rows() - k();
    if (!load_pattern(y, patterns_, panel, space.places, space.design, q, space.panel)) {
      return false;
    }
    const auto& live = space.panel.live;
    const auto source = std::find(live.begin(), live.end(), true) - live.begin();
    for (Index i = 0; i < n; ++i) {
      Row(space.panel.y.data() + i * kPanel) /= space.panel.scale;
      for (Index c = 0; c < kPanel; ++c) {
        // A column without a statistic is a copy of one that has a statistic.
        const Index column = live[static_cast<std::size_t>(c)] ? c : source;
        space.v[static_cast<std::size_t>(i * kPanel + c)] =
            static_cast<double>(v(space.places[i], columns[column]));
      }
    }
    return true;
  }

  void find_groups(MixedWorkspace& space) const {
    for (GroupRows& group : space.groups) group.rows.clear();
    for (Index i = 0; i < space.places.size(); ++i) {
      space.groups[group_of(i, space)].rows.push_back(i);
    }
  }

  std::size_t group_of(Index i, const MixedWorkspace& space) const {
    return static_cast<std::size_t>(model_.groups[space.places[i]]);
  }

  // Only the voxels that there are: most patterns have few.
  void load_tiles(Index count, MixedWorkspace& space) const {
    for (GroupRows& group : space.groups) {
      const auto n = static_cast<Index>(group.rows.size());
      group.y.resize(group.rows.size() * kPanel);
      group.v.resize(group.rows.size() * kPanel);
      group.signs.resize(group.rows.size());
      for (std::size_t i = 0; i < group.rows.size(); ++i) {
        const Index from = group.rows[i] * kPanel;
        const auto to = static_cast<std::ptrdiff_t>(i) * kPanel;
        std::copy_n(space.panel.y.data() + from, kPanel, group.y.data() + to);
        std::copy_n(space.v.data() + from, kPanel, group.v.data() + to);
      }
      group.tile.load(DataView<double>{group.y.data(), n, kPanel, kPanel, 1},
                      DataView<double>{group.v.data(), n, kPanel, kPanel, 1}, nullptr, 0, count);
    }
  }

  // Makes the basis of a design (r, n_S) in the rows of each group.
  void set_bases(const RowMatrix& design, MixedWorkspace& space) const {
    if (model_.n_groups == 1) {
      space.groups[0].basis = ImageBasis(RowMatrix(design.transpose()));
      return;
    }
    for (GroupRows& group : space.groups) {
      const MatrixXd own = design(Eigen::all, group.rows).transpose();
      Eigen::ColPivHouseholderQR<MatrixXd> qr(own);
      qr.setThreshold(kEstimableTolerance);
      const RowMatrix thin = qr.householderQ() * MatrixXd::Identity(own.rows(), qr.rank());
      group.basis = ImageBasis(thin);
    }
  }

  // Takes the weighted fit of the nuisance off the data, at the nuisance model's own tau2.
  void remove_nuisance(Index q, Index count, MixedWorkspace& space) const {
    const Index n = space.places.size();
    const RowMatrix nuisance = space.design.topRows(q);
    set_bases(nuisance, space);
    estimate(space);
    MatrixXd rows(n, q);
    VectorXd values(n);
    for (Index c = 0; c < count; ++c) {
      double* const y = space.panel.y.data() + c;
      for (Index i = 0; i < n; ++i) {
        const double root = std::sqrt(space.w[static_cast<std::size_t>(i * kPanel + c)]);
        rows.row(i) = root * nuisance.col(i).transpose();
        values[i] = root * y[i * kPanel];
      }
      const VectorXd found = rows.householderQr().solve(values);
      for (Index i = 0; i < n; ++i) y[i * kPanel] -= nuisance.col(i).dot(found);
    }
  }

  // Estimates tau2 of each group, and fills the weights.
  void estimate(MixedWorkspace& space) const {
    double* tau2 = space.tau2.data();
    for (GroupRows& group : space.groups) {
      for (std::size_t i = 0; i < group.rows.size(); ++i) {
        group.signs[i] = space.signs[static_cast<std::size_t>(group.rows[i])];
      }
      HeterogeneityOut out;
      out.tau2 = tau2;
      group.tile.estimate(group.basis, group.signs.data(), model_.method, model_.given, out);
      tau2 += kPanel;
    }
    for (Index i = 0; i < space.places.size(); ++i) {
      const ConstRow own(space.tau2.data() + group_of(i, space) * kPanel);
      Row(space.w.data() + i * kPanel) = (ConstRow(space.v.data() + i * kPanel) + own).inverse();
    }
  }

  void flip(Index b, MixedWorkspace& space) const {
    const double* const signs = orders_.signs + b * n_;
    for (Index i = 0; i < space.places.size(); ++i) {
      space.signs[static_cast<std::size_t>(i)] = signs[space.places[i]];
    }
  }

  // Makes the design of permutation b. What the nuisance contains of the permuted effect is not
  // tested.
  void permute(Index b, Index q, MixedWorkspace& space) const {
    const Index n = space.places.size();
    const std::int64_t* const order = orders_.order + b * n_;
    RowMatrix effect(k(), n);
    for (Index i = 0; i < n; ++i) {
      effect.col(i) = space.design.bottomRows(k()).col(space.places.source(order, i));
    }
    orthonormalise(BasisMap(space.design.data(), q, n), effect);
    Index rank = 0;
    for (Index j = 0; j < k(); ++j) {
      if (effect.row(j).squaredNorm() > 0) effect.row(rank++) = effect.row(j).eval();
    }
    space.moved.resize(q + rank, n);
    space.moved.topRows(q) = space.design.topRows(q);
    space.moved.bottomRows(rank) = effect.topRows(rank);
    set_bases(space.moved, space);
  }

  // Writes t or F of a rearrangement; the first q rows of its design are the nuisance.
  void statistics(const RowMatrix& design, Index q, MixedWorkspace& space, Panel& stat) const {
    const Index n_effects = design.rows() - q;
    if (n_effects == 0) {
      stat.setZero();
      return;
    }
    if (model_.n_groups == 1) {
      const MixedTest test{model_.method, model_.given, model_.scale, n_effects};
      GroupRows& group = space.groups[0];
      group.tile.statistics(group.basis, space.signs.data(), test, stat.data(), nullptr);
      if (n_effects == k()) return;
      if (n_effects == 1) stat = stat.square().eval();  // t, where F is wanted
      stat *= static_cast<double>(n_effects) / static_cast<double>(k());
      return;
    }
    estimate(space);
    const EffectSums sums = space.fit.sums(
        design, q,
        {space.panel.y.data(), space.signs.data(), space.w.data(), space.panel.rounding});
    const auto df = static_cast<double>(design.cols() - design.rows());
    Panel scale = Panel::Ones();
    if (model_.scale != MixedScale::one) scale = sums.rest / df;
    if (model_.scale == MixedScale::residual_at_least_one) scale = scale.max(1.0);
    if (k() == 1) {
      stat = (sums.sign < 0).select(-(sums.effect / scale).sqrt(), (sums.effect / scale).sqrt());
    } else {
      stat = sums.effect / scale / static_cast<double>(k());
    }
    stat = (sums.effect > 0).select(stat, 0.0);
  }

  const PermutedMixed& model_;
  const PresentPatterns& patterns_;
  EquivalentStatistic equivalent_;
  const Orders& orders_;
  Index n_;
  PatternResults results_;
};

}  // namespace

template <typename Scalar>
void permuted_mixed_statistics(const DataView<Scalar>& y, const DataView<Scalar>& v,
                               const PermutedMixed& model, const PresentPatterns& patterns,
                               const EquivalentTables& tables, const Orders& orders,
                               const PermutedOutputs& out, int n_threads) {
  clear_columns(patterns, out, orders.n_permutations, y.n_voxels);
  const Mixed mixed(model, patterns, tables, orders, out, y.n_rows, y.n_voxels);
  permute_patterns<MixedWorkspace>(
      patterns, orders.n_permutations, out, n_threads,
      [&](std::optional<MixedWorkspace>& space) { space.emplace(model, y.n_rows); },
      [&](const PatternPanel& panel, MixedWorkspace& space, double* best) {
        mixed.work(y, v, panel, space, best);
      });
}

template void permuted_mixed_statistics(const DataView<float>&, const DataView<float>&,
                                        const PermutedMixed&, const PresentPatterns&,
                                        const EquivalentTables&, const Orders&,
                                        const PermutedOutputs&, int);
template void permuted_mixed_statistics(const DataView<double>&, const DataView<double>&,
                                        const PermutedMixed&, const PresentPatterns&,
                                        const EquivalentTables&, const Orders&,
                                        const PermutedOutputs&, int);

}  // namespace groupglm
