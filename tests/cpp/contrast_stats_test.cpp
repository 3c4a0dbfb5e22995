// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/contrast_stats.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "groupglm/special/tails.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::ContrastInfo;
using groupglm::Design;
using groupglm::make_design;
using groupglm::OlsState;
using groupglm::StatType;
using reference::Index;
using reference::kNaN;
using reference::kPromise;
using reference::MatrixXd;
using reference::NamedDesign;
using reference::ratio;
using reference::RealMatrix;
using reference::RealVector;
using reference::RowMatrix;
using reference::state_of;
using reference::VectorXd;

struct Map {
  RowMatrix effect;
  VectorXd variance, stat, p_value, z_score;
  ContrastInfo info;
};

// Outputs start as a number that is never a result, so that an entry left out shows.
Map contrast_of(const OlsState& state, const Design& design, const MatrixXd& contrast,
                StatType type, int n_threads = 1) {
  const Index n = state.n_voxels();
  const VectorXd unset = VectorXd::Constant(n, -77.0);
  Map out{RowMatrix::Constant(contrast.rows(), n, -77.0), unset, unset, unset, unset, {}};
  out.info = groupglm::contrast_statistics(state, design, contrast, type,
                                           {out.effect.data(), out.variance.data(), out.stat.data(),
                                            out.p_value.data(), out.z_score.data()},
                                           n_threads);
  return out;
}

struct Expected {
  RealVector effect;
  double variance = kNaN, stat = kNaN, df = 0;
  Index rank = 0;
  double effect_size = 0;  // |C pinv| |y|: the scale of the effects' rounding
};

// The formulas of textbooks, on the rows present.
Expected expected_contrast(const MatrixXd& x, const VectorXd& y, const MatrixXd& contrast,
                           StatType type) {
  const reference::Voxel voxel = reference::fit_voxel(x, y);
  const RealMatrix c = contrast.cast<reference::Real>();
  const RealMatrix g = c * voxel.pinv;
  Expected out;
  out.df = static_cast<double>(voxel.n - voxel.rank);
  reference::pseudo_inverse(c, out.rank);
  out.effect = RealVector::Constant(c.rows(), std::numeric_limits<reference::Real>::quiet_NaN());
  if (voxel.n == 0 || out.df == 0 || (g * voxel.x - c).norm() > 1e-6 * c.norm()) return out;
  out.effect = c * voxel.beta;
  out.effect_size = static_cast<double>(g.norm()) * voxel.length;
  const double sigma2 = voxel.rss / out.df;
  if (type == StatType::t) {
    out.variance = sigma2 * static_cast<double>(g.squaredNorm());
    out.stat = static_cast<double>(out.effect[0]) / std::sqrt(out.variance);
  } else {
    out.variance = sigma2;
    Index rank = 0;
    const RealMatrix covariance = g * g.transpose();
    const auto quadratic = static_cast<double>(
        out.effect.dot(reference::pseudo_inverse(covariance, rank) * out.effect));
    out.stat = quadratic / static_cast<double>(out.rank) / sigma2;
  }
  return out;
}

struct Worst {
  double effect = 0, variance = 0, stat = 0, tails = 0;
  bool fine() const { return effect <= 1 && variance <= 1 && stat <= 1 && tails <= 1; }
};

std::string describe(const Worst& worst) {
  return "effect " + std::to_string(worst.effect) + ", variance " + std::to_string(worst.variance) +
         ", stat " + std::to_string(worst.stat) + ", tails " + std::to_string(worst.tails);
}

double tails_ratio(const Map& found, Index v, const Expected& expected, StatType type) {
  groupglm::TailProbability tail{kNaN, kNaN};
  const double stat = found.stat[v];
  if (!std::isnan(expected.stat)) {
    const auto rank = static_cast<double>(expected.rank);
    tail = type == StatType::t ? groupglm::StudentT(expected.df).exact(stat)
                               : groupglm::FisherF(rank, expected.df).exact(stat);
  }
  // What special/tails.hpp promises, 1e-12 of each route, and 1e-14 for a z near zero.
  const double p = ratio(found.p_value[v], tail.p, 2e-12 * tail.p);
  const double z = ratio(found.z_score[v], tail.z, 2e-12 * std::abs(tail.z) + 2e-14);
  return std::max(p, z);
}

Worst compare(const MatrixXd& x, const RowMatrix& y, const MatrixXd& contrast, StatType type,
              const Map& found) {
  Worst worst;
  for (const Index v : reference::sample_voxels(y.cols())) {
    const Expected expected = expected_contrast(x, y.col(v), contrast, type);
    for (Index k = 0; k < contrast.rows(); ++k) {
      worst.effect =
          std::max(worst.effect, ratio(found.effect(k, v), static_cast<double>(expected.effect[k]),
                                       kPromise * expected.effect_size));
    }
    worst.variance = std::max(
        worst.variance, ratio(found.variance[v], expected.variance, kPromise * expected.variance));
    // The relative error of the statistic is the effect's and half the variance's; the square of an
    // effect doubles it.
    const double scale =
        type == StatType::t
            ? std::abs(expected.stat) + expected.effect_size / std::sqrt(expected.variance)
            : 4 * (expected.stat + 1);
    worst.stat = std::max(worst.stat, ratio(found.stat[v], expected.stat, kPromise * scale));
    worst.tails = std::max(worst.tails, tails_ratio(found, v, expected, type));
  }
  return worst;
}

// Contrasts that the rows of each design can estimate: rows of X and their sums.
MatrixXd estimable_contrasts(const MatrixXd& x, Index k) {
  return reference::normals(k, x.rows(), 61) * x / static_cast<double>(x.rows());
}

MatrixXd row_of(const std::vector<double>& values) {
  return Eigen::Map<const Eigen::RowVectorXd>(values.data(), static_cast<Index>(values.size()));
}

}  // namespace

TEST_CASE("t and F of every design are the textbook's") {
  for (const Index n : {12, 129, 300}) {
    for (const NamedDesign& named : reference::designs(n)) {
      for (const unsigned one_in : {0U, 30U}) {
        CAPTURE(n);
        CAPTURE(named.name);
        CAPTURE(one_in);
        const Design design = make_design(named.x);
        RowMatrix y = reference::make_data(named.x, 6, 51);
        if (one_in > 0) reference::scatter_nan(y, one_in, 8);
        const OlsState state = state_of(design, y);
        const MatrixXd c = estimable_contrasts(named.x, 1);
        const Worst t =
            compare(named.x, y, c, StatType::t, contrast_of(state, design, c, StatType::t));
        INFO("t: " << describe(t));
        CHECK(t.fine());
        for (const Index k : {1, 2, 3}) {
          const MatrixXd rows = estimable_contrasts(named.x, k);
          const Map found = contrast_of(state, design, rows, StatType::F);
          const Worst f = compare(named.x, y, rows, StatType::F, found);
          INFO("F: " << describe(f));
          CHECK(f.fine());
          CHECK(found.info.rank == std::min(k, design.rank));
          CHECK(found.info.df_residual == static_cast<double>(n - design.rank));
        }
      }
    }
  }
}

TEST_CASE("any number of voxels and threads: the same bits") {
  const MatrixXd x = reference::designs(25)[5].x;
  const Design design = make_design(x);
  const MatrixXd c = estimable_contrasts(x, 2);
  for (const Index m : {0, 1, 31, 32, 33, 127, 128, 129, 2047, 2048, 2049, 5000}) {
    for (const unsigned one_in : {0U, 60U}) {
      CAPTURE(m);
      CAPTURE(one_in);
      RowMatrix y = reference::make_data(x, m, 52);
      if (one_in > 0) reference::scatter_nan(y, one_in, 9);
      const OlsState state = state_of(design, y);
      for (const StatType type : {StatType::t, StatType::F}) {
        const MatrixXd rows = type == StatType::t ? MatrixXd(c.topRows(1)) : c;
        const Map one = contrast_of(state, design, rows, type);
        const Worst worst = compare(x, y, rows, type, one);
        INFO(describe(worst));
        CHECK(worst.fine());
        for (const int threads : {2, 3}) {
          const Map many = contrast_of(state, design, rows, type, threads);
          CHECK(reference::same_bits(one.effect, many.effect));
          CHECK(reference::same_bits(one.variance, many.variance));
          CHECK(reference::same_bits(one.stat, many.stat));
          CHECK(reference::same_bits(one.p_value, many.p_value));
          CHECK(reference::same_bits(one.z_score, many.z_score));
        }
      }
    }
  }
}

TEST_CASE("a voxel whose rows cannot estimate the contrast has no result, the others do") {
  const Index n = 20;
  const MatrixXd x = reference::designs(n)[1].x;
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 6, 53);
  for (Index i = 0; i < n; ++i) {
    if (x(i, 0) == 1.0) y(i, 1) = kNaN;  // no image of the first group
    if (x(i, 1) == 1.0) y(i, 2) = kNaN;  // none of the second
  }
  y.col(3).setConstant(kNaN);
  y.block(2, 4, n - 2, 1).setConstant(kNaN);  // as many images as columns
  const OlsState state = state_of(design, y);
  const std::vector<std::vector<bool>> has_result = {{true, false, false, false, false, true},
                                                     {true, false, true, false, false, true},
                                                     {true, true, false, false, false, true}};
  const MatrixXd contrasts[] = {row_of({1, -1}), row_of({1, 0}), row_of({0, 1})};
  for (std::size_t c = 0; c < 3; ++c) {
    for (const StatType type : {StatType::t, StatType::F}) {
      const Map found = contrast_of(state, design, contrasts[c], type);
      const Worst worst = compare(x, y, contrasts[c], type, found);
      INFO(describe(worst));
      CHECK(worst.fine());
      for (Index v = 0; v < 6; ++v) {
        const bool expected = has_result[c][static_cast<std::size_t>(v)];
        for (const double value : {found.effect(0, v), found.variance[v], found.stat[v],
                                   found.p_value[v], found.z_score[v]}) {
          CHECK(std::isnan(value) != expected);
        }
      }
    }
  }
}

TEST_CASE("without residual degrees of freedom, or estimability, nothing is a number") {
  for (const bool few_rows : {true, false}) {
    CAPTURE(few_rows);
    const Index n = few_rows ? 4 : 20;
    const MatrixXd x = reference::designs(n)[few_rows ? 3 : 5].x.leftCols(few_rows ? 3 : 4);
    const MatrixXd square = x.topRows(few_rows ? 3 : n);
    const Design design = make_design(square);
    const OlsState state = state_of(design, reference::make_data(square, 3, 54));
    const MatrixXd c = MatrixXd::Identity(1, square.cols());
    for (const StatType type : {StatType::t, StatType::F}) {
      const Map found = contrast_of(state, design, c, type);
      CHECK(found.stat.array().isNaN().all());
      CHECK(found.p_value.array().isNaN().all());
      CHECK(found.z_score.array().isNaN().all());
      CHECK(found.variance.array().isNaN().all());
      CHECK(found.effect.array().isNaN().all());
    }
  }
}

TEST_CASE("an F contrast counts independent rows, whatever their units") {
  const MatrixXd x = reference::designs(40)[2].x;
  const Design design = make_design(x);
  const RowMatrix y = reference::make_data(x, 9, 55);
  const OlsState state = state_of(design, y);
  const MatrixXd two = estimable_contrasts(x, 2);
  MatrixXd four(4, 3);
  four << 1e6 * two.row(0), two.row(1), 1e-5 * (two.row(0) - two.row(1)), -two.row(0);
  const Map plain = contrast_of(state, design, two, StatType::F);
  const Map redundant = contrast_of(state, design, four, StatType::F);
  CHECK(plain.info.rank == 2);
  CHECK(redundant.info.rank == 2);
  for (Index v = 0; v < 9; ++v) {
    CHECK(ratio(redundant.stat[v], plain.stat[v], kPromise * plain.stat[v]) <= 1);
    CHECK(ratio(redundant.effect(0, v), 1e6 * plain.effect(0, v),
                kPromise * std::abs(1e6 * plain.effect(0, v))) <= 1);
  }
}

TEST_CASE("t does not change with a contrast's scale, turns with its sign, and F is its square") {
  const MatrixXd x = reference::designs(40)[5].x;
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 9, 56);
  reference::scatter_nan(y, 40, 10);
  const OlsState state = state_of(design, y);
  const MatrixXd c = estimable_contrasts(x, 1);
  const Map plain = contrast_of(state, design, c, StatType::t);
  for (const double scale : {1e-9, 3.0, 1e9, -1.0, -7e4}) {
    CAPTURE(scale);
    const Map scaled = contrast_of(state, design, scale * c, StatType::t);
    const Map f = contrast_of(state, design, scale * c, StatType::F);
    const double sign = std::copysign(1.0, scale);
    for (Index v = 0; v < 9; ++v) {
      // Rounding of the contrast's dot products only; the state is the same.
      const double error = 1e-12 * std::abs(plain.stat[v]) + 1e-12;
      CHECK(ratio(scaled.stat[v], sign * plain.stat[v], error) <= 1);
      CHECK(ratio(scaled.effect(0, v), scale * plain.effect(0, v),
                  error * std::abs(scale) * std::sqrt(plain.variance[v])) <= 1);
      CHECK(ratio(f.stat[v], std::pow(plain.stat[v], 2),
                  2 * error * std::abs(plain.stat[v]) + error * error) <= 1);
    }
  }
}

TEST_CASE("a constant voxel has statistic 0 where its effect is nothing, else an infinite one") {
  for (const NamedDesign& named : reference::designs(30)) {
    if (named.name != "two groups" && named.name != "groups, constant" &&
        named.name != "scaled groups") {
      continue;
    }
    const Design design = make_design(named.x);
    RowMatrix y = reference::make_data(named.x, 4, 57);
    y.col(1).setConstant(0.1);
    y.col(2).setZero();
    // The difference of the groups, and the mean of the first.
    const bool constant = named.name == "groups, constant";
    const bool scaled = named.name == "scaled groups";
    const MatrixXd difference = constant ? row_of({0, 1, -1, 0})
                                : scaled ? row_of({0.3, -0.7, 0})
                                         : row_of({1, -1});
    const MatrixXd level = constant ? row_of({1, 1, 0, 0})
                           : scaled ? row_of({0.3, 0, 0})
                                    : row_of({1, 0});
    for (const bool missing : {false, true}) {
      if (missing) y.row(2).setConstant(kNaN);
      for (const bool merged : {false, true}) {
        CAPTURE(named.name);
        CAPTURE(missing);
        CAPTURE(merged);
        OlsState state = reference::state_of_rows(design, y, 0, merged ? 13 : 30);
        if (merged) state.merge(reference::state_of_rows(design, y, 13, 17), 1);
        for (const StatType type : {StatType::t, StatType::F}) {
          const Map none = contrast_of(state, design, difference, type);
          const Map some = contrast_of(state, design, level, type);
          for (const Index v : {1, 2}) {
            CHECK(none.stat[v] == 0.0);
            CHECK(none.variance[v] == 0.0);
            const double half = type == StatType::t ? 0.5 : 1.0;
            CHECK(ratio(none.p_value[v], half, 1e-12) <= 1);
          }
          CHECK(some.stat[1] == reference::kInfinity);
          CHECK(some.p_value[1] == 0.0);
          CHECK(some.z_score[1] == reference::kInfinity);
          CHECK(some.stat[2] == 0.0);
        }
      }
    }
  }
}
