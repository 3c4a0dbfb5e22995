// SPDX-License-Identifier: BSD-3-Clause
#include "models/tau2_search.hpp"

#include <array>
#include <cmath>

namespace groupglm {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// Distance of the points of a scan, in log(vmin + tau2), and of those of a close scan.
constexpr double kStep = 0.7;
constexpr double kCloseStep = 0.05;
// More points than that only variances spread over hundreds of orders of magnitude would need.
constexpr int kMostPoints = 128;
constexpr int kMostClosePoints = 1024;
// G / F that comes nearer 1 than this, and turns round, is looked at closely.
constexpr double kNear = 0.3;
// Newton's iteration ends with a step d of d^2 < kLastStep tau2 (c + tau2): what it leaves is about
// d^2 / (c + tau2), so that tau2 itself is right to about this share.
constexpr double kLastStep = 1e-11;
constexpr int kMostSteps = 100;

// The interval that has every change of sign of the slope, and the points of its scan.
struct Interval {
  double low = 0.0;  // tau2
  double high = 0.0;
  Index n_steps = 0;  // 0: the slope is below zero everywhere
  double factor = 1.0;
};

// The larger root u of m u^2 = rss (u + c).
double larger_root(double m, double rss, double c) {
  const double half = 0.5 * rss / m;
  return half + std::sqrt(std::max(0.0, half * half + rss / m * c));
}

Interval interval_of(double m, double smallest, double largest, double rss, double step,
                     double most_points) {
  Interval found;
  const double spread = largest - smallest;
  found.high = std::min(larger_root(m, rss, spread), rss) - smallest;
  if (!(found.high > 0.0)) return found;
  if (rss * smallest > m * largest * largest) {
    found.low = std::clamp(larger_root(m, rss, -spread) - largest, 0.0, found.high);
  }
  const double length = std::log((smallest + found.high) / (smallest + found.low));
  const double wanted = std::ceil(length / step);
  found.n_steps = wanted >= 1.0 ? static_cast<Index>(std::min(wanted, most_points)) : 1;
  found.factor = std::exp(length / static_cast<double>(found.n_steps));
  return found;
}

// A maximum lies between low and high: the slope changes from plus to minus.
struct Bracket {
  double low = 0.0;
  double high = 0.0;
  double guess = 0.0;
};

// The bracket between two points of a scan, of which G / F may be known: infinite or 0 stands for
// what is not. The guess is that of equal variances: G / F is linear in 1 / (c + tau2).
Bracket bracket_of(double low, double high, double ratio_low, double ratio_high, double c) {
  double guess = (c + low) * ratio_low - c;
  if (ratio_high > 0.0 && ratio_low < kInf) {
    const double share = (ratio_low - 1.0) / (ratio_low - ratio_high);
    guess = 1.0 / ((1.0 - share) / (c + low) + share / (c + high)) - c;
  }
  if (!(guess > low) || !(guess < high)) guess = std::sqrt((c + low) * (c + high)) - c;
  return {low, high, std::clamp(guess, low, high)};
}

// Newton's iteration, one bracket a lane; a bracket of length zero is left as it is.
Octet refine(Tau2Sums& sums, const OctetImages& images, std::array<Bracket, kOctet> brackets,
             const Octet& centre, bool restricted) {
  Octet t;
  std::array<bool, kOctet> done{};
  for (int l = 0; l < kOctet; ++l) {
    t[l] = brackets[at(l)].guess;
    done[at(l)] = !(brackets[at(l)].high > brackets[at(l)].low);
  }
  for (int step = 0; step < kMostSteps; ++step) {
    if (std::all_of(done.begin(), done.end(), [](bool each) { return each; })) break;
    sums.fit(images, t);
    sums.add_moments(images);
    const Octet g = sums.moments().s2;
    const Octet f = restricted ? sums.trace() : sums.moments().w1;
    const Octet g_slope = -2.0 * sums.scatter_cubed();
    const Octet f_slope = restricted ? Octet(-sums.trace_of_square()) : Octet(-sums.moments().w2);
    for (int l = 0; l < kOctet; ++l) {
      if (done[at(l)]) continue;
      Bracket& own = brackets[at(l)];
      (g[l] > f[l] ? own.low : own.high) = t[l];
      const double u = centre[l] + t[l];
      const double slope = u * (g_slope[l] / g[l] - f_slope[l] / f[l]);
      const double next = u / (1.0 + (1.0 - f[l] / g[l]) / slope) - centre[l];
      // Bisection if the iteration leaves the bracket, or goes on for long.
      const bool is_newton = slope < 0.0 && next >= own.low && next <= own.high && step % 8 != 7;
      const double middle = std::sqrt((centre[l] + own.low) * (centre[l] + own.high)) - centre[l];
      const double to = std::clamp(is_newton ? next : middle, own.low, own.high);
      const double change = to - t[l];
      t[l] = to;
      const bool is_short = change * change <= kLastStep * to * (centre[l] + to);
      done[at(l)] = is_newton ? is_short : own.high - own.low <= 1e-15 * u;
    }
  }
  return t;
}

// The log likelihood at t, without what does not depend on it.
Octet log_likelihood(Tau2Sums& sums, const OctetImages& images, const Octet& t, bool restricted) {
  sums.fit(images, t);
  sums.add_scatter(images);
  Octet value = -0.5 * sums.moments().s1;
  for (int l = 0; l < kOctet; ++l) {
    double log_sum = restricted ? sums.log_determinant(l) : 0.0;
    for (Index i = 0; i < images.n; ++i) {
      const double v = variances(images, i)[l];
      if (v < kInf) log_sum += std::log(v + t[l]);
    }
    value[l] -= 0.5 * log_sum;
  }
  return value;
}

// One voxel, looked at closely: the highest of all maxima. Octets have different tau2.
class CloseSearch {
 public:
  CloseSearch(Tau2Sums& sums, const OctetImages& images, int lane, double centre, bool restricted)
      : sums_(sums), restricted_(restricted), centre_(centre) {
    values_.resize(at(2 * images.n * kOctet));
    double* const y = values_.data();
    double* const v = y + images.n * kOctet;
    for (Index i = 0; i < images.n; ++i) {
      OctetOut(y + i * kOctet).setConstant(effects(images, i)[lane]);
      OctetOut(v + i * kOctet).setConstant(variances(images, i)[lane]);
    }
    images_ = {images.n, y, v};
  }

  double highest(double smallest, const Interval& interval) {
    std::vector<Bracket> brackets = scan(smallest, interval);
    double best = 0.0;
    double best_value = log_likelihood(sums_, images_, full(0.0), restricted_)[0];
    for (std::size_t first = 0; first < brackets.size(); first += at(kOctet)) {
      std::array<Bracket, kOctet> some{};
      const std::size_t count = std::min(at(kOctet), brackets.size() - first);
      std::copy_n(brackets.begin() + static_cast<std::ptrdiff_t>(first), count, some.begin());
      const Octet t = refine(sums_, images_, some, full(centre_), restricted_);
      const Octet value = log_likelihood(sums_, images_, t, restricted_);
      for (std::size_t k = 0; k < count; ++k) {
        const auto lane = static_cast<Index>(k);
        if (value[lane] > best_value) {
          best_value = value[lane];
          best = t[lane];
        }
      }
    }
    return best;
  }

 private:
  std::vector<Bracket> scan(double smallest, const Interval& interval) {
    std::vector<Bracket> found;
    double before = interval.low;
    double ratio_before = interval.low > 0.0 ? kInf : kNan;
    double u = smallest + interval.low;
    for (Index first = 0; first <= interval.n_steps; first += kOctet) {
      Octet t;
      for (int l = 0; l < kOctet; ++l) {
        t[l] = std::min(u - smallest, interval.high);
        if (first + l == 0) t[l] = interval.low;
        if (first + l == interval.n_steps) t[l] = interval.high;
        u *= interval.factor;
      }
      sums_.fit(images_, t);
      sums_.add_moments(images_);
      const Octet f = restricted_ ? sums_.trace() : sums_.moments().w1;
      const Octet ratio = sums_.moments().s2 / f;
      for (int l = 0; l < kOctet && first + l <= interval.n_steps; ++l) {
        const bool is_last = first + l == interval.n_steps;
        if (ratio_before > 1.0 && (is_last || !(ratio[l] > 1.0))) {
          found.push_back(
              bracket_of(before, t[l], ratio_before, is_last ? 0.0 : ratio[l], centre_));
        }
        before = t[l];
        ratio_before = ratio[l];
      }
    }
    return found;
  }

  Tau2Sums& sums_;
  bool restricted_;
  double centre_;
  std::vector<double> values_;
  OctetImages images_;
};

using Ratios = std::array<double, kMostPoints>;

// What a scan of one voxel says.
struct Finding {
  bool is_unique = false;    // one maximum, in the bracket
  bool is_doubtful = false;  // several candidates, or a near miss
  Bracket bracket;
};

// ratios: G / F at the points 0 to n_steps - 1; beyond the last the slope is below zero. turn:
// whether G / F rises from the first point.
Finding judge(const Ratios& ratios, const Interval& interval, double smallest, double centre,
              bool turn) {
  Finding found;
  int n_candidates = ratios.front() > 1.0 ? 0 : 1;
  found.is_doubtful = turn && ratios.front() <= 1.0 && ratios.front() > 1.0 - kNear;
  double u = smallest + interval.low;
  double t = interval.low;
  for (Index j = 0; j < interval.n_steps; ++j) {
    const bool is_last = j + 1 == interval.n_steps;
    const double here = ratios[at(j)];
    const double after = is_last ? 0.0 : ratios[at(j + 1)];
    u *= interval.factor;
    const double next = is_last ? interval.high : std::min(u - smallest, interval.high);
    if (here > 1.0 && !(after > 1.0)) {
      ++n_candidates;
      found.bracket = bracket_of(t, next, here, after, centre);
    }
    if (j > 0) {
      const double before = ratios[at(j - 1)];
      const bool is_dip = here > 1.0 && here < 1.0 + kNear && before > here && after > here;
      const bool is_hump = here <= 1.0 && here > 1.0 - kNear && before < here && after < here;
      if (is_dip || is_hump) found.is_doubtful = true;
    }
    t = next;
  }
  found.is_doubtful = found.is_doubtful || n_candidates > 1;
  found.is_unique = !found.is_doubtful && ratios.front() > 1.0;
  return found;
}

}  // namespace

OctetTau2 largest_likelihood(Tau2Sums& sums, const OctetImages& images, const OctetFacts& facts,
                             bool restricted) {
  const auto rank = static_cast<double>(sums.basis().r());
  sums.fit(images, full(0.0));
  sums.add_moments(images);
  const OctetTau2 at_zero{full(kNan), sums.trace(), sums.moments().s1};
  const Octet g0 = sums.moments().s2;
  const Octet f0 = restricted ? at_zero.trace : sums.moments().w1;
  const Octet rise = (restricted ? sums.trace_of_square() : sums.moments().w2) / f0 -
                     2.0 * sums.scatter_cubed() / g0;

  OctetTau2 out = at_zero;
  std::array<Interval, kOctet> intervals;
  std::array<Ratios, kOctet> ratios;
  Index n_points = 1;
  for (int l = 0; l < kOctet; ++l) {
    const double m = facts.n_images[l] - (restricted ? rank : 0.0);
    if (!(facts.n_images[l] > rank)) continue;
    out.tau2[l] = 0.0;
    intervals[at(l)] =
        interval_of(m, facts.smallest[l], facts.largest[l], facts.rss[l], kStep, kMostPoints);
    n_points = std::max(n_points, intervals[at(l)].n_steps);
    ratios[at(l)][0] = intervals[at(l)].low > 0.0 ? kInf : g0[l] / f0[l];
  }
  Octet u;
  for (int l = 0; l < kOctet; ++l) u[l] = facts.smallest[l] + intervals[at(l)].low;
  for (Index j = 1; j < n_points; ++j) {
    Octet t = full(1.0);
    for (int l = 0; l < kOctet; ++l) {
      const Interval& own = intervals[at(l)];
      if (j >= own.n_steps) continue;
      u[l] *= own.factor;
      t[l] = std::min(u[l] - facts.smallest[l], own.high);
    }
    Octet g;
    Octet f;
    sums.scan(images, t, restricted, g, f);
    for (int l = 0; l < kOctet; ++l) {
      if (j < intervals[at(l)].n_steps) ratios[at(l)][at(j)] = g[l] / f[l];
    }
  }

  const Octet centre = (facts.n_images - rank) / at_zero.trace;
  std::array<Bracket, kOctet> brackets{};
  std::array<bool, kOctet> is_unique{};
  std::array<bool, kOctet> is_doubtful{};
  bool any = false;
  for (int l = 0; l < kOctet; ++l) {
    const Interval& own = intervals[at(l)];
    if (own.n_steps == 0) continue;
    const Finding found = judge(ratios[at(l)], own, facts.smallest[l], centre[l], rise[l] > 0.0);
    is_unique[at(l)] = found.is_unique;
    is_doubtful[at(l)] = found.is_doubtful;
    if (found.is_unique) brackets[at(l)] = found.bracket;
    any = any || found.is_unique;
  }
  if (any) {
    const Octet t = refine(sums, images, brackets, centre, restricted);
    for (int l = 0; l < kOctet; ++l) {
      if (is_unique[at(l)]) out.tau2[l] = t[l];
    }
  }
  for (int l = 0; l < kOctet; ++l) {
    if (!is_doubtful[at(l)]) continue;
    const double m = facts.n_images[l] - (restricted ? rank : 0.0);
    CloseSearch search(sums, images, l, centre[l], restricted);
    out.tau2[l] =
        search.highest(facts.smallest[l], interval_of(m, facts.smallest[l], facts.largest[l],
                                                      facts.rss[l], kCloseStep, kMostClosePoints));
  }
  return out;
}

}  // namespace groupglm
