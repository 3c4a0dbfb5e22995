// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/permutation.hpp"

#include <algorithm>

#include "permutation/panel.hpp"

namespace groupglm {

namespace {

using PanelMap = Eigen::Map<const Panel>;

class Permuted {
 public:
  Permuted(const PermutedModel& model, const PermutedRows& rows, Index n, Index n_voxels,
           const PermutedOutputs& out)
      : model_(model), rows_(rows), n_(n), n_voxels_(n_voxels), out_(out) {}

  // Computes all permutations of one panel and raises best (B), which holds ranks of odds.
  void work(Index first, Index count, PermutationWorkspace& workspace, double* best) const {
    const Index at_once = std::max<Index>(1, kProducts / rows_.n_rows);
    const bool is_signed = model_.n_effect == 1 && !model_.two_sided;
    for (Index b = 0; b < rows_.n_permutations; b += at_once) {
      const Index n_now = std::min(at_once, rows_.n_permutations - b);
      const double* const rows = rows_.data + b * rows_.n_rows * n_;
      inner_loops().multiply(rows, n_now * rows_.n_rows, n_, workspace.y.data(),
                             workspace.products.data());
      for (Index i = 0; i < n_now; ++i) {
        const PermutedProducts products{rows + i * rows_.n_rows * n_,
                                        workspace.products.data() + i * rows_.n_rows * kPanel,
                                        model_.n_effect, rows_.n_rows, n_};
        Scores scores = scores_of(products);
        best[b + i] = std::max(best[b + i], largest_rank(products, workspace, is_signed, scores));
        if (out_.maps == nullptr) continue;
        settle(products, workspace, scores);
        const Index at = (b + i) * n_voxels_ + first;
        write(scores, products.products, workspace, count, out_.maps + at);
        if (out_.least == nullptr) continue;
        write_least(scores, products.products, workspace, count, out_.least + at);
      }
    }
  }

  // t or F of odds that carry the sign.
  double statistic_of(double odds) const {
    if (model_.n_effect == 1) return std::copysign(std::sqrt(model_.df * std::abs(odds)), odds);
    return odds * (model_.df / static_cast<double>(model_.n_effect));
  }

 private:
  void write(const Scores& scores, const double* products, const PermutationWorkspace& workspace,
             Index count, double* map) const {
    Panel stat;
    if (model_.n_effect == 1) {
      stat = PanelMap(products) * (model_.df / scores.rest).sqrt();
    } else {
      stat = scores.effect / scores.rest * (model_.df / static_cast<double>(model_.n_effect));
    }
    if (count == kPanel) {
      Eigen::Map<Panel> whole(map);
      whole = stat;
    } else {
      std::copy_n(stat.data(), count, map);
    }
    for (Index v = 0; v < count; ++v) {
      if (!workspace.live[static_cast<std::size_t>(v)]) map[v] = 0;
    }
  }

  void write_least(const Scores& scores, const double* products,
                   const PermutationWorkspace& workspace, Index count, double* least) const {
    const bool is_signed = model_.n_effect == 1 && !model_.two_sided;
    for (Index v = 0; v < count; ++v) {
      if (!workspace.live[static_cast<std::size_t>(v)]) {
        least[v] = kNaN;
        continue;
      }
      const double root = std::sqrt(scores.effect[v] / scores.rest[v]);
      const double tangent =
          least_tangent(is_signed ? std::copysign(root, products[v]) : root, workspace.rounding[v]);
      least[v] = statistic_of(std::copysign(tangent * tangent, tangent));
    }
  }

  const PermutedModel& model_;
  const PermutedRows& rows_;
  Index n_;
  Index n_voxels_;
  const PermutedOutputs& out_;
};

}  // namespace

template <typename Scalar>
void permuted_statistics(const DataView<Scalar>& y, const PermutedModel& model,
                         const PermutedRows& rows, const PermutedOutputs& out, int n_threads) {
  const Index n_products = std::max({kProducts, rows.n_rows, model.basis.rows()});
  const Permuted permuted(model, rows, y.n_rows, y.n_voxels, out);
  permute_panels(y, model, rows.n_permutations, out, n_products, n_threads,
                 [&](Index first, Index count, PermutationWorkspace& workspace, double* best) {
                   permuted.work(first, count, workspace, best);
                 });
  for (Index b = 0; b < rows.n_permutations; ++b)
    out.best[b] = permuted.statistic_of(odds_of_rank(out.best[b]));
}

template void permuted_statistics(const DataView<float>&, const PermutedModel&, const PermutedRows&,
                                  const PermutedOutputs&, int);
template void permuted_statistics(const DataView<double>&, const PermutedModel&,
                                  const PermutedRows&, const PermutedOutputs&, int);

}  // namespace groupglm
