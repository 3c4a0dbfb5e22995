// SPDX-License-Identifier: BSD-3-Clause
#include <optional>

#include "groupglm/permutation/repeated.hpp"
#include "models/sandwich_rows.hpp"
#include "permutation/pattern_panels.hpp"

namespace groupglm {

namespace {

using Row = Eigen::Map<Panel>;
using ConstRow = Eigen::Map<const Panel>;

constexpr double kSandwichTie = 1e-9;

// The images of a pattern by subject, with a basis (r, n_S) of a design.
SubjectBlocks blocks_of(const RowMatrix& design, const std::vector<Index>& sorted,
                        const std::vector<Index>& starts) {
  SubjectBlocks blocks;
  blocks.basis = design(Eigen::all, sorted).transpose();
  blocks.rows = sorted;
  blocks.starts = starts;
  blocks.part.assign(starts.size() - 1, 0);
  return blocks;
}

// A thread's memory.
struct BootstrapWorkspace {
  BootstrapWorkspace(const PermutedRepeated& model, Index n)
      : panel(n, model.effect.rows() + model.nuisance.rows()), places(n) {}

  PermutationWorkspace panel;  // panel.y: residuals of the nuisance
  PresentPlaces places;
  std::vector<Index> sorted;        // (n_S): rows of the pattern by subject
  std::vector<Index> starts;        // (subjects + 1)
  std::vector<RowMatrix> back;      // of each subject (k, r): E_s A_s M_s'
  std::vector<double> design_sums;  // (subjects, r, kPanel): M_s r_s
  std::vector<double> own_sums;     // (subjects, k, kPanel): E_s A_s r_s
  std::vector<double> totals;       // (r, kPanel)
  std::vector<double> scores;       // (k, kPanel): g
  std::vector<double> spread;       // (k, k, kPanel): V
};

template <typename Scalar>
class Bootstrap {
 public:
  Bootstrap(const DataView<Scalar>& y, const PermutedRepeated& model,
            const BootstrappedResiduals& residuals, const PresentPatterns& patterns,
            const EquivalentTables& tables, const Orders& orders, const PermutedOutputs& out)
      : y_(y),
        model_(model),
        residuals_(residuals),
        patterns_(patterns),
        orders_(orders),
        equivalent_(tables, model.effect.rows()),
        results_{patterns,        equivalent_, out, y.n_voxels, model.effect.rows(),
                 model.two_sided, kSandwichTie} {}

  void work(const PatternPanel& panel, BootstrapWorkspace& space, double* best) const {
    space.places.find(patterns_, panel.pattern);
    const Index q = patterns_.rank[panel.pattern];
    const RowMatrix design = present_design(model_.nuisance, model_.effect, space.places, q);
    // The maps are zero already.
    if (!load_pattern(y_, patterns_, panel, space.places, design, q, space.panel)) return;
    sort_by_subject(space);
    sum_by_subject(design, q, space);
    const auto df = static_cast<double>(design.cols() - design.rows());
    for (Index b = 0; b < orders_.n_permutations; ++b) {
      const Panel stat = statistics(b, q, design.rows(), space);
      write_statistics(results_, panel, space.panel, stat, df, b, best);
    }
  }

 private:
  Index k() const { return results_.n_effects; }

  void sort_by_subject(BootstrapWorkspace& space) const {
    const auto subject = [&](Index i) { return model_.subjects[space.places[i]]; };
    space.sorted.resize(idx(space.places.size()));
    for (Index i = 0; i < space.places.size(); ++i) space.sorted[idx(i)] = i;
    std::stable_sort(space.sorted.begin(), space.sorted.end(),
                     [&](Index a, Index b) { return subject(a) < subject(b); });
    space.starts.assign(1, 0);
    for (std::size_t i = 1; i <= space.sorted.size(); ++i) {
      if (i == space.sorted.size() || subject(space.sorted[i]) != subject(space.sorted[i - 1])) {
        space.starts.push_back(static_cast<Index>(i));
      }
    }
  }

  // The sums of each subject's residuals, of which a rearrangement changes the sign.
  void sum_by_subject(const RowMatrix& design, Index q, BootstrapWorkspace& space) const {
    const Index r = design.rows();
    const auto n = static_cast<Index>(space.starts.size()) - 1;
    const SubjectBlocks fit_blocks = blocks_of(design, space.sorted, space.starts);
    const SubjectBlocks null_blocks = blocks_of(design.topRows(q), space.sorted, space.starts);
    const PresentRows fit_rows(fit_blocks, nullptr);
    const PresentRows null_rows(null_blocks, nullptr);
    const Adjustments of_fit(fit_rows, residuals_.of_fit);
    // With the nuisance's leverage, if there is a nuisance and the residuals are adjusted at all.
    const bool adjusts = q > 0 && residuals_.of_null != Adjustment::none;
    const Adjustments of_null(null_rows, adjusts ? residuals_.of_null : Adjustment::none);
    space.design_sums.assign(idx(n * r * kPanel), 0.0);
    space.own_sums.assign(idx(n * k() * kPanel), 0.0);
    space.totals.resize(idx(r * kPanel));
    space.scores.resize(idx(k() * kPanel));
    space.spread.resize(idx(k() * k() * kPanel));
    space.back.clear();
    for (Index s = 0; s < n; ++s) {
      const Index first = space.starts[idx(s)];
      const Index m = space.starts[idx(s) + 1] - first;
      const RowMatrix own = fit_blocks.basis.middleRows(first, m).transpose();
      const RowMatrix weigh = own.bottomRows(k()) * of_fit.of(s);
      space.back.emplace_back(weigh * own.transpose());
      for (Index i = 0; i < m; ++i) {
        Panel value = residual(space, first + i);
        if (adjusts) {
          value.setZero();
          for (Index l = 0; l < m; ++l) value += of_null.of(s)(i, l) * residual(space, first + l);
        }
        for (Index j = 0; j < r; ++j) {
          Row(space.design_sums.data() + (s * r + j) * kPanel) += own(j, i) * value;
        }
        for (Index j = 0; j < k(); ++j) {
          Row(space.own_sums.data() + (s * k() + j) * kPanel) += weigh(j, i) * value;
        }
      }
    }
  }

  static ConstRow residual(const BootstrapWorkspace& space, Index sorted) {
    return ConstRow(space.panel.y.data() + space.sorted[idx(sorted)] * kPanel);
  }

  Panel statistics(Index b, Index q, Index r, BootstrapWorkspace& space) const {
    const double* const signs = orders_.signs + b * y_.n_rows;
    const auto n = static_cast<Index>(space.starts.size()) - 1;
    const auto sign_of = [&](Index s) {
      return signs[space.places[space.sorted[idx(space.starts[idx(s)])]]];
    };
    std::fill(space.totals.begin(), space.totals.end(), 0.0);
    for (Index s = 0; s < n; ++s) {
      for (Index j = 0; j < r; ++j) {
        Row(space.totals.data() + j * kPanel) +=
            sign_of(s) * ConstRow(space.design_sums.data() + (s * r + j) * kPanel);
      }
    }
    std::fill(space.spread.begin(), space.spread.end(), 0.0);
    for (Index s = 0; s < n; ++s) {
      for (Index j = 0; j < k(); ++j) {
        Panel score = sign_of(s) * ConstRow(space.own_sums.data() + (s * k() + j) * kPanel);
        for (Index l = 0; l < r; ++l) {
          score -= space.back[idx(s)](j, l) * ConstRow(space.totals.data() + l * kPanel);
        }
        Row(space.scores.data() + j * kPanel) = score;
        for (Index l = 0; l <= j; ++l) {
          Row(space.spread.data() + (j * k() + l) * kPanel) +=
              score * ConstRow(space.scores.data() + l * kPanel);
        }
      }
    }
    if (k() > 1) return wald(q, space) / static_cast<double>(k());
    return settled(ConstRow(space.totals.data() + q * kPanel),
                   ConstRow(space.spread.data()).sqrt());
  }

  // No effect is none, also where nothing varies.
  static Panel settled(const Panel& effect, const Panel& deviation) {
    return (effect == 0).select(0.0, effect / deviation);
  }

  // (E r)'V^-1 (E r), by the Cholesky factor of V.
  Panel wald(Index q, BootstrapWorkspace& space) const {
    const auto at = [&](Index j, Index l) {
      return Row(space.spread.data() + (j * k() + l) * kPanel);
    };
    Panel sum = Panel::Zero();
    for (Index j = 0; j < k(); ++j) {
      Panel u = ConstRow(space.totals.data() + (q + j) * kPanel);
      for (Index l = 0; l < j; ++l) {
        for (Index i = 0; i < l; ++i) at(j, l) -= at(j, i) * at(l, i);
        at(j, l) = settled(at(j, l), at(l, l));
        at(j, j) -= at(j, l).square();
        u -= at(j, l) * ConstRow(space.scores.data() + l * kPanel);
      }
      at(j, j) = at(j, j).max(0.0).sqrt();
      Row(space.scores.data() + j * kPanel) = settled(u, at(j, j));
      sum += ConstRow(space.scores.data() + j * kPanel).square();
    }
    return sum;
  }

  const DataView<Scalar>& y_;
  const PermutedRepeated& model_;
  const BootstrappedResiduals& residuals_;
  const PresentPatterns& patterns_;
  const Orders& orders_;
  EquivalentStatistic equivalent_;
  PatternResults results_;
};

}  // namespace

template <typename Scalar>
void bootstrapped_sandwich_statistics(const DataView<Scalar>& y, const PermutedRepeated& model,
                                      const BootstrappedResiduals& residuals,
                                      const PresentPatterns& patterns,
                                      const EquivalentTables& tables, const Orders& orders,
                                      const PermutedOutputs& out, int n_threads) {
  clear_columns(patterns, out, orders.n_permutations, y.n_voxels);
  const Bootstrap<Scalar> bootstrap(y, model, residuals, patterns, tables, orders, out);
  permute_patterns<BootstrapWorkspace>(
      patterns, orders.n_permutations, out, n_threads,
      [&](std::optional<BootstrapWorkspace>& space) { space.emplace(model, y.n_rows); },
      [&](const PatternPanel& panel, BootstrapWorkspace& space, double* best) {
        bootstrap.work(panel, space, best);
      });
}

template void bootstrapped_sandwich_statistics(const DataView<float>&, const PermutedRepeated&,
                                               const BootstrappedResiduals&, const PresentPatterns&,
                                               const EquivalentTables&, const Orders&,
                                               const PermutedOutputs&, int);
template void bootstrapped_sandwich_statistics(const DataView<double>&, const PermutedRepeated&,
                                               const BootstrappedResiduals&, const PresentPatterns&,
                                               const EquivalentTables&, const Orders&,
                                               const PermutedOutputs&, int);

}  // namespace groupglm
