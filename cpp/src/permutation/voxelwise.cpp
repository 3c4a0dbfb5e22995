// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/voxelwise.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "permutation/patterns.hpp"

namespace groupglm {

namespace {

using Row = Eigen::Map<Panel>;
using ConstRow = Eigen::Map<const Panel>;

// A thread's memory. The bases of the voxels of a panel lie side by side; voxels of a lower rank
// have rows of zeros.
struct VoxelwiseWorkspace {
  VoxelwiseWorkspace(Index n, Index n_effect, Index n_nuisance)
      : places(n),
        y(static_cast<std::size_t>(n * kPanel)),
        bases(static_cast<std::size_t>(n * (n_effect + n_nuisance) * kPanel)),
        products(static_cast<std::size_t>((n_effect + n_nuisance) * kPanel)),
        sources(static_cast<std::size_t>(n)) {}

  PresentPlaces places;
  std::vector<double> y;      // (n_S, kPanel): whitened residuals of the nuisance, of unit length
  std::vector<double> bases;  // (n_S, k + q, kPanel)
  std::vector<double> products;  // (k + q, kPanel)
  std::vector<Index> sources;    // (n_S): the place that each row takes
  PanelColumns live{};
  Panel rounding = Panel::Zero();
};

// Effect, total and rest of a panel, as in panel.hpp.
struct PanelSums {
  Panel effect;
  Panel total;
  Panel rest;
};

template <typename Scalar>
class Voxelwise {
 public:
  Voxelwise(const DataView<Scalar>& y, const BesideRows<Scalar>& beside, const VoxelwiseTest& test,
            const PresentPatterns& patterns, const EquivalentTables& tables, const Orders& orders,
            const PermutedOutputs& out)
      : y_(y),
        beside_(beside),
        test_(test),
        patterns_(patterns),
        equivalent_(tables, test.effect.cols()),
        orders_(orders),
        out_(out) {}

  Index k() const { return test_.effect.cols(); }
  Index q() const { return test_.nuisance.cols(); }

  void work(const PatternPanel& panel, VoxelwiseWorkspace& space, double* best) const {
    space.places.find(patterns_, panel.pattern);
    std::fill(space.bases.begin(), space.bases.end(), 0.0);
    std::fill(space.y.begin(), space.y.end(), 0.0);
    bool any = false;
    for (Index c = 0; c < panel.count; ++c) {
      const bool live = load(panel, c, space);
      space.live[static_cast<std::size_t>(c)] = live;
      any = any || live;
    }
    if (!any) return;  // the maps are zero already
    for (Index b = 0; b < orders_.n_permutations; ++b) rearrange(panel, b, space, best);
  }

 private:
  // Makes the bases and the residual of a voxel. Returns false if the voxel does not vary, or its
  // images cannot estimate the effect.
  bool load(const PatternPanel& panel, Index c, VoxelwiseWorkspace& space) const {
    const Index n = space.places.size();
    const Index column = patterns_.columns[panel.first + c];
    const Index rank = patterns_.rank[panel.first + c];
    const auto m = static_cast<Index>(beside_.covariates.size());
    const Index p = test_.columns.cols();
    MatrixXd design(n, p + m);
    VectorXd values(n);
    for (Index i = 0; i < n; ++i) {
      const Index image = space.places[i];
      design.row(i).head(p) = test_.columns.row(image);
      for (Index j = 0; j < m; ++j) {
        design(i, p + j) =
            static_cast<double>(beside_.covariates[static_cast<std::size_t>(j)](image, column));
      }
      values[i] = static_cast<double>(y_(image, column));
    }
    // Columns of unit length, so that no unit decides on the rank.
    MatrixXd nuisance = design * test_.nuisance;
    MatrixXd effect = design * test_.effect;
    if (beside_.weight != nullptr) {
      for (Index i = 0; i < n; ++i) {
        const double root =
            std::sqrt(static_cast<double>((*beside_.weight)(space.places[i], column)));
        nuisance.row(i) *= root;
        effect.row(i) *= root;
        values[i] *= root;
      }
    }
    MatrixXd basis(n, 0);
    if (rank > 0) {
      for (Index j = 0; j < q(); ++j) {
        const double length = nuisance.col(j).norm();
        if (length > 0) nuisance.col(j) /= length;
      }
      const Eigen::ColPivHouseholderQR<MatrixXd> qr(nuisance);
      basis = qr.householderQ() * MatrixXd::Identity(n, rank);
    }
    for (Index j = 0; j < k(); ++j) {
      VectorXd own = effect.col(j);
      const double length = own.norm();
      for (int pass = 0; pass < 2; ++pass) {
        own -= basis * (basis.transpose() * own);
        for (Index l = 0; l < j; ++l) own -= effect.col(l) * effect.col(l).dot(own);
      }
      const double left = own.norm();
      if (!(left > kEstimableTolerance * length)) return false;
      effect.col(j) = own / left;
    }
    const double largest = values.cwiseAbs().maxCoeff();
    if (!(largest > 0)) return false;
    values /= largest;
    const double total = values.norm();
    for (int pass = 0; pass < 2; ++pass) values -= basis * (basis.transpose() * values);
    const double left = values.norm();
    const double share = rounding_share(n);
    if (!(left > share * total)) return false;
    space.rounding[c] = share * total / left;
    for (Index i = 0; i < n; ++i) {
      space.y[static_cast<std::size_t>(i * kPanel + c)] = values[i] / left;
      double* const row = space.bases.data() + i * (k() + q()) * kPanel + c;
      for (Index j = 0; j < k(); ++j) row[j * kPanel] = effect(i, j);
      for (Index j = 0; j < rank; ++j) row[(k() + j) * kPanel] = basis(i, j);
    }
    return true;
  }

  void rearrange(const PatternPanel& panel, Index b, VoxelwiseWorkspace& space,
                 double* best) const {
    const Index n = space.places.size();
    const std::int64_t* const order = orders_.order + b * test_.columns.rows();
    const double* const signs = orders_.signs + b * test_.columns.rows();
    const Index n_rows = k() + q();
    std::fill(space.products.begin(), space.products.end(), 0.0);
    for (Index i = 0; i < n; ++i) {
      const Index source = space.places.source(order, i);
      space.sources[static_cast<std::size_t>(i)] = source;
      const Panel value = signs[space.places[i]] * ConstRow(space.y.data() + i * kPanel);
      const double* const row = space.bases.data() + source * n_rows * kPanel;
      for (Index j = 0; j < n_rows; ++j) {
        Row(space.products.data() + j * kPanel) += value * ConstRow(row + j * kPanel);
      }
    }
    PanelSums sums{Panel::Zero(), Panel::Ones(), Panel::Zero()};
    for (Index j = 0; j < n_rows; ++j) {
      const Panel square = ConstRow(space.products.data() + j * kPanel).square();
      if (j < k()) {
        sums.effect += square;
      } else {
        sums.total -= square;
      }
    }
    sums.rest = sums.total - sums.effect;
    for (Index c = 0; c < panel.count; ++c) {
      if (!space.live[static_cast<std::size_t>(c)]) continue;
      const bool precise = sums.rest[c] > kImprecise * sums.total[c] && sums.total[c] > kImprecise;
      if (!precise) refine(b, c, space, sums);
      write(panel, b, c, space, sums, best);
    }
  }

  // The sums of one voxel from its residuals, which keep the digits.
  void refine(Index b, Index c, const VoxelwiseWorkspace& space, PanelSums& sums) const {
    const double* const signs = orders_.signs + b * test_.columns.rows();
    double total = 0;
    double rest = 0;
    for (Index i = 0; i < space.places.size(); ++i) {
      const double* const row = space.bases.data() +
                                space.sources[static_cast<std::size_t>(i)] * (k() + q()) * kPanel +
                                c;
      const double* const products = space.products.data() + c;
      double left = signs[space.places[i]] * space.y[static_cast<std::size_t>(i * kPanel + c)];
      for (Index j = k(); j < k() + q(); ++j) left -= row[j * kPanel] * products[j * kPanel];
      total += left * left;
      for (Index j = 0; j < k(); ++j) left -= row[j * kPanel] * products[j * kPanel];
      rest += left * left;
    }
    const double rounding = space.rounding[c] * space.rounding[c];
    if (total < std::max(kSmallestTotal, rounding)) {
      sums.effect[c] = 0;
      sums.total[c] = sums.rest[c] = kHuge;
      return;
    }
    sums.total[c] = total;
    sums.rest[c] = rest > rounding ? rest : 0;
  }

  void write(const PatternPanel& panel, Index b, Index c, const VoxelwiseWorkspace& space,
             const PanelSums& sums, double* best) const {
    const Index place = panel.first + c;
    const Index table = patterns_.table[place];
    const double odds = sums.effect[c] / sums.rest[c];
    const double sign = k() == 1 ? space.products[static_cast<std::size_t>(c)] : 1.0;
    const double value = equivalent_.of_odds(table, odds, sign);
    best[b] = std::max(best[b], k() == 1 && test_.two_sided ? std::abs(value) : value);
    if (out_.maps == nullptr) return;
    const Index at = b * y_.n_voxels + patterns_.columns[place];
    out_.maps[at] = value;
    if (out_.least == nullptr) return;
    const bool one_tail = k() == 1 && !test_.two_sided;
    const double root = one_tail ? std::copysign(std::sqrt(odds), sign) : std::sqrt(odds);
    const double tangent = least_tangent(root, space.rounding[c]);
    out_.least[at] = equivalent_.of_odds(table, tangent * tangent, tangent);
  }

  const DataView<Scalar>& y_;
  const BesideRows<Scalar>& beside_;
  const VoxelwiseTest& test_;
  const PresentPatterns& patterns_;
  EquivalentStatistic equivalent_;
  const Orders& orders_;
  const PermutedOutputs& out_;
};

}  // namespace

template <typename Scalar>
void permuted_voxelwise_statistics(const DataView<Scalar>& y, const BesideRows<Scalar>& beside,
                                   const VoxelwiseTest& test, const PresentPatterns& patterns,
                                   const EquivalentTables& tables, const Orders& orders,
                                   const PermutedOutputs& out, int n_threads) {
  clear_columns(patterns, out, orders.n_permutations, y.n_voxels);
  const Voxelwise<Scalar> voxelwise(y, beside, test, patterns, tables, orders, out);
  permute_patterns<VoxelwiseWorkspace>(
      patterns, orders.n_permutations, out, n_threads,
      [&](std::optional<VoxelwiseWorkspace>& space) {
        space.emplace(y.n_rows, voxelwise.k(), voxelwise.q());
      },
      [&](const PatternPanel& panel, VoxelwiseWorkspace& space, double* best) {
        voxelwise.work(panel, space, best);
      });
}

template void permuted_voxelwise_statistics(const DataView<float>&, const BesideRows<float>&,
                                            const VoxelwiseTest&, const PresentPatterns&,
                                            const EquivalentTables&, const Orders&,
                                            const PermutedOutputs&, int);
template void permuted_voxelwise_statistics(const DataView<double>&, const BesideRows<double>&,
                                            const VoxelwiseTest&, const PresentPatterns&,
                                            const EquivalentTables&, const Orders&,
                                            const PermutedOutputs&, int);

}  // namespace groupglm
