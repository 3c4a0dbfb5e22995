// SPDX-License-Identifier: BSD-3-Clause
#include "models/nested_rows.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "models/varying_columns.hpp"

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
  const Index in_subjects = n - n_subjects();
  const Index in_families = n_subjects() - n_families();
  if (in_subjects == 0 || in_families == 0) return false;
  // Whatever the columns are, they are too few.
  if (std::min({in_subjects, in_families, n_families()}) > r) return true;
  MatrixXd gram(r, r);
  for (Index j = 0; j < r; ++j) {
    for (Index k = 0; k <= j; ++k) gram(j, k) = gram(k, j) = within[at(packed(j, k))];
  }
  const Index of_subjects = n_varying(gram);
  // The rows less their family's mean are those less their subject's mean, and these less that.
  std::vector<std::vector<Index>> members(at(n_groups()));
  for (Index s = 0; s < n_subjects(); ++s) members[at(group[at(s)])].push_back(s);
  Index g = 0;
  for (Index f = 0; f < n_families(); ++f) {
    Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(r);
    double images = 0.0;
    const Index first = g;
    for (; g < family_end[at(f)]; ++g) {
      mean += size[at(kind[at(g)])] * group_means.row(g);
      images += size[at(kind[at(g)])] * n_of_group[at(g)];
    }
    mean /= images;
    for (Index own = first; own < g; ++own) {
      for (const Index member : members[at(own)]) {
        const Eigen::RowVectorXd left = means.row(member) - mean;
        gram += n_visits[at(member)] * left.transpose() * left;
      }
    }
  }
  const Index of_families = n_varying(gram);
  // The rank of [X F] is the number of families and of_families, that of [X Z] likewise.
  return n_families() + of_families > r && in_families + of_subjects > of_families &&
         in_subjects > of_subjects;
}

}  // namespace groupglm
