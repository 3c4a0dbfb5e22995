// SPDX-License-Identifier: BSD-3-Clause
// The ratio of the subjects' variance to the residual one, by REML.
//
// At a voxel the slope of the criterion has the sign of 1 - v, v = (n - p) q2 / (a Q). All voxels
// look at v at the same ratios, a factor of 1.6 apart where intercepts matter, and farther apart
// above. Where v falls through 1 lies a minimum, and one at 0 if v is at most 1 there. Where v
// comes near 1 and turns, the interval is looked at more closely. A minimum is found by bisection
// and inverse quadratic interpolation (Chandrupatla, Adv. Eng. Softw. 28:145, 1997). The criterion
// itself is compared where there are several minima.
#include "groupglm/models/random_intercept.hpp"
#include "models/intercept_lanes.hpp"
#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

constexpr double kFactor = 1.6;
constexpr double kFineFactor = 4.0;  // above: the ratio is large even for one image a subject
constexpr double kSmallest = 1e-3;   // over the largest number of images of a subject
constexpr double kLargest = 1e9;     // beyond, images of a subject do not differ
constexpr double kNear = 0.15;
constexpr int kCloser = 24;        // points of a closer look
constexpr double kExact = 2e-14;   // of v - 1: rounding
constexpr double kNarrow = 4e-16;  // of a bracket, over the ratio
constexpr int kMostSteps = 100;

std::vector<double> search_ratios(double largest_size) {
  std::vector<double> ratios{0.0};
  double ratio = kSmallest / largest_size;
  for (; ratio < kFar; ratio *= kFactor) ratios.push_back(ratio);
  for (; ratio < kLargest; ratio *= kFineFactor) ratios.push_back(ratio);
  ratios.push_back(kLargest);
  return ratios;
}

struct Bracket {
  double low = 0.0;
  double high = 0.0;
  double above = 1.0;   // v - 1 at low, above 0
  double below = -1.0;  // at high
};

struct Interval {
  double low;
  double high;
};

// v, and 0 where the data do not vary.
template <typename T, typename S>
Lane variance_ratio(const LaneShape<S>& shape, const ShapeAt<T>& at_ratio, const ValueAt& value) {
  const Lane v = shape.df * value.q2 / (at_ratio.slope * value.q);
  return (value.q > 0.0 && v > 0.0).select(v, 0.0);
}

// The root of v - 1 in one lane: the step to the next ratio, after v is known at the last.
class Root {
 public:
  void start(const Bracket& bracket) {
    a_ = bracket.low;
    b_ = bracket.high;
    fa_ = bracket.above;
    fb_ = bracket.below;
    done_ = false;
    at_ = a_ + fa_ / (fa_ - fb_) * (b_ - a_);
  }
  double at() const { return at_; }
  bool is_done() const { return done_; }

  void take(double f) {
    if (done_) return;
    double c = b_;
    double fc = fb_;
    if ((f > 0.0) == (fa_ > 0.0)) {
      c = a_;
      fc = fa_;
    } else {
      b_ = a_;
      fb_ = fa_;
    }
    a_ = at_;
    fa_ = f;
    // a is the last point, b across the root, c the point that a or b has replaced.
    const double best = std::abs(fa_) < std::abs(fb_) ? a_ : b_;
    const double width = std::abs(b_ - a_);
    const double narrow = kNarrow * std::abs(best) / width;
    if (std::abs(f) <= kExact || narrow > 0.5 || ++n_steps_ > kMostSteps) {
      at_ = std::abs(f) <= kExact ? a_ : best;
      done_ = true;
      return;
    }
    const double xi = (a_ - b_) / (c - b_);
    const double phi = (fa_ - fb_) / (fc - fb_);
    double t = 0.5;
    if (phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi) {
      t = fa_ / (fb_ - fa_) * fc / (fb_ - fc) +
          (c - a_) / (b_ - a_) * fa_ / (fc - fa_) * fb_ / (fc - fb_);
    }
    t = std::min(std::max(t, narrow), 1.0 - narrow);
    at_ = a_ + t * (b_ - a_);
  }

 private:
  double a_ = 0.0, b_ = 0.0, fa_ = 0.0, fb_ = 0.0;
  double at_ = 0.0;
  bool done_ = true;
  int n_steps_ = 0;
};

class Search {
 public:
  Search(const std::vector<double>& ratios, const std::vector<ShapeAt<double>>& shared,
         double* ratio, double* residual_variance)
      : ratios_(ratios),
        shared_(shared),
        out_ratio_(ratio),
        out_variance_(residual_variance),
        v_(ratios.size()) {}

  template <typename S>
  void operator()(const LaneShape<S>& shape, LaneData& data, const LaneGroup& group) {
    scan(shape, data);
    Lane best = in_lanes(0.0);
    if (find_minima(shape, data)) best = lowest(shape, data);
    settle(shape, best, data, own_, value_);
    const Lane variance = value_.q.max(0.0) / shape.df;
    for (Index l = 0; l < group.count; ++l) {
      const Index voxel = group.voxel[at(l)];
      out_ratio_[voxel] = best[l];
      out_variance_[voxel] = std::ldexp(variance[l], 2 * group.exponent[at(l)]);
      if (is_constant_[at(l)]) out_variance_[voxel] = 0.0;
      if (v_.back()[l] > 1.0) {  // the criterion has no minimum
        out_ratio_[voxel] = kNaN;
        out_variance_[voxel] = kNaN;
      }
    }
  }

 private:
  // v at all ratios.
  template <typename S>
  void scan(const LaneShape<S>& shape, const LaneData& data) {
    far_ = data;
    bool is_far = false;
    for (std::size_t j = 0; j < ratios_.size(); ++j) {
      v_[j] = scanned(shape, is_far ? far_ : data, j);
      if (j == 0) note_constant(data, shape.df + static_cast<double>(shape.r));
      if (!is_far && j + 1 < ratios_.size() && ratios_[j + 1] > kFar) {
        take_off(shape, value_.b, far_);
        is_far = true;
      }
    }
    for (int l = 0; l < kLane; ++l) {
      if (!is_constant_[at(l)]) continue;
      for (Lane& v : v_) v[l] = 0.0;
    }
  }

  Lane scanned(const LaneShape<double>& shape, const LaneData& data, std::size_t j) {
    set_value_at(data, shared_[j], shape.r, value_);
    return variance_ratio(shape, shared_[j], value_);
  }

  Lane scanned(const LaneShape<Lane>& shape, const LaneData& data, std::size_t j) {
    set_shape_at(shape, in_lanes(ratios_[j]), own_);
    set_value_at(data, own_, shape.r, value_);
    return variance_ratio(shape, own_, value_);
  }

  template <typename T>
  void note_constant(const LaneData& data, const T& n_images) {
    const Lane n = in_lanes(0.0) + n_images;
    for (int l = 0; l < kLane; ++l) {
      const double share = rounding_share(static_cast<Index>(n[l]));
      is_constant_[at(l)] = !(value_.q[l] > share * share * data.total[l]);
    }
  }

  // The brackets of each lane, and whether any lane has one.
  template <typename S>
  bool find_minima(const LaneShape<S>& shape, const LaneData& data) {
    std::array<std::vector<Interval>, kLane> doubtful;
    std::size_t n_doubtful = 0;
    bool any = false;
    for (int l = 0; l < kLane; ++l) {
      brackets_[at(l)].clear();
      has_zero_[at(l)] = v_[0][l] <= 1.0;
      for (std::size_t j = 0; j + 1 < ratios_.size(); ++j) {
        add_bracket(l, ratios_[j], ratios_[j + 1], v_[j][l], v_[j + 1][l]);
        if (j > 0 && turns_near(v_[j - 1][l], v_[j][l], v_[j + 1][l])) {
          doubtful[at(l)].push_back({ratios_[j - 1], ratios_[j + 1]});
        }
      }
      n_doubtful = std::max(n_doubtful, doubtful[at(l)].size());
      any = any || !brackets_[at(l)].empty();
    }
    for (std::size_t i = 0; i < n_doubtful; ++i) any = look_closer(shape, data, doubtful, i) || any;
    return any;
  }

  static bool turns_near(double before, double here, double after) {
    if (std::abs(here - 1.0) > kNear) return false;
    return here > 1.0 ? before > here && after > here : before < here && after < here;
  }

  bool add_bracket(int lane, double low, double high, double above, double below) {
    if (!(above > 1.0) || !(below <= 1.0)) return false;
    brackets_[at(lane)].push_back({low, high, above - 1.0, below - 1.0});
    return true;
  }

  template <typename S>
  bool look_closer(const LaneShape<S>& shape, const LaneData& data,
                   const std::array<std::vector<Interval>, kLane>& doubtful, std::size_t i) {
    bool any = false;
    Lane before = in_lanes(0.0);
    Lane v_before = in_lanes(0.0);
    for (int step = 0; step <= kCloser; ++step) {
      Lane ratio = in_lanes(0.0);
      for (int l = 0; l < kLane; ++l) {
        if (i >= doubtful[at(l)].size()) continue;
        const Interval& own = doubtful[at(l)][i];
        const double share = static_cast<double>(step) / kCloser;
        ratio[l] = own.low > 0.0 ? own.low * std::pow(own.high / own.low, share) : own.high * share;
      }
      set_shape_at(shape, ratio, own_);
      set_value_at(data, own_, shape.r, value_);
      const Lane v = variance_ratio(shape, own_, value_);
      for (int l = 0; l < kLane && step > 0; ++l) {
        if (i >= doubtful[at(l)].size()) continue;
        any = add_bracket(l, before[l], ratio[l], v_before[l], v[l]) || any;
      }
      before = ratio;
      v_before = v;
    }
    return any;
  }

  // The lowest of the minima of each lane.
  template <typename S>
  Lane lowest(const LaneShape<S>& shape, const LaneData& data) {
    std::size_t most = 0;
    bool several = false;
    for (int l = 0; l < kLane; ++l) {
      const std::size_t count = brackets_[at(l)].size();
      most = std::max(most, count);
      several = several || count > 1 || (count == 1 && has_zero_[at(l)]);
    }
    Lane best = in_lanes(0.0);
    Lane least = in_lanes(kInfinity);
    if (several) {
      least = criterion(shape, data, best);
      for (int l = 0; l < kLane; ++l) {
        if (!has_zero_[at(l)]) least[l] = kInfinity;
      }
    }
    for (std::size_t i = 0; i < most; ++i) {
      const Lane ratio = roots(shape, data, i);
      const Lane value = several ? criterion(shape, data, ratio) : in_lanes(0.0);
      for (int l = 0; l < kLane; ++l) {
        if (i >= brackets_[at(l)].size() || !(value[l] < least[l])) continue;
        best[l] = ratio[l];
        least[l] = value[l];
      }
    }
    return best;
  }

  template <typename S>
  Lane roots(const LaneShape<S>& shape, const LaneData& data, std::size_t i) {
    std::array<Root, kLane> roots;
    Lane ratio = in_lanes(0.0);
    for (int l = 0; l < kLane; ++l) {
      if (i < brackets_[at(l)].size()) roots[at(l)].start(brackets_[at(l)][i]);
      ratio[l] = roots[at(l)].at();
    }
    const bool is_far = (ratio > kFar).any();
    if (is_far) {
      far_ = data;
      settle(shape, ratio, far_, own_, value_);
    }
    bool is_done = false;
    while (!is_done) {
      set_shape_at(shape, ratio, own_);
      set_value_at(is_far ? far_ : data, own_, shape.r, value_);
      const Lane v = variance_ratio(shape, own_, value_);
      is_done = true;
      for (int l = 0; l < kLane; ++l) {
        roots[at(l)].take(v[l] - 1.0);
        is_done = is_done && roots[at(l)].is_done();
        ratio[l] = roots[at(l)].at();
      }
    }
    return ratio;
  }

  // The criterion up to a constant.
  template <typename S>
  Lane criterion(const LaneShape<S>& shape, const LaneData& data, const Lane& ratio) {
    far_ = data;
    settle(shape, ratio, far_, own_, value_);
    Lane out = shape.df * value_.q.log();
    for (Index k = 0; k < shape.n_states(); ++k) out -= shape.n[at(k)] * own_.d[at(k)].log();
    for (Index j = 0; j < shape.r; ++j) out += own_.factor[at(packed(j, j))].log();
    return out;
  }

  const std::vector<double>& ratios_;
  const std::vector<ShapeAt<double>>& shared_;
  double* out_ratio_;
  double* out_variance_;
  Lanes v_;
  ShapeAt<Lane> own_;
  ValueAt value_;
  LaneData far_;
  std::array<std::vector<Bracket>, kLane> brackets_;
  std::array<bool, kLane> has_zero_{};
  std::array<bool, kLane> is_constant_{};
};

}  // namespace

void fit_random_intercept(const RepeatedState& state, const Design& design, double* ratio,
                          double* residual_variance, int n_threads) {
  const StateList list(state);
  const SharedShape shared = shared_shape(list, design);
  const std::vector<double> ratios = search_ratios(std::max(1.0, list.sizes.back()));
  std::vector<ShapeAt<double>> at_ratios(ratios.size());
  for (std::size_t j = 0; shared.shape.is_identified && j < ratios.size(); ++j) {
    set_shape_at(shared.lanes, ratios[j], at_ratios[j]);
  }
  visit_lanes(
      list, design, shared, [&] { return Search(ratios, at_ratios, ratio, residual_variance); },
      [&](Index voxel, const VoxelShape&) {
        ratio[voxel] = kNaN;
        residual_variance[voxel] = kNaN;
      },
      n_threads);
}

}  // namespace groupglm
