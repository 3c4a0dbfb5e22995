// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/mixed_update.hpp"

#include "groupglm/parallel.hpp"

namespace groupglm {

template <typename Scalar>
void update_mixed(WeightedState& state, const Design& design, const DataView<Scalar>& y,
                  const DataView<Scalar>& v, const std::vector<Tau2Group>& groups,
                  Tau2Method method, double given, const MixedFindings& found, int n_threads) {
  const auto n_groups = static_cast<Index>(groups.size());
  std::vector<ImageBasis> bases;
  std::vector<Index> group_of(static_cast<std::size_t>(y.n_rows));
  for (const Tau2Group& group : groups) {
    for (const Index row : group.rows) {
      group_of[static_cast<std::size_t>(row)] = static_cast<Index>(bases.size());
    }
    bases.emplace_back(group.basis);
  }
  std::vector<HeterogeneityTile> tiles(static_cast<std::size_t>(resolve_threads(n_threads)));
  WeightedRows<Scalar> rows;
  rows.y = y;
  rows.w = v;
  rows.as_variances = true;
  rows.tau2 = found.tau2;
  rows.groups = group_of.data();
  rows.before_panel = [&](Index first, Index count, int thread) {
    HeterogeneityTile& tile = tiles[static_cast<std::size_t>(thread)];
    for (Index g = 0; g < n_groups; ++g) {
      const auto at = static_cast<std::size_t>(g);
      const Index to = g * y.n_voxels + first;
      tile.load(y, v, &groups[at].rows, first, count);
      tile.estimate(bases[at], nullptr, method, given,
                    {found.tau2 + to, found.typical + to, found.q + to});
      for (Index k = 0; k < count; ++k) {
        found.smallest[to + k] = tile.smallest(k);
        found.largest[to + k] = tile.largest(k);
        found.n_images[to + k] = static_cast<std::int32_t>(tile.n_images(k));
      }
    }
  };
  state.update(design, 0, rows, n_threads);
}

template void update_mixed(WeightedState&, const Design&, const DataView<float>&,
                           const DataView<float>&, const std::vector<Tau2Group>&, Tau2Method,
                           double, const MixedFindings&, int);
template void update_mixed(WeightedState&, const Design&, const DataView<double>&,
                           const DataView<double>&, const std::vector<Tau2Group>&, Tau2Method,
                           double, const MixedFindings&, int);

}  // namespace groupglm
