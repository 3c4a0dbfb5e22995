// SPDX-License-Identifier: BSD-3-Clause
#include "models/nested_search.hpp"

#include <algorithm>
#include <cmath>

#include "loops/lanes.hpp"

namespace groupglm {

using lanes::at;
using lanes::packed;

namespace {

constexpr auto kRatios = static_cast<Index>(kRatioGrid.size());

constexpr int kMostSteps = 200;
// A step ends the iteration if it promises less than this of the criterion: the next would be about
// its square.
constexpr double kLastGain = 1e-13;
// Starts whose criterion is this much above the lowest of the grid are not followed: within a cell
// of the grid the criterion changes less, unless it is steep towards a lower neighbour.
constexpr double kHopeless = 6.0;

// The criterion and its derivatives at a point, of one voxel.
struct Local {
  std::array<double, 2> at{};  // ratios
  double criterion = 0.0;
  std::array<double, 2> slope{};
  std::array<double, 3> observed{};  // second derivatives: (0, 0), (0, 1), (1, 1)
  std::array<double, 3> expected{};
};

template <typename V>
Local local_of(const NestedMoments<V>& moments, const Ratios<V>& ratios, Index lane, double df) {
  Local out;
  out.at = {ratios.subject[lane], ratios.family[lane]};
  out.criterion = moments.criterion[lane];
  const double scatter = std::max(moments.scatter[lane], 1e-300);
  for (std::size_t k = 0; k < 2; ++k) out.slope[k] = moments.slope[k][lane];
  for (std::size_t pair = 0; pair < 3; ++pair) {
    const std::size_t k = pair / 2;
    const std::size_t l = pair == 0 ? 0 : 1;
    const double own = moments.traces[pair][lane];
    out.observed[pair] = df * (2.0 * moments.pypy[pair][lane] / scatter -
                               (moments.py[k][lane] / scatter) * (moments.py[l][lane] / scatter)) -
                         own;
    out.expected[pair] = own - moments.trace[k][lane] * moments.trace[l][lane] / df;
  }
  return out;
}

bool is_positive(const std::array<double, 3>& h) {
  return h[0] > 0.0 && h[2] > 0.0 && h[0] * h[2] - h[1] * h[1] > 1e-10 * h[0] * h[2];
}

// The next point by Newton's iteration within the bounds, and what it promises of the criterion.
std::array<double, 2> next_point(const Local& here, double* gain) {
  std::array<bool, 2> is_free{};
  for (std::size_t k = 0; k < 2; ++k) is_free[k] = here.at[k] > 0.0 || here.slope[k] < 0.0;
  std::array<double, 2> to = here.at;
  const auto along = [&](std::size_t k) {
    // One ratio alone.
    const double own = here.observed[2 * k] > 0.0 ? here.observed[2 * k] : here.expected[2 * k];
    to[k] = here.at[k] - here.slope[k] / std::max(own, 1e-300);
  };
  if (is_free[0] && is_free[1]) {
    const auto& h = is_positive(here.observed) ? here.observed : here.expected;
    const double det = h[0] * h[2] - h[1] * h[1];
    if (det > 0.0) {
      to[0] = here.at[0] - (h[2] * here.slope[0] - h[1] * here.slope[1]) / det;
      to[1] = here.at[1] - (h[0] * here.slope[1] - h[1] * here.slope[0]) / det;
      for (std::size_t k = 0; k < 2; ++k) {
        const std::size_t other = 1 - k;
        if (to[k] >= 0.0 || to[other] < 0.0) continue;
        // The bound is met on the way: the other ratio moves as is best on the bound.
        to[k] = 0.0;
        to[other] = here.at[other] -
                    (here.slope[other] - h[1] * here.at[k]) / std::max(h[2 * other], 1e-300);
      }
    } else {
      along(0);
      along(1);
    }
  } else if (is_free[0]) {
    along(0);
  } else if (is_free[1]) {
    along(1);
  }
  const auto bound = [&] {
    double promised = 0.0;
    for (std::size_t k = 0; k < 2; ++k) {
      const double most = std::min(kLargestRatio, 10.0 * here.at[k] + 1.0);
      to[k] = std::isfinite(to[k]) ? std::clamp(to[k], 0.0, most) : here.at[k];
      promised -= here.slope[k] * (to[k] - here.at[k]);
    }
    return promised;
  };
  *gain = bound();
  if (!(*gain > kLastGain)) {
    // The end, or a step that leads uphill because it was cut short at the bounds. Then each ratio
    // on its own goes downhill.
    const std::array<double, 2> last = to;
    const double promised = *gain;
    to = here.at;
    for (std::size_t k = 0; k < 2; ++k) {
      if (is_free[k]) along(k);
    }
    *gain = bound();
    if (!(*gain > kLastGain)) {
      to = last;
      *gain = promised;
    }
  }
  return to;
}

// Newton's iteration of all lanes from their starts; lanes that are not wanted stay where they are.
template <typename V>
class Descent {
 public:
  static constexpr Index kWidth = V::SizeAtCompileTime;

  Descent(const NestedRows& rows, const NestedSums<V>& sums, NestedMoments<V>& moments)
      : rows_(rows), sums_(sums), moments_(moments), df_(static_cast<double>(rows.n - rows.r)) {}

  // The end and its criterion.
  Ratios<V> from(const Ratios<V>& start, const std::array<bool, at(kWidth)>& is_wanted,
                 V* criterion) {
    Ratios<V> now = start;
    std::array<bool, at(kWidth)> done{};
    std::array<bool, at(kWidth)> is_last{};
    std::array<Local, at(kWidth)> here;
    for (std::size_t l = 0; l < here.size(); ++l) done[l] = !is_wanted[l];
    evaluate(now);
    *criterion = moments_.criterion;
    for (Index l = 0; l < kWidth; ++l) here[at(l)] = local_of(moments_, now, l, df_);
    std::array<std::array<double, 2>, at(kWidth)> to;
    std::array<double, at(kWidth)> gain{};
    const auto aim = [&](Index l) {
      to[at(l)] = next_point(here[at(l)], &gain[at(l)]);
      is_last[at(l)] = !(gain[at(l)] > kLastGain);
    };
    for (Index l = 0; l < kWidth; ++l) aim(l);
    for (int step = 0; step < kMostSteps; ++step) {
      if (std::all_of(done.begin(), done.end(), [](bool each) { return each; })) break;
      Ratios<V> trial = now;
      for (Index l = 0; l < kWidth; ++l) {
        if (done[at(l)]) continue;
        trial.subject[l] = to[at(l)][0];
        trial.family[l] = to[at(l)][1];
      }
      evaluate(trial);
      for (Index l = 0; l < kWidth; ++l) {
        if (done[at(l)]) continue;
        Local& own = here[at(l)];
        const double change = moments_.criterion[l] - own.criterion;
        const double rounding = 1e-12 * (1.0 + std::abs(own.criterion));
        if (is_last[at(l)] || change <= rounding) {
          now.subject[l] = trial.subject[l];
          now.family[l] = trial.family[l];
          done[at(l)] = is_last[at(l)];
          own = local_of(moments_, now, l, df_);
          (*criterion)[l] = own.criterion;
          if (!done[at(l)]) aim(l);
          continue;
        }
        // Back half of the way.
        for (std::size_t k = 0; k < 2; ++k) to[at(l)][k] = 0.5 * (to[at(l)][k] + own.at[k]);
        if (to[at(l)] == own.at) done[at(l)] = true;
      }
    }
    return now;
  }

  void evaluate(const Ratios<V>& ratios) {
    moments_.set_all(rows_, sums_, ratios.subject, ratios.family);
  }

 private:
  const NestedRows& rows_;
  const NestedSums<V>& sums_;
  NestedMoments<V>& moments_;
  double df_;
};

using GridCriteria = std::array<double, at(kGridPoints)>;

// Adds the points of the grid that are no higher than their neighbours.
void add_lowest(const GridCriteria& criteria, std::vector<Index>& found) {
  for (Index i = 0; i < kRatios; ++i) {
    for (Index j = 0; j < kRatios; ++j) {
      bool is_lowest = true;
      for (Index k = std::max<Index>(0, i - 1); k <= std::min(kRatios - 1, i + 1); ++k) {
        for (Index l = std::max<Index>(0, j - 1); l <= std::min(kRatios - 1, j + 1); ++l) {
          if (criteria[at(k * kRatios + l)] < criteria[at(i * kRatios + j)]) is_lowest = false;
        }
      }
      if (is_lowest) found.push_back(i * kRatios + j);
    }
  }
}

// Adds the ends of jumps: the lowest points of neighbouring lines of the grid that are apart along
// the lines. Points of a line are `along` apart, and lines `across`.
void add_jumps(const GridCriteria& criteria, Index across, Index along, std::vector<Index>& found) {
  Index before = 0;
  for (Index line = 0; line < kRatios; ++line) {
    Index lowest = 0;
    for (Index k = 1; k < kRatios; ++k) {
      const double* const first = criteria.data() + line * across;
      if (first[k * along] < first[lowest * along]) lowest = k;
    }
    if (line > 0 && std::abs(lowest - before) > 1) {
      found.push_back((line - 1) * across + before * along);
      found.push_back(line * across + lowest * along);
    }
    before = lowest;
  }
}

// The points of the grid from which maxima are looked for, the most likely first.
std::vector<Index> starts_of(const GridCriteria& criteria) {
  std::vector<Index> found;
  add_lowest(criteria, found);
  add_jumps(criteria, kRatios, 1, found);
  add_jumps(criteria, 1, kRatios, found);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::stable_sort(found.begin(), found.end(),
                   [&](Index a, Index b) { return criteria[at(a)] < criteria[at(b)]; });
  const double lowest = found.empty() ? 0.0 : criteria[at(found.front())];
  while (found.size() > 1 && criteria[at(found.back())] > lowest + kHopeless) found.pop_back();
  return found;
}

}  // namespace

NestedGrid::NestedGrid(const NestedRows& rows) : rows_(rows), points_(at(kGridPoints)) {
  const Index r = rows.r;
  for (Index index = 0; index < kGridPoints; ++index) {
    Point& point = points_[at(index)];
    const double subject = kRatioGrid[at(index / kRatios)];
    const double family = kRatioGrid[at(index % kRatios)];
    Eigen::RowVectorXd a =
        Eigen::Map<const Eigen::RowVectorXd>(rows.within.data(), lanes::n_packed(r));
    for (Index k = 0; k < rows.n_kinds(); ++k) {
      const double within = 1.0 + rows.size[at(k)] * subject;
      point.weight.push_back(rows.size[at(k)] / within);
      point.log_det += rows.n_of_kind[at(k)] * std::log(within);
      a += point.weight.back() * rows.products.row(k);
    }
    point.taken.resize(rows.n_families(), r + 1);
    Index g = 0;
    for (Index f = 0; f < rows.n_families(); ++f) {
      Eigen::RowVectorXd u = Eigen::RowVectorXd::Zero(r);
      double total = 0.0;
      for (; g < rows.family_end[at(f)]; ++g) {
        const double weight = point.weight[at(rows.kind[at(g)])];
        total += weight * rows.n_of_group[at(g)];
        u += weight * rows.group_means.row(g);
      }
      const double c = family / (1.0 + family * total);
      point.log_det += std::log1p(family * total);
      point.taken.row(f).head(r) = c * u;
      point.taken(f, r) = c;
      for (Index j = 0; j < r; ++j) {
        for (Index k = 0; k <= j; ++k) a[packed(j, k)] -= c * u[j] * u[k];
      }
    }
    using One = Eigen::Array<double, 1, 1>;
    std::vector<One> factor(at(lanes::n_packed(r)));
    for (std::size_t j = 0; j < factor.size(); ++j) factor[j] = a[static_cast<Index>(j)];
    lanes::factor(factor.data(), r);
    for (const One& each : factor) point.factor.push_back(each[0]);
    for (Index j = 0; j < r; ++j) point.log_det += std::log(point.factor[at(packed(j, j))]);
  }
}

template <typename V>
void NestedGrid::criteria(const NestedSums<V>& sums, V* out) const {
  const Index r = rows_.r;
  const auto df = static_cast<double>(rows_.n - r);
  const V least = V::Constant(std::numeric_limits<double>::min());
  std::vector<V> xy(at(r));
  for (Index index = 0; index < kGridPoints; ++index) {
    const Point& point = points_[at(index)];
    for (Index j = 0; j < r; ++j) xy[at(j)] = sums.within_xy[at(j)];
    V yy = sums.within_yy;
    for (Index k = 0; k < rows_.n_kinds(); ++k) {
      const double weight = point.weight[at(k)];
      for (Index j = 0; j < r; ++j) xy[at(j)] += weight * sums.kind_xy[at(k * r + j)];
      yy += weight * sums.kind_yy[at(k)];
    }
    if (index % kRatios != 0) {
      Index g = 0;
      for (Index f = 0; f < rows_.n_families(); ++f) {
        V u = V::Zero();
        for (; g < rows_.family_end[at(f)]; ++g) {
          u += point.weight[at(rows_.kind[at(g)])] * sums.group[at(g)];
        }
        const double* const taken = point.taken.row(f).data();
        for (Index j = 0; j < r; ++j) xy[at(j)] -= taken[j] * u;
        yy -= taken[r] * u * u;
      }
    }
    // y'Py = yy - |D^-1/2 L^-1 xy|^2
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k < j; ++k) xy[at(j)] -= point.factor[at(packed(j, k))] * xy[at(k)];
      yy -= xy[at(j)] * xy[at(j)] / point.factor[at(packed(j, j))];
    }
    out[index] = df * lanes::log_of(V(yy.max(least))) + point.log_det;
  }
}

template <typename V>
Ratios<V> highest_likelihood(const NestedRows& rows, const NestedSums<V>& sums, const V* criteria,
                             NestedMoments<V>& moments) {
  constexpr Index kWidth = V::SizeAtCompileTime;
  std::array<std::vector<Index>, at(kWidth)> starts;
  std::size_t n_rounds = 1;
  for (Index l = 0; l < kWidth; ++l) {
    GridCriteria own{};
    for (Index index = 0; index < kGridPoints; ++index) own[at(index)] = criteria[index][l];
    starts[at(l)] = starts_of(own);
    n_rounds = std::max(n_rounds, starts[at(l)].size());
  }
  Descent<V> descent(rows, sums, moments);
  Ratios<V> best{V::Zero(), V::Zero()};
  V lowest = V::Constant(std::numeric_limits<double>::infinity());
  for (std::size_t round = 0; round < n_rounds; ++round) {
    Ratios<V> start{V::Zero(), V::Zero()};
    std::array<bool, at(kWidth)> is_wanted{};
    for (Index l = 0; l < kWidth; ++l) {
      is_wanted[at(l)] = round < starts[at(l)].size();
      if (!is_wanted[at(l)]) continue;
      start.subject[l] = kRatioGrid[at(starts[at(l)][round] / kRatios)];
      start.family[l] = kRatioGrid[at(starts[at(l)][round] % kRatios)];
    }
    V criterion;
    const Ratios<V> end = descent.from(start, is_wanted, &criterion);
    for (Index l = 0; l < kWidth; ++l) {
      if (!is_wanted[at(l)] || !(criterion[l] < lowest[l])) continue;
      lowest[l] = criterion[l];
      best.subject[l] = end.subject[l];
      best.family[l] = end.family[l];
    }
  }
  descent.evaluate(best);
  return best;
}

using One = Eigen::Array<double, 1, 1>;
template void NestedGrid::criteria(const NestedSums<Lane>&, Lane*) const;
template void NestedGrid::criteria(const NestedSums<One>&, One*) const;
template Ratios<Lane> highest_likelihood(const NestedRows&, const NestedSums<Lane>&, const Lane*,
                                         NestedMoments<Lane>&);
template Ratios<One> highest_likelihood(const NestedRows&, const NestedSums<One>&, const One*,
                                        NestedMoments<One>&);

}  // namespace groupglm
