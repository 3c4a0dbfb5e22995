// SPDX-License-Identifier: BSD-3-Clause
// The images that some voxels have, summed as the likelihood of nested intercepts needs them.
#pragma once

#include <vector>

#include "groupglm/models/nested.hpp"
#include "models/lane_algebra.hpp"

namespace groupglm {

/// Of the design: the same for all voxels that have the same images.
///
/// A group is the subjects of one family with the same number of images, a kind all subjects with
/// that number. A subject's mean row is x_s.
struct NestedRows {
  /// rows (n, r) orthonormal, of the images `present` (n of the tree's).
  NestedRows(const Eigen::Ref<const RowMatrix>& rows, const FamilyTree& tree,
             const std::vector<Index>& present);

  Index n = 0;
  Index r = 0;
  RowMatrix x;                     // (n, r)
  std::vector<Index> subject;      // (n): from 0, without gaps
  std::vector<Index> group;        // (subjects)
  std::vector<double> n_visits;    // (subjects)
  RowMatrix means;                 // (subjects, r): x_s
  std::vector<Index> family_end;   // (families): behind the family's last group
  std::vector<Index> kind;         // (groups)
  std::vector<double> n_of_group;  // (groups): subjects
  RowMatrix group_means;           // (groups, r): sum of x_s
  std::vector<double> size;        // (kinds): images of a subject
  std::vector<double> n_of_kind;   // (kinds): subjects
  RowMatrix products;              // (kinds, packed r): sum of x_s x_s'
  std::vector<double> within;      // (packed r): sum of (x_i - x_s) (x_i - x_s)'

  Index n_subjects() const { return static_cast<Index>(group.size()); }
  Index n_families() const { return static_cast<Index>(family_end.size()); }
  Index n_groups() const { return static_cast<Index>(kind.size()); }
  Index n_kinds() const { return static_cast<Index>(size.size()); }
  /// Whether the design leaves something of what differs between families, something of what
  /// differs between subjects of a family, and a residual within subjects.
  bool tells_variances_apart() const;
};

/// Of the data, one voxel a lane.
template <typename V>
struct NestedSums {
  explicit NestedSums(const NestedRows& rows)
      : group(lanes::at(rows.n_groups())),
        kind_xy(lanes::at(rows.n_kinds() * rows.r)),
        kind_yy(lanes::at(rows.n_kinds())),
        within_xy(lanes::at(rows.r)),
        mean_(lanes::at(rows.n_subjects())) {}

  std::vector<V> group;      // (groups): sum of y_s, the subjects' means
  std::vector<V> kind_xy;    // (kinds, r): sum of x_s y_s
  std::vector<V> kind_yy;    // (kinds): sum of y_s^2
  std::vector<V> within_xy;  // (r): sum of (x_i - x_s) (y_i - y_s)
  V within_yy;               // sum of (y_i - y_s)^2

  /// Takes y (n).
  void load(const NestedRows& rows, const V* y);

 private:
  std::vector<V> mean_;
};

template <typename V>
void NestedSums<V>::load(const NestedRows& rows, const V* y) {
  using lanes::at;
  const Index r = rows.r;
  for (V& each : mean_) each = V::Zero();
  for (Index i = 0; i < rows.n; ++i) mean_[at(rows.subject[at(i)])] += y[i];
  for (V& each : group) each = V::Zero();
  for (V& each : kind_xy) each = V::Zero();
  for (V& each : kind_yy) each = V::Zero();
  for (Index s = 0; s < rows.n_subjects(); ++s) {
    mean_[at(s)] /= rows.n_visits[at(s)];
    const V own = mean_[at(s)];
    const Index g = rows.group[at(s)];
    const Index k = rows.kind[at(g)];
    group[at(g)] += own;
    kind_yy[at(k)] += own * own;
    V* const xy = kind_xy.data() + k * r;
    for (Index j = 0; j < r; ++j) xy[j] += rows.means(s, j) * own;
  }
  for (V& each : within_xy) each = V::Zero();
  within_yy = V::Zero();
  for (Index i = 0; i < rows.n; ++i) {
    const Index s = rows.subject[at(i)];
    const V left = y[i] - mean_[at(s)];
    within_yy += left * left;
    for (Index j = 0; j < r; ++j) within_xy[at(j)] += (rows.x(i, j) - rows.means(s, j)) * left;
  }
}

}  // namespace groupglm
