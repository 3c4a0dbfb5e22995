// SPDX-License-Identifier: BSD-3-Clause
#include "models/nested_rows.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace groupglm {

using lanes::at;
using lanes::n_packed;
using lanes::packed;

namespace {

void add_product(const Eigen::Ref<const Eigen::RowVectorXd>& x, double* out) {
  for (Index j = 0; j < x.size(); ++j) {
    for (Index k = 0; k <= j; ++k) out[packed(j, k)] += x[j] * x[k];
  }
}

}  // namespace

NestedRows::NestedRows(const Eigen::Ref<const RowMatrix>& rows, const FamilyTree& tree,
                       const std::vector<Index>& present)
    : n(static_cast<Index>(present.size())), r(rows.cols()), x(rows) {
  // Subjects by their first image, without those that have none.
  std::vector<Index> number(at(tree.n_subjects()), -1);
  std::vector<Index> family;
  subject.reserve(present.size());
  for (const Index image : present) {
    Index& own = number[at(tree.subject[at(image)])];
    if (own < 0) {
      own = static_cast<Index>(family.size());
      family.push_back(tree.family[at(tree.subject[at(image)])]);
      n_visits.push_back(0.0);
    }
    subject.push_back(own);
    n_visits[at(own)] += 1.0;
  }
  const auto n_all = static_cast<Index>(family.size());
  means = RowMatrix::Zero(n_all, r);
  for (Index i = 0; i < n; ++i) means.row(subject[at(i)]) += x.row(i);
  for (Index s = 0; s < n_all; ++s) means.row(s) /= n_visits[at(s)];

  // Groups by family and number of images, in this order; kinds by number of images.
  std::map<std::pair<Index, double>, std::vector<Index>> members;
  std::map<double, Index> kinds;
  for (Index s = 0; s < n_all; ++s) {
    members[{family[at(s)], n_visits[at(s)]}].push_back(s);
    kinds.emplace(n_visits[at(s)], 0);
  }
  for (auto& [visits, at_kind] : kinds) {
    at_kind = static_cast<Index>(size.size());
    size.push_back(visits);
    n_of_kind.push_back(0.0);
  }
  group.assign(at(n_all), 0);
  group_means = RowMatrix::Zero(static_cast<Index>(members.size()), r);
  products = RowMatrix::Zero(static_cast<Index>(size.size()), n_packed(r));
  Index last_family = -1;
  for (const auto& [key, subjects] : members) {
    const auto g = static_cast<Index>(kind.size());
    if (key.first != last_family) family_end.push_back(g);
    last_family = key.first;
    const Index k = kinds[key.second];
    kind.push_back(k);
    n_of_group.push_back(static_cast<double>(subjects.size()));
    n_of_kind[at(k)] += static_cast<double>(subjects.size());
    for (const Index s : subjects) {
      group[at(s)] = g;
      group_means.row(g) += means.row(s);
      add_product(means.row(s), products.row(k).data());
    }
    family_end.back() = g + 1;
  }
  within.assign(at(n_packed(r)), 0.0);
  for (Index i = 0; i < n; ++i) add_product(x.row(i) - means.row(subject[at(i)]), within.data());
}

bool NestedRows::tells_variances_apart() const {
  return n_subjects() < n && n_families() < n_subjects();
}

}  // namespace groupglm
