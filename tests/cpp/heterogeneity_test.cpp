// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/heterogeneity.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using groupglm::DataView;
using groupglm::HeterogeneityTile;
using groupglm::ImageBasis;
using groupglm::Index;
using groupglm::MatrixXd;
using groupglm::MixedScale;
using groupglm::MixedTest;
using groupglm::RowMatrix;
using groupglm::Tau2Method;
using groupglm::VectorXd;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Index kImages = 12;
constexpr Index kVoxels = 45;  // a tile and a part of one, which ends within a register

struct Study {
  RowMatrix basis;
  RowMatrix y;
  RowMatrix v;
  template <typename Scalar = double>
  std::pair<VectorXd, VectorXd> tau2(Tau2Method method, int n_threads = 1) const {
    using Data = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Data effects = y.cast<Scalar>();
    const Data variances = v.cast<Scalar>();
    VectorXd found(y.cols());
    VectorXd typical(y.cols());
    groupglm::estimate_tau2<Scalar>(basis, view(effects), view(variances), method, 0.25,
                                    found.data(), typical.data(), n_threads);
    return {found, typical};
  }
  template <typename Data>
  static DataView<typename Data::Scalar> view(const Data& data) {
    return {data.data(), data.rows(), data.cols(), data.cols(), 1};
  }
};

RowMatrix orthonormal(const MatrixXd& x) {
  const Eigen::HouseholderQR<MatrixXd> qr(x);
  return qr.householderQ() * MatrixXd::Identity(x.rows(), x.cols());
}

// The last column of the basis is a covariate's, beside the mean and `n_columns` - 2 others.
Study make_study(Index n_columns, double tau2) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  MatrixXd x(kImages, n_columns);
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) x(i, j) = j == 0 ? 1.0 : normal(random);
  }
  Study study{orthonormal(x), RowMatrix(kImages, kVoxels), RowMatrix(kImages, kVoxels)};
  for (Index i = 0; i < kImages; ++i) {
    for (Index k = 0; k < kVoxels; ++k) {
      study.v(i, k) = std::exp(normal(random));
      study.y(i, k) = 3.0 + normal(random) * std::sqrt(study.v(i, k) + tau2);
    }
  }
  return study;
}

MatrixXd projection(const MatrixXd& q, const VectorXd& w) {
  const MatrixXd wq = w.asDiagonal() * q;
  return MatrixXd(w.asDiagonal()) - wq * (q.transpose() * wq).ldlt().solve(wq.transpose());
}

// Half of what the estimating equation says at tau2 = t: zero at a root, below it at 0 if t is 0.
double equation(Tau2Method method, const MatrixXd& q, const VectorXd& y, const VectorXd& v,
                double t) {
  const VectorXd w = (v.array() + t).inverse();
  const MatrixXd p = projection(q, w);
  const VectorXd py = p * y;
  switch (method) {
    case Tau2Method::reml:
      return py.squaredNorm() / p.trace() - 1.0;
    case Tau2Method::ml:
      return py.squaredNorm() / w.sum() - 1.0;
    default:
      return y.dot(py) / static_cast<double>(q.rows() - q.cols()) - 1.0;
  }
}

}  // namespace

TEST_CASE("equal variances have closed forms") {
  Study study = make_study(2, 4.0);
  study.v.setConstant(0.5);
  const RowMatrix left = study.y - study.basis * (study.basis.transpose() * study.y);
  const VectorXd rss = left.colwise().squaredNorm();
  const auto n = static_cast<double>(kImages);
  for (const Tau2Method method : {Tau2Method::reml, Tau2Method::dersimonian_laird,
                                  Tau2Method::paule_mandel, Tau2Method::hedges}) {
    const auto [found, typical] = study.tau2(method);
    for (Index k = 0; k < kVoxels; ++k) {
      CHECK(found[k] == doctest::Approx(std::max(0.0, rss[k] / (n - 2) - 0.5)).epsilon(1e-12));
      CHECK(typical[k] == doctest::Approx(0.5).epsilon(1e-12));
    }
  }
  const VectorXd ml = study.tau2(Tau2Method::ml).first;
  for (Index k = 0; k < kVoxels; ++k) {
    CHECK(ml[k] == doctest::Approx(std::max(0.0, rss[k] / n - 0.5)).epsilon(1e-12));
  }
  CHECK((study.tau2(Tau2Method::given).first.array() == 0.25).all());
}

TEST_CASE("estimates solve their equations") {
  for (const Index n_columns : {1, 2, 3, 5}) {
    for (const double true_tau2 : {0.0, 2.0}) {
      const Study study = make_study(n_columns, true_tau2);
      for (const Tau2Method method : {Tau2Method::reml, Tau2Method::ml, Tau2Method::paule_mandel}) {
        const VectorXd found = study.tau2(method).first;
        for (Index k = 0; k < kVoxels; ++k) {
          const double left =
              equation(method, study.basis, study.y.col(k), study.v.col(k), found[k]);
          if (found[k] > 0.0) {
            CHECK(std::abs(left) < 1e-10);
          } else {
            CHECK(left < 1e-10);
          }
        }
      }
    }
  }
}

TEST_CASE("threads, and what is beside a voxel, change no bit") {
  Study study = make_study(2, 1.0);
  study.y(3, 5) = kNan;
  const auto [one, typical] = study.tau2(Tau2Method::reml, 1);
  const VectorXd many = study.tau2(Tau2Method::reml, 3).first;
  CHECK((one.array() == many.array()).all());
  Study shifted{study.basis, study.y.middleCols(5, 7), study.v.middleCols(5, 7)};
  CHECK((shifted.tau2(Tau2Method::reml).first.array() == one.segment(5, 7).array()).all());
}

TEST_CASE("float data are those numbers in double") {
  Study study = make_study(3, 1.0);
  const auto [found, typical] = study.tau2<float>(Tau2Method::reml);
  study.y = study.y.cast<float>().cast<double>();
  study.v = study.v.cast<float>().cast<double>();
  CHECK((study.tau2(Tau2Method::reml).first.array() == found.array()).all());
}

TEST_CASE("missing images are left out") {
  for (const double hole : {kNan, 0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    Study study = make_study(2, 1.0);
    Study rest{orthonormal(study.basis.topRows(kImages - 2)), study.y.topRows(kImages - 2),
               study.v.topRows(kImages - 2)};
    study.v.bottomRows(2).setConstant(hole);
    for (const Tau2Method method : {Tau2Method::reml, Tau2Method::ml, Tau2Method::dersimonian_laird,
                                    Tau2Method::paule_mandel, Tau2Method::hedges}) {
      const auto [found, typical] = study.tau2(method);
      const auto [wanted, wanted_typical] = rest.tau2(method);
      CHECK(((found - wanted).array().abs() <= 1e-10 * (1.0 + wanted.array())).all());
      CHECK(typical.isApprox(wanted_typical, 1e-12));
    }
  }
}

TEST_CASE("images that cannot tell the columns apart have a basis of their own") {
  MatrixXd x(kImages, 2);
  x.col(0).setOnes();
  x.col(1).setZero();
  x(0, 1) = x(1, 1) = 1.0;  // a column of the first two images
  Study study = make_study(2, 1.0);
  study.basis = orthonormal(x);
  study.y.topRows(2).setConstant(kNan);
  const Study rest{orthonormal(x.bottomRows(kImages - 2).leftCols(1)),
                   study.y.bottomRows(kImages - 2), study.v.bottomRows(kImages - 2)};
  for (const Tau2Method method : {Tau2Method::reml, Tau2Method::hedges}) {
    const VectorXd found = study.tau2(method).first;
    const VectorXd wanted = rest.tau2(method).first;
    CHECK(((found - wanted).array().abs() <= 1e-10 * (1.0 + wanted.array())).all());
  }
  study.y.setConstant(kNan);
  study.y.topRows(2).setConstant(1.0);  // two images, and rank 1: the mean
  CHECK((study.tau2(Tau2Method::reml).first.array() == 0.0).all());
  study.y.row(0).setConstant(kNan);
  CHECK(study.tau2(Tau2Method::reml).first.array().isNaN().all());
}

TEST_CASE("units do not matter, however extreme") {
  const Study study = make_study(2, 1.0);
  const VectorXd wanted = study.tau2(Tau2Method::reml).first;
  for (const int exponent : {-500, -260, -7, 3, 240, 500}) {
    const Study other{study.basis, study.y * std::ldexp(1.0, exponent),
                      study.v * std::ldexp(1.0, 2 * exponent)};
    const VectorXd found = other.tau2(Tau2Method::reml).first * std::ldexp(1.0, -2 * exponent);
    CHECK(((found - wanted).array().abs() <= 1e-12 * (1.0 + wanted.array())).all());
  }
}

TEST_CASE("a tile's statistics are those of weighted least squares, with signs and without") {
  const Study study = make_study(3, 1.0);
  VectorXd sign(kImages);
  for (Index i = 0; i < kImages; ++i) sign[i] = i % 3 == 0 ? -1.0 : 1.0;
  const Index count = HeterogeneityTile::kVoxels;
  HeterogeneityTile tile;
  tile.load(Study::view(study.y), Study::view(study.v), nullptr, 0, count);
  const ImageBasis basis(study.basis);
  const double df = kImages - 3;
  for (const bool with_signs : {false, true}) {
    for (const MixedScale scale :
         {MixedScale::one, MixedScale::residual, MixedScale::residual_at_least_one}) {
      for (const Index n_effects : {1, 2}) {
        MixedTest test;
        test.scale = scale;
        test.n_effects = n_effects;
        VectorXd stat(count);
        VectorXd tau2(count);
        tile.statistics(basis, with_signs ? sign.data() : nullptr, test, stat.data(), tau2.data());
        for (Index k = 0; k < count; ++k) {
          VectorXd y = study.y.col(k);
          if (with_signs) y = y.cwiseProduct(sign);
          const VectorXd w = (study.v.col(k).array() + tau2[k]).inverse();
          const MatrixXd inverse =
              (study.basis.transpose() * w.asDiagonal() * study.basis).inverse();
          const VectorXd b = inverse * study.basis.transpose() * w.cwiseProduct(y);
          double q = y.dot(projection(study.basis, w) * y) / df;
          if (scale == MixedScale::one) q = 1.0;
          if (scale == MixedScale::residual_at_least_one) q = std::max(q, 1.0);
          const VectorXd effect = b.tail(n_effects);
          const MatrixXd own = inverse.bottomRightCorner(n_effects, n_effects);
          const double wanted = n_effects == 1 ? effect[0] / std::sqrt(own(0, 0) * q)
                                               : effect.dot(own.inverse() * effect) / (2.0 * q);
          CHECK(stat[k] == doctest::Approx(wanted).epsilon(1e-9));
          CHECK(std::abs(equation(Tau2Method::reml, study.basis, y, study.v.col(k), tau2[k])) <
                (tau2[k] > 0.0 ? 1e-10 : 1.0));
        }
      }
    }
  }
}

TEST_CASE("a statistic is NaN where the images cannot tell the effect from the nuisance") {
  MatrixXd x(kImages, 2);
  x.col(0).setOnes();
  x.col(1).setZero();
  x.col(1).head(3).setOnes();
  Study study = make_study(2, 1.0);
  study.y.topRows(3).setConstant(kNan);
  HeterogeneityTile tile;
  tile.load(Study::view(study.y), Study::view(study.v), nullptr, 0, 5);
  VectorXd stat(5);
  VectorXd tau2(5);
  tile.statistics(ImageBasis(orthonormal(x)), nullptr, MixedTest(), stat.data(), tau2.data());
  CHECK(stat.array().isNaN().all());
  // The mean can be told, with the group's column as the nuisance.
  tile.statistics(ImageBasis(orthonormal(x.rowwise().reverse())), nullptr, MixedTest(), stat.data(),
                  tau2.data());
  CHECK(stat.array().isFinite().all());
}

TEST_CASE("nothing to estimate") {
  const Study study = make_study(2, 1.0);
  const Study none{study.basis, RowMatrix(kImages, 0), RowMatrix(kImages, 0)};
  CHECK(none.tau2(Tau2Method::reml).first.size() == 0);
  const Study one{study.basis, study.y.leftCols(1), study.v.leftCols(1)};
  CHECK(one.tau2(Tau2Method::reml).first[0] == study.tau2(Tau2Method::reml).first[0]);
}
