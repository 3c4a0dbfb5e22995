// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/tfce.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "graph/descending.hpp"
#include "graph/map_batches.hpp"
#include "graph/union_find.hpp"

namespace groupglm {

namespace {

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

// base^power, faster than pow and as exact for the powers in use.
double power_of(double base, double power) {
  if (power == 0.5) return std::sqrt(base);
  if (power == 1) return base;
  if (power == 2) return base * base;
  if (power == 3) return base * base * base;
  return std::pow(base, power);
}

}  // namespace

TfceWorkspace::TfceWorkspace(const Neighbours& neighbours, const TfceRule& rule) : rule_(rule) {
  check(rule);
  const Index n = neighbours.n_places();
  for (Entries* array : {&entries_, &spare_}) array->resize(n + 1);
  for (Integers* array : {&node_, &place_, &above_, &slope_, &slope_of_place_, &parent_,
                          &component_size_, &last_, &node_parent_, &node_size_}) {
    array->resize(n);
  }
  slope_of_place_.setZero();  // read for places without a node, and then not used
  // One place of each pair is above the other. Each list has a closing -1, and one entry is written
  // ahead.
  seams_.resize(static_cast<Index>(neighbours.places().size()) / 2 + n + 1);
  seam_.resize(n);
  for (Eigen::ArrayXd* array : {&integral_, &score_, &extent_, &best_}) array->resize(n + 1);
  const auto n_heights = static_cast<std::size_t>(rule.n_steps) + 1;
  step_.resize(n_heights);
  step_sum_.resize(n_heights);
}

/// One map: the nodes of the positive places, then those of the negative places.
///
/// The lists of neighbours are long (26 a voxel), and the order of the values jumps all over them.
/// So they are read in order of the places only, twice. The first reading finds the highest
/// neighbour of each place that is above it. Following these neighbours leads from every place to a
/// peak. The places of one peak are its slope; they are connected above the lowest of them. A place
/// that joins therefore needs to look only at the other slopes that it touches, the seams. The
/// second reading finds the seams.
template <bool kWeighted>
class TfcePass {
 public:
  template <typename Scalar>
  TfcePass(const Scalar* stat, const Neighbours& neighbours, const PlaceWeights* weights,
           TfceWorkspace& workspace)
      : neighbours_(neighbours),
        weights_(weights),
        ws_(workspace),
        n_places_(neighbours.n_places()) {
    const Extremes<Scalar> extremes = extremes_of(stat, n_places_);
    const auto positive = static_cast<double>(extremes.positive);
    const auto negative = static_cast<double>(extremes.negative);
    const double highest = ws_.rule_.two_sided ? std::max(positive, negative) : positive;
    if (ws_.rule_.n_steps > 0) set_steps(highest);
    if constexpr (kWeighted) {
      weights_->check_power(ws_.rule_.extent_power);
      ws_.component_weight_.resize(n_places_);
    }
    const double largest = power_of(whole_extent(), ws_.rule_.extent_power);
    if (!std::isfinite(integral_to(highest) * largest)) {
      throw std::invalid_argument("the map has a value of magnitude " + std::to_string(highest) +
                                  ", too large to be enhanced; scale the map down");
    }
    ws_.node_.setConstant(kAbsent);
    add_nodes(stat, Scalar{1});
    n_positive_ = n_nodes_;
    if (ws_.rule_.two_sided) add_nodes(stat, Scalar{-1});
    find_integrals();
    climb();
    find_slopes();
    find_seams();
  }

  void enhance(double* out) {
    grow_tree();
    const double* f = ws_.integral_.data();
    double* score = ws_.score_.data();
    score[n_nodes_] = 0;
    for (Index i = n_nodes_ - 1; i >= 0; --i) {
      const std::int32_t parent = ws_.node_parent_[i];
      const Index extent = kWeighted ? i : ws_.node_size_[i];
      score[i] = score[parent] + ws_.extent_[extent] * rise(f[parent], f[i]);
    }
    for (Index place = 0; place < n_places_; ++place) {
      const std::int32_t node = ws_.node_[place];
      out[place] = node == kAbsent ? 0 : (node < n_positive_ ? score[node] : -score[node]);
    }
  }

  double maximum() {
    grow_sums();
    double largest = 0;
    for (std::int32_t root = 0; root < n_slopes_; ++root) {
      if (ws_.parent_[root] == root) largest = std::max(largest, sum_down_to(root, 0));
    }
    return largest;
  }

 private:
  static constexpr std::int32_t kAbsent = std::numeric_limits<std::int32_t>::max();

  double whole_extent() const {
    if constexpr (kWeighted) {
      return weights_->total();
    } else {
      return static_cast<double>(n_places_);
    }
  }

  void set_steps(double highest) {
    const auto n_steps = static_cast<double>(ws_.rule_.n_steps);
    double sum = 0;
    ws_.step_[0] = ws_.step_sum_[0] = 0;
    for (std::size_t k = 1; k < ws_.step_.size(); ++k) {
      const double height = static_cast<double>(k) * (highest / n_steps);
      ws_.step_[k] = k + 1 < ws_.step_.size() ? height : highest;
      sum += power_of(ws_.step_[k], ws_.rule_.height_power);
      ws_.step_sum_[k] = sum;
    }
  }

  // F at a height.
  double integral_to(double height) const {
    if (std::isinf(height)) return height;
    if (ws_.rule_.n_steps == 0) {
      const double power = ws_.rule_.height_power + 1;
      return power_of(height, power) / power;
    }
    const auto above = std::upper_bound(ws_.step_.begin() + 1, ws_.step_.end(), height);
    return ws_.step_sum_[static_cast<std::size_t>(above - ws_.step_.begin()) - 1];
  }

  // Gives each place of one sign its node, in descending order of magnitude.
  template <typename Scalar>
  void add_nodes(const Scalar* stat, Scalar sign) {
    const Index n = collect(stat, n_places_, sign, ws_.entries_.data());
    Entry* sorted = sort_by_key(ws_.entries_.data(), ws_.spare_.data(), n);
    order_equal_keys(stat, sign, sorted, n);
    for (Index i = 0; i < n; ++i) {
      const std::int32_t place = place_of(sorted[i]);
      ws_.place_[n_nodes_] = place;
      ws_.integral_[n_nodes_] = static_cast<double>(sign * stat[place]);
      ws_.node_[place] = static_cast<std::int32_t>(n_nodes_++);
    }
  }

  void find_integrals() {
    double* f = ws_.integral_.data();
    for (Index i = 0; i < n_nodes_; ++i) f[i] = integral_to(f[i]);
    f[n_nodes_] = 0;
    if constexpr (kWeighted) {
      ws_.n_extents_ = 0;  // with weights extent_ is by node, not by size
      return;
    }
    const Index largest = std::max(n_positive_, n_nodes_ - n_positive_);
    for (Index& size = ws_.n_extents_; size <= largest; ++size) {
      ws_.extent_[size] = power_of(static_cast<double>(size), ws_.rule_.extent_power);
    }
  }

  // The first node of a node's sign. Nodes are counted from it in unsigned numbers, so that the
  // nodes of the other sign and kAbsent are larger than all nodes of this sign. One comparison then
  // says which of two is above the other.
  std::uint32_t first_of_sign(std::int32_t node) const {
    return node < n_positive_ ? 0 : static_cast<std::uint32_t>(n_positive_);
  }

  void climb() {
    const std::int32_t* nodes = ws_.node_.data();
    for (Index place = 0; place < n_places_; ++place) {
      const std::int32_t node = nodes[place];
      if (node == kAbsent) continue;
      const std::uint32_t first = first_of_sign(node);
      std::uint32_t highest = static_cast<std::uint32_t>(node) - first;
      const std::int32_t* end = neighbours_.end(place);
      for (const std::int32_t* p = neighbours_.begin(place); p != end; ++p) {
        highest = std::min(highest, static_cast<std::uint32_t>(nodes[*p]) - first);
      }
      ws_.above_[node] = static_cast<std::int32_t>(highest + first);
    }
  }

  void find_slopes() {
    for (std::int32_t i = 0; i < n_nodes_; ++i) {
      const std::int32_t above = ws_.above_[i];
      const std::int32_t slope = above == i ? n_slopes_++ : ws_.slope_[above];
      ws_.slope_[i] = slope;
      ws_.slope_of_place_[ws_.place_[i]] = slope;
    }
    for (std::int32_t slope = 0; slope < n_slopes_; ++slope) {
      ws_.parent_[slope] = slope;
      ws_.component_size_[slope] = 0;
      if constexpr (kWeighted) ws_.component_weight_[slope] = 0;
    }
  }

  // Writes the lists of the other slopes above each place, one after the other, each closed by -1.
  // Whether a neighbour is above is not predictable, so every neighbour is written, and stays only
  // if it counts.
  void find_seams() {
    const std::int32_t* nodes = ws_.node_.data();
    const std::int32_t* slopes = ws_.slope_of_place_.data();
    std::int32_t* seams = ws_.seams_.data();
    Index count = 0;
    for (Index place = 0; place < n_places_; ++place) {
      const std::int32_t node = nodes[place];
      if (node == kAbsent) continue;
      const std::uint32_t first = first_of_sign(node);
      const std::uint32_t own = static_cast<std::uint32_t>(node) - first;
      const std::int32_t own_slope = slopes[place];
      std::int32_t previous = own_slope;
      bool previous_counts = false;
      const Index begin = count;
      const std::int32_t* end = neighbours_.end(place);
      for (const std::int32_t* p = neighbours_.begin(place); p != end; ++p) {
        const bool above = static_cast<std::uint32_t>(nodes[*p]) - first < own;
        const std::int32_t slope = slopes[*p];
        const bool counts = above & (slope != own_slope);
        seams[count] = slope;
        count += static_cast<Index>(counts & !(previous_counts & (slope == previous)));
        previous = slope;
        previous_counts = counts;
      }
      ws_.seam_[node] = begin;
      seams[count++] = -1;
    }
  }

  // Joins the places in descending order. For each place i, absorb(root, i) is called once for each
  // component that it touches; then settle(root, i, size) is called with the component that they
  // become.
  template <typename Absorb, typename Settle>
  void grow(const Absorb& absorb, const Settle& settle) {
    std::int32_t* parent = ws_.parent_.data();
    std::int32_t* component_size = ws_.component_size_.data();
    double* component_weight = ws_.component_weight_.data();  // read with kWeighted only
    for (Index i = 0; i < n_nodes_; ++i) {
      std::int32_t root = find_root(parent, ws_.slope_[i]);
      std::int32_t size = component_size[root] + 1;
      if (size > 1) absorb(root, i);
      if constexpr (kWeighted) component_weight[root] += (*weights_)[ws_.place_[i]];
      for (const std::int32_t* seam = ws_.seams_.data() + ws_.seam_[i]; *seam >= 0; ++seam) {
        const std::int32_t other = find_root(parent, *seam);
        if (other == root) continue;
        absorb(other, i);
        size += component_size[other];
        if constexpr (kWeighted) {
          const double both = component_weight[root] + component_weight[other];
          component_weight[root] = component_weight[other] = both;  // either may become the root
        }
        if (component_size[root] < component_size[other]) {
          parent[root] = other;
          root = other;
        } else {
          parent[other] = root;
        }
      }
      component_size[root] = size;
      if constexpr (kWeighted) {
        ws_.extent_[i] = power_of(component_weight[root], ws_.rule_.extent_power);
      }
      settle(root, i, size);
    }
  }

  void grow_tree() {
    std::int32_t* node_parent = ws_.node_parent_.data();
    std::int32_t* node_size = ws_.node_size_.data();
    std::int32_t* last = ws_.last_.data();
    const auto below_all = static_cast<std::int32_t>(n_nodes_);  // F and score are zero
    const auto absorb = [&](std::int32_t root, Index i) {
      node_parent[last[root]] = static_cast<std::int32_t>(i);
    };
    const auto settle = [&](std::int32_t root, Index i, std::int32_t size) {
      node_parent[i] = below_all;
      node_size[i] = size;
      last[root] = static_cast<std::int32_t>(i);
    };
    grow(absorb, settle);
  }

  void grow_sums() {
    const double* f = ws_.integral_.data();
    double* best = ws_.best_.data();
    std::int32_t* last = ws_.last_.data();
    double largest = 0;
    const auto absorb = [&](std::int32_t root, Index i) {
      largest = std::max(largest, sum_down_to(root, f[i]));
    };
    const auto settle = [&](std::int32_t root, Index i, std::int32_t) {
      best[root] = largest;
      last[root] = static_cast<std::int32_t>(i);
      largest = 0;
    };
    grow(absorb, settle);
  }

  double sum_down_to(std::int32_t root, double f) const {
    const std::int32_t last = ws_.last_[root];
    const Index extent = kWeighted ? last : ws_.component_size_[root];
    return ws_.best_[root] + ws_.extent_[extent] * rise(f, ws_.integral_[last]);
  }

  // The rise from one F to another; zero between two infinite ones.
  static double rise(double lower, double upper) { return upper > lower ? upper - lower : 0; }

  const Neighbours& neighbours_;
  const PlaceWeights* weights_;  // with kWeighted
  TfceWorkspace& ws_;
  Index n_places_;
  Index n_nodes_ = 0;
  Index n_positive_ = 0;
  std::int32_t n_slopes_ = 0;
};

template <typename Scalar>
void tfce(const Scalar* stat, const Neighbours& neighbours, double* out, TfceWorkspace& workspace,
          const PlaceWeights* weights) {
  if (weights != nullptr) {
    TfcePass<true>(stat, neighbours, weights, workspace).enhance(out);
  } else {
    TfcePass<false>(stat, neighbours, weights, workspace).enhance(out);
  }
}

template <typename Scalar>
double tfce_maximum(const Scalar* stat, const Neighbours& neighbours, TfceWorkspace& workspace,
                    const PlaceWeights* weights) {
  if (weights != nullptr) return TfcePass<true>(stat, neighbours, weights, workspace).maximum();
  return TfcePass<false>(stat, neighbours, weights, workspace).maximum();
}

template <typename Scalar>
void tfce_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                         const TfceRule& rule, double* out, int n_threads,
                         const PlaceWeights* weights) {
  check(rule);
  for_each_map(
      maps, n_threads, [&] { return TfceWorkspace(neighbours, rule); },
      [&](const Scalar* map, Index i, TfceWorkspace& workspace) {
        out[i] = tfce_maximum(map, neighbours, workspace, weights);
      });
}

template void tfce(const float*, const Neighbours&, double*, TfceWorkspace&, const PlaceWeights*);
template void tfce(const double*, const Neighbours&, double*, TfceWorkspace&, const PlaceWeights*);
template double tfce_maximum(const float*, const Neighbours&, TfceWorkspace&, const PlaceWeights*);
template double tfce_maximum(const double*, const Neighbours&, TfceWorkspace&, const PlaceWeights*);
template void tfce_maxima_of_maps(const MapRows<float>&, const Neighbours&, const TfceRule&,
                                  double*, int, const PlaceWeights*);
template void tfce_maxima_of_maps(const MapRows<double>&, const Neighbours&, const TfceRule&,
                                  double*, int, const PlaceWeights*);

}  // namespace groupglm
