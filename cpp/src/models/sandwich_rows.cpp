// SPDX-License-Identifier: BSD-3-Clause
#include "models/sandwich_rows.hpp"

#include <cmath>

namespace groupglm {

namespace {

// A direction of the orthonormal basis varies within subjects above this length.
constexpr double kConstantWithin = 1e-8;

double adjusted(Adjustment adjustment, double left) {
  if (left <= kNoResidual) return 0.0;
  const bool is_root =
      adjustment == Adjustment::leverage_root || adjustment == Adjustment::block_root;
  return is_root ? 1.0 / std::sqrt(left) : 1.0 / left;
}

// A function of I - q q', for the rows q (m, rank) of one subject, by the eigenvalues of q q'.
// Small matrices of a known size are some times faster.
template <int Size>
void of_images(const Eigen::Ref<const RowMatrix>& q, Adjustment adjustment,
               Eigen::Map<RowMatrix>& out) {
  using Square = Eigen::Matrix<double, Size, Size>;
  Square taken(q.rows(), q.rows());
  for (Index j = 0; j < q.rows(); ++j) {
    for (Index k = 0; k <= j; ++k) taken(j, k) = taken(k, j) = q.row(j).dot(q.row(k));
  }
  const Eigen::SelfAdjointEigenSolver<Square> eigen(taken);
  auto power = eigen.eigenvalues().eval();
  for (double& value : power) value = adjusted(adjustment, 1.0 - value);
  out.noalias() = eigen.eigenvectors() * power.asDiagonal() * eigen.eigenvectors().transpose();
}

// The same by the eigenvalues of q'q, for more images than the rank.
void of_columns(const Eigen::Ref<const RowMatrix>& q, Adjustment adjustment,
                Eigen::Map<RowMatrix>& out) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(q.transpose() * q);
  const MatrixXd along = q * eigen.eigenvectors();
  VectorXd change = eigen.eigenvalues();
  for (double& value : change) {
    // (f(1 - value) - 1) / value, without cancellation for small values.
    const double power = adjusted(adjustment, 1.0 - value);
    if (power == 0.0) {
      value = -1.0;
    } else {
      value = adjustment == Adjustment::block ? power : power * power / (1.0 + power);
    }
  }
  out.setIdentity();
  out.noalias() += along * change.asDiagonal() * along.transpose();
}

void of_block(const Eigen::Ref<const RowMatrix>& q, Adjustment adjustment,
              Eigen::Map<RowMatrix> out) {
  if (q.rows() == 1) {
    out(0, 0) = adjusted(adjustment, 1.0 - q.squaredNorm());
  } else if (q.rows() > q.cols()) {
    of_columns(q, adjustment, out);
  } else if (q.rows() == 2) {
    of_images<2>(q, adjustment, out);
  } else if (q.rows() == 3) {
    of_images<3>(q, adjustment, out);
  } else if (q.rows() == 4) {
    of_images<4>(q, adjustment, out);
  } else {
    of_images<Eigen::Dynamic>(q, adjustment, out);
  }
}

Index rank_of(const MatrixXd& values, double tolerance) {
  if (values.rows() == 0 || values.cols() == 0) return 0;
  const Eigen::ColPivHouseholderQR<MatrixXd> qr(values);
  Index rank = 0;
  for (Index j = 0; j < std::min(values.rows(), values.cols()); ++j) {
    rank += std::abs(qr.matrixQR()(j, j)) > tolerance ? 1 : 0;
  }
  return rank;
}

}  // namespace

Index SubjectBlocks::n_covariances() const {
  Index total = 0;
  for (const Index count : n_visits) total += count * (count + 1) / 2;
  return total;
}

PresentRows::PresentRows(const SubjectBlocks& all, const std::uint8_t* bits) : blocks(all) {
  starts.push_back(0);
  for (Index s = 0; s < all.n_subjects(); ++s) {
    for (Index i = all.starts[idx(s)]; i < all.starts[idx(s) + 1]; ++i) {
      const Index row = all.rows[idx(i)];
      if (bits == nullptr || ((bits[row / 8] >> (row % 8)) & 1) == 0) rows.push_back(i);
    }
    const auto end = static_cast<Index>(rows.size());
    if (end == starts.back()) continue;
    starts.push_back(end);
    subject.push_back(s);
  }
  if (static_cast<Index>(rows.size()) == all.n()) {
    basis = all.basis;
    own = all.basis;
    solve_ = MatrixXd::Identity(all.r(), all.r());
    return;
  }
  basis.resize(static_cast<Index>(rows.size()), all.r());
  for (Index i = 0; i < basis.rows(); ++i) basis.row(i) = all.basis.row(rows[idx(i)]);
  if (basis.rows() == 0) {
    own.resize(0, 0);
    solve_.resize(all.r(), 0);
    return;
  }
  Eigen::ColPivHouseholderQR<MatrixXd> qr(basis.rows(), basis.cols());
  qr.setThreshold(kRankTolerance);
  qr.compute(basis);
  MatrixXd q = MatrixXd::Identity(basis.rows(), qr.rank());
  q.applyOnTheLeft(qr.householderQ());
  own = q;
  // Q_p = own factor, and solve = factor^+.
  const MatrixXd factor = own.transpose() * basis;
  solve_ = Eigen::CompleteOrthogonalDecomposition<MatrixXd>(factor).pseudoInverse();
}

MatrixXd PresentRows::weights(const RowMatrix& g) const {
  return solve_ * (solve_.transpose() * g.transpose());
}

Adjustments::Adjustments(const PresentRows& present, Adjustment adjustment) : present_(present) {
  const auto df = static_cast<double>(present.m() - present.rank());
  const double scale = df > 0.0 ? std::sqrt(static_cast<double>(present.m()) / df) : 1.0;
  for (Index s = 0; s < present.n_subjects(); ++s) {
    const Index m = present.count(s);
    offset_.push_back(static_cast<Index>(values_.size()));
    values_.resize(values_.size() + idx(m * m));
    Eigen::Map<RowMatrix> out(values_.data() + offset_.back(), m, m);
    const auto q = present.own.middleRows(present.starts[idx(s)], m);
    switch (adjustment) {
      case Adjustment::none:
        out.setIdentity();
        break;
      case Adjustment::degrees:
        out = scale * MatrixXd::Identity(m, m);
        break;
      case Adjustment::leverage_root:
      case Adjustment::leverage:
        out.setZero();
        for (Index j = 0; j < m; ++j) {
          out(j, j) = adjusted(adjustment, 1.0 - q.row(j).squaredNorm());
        }
        break;
      case Adjustment::block_root:
      case Adjustment::block:
        of_block(q, adjustment, out);
        break;
    }
  }
}

Eigen::Map<const RowMatrix> Adjustments::of(Index s) const {
  const Index m = present_.count(s);
  return {values_.data() + offset_[idx(s)], m, m};
}

SubjectDegrees::SubjectDegrees(const PresentRows& present) {
  const SubjectBlocks& blocks = present.blocks;
  for (Index part = 0; part < blocks.n_parts; ++part) {
    MatrixXd whole(present.m(), present.basis.cols());
    MatrixXd within(present.m(), present.basis.cols());
    Index filled = 0;
    Index count = 0;
    for (Index s = 0; s < present.n_subjects(); ++s) {
      if (blocks.part[idx(present.subject[idx(s)])] != part) continue;
      const Index m = present.count(s);
      const auto q = present.basis.middleRows(present.starts[idx(s)], m);
      whole.middleRows(filled, m) = q;
      within.middleRows(filled, m) = q.rowwise() - q.colwise().mean();
      filled += m;
      ++count;
    }
    n_subjects.push_back(count);
    n_between.push_back(rank_of(whole.topRows(filled), kConstantWithin) -
                        rank_of(within.topRows(filled), kConstantWithin));
  }
}

double SubjectDegrees::of_subject(Index part) const {
  const auto n = static_cast<double>(n_subjects[idx(part)]);
  return 1.0 - static_cast<double>(n_between[idx(part)]) / n;
}

}  // namespace groupglm
