// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/permutation/repeated.hpp"

#include <optional>

#include "permutation/pattern_panels.hpp"
#include "permutation/repeated_search.hpp"

namespace groupglm {

namespace {

using Row = Eigen::Map<Panel>;
using ConstRow = Eigen::Map<const Panel>;

// lambda is estimated to some ten digits, so that statistics tie within this angle.
constexpr double kRepeatedTie = 1e-8;

// A thread's memory.
struct RepeatedWorkspace {
  RepeatedWorkspace(const PermutedRepeated& model, Index n)
      : panel(n, model.effect.rows() + model.nuisance.rows()), places(n) {}

  PermutationWorkspace panel;  // panel.y: what is rearranged
  PresentPlaces places;
  std::vector<Index> subject;    // (n_S)
  std::vector<double> moved;     // (parts r, n_S): the rows of the parts, rearranged
  std::vector<double> products;  // (parts r, kPanel)
  std::vector<double> squares;   // (parts, kPanel)
};

template <typename Scalar>
class Repeated {
 public:
  Repeated(const DataView<Scalar>& y, const PermutedRepeated& model,
           const PresentPatterns& patterns, const EquivalentTables& tables, const Orders& orders,
           const PermutedOutputs& out)
      : y_(y),
        model_(model),
        patterns_(patterns),
        orders_(orders),
        equivalent_(tables, model.effect.rows()),
        results_{patterns,        equivalent_, out, y.n_voxels, model.effect.rows(),
                 model.two_sided, kRepeatedTie} {}

  void work(const PatternPanel& panel, RepeatedWorkspace& space, double* best) const {
    space.places.find(patterns_, panel.pattern);
    const Index n = space.places.size();
    const Index q = patterns_.rank[panel.pattern];
    const RowMatrix design = present_design(model_.nuisance, model_.effect, space.places, q);
    // The maps are zero already.
    if (!load_pattern(y_, patterns_, panel, space.places, design, q, space.panel)) return;
    space.subject.clear();
    for (const Index place : space.places.places) space.subject.push_back(model_.subjects[place]);
    if (q > 0) remove_nuisance(design.topRows(q), space);
    const SubjectParts parts(design, space.subject, model_.n_subjects);
    RepeatedSearch search(parts, n);
    set_squares(parts, space);
    const auto df = static_cast<double>(n - design.rows());
    for (Index b = 0; b < orders_.n_permutations; ++b) {
      rearrange(parts, b, space);
      search.find({space.products.data(), space.squares.data()});
      Panel stat = search.effect(q) / search.variance();
      if (results_.n_effects == 1) {
        stat = search.last() / search.variance().sqrt();
      } else {
        stat /= static_cast<double>(results_.n_effects);
      }
      write_statistics(results_, panel, space.panel, stat, df, b, best);
    }
  }

 private:
  // Takes the weighted fit of the nuisance off, at the nuisance model's own lambda.
  void remove_nuisance(const RowMatrix& nuisance, RepeatedWorkspace& space) const {
    const SubjectParts parts(nuisance, space.subject, model_.n_subjects);
    RepeatedSearch search(parts, nuisance.cols());
    set_squares(parts, space);
    space.products.resize(static_cast<std::size_t>(parts.rows.rows() * kPanel));
    multiply(parts.rows.data(), parts.rows.rows(), nuisance.cols(), space);
    search.find({space.products.data(), space.squares.data()});
    for (Index i = 0; i < nuisance.cols(); ++i) {
      Row y(space.panel.y.data() + i * kPanel);
      for (Index j = 0; j < nuisance.rows(); ++j) y -= nuisance(j, i) * search.coefficient(j);
    }
  }

  static void multiply(const double* rows, Index n_rows, Index n, RepeatedWorkspace& space) {
    inner_loops().multiply(rows, n_rows, n, space.panel.y.data(), space.products.data());
  }

  // Sums of squares of the parts; no rearrangement changes them.
  void set_squares(const SubjectParts& parts, RepeatedWorkspace& space) const {
    const auto n = static_cast<Index>(space.subject.size());
    std::vector<double> mean(static_cast<std::size_t>(model_.n_subjects * kPanel), 0.0);
    const auto of = [&](Index s) { return Row(mean.data() + s * kPanel); };
    const auto subject = [&](Index i) { return space.subject[static_cast<std::size_t>(i)]; };
    for (Index i = 0; i < n; ++i) of(subject(i)) += ConstRow(space.panel.y.data() + i * kPanel);
    space.squares.assign(static_cast<std::size_t>(parts.n_parts() * kPanel), 0.0);
    for (Index s = 0; s < model_.n_subjects; ++s) {
      const Index size = parts.size_of_subject[static_cast<std::size_t>(s)];
      if (size < 0) continue;
      of(s) /= parts.m(size);
      Row(space.squares.data() + (size + 1) * kPanel) += parts.m(size) * of(s).square();
    }
    Row within(space.squares.data());
    for (Index i = 0; i < n; ++i) {
      within += (ConstRow(space.panel.y.data() + i * kPanel) - of(subject(i))).square();
    }
  }

  // Products of the parts with rearranged data: data row i meets the row source(i) of the design.
  void rearrange(const SubjectParts& parts, Index b, RepeatedWorkspace& space) const {
    const Index n = parts.rows.cols();
    const Index n_rows = parts.rows.rows();
    const std::int64_t* const order = orders_.order + b * y_.n_rows;
    const double* const signs = orders_.signs + b * y_.n_rows;
    space.moved.resize(static_cast<std::size_t>(n_rows * n));
    Eigen::Map<RowMatrix> moved(space.moved.data(), n_rows, n);
    for (Index i = 0; i < n; ++i) {
      moved.col(i) = signs[space.places[i]] * parts.rows.col(space.places.source(order, i));
    }
    space.products.resize(static_cast<std::size_t>(n_rows * kPanel));
    multiply(space.moved.data(), n_rows, n, space);
  }

  const DataView<Scalar>& y_;
  const PermutedRepeated& model_;
  const PresentPatterns& patterns_;
  const Orders& orders_;
  EquivalentStatistic equivalent_;
  PatternResults results_;
};

}  // namespace

template <typename Scalar>
void permuted_repeated_statistics(const DataView<Scalar>& y, const PermutedRepeated& model,
                                  const PresentPatterns& patterns, const EquivalentTables& tables,
                                  const Orders& orders, const PermutedOutputs& out, int n_threads) {
  clear_columns(patterns, out, orders.n_permutations, y.n_voxels);
  const Repeated<Scalar> repeated(y, model, patterns, tables, orders, out);
  permute_patterns<RepeatedWorkspace>(
      patterns, orders.n_permutations, out, n_threads,
      [&](std::optional<RepeatedWorkspace>& space) { space.emplace(model, y.n_rows); },
      [&](const PatternPanel& panel, RepeatedWorkspace& space, double* best) {
        repeated.work(panel, space, best);
      });
}

template void permuted_repeated_statistics(const DataView<float>&, const PermutedRepeated&,
                                           const PresentPatterns&, const EquivalentTables&,
                                           const Orders&, const PermutedOutputs&, int);
template void permuted_repeated_statistics(const DataView<double>&, const PermutedRepeated&,
                                           const PresentPatterns&, const EquivalentTables&,
                                           const Orders&, const PermutedOutputs&, int);

}  // namespace groupglm
