// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/mixed_update.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "reference_ols.hpp"

namespace {

using groupglm::DataView;
using groupglm::Design;
using groupglm::make_design;
using groupglm::Tau2Group;
using groupglm::Tau2Method;
using groupglm::WeightedRows;
using groupglm::WeightedState;
using reference::Index;
using reference::kNaN;
using reference::MatrixXd;
using reference::RowMatrix;
using reference::VectorXd;

constexpr Index kImages = 14;
constexpr Index kVoxels = 32 * 32 + 41;  // two tasks, and a part of a panel

struct Study {
  MatrixXd x;
  RowMatrix y;
  RowMatrix v;
  std::vector<Tau2Group> groups;
};

template <typename Data>
DataView<typename Data::Scalar> view(const Data& data) {
  return {data.data(), data.rows(), data.cols(), data.cols(), 1};
}

// Two groups of interleaved images, each with a mean of its own; the second has too few images at
// every seventh voxel, of which one has no variance there.
Study two_groups() {
  Study study{MatrixXd::Zero(kImages, 2), 3.0 + reference::normals(kImages, kVoxels, 1).array(),
              reference::normals(kImages, kVoxels, 2).array().exp(), std::vector<Tau2Group>(2)};
  for (Index i = 0; i < kImages; ++i) {
    const auto group = static_cast<std::size_t>(i % 3 == 0 ? 1 : 0);
    study.x(i, static_cast<Index>(group)) = 1.0;
    study.groups[group].rows.push_back(i);
  }
  for (Tau2Group& group : study.groups) {
    const auto n = static_cast<Index>(group.rows.size());
    group.basis = RowMatrix::Constant(n, 1, 1.0 / std::sqrt(static_cast<double>(n)));
  }
  for (Index k = 0; k < kVoxels; k += 7) {
    for (const Index row : study.groups[1].rows) study.y(row, k) = row == 0 ? 1.0 : kNaN;
    study.y(3, k) = 2.0;
    study.v(3, k) = 0.0;
  }
  return study;
}

using Counts = Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Found {
  Found(Index n_working, Index n_groups, int n_threads)
      : state(n_working, 0, kVoxels, n_threads),
        tau2(n_groups, kVoxels),
        typical(n_groups, kVoxels),
        q(n_groups, kVoxels),
        smallest(n_groups, kVoxels),
        largest(n_groups, kVoxels),
        n_images(n_groups, kVoxels) {}

  groupglm::MixedFindings out() {
    return {tau2.data(),     typical.data(), q.data(),
            smallest.data(), largest.data(), n_images.data()};
  }

  WeightedState state;
  RowMatrix tau2;
  RowMatrix typical;
  RowMatrix q;
  RowMatrix smallest;
  RowMatrix largest;
  Counts n_images;
};

template <typename Scalar>
Found updated(const Study& study, Tau2Method method, int n_threads) {
  using Data = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Data y = study.y.cast<Scalar>();
  const Data v = study.v.cast<Scalar>();
  const Design design = make_design(study.x);
  const auto n_groups = static_cast<Index>(study.groups.size());
  Found found(design.n_working(), n_groups, n_threads);
  groupglm::update_mixed(found.state, design, view(y), view(v), study.groups, method, 0.5,
                         found.out(), n_threads);
  return found;
}

// Q of one voxel by the normal equations, and what is known of its variances.
struct Cochran {
  std::int32_t n = 0;
  double q = 0.0;
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
};

Cochran cochran(const RowMatrix& basis, const VectorXd& y, const VectorXd& v) {
  Cochran found;
  VectorXd root = VectorXd::Zero(v.size());
  VectorXd present = VectorXd::Zero(v.size());
  for (Index i = 0; i < v.size(); ++i) {
    if (!(v[i] > 0.0) || !std::isfinite(y[i])) continue;
    ++found.n;
    root[i] = 1.0 / std::sqrt(v[i]);
    present[i] = y[i];
    found.smallest = std::min(found.smallest, v[i]);
    found.largest = std::max(found.largest, v[i]);
  }
  if (found.n <= basis.cols()) return found;
  const MatrixXd x = root.asDiagonal() * basis;
  const VectorXd weighted = root.asDiagonal() * present;
  found.q = (weighted - x * x.colPivHouseholderQr().solve(weighted)).squaredNorm();
  return found;
}

bool same(const WeightedState& a, const WeightedState& b) {
  return reference::same_bits(a.parts().slots, b.parts().slots) &&
         reference::same_bits(a.parts().sums, b.parts().sums) &&
         a.parts().counts == b.parts().counts && a.n_rows() == b.n_rows();
}

}  // namespace

TEST_CASE("mixed effects are estimates of each group and then rows with these weights") {
  const Study study = two_groups();
  const Design design = make_design(study.x);
  for (const Tau2Method method :
       {Tau2Method::dersimonian_laird, Tau2Method::reml, Tau2Method::given}) {
    const Found found = updated<double>(study, method, 1);
    WeightedState wanted(design.n_working(), 0, kVoxels);
    RowMatrix weights(kImages, kVoxels);
    RowMatrix y = study.y;
    for (std::size_t g = 0; g < study.groups.size(); ++g) {
      const Tau2Group& group = study.groups[g];
      const RowMatrix own_y = study.y(group.rows, Eigen::all);
      const RowMatrix own_v = study.v(group.rows, Eigen::all);
      VectorXd tau2(kVoxels);
      VectorXd typical(kVoxels);
      groupglm::estimate_tau2(group.basis, view(own_y), view(own_v), method, 0.5, tau2.data(),
                              typical.data(), 1);
      const auto row = static_cast<Index>(g);
      CHECK(reference::same_bits(found.tau2.row(row), RowMatrix(tau2.transpose())));
      CHECK(reference::same_bits(found.typical.row(row), RowMatrix(typical.transpose())));
      for (Index k = 0; k < kVoxels; ++k) {
        CHECK(std::isnan(tau2[k]) == (g == 1 && k % 7 == 0));
        const Cochran own = cochran(group.basis, own_y.col(k), own_v.col(k));
        CHECK(found.n_images(row, k) == own.n);
        CHECK(found.q(row, k) == doctest::Approx(own.q).epsilon(1e-10));
        CHECK(found.smallest(row, k) == own.smallest);
        CHECK(found.largest(row, k) == own.largest);
        for (const Index i : group.rows) {
          weights(i, k) = study.v(i, k) > 0.0 ? 1.0 / (study.v(i, k) + tau2[k]) : 0.0;
          if (std::isnan(tau2[k]) && study.v(i, k) > 0.0) y(i, k) = kNaN;
        }
      }
    }
    WeightedRows<double> rows;
    rows.y = view(y);
    rows.w = view(weights);
    wanted.update(design, 0, rows, 1);
    CHECK(reference::same_bits(found.state.parts().slots, wanted.parts().slots));
    CHECK(reference::same_bits(found.state.parts().sums, wanted.parts().sums));
    const auto& counts = found.state.parts().counts;
    CHECK(counts.topRows(2) == wanted.parts().counts.topRows(2));
    // The image without a variance is counted, and those that its group loses are not.
    CHECK(counts.row(groupglm::kUnusable).sum() == (kVoxels + 6) / 7);
  }
}

TEST_CASE("threads and the type of the data change no bit of mixed effects") {
  Study study = two_groups();
  const Found one = updated<double>(study, Tau2Method::reml, 1);
  const Found three = updated<double>(study, Tau2Method::reml, 3);
  CHECK(same(one.state, three.state));
  CHECK(reference::same_bits(one.tau2, three.tau2));
  const Found single = updated<float>(study, Tau2Method::reml, 2);
  study.y = study.y.cast<float>().cast<double>();
  study.v = study.v.cast<float>().cast<double>();
  CHECK(same(single.state, updated<double>(study, Tau2Method::reml, 2).state));
}

TEST_CASE("a state takes the numbers of other voxels") {
  const Found found = updated<double>(two_groups(), Tau2Method::reml, 1);
  std::vector<Index> some;
  std::vector<Index> others;
  for (Index k = 0; k < kVoxels; ++k) (k % 5 == 2 ? some : others).push_back(k);
  WeightedState whole(2, 0, kVoxels, 2);
  whole.put(others, found.state.select(others));
  whole.put(some, found.state.select(some));
  CHECK(same(whole, found.state));
}
