// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/loops/image_sums.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "groupglm/loops/inner_loops.hpp"
#include "reference_ols.hpp"

namespace {

using groupglm::BasisRows;
using groupglm::ImageLoops;
using groupglm::ImageSource;
using groupglm::ImageSums;
using groupglm::kOctet;
using groupglm::kPanel;
using groupglm::kPanelOctets;
using groupglm::kUnrolledRank;
using groupglm::OctetImages;
using reference::Index;
using reference::kInfinity;
using reference::kNaN;
using reference::Real;
using reference::RowMatrix;

constexpr Index kImages = 19;

const ImageLoops& loops() { return groupglm::inner_loops().images; }

// Sums over the images, with the sizes of what was added: a bound for rounding.
struct Sum {
  Real value = 0;
  Real size = 0;
  void add(Real term) {
    value += term;
    size += std::abs(term);
  }
  // Each term has a few roundings of its own, and one for each addition.
  bool is(double found) const {
    const Real bound = (kImages + 20) * std::numeric_limits<double>::epsilon() * size;
    return std::abs(Real(found) - value) <= bound;
  }
};

// An octet of images of which some are missing, and a basis of r columns.
struct Octet {
  explicit Octet(Index n_columns)
      : r(n_columns),
        n_products(r * (r + 1) / 2),
        q(reference::normals(kImages, r, 1)),
        rows(kImages, r + n_products),
        y(reference::normals(kImages, kOctet, 2)),
        v(reference::normals(kImages, kOctet, 3).array().exp().matrix()),
        t(reference::normals(1, kOctet, 4).cwiseAbs()),
        weights(RowMatrix::Zero(kImages, kOctet)),
        scratch(RowMatrix::Zero(kImages, kOctet)),
        out(RowMatrix::Constant(3 * n_products + 2 * r + 5, kOctet, kNaN)) {
    for (Index i = 0; i < kImages; ++i) {
      for (Index j = 0; j < r; ++j) {
        rows(i, j) = q(i, j);
        for (Index k = 0; k <= j; ++k) rows(i, r + j * (j + 1) / 2 + k) = q(i, j) * q(i, k);
      }
    }
    y(4, 2) = y(7, 6) = 0.0;
    v(4, 2) = v(7, 6) = kInfinity;
  }

  OctetImages images() const { return {kImages, y.data(), v.data()}; }
  BasisRows basis() const { return {rows.data(), r}; }
  ImageSums sums() {
    const auto at = [&](Index row) { return out.data() + row * kOctet; };
    const Index b = 3 * n_products;
    const Index s = b + 2 * r;
    return {at(0), at(n_products), at(2 * n_products), at(b),     at(b + r),
            at(s), at(s + 1),      at(s + 2),          at(s + 3), at(s + 4)};
  }
  Real weight(Index i, Index l) const { return 1 / (Real(v(i, l)) + t(0, l)); }
  Real residual(Index i, Index l, const double* b) const {
    Real e = y(i, l);
    for (Index j = 0; j < r; ++j) e -= Real(q(i, j)) * b[j * kOctet + l];
    return e;
  }
  // Whether found (products, kOctet) are the sums of w^power over products of columns.
  void check_products(const double* found, int power) const {
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) {
        for (Index l = 0; l < kOctet; ++l) {
          Sum sum;
          for (Index i = 0; i < kImages; ++i) {
            sum.add(std::pow(weight(i, l), power) * Real(q(i, j)) * q(i, k));
          }
          CHECK(sum.is(found[(j * (j + 1) / 2 + k) * kOctet + l]));
        }
      }
    }
  }
  // Whether found (kOctet) is the sum of term(i, lane).
  template <typename Term>
  static void check_sum(const double* found, const Term& term) {
    for (Index l = 0; l < kOctet; ++l) {
      Sum sum;
      for (Index i = 0; i < kImages; ++i) sum.add(term(i, l));
      CHECK(sum.is(found[l]));
    }
  }

  Index r;
  Index n_products;
  RowMatrix q, rows, y, v, t, weights, scratch, out;
};

constexpr std::array<Index, 4> kRanks = {1, 2, kUnrolledRank, kUnrolledRank + 3};

template <typename Scalar>
void check_reading(const std::vector<Index>& rows, bool contiguous) {
  using Data = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Index stride = kPanel + (contiguous ? 0 : 5);
  Data y = reference::normals(kImages, stride, 5).cast<Scalar>();
  Data v = reference::normals(kImages, stride, 6).array().exp().matrix().cast<Scalar>();
  const std::vector<double> holes = {kNaN, kInfinity, -kInfinity, 0.0, -1.0};
  for (std::size_t k = 0; k < holes.size(); ++k) {
    const auto voxel = static_cast<Index>(3 * k + 1);
    v(static_cast<Index>(k), voxel) = static_cast<Scalar>(holes[k]);
    if (k < 3) y(static_cast<Index>(k + 5), voxel + 1) = static_cast<Scalar>(holes[k]);
  }
  v.col(kPanel - 1).setZero();
  const auto n = rows.empty() ? kImages : static_cast<Index>(rows.size());
  ImageSource<Scalar> source{y.data(), v.data(), stride, stride};
  source.rows = rows.empty() ? nullptr : rows.data();
  source.n = n;
  std::vector<double> effects(static_cast<std::size_t>(n * kPanel));
  std::vector<double> variances(effects.size());
  RowMatrix facts(3, kPanel);
  loops().read(source, effects.data(), variances.data(),
               {facts.data(), facts.data() + kPanel, facts.data() + 2 * kPanel});
  for (Index k = 0; k < kPanel; ++k) {
    double n_images = 0.0;
    double smallest = kInfinity;
    double largest = 0.0;
    for (Index i = 0; i < n; ++i) {
      const Index row = rows.empty() ? i : rows[static_cast<std::size_t>(i)];
      const auto effect = static_cast<double>(y(row, k));
      const auto variance = static_cast<double>(v(row, k));
      const bool present = std::isfinite(effect) && std::isfinite(variance) && variance > 0.0;
      const auto at = static_cast<std::size_t>((k / kOctet * n + i) * kOctet + k % kOctet);
      CHECK(effects[at] == (present ? effect : 0.0));
      CHECK(variances[at] == (present ? variance : kInfinity));
      if (!present) continue;
      n_images += 1.0;
      smallest = std::min(smallest, variance);
      largest = std::max(largest, variance);
    }
    CHECK(facts(0, k) == n_images);
    CHECK(facts(1, k) == smallest);
    CHECK(facts(2, k) == largest);
  }
}

}  // namespace

TEST_CASE("images are read as doubles, by octets, with what is missing and its facts") {
  for (const auto& rows : {std::vector<Index>{}, std::vector<Index>{7, 1, 2, 12}}) {
    for (const bool contiguous : {true, false}) {
      check_reading<float>(rows, contiguous);
      check_reading<double>(rows, contiguous);
    }
  }
  static_assert(kPanelOctets * kOctet == kPanel);
}

TEST_CASE("sums of columns and residuals are those of the images") {
  for (const Index r : kRanks) {
    Octet octet(r);
    const BasisRows basis = octet.basis();
    loops().columns(basis, 0, r, kImages, octet.y.data(), octet.sums().b);
    for (Index j = 0; j < r; ++j) {
      octet.check_sum(octet.sums().b + j * kOctet,
                      [&](Index i, Index l) { return Real(octet.q(i, j)) * octet.y(i, l); });
    }
    const RowMatrix present = octet.v.unaryExpr([](double v) { return v < kInfinity ? 1.0 : 0.0; });
    RowMatrix rss(1, kOctet);
    for (const bool with_present : {false, true}) {
      const auto keep = [&](Index i, Index l) { return with_present ? present(i, l) : 1.0; };
      const double* const b = octet.sums().b;
      loops().residuals(octet.images(), basis, b, with_present ? present.data() : nullptr,
                        octet.scratch.data(), rss.data());
      for (Index i = 0; i < kImages; ++i) {
        for (Index l = 0; l < kOctet; ++l) {
          Sum e;
          e.add(octet.y(i, l));
          for (Index j = 0; j < r; ++j) e.add(-Real(octet.q(i, j)) * b[j * kOctet + l]);
          CHECK((keep(i, l) == 0.0 ? octet.scratch(i, l) == 0.0 : e.is(octet.scratch(i, l))));
        }
      }
      octet.check_sum(rss.data(), [&](Index i, Index l) {
        return Real(octet.scratch(i, l)) * octet.scratch(i, l);
      });
    }
  }
}

TEST_CASE("sums of weights over the images are those of their formulas") {
  for (const Index r : kRanks) {
    Octet octet(r);
    const ImageSums sums = octet.sums();
    loops().weigh(octet.images(), octet.basis(), octet.t.data(), octet.weights.data(),
                  octet.scratch.data(), sums);
    octet.check_products(sums.a, 1);
    for (Index j = 0; j < r; ++j) {
      octet.check_sum(sums.b + j * kOctet, [&](Index i, Index l) {
        return octet.weight(i, l) * octet.q(i, j) * octet.y(i, l);
      });
    }
    // Coefficients of which the residuals are no smaller than their rounding, whatever they are.
    RowMatrix b = reference::normals(r, kOctet, 8) / 8;
    std::copy_n(b.data(), b.size(), sums.b);
    const auto w = [&](Index i, Index l) { return octet.weight(i, l); };
    const auto e = [&](Index i, Index l) { return octet.residual(i, l, b.data()); };
    // Rounding of e by the sizes of what is subtracted, many times its own where it is small.
    const auto near = [&](const double* found, const auto& term) {
      for (Index l = 0; l < kOctet; ++l) {
        Real sum = 0;
        Real size = 0;
        for (Index i = 0; i < kImages; ++i) {
          sum += term(i, l);
          Real largest = std::abs(octet.y(i, l));
          for (Index j = 0; j < r; ++j) {
            largest += std::abs(Real(octet.q(i, j)) * b(j, l));
          }
          size += w(i, l) * (1 + w(i, l) * (1 + w(i, l))) * largest * (1 + largest);
        }
        CHECK(std::abs(Real(found[l]) - sum) <=
              (kImages + 20) * std::numeric_limits<double>::epsilon() * size);
      }
    };
    loops().scatter(octet.images(), octet.basis(), octet.weights.data(), sums);
    near(sums.s1, [&](Index i, Index l) { return w(i, l) * e(i, l) * e(i, l); });
    for (const bool cubes : {false, true}) {
      octet.out.bottomRows(5).setConstant(kNaN);
      loops().moments(octet.images(), octet.basis(), octet.weights.data(), cubes,
                      octet.scratch.data(), sums);
      octet.check_products(sums.a2, 2);
      near(sums.s1, [&](Index i, Index l) { return w(i, l) * e(i, l) * e(i, l); });
      near(sums.s2, [&](Index i, Index l) { return std::pow(w(i, l) * e(i, l), Real(2)); });
      octet.check_sum(sums.w1, w);
      if (!cubes) continue;
      octet.check_products(sums.a3, 3);
      near(sums.s3, [&](Index i, Index l) { return std::pow(w(i, l), 3) * e(i, l) * e(i, l); });
      octet.check_sum(sums.w2, [&](Index i, Index l) { return w(i, l) * w(i, l); });
      for (Index j = 0; j < r; ++j) {
        near(sums.d + j * kOctet,
             [&](Index i, Index l) { return w(i, l) * w(i, l) * octet.q(i, j) * e(i, l); });
      }
    }
  }
}

TEST_CASE("a scan has all its sums in one loop") {
  for (const Index r : kRanks) {
    if (r > kUnrolledRank) continue;
    Octet octet(r);
    const ImageSums sums = octet.sums();
    loops().scan(octet.images(), octet.basis(), octet.t.data(), sums);
    const auto wy = [&](Index i, Index l) { return octet.weight(i, l) * octet.y(i, l); };
    octet.check_products(sums.a, 1);
    octet.check_products(sums.a2, 2);
    octet.check_sum(sums.w1, [&](Index i, Index l) { return octet.weight(i, l); });
    octet.check_sum(sums.s2, [&](Index i, Index l) { return wy(i, l) * wy(i, l); });
    for (Index j = 0; j < r; ++j) {
      octet.check_sum(sums.b + j * kOctet,
                      [&](Index i, Index l) { return wy(i, l) * octet.q(i, j); });
      octet.check_sum(sums.d + j * kOctet, [&](Index i, Index l) {
        return octet.weight(i, l) * wy(i, l) * octet.q(i, j);
      });
    }
  }
}
