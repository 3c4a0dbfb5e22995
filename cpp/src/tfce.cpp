// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/tfce.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "descending.hpp"
#include "map_batches.hpp"
#include "union_find.hpp"

namespace groupglm {

namespace {

// How many places ahead the lists of neighbours are asked for: they lie all over the memory, but in
// an order that is known.
constexpr Index kAhead = 12;

void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

void check(const TfceRule& rule) {
  const auto check_power = [](double power, const char* name) {
    if (std::isfinite(power) && power >= 0) return;
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(power) +
                                "; it must be finite and at least 0 (usual: E = 0.5, H = 2)");
  };
  check_power(rule.extent_power, "the power of the extent");
  check_power(rule.height_power, "the power of the height");
  if (rule.n_steps < 0 || rule.n_steps > kMaxTfceSteps) {
    throw std::invalid_argument("n_steps is " + std::to_string(rule.n_steps) +
                                "; it must be from 0 (the exact integral) to " +
                                std::to_string(kMaxTfceSteps));
  }
}

// base^power, for the powers in use faster than pow and as exact.
double power_of(double base, double power) {
  if (power == 0.5) return std::sqrt(base);
  if (power == 1) return base;
  if (power == 2) return base * base;
  if (power == 3) return base * base * base;
  return std::pow(base, power);
}

}  // namespace

TfceWorkspace::TfceWorkspace(Index n_places, const TfceRule& rule) : rule_(rule) {
  check(rule);
  order_.resize(n_places + 1);
  spare_.resize(n_places + 1);
  for (Integers* array : {&label_, &parent_, &component_size_, &last_, &node_parent_, &node_size_})
    array->resize(n_places);
  for (Eigen::ArrayXd* array : {&integral_, &score_, &extent_, &best_}) array->resize(n_places + 1);
  const auto n_heights = static_cast<std::size_t>(rule.n_steps) + 1;
  step_.resize(n_heights);
  step_sum_.resize(n_heights);
}

/// One map, one sign after the other.
class TfcePass {
 public:
  template <typename Scalar>
  TfcePass(const Scalar* stat, const Neighbours& neighbours, TfceWorkspace& workspace)
      : neighbours_(neighbours), workspace_(workspace), n_(neighbours.n_places()) {
    const Extremes<Scalar> extremes = finite_extremes_of(stat, n_);
    const auto positive = static_cast<double>(extremes.positive);
    const auto negative = static_cast<double>(extremes.negative);
    const double highest = rule().two_sided ? std::max(positive, negative) : positive;
    if (rule().n_steps > 0) set_steps(highest);
    const double largest = power_of(static_cast<double>(n_), rule().extent_power);
    if (!std::isfinite(integral_to(highest) * largest)) {
      throw std::invalid_argument("the map has a value of magnitude " + std::to_string(highest) +
                                  ", too large to be enhanced; scale the map down");
    }
    workspace_.label_.setConstant(-1);
  }

  const TfceRule& rule() const { return workspace_.rule_; }

  template <typename Scalar>
  void enhance(const Scalar* stat, Scalar sign, double* out) {
    const Index n = sort(stat, sign);
    grow_tree(n);
    const double* f = workspace_.integral_.data();
    double* score = workspace_.score_.data();
    for (Index i = n - 1; i >= 0; --i) {
      // The node n, below all, has a score and an integral of zero.
      const std::int32_t parent = workspace_.node_parent_[i];
      score[i] = score[parent] + workspace_.extent_[workspace_.node_size_[i]] * (f[i] - f[parent]);
      out[place_of(order_[i])] = static_cast<double>(sign) * score[i];
    }
  }

  template <typename Scalar>
  double maximum(const Scalar* stat, Scalar sign) {
    const Index n = sort(stat, sign);
    const std::int32_t first = n_components_;
    grow_sums(n);
    const double* f = workspace_.integral_.data();
    double largest = 0;
    for (std::int32_t root = first; root < n_components_; ++root) {
      if (workspace_.parent_[root] == root) largest = std::max(largest, sum_down_to(root, f[n]));
    }
    return largest;
  }

 private:
  void set_steps(double highest) {
    const auto n_steps = static_cast<double>(rule().n_steps);
    double sum = 0;
    workspace_.step_[0] = workspace_.step_sum_[0] = 0;
    for (std::size_t k = 1; k < workspace_.step_.size(); ++k) {
      const double height = static_cast<double>(k) * (highest / n_steps);
      workspace_.step_[k] = k + 1 < workspace_.step_.size() ? height : highest;
      sum += power_of(workspace_.step_[k], rule().height_power);
      workspace_.step_sum_[k] = sum;
    }
  }

  // F at a height.
  double integral_to(double height) const {
    if (rule().n_steps == 0) {
      const double power = rule().height_power + 1;
      return power_of(height, power) / power;
    }
    const auto above =
        std::upper_bound(workspace_.step_.begin() + 1, workspace_.step_.end(), height);
    return workspace_.step_sum_[static_cast<std::size_t>(above - workspace_.step_.begin()) - 1];
  }

  // Puts the places of one sign in order, with their integrals and what else goes by their number.
  template <typename Scalar>
  Index sort(const Scalar* stat, Scalar sign) {
    const Index n = collect(stat, n_, sign, workspace_.order_.data());
    Entry* sorted = sort_by_key(workspace_.order_.data(), workspace_.spare_.data(), n);
    order_equal_keys(stat, sign, sorted, n);
    order_ = sorted;
    for (Index i = 0; i < n; ++i) {
      workspace_.integral_[i] = static_cast<double>(sign * stat[place_of(order_[i])]);
    }
    for (Index i = 0; i < n; ++i) workspace_.integral_[i] = integral_to(workspace_.integral_[i]);
    workspace_.integral_[n] = 0;
    workspace_.score_[n] = 0;
    for (Index& size = workspace_.n_extents_; size <= n; ++size) {
      workspace_.extent_[size] = power_of(static_cast<double>(size), rule().extent_power);
    }
    return n;
  }

  // Lets the places join in order. For each, absorb(root, i) is called with the components that it
  // touches, once a component, and then settle(root, i, size) with the one that they become.
  template <typename Absorb, typename Settle>
  void grow(Index n, const Absorb& absorb, const Settle& settle) {
    std::int32_t* label = workspace_.label_.data();
    std::int32_t* parent = workspace_.parent_.data();
    std::int32_t* component_size = workspace_.component_size_.data();
    const std::int32_t first = n_components_;  // labels below belong to the other sign
    for (Index i = 0; i < n; ++i) {
      const std::int32_t place = place_of(order_[i]);
      fetch_lists(i, n);
      std::int32_t root = -1;
      std::int32_t seen = -1;
      std::int32_t size = 1;
      const std::int32_t* end = neighbours_.end(place);
      for (const std::int32_t* p = neighbours_.begin(place); p != end; ++p) {
        const std::int32_t found = label[*p];
        if (found < first || found == seen) continue;
        seen = found;
        const std::int32_t other = find_root(parent, found);
        if (other == root) continue;
        absorb(other, i);
        size += component_size[other];
        if (root < 0) {
          root = other;
        } else if (component_size[root] < component_size[other]) {
          parent[root] = other;
          root = other;
        } else {
          parent[other] = root;
        }
      }
      if (root < 0) {
        root = n_components_++;
        parent[root] = root;
      }
      component_size[root] = size;
      settle(root, i, size);
      label[place] = root;
    }
  }

  void grow_tree(Index n) {
    std::int32_t* node_parent = workspace_.node_parent_.data();
    std::int32_t* node_size = workspace_.node_size_.data();
    std::int32_t* last = workspace_.last_.data();
    const auto absorb = [&](std::int32_t root, Index i) {
      node_parent[last[root]] = static_cast<std::int32_t>(i);
    };
    const auto settle = [&](std::int32_t root, Index i, std::int32_t size) {
      node_parent[i] = static_cast<std::int32_t>(n);
      node_size[i] = size;
      last[root] = static_cast<std::int32_t>(i);
    };
    grow(n, absorb, settle);
  }

  void grow_sums(Index n) {
    const double* f = workspace_.integral_.data();
    double* best = workspace_.best_.data();
    std::int32_t* last = workspace_.last_.data();
    double largest = 0;
    const auto absorb = [&](std::int32_t root, Index i) {
      largest = std::max(largest, sum_down_to(root, f[i]));
    };
    const auto settle = [&](std::int32_t root, Index i, std::int32_t) {
      best[root] = largest;
      last[root] = static_cast<std::int32_t>(i);
      largest = 0;
    };
    grow(n, absorb, settle);
  }

  double sum_down_to(std::int32_t root, double f) const {
    const double reached = workspace_.integral_[workspace_.last_[root]];
    return workspace_.best_[root] +
           workspace_.extent_[workspace_.component_size_[root]] * (reached - f);
  }

  void fetch_lists(Index i, Index n) const {
    if (i + 2 * kAhead < n) {
      prefetch(neighbours_.starts().data() + place_of(order_[i + 2 * kAhead]));
    }
    if (i + kAhead < n) {
      const std::int32_t place = place_of(order_[i + kAhead]);
      prefetch(neighbours_.begin(place));
      prefetch(neighbours_.begin(place) + 16);
    }
  }

  const Neighbours& neighbours_;
  TfceWorkspace& workspace_;
  Index n_;
  const Entry* order_ = nullptr;
  std::int32_t n_components_ = 0;
};

template <typename Scalar>
void tfce(const Scalar* stat, const Neighbours& neighbours, double* out, TfceWorkspace& workspace) {
  TfcePass pass(stat, neighbours, workspace);
  std::fill(out, out + neighbours.n_places(), 0.0);
  pass.enhance(stat, Scalar{1}, out);
  if (pass.rule().two_sided) pass.enhance(stat, Scalar{-1}, out);
}

template <typename Scalar>
double tfce_maximum(const Scalar* stat, const Neighbours& neighbours, TfceWorkspace& workspace) {
  TfcePass pass(stat, neighbours, workspace);
  const double positive = pass.maximum(stat, Scalar{1});
  return pass.rule().two_sided ? std::max(positive, pass.maximum(stat, Scalar{-1})) : positive;
}

template <typename Scalar>
void tfce_maxima_of_maps(const Scalar* stat, Index n_maps, const Neighbours& neighbours,
                         const TfceRule& rule, double* out, int n_threads) {
  check(rule);
  const Index n = neighbours.n_places();
  for_each_map(
      stat, n_maps, n, n_threads, [&] { return TfceWorkspace(n, rule); },
      [&](const Scalar* map, Index i, TfceWorkspace& workspace) {
        out[i] = tfce_maximum(map, neighbours, workspace);
      });
}

template void tfce(const float*, const Neighbours&, double*, TfceWorkspace&);
template void tfce(const double*, const Neighbours&, double*, TfceWorkspace&);
template double tfce_maximum(const float*, const Neighbours&, TfceWorkspace&);
template double tfce_maximum(const double*, const Neighbours&, TfceWorkspace&);
template void tfce_maxima_of_maps(const float*, Index, const Neighbours&, const TfceRule&, double*,
                                  int);
template void tfce_maxima_of_maps(const double*, Index, const Neighbours&, const TfceRule&, double*,
                                  int);

}  // namespace groupglm
