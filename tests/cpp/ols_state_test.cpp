// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "reference_ols.hpp"

namespace {

using groupglm::Design;
using groupglm::InfiniteValue;
using groupglm::make_design;
using groupglm::MissingVoxels;
using groupglm::OlsParts;
using groupglm::OlsState;
using reference::compare;
using reference::in_batches;
using reference::Index;
using reference::kEps;
using reference::kInfinity;
using reference::kNaN;
using reference::kPromise;
using reference::Layout;
using reference::MatrixXd;
using reference::merge_at_random;
using reference::NamedDesign;
using reference::parts_of;
using reference::random_batches;
using reference::results;
using reference::RowMatrix;
using reference::same_state;
using reference::state_of;
using reference::state_of_rows;
using reference::take_rows;
using reference::VectorXd;
using reference::Worst;

MatrixXd typical_x(Index n) { return reference::designs(n)[2].x; }

// Adds the rows of y to a state in every way, and compares each state with the reference.
void check_every_way(const MatrixXd& x, const RowMatrix& y) {
  const Design design = make_design(x);
  const auto check = [&](const OlsState& state, const char* way) {
    CAPTURE(way);
    CHECK(state.parts().is_consistent());
    CHECK(state.n_rows() == y.rows());
    const Worst worst = compare(x, y, results(state, design));
    INFO(describe(worst));
    CHECK(worst.fine());
  };
  check(state_of(design, y), "in one go");
  check(in_batches(design, y, std::vector<Index>(static_cast<std::size_t>(y.rows()), 1)),
        "row by row");
  for (unsigned seed = 0; seed < 3; ++seed) {
    const std::vector<Index> sizes = random_batches(y.rows(), seed);
    check(in_batches(design, y, sizes), "in batches");
    check(merge_at_random(parts_of(design, y, sizes), seed), "merged");
  }
}

}  // namespace

TEST_CASE("every design, any number of rows: the fit of each voxel is the reference's") {
  for (const Index n : {1, 2, 3, 9, 10, 127, 128, 129, 300}) {
    for (const NamedDesign& named : reference::designs(n)) {
      CAPTURE(n);
      CAPTURE(named.name);
      check_every_way(named.x, reference::make_data(named.x, 5, 21));
    }
  }
}

TEST_CASE("values missing at random: the fit of each voxel is the reference's") {
  for (const Index n : {2, 9, 40, 128, 129, 300}) {
    for (const NamedDesign& named : reference::designs(n)) {
      CAPTURE(n);
      CAPTURE(named.name);
      RowMatrix y = reference::make_data(named.x, 7, 22);
      RowMatrix few = y.leftCols(3);
      reference::scatter_nan(few, 50, 1);
      reference::scatter_nan(y, 3, 2);
      y.leftCols(3) = few;
      check_every_way(named.x, y);
    }
  }
}

TEST_CASE_TEMPLATE("any number of voxels, in any layout, on any number of threads", Scalar, float,
                   double) {
  const MatrixXd x = typical_x(20);
  const Design design = make_design(x);
  for (const Index m : {0, 1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 2047, 2048, 2049, 5000}) {
    for (const bool missing : {false, true}) {
      CAPTURE(m);
      CAPTURE(missing);
      RowMatrix y = reference::rounded<Scalar>(reference::make_data(x, m, 23));
      if (missing) reference::scatter_nan(y, 40, 3);
      const OlsState state = state_of<Scalar>(design, y);
      const Worst worst = compare(x, y, results(state, design));
      INFO(describe(worst));
      CHECK(worst.fine());
      for (const int threads : {2, 3}) {
        for (const Layout layout :
             {Layout::rows, Layout::columns, Layout::gaps, Layout::reversed}) {
          CHECK(same_state(state, state_of<Scalar>(design, y, threads, layout)));
        }
      }
    }
  }
}

TEST_CASE("several blocks of rows give the same bits on any number of threads") {
  for (const bool missing : {false, true}) {
    const MatrixXd x = typical_x(300);
    const Design design = make_design(x);
    RowMatrix y = reference::make_data(x, 5000, 24);
    if (missing) reference::scatter_nan(y, 2000, 3);
    const OlsState one = state_of(design, y, 1);
    const OlsState three = state_of(design, y, 3);
    CHECK(same_state(one, three));
    OlsState merged = one;
    merged.merge(three, 1);
    OlsState merged_by_three = one;
    merged_by_three.merge(three, 3);
    CHECK(same_state(merged, merged_by_three));
    CHECK(same_results(results(one, design, 1), results(one, design, 3)));
  }
}

TEST_CASE("a voxel's numbers do not depend on its place or its neighbours") {
  const MatrixXd x = typical_x(150);
  const Design design = make_design(x);
  const RowMatrix y = reference::make_data(x, 200, 25);
  RowMatrix other = reference::make_data(x, 200, 26);
  reference::scatter_nan(other, 10, 4);
  RowMatrix shifted(150, 377);
  shifted << other.leftCols(77), y, other.leftCols(100);
  const OlsState alone = state_of(design, y);
  const OlsState among = state_of(design, shifted);
  CHECK(reference::same_bits(alone.w(), RowMatrix(among.w().middleCols(77, 200))));
  CHECK(reference::same_bits(alone.rss(), VectorXd(among.rss().segment(77, 200))));
}

TEST_CASE("whole rows, first blocks and voxels without any value") {
  const MatrixXd x = typical_x(300);
  RowMatrix y = reference::make_data(x, 6, 27);
  SUBCASE("whole rows") {
    for (const Index i : {0, 5, 127, 128, 299}) y.row(i).setConstant(kNaN);
  }
  SUBCASE("one row at one voxel") { y(131, 2) = kNaN; }
  SUBCASE("voxels absent everywhere") {
    y.col(0).setConstant(kNaN);
    y.col(5).setConstant(kNaN);
  }
  SUBCASE("every voxel absent everywhere") { y.setConstant(kNaN); }
  SUBCASE("the first block absent") { y.topRows(128).setConstant(kNaN); }
  SUBCASE("the first block absent at some voxels") { y.block(0, 1, 150, 2).setConstant(kNaN); }
  SUBCASE("the last block absent at some voxels") { y.block(128, 1, 172, 2).setConstant(kNaN); }
  SUBCASE("only some rows, fewer than columns") { y.block(2, 3, 298, 2).setConstant(kNaN); }
  check_every_way(x, y);
}

TEST_CASE("merging states with missing values in one, the other, both or none") {
  const MatrixXd x = typical_x(60);
  const Design design = make_design(x);
  const RowMatrix full = reference::make_data(x, 40, 28);
  for (const bool in_first : {false, true}) {
    for (const bool in_second : {false, true}) {
      CAPTURE(in_first);
      CAPTURE(in_second);
      RowMatrix y = full;
      if (in_first) {
        y.block(3, 0, 2, 15).setConstant(kNaN);
        y.block(0, 10, 25, 2).setConstant(kNaN);
      }
      if (in_second) {
        y.block(30, 8, 3, 12).setConstant(kNaN);
        y.block(25, 11, 35, 2).setConstant(kNaN);
      }
      const OlsState first = state_of_rows(design, y, 0, 25);
      const OlsState second = state_of_rows(design, y, 25, 35);
      for (const bool swapped : {false, true}) {
        OlsState merged = swapped ? second : first;
        merged.merge(swapped ? first : second, 1);
        CHECK(merged.parts().is_consistent());
        CHECK(merged.has_missing() == (in_first || in_second));
        const Worst worst = compare(x, y, results(merged, design));
        INFO(describe(worst));
        CHECK(worst.fine());
        // The merged state takes further rows.
        take_rows(merged, design, full, 0, 60);
        MatrixXd twice(120, x.cols());
        twice << x, x;
        RowMatrix y_twice(120, 40);
        y_twice << y, full;
        const Worst after = compare(twice, y_twice, results(merged, design));
        INFO(describe(after));
        CHECK(after.fine());
      }
    }
  }
}

TEST_CASE("an empty state and empty blocks change nothing") {
  const MatrixXd x = typical_x(30);
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 9, 29);
  y(4, 4) = kNaN;
  const OlsState state = state_of(design, y);
  OlsState same = state;
  same.merge(OlsState(design.n_working(), 9), 1);
  take_rows(same, design, y, 0, 0);
  CHECK(same_state(same, state));
  OlsState from_empty(design.n_working(), 9);
  from_empty.merge(state, 1);
  const Worst worst = compare(x, y, results(from_empty, design));
  INFO(describe(worst));
  CHECK(worst.fine());
}

// Data whose mean is many times their standard deviation. The noise is exact in binary and so is
// its sum with the mean: the residuals are those of the noise alone.
TEST_CASE("batching keeps its promise for data far from zero") {
  constexpr Index kRows = 300;
  const MatrixXd x = typical_x(kRows);
  const Design design = make_design(x);
  for (const bool missing : {false, true}) {
    RowMatrix noise = reference::dyadic_noise(kRows, 60, 30);
    if (missing) reference::scatter_nan(noise, 30, 5);
    for (const double mean : {1e4, 1e8}) {
      CAPTURE(missing);
      CAPTURE(mean);
      const RowMatrix y = noise.array() + mean;
      // A state holds the mean with a relative error of eps a step, the sum of squares thereby
      // with mean eps / sd; up to 300 steps whose errors add like a random walk, sqrt(300) < 20.
      const double promise = std::max(kPromise, 20 * mean * kEps);
      const auto check = [&](const OlsState& state, const char* way) {
        CAPTURE(way);
        double rss = 0;
        double slope = 0;
        const reference::Results found = results(state, design);
        for (Index v = 0; v < 60; ++v) {
          const reference::Voxel voxel = reference::fit_voxel(x, noise.col(v));
          const double slope_size = static_cast<double>(voxel.pinv.norm()) * voxel.length;
          rss = std::max(rss, reference::ratio(found.rss[v], voxel.rss, promise * voxel.rss));
          slope =
              std::max(slope, reference::ratio(found.beta(0, v), static_cast<double>(voxel.beta[0]),
                                               promise * slope_size));
        }
        CAPTURE(rss);
        CAPTURE(slope);
        CHECK(rss <= 1);
        CHECK(slope <= 1);
      };
      check(state_of(design, y), "in one go");
      check(in_batches(design, y, std::vector<Index>(kRows, 1)), "row by row");
      for (unsigned seed = 0; seed < 3; ++seed) {
        const std::vector<Index> sizes_of_batches = random_batches(kRows, seed);
        check(in_batches(design, y, sizes_of_batches), "in batches");
        check(merge_at_random(parts_of(design, y, sizes_of_batches), seed), "merged");
      }
    }
  }
}

TEST_CASE("select takes some voxels, in the order given") {
  const MatrixXd x = typical_x(30);
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 10, 31);
  y(0, 3) = kNaN;
  y.col(4).setConstant(kNaN);
  y.block(5, 6, 10, 1).setConstant(kNaN);
  const OlsState state = state_of(design, y);
  for (const std::vector<Index>& voxels :
       {std::vector<Index>{}, {0}, {0, 1, 9}, {3}, {9, 6, 4, 3, 0}, {6, 6, 4, 4, 2, 2}}) {
    OlsState some = state.select(voxels);
    CHECK(some.parts().is_consistent());
    REQUIRE(some.n_voxels() == static_cast<Index>(voxels.size()));
    const RowMatrix y_some = y(Eigen::all, voxels);
    const Worst worst = compare(x, y_some, results(some, design));
    INFO(describe(worst));
    CHECK(worst.fine());
    CHECK(some.has_missing() == y_some.hasNaN());
    // A selection is a state like any other.
    take_rows(some, design, y_some, 0, 30);
    MatrixXd twice(60, x.cols());
    twice << x, x;
    RowMatrix y_twice(60, y_some.cols());
    y_twice << y_some, y_some;
    const Worst after = compare(twice, y_twice, results(some, design));
    INFO(describe(after));
    CHECK(after.fine());
  }
}

TEST_CASE("is_consistent finds parts that do not fit together") {
  const MatrixXd x = typical_x(30);
  RowMatrix y = reference::make_data(x, 5, 32);
  y(0, 3) = kNaN;
  const OlsState good = state_of(make_design(x), y);
  CHECK(good.parts().is_consistent());
  CHECK(OlsState().parts().is_consistent());
  CHECK(OlsState(3, 0).parts().is_consistent());
  CHECK_NOTHROW(OlsState(good.parts()));
  const auto spoiled = [&](auto&& spoil) {
    OlsParts parts = good.parts();
    spoil(parts);
    CHECK_THROWS_AS(OlsState{parts}, std::invalid_argument);
    return !parts.is_consistent();
  };
  CHECK(spoiled([](OlsParts& s) { s.n_rows = -1; }));
  CHECK(spoiled([](OlsParts& s) { s.r.conservativeResize(2, 3); }));
  CHECK(spoiled([](OlsParts& s) { s.r.conservativeResize(3, 2); }));
  CHECK(spoiled([](OlsParts& s) { s.w.conservativeResize(3, 4); }));
  CHECK(spoiled([](OlsParts& s) { s.rss.conservativeResize(6); }));
  CHECK(spoiled([](OlsParts& s) { s.missing.slot.pop_back(); }));
  CHECK(spoiled([](OlsParts& s) { s.missing.slot.clear(); }));
  CHECK(spoiled([](OlsParts& s) { s.missing.slot[3] = 1; }));
  CHECK(spoiled([](OlsParts& s) { s.missing.slot[3] = -3; }));
  CHECK(spoiled([](OlsParts& s) { s.missing.factors.pop_back(); }));
  CHECK(spoiled([](OlsParts& s) { s.missing.n_rows.push_back(3); }));
  CHECK(spoiled([](OlsParts& s) { s.exponent = {1, 2, 3}; }));
  CHECK(spoiled([](OlsParts& s) { s.exponent = {0, 0, 9999, 0, 0}; }));
}

TEST_CASE_TEMPLATE("an infinite value is refused by row and count", Scalar, float, double) {
  const MatrixXd x = typical_x(300);
  const Design design = make_design(x);
  for (const Index row : {0, 1, 127, 128, 299}) {
    for (const Layout layout : {Layout::rows, Layout::columns, Layout::gaps, Layout::reversed}) {
      CAPTURE(row);
      RowMatrix y = reference::make_data(x, 300, 33);
      y(row, 40) = kInfinity;
      y(row, 41) = -kInfinity;
      y(row, 299) = kInfinity;
      if (row < 299) y(299, 7) = kInfinity;
      // A voxel may be missing rows besides: before, after, with one finite value left or none.
      if (row > 0) y(0, 40) = kNaN;
      y.col(41).setConstant(kNaN);
      y(row, 41) = -kInfinity;
      for (const int threads : {1, 3}) {
        try {
          state_of<Scalar>(design, y, threads, layout);
          FAIL("nothing was thrown");
        } catch (const InfiniteValue& found) {
          CHECK(found.row == row);
          CHECK(found.count == 3);
        }
      }
    }
  }
}

TEST_CASE("an infinite value is found in a voxel that already misses rows") {
  const MatrixXd x = typical_x(30);
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 3, 34);
  y(2, 1) = kNaN;
  OlsState state = state_of_rows(design, y, 0, 15);
  y(20, 1) = kInfinity;
  CHECK_THROWS_AS(take_rows(state, design, y, 15, 15), InfiniteValue);
}

TEST_CASE("a factor of each voxel belongs to the rows it has") {
  const MatrixXd x = typical_x(40);
  const Design design = make_design(x);
  RowMatrix y = reference::make_data(x, 3, 36);
  y.block(0, 1, 25, 1).setConstant(kNaN);
  y.col(2).setConstant(kNaN);
  const OlsState state = in_batches(design, y, {10, 1, 9, 20});
  const Index first_rows[] = {0, 25, 40};
  for (Index v = 0; v < 3; ++v) {
    const Index n = 40 - first_rows[v];
    const MatrixXd rows = design.working.bottomRows(n);
    const MatrixXd r = state.factor_at(v);
    CHECK(state.n_observations(v) == n);
    CHECK(r.isUpperTriangular(0.0));
    const double error = 4 * reference::reduction_error(40, rows.cols());
    CHECK((r.transpose() * r - rows.transpose() * rows).norm() <= error * rows.squaredNorm());
  }
  CHECK(state.slot(0) == MissingVoxels::kComplete);
  CHECK(state.slot(1) >= 0);
  CHECK(state.slot(2) == MissingVoxels::kAbsent);
}
