// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation.hpp"

#include <algorithm>
#include <limits>

#include "permutation_panel.hpp"

namespace groupglm {

namespace {

using PanelMap = Eigen::Map<const Panel>;

class Permuted {
 public:
  Permuted(const PermutedModel& model, const PermutedRows& rows, Index n, Index n_voxels,
           double* maps)
      : model_(model), rows_(rows), n_(n), n_voxels_(n_voxels), maps_(maps) {}

  // Takes one panel through all permutations; best (B) goes up.
  void work(Index first, Index count, PermutationWorkspace& workspace, double* best) const {
    const Index at_once = std::max<Index>(1, kProducts / rows_.n_rows);
    for (Index b = 0; b < rows_.n_permutations; b += at_once) {
      const Index n_now = std::min(at_once, rows_.n_permutations - b);
      multiply_panel(rows_.data + b * rows_.n_rows * n_, n_now * rows_.n_rows, n_,
                     workspace.y.data(), workspace.products.data());
      for (Index i = 0; i < n_now; ++i) {
        const double* const products = workspace.products.data() + i * rows_.n_rows * kPanel;
        const Scores scores = scores_of(products, model_.n_effect, rows_.n_rows);
        const double largest =
            largest_share(scores, products, is_signed(), rows_.n_rows == model_.n_effect);
        best[b + i] = std::max(best[b + i], largest);
        if (maps_ == nullptr) continue;
        write(scores, products, workspace.live, count, maps_ + (b + i) * n_voxels_ + first);
      }
    }
  }

 private:
  bool is_signed() const { return model_.n_effect == 1 && !model_.two_sided; }

  void write(const Scores& scores, const double* products, const PanelColumns& live, Index count,
             double* map) const {
    const Panel rss = (scores.total - scores.effect).max(kSmallestRss * scores.total);
    Panel stat;
    if (model_.n_effect == 1) {
      stat = PanelMap(products) * (model_.df / rss).sqrt();
    } else {
      stat = scores.effect / rss * (model_.df / static_cast<double>(model_.n_effect));
    }
    if (count == kPanel) {
      Eigen::Map<Panel> whole(map);
      whole = stat;
    } else {
      std::copy_n(stat.data(), count, map);
    }
    for (Index v = 0; v < count; ++v) {
      if (!live[static_cast<std::size_t>(v)]) map[v] = 0;
    }
  }

  const PermutedModel& model_;
  const PermutedRows& rows_;
  Index n_;
  Index n_voxels_;
  double* maps_;
};

}  // namespace

template <typename Scalar>
void permuted_statistics(const DataView<Scalar>& y, const PermutedModel& model,
                         const PermutedRows& rows, const PermutedOutputs& out, int n_threads) {
  const Index n_products = std::max({kProducts, rows.n_rows, model.basis.rows()});
  const Permuted permuted(model, rows, y.n_rows, y.n_voxels, out.maps);
  permute_panels(y, model, rows.n_permutations, out, n_products, n_threads,
                 [&](Index first, Index count, PermutationWorkspace& workspace, double* best) {
                   permuted.work(first, count, workspace, best);
                 });
}

template <typename Scalar>
void varying_voxels(const DataView<Scalar>& y, const PermutedModel& model, std::uint8_t* live,
                    int n_threads) {
  auto workspaces = workspaces_for(n_threads);
  for_each_panel(y.n_voxels, n_threads, [&](Index first, Index count, int thread) {
    auto& workspace = workspaces[static_cast<std::size_t>(thread)];
    if (!workspace) workspace.emplace(y.n_rows, std::max<Index>(1, model.basis.rows()));
    load_panel(y, model, first, count, *workspace);
    for (Index v = 0; v < count; ++v) {
      live[first + v] = workspace->live[static_cast<std::size_t>(v)] ? 1 : 0;
    }
  });
}

template void permuted_statistics(const DataView<float>&, const PermutedModel&, const PermutedRows&,
                                  const PermutedOutputs&, int);
template void permuted_statistics(const DataView<double>&, const PermutedModel&,
                                  const PermutedRows&, const PermutedOutputs&, int);
template void varying_voxels(const DataView<float>&, const PermutedModel&, std::uint8_t*, int);
template void varying_voxels(const DataView<double>&, const PermutedModel&, std::uint8_t*, int);

}  // namespace groupglm
