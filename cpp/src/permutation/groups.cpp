// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/groups.hpp"

#include <Eigen/Cholesky>

#include "permutation/group_weights.hpp"
#include "permutation/panel.hpp"

namespace groupglm {

namespace {

using Eigen::Map;

// Weights that differ by a larger factor are not added up: the Schur complement of their sum would
// lose digits.
constexpr double kFarApart = 1e6;

// A voxel's small matrices.
struct GroupWorkspace {
  explicit GroupWorkspace(const GroupedModel& model)
      : by_group(model.rank, model.n_groups),
        weights(model.n_groups),
        rss(model.n_groups),
        b(model.rank),
        times(model.rank),
        gram(model.rank, model.rank),
        schur(model.model.n_effect, model.model.n_effect),
        cross(model.rank - model.model.n_effect, model.model.n_effect),
        nuisance(model.rank - model.model.n_effect) {}
  MatrixXd by_group;               // (r, groups): b_g
  VectorXd weights;                // (groups): w_g; infinite for a group without error
  VectorXd rss;                    // (groups): e_g'e_g
  VectorXd b;                      // (r)
  VectorXd times;                  // (r): product of a matrix and b
  MatrixXd gram;                   // (r, r): M'W M
  MatrixXd schur;                  // (k, k)
  MatrixXd cross;                  // (q, k)
  Eigen::LDLT<MatrixXd> nuisance;  // (q, q)
};

class Grouped {
 public:
  Grouped(const GroupedModel& model, const GroupedRows& rows, Index n, Index n_voxels,
          const PermutedOutputs& out)
      : model_(model),
        rows_(rows),
        n_(n),
        n_voxels_(n_voxels),
        out_(out),
        far_apart_(model.gram, model.n_groups, model.rank, model.model.n_effect) {}

  Index n_products() const { return model_.n_groups * (model_.rank + 1); }

  void work(Index first, Index count, PermutationWorkspace& workspace, double* best) const {
    GroupWorkspace small(model_);
    std::vector<double> squares(workspace.y.size());
    for (std::size_t i = 0; i < squares.size(); ++i) {
      squares[i] = workspace.y[i] * workspace.y[i];
    }
    double* const sums = workspace.products.data() + model_.n_groups * model_.rank * kPanel;
    for (Index b = 0; b < rows_.n_permutations; ++b) {
      const Index n_rows = model_.n_groups * model_.rank;
      inner_loops().multiply(rows_.products + b * n_rows * n_, n_rows, n_, workspace.y.data(),
                             workspace.products.data());
      inner_loops().multiply(rows_.members + b * model_.n_groups * n_, model_.n_groups, n_,
                             squares.data(), sums);
      const bool unsigned_t = model_.model.n_effect == 1 && model_.model.two_sided;
      for (Index v = 0; v < count; ++v) {
        const bool live = workspace.live[static_cast<std::size_t>(v)];
        const double value = live ? statistic(workspace, sums, b, v, small) : 0;
        const double counted = unsigned_t ? std::abs(value) : value;
        if (live) best[b] = std::max(best[b], counted);
        const Index at = b * n_voxels_ + first + v;
        if (out_.maps != nullptr) out_.maps[at] = value;
        if (out_.least == nullptr) continue;
        out_.least[at] = live ? least_of(counted, workspace.rounding[v]) : kNaN;
      }
    }
  }

 private:
  // The least value that ties with v or G, as if it were t or F with the residual degrees of
  // freedom.
  double least_of(double value, double rounding) const {
    const double df = Map<const VectorXd>(model_.freedom, model_.n_groups).sum();
    if (model_.model.n_effect == 1) {
      return std::sqrt(df) * least_tangent(value / std::sqrt(df), rounding);
    }
    const double scale = df / static_cast<double>(model_.model.n_effect);
    const double tangent = least_tangent(std::sqrt(value / scale), rounding);
    return scale * std::copysign(tangent * tangent, tangent);
  }

  // The statistic of voxel v in permutation number `at`; sums (groups, kPanel).
  double statistic(const PermutationWorkspace& workspace, const double* sums, Index at, Index v,
                   GroupWorkspace& small) const {
    const Index r = model_.rank;
    const double* const products = workspace.products.data() + v;
    for (Index g = 0; g < model_.n_groups; ++g) {
      for (Index j = 0; j < r; ++j) small.by_group(j, g) = products[(g * r + j) * kPanel];
    }
    small.b = small.by_group.rowwise().sum();
    bool precise = true;
    for (Index g = 0; g < model_.n_groups; ++g) {
      const double total = sums[g * kPanel + v];
      small.rss[g] =
          total - 2 * small.b.dot(small.by_group.col(g)) + small.b.dot((gram(g) * small.b).eval());
      precise = precise && small.rss[g] > kImprecise;
    }
    if (!precise) refine(workspace, at, v, small);
    const double rounding = workspace.rounding[v] * workspace.rounding[v];
    small.gram.setZero();
    for (Index g = 0; g < model_.n_groups; ++g) {
      small.weights[g] = small.rss[g] > std::max(rounding, kSmallestRss)
                             ? model_.freedom[g] / small.rss[g]
                             : kInfinity;
      small.gram += small.weights[g] * gram(g);
    }
    return value_of(small);
  }

  Map<const MatrixXd> gram(Index g) const {
    const Index r = model_.rank;
    return {model_.gram + g * r * r, r, r};
  }

  // Sums the squared residuals image by image, where a difference of squares has lost digits.
  void refine(const PermutationWorkspace& workspace, Index at, Index v,
              GroupWorkspace& small) const {
    const Index groups = model_.n_groups;
    const double* const rows = rows_.products + at * groups * model_.rank * n_;
    const double* const members = rows_.members + at * groups * n_;
    small.rss.setZero();
    for (Index i = 0; i < n_; ++i) {
      for (Index g = 0; g < groups; ++g) {
        if (members[g * n_ + i] == 0.0) continue;
        double left = workspace.y[static_cast<std::size_t>(i * kPanel + v)];
        for (Index j = 0; j < model_.rank; ++j) {
          left -= rows[(g * model_.rank + j) * n_ + i] * small.b[j];
        }
        small.rss[g] += left * left;
      }
    }
  }

  double value_of(GroupWorkspace& small) const {
    const Index k = model_.model.n_effect;
    const Index q = model_.rank - k;
    const auto effect = small.b.head(k);
    // Also true if some or all weights are infinite.
    if (!(small.weights.maxCoeff() < kFarApart * small.weights.minCoeff())) {
      const double square = far_apart_.square(effect, small.weights);
      if (k == 1) return std::copysign(std::sqrt(square), effect[0]);
      return square / (lambda(small.weights) * static_cast<double>(k));
    }
    small.schur = small.gram.topLeftCorner(k, k);
    if (q > 0) {
      small.nuisance.compute(small.gram.bottomRightCorner(q, q));
      small.cross = small.gram.bottomLeftCorner(q, k);
      small.nuisance.solveInPlace(small.cross);
      small.schur -= small.gram.topRightCorner(k, q).lazyProduct(small.cross);
    }
    if (k == 1) return effect[0] * std::sqrt(std::max(0.0, small.schur(0, 0)));
    small.times.head(k).noalias() = small.schur.lazyProduct(effect);
    return effect.dot(small.times.head(k)) / (lambda(small.weights) * static_cast<double>(k));
  }

  // Lambda. If some groups have no error, these share the whole weight in proportion to their
  // images.
  double lambda(const VectorXd& weights) const {
    const Map<const VectorXd> sizes(model_.sizes, model_.n_groups);
    const auto rank = static_cast<double>(model_.model.n_effect);
    VectorXd weight = sizes.cwiseProduct(weights);
    if (!weight.allFinite()) {
      weight = weights.array().isFinite().select(0.0, sizes.array()).matrix();
    }
    const double trace = weight.sum();
    double sum = 0;
    for (Index g = 0; g < model_.n_groups; ++g) {
      const double share = 1 - weight[g] / trace;
      sum += share * share / model_.freedom[g];
    }
    return 1 + 2 * (rank - 1) / (rank * (rank + 2)) * sum;
  }

  const GroupedModel& model_;
  const GroupedRows& rows_;
  Index n_;
  Index n_voxels_;
  const PermutedOutputs& out_;
  GroupWeights far_apart_;
};

}  // namespace

template <typename Scalar>
void permuted_g_statistics(const DataView<Scalar>& y, const GroupedModel& model,
                           const GroupedRows& rows, const PermutedOutputs& out, int n_threads) {
  const Grouped grouped(model, rows, y.n_rows, y.n_voxels, out);
  const Index n_products = std::max(grouped.n_products(), model.model.basis.rows());
  permute_panels(y, model.model, rows.n_permutations, out, n_products, n_threads,
                 [&](Index first, Index count, PermutationWorkspace& workspace, double* best) {
                   grouped.work(first, count, workspace, best);
                 });
}

template void permuted_g_statistics(const DataView<float>&, const GroupedModel&, const GroupedRows&,
                                    const PermutedOutputs&, int);
template void permuted_g_statistics(const DataView<double>&, const GroupedModel&,
                                    const GroupedRows&, const PermutedOutputs&, int);

}  // namespace groupglm
