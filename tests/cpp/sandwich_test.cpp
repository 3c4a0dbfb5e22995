// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/sandwich.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using groupglm::Adjustment;
using groupglm::Index;
using groupglm::MatrixXd;
using groupglm::RowMatrix;
using groupglm::SandwichDf;
using groupglm::SubjectBlocks;
using groupglm::VectorXd;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Index kSubjects = 9;
constexpr Index kVoxels = 45;  // a panel, and a part of one that ends within a register

// Subjects with 1, 2 and 3 images, one after the other.
struct Study {
  SubjectBlocks blocks;
  RowMatrix x;
  RowMatrix y;
};

Study make_study(bool homogeneous) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  Study study;
  SubjectBlocks& blocks = study.blocks;
  blocks.starts.push_back(0);
  for (Index s = 0; s < kSubjects; ++s) {
    for (Index k = 0; k <= s % 3; ++k) {
      blocks.rows.push_back(static_cast<Index>(blocks.rows.size()));
      if (homogeneous) blocks.visit.push_back(k);
    }
    blocks.starts.push_back(static_cast<Index>(blocks.rows.size()));
    blocks.part.push_back(0);
    if (homogeneous) blocks.group.push_back(0);
  }
  if (homogeneous) blocks.n_visits = {3};
  const auto n = static_cast<Index>(blocks.rows.size());
  study.x.resize(n, 3);
  study.y.resize(n, kVoxels);
  for (Index i = 0; i < n; ++i) {
    study.x.row(i) << 1.0, normal(random), normal(random);
    for (Index v = 0; v < kVoxels; ++v) study.y(i, v) = 5.0 + normal(random);
  }
  const Eigen::HouseholderQR<MatrixXd> qr(study.x);
  blocks.basis = qr.householderQ() * MatrixXd::Identity(n, 3);
  return study;
}

struct Sums {
  RowMatrix sums;
  RowMatrix fourth;
  std::vector<std::uint8_t> bits;
  std::vector<std::uint8_t> projected;
};

template <typename Scalar>
Sums sums_of(const Study& study, Adjustment adjustment, int n_threads = 1) {
  using Data = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Data data = study.y.cast<Scalar>();
  const SubjectBlocks& blocks = study.blocks;
  const Index r = blocks.r();
  const bool homogeneous = blocks.is_homogeneous();
  const Index n = homogeneous ? blocks.n_covariances() : r * (r + 1) / 2;
  const auto n_voxels = static_cast<std::size_t>(data.cols());
  Sums out{RowMatrix::Constant(n, data.cols(), kNan),
           RowMatrix::Constant(groupglm::n_fourth(r), data.cols(), kNan),
           std::vector<std::uint8_t>(n_voxels * static_cast<std::size_t>(blocks.n_bytes())),
           std::vector<std::uint8_t>(n_voxels)};
  groupglm::sandwich_sums<Scalar>(blocks, adjustment,
                                  {data.data(), data.rows(), data.cols(), data.cols(), 1}, nullptr,
                                  {out.sums.data(), homogeneous ? nullptr : out.fourth.data(),
                                   out.bits.data(), out.projected.data()},
                                  n_threads);
  return out;
}

// M of the images that are present: every matrix of the formula is formed.
MatrixXd dense_meat(const Study& study, Index voxel, double power) {
  std::vector<Index> here;
  std::vector<Index> subject;
  for (Index s = 0; s < study.blocks.n_subjects(); ++s) {
    for (Index i = study.blocks.starts[static_cast<std::size_t>(s)];
         i < study.blocks.starts[static_cast<std::size_t>(s) + 1]; ++i) {
      if (std::isnan(study.y(i, voxel))) continue;
      here.push_back(i);
      subject.push_back(s);
    }
  }
  const auto n = static_cast<Index>(here.size());
  MatrixXd q(n, study.blocks.r());
  VectorXd y(n);
  for (Index i = 0; i < n; ++i) {
    q.row(i) = study.blocks.basis.row(here[static_cast<std::size_t>(i)]);
    y[i] = study.y(here[static_cast<std::size_t>(i)], voxel);
  }
  const MatrixXd left = MatrixXd::Identity(n, n) -
                        q * Eigen::CompleteOrthogonalDecomposition<MatrixXd>(q).pseudoInverse();
  const VectorXd e = left * y;
  MatrixXd meat = MatrixXd::Zero(q.cols(), q.cols());
  for (Index first = 0; first < n;) {
    Index m = 1;
    while (first + m < n && subject[static_cast<std::size_t>(first + m)] ==
                                subject[static_cast<std::size_t>(first)]) {
      ++m;
    }
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(MatrixXd(left.block(first, first, m, m)));
    VectorXd values = eigen.eigenvalues();
    for (double& value : values) value = value > 1e-12 ? std::pow(value, power) : 0.0;
    const MatrixXd a =
        eigen.eigenvectors() * values.asDiagonal() * eigen.eigenvectors().transpose();
    const VectorXd u = q.middleRows(first, m).transpose() * (a * e.segment(first, m));
    meat += u * u.transpose();
    first += m;
  }
  return meat;
}

void check_meat(const Study& study, const Sums& found, double power, double tolerance) {
  for (Index v = 0; v < study.y.cols(); ++v) {
    const MatrixXd meat = dense_meat(study, v, power);
    Index at = 0;
    for (Index a = 0; a < meat.rows(); ++a) {
      for (Index b = 0; b <= a; ++b, ++at) {
        CHECK(found.sums(at, v) == doctest::Approx(meat(a, b)).epsilon(tolerance));
      }
    }
  }
}

}  // namespace

TEST_CASE("the sums of the sandwich are those of the dense formula") {
  Study study = make_study(false);
  check_meat(study, sums_of<double>(study, Adjustment::block_root), -0.5, 1e-10);
  check_meat(study, sums_of<double>(study, Adjustment::block), -1.0, 1e-10);
  study.y(4, 3) = kNan;
  study.y.row(7).head(20).setConstant(kNan);
  study.y.block(0, 40, 3, 2).setConstant(kNan);  // two subjects
  check_meat(study, sums_of<double>(study, Adjustment::block_root), -0.5, 1e-10);
  check_meat(study, sums_of<float>(study, Adjustment::block_root), -0.5, 1e-3);
  const Sums one = sums_of<double>(study, Adjustment::block_root);
  const Sums many = sums_of<double>(study, Adjustment::block_root, 4);
  CHECK((one.sums.array() == many.sums.array()).all());
  CHECK((one.fourth.array() == many.fourth.array()).all());
  CHECK(one.bits == many.bits);
}

TEST_CASE("no voxel, one voxel, and voxels whose images say too little") {
  Study study = make_study(false);
  const RowMatrix y = study.y;
  study.y.resize(y.rows(), 0);
  CHECK(sums_of<double>(study, Adjustment::block_root).sums.cols() == 0);
  study.y = y.leftCols(1);
  check_meat(study, sums_of<double>(study, Adjustment::block_root), -0.5, 1e-10);
  study.y = y.leftCols(4);
  study.y.col(0).setConstant(kNan);
  study.y.col(1).tail(y.rows() - 2).setConstant(kNan);  // two images, three columns
  const Sums found = sums_of<double>(study, Adjustment::block_root);
  CHECK(found.sums.col(0).isZero(0.0));
  CHECK(found.sums.col(1).isZero(1e-20));
  check_meat(study, found, -0.5, 1e-10);
}

TEST_CASE("covariances of visits have no negative eigenvalue") {
  Study study = make_study(true);
  study.y(5, 2) = kNan;
  const Sums found = sums_of<double>(study, Adjustment::block_root);
  CHECK(found.sums.allFinite());
  Index n_projected = 0;
  for (Index v = 0; v < kVoxels; ++v) {
    MatrixXd covariance(3, 3);
    Index at = 0;
    for (Index k = 0; k < 3; ++k) {
      for (Index l = 0; l <= k; ++l, ++at) covariance(k, l) = covariance(l, k) = found.sums(at, v);
    }
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(covariance);
    CHECK(eigen.eigenvalues()[0] > -1e-12 * eigen.eigenvalues()[2]);
    n_projected += found.projected[static_cast<std::size_t>(v)];
  }
  CHECK(n_projected > 0);
  CHECK(n_projected < kVoxels);
}

TEST_CASE("the mean of subjects with one image each has the variance and df of a t test") {
  Study study = make_study(false);
  const Index n = study.y.rows();
  SubjectBlocks& blocks = study.blocks;
  blocks.starts.clear();
  blocks.part.assign(static_cast<std::size_t>(n), 0);
  for (Index i = 0; i <= n; ++i) blocks.starts.push_back(i);
  blocks.basis = RowMatrix::Constant(n, 1, 1.0 / std::sqrt(static_cast<double>(n)));
  const Sums found = sums_of<double>(study, Adjustment::block_root);
  const RowMatrix effect = study.y.colwise().mean();
  const std::vector<std::int32_t> pattern(static_cast<std::size_t>(kVoxels), -1);
  VectorXd variance(kVoxels);
  VectorXd wald(kVoxels);
  VectorXd df(kVoxels);
  const RowMatrix g = RowMatrix::Constant(1, 1, 1.0 / std::sqrt(static_cast<double>(n)));
  groupglm::sandwich_test(
      blocks, Adjustment::block_root, SandwichDf::satterthwaite,
      {found.sums.data(), nullptr, pattern.data(), nullptr, 0, kVoxels, effect.data(), g},
      variance.data(), wald.data(), df.data(), 2);
  for (Index v = 0; v < kVoxels; ++v) {
    const double squares = (study.y.col(v).array() - effect(0, v)).square().sum();
    const auto size = static_cast<double>(n);
    CHECK(variance[v] == doctest::Approx(squares / (size - 1.0) / size).epsilon(1e-12));
    CHECK(wald[v] == doctest::Approx(effect(0, v) * effect(0, v) / variance[v]).epsilon(1e-12));
    CHECK(df[v] == doctest::Approx(size - 1.0).epsilon(1e-12));
  }
}
