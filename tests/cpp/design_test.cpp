// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/design.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "reference_ols.hpp"

namespace {

using groupglm::Design;
using groupglm::Factor;
using groupglm::factorize;
using groupglm::is_estimable;
using groupglm::make_design;
using groupglm::spans_constant;
using reference::Index;
using reference::kEps;
using reference::MatrixXd;
using reference::NamedDesign;
using reference::RealMatrix;
using reference::VectorXd;

const std::vector<Index> kRowCounts = {1, 2, 3, 9, 30, 300};

// S = Q R.
struct Reduced {
  MatrixXd q, r;
  explicit Reduced(const Design& design) {
    const Index columns = design.n_working();
    MatrixXd padded = MatrixXd::Zero(std::max(design.n_rows(), columns), columns);
    padded.topRows(design.n_rows()) = design.working;
    Eigen::HouseholderQR<MatrixXd> qr(padded);
    const MatrixXd full = qr.householderQ() * MatrixXd::Identity(padded.rows(), columns);
    q = full.topRows(design.n_rows());
    r = qr.matrixQR().topRows(columns).triangularView<Eigen::Upper>();
  }
};

bool spans_ones(const MatrixXd& x) {
  Index rank = 0;
  const RealMatrix pinv = reference::pseudo_inverse(x.cast<reference::Real>(), rank);
  const reference::RealVector ones = reference::RealVector::Ones(x.rows());
  return (x.cast<reference::Real>() * (pinv * ones) - ones).norm() < 1e-8;
}

MatrixXd basis_of(const MatrixXd& contrast, const Design& design) {
  return groupglm::hypothesis(contrast, design.scale, groupglm::contrast_rank(contrast, design));
}

bool estimable(const MatrixXd& x, const MatrixXd& contrast) {
  const Design design = make_design(x);
  const MatrixXd r = Reduced(design).r;
  return is_estimable(basis_of(contrast, design), factorize(r, design));
}

}  // namespace

TEST_CASE("the working design has unit columns, the constant in its span, and the design's rank") {
  for (const Index n : kRowCounts) {
    for (const NamedDesign& named : reference::designs(n)) {
      CAPTURE(n);
      CAPTURE(named.name);
      const Design design = make_design(named.x);
      const Index p = named.x.cols();
      CHECK(design.n_columns == p);
      CHECK(design.n_rows() == n);
      REQUIRE((design.n_working() == p || design.n_working() == p + 1));
      Index rank = 0;
      reference::pseudo_inverse(named.x.cast<reference::Real>(), rank);
      CHECK(design.rank == rank);
      const MatrixXd r = Reduced(design).r;
      CHECK(spans_constant(r, factorize(r, design), design) == spans_ones(named.x));
      for (Index j = 0; j < p; ++j) {
        const double length = named.x.col(j).norm();
        CHECK(design.scale[j] == doctest::Approx(length > 0 ? length : 1.0).epsilon(1e-14));
        const VectorXd back = design.working.col(j) * design.scale[j];
        // Two roundings an entry: of 1 / scale and of the product.
        CHECK((back - named.x.col(j)).norm() <= 4 * kEps * length);
      }
      const VectorXd ones = design.working * design.intercept;
      const double terms = static_cast<double>(design.n_working() + 3);
      const double size = (design.working.cwiseAbs() * design.intercept.cwiseAbs()).maxCoeff();
      CHECK((ones - VectorXd::Ones(n)).cwiseAbs().maxCoeff() <= terms * kEps * size);
    }
  }
}

TEST_CASE("no column is added when the constant is a simple combination of columns") {
  for (const NamedDesign& named : reference::designs(30)) {
    CAPTURE(named.name);
    const bool simple = named.name == "one sample" || named.name == "two groups" ||
                        named.name == "constant and covariates" ||
                        named.name == "groups, constant" || named.name == "a column of zeros";
    const Design design = make_design(named.x);
    CHECK(design.n_working() == named.x.cols() + (simple ? 0 : 1));
  }
}

TEST_CASE("a factor holds the pseudo-inverse and a basis of the residuals") {
  for (const Index n : kRowCounts) {
    for (const NamedDesign& named : reference::designs(n)) {
      CAPTURE(n);
      CAPTURE(named.name);
      const Design design = make_design(named.x);
      const Reduced reduced(design);
      const Factor factor = factorize(reduced.r, design);
      Index rank = 0;
      const MatrixXd expected =
          reference::pseudo_inverse(named.x.cast<reference::Real>(), rank).cast<double>();
      CHECK(factor.rank == rank);
      // |pinv(X + E) - pinv(X)| <= 2 cond |E| / |X| |pinv(X)| to first order (Wedin), E of the
      // size of an orthogonal reduction's backward error; Frobenius norms bound the spectral ones.
      const double condition = named.x.norm() * expected.norm();
      const double error = 2 * reference::reduction_error(n, design.n_working()) * condition;
      const MatrixXd pinv = groupglm::minimum_norm(factor) * reduced.q.transpose();
      CHECK((pinv - expected).norm() <= error * expected.norm());
      const Index q = design.n_working();
      REQUIRE(factor.null.rows() == q);
      REQUIRE(factor.null.cols() == q - rank);
      const double bound = reference::reduction_error(n, q);
      const MatrixXd gram = factor.null.transpose() * factor.null;
      CHECK((gram - MatrixXd::Identity(q - rank, q - rank)).norm() <= bound);
      const MatrixXd left = factor.null.transpose() * reduced.r.leftCols(named.x.cols());
      CHECK(left.norm() <= bound * reduced.r.norm());
    }
  }
}

TEST_CASE("rank, constant and estimability do not depend on the units of the columns") {
  const MatrixXd z = reference::normals(20, 2, 3);
  MatrixXd x(20, 4);
  x << VectorXd::Ones(20), z, z.col(0) + z.col(1);
  const MatrixXd difference = (MatrixXd(1, 4) << 0, 1, -1, 0).finished();
  const MatrixXd slope = (MatrixXd(1, 4) << 0, 1, 0, 0).finished();
  for (const double unit : {1e-200, 1e-9, 1.0, 1e9, 1e200}) {
    CAPTURE(unit);
    MatrixXd y = x;
    y.col(0) *= 1e3;
    y.rightCols(3) *= unit;
    const Design design = make_design(y);
    CHECK(design.rank == 3);
    CHECK(spans_constant(Reduced(design).r, factorize(Reduced(design).r, design), design));
    CHECK(design.working.allFinite());
    CHECK(estimable(y, difference));
    CHECK_FALSE(estimable(y, slope));
  }
}

TEST_CASE("estimable contrasts are those in the row space") {
  const VectorXd ones = VectorXd::Ones(12);
  VectorXd g = VectorXd::Zero(12);
  g.head(5).setOnes();
  MatrixXd x(12, 3);
  x << ones, g, ones - g;
  const auto row = [](double a, double b, double c) {
    return (MatrixXd(1, 3) << a, b, c).finished();
  };
  CHECK(estimable(x, row(0, 1, -1)));
  CHECK(estimable(x, row(1, 1, 0)));
  CHECK(estimable(x, row(2, 1, 1)));
  CHECK(estimable(x, row(0, 0, 0)));
  CHECK_FALSE(estimable(x, row(1, 0, 0)));
  CHECK_FALSE(estimable(x, row(0, 1, 0)));
  // One contrast so near to the row space that the distance does not matter, and one farther away.
  CHECK(estimable(x, row(0, 1, -1 + 1e-12)));
  CHECK_FALSE(estimable(x, row(0, 1, -1 + 1e-6)));
  // One row that cannot be estimated is enough to refuse a matrix.
  MatrixXd both(2, 3);
  both << row(0, 1, -1), row(1, 0, 0);
  CHECK_FALSE(estimable(x, both));
  // Without rows, only zero can be estimated.
  const Design design = make_design(x);
  const MatrixXd none = MatrixXd::Zero(3, 3);
  const Factor factor = factorize(none, design);
  CHECK(factor.rank == 0);
  CHECK(factor.pinv == MatrixXd::Zero(3, 3));
  CHECK_FALSE(is_estimable(basis_of(row(0, 1, -1), design), factor));
}

TEST_CASE("nearly dependent columns count as they should") {
  const MatrixXd z = reference::normals(40, 2, 9);
  MatrixXd x(40, 3);
  for (const double distance : {1e-6, 1e-10, 1e-15}) {
    CAPTURE(distance);
    x << VectorXd::Ones(40), z.col(0), z.col(0) + distance * z.col(1);
    const Design design = make_design(x);
    const Index expected = distance > 1e-12 ? 3 : 2;
    CHECK(design.rank == expected);
    CHECK(factorize(Reduced(design).r, design).rank == expected);
  }
}

TEST_CASE("effects of dependent columns do not depend on units, from the smallest to the largest") {
  const Index n = 24;
  const MatrixXd z = reference::normals(n, 2, 5);
  VectorXd g(n);
  for (Index i = 0; i < n; ++i) g[i] = static_cast<double>(i % 2);
  const VectorXd ones = VectorXd::Ones(n);
  MatrixXd x(n, 5);
  x << ones, g, ones - g, z;
  const MatrixXd difference = (MatrixXd(1, 5) << 0, 1, -1, 0, 0).finished();
  MatrixXd both(2, 5);
  both << difference, (MatrixXd(1, 5) << 0, 0, 0, 1, 0).finished();
  const Design plain = make_design(x);
  const MatrixXd expected = groupglm::gains(difference, plain);
  const Factor factor = factorize(plain);
  const groupglm::Split parts = groupglm::split(basis_of(both, plain), factor);
  const MatrixXd tested = parts.effect * parts.effect.transpose();
  for (const double unit : {1e-300, 1e-160, 1e-14, 1e18, 1e300}) {
    CAPTURE(unit);
    MatrixXd y = x;
    y.col(3) *= unit;
    y.col(4) /= unit;
    const Design design = make_design(y);
    CHECK(design.rank == 4);
    CHECK(design.has_intercept);
    // Columns are the same but for one rounding each; these are well conditioned.
    const double error = 100 * kEps;
    CHECK((groupglm::gains(difference, design) - expected).norm() <= error * expected.norm());
    const groupglm::Split own = groupglm::split(basis_of(both, design), factorize(design));
    CHECK((own.effect * own.effect.transpose() - tested).norm() <= error);
    CHECK((own.effect.transpose() * own.nuisance).norm() <= error);
    // Coefficients of minimum norm in any units give the same fit.
    const MatrixXd pinv = groupglm::minimum_norm(factorize(design));
    const MatrixXd fit = y * pinv;
    CHECK((fit - factor.span * factor.span.transpose()).norm() <= error);
  }
}

TEST_CASE("a hypothesis is the same however it is written") {
  const Index n = 60;
  const MatrixXd z = reference::normals(n, 1, 6);
  MatrixXd x(n, 5);
  for (Index i = 0; i < n; ++i) {
    const double year = 2010 + std::round(5 * z(i, 0));
    for (Index k = 0; k < 5; ++k) x(i, k) = std::pow(year, static_cast<double>(k));
  }
  const Design design = make_design(x);
  REQUIRE(design.rank == 5);
  const MatrixXd c = MatrixXd::Identity(5, 5).bottomRows(4);
  const MatrixXd mixed = reference::normals(4, 4, 7) * c;
  CHECK(groupglm::contrast_rank(c, design) == 4);
  CHECK(groupglm::contrast_rank(mixed, design) == 4);
  const MatrixXd a = basis_of(c, design);
  const MatrixXd b = basis_of(mixed, design);
  CHECK((a * a.transpose() - b * b.transpose()).norm() <= 1e-12);
  // Two columns 18 orders apart: the rows are nearly parallel in the scaled columns, but they are
  // two.
  x.col(1) = z.col(0);
  x.col(2) = 1e18 * reference::normals(n, 1, 8);
  const Design wide = make_design(x);
  MatrixXd rows = MatrixXd::Zero(2, 5);
  rows.row(0) << 0, 1, 1, 0, 0;
  rows.row(1) << 0, 1, -1, 0, 0;
  CHECK(groupglm::contrast_rank(rows, wide) == 2);
  const MatrixXd h = basis_of(rows, wide);
  CHECK(std::abs(std::abs(h.row(1).norm()) - 1) <= 1e-15);
  CHECK(std::abs(std::abs(h.row(2).norm()) - 1) <= 1e-15);
  // Dependent rows that only rounding separates count once.
  const MatrixXd means = MatrixXd::Identity(5, 5) - MatrixXd::Constant(5, 5, 0.2);
  CHECK(groupglm::contrast_rank(means, design) == 4);
}

TEST_CASE("the constant is in the span by the rule of rank") {
  const Index n = 20;
  const MatrixXd z = reference::normals(n, 1, 4);
  for (const double mean : {1e6, 1e9, 1e11}) {
    CAPTURE(mean);
    const MatrixXd far = (z.array() + mean).matrix();
    CHECK_FALSE(make_design(far).has_intercept);
    const Design design = make_design(far);
    const MatrixXd r = Reduced(design).r;
    CHECK_FALSE(spans_constant(r, factorize(r, design), design));
    MatrixXd with(n, 2);
    with << far, VectorXd::Constant(n, 3.0);
    CHECK(make_design(with).has_intercept);
  }
}
