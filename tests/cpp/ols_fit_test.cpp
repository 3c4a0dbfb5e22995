// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_fit.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "reference_ols.hpp"

namespace {

using groupglm::DataView;
using groupglm::Design;
using groupglm::make_design;
using groupglm::OlsState;
using reference::Index;
using reference::kEps;
using reference::kNaN;
using reference::Layout;
using reference::MatrixXd;
using reference::NamedDesign;
using reference::Results;
using reference::results;
using reference::RowMatrix;
using reference::state_of;
using reference::VectorXd;

template <typename Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Half a unit in the last place of the output, and the sum of p products and a difference in
// double.
template <typename Scalar>
double worst_residual(const Matrix<Scalar>& found, const MatrixXd& x, const RowMatrix& beta,
                      const RowMatrix* y) {
  const double half_unit = std::numeric_limits<Scalar>::epsilon() / 2;
  double worst = 0;
  for (Index i = 0; i < found.rows(); ++i) {
    for (Index v = 0; v < found.cols(); ++v) {
      reference::Real expected = y != nullptr ? (*y)(i, v) : 0.0;
      double size = std::abs(static_cast<double>(expected));
      for (Index j = 0; j < x.cols(); ++j) {
        const auto product = static_cast<reference::Real>(x(i, j)) * beta(j, v);
        expected += y != nullptr ? -product : product;
        size += std::abs(static_cast<double>(product));
      }
      const double terms = static_cast<double>(x.cols() + 1) * kEps * size;
      worst = std::max(
          worst, reference::ratio(static_cast<double>(found(i, v)), static_cast<double>(expected),
                                  1.01 * half_unit * size + terms));
    }
  }
  return worst;
}

// States of the same data that reach a constant voxel by different ways.
std::vector<std::pair<std::string, OlsState>> ways(const Design& design, const RowMatrix& y) {
  const Index n = y.rows();
  OlsState by_row(design.n_working(), y.cols());
  for (Index i = 0; i < n; ++i) reference::take_rows(by_row, design, y, i, 1);
  OlsState merged = reference::state_of_rows(design, y, 0, n / 2);
  merged.merge(reference::state_of_rows(design, y, n / 2, n - n / 2), 1);
  return {{"in one go", state_of(design, y)}, {"row by row", by_row}, {"merged", merged}};
}

}  // namespace

TEST_CASE_TEMPLATE("residuals and predictions, in any layout", Scalar, float, double) {
  const MatrixXd x = reference::designs(23)[4].x;
  for (const Index m : {0, 1, 33, 2047, 2048, 2049, 5000}) {
    CAPTURE(m);
    RowMatrix y = reference::rounded<Scalar>(reference::make_data(x, m, 41));
    reference::scatter_nan(y, 100, 6);
    const RowMatrix beta = reference::normals(x.cols(), m, 42);
    const RowMatrix rows = x;
    Matrix<Scalar> one;
    for (const Layout layout : {Layout::rows, Layout::columns, Layout::gaps, Layout::reversed}) {
      const reference::Stored<Scalar> stored = reference::store<Scalar>(y, layout);
      for (const int threads : {1, 3}) {
        Matrix<Scalar> out(23, m);
        groupglm::residuals<Scalar>(rows, beta, stored.view, out.data(), threads);
        CHECK(worst_residual<Scalar>(out, x, beta, &y) <= 1);
        if (one.size() == 0) one = out;
        CHECK(reference::same_bits(one, out));
      }
    }
    Matrix<Scalar> fitted(23, m);
    Matrix<Scalar> fitted_by_three(23, m);
    groupglm::predict<Scalar>(rows, beta, fitted.data(), 1);
    groupglm::predict<Scalar>(rows, beta, fitted_by_three.data(), 3);
    CHECK(worst_residual<Scalar>(fitted, x, beta, nullptr) <= 1);
    CHECK(reference::same_bits(fitted, fitted_by_three));
  }
}

TEST_CASE("results are the same bits on any number of threads") {
  const MatrixXd x = reference::designs(40)[5].x;
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 5000, 43);
  for (const bool missing : {false, true}) {
    if (missing) reference::scatter_nan(y, 400, 7);
    const OlsState state = state_of(design, y);
    const Results one = results(state, design, 1);
    CHECK(same_results(one, results(state, design, 2)));
    CHECK(same_results(one, results(state, design, 5)));
  }
}

TEST_CASE("a voxel's results do not depend on its place") {
  const MatrixXd x = reference::designs(40)[5].x;
  const Design design = make_design(x);
  const OlsState state = state_of(design, reference::make_data(x, 70, 44));
  const Results all = results(state, design);
  for (Index v = 0; v < 70; ++v) {
    const Results alone = results(state.select({v}), design);
    CHECK(reference::same_bits(alone.beta, RowMatrix(all.beta.col(v))));
    CHECK(alone.rss[0] == all.rss[v]);
    CHECK(alone.r_square[0] == all.r_square[v]);
    CHECK(alone.mean[0] == all.mean[v]);
  }
}

TEST_CASE("no rows: coefficients, means and shares are not numbers") {
  const MatrixXd x = reference::designs(10)[2].x;
  const Design design = make_design(x);
  const Results found = results(OlsState(design.n_working(), 3), design);
  CHECK(found.n.isZero());
  CHECK(found.rank.isZero());
  CHECK(found.beta.array().isNaN().all());
  CHECK(found.mean.array().isNaN().all());
  CHECK(found.r_square.array().isNaN().all());
}

TEST_CASE("a constant voxel has no residual and no share explained") {
  std::vector<NamedDesign> designs = reference::designs(30);
  for (const NamedDesign& more : reference::designs(300)) designs.push_back(more);
  for (const NamedDesign& named : designs) {
    const Design design = make_design(named.x);
    const VectorXd ones = VectorXd::Ones(named.x.rows());
    const MatrixXd x = named.x;
    const VectorXd best = x.completeOrthogonalDecomposition().solve(ones);
    if ((x * best - ones).norm() > 1e-8) continue;
    RowMatrix y = reference::make_data(named.x, 5, 45);
    const double values[] = {0.0, 5.0, 0.1, -12345.678};
    for (Index v = 0; v < 4; ++v) y.col(v).setConstant(values[v]);
    for (const bool missing : {false, true}) {
      if (missing) y.row(3).setConstant(kNaN);
      for (const auto& named_state : ways(design, y)) {
        const std::string& way = named_state.first;
        const OlsState& state = named_state.second;
        CAPTURE(named.name);
        CAPTURE(missing);
        CAPTURE(way);
        const Results found = results(state, design);
        CHECK(found.rss.head(4) == VectorXd::Zero(4));
        CHECK(found.r_square.head(4).array().isNaN().all());
        CHECK(found.rss[4] > 0.0);
      }
    }
  }
}

TEST_CASE("the share explained does not depend on an added constant when one is in the model") {
  const MatrixXd x = reference::designs(50)[2].x;
  const Design design = make_design(x);
  const RowMatrix noise = reference::dyadic_noise(50, 20, 46);
  const Results plain = results(state_of(design, noise), design);
  const Results far = results(state_of(design, noise.array() + 1e4), design);
  for (Index v = 0; v < 20; ++v) {
    CHECK(reference::ratio(far.r_square[v], plain.r_square[v], reference::kPromise) <= 1);
  }
}

TEST_CASE("visit_voxels covers each voxel once and each incomplete one by itself") {
  const MatrixXd x = reference::designs(12)[2].x;
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 4500, 47);
  for (Index v = 0; v < 4500; v += 7) y(v % 12, v) = kNaN;
  y.col(14).setConstant(kNaN);
  const OlsState state = state_of(design, y);
  std::vector<std::atomic<int>> runs(4500);
  std::vector<std::atomic<int>> own(4500);
  std::vector<Index> rows(4500, -1);
  groupglm::visit_voxels(
      state, design,
      {[&](Index first, Index count) {
         for (Index v = first; v < first + count; ++v) ++runs[static_cast<std::size_t>(v)];
       },
       [&](Index v, const MatrixXd& r, const groupglm::Factor& factor, Index n_rows) {
         const auto at = static_cast<std::size_t>(v);
         // The shared factorisation must be this voxel's.
         const bool right = r == state.factor_at(v) &&
                            factor.pinv == groupglm::factorize(state.factor_at(v), design).pinv;
         own[at] += right ? 1 : 100;
         rows[at] = n_rows;
       }},
      3);
  for (Index v = 0; v < 4500; ++v) {
    const auto at = static_cast<std::size_t>(v);
    const Index expected = v == 14 ? 0 : 11;
    const bool right = runs[at] == 1 && own[at] == (v % 7 == 0 ? 1 : 0) &&
                       rows[at] == (v % 7 == 0 ? expected : -1);
    if (!right) CAPTURE(v);
    CHECK(right);
  }
}

TEST_CASE("values whose squares overflow are scaled, and leave their neighbours alone") {
  const MatrixXd x = reference::designs(30)[2].x;
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 4, 35);
  for (const double huge : {1e155, 1e200, 1e307}) {
    CAPTURE(huge);
    y(0, 1) = huge;
    y(17, 1) = -huge;
    y.col(2) *= huge / y.col(2).cwiseAbs().maxCoeff();
    OlsState state = state_of(design, y);
    CHECK(state.n_observations(1) == 30);
    state.merge(state_of(design, y), 2);
    CHECK(state.parts().is_consistent());
    CHECK(state.n_observations(1) == 60);
    CHECK(state.slot(1) == groupglm::MissingVoxels::kComplete);
    CHECK(state.exponent_of(0) == 0);
    // The exponent of the largest value, or of the norm in the state.
    CHECK(std::abs(state.exponent_of(1) - std::ilogb(huge)) <= 1);
    // The other rows are negligible: the fit is that of the two largest ones.
    const double size = std::ldexp(huge, -state.exponent_of(1));
    VectorXd rss(4);
    groupglm::scaled_rss(state, design, groupglm::Array(rss.data(), 4), 1);
    MatrixXd twice_x(60, x.cols());
    twice_x << x, x;
    VectorXd two = VectorXd::Zero(60);
    two[0] = two[30] = size;
    two[17] = two[47] = -size;
    const VectorXd left = two - twice_x * twice_x.completeOrthogonalDecomposition().solve(two);
    CHECK(rss[1] == doctest::Approx(left.squaredNorm()).epsilon(1e-12));
    const std::vector<Index> others = {0, 3};
    MatrixXd twice(60, x.cols());
    twice << x, x;
    RowMatrix y_twice(60, 2);
    y_twice << y(Eigen::all, others), y(Eigen::all, others);
    const reference::Worst worst =
        reference::compare(twice, y_twice, results(state.select(others), design));
    INFO(describe(worst));
    CHECK(worst.fine());
  }
}
