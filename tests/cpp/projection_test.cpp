// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/projection.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "reference_ols.hpp"

namespace {

using groupglm::kPanel;
using groupglm::multiply_panel;
using groupglm::project_panel;
using groupglm::residual_panel;
using reference::Index;
using reference::Real;
using reference::RowMatrix;
using reference::VectorXd;

// Storage that is not aligned to a SIMD register, with guards behind it.
class Guarded {
 public:
  explicit Guarded(Index size) : values_(static_cast<std::size_t>(size) + 10, kGuard) {}
  double* data() { return values_.data() + 1; }
  bool intact() const {
    return values_.front() == kGuard && std::all_of(values_.end() - 9, values_.end(),
                                                    [](double value) { return value == kGuard; });
  }

 private:
  static constexpr double kGuard = -12345.0;
  std::vector<double> values_;
};

struct Panel {
  RowMatrix q, y;
  Panel(Index n, Index k) : q(reference::normals(n, k, 11)), y(reference::normals(n, kPanel, 12)) {}
};

const std::vector<Index> kRowCounts = {1, 2, 31, 127, 128, 129, 300};

// The kernel's results for a panel whose first n_prior rows are in place. The other rows come from
// memory, with gaps between them and with `shift` added, which the kernel subtracts.
struct Projected {
  Guarded y, w, total;

  template <typename Scalar>
  Projected(const Panel& panel, Index n_prior, const VectorXd& shift, Scalar)
      : y(panel.y.size()), w(panel.q.cols() * kPanel), total(kPanel) {
    const Index n_new = panel.y.rows() - n_prior;
    constexpr Index kStride = kPanel + 3;
    std::vector<Scalar> memory(static_cast<std::size_t>(n_new * kStride + 1),
                               std::numeric_limits<Scalar>::quiet_NaN());
    std::copy_n(panel.y.data(), n_prior * kPanel, y.data());
    for (Index i = 0; i < n_new; ++i) {
      for (Index v = 0; v < kPanel; ++v) {
        const double value = panel.y(n_prior + i, v) + shift[v];
        memory[static_cast<std::size_t>(i * kStride + v)] = static_cast<Scalar>(value);
      }
    }
    const groupglm::PanelSource<Scalar> source{memory.data(), kStride, n_new};
    project_panel<Scalar>(panel.q.data(), n_prior, panel.q.cols(), source, shift.data(), {},
                          y.data(), w.data(), total.data());
  }

  RowMatrix panel(Index n) { return Eigen::Map<RowMatrix>(y.data(), n, kPanel); }
};

// The worst error of w and total, for the y that the kernel wrote.
double worst_projection(const RowMatrix& q, Projected& found) {
  const Index n = q.rows();
  const RowMatrix y = found.panel(n);
  double worst = 0;
  // A sum of n products in any order: n eps times the sum of their sizes.
  const double eps = static_cast<double>(n) * reference::kEps;
  for (Index v = 0; v < kPanel; ++v) {
    for (Index j = 0; j < q.cols(); ++j) {
      Real sum = 0;
      Real size = 0;
      for (Index i = 0; i < n; ++i) {
        const Real product = static_cast<Real>(q(i, j)) * y(i, v);
        sum += product;
        size += std::fabs(product);
      }
      worst =
          std::max(worst, reference::ratio(found.w.data()[j * kPanel + v], static_cast<double>(sum),
                                           eps * static_cast<double>(size)));
    }
    const double squares = y.col(v).squaredNorm();
    worst = std::max(worst, reference::ratio(found.total.data()[v], squares, 2 * eps * squares));
  }
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("project_panel takes rows in and gives products and sums of squares", Scalar,
                   float, double) {
  // Whole numbers of sixteenths: exact in float, and so is their shift.
  const VectorXd shift = VectorXd::LinSpaced(kPanel, -16, 15).array().round();
  for (const Index n : kRowCounts) {
    for (Index k = 1; k <= 10; ++k) {
      for (const Index n_prior : {Index{0}, std::min(k, n), n}) {
        CAPTURE(n);
        CAPTURE(k);
        CAPTURE(n_prior);
        Panel panel(n, k);
        panel.y = (panel.y * 16).array().round() / 16;
        Projected found(panel, n_prior, shift, Scalar());
        CHECK(found.panel(n) == panel.y);
        CHECK(worst_projection(panel.q, found) <= 1.0);
        CHECK(found.y.intact());
        CHECK(found.w.intact());
        CHECK(found.total.intact());
      }
    }
  }
}

TEST_CASE("residual_panel sums the squares of residuals") {
  for (const Index n : kRowCounts) {
    for (Index k = 1; k <= 10; ++k) {
      CAPTURE(n);
      CAPTURE(k);
      const Panel panel(n, k);
      RowMatrix w = reference::normals(k, kPanel, 13);
      Guarded rss(kPanel);
      residual_panel(panel.q.data(), n, k, panel.y.data(), w.data(), rss.data());
      // A residual is a sum of k + 1 terms; their sizes bound its error.
      const RowMatrix residual = panel.y - panel.q * w;
      const RowMatrix size = panel.y.cwiseAbs() + panel.q.cwiseAbs() * w.cwiseAbs();
      double worst = 0;
      for (Index v = 0; v < kPanel; ++v) {
        const double expected = residual.col(v).squaredNorm();
        const double terms = static_cast<double>(n + 4 * (k + 1)) * reference::kEps;
        worst = std::max(
            worst, reference::ratio(rss.data()[v], expected, terms * size.col(v).squaredNorm()));
      }
      CHECK(worst <= 1.0);
      CHECK(rss.intact());
    }
  }
}

TEST_CASE("multiply_panel gives products of rows, whatever rows stand beside them") {
  for (const Index n : kRowCounts) {
    for (Index n_rows = 1; n_rows <= 10; ++n_rows) {
      CAPTURE(n);
      CAPTURE(n_rows);
      const RowMatrix rows = reference::normals(n_rows, n, 14);
      const RowMatrix y = reference::normals(n, kPanel, 15);
      Guarded out(n_rows * kPanel);
      multiply_panel(rows.data(), n_rows, n, y.data(), out.data());
      double worst = 0;
      // A sum of n products in any order: n eps times the sum of their sizes.
      const double eps = static_cast<double>(n) * reference::kEps;
      const Eigen::Map<RowMatrix> found(out.data(), n_rows, kPanel);
      for (Index r = 0; r < n_rows; ++r) {
        for (Index v = 0; v < kPanel; ++v) {
          Real sum = 0;
          Real size = 0;
          for (Index i = 0; i < n; ++i) {
            const Real product = static_cast<Real>(rows(r, i)) * y(i, v);
            sum += product;
            size += std::fabs(product);
          }
          worst = std::max(worst, reference::ratio(found(r, v), static_cast<double>(sum),
                                                   eps * static_cast<double>(size)));
        }
        Guarded alone(kPanel);
        multiply_panel(rows.data() + r * n, 1, n, y.data(), alone.data());
        CHECK(std::equal(alone.data(), alone.data() + kPanel, out.data() + r * kPanel));
      }
      CHECK(worst <= 1.0);
      CHECK(out.intact());
    }
  }
}

TEST_CASE("a voxel's numbers do not depend on its place, its neighbours or where its rows were") {
  constexpr Index kRows = 129;
  const Panel panel(kRows, 7);
  const VectorXd none = VectorXd::Zero(kPanel);
  const auto work = [&](const Panel& some, Index n_prior) {
    Projected found(some, n_prior, none, double());
    RowMatrix out(9, kPanel);
    out.topRows(7) = Eigen::Map<RowMatrix>(found.w.data(), 7, kPanel);
    out.row(7) = Eigen::Map<RowMatrix>(found.total.data(), 1, kPanel);
    residual_panel(some.q.data(), kRows, 7, some.y.data(), found.w.data(), out.row(8).data());
    return out;
  };
  const RowMatrix straight = work(panel, 0);
  for (Index turn = 1; turn < kPanel; ++turn) {
    Panel turned = panel;
    for (Index v = 0; v < kPanel; ++v) turned.y.col((v + turn) % kPanel) = panel.y.col(v);
    const bool with_nan = turn % 5 == 0;
    if (with_nan) turned.y.col(turn).setConstant(reference::kNaN);
    const RowMatrix out = work(turned, turn % 3 == 0 ? kRows : turn);
    for (Index v = with_nan ? 1 : 0; v < kPanel; ++v) {
      const VectorXd a = straight.col(v);
      const VectorXd b = out.col((v + turn) % kPanel);
      CHECK(reference::same_bits(a, b));
    }
  }
}
