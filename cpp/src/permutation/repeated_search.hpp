// SPDX-License-Identifier: BSD-3-Clause
// The restricted likelihood of a random intercept for a panel of voxels that share a design: its
// highest maximum over lambda >= 0, and the fit there.
//
// The rows of each subject are its mean, times the root of its number of images m, of variance
// 1 + m lambda, and m - 1 rows of variance 1 (Helmert's). Part 0 is made of the latter, and one
// part for each m of the former. The criterion, twice the negative logarithm of the likelihood, is
//     f = (n - r) log Q + sum over means log(1 + m lambda) + log|A|,
// with A, s and Q as in repeated.hpp. exp(f / (n - r)) is Q times a number that all voxels share:
// at points that all share, this takes no logarithm, and A is factored once. The lowest valley
// between these points is searched for the root of f', and the second lowest if it may be lower.
#pragma once

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "permutation/panel.hpp"

namespace groupglm {

/// A design in parts.
struct SubjectParts {
  /// design (r, n); subject (n): numbers from 0.
  SubjectParts(const RowMatrix& design, const std::vector<Index>& subject, Index n_subjects) {
    const Index n = design.cols();
    const Index r = design.rows();
    const auto of = [&](Index i) { return subject[static_cast<std::size_t>(i)]; };
    std::vector<Index> images(static_cast<std::size_t>(n_subjects), 0);
    for (const Index s : subject) ++images[static_cast<std::size_t>(s)];
    std::copy_if(images.begin(), images.end(), std::back_inserter(sizes),
                 [](Index m) { return m > 0; });
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    counts.assign(sizes.size(), 0);
    for (const Index m : images) {
      const auto at = std::lower_bound(sizes.begin(), sizes.end(), m) - sizes.begin();
      size_of_subject.push_back(m > 0 ? at : -1);
      if (m > 0) ++counts[static_cast<std::size_t>(at)];
    }
    RowMatrix mean = RowMatrix::Zero(r, n_subjects);
    for (Index i = 0; i < n; ++i) mean.col(of(i)) += design.col(i);
    rows = RowMatrix::Zero(n_parts() * r, n);
    for (Index i = 0; i < n; ++i) {
      const Index size = size_of_subject[static_cast<std::size_t>(of(i))];
      const VectorXd own = mean.col(of(i)) / m(size);
      rows.col(i).head(r) = design.col(i) - own;
      rows.col(i).segment((size + 1) * r, r) = own;
    }
    for (Index c = 0; c < n_parts(); ++c) {
      squares.emplace_back(rows.middleRows(c * r, r) * design.transpose());
    }
  }

  Index n_parts() const { return 1 + n_sizes(); }
  Index n_sizes() const { return static_cast<Index>(sizes.size()); }
  double m(Index size) const { return static_cast<double>(sizes[static_cast<std::size_t>(size)]); }
  double count(Index size) const {
    return static_cast<double>(counts[static_cast<std::size_t>(size)]);
  }
  /// A_c of the means of subjects of a size.
  const MatrixXd& square(Index size) const { return squares[static_cast<std::size_t>(size + 1)]; }

  std::vector<Index> sizes;            // numbers of images m of a subject, ascending
  std::vector<Index> counts;           // subjects of each size
  std::vector<Index> size_of_subject;  // place of its m in sizes; -1: no image
  RowMatrix rows;                      // (parts r, n): of part c, whose products with data are s_c
  std::vector<MatrixXd> squares;       // of each part: A_c
};

/// What a panel has of each part.
struct PanelParts {
  const double* products;  // (parts r, kPanel): s_c
  const double* squares;   // (parts, kPanel): sums of squares of the data
};

class RepeatedSearch {
 public:
  RepeatedSearch(const SubjectParts& parts, Index n)
      : parts_(parts),
        r_(parts.squares[0].rows()),
        freedom_(static_cast<double>(n - r_)),
        factor_(static_cast<std::size_t>(r_ * r_ * kPanel)),
        inverse_(factor_.size()),
        u_(static_cast<std::size_t>(r_ * kPanel)),
        b_(u_.size()) {
    points_.push_back(0);
    double point = kFirst / static_cast<double>(parts.sizes.back());
    for (; point < kLast; point *= kStep) points_.push_back(point);
    for (const double lambda : points_) add_point(lambda);
    values_.resize(points_.size() * static_cast<std::size_t>(kPanel));
  }

  /// Finds and returns lambda; the fit there is what the members below return.
  Panel find(const PanelParts& data) {
    scan(data);
    std::array<Index, kPanel> best{};
    std::array<Index, kPanel> other{};
    bool any_other = false;
    for (Index v = 0; v < kPanel; ++v) any_other = valleys(v, best, other) || any_other;
    Panel lambda = settle(data, best);
    if (any_other) {
      const Panel first = criterion(data, lambda);
      const Panel second_lambda = settle(data, other);
      const Panel second = criterion(data, second_lambda);
      lambda = (second < first).select(second_lambda, lambda);
    }
    evaluate(data, lambda);
    return lambda;
  }

  /// |u|^2 of the rows of the design from q on, and u of the last row.
  Panel effect(Index q) const {
    Panel sum = Panel::Zero();
    for (Index j = q; j < r_; ++j) sum += row(u_, j).square();
    return sum;
  }
  Panel last() const { return row(u_, r_ - 1); }
  Panel variance() const { return rest_ / freedom_; }
  Panel coefficient(Index j) const { return row(b_, j); }

 private:
  static constexpr double kFirst = 1e-4;
  static constexpr double kLast = 1e8;
  static constexpr double kStep = 1.7;
  static constexpr int kMostSteps = 60;
  static constexpr double kRight = 1e-12;     // of log(lambda)
  static constexpr double kCandidate = 4.0;   // difference of f that the points may hide
  static constexpr double kRounding = 1e-28;  // of squares: below, nothing is left of them

  using Row = Eigen::Map<Panel>;
  using ConstRow = Eigen::Map<const Panel>;
  using Flags = Eigen::Array<bool, kPanel, 1>;
  using Numbers = std::array<Index, kPanel>;

  static ConstRow row(const std::vector<double>& from, Index j) {
    return ConstRow(from.data() + j * kPanel);
  }
  static Row row(std::vector<double>& from, Index j) { return Row(from.data() + j * kPanel); }
  Row at(Index j, Index l) { return row(factor_, j * r_ + l); }
  static ConstRow square(const PanelParts& data, Index part) {
    return ConstRow(data.squares + part * kPanel);
  }
  ConstRow product(const PanelParts& data, Index part, Index j) const {
    return ConstRow(data.products + (part * r_ + j) * kPanel);
  }

  void add_point(double lambda) {
    MatrixXd a = parts_.squares[0];
    double log_det = 0;
    for (Index c = 0; c < parts_.n_sizes(); ++c) {
      const double scale = 1 + parts_.m(c) * lambda;
      a += parts_.square(c) / scale;
      log_det += parts_.count(c) * std::log(scale);
    }
    MatrixXd inverse = MatrixXd::Identity(r_, r_);
    if (r_ > 0) {
      const Eigen::LLT<MatrixXd> llt(a);
      llt.matrixL().solveInPlace(inverse);
      log_det -= 2 * inverse.diagonal().array().log().sum();
    }
    inverses_.push_back(inverse);
    scales_.push_back(std::exp(log_det / freedom_));
  }

  // exp(f / (n - r)) at all points.
  void scan(const PanelParts& data) {
    for (std::size_t g = 0; g < points_.size(); ++g) {
      Panel rest = square(data, 0);
      for (Index j = 0; j < r_; ++j) row(b_, j) = product(data, 0, j);
      for (Index c = 0; c < parts_.n_sizes(); ++c) {
        const double share = 1 / (1 + parts_.m(c) * points_[g]);
        rest += share * square(data, c + 1);
        for (Index j = 0; j < r_; ++j) row(b_, j) += share * product(data, c + 1, j);
      }
      for (Index j = 0; j < r_; ++j) {
        Panel u = Panel::Zero();
        for (Index l = 0; l <= j; ++l) u += inverses_[g](j, l) * row(b_, l);
        rest -= u.square();
      }
      row(values_, static_cast<Index>(g)) = rest.max(0.0) * scales_[g];
    }
  }

  // The points in the two lowest valleys of a voxel; whether the second may be the lowest.
  bool valleys(Index v, Numbers& best, Numbers& other) const {
    const auto n = static_cast<Index>(points_.size());
    const auto value = [&](Index g) { return values_[static_cast<std::size_t>(g * kPanel + v)]; };
    Index first = 0;
    for (Index g = 1; g < n; ++g) {
      if (value(g) < value(first)) first = g;
    }
    Index second = first;
    for (Index g = 0; g < n; ++g) {
      const bool falls = g == 0 || value(g) < value(g - 1);
      const bool rises = g + 1 == n || value(g + 1) >= value(g);
      if (g == first || !falls || !rises) continue;
      if (second == first || value(g) < value(second)) second = g;
    }
    const bool may =
        second != first && value(second) < value(first) * std::exp(kCandidate / freedom_);
    best[static_cast<std::size_t>(v)] = first;
    other[static_cast<std::size_t>(v)] = may ? second : first;
    return may;
  }

  // The factor of A with the inverses of its diagonal, u, b and Q, for a lambda of each voxel.
  void evaluate(const PanelParts& data, const Panel& lambda) {
    Panel whole = square(data, 0);
    for (Index j = 0; j < r_; ++j) {
      row(u_, j) = product(data, 0, j);
      for (Index l = 0; l <= j; ++l) at(j, l).setConstant(parts_.squares[0](j, l));
    }
    for (Index c = 0; c < parts_.n_sizes(); ++c) {
      const Panel share = (1 + parts_.m(c) * lambda).inverse();
      whole += share * square(data, c + 1);
      for (Index j = 0; j < r_; ++j) {
        row(u_, j) += share * product(data, c + 1, j);
        for (Index l = 0; l <= j; ++l) at(j, l) += share * parts_.square(c)(j, l);
      }
    }
    rest_ = whole;
    for (Index j = 0; j < r_; ++j) {
      for (Index l = 0; l < j; ++l) {
        for (Index i = 0; i < l; ++i) at(j, l) -= at(j, i) * at(l, i);
        at(j, l) *= at(l, l);
        at(j, j) -= at(j, l).square();
        row(u_, j) -= at(j, l) * row(u_, l);
      }
      at(j, j) = at(j, j).max(std::numeric_limits<double>::min()).sqrt().inverse();
      row(u_, j) *= at(j, j);
      rest_ -= row(u_, j).square();
    }
    for (Index j = r_ - 1; j >= 0; --j) {
      Panel b = row(u_, j);
      for (Index l = j + 1; l < r_; ++l) b -= at(l, j) * row(b_, l);
      row(b_, j) = b * at(j, j);
    }
    rest_ = rest_.max(kRounding * whole);
  }

  // f' times 1 + the largest m lambda, for a lambda of each voxel.
  Panel slope(const PanelParts& data, const Panel& lambda) {
    evaluate(data, lambda);
    invert();
    Panel found = Panel::Zero();
    for (Index c = 0; c < parts_.n_sizes(); ++c) {
      const MatrixXd& own = parts_.square(c);
      // Of the residuals, what the means hold; and the trace of A^-1 A_c.
      Panel left = square(data, c + 1);
      Panel trace = Panel::Zero();
      for (Index j = 0; j < r_; ++j) {
        Panel sum = 2 * product(data, c + 1, j);
        for (Index l = 0; l < r_; ++l) sum -= own(j, l) * row(b_, l);
        left -= sum * row(b_, j);
        for (Index l = 0; l <= j; ++l) {
          Panel inside = Panel::Zero();
          for (Index i = 0; i <= j; ++i) inside += own(l, i) * row(inverse_, j * r_ + i);
          trace += row(inverse_, j * r_ + l) * inside;
        }
      }
      const Panel share = (1 + parts_.m(c) * lambda).inverse();
      found += parts_.m(c) * share * (parts_.count(c) - share * (freedom_ * left / rest_ + trace));
    }
    return found * (1 + parts_.m(parts_.n_sizes() - 1) * lambda);
  }

  // L^-1.
  void invert() {
    for (Index l = 0; l < r_; ++l) {
      row(inverse_, l * r_ + l) = at(l, l);
      for (Index j = l + 1; j < r_; ++j) {
        Panel value = Panel::Zero();
        for (Index i = l; i < j; ++i) value -= at(j, i) * row(inverse_, i * r_ + l);
        row(inverse_, j * r_ + l) = value * at(j, j);
      }
    }
  }

  // f.
  Panel criterion(const PanelParts& data, const Panel& lambda) {
    evaluate(data, lambda);
    Panel sum = rest_.log() * freedom_;
    for (Index c = 0; c < parts_.n_sizes(); ++c) {
      sum += parts_.count(c) * (1 + parts_.m(c) * lambda).log();
    }
    for (Index j = 0; j < r_; ++j) sum -= 2 * at(j, j).log();
    return sum;
  }

  // The lowest place of the valley around a point of each voxel: the root of the slope, by the
  // Illinois method in log(lambda + first point). Where the slopes beside the point are not those
  // of a valley, as beside 0, it is the point itself.
  Panel settle(const PanelParts& data, const Numbers& points) {
    const auto n = static_cast<Index>(points_.size());
    const double shift = points_[1];
    Panel low;
    Panel point;
    Panel high;
    for (Index v = 0; v < kPanel; ++v) {
      const Index g = points[static_cast<std::size_t>(v)];
      low[v] = points_[static_cast<std::size_t>(std::max<Index>(g - 1, 0))];
      point[v] = points_[static_cast<std::size_t>(g)];
      high[v] = points_[static_cast<std::size_t>(std::min(g + 1, n - 1))];
    }
    Panel slope_low = slope(data, low);
    Panel slope_high = slope(data, high);
    // Also true for NaN.
    const Flags at_point = !(slope_low < 0 && slope_high > 0);
    Panel x_low = (low + shift).log();
    Panel x_high = (high + shift).log();
    Panel x = (point + shift).log();
    Flags done = at_point;
    Panel side = Panel::Zero();  // the end that moved last
    for (int step = 0; step < kMostSteps && !done.all(); ++step) {
      Panel next = (x_low * slope_high - x_high * slope_low) / (slope_high - slope_low);
      // Every fourth step halves, so that it ends.
      if (step % 4 == 3) next = 0.5 * (x_low + x_high);
      next = next.max(x_low).min(x_high);
      const Flags still = (next - x).abs() < kRight;
      x = done.select(x, next);
      const Panel here = slope(data, (x.exp() - shift).max(0.0));
      const Flags up = here > 0;
      slope_low = (up && side > 0).select(0.5 * slope_low, slope_low);
      slope_high = (!up && side < 0).select(0.5 * slope_high, slope_high);
      x_high = up.select(x, x_high);
      slope_high = up.select(here, slope_high);
      x_low = up.select(x_low, x);
      slope_low = up.select(slope_low, here);
      side = up.select(Panel::Ones(), -Panel::Ones());
      done = done || still || here == 0 || x_high - x_low < kRight;
    }
    return at_point.select(point, (x.exp() - shift).max(0.0));
  }

  const SubjectParts& parts_;
  Index r_;
  double freedom_;
  std::vector<double> points_;
  std::vector<MatrixXd> inverses_;  // of the factors of A at the points
  std::vector<double> scales_;      // of the points: exp((f - (n - r) log Q) / (n - r))
  std::vector<double> values_;      // (points, kPanel)
  std::vector<double> factor_;      // (r, r, kPanel): L, with the inverses of its diagonal
  std::vector<double> inverse_;     // (r, r, kPanel): L^-1
  std::vector<double> u_;           // (r, kPanel)
  std::vector<double> b_;           // (r, kPanel)
  Panel rest_ = Panel::Ones();      // Q
};

}  // namespace groupglm
