// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "groupglm/models/weighted_fit.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::Array;
using groupglm::ContrastOutputs;
using groupglm::CountMatrix;
using groupglm::DataView;
using groupglm::Design;
using groupglm::InfiniteValue;
using groupglm::make_design;
using groupglm::NullDf;
using groupglm::RowMatrixOut;
using groupglm::Scale;
using groupglm::StatType;
using groupglm::WeightedParts;
using groupglm::WeightedRows;
using groupglm::WeightedState;
using reference::Index;
using reference::kInfinity;
using reference::kNaN;
using reference::MatrixXd;
using reference::RowMatrix;
using reference::VectorXd;

// Rows of a problem: effects, what is beside them, and the columns that all voxels share.
struct Problem {
  RowMatrix x;
  RowMatrix y;
  RowMatrix w;
  std::vector<RowMatrix> z;
};

RowMatrix uniform(Index rows, Index columns, unsigned seed, double low, double high) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> value(low, high);
  RowMatrix out(rows, columns);
  for (Index i = 0; i < out.size(); ++i) out.data()[i] = value(random);
  return out;
}

Problem problem(Index n, Index p, Index n_own, Index n_voxels, unsigned seed = 1) {
  Problem made{uniform(n, p, seed, -1, 1),
               uniform(n, n_voxels, seed + 1, 4, 5),
               uniform(n, n_voxels, seed + 2, 0.1, 3),
               {}};
  made.x.col(0).setOnes();
  for (Index j = 0; j < n_own; ++j) {
    made.z.push_back(uniform(n, n_voxels, seed + 3 + static_cast<unsigned>(j), 1, 2));
  }
  return made;
}

template <typename Scalar>
using Rows = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The state of rows [first, last) of a problem, given in the type Scalar.
template <typename Scalar = double>
WeightedState state_of(const Problem& from, Index first, Index last, int threads,
                       bool as_variances) {
  const Design design = make_design(from.x);
  std::vector<Rows<Scalar>> held{from.y.cast<Scalar>(), from.w.cast<Scalar>()};
  for (const RowMatrix& z : from.z) held.push_back(z.cast<Scalar>());
  std::vector<DataView<Scalar>> views;
  views.reserve(held.size());
  for (const auto& rows : held) {
    views.push_back({rows.data() + first * rows.cols(), last - first, rows.cols(), rows.cols(), 1});
  }
  const WeightedRows<Scalar> rows{
      views[0], views[1], {views.begin() + 2, views.end()}, as_variances};
  WeightedState state(design.n_working(), static_cast<Index>(from.z.size()), from.y.cols());
  state.update(design, first, rows, threads);
  return state;
}

bool same(const WeightedState& a, const WeightedState& b) {
  return reference::same_bits(a.parts().slots, b.parts().slots) &&
         reference::same_bits(a.parts().sums, b.parts().sums) &&
         a.parts().counts == b.parts().counts && a.n_rows() == b.n_rows();
}

// Weighted least squares of one voxel, from the definition, by a QR of its rows.
struct Expected {
  VectorXd beta;
  MatrixXd covariance;  // (X'WX)^-1
  double rss = 0.0;
  Index n = 0;
};

Expected expected(const Problem& from, Index voxel, bool as_variances) {
  const auto n_own = static_cast<Index>(from.z.size());
  std::vector<Index> present;
  for (Index i = 0; i < from.y.rows(); ++i) {
    bool has = !std::isnan(from.y(i, voxel)) && from.w(i, voxel) > 0.0;
    for (const RowMatrix& z : from.z) has = has && !std::isnan(z(i, voxel));
    if (has) present.push_back(i);
  }
  const auto n = static_cast<Index>(present.size());
  MatrixXd a(n, from.x.cols() + n_own);
  VectorXd b(n);
  for (Index k = 0; k < n; ++k) {
    const Index i = present[static_cast<std::size_t>(k)];
    const double given = from.w(i, voxel);
    const double root = std::sqrt(as_variances ? 1.0 / given : given);
    a.row(k).head(from.x.cols()) = root * from.x.row(i);
    for (Index j = 0; j < n_own; ++j) {
      a(k, from.x.cols() + j) = root * from.z[static_cast<std::size_t>(j)](i, voxel);
    }
    b[k] = root * from.y(i, voxel);
  }
  Expected out;
  out.n = n;
  out.beta = a.colPivHouseholderQr().solve(b);
  out.covariance = (a.transpose() * a).inverse();
  out.rss = (b - a * out.beta).squaredNorm();
  return out;
}

struct Contrasted {
  RowMatrix effect;
  VectorXd variance, stat, p, z;
};

Contrasted contrasted(const WeightedState& state, const Design& design, const MatrixXd& contrast,
                      StatType type, Scale scale, NullDf df, int threads) {
  const Index n = state.n_voxels();
  Contrasted out{RowMatrix(contrast.rows(), n), VectorXd(n), VectorXd(n), VectorXd(n), VectorXd(n)};
  const ContrastOutputs outputs{out.effect.data(), out.variance.data(), out.stat.data(),
                                out.p.data(), out.z.data()};
  weighted_contrast(state, design, contrast, type, scale, df, outputs, threads);
  return out;
}

// 24 rows of condition below 1e3, each rounded a few times: some 1e3 n eps.
constexpr double kClose = 1e-11;

void check_against_definition(const Problem& from, bool as_variances) {
  const Design design = make_design(from.x);
  const Index n_columns = design.n_columns + static_cast<Index>(from.z.size());
  const Index n_voxels = from.y.cols();
  const WeightedState state = state_of(from, 0, from.y.rows(), 2, as_variances);
  REQUIRE(state.parts().is_consistent());
  RowMatrix beta(n_columns, n_voxels);
  weighted_coefficients(state, design, RowMatrixOut(beta.data(), n_columns, n_voxels), 2);
  VectorXd rss(n_voxels);
  weighted_rss(state, design, Array(rss.data(), n_voxels), 2);
  const MatrixXd both = MatrixXd::Identity(n_columns, n_columns).bottomRows(2);
  const MatrixXd last = both.bottomRows(1);
  const Contrasted t =
      contrasted(state, design, last, StatType::t, Scale::one, NullDf::infinite, 2);
  const Contrasted f =
      contrasted(state, design, both, StatType::F, Scale::residual, NullDf::residual, 2);
  for (Index v = 0; v < n_voxels; ++v) {
    const Expected own = expected(from, v, as_variances);
    CHECK(state.parts().counts(groupglm::kPresent, v) == own.n);
    CHECK((beta.col(v) - own.beta).norm() <= kClose * own.beta.norm());
    CHECK(rss[v] == doctest::Approx(own.rss).epsilon(kClose));
    const double effect = own.beta[n_columns - 1];
    const double variance = own.covariance(n_columns - 1, n_columns - 1);
    CHECK(t.variance[v] == doctest::Approx(variance).epsilon(kClose));
    CHECK(t.stat[v] == doctest::Approx(effect / std::sqrt(variance)).epsilon(100 * kClose));
    const VectorXd effects = both * own.beta;
    const MatrixXd spread = both * own.covariance * both.transpose();
    const double sigma2 = own.rss / static_cast<double>(own.n - n_columns);
    const double expected_f = effects.dot(spread.inverse() * effects) / (2 * sigma2);
    CHECK(f.stat[v] == doctest::Approx(expected_f).epsilon(100 * kClose));
  }
}

}  // namespace

TEST_CASE(
    "every number of columns, covariates and voxels: the fit of each voxel is the definition's") {
  for (const Index n_voxels : {1, 31, 32, 33, 70}) {
    for (const Index p : {2, 3, 4, 5, 6}) {
      for (const Index n_own : {0, 1, 3}) {
        CAPTURE(n_voxels);
        CAPTURE(p);
        CAPTURE(n_own);
        Problem made = problem(24, p, n_own, n_voxels);
        check_against_definition(made, true);
        made.y(3, 0) = kNaN;
        made.w(7, n_voxels - 1) = kNaN;
        made.w(8, n_voxels - 1) = 0.0;
        if (n_own > 0) made.z[0](11, n_voxels / 2) = kNaN;
        check_against_definition(made, true);
        check_against_definition(made, false);
      }
    }
  }
}

TEST_CASE_TEMPLATE("any number of threads gives the same bits", Scalar, float, double) {
  for (const Index n_own : {0, 2}) {
    Problem made = problem(40, 3, n_own, 3000);
    made.y(5, 17) = kNaN;
    const WeightedState one = state_of<Scalar>(made, 0, 40, 1, true);
    CHECK(same(one, state_of<Scalar>(made, 0, 40, 3, true)));
    WeightedState merged = state_of<Scalar>(made, 0, 20, 1, true);
    WeightedState by_three = merged;
    merged.merge(state_of<Scalar>(made, 20, 40, 1, true), 1);
    by_three.merge(state_of<Scalar>(made, 20, 40, 3, true), 3);
    CHECK(same(merged, by_three));
    const Design design = make_design(made.x);
    const MatrixXd contrast = MatrixXd::Identity(3 + n_own, 3 + n_own).topRows(2);
    for (const StatType type : {StatType::t, StatType::F}) {
      const MatrixXd rows = type == StatType::t ? MatrixXd(contrast.topRows(1)) : contrast;
      const auto a = contrasted(one, design, rows, type, Scale::residual, NullDf::residual, 1);
      const auto b = contrasted(one, design, rows, type, Scale::residual, NullDf::residual, 3);
      CHECK(reference::same_bits(a.z, b.z));
    }
  }
}

TEST_CASE("a voxel's numbers do not depend on its place or its neighbours") {
  const Problem made = problem(20, 3, 1, 200);
  Problem moved = problem(20, 3, 1, 277, 50);
  moved.x = made.x;
  moved.y.rightCols(200) = made.y;
  moved.w.rightCols(200) = made.w;
  moved.z[0].rightCols(200) = made.z[0];
  const WeightedState alone = state_of(made, 0, 20, 1, true);
  const WeightedState among = state_of(moved, 0, 20, 1, true);
  CHECK(reference::same_bits(alone.parts().slots, RowMatrix(among.parts().slots.rightCols(200))));
}

TEST_CASE("states merge in any split, with an empty one to the bit") {
  Problem made = problem(30, 4, 1, 40);
  made.y(2, 3) = kNaN;
  made.y.col(9).head(15).setConstant(kNaN);
  const WeightedState whole = state_of(made, 0, 30, 1, true);
  for (const Index at : {1, 7, 15, 29}) {
    WeightedState merged = state_of(made, 0, at, 1, true);
    merged.merge(state_of(made, at, 30, 1, true), 1);
    CHECK(merged.n_rows() == 30);
    CHECK(merged.parts().counts == whole.parts().counts);
    CHECK(merged.parts().slots.isApprox(whole.parts().slots, 1e-12));
    CHECK(merged.parts().sums.topRows(3).isApprox(whole.parts().sums.topRows(3), 1e-14));
  }
  WeightedState with_none = whole;
  with_none.merge(WeightedState(4, 1, 40), 1);
  CHECK(same(with_none, whole));
}

TEST_CASE("what is missing is counted, and why") {
  Problem made = problem(8, 2, 0, 6);
  made.y(0, 0) = 0.0;
  made.w(0, 0) = 0.0;   // outside
  made.w(1, 1) = 0.0;   // unusable
  made.w(1, 2) = kNaN;  // unusable
  made.w(2, 3) = -1.0;  // negative
  made.y(3, 4) = kNaN;  // missing, whatever the variance
  made.w(3, 4) = -1.0;
  made.w(6, 5) = 1e-3;  // the heaviest image
  const WeightedState state = state_of(made, 0, 8, 1, true);
  const CountMatrix& counts = state.parts().counts;
  CountMatrix expected(3, 6);
  expected << 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0;
  CHECK(CountMatrix(counts.bottomRows(3)) == expected);
  CHECK(counts(groupglm::kPresent, 4) == 7);
  CHECK(counts(groupglm::kHeaviest, 5) == 6);
  CHECK(state.parts().sums(groupglm::kWeightMax, 5) == 1.0 / 1e-3);
  CHECK(state.n_missing() == 5);
}

TEST_CASE("an infinite value is found in its row among interleaved rows") {
  for (const Index role : {0, 1, 2}) {
    Problem made = problem(8, 2, 1, 5);
    RowMatrix& rows = role == 0 ? made.y : (role == 1 ? made.w : made.z[0]);
    rows(4, 2) = kInfinity;
    rows(4, 3) = -kInfinity;
    rows(6, 0) = kInfinity;
    try {
      state_of(made, 0, 8, 2, true);
      FAIL("no infinite value found");
    } catch (const InfiniteValue& found) {
      CHECK(found.row == 4 * 3 + role);
      CHECK(found.count == 2);
    }
  }
}

TEST_CASE("a covariate that is constant at a place leaves nothing to estimate there") {
  Problem made = problem(12, 2, 1, 40);
  made.z[0].col(33).setConstant(1.7);
  made.z[0].col(34).setZero();
  const Design design = make_design(made.x);
  const WeightedState state = state_of(made, 0, 12, 1, true);
  MatrixXd contrast(1, 3);
  contrast << 0, 0, 1;
  const auto own =
      contrasted(state, design, contrast, StatType::t, Scale::residual, NullDf::residual, 1);
  const auto f =
      contrasted(state, design, contrast, StatType::F, Scale::residual, NullDf::residual, 1);
  Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1> rank(40);
  weighted_rank(state, design, {rank.data(), 40}, 1);
  for (Index v = 0; v < 40; ++v) {
    const bool constant = v == 33 || v == 34;
    CHECK(rank[v] == (constant ? 2 : 3));
    CHECK(std::isnan(own.stat[v]) == constant);
    CHECK(std::isnan(f.stat[v]) == constant);
    if (!constant) CHECK(f.stat[v] == doctest::Approx(own.stat[v] * own.stat[v]).epsilon(1e-10));
  }
  contrast << 0, 1, 0;  // can be estimated whatever the covariate is
  const auto other =
      contrasted(state, design, contrast, StatType::t, Scale::residual, NullDf::residual, 1);
  CHECK(other.stat.allFinite());
  CHECK(any_estimable(state, design, contrast, 1));
  made.z[0].setConstant(1.7);
  contrast << 0, 0, 1;
  CHECK_FALSE(any_estimable(state_of(made, 0, 12, 1, true), design, contrast, 1));
}

TEST_CASE("a state is refused unless its parts fit") {
  const WeightedState state = state_of(problem(8, 2, 1, 5), 0, 8, 1, true);
  CHECK(WeightedParts(state.parts()).is_consistent());
  const auto refused = [&](auto change) {
    WeightedParts parts = state.parts();
    change(parts);
    CHECK_THROWS_AS(WeightedState{std::move(parts)}, std::invalid_argument);
  };
  refused([](WeightedParts& parts) { parts.n_rows = 7; });
  refused([](WeightedParts& parts) { parts.n_rows = -1; });
  refused([](WeightedParts& parts) { parts.n_own = 2; });
  refused([](WeightedParts& parts) { parts.slots(0, 0) = -1; });
  refused([](WeightedParts& parts) { parts.slots(7, 0) = kNaN; });
  refused([](WeightedParts& parts) { parts.sums(groupglm::kWeightMin, 0) = 0; });
  refused([](WeightedParts& parts) { parts.counts(groupglm::kHeaviest, 0) = 8; });
  refused([](WeightedParts& parts) { parts.counts.conservativeResize(5, 4); });
}
