// SPDX-License-Identifier: BSD-3-Clause
// Some rows of subjects' images: what their rotated rows are, and the voxels that lack an image.
#pragma once

#include <cmath>
#include <vector>

#include "groupglm/models/repeated_state.hpp"

namespace groupglm {

/// What a row becomes: rows of the rotated ones, first those within subjects, then the means.
struct VisitPlace {
  bool is_first = false;  // of its subject
  bool is_last = false;
  Index within = -1;    // its rotated row; the first visit of a subject has none
  Index mean = -1;      // the row of its subject's mean; the last visit has it
  double share = 1.0;   // 1 / j for visit j
  double length = 0.0;  // sqrt((j - 1) / j)
  double root = 1.0;    // sqrt(m), m visits in all
};

/// The means of subjects with as many images.
struct MeanSet {
  std::int64_t size = 0;
  Index first = 0;  // of the rotated rows
  Index n_rows = 0;
  RowMatrix x;  // (n_rows, q)
};

struct SlicePlan {
  std::vector<VisitPlace> places;  // a row each
  RowMatrix within;                // (n_within, q)
  std::vector<MeanSet> sets;
  VectorXd x_mean;      // of the last subject
  Index n_open = 0;     // its rows, if it is not complete
  Index n_rotated = 0;  // one more than the rows, if a subject had begun before
};

inline SlicePlan plan_slice(const VisitRows& visits, Index n_open, const VectorXd& x_mean) {
  const Index n = visits.rows.rows();
  const Index q = visits.rows.cols();
  SlicePlan plan{{}, RowMatrix(n, q), {}, x_mean, n_open, 0};
  std::vector<std::size_t> set_of;  // of the last visit of each subject
  Index n_within = 0;
  for (Index i = 0; i < n; ++i) {
    const auto visit = static_cast<double>(visits.visit[i]);
    VisitPlace place;
    place.is_first = visits.visit[i] == 1;
    place.is_last = visits.visit[i] == visits.size[i];
    place.share = 1.0 / visit;
    place.length = std::sqrt((visit - 1.0) / visit);
    place.root = std::sqrt(static_cast<double>(visits.size[i]));
    if (place.is_first) plan.x_mean.setZero();
    const VectorXd difference = visits.rows.row(i).transpose() - plan.x_mean;
    if (!place.is_first) {
      place.within = n_within;
      plan.within.row(n_within++) = place.length * difference;
    }
    plan.x_mean += place.share * difference;
    plan.n_open = place.is_last ? 0 : visits.visit[i];
    if (place.is_last) {
      std::size_t own = 0;
      while (own < plan.sets.size() && plan.sets[own].size != visits.size[i]) ++own;
      if (own == plan.sets.size()) plan.sets.push_back({visits.size[i], 0, 0, RowMatrix(n, q)});
      MeanSet& set = plan.sets[own];
      place.mean = set.n_rows++;
      set.x.row(place.mean) = place.root * plan.x_mean;
      set_of.push_back(own);
    }
    plan.places.push_back(place);
  }
  plan.within.conservativeResize(n_within, q);
  Index first = n_within;
  for (MeanSet& set : plan.sets) {
    set.x.conservativeResize(set.n_rows, q);
    set.first = first;
    first += set.n_rows;
  }
  plan.n_rotated = first;
  auto own = set_of.begin();
  for (VisitPlace& place : plan.places) {
    if (place.is_last) place.mean += plan.sets[*own++].first;
  }
  return plan;
}

/// The images of a subject that a voxel has so far.
struct VisitsSoFar {
  double count = 0.0;
  double mean = 0.0;
  VectorXd x;  // (q): the mean of the design's rows
};

/// Follows a voxel through a slice, whatever images it lacks.
///
/// add(x, y) is called for each of its rotated rows that do not hold a mean, and add_mean(count,
/// size, x, y) for the mean of each subject, of whom it has `count` images and there are `size`;
/// the caller may overwrite x. `now` holds what came before, and then what follows have.
template <typename Scalar, typename Add, typename AddMean>
void follow_voxel(const SlicePlan& plan, const VisitRows& visits, const DataView<Scalar>& y,
                  Index voxel, VisitsSoFar& now, const Add& add, const AddMean& add_mean) {
  VectorXd row(now.x.size());
  VectorXd step(now.x.size());
  for (Index i = 0; i < y.n_rows; ++i) {
    const VisitPlace& place = plan.places[static_cast<std::size_t>(i)];
    if (place.is_first) {
      now.count = now.mean = 0.0;
      now.x.setZero();
    }
    const auto value = static_cast<double>(y(i, voxel));
    if (!std::isnan(value)) {
      step = visits.rows.row(i).transpose() - now.x;
      const double difference = value - now.mean;
      if (now.count > 0.0) {
        const double length = std::sqrt(now.count / (now.count + 1.0));
        row = length * step;
        add(row.data(), length * difference);
      }
      now.count += 1.0;
      now.mean = now.count > 1.0 ? now.mean + difference / now.count : value;
      now.x += step / now.count;
    }
    if (!place.is_last || now.count == 0.0) continue;
    const double root = std::sqrt(now.count);
    row = root * now.x;
    add_mean(static_cast<std::int64_t>(now.count), visits.size[i], row.data(), root * now.mean);
  }
}

}  // namespace groupglm
