// SPDX-License-Identifier: BSD-3-Clause
// Some rows of subjects' images: where the rotated rows go, and the voxels that lack an image.
#pragma once

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "groupglm/models/repeated_state.hpp"

namespace groupglm {

/// The place of a row among the rotated rows.
struct VisitPlace {
  bool is_last = false;  // of its subject
  Index within = -1;     // its row in `SlicePlan::within`; the first visit of a subject has none
  Index set = -1;        // of its last visit: the set of the subject's mean, and its row there
  Index mean = -1;
  double share = 1.0;   // 1 / j for visit j
  double length = 0.0;  // sqrt((j - 1) / j)
  double root = 1.0;    // sqrt(m), m visits in all
};

struct MeanSet {
  std::int64_t size = 0;
  Index n_rows = 0;
  RowMatrix x;  // (n_rows, q)
};

struct SlicePlan {
  std::vector<VisitPlace> places;  // a row each
  RowMatrix before;                // (m, q): the mean of the subject's rows before each
  RowMatrix within;                // (n_within, q)
  std::vector<MeanSet> sets;
  VectorXd x_mean;   // of the last subject
  Index n_open = 0;  // its rows, if it is not complete
};

inline SlicePlan plan_slice(const VisitRows& visits, Index n_open, const VectorXd& x_mean) {
  const Index n = visits.rows.rows();
  const Index q = visits.rows.cols();
  SlicePlan plan{{}, RowMatrix(n, q), RowMatrix(n, q), {}, x_mean, n_open};
  Index n_within = 0;
  for (Index i = 0; i < n; ++i) {
    const auto visit = static_cast<double>(visits.visit[i]);
    const auto size = static_cast<double>(visits.size[i]);
    VisitPlace place;
    place.is_last = visits.visit[i] == visits.size[i];
    place.share = 1.0 / visit;
    place.length = std::sqrt((visit - 1.0) / visit);
    place.root = std::sqrt(size);
    if (visits.visit[i] == 1) plan.x_mean.setZero();
    plan.before.row(i) = plan.x_mean;
    const VectorXd difference = visits.rows.row(i).transpose() - plan.x_mean;
    if (visits.visit[i] > 1) {
      place.within = n_within;
      plan.within.row(n_within++) = place.length * difference;
    }
    plan.x_mean += place.share * difference;
    plan.n_open = place.is_last ? 0 : visits.visit[i];
    if (place.is_last) {
      for (place.set = 0; place.set < static_cast<Index>(plan.sets.size()); ++place.set) {
        if (plan.sets[static_cast<std::size_t>(place.set)].size == visits.size[i]) break;
      }
      if (place.set == static_cast<Index>(plan.sets.size())) {
        plan.sets.push_back({visits.size[i], 0, RowMatrix(n, q)});
      }
      MeanSet& set = plan.sets[static_cast<std::size_t>(place.set)];
      place.mean = set.n_rows++;
      set.x.row(place.mean) = place.root * plan.x_mean;
    }
    plan.places.push_back(place);
  }
  plan.within.conservativeResize(n_within, q);
  for (MeanSet& set : plan.sets) set.x.conservativeResize(set.n_rows, q);
  return plan;
}

/// A voxel that lacks an image of a subject: what it had before the row `row` of the slice.
struct OddStart {
  Index voxel = 0;
  Index row = 0;
  double count = 0.0;
  double mean = 0.0;
  const double* x = nullptr;  // (q)
};

/// A voxel that lacks an image, followed through the rest of the subject.
///
/// add(x, y) is called for each of its rotated rows that do not hold the mean, and add_mean(size,
/// x, y) for that of the mean; the caller may overwrite x.
class OddWalk {
 public:
  explicit OddWalk(Index q) : x_(q), row_(q), step_(q) {}

  template <typename Scalar, typename Add, typename AddMean>
  void follow(const OddStart& start, const SlicePlan& plan, const VisitRows& visits,
              const DataView<Scalar>& y, const Add& add, const AddMean& add_mean) {
    count_ = start.count;
    mean_ = start.mean;
    x_ = Eigen::Map<const VectorXd>(start.x, x_.size());
    is_open_ = true;
    for (Index i = start.row; i < y.n_rows && is_open_; ++i) {
      const auto value = static_cast<double>(y(i, start.voxel));
      if (!std::isnan(value)) {
        step_ = visits.rows.row(i).transpose() - x_;
        const double difference = value - mean_;
        if (count_ > 0.0) {
          const double length = std::sqrt(count_ / (count_ + 1.0));
          row_ = length * step_;
          add(row_.data(), length * difference);
        }
        count_ += 1.0;
        mean_ = count_ > 1.0 ? mean_ + difference / count_ : value;
        x_ += step_ / count_;
      }
      is_open_ = !plan.places[static_cast<std::size_t>(i)].is_last;
    }
    if (is_open_ || count_ == 0.0) return;
    const double root = std::sqrt(count_);
    row_ = root * x_;
    add_mean(static_cast<std::int64_t>(count_), row_.data(), root * mean_);
  }

  // Whether the subject goes on after the slice, and what the voxel has of it so far.
  bool is_open() const { return is_open_; }
  double count() const { return count_; }
  double mean() const { return mean_; }
  const VectorXd& x() const { return x_; }

 private:
  VectorXd x_, row_, step_;
  double count_ = 0.0;
  double mean_ = 0.0;
  bool is_open_ = true;
};

}  // namespace groupglm
