// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "groupglm/loops/inner_loops.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::kPanel;
using groupglm::kPanelSums;
using groupglm::kTogether;
using groupglm::RowPresence;
using groupglm::WeighedRows;
using reference::Index;
using reference::kInfinity;
using reference::kNaN;
using reference::RowMatrix;

// Rows with gaps between them, some of which are missing in some voxels, or in all.
template <typename Scalar>
struct Rows {
  using Data = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Rows()
      : y(reference::normals(kTogether, kPanel + 3, 1).cast<Scalar>()),
        v(reference::normals(kTogether, kPanel + 5, 2).array().exp().matrix().cast<Scalar>()),
        tau2(reference::normals(1, kPanel, 3).cwiseAbs()) {
    y(0, 3) = v(1, 4) = static_cast<Scalar>(kNaN);
    v(2, 5) = static_cast<Scalar>(0.0);
    v(2, 6) = static_cast<Scalar>(-1.0);
    y.row(3).setConstant(static_cast<Scalar>(kNaN));
  }
  WeighedRows<Scalar> rows(Index n_rows, bool as_variances) const {
    WeighedRows<Scalar> made;
    made.value = y.data();
    made.given = v.data();
    made.value_stride = y.cols();
    made.given_stride = v.cols();
    made.n_rows = n_rows;
    made.tau2 = tau2.data();
    made.as_variances = as_variances;
    made.number = 7.0;
    return made;
  }
  Data y, v;
  RowMatrix tau2;
};

template <typename Scalar>
void check_weighing(Index n_rows, bool as_variances) {
  const Rows<Scalar> data;
  RowMatrix sums = RowMatrix::Zero(kPanelSums, kPanel);
  sums.row(groupglm::kWeightMin).setConstant(kInfinity);
  RowMatrix value(n_rows, kPanel);
  RowMatrix weight(n_rows, kPanel);
  std::array<RowPresence, kTogether> presence{};
  groupglm::inner_loops().weigh(data.rows(n_rows, as_variances), sums.data(), value.data(),
                                weight.data(), presence.data());
  RowMatrix wanted = RowMatrix::Zero(kPanelSums, kPanel);
  wanted.row(groupglm::kWeightMin).setConstant(kInfinity);
  for (Index i = 0; i < n_rows; ++i) {
    Index n_present = 0;
    for (Index k = 0; k < kPanel; ++k) {
      const auto y = static_cast<double>(data.y(i, k));
      const auto v = static_cast<double>(data.v(i, k));
      const bool present = !std::isnan(y) && v > 0.0;
      const double w = as_variances ? 1.0 / (v + data.tau2(0, k)) : v;
      CHECK(value(i, k) == (present ? y : 0.0));
      CHECK(weight(i, k) == (present ? w : 0.0));
      if (!present) continue;
      ++n_present;
      wanted(groupglm::kTotal, k) += y;
      wanted(groupglm::kWeightSum, k) += w;
      wanted(groupglm::kRowsPresent, k) += 1.0;
      if (w > wanted(groupglm::kWeightMax, k)) {
        wanted(groupglm::kWeightMax, k) = w;
        wanted(groupglm::kHeaviestRow, k) = 7.0 + static_cast<double>(i);
      }
      wanted(groupglm::kWeightMin, k) = std::min(wanted(groupglm::kWeightMin, k), w);
    }
    const RowPresence& own = presence[static_cast<std::size_t>(i)];
    CHECK(own.any == (n_present > 0));
    CHECK(own.all == (n_present == kPanel));
    CHECK(!own.infinite);
  }
  CHECK((sums.array() == wanted.array()).all());
}

}  // namespace

TEST_CASE("rows are weighed, alone or together, one after the other") {
  for (Index n_rows = 1; n_rows <= kTogether; ++n_rows) {
    for (const bool as_variances : {false, true}) {
      check_weighing<float>(n_rows, as_variances);
      check_weighing<double>(n_rows, as_variances);
    }
  }
}

TEST_CASE("weighing says which rows have an infinite value or weight") {
  for (const bool of_value : {false, true}) {
    Rows<double> data;
    (of_value ? data.y : data.v)(1, 9) = kInfinity;
    RowMatrix sums = RowMatrix::Zero(kPanelSums, kPanel);
    RowMatrix out(2 * kTogether, kPanel);
    std::array<RowPresence, kTogether> presence{};
    groupglm::inner_loops().weigh(data.rows(kTogether, true), sums.data(), out.data(),
                                  out.data() + kTogether * kPanel, presence.data());
    for (std::size_t i = 0; i < presence.size(); ++i) CHECK(presence[i].infinite == (i == 1));
  }
}
