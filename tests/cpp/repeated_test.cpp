// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "groupglm/models/random_intercept.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::ContrastOutputs;
using groupglm::DataView;
using groupglm::Design;
using groupglm::DfMethod;
using groupglm::InfiniteValue;
using groupglm::make_design;
using groupglm::RepeatedState;
using groupglm::StatType;
using reference::Index;
using reference::kInfinity;
using reference::kNaN;
using reference::MatrixXd;
using reference::RowMatrix;
using reference::VectorXd;

// Subjects with these numbers of images, one after the other.
struct Study {
  RowMatrix x;
  RowMatrix y;
  std::vector<std::int64_t> visit;
  std::vector<std::int64_t> size;
  std::vector<Index> subject;

  Study(const std::vector<Index>& sizes, Index n_voxels) {
    for (std::size_t s = 0; s < sizes.size(); ++s) {
      for (Index j = 1; j <= sizes[s]; ++j) {
        visit.push_back(j);
        size.push_back(sizes[s]);
        subject.push_back(static_cast<Index>(s));
      }
    }
    std::mt19937_64 random(1);
    std::normal_distribution<double> value;
    const auto n = static_cast<Index>(visit.size());
    x.resize(n, 3);
    y.resize(n, n_voxels);
    const RowMatrix levels =
        RowMatrix::NullaryExpr(static_cast<Index>(sizes.size()), n_voxels,
                               [&](Index, Index) { return 5.0 + value(random); });
    for (Index i = 0; i < n; ++i) {
      const Index own = subject[static_cast<std::size_t>(i)];
      x.row(i) << 1.0, static_cast<double>(own % 2),
          static_cast<double>(visit[static_cast<std::size_t>(i)]);
      for (Index v = 0; v < n_voxels; ++v) y(i, v) = levels(own, v) + value(random);
    }
  }

  void add(RepeatedState& state, const Design& design, Index first, Index last,
           int threads = 1) const {
    const DataView<double> view{y.data() + first * y.cols(), last - first, y.cols(), y.cols(), 1};
    state.update<double>({design.working.middleRows(first, last - first), design.intercept,
                          visit.data() + first, size.data() + first},
                         view, threads);
  }

  RepeatedState state(const Design& design, int threads = 1) const {
    RepeatedState made(design.n_working(), y.cols());
    add(made, design, 0, y.rows(), threads);
    return made;
  }
};

const std::vector<Index> kSizes{1, 3, 2, 4, 2, 3, 1, 4, 3, 2};

struct Fit {
  VectorXd ratio;
  VectorXd residual;
};

Fit fit(const RepeatedState& state, const Design& design, int threads = 1) {
  Fit out{VectorXd(state.n_voxels()), VectorXd(state.n_voxels())};
  fit_random_intercept(state, design, out.ratio.data(), out.residual.data(), threads);
  return out;
}

// The slope of the criterion by the dense matrices of one voxel's rows, and Q / (n - p).
struct Dense {
  double slope = 0.0;
  double residual = 0.0;
};

Dense dense(const Study& study, Index voxel, double ratio) {
  std::vector<Index> rows;
  for (Index i = 0; i < study.y.rows(); ++i) {
    if (!std::isnan(study.y(i, voxel))) rows.push_back(i);
  }
  const auto n = static_cast<Index>(rows.size());
  MatrixXd k(n, n);
  MatrixXd x(n, study.x.cols());
  VectorXd y(n);
  for (Index i = 0; i < n; ++i) {
    const Index own = rows[static_cast<std::size_t>(i)];
    x.row(i) = study.x.row(own);
    y[i] = study.y(own, voxel);
    for (Index j = 0; j < n; ++j) {
      k(i, j) = study.subject[static_cast<std::size_t>(own)] ==
                        study.subject[static_cast<std::size_t>(rows[static_cast<std::size_t>(j)])]
                    ? 1.0
                    : 0.0;
    }
  }
  // Not by LU, which in Eigen refers to an empty block of a matrix of many rows.
  const MatrixXd one = MatrixXd::Identity(n, n);
  const MatrixXd inverse = (one + ratio * k).ldlt().solve(one);
  const MatrixXd p =
      inverse - inverse * x * (x.transpose() * inverse * x).inverse() * x.transpose() * inverse;
  const VectorXd py = p * y;
  const auto df = static_cast<double>(n - x.cols());
  const double q = y.dot(py);
  return {(p * k).trace() - df * py.dot(k * py) / q, q / df};
}

void check_fit(const Study& study, const Fit& found) {
  for (Index v = 0; v < study.y.cols(); ++v) {
    CAPTURE(v);
    const Dense expected = dense(study, v, found.ratio[v]);
    // The slope is a sum of some 10 terms of size 1 to 10, by inverses of condition 10.
    if (found.ratio[v] > 0.0) {
      CHECK(expected.slope == doctest::Approx(0.0).epsilon(1e-9));
    } else {
      CHECK(expected.slope > -1e-9);
    }
    CHECK(found.residual[v] == doctest::Approx(expected.residual).epsilon(1e-11));
  }
}

}  // namespace

TEST_CASE("the ratio is a root of the slope of the criterion, or 0 where it rises") {
  Study study(kSizes, 50);
  const Design design = make_design(study.x);
  check_fit(study, fit(study.state(design), design));
}

TEST_CASE("a voxel without some visits has the fit of those it has") {
  Study study(kSizes, 50);
  std::mt19937_64 random(3);
  std::bernoulli_distribution lacks(0.2);
  for (Index i = 0; i < study.y.size(); ++i) {
    if (lacks(random)) study.y.data()[i] = kNaN;
  }
  const Design design = make_design(study.x);
  const RepeatedState whole = study.state(design);
  check_fit(study, fit(whole, design));

  SUBCASE("however the rows are divided") {
    RepeatedState one(design.n_working(), study.y.cols());
    for (Index i = 0; i < study.y.rows(); ++i) study.add(one, design, i, i + 1);
    CHECK(one.is_complete());
    CHECK((fit(one, design).ratio - fit(whole, design).ratio).cwiseAbs().maxCoeff() < 1e-11);
  }
  SUBCASE("merged after a subject's end") {
    RepeatedState one(design.n_working(), study.y.cols());
    RepeatedState other = one;
    study.add(one, design, 0, 10);
    study.add(other, design, 10, study.y.rows());
    one.merge(other, 2);
    CHECK(one.n_missing() == whole.n_missing());
    CHECK((fit(one, design).ratio - fit(whole, design).ratio).cwiseAbs().maxCoeff() < 1e-11);
  }
  SUBCASE("for any number of threads") {
    CHECK(fit(study.state(design, 4), design, 4).ratio == fit(whole, design).ratio);
  }
}

TEST_CASE("voxels where columns take up all differences within subjects have no estimate") {
  Study study(kSizes, 40);
  // Two columns differ within subjects: the visit, and another.
  for (Index i = 0; i < study.x.rows(); ++i) {
    const auto visit = static_cast<double>(study.visit[static_cast<std::size_t>(i)]);
    study.x(i, 1) = std::sin(visit + 3.0 * static_cast<double>(i));
  }
  for (Index v = 0; v < 39; ++v) {
    Index left = v < 20 ? 2 : 3;  // second visits
    for (Index i = 0; i < study.y.rows(); ++i) {
      if (study.visit[static_cast<std::size_t>(i)] == 1) continue;
      if (study.visit[static_cast<std::size_t>(i)] > 2 || left-- <= 0) study.y(i, v) = kNaN;
    }
  }
  const Design design = make_design(study.x);
  const Fit found = fit(study.state(design), design);
  for (Index v = 0; v < 40; ++v) {
    CAPTURE(v);
    CHECK(std::isnan(found.ratio[v]) == (v < 20));
    CHECK(std::isnan(found.residual[v]) == (v < 20));
  }
}

TEST_CASE("more images and voxels than a slice and a tile have") {
  std::vector<Index> sizes;
  for (int k = 0; k < 12; ++k) sizes.insert(sizes.end(), kSizes.begin(), kSizes.end());
  Study study(sizes, 600);
  std::mt19937_64 random(4);
  std::bernoulli_distribution lacks(0.02);
  for (Index i = 0; i < study.y.rows(); ++i) {
    for (Index v = 0; v < 600; v += 100) {
      if (lacks(random)) study.y(i, v) = kNaN;
    }
  }
  study.y.col(500).setConstant(kNaN);
  study.y.block(0, 555, 127, 1).setConstant(kNaN);  // the slice ends within a subject
  const Design design = make_design(study.x);
  const RepeatedState whole = study.state(design);
  const Fit found = fit(whole, design);
  CHECK(whole.n_missing() == 7);
  CHECK(std::isnan(found.ratio[500]));

  SUBCASE("have the fit of each voxel's images") {
    Study some(sizes, 8);
    Fit own{VectorXd(8), VectorXd(8)};
    for (Index k = 0; k < 8; ++k) {
      const Index v = std::vector<Index>{0, 1, 100, 200, 257, 300, 555, 599}.at(k);
      some.y.col(k) = study.y.col(v);
      own.ratio[k] = found.ratio[v];
      own.residual[k] = found.residual[v];
    }
    check_fit(some, own);
  }
  SUBCASE("for any number of threads") {
    const Fit other = fit(study.state(design, 3), design, 3);
    for (Index v = 0; v < 600; ++v) {
      const bool is_same = other.ratio[v] == found.ratio[v] || v == 500;
      CHECK(is_same);
    }
  }
  SUBCASE("with voxels that are not side by side, in single precision") {
    const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic> columns = study.y.cast<float>();
    const auto n = columns.rows();
    RepeatedState state(design.n_working(), 600);
    const DataView<float> view{columns.data(), n, 600, 1, n};
    state.update<float>({design.working, design.intercept, study.visit.data(), study.size.data()},
                        view, 2);
    const RowMatrix rounded = columns.cast<double>();
    study.y = rounded;
    const VectorXd wanted = fit(study.state(design), design).ratio;
    const VectorXd ratio = fit(state, design).ratio;
    for (Index v = 0; v < 600; ++v) {
      const bool is_same = ratio[v] == wanted[v] || v == 500;
      CHECK(is_same);
    }
  }
  SUBCASE("however the rows are divided") {
    RepeatedState other(design.n_working(), 600);
    for (Index i = 0; i < study.y.rows(); i += 43) {
      study.add(other, design, i, std::min(i + 43, study.y.rows()), 2);
    }
    CHECK(other.n_missing() == whole.n_missing());
    const VectorXd ratio = fit(other, design).ratio;
    for (Index v = 0; v < 600; ++v) {
      if (v != 500) CHECK(ratio[v] == doctest::Approx(found.ratio[v]).epsilon(1e-9));
    }
  }
}

TEST_CASE("voxels of zeros are added in the middle of a subject") {
  Study study(kSizes, 3);
  study.y(1, 1) = kNaN;
  study.y(2, 2) = kNaN;
  const Design design = make_design(study.x);
  RepeatedState some(design.n_working(), 3);
  study.add(some, design, 0, 3);  // the second subject has one more image
  CHECK(!some.is_complete());
  CHECK_THROWS_AS(some.merge(some, 1), std::invalid_argument);
  CHECK_THROWS_AS(some.select({0}), std::invalid_argument);
  Study wide(kSizes, 5);
  wide.y.setZero();
  for (const Index v : {0, 1, 2}) wide.y.col(v + (v > 0 ? 1 : 0)) = study.y.col(v);
  RepeatedState spread = some.spread({0, 2, 3}, 5);
  wide.add(spread, design, 3, wide.y.rows());
  const RepeatedState expected = wide.state(design);
  const Fit found = fit(spread, design);
  const Fit wanted = fit(expected, design);
  CHECK((found.ratio - wanted.ratio).cwiseAbs().maxCoeff() < 1e-12);
  CHECK((found.residual - wanted.residual).cwiseAbs().maxCoeff() < 1e-12);
  CHECK(spread.n_missing() == expected.n_missing());
}

TEST_CASE("infinite values are counted, and those beyond differences refused") {
  Study study(kSizes, 4);
  const Design design = make_design(study.x);
  study.y(7, 1) = kInfinity;
  study.y(7, 3) = -kInfinity;
  try {
    study.state(design);
    FAIL("an infinite value was taken");
  } catch (const InfiniteValue& found) {
    CHECK(found.row == 7);
    CHECK(found.count == 2);
  }
  study.y.row(7).setConstant(1.5e308);
  CHECK_THROWS_AS(study.state(design), std::overflow_error);
}

TEST_CASE("a balanced one-way design has the F of repeated measures") {
  constexpr Index kSubjects = 8;
  constexpr Index kVisits = 3;
  Study study(std::vector<Index>(kSubjects, kVisits), 40);
  study.x = RowMatrix::Zero(study.y.rows(), kVisits);
  for (Index i = 0; i < study.y.rows(); ++i) study.x(i, i % kVisits) = 1.0;
  const Design design = make_design(study.x);
  const RepeatedState state = study.state(design);
  const Fit found = fit(state, design);
  MatrixXd contrast = MatrixXd::Zero(2, kVisits);
  contrast << 1, -1, 0, 0, 1, -1;
  const Index n = study.y.cols();
  for (const DfMethod method : {DfMethod::kenward_roger, DfMethod::satterthwaite}) {
    RowMatrix out(7, n);
    const ContrastOutputs outputs{out.row(0).data(), out.row(2).data(), out.row(3).data(),
                                  out.row(4).data(), out.row(5).data()};
    const Index rank =
        random_intercept_contrast(state, design, found.ratio.data(), contrast, StatType::F, method,
                                  outputs, out.row(6).data(), 1);
    CHECK(rank == 2);
    for (Index v = 0; v < n; ++v) {
      if (found.ratio[v] == 0.0) continue;
      MatrixXd table(kSubjects, kVisits);
      for (Index i = 0; i < study.y.rows(); ++i) table(i / kVisits, i % kVisits) = study.y(i, v);
      const auto means = table.colwise().mean();
      const double between = kSubjects * (means.array() - table.mean()).square().sum() / 2.0;
      const MatrixXd left =
          ((table.rowwise() - means).colwise() - table.rowwise().mean()).array() + table.mean();
      const double expected = between / (left.squaredNorm() / 14.0);
      CHECK(out(3, v) == doctest::Approx(expected).epsilon(1e-10));
      CHECK(out(6, v) == doctest::Approx(14.0).epsilon(1e-9));
    }
  }
}
