// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/clusters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "graph/map_batches.hpp"
#include "graph/union_find.hpp"

namespace groupglm {

namespace {

// Places tested together, without branches: in most such groups no place passes.
constexpr Index kScanned = 64;

void check(const ClusterRule& rule) {
  if (std::isfinite(rule.threshold) && rule.threshold >= 0) return;
  throw std::invalid_argument("threshold is " + std::to_string(rule.threshold) +
                              "; it must be finite and at least 0");
}

// The largest number t of the map's type with t <= threshold: stat > t is then the same as stat >
// threshold in double.
template <typename Scalar>
Scalar rounded_down(double threshold) {
  constexpr Scalar kLargest = std::numeric_limits<Scalar>::max();
  const auto rounded = static_cast<Scalar>(std::min(threshold, static_cast<double>(kLargest)));
  return static_cast<double>(rounded) > threshold ? std::nextafter(rounded, Scalar{0}) : rounded;
}

}  // namespace

ClusterWorkspace::ClusterWorkspace(Index n_places)
    : label_(Labels::Zero(n_places)),
      passing_(n_places),
      parent_(n_places + 1),
      size_(n_places + 1),
      mass_(n_places + 1),
      negative_(n_places + 1) {}

/// One map: finds the places that pass and joins them. The destructor clears the workspace's
/// labels.
template <bool kWeighted>
class ClusterPass {
 public:
  using Size = std::conditional_t<kWeighted, double, std::int64_t>;

  template <typename Scalar>
  ClusterPass(const Scalar* stat, const Neighbours& neighbours, const PlaceWeights* weights,
              const ClusterRule& rule, ClusterWorkspace& workspace)
      : workspace_(workspace), weights_(weights) {
    check(rule);
    const Index n = neighbours.n_places();
    if constexpr (kWeighted) workspace_.extent_.resize(n + 1);
    find_passing(stat, n, rule);
    for (Index i = 0; i < n_passing_; ++i) join(stat, workspace_.passing_[i], neighbours, rule);
  }
  ClusterPass(const ClusterPass&) = delete;
  ClusterPass(ClusterPass&&) = delete;
  ClusterPass& operator=(const ClusterPass&) = delete;
  ClusterPass& operator=(ClusterPass&&) = delete;
  ~ClusterPass() {
    for (Index i = 0; i < n_passing_; ++i) workspace_.label_[workspace_.passing_[i]] = 0;
  }

  Maxima<Size> maxima() const {
    Maxima<Size> found;
    for (std::int32_t root = 1; root <= n_labels_; ++root) {
      if (workspace_.parent_[root] != root) continue;
      found.size = std::max(found.size, size_of(root));
      found.mass = std::max(found.mass, workspace_.mass_[root]);
    }
    return found;
  }

  ClusterCounts write(Index n, std::int32_t* labels, Size* sizes, double* masses) {
    // The clusters' numbers replace the sizes in the workspace, which are no longer needed.
    const Index n_positive = number_roots(false, 0, sizes, masses);
    const Index n_negative = number_roots(true, n_positive, sizes, masses);
    std::fill(labels, labels + n, 0);
    for (Index i = 0; i < n_passing_; ++i) {
      const std::int32_t place = workspace_.passing_[i];
      const std::int32_t root = find_root(workspace_.parent_.data(), workspace_.label_[place]);
      labels[place] = workspace_.size_[root];
    }
    return {n_positive, n_negative};
  }

 private:
  template <typename Scalar>
  void find_passing(const Scalar* stat, Index n, const ClusterRule& rule) {
    const auto high = rounded_down<Scalar>(rule.threshold);
    const Scalar low = rule.two_sided ? -high : -std::numeric_limits<Scalar>::infinity();
    for (Index begin = 0; begin < n; begin += kScanned) {
      const Index end = std::min(n, begin + kScanned);
      int any = 0;
      for (Index i = begin; i < end; ++i) {
        any |= static_cast<int>(stat[i] > high) | static_cast<int>(stat[i] < low);
      }
      if (any == 0) continue;
      for (Index i = begin; i < end; ++i) {
        if (stat[i] > high || stat[i] < low) {
          workspace_.passing_[n_passing_++] = static_cast<std::int32_t>(i);
        }
      }
    }
  }

  template <typename Scalar>
  void join(const Scalar* stat, std::int32_t place, const Neighbours& neighbours,
            const ClusterRule& rule) {
    std::int32_t* parent = workspace_.parent_.data();
    const bool negative = stat[place] < 0;
    std::int32_t root = 0;
    const std::int32_t* end = neighbours.end(place);
    for (const std::int32_t* p = neighbours.begin(place); p != end && *p < place; ++p) {
      const std::int32_t label = workspace_.label_[*p];
      if (label == 0 || workspace_.negative_[label] != negative) continue;
      const std::int32_t other = find_root(parent, label);
      if (root == 0 || root == other) {
        root = other;
        continue;
      }
      // The older label stays root, so that roots are in order of their first place.
      const std::int32_t younger = std::max(root, other);
      root = std::min(root, other);
      parent[younger] = root;
      workspace_.size_[root] += workspace_.size_[younger];
      if constexpr (kWeighted) workspace_.extent_[root] += workspace_.extent_[younger];
      workspace_.mass_[root] += workspace_.mass_[younger];
    }
    if (root == 0) {
      root = ++n_labels_;
      parent[root] = root;
      workspace_.size_[root] = 0;
      if constexpr (kWeighted) workspace_.extent_[root] = 0;
      workspace_.mass_[root] = 0;
      workspace_.negative_[root] = negative;
    }
    workspace_.label_[place] = root;
    ++workspace_.size_[root];
    const double excess = std::abs(static_cast<double>(stat[place])) - rule.threshold;
    if constexpr (kWeighted) {
      const double weight = (*weights_)[place];
      workspace_.extent_[root] += weight;
      workspace_.mass_[root] += weight * excess;
    } else {
      workspace_.mass_[root] += excess;
    }
  }

  Size size_of(std::int32_t root) const {
    if constexpr (kWeighted) {
      return workspace_.extent_[root];
    } else {
      return workspace_.size_[root];
    }
  }

  Index number_roots(bool negative, Index offset, Size* sizes, double* masses) {
    Index count = 0;
    for (std::int32_t root = 1; root <= n_labels_; ++root) {
      if (workspace_.parent_[root] != root || workspace_.negative_[root] != negative) continue;
      sizes[offset + count] = size_of(root);
      masses[offset + count] = workspace_.mass_[root];
      ++count;
      workspace_.size_[root] = static_cast<std::int32_t>(offset + count);
    }
    return count;
  }

  ClusterWorkspace& workspace_;
  const PlaceWeights* weights_;  // with kWeighted
  Index n_passing_ = 0;
  std::int32_t n_labels_ = 0;
};

template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, std::int32_t* labels, std::int64_t* sizes,
                             double* masses, ClusterWorkspace& workspace) {
  ClusterPass<false> pass(stat, neighbours, nullptr, rule, workspace);
  return pass.write(neighbours.n_places(), labels, sizes, masses);
}

template <typename Scalar>
ClusterCounts label_clusters(const Scalar* stat, const Neighbours& neighbours,
                             const PlaceWeights& weights, const ClusterRule& rule,
                             std::int32_t* labels, double* sizes, double* masses,
                             ClusterWorkspace& workspace) {
  ClusterPass<true> pass(stat, neighbours, &weights, rule, workspace);
  return pass.write(neighbours.n_places(), labels, sizes, masses);
}

template <typename Scalar>
ClusterMaxima cluster_maxima(const Scalar* stat, const Neighbours& neighbours,
                             const ClusterRule& rule, ClusterWorkspace& workspace) {
  return ClusterPass<false>(stat, neighbours, nullptr, rule, workspace).maxima();
}

template <typename Scalar>
WeightedMaxima cluster_maxima(const Scalar* stat, const Neighbours& neighbours,
                              const PlaceWeights& weights, const ClusterRule& rule,
                              ClusterWorkspace& workspace) {
  return ClusterPass<true>(stat, neighbours, &weights, rule, workspace).maxima();
}

namespace {

// find(map, workspace) returns the maxima of a map.
template <typename Scalar, typename Size, typename Find>
void maxima_of_maps(const MapRows<Scalar>& maps, Index n, const ClusterRule& rule, Size* sizes,
                    double* masses, int n_threads, const Find& find) {
  check(rule);
  for_each_map(
      maps, n_threads, [n] { return ClusterWorkspace(n); },
      [&](const Scalar* map, Index i, ClusterWorkspace& workspace) {
        const Maxima<Size> found = find(map, workspace);
        sizes[i] = found.size;
        masses[i] = found.mass;
      });
}

}  // namespace

template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const ClusterRule& rule, std::int64_t* sizes, double* masses,
                            int n_threads) {
  maxima_of_maps(maps, neighbours.n_places(), rule, sizes, masses, n_threads,
                 [&](const Scalar* map, ClusterWorkspace& workspace) {
                   return cluster_maxima(map, neighbours, rule, workspace);
                 });
}

template <typename Scalar>
void cluster_maxima_of_maps(const MapRows<Scalar>& maps, const Neighbours& neighbours,
                            const PlaceWeights& weights, const ClusterRule& rule, double* sizes,
                            double* masses, int n_threads) {
  maxima_of_maps(maps, neighbours.n_places(), rule, sizes, masses, n_threads,
                 [&](const Scalar* map, ClusterWorkspace& workspace) {
                   return cluster_maxima(map, neighbours, weights, rule, workspace);
                 });
}

template ClusterCounts label_clusters(const float*, const Neighbours&, const ClusterRule&,
                                      std::int32_t*, std::int64_t*, double*, ClusterWorkspace&);
template ClusterCounts label_clusters(const float*, const Neighbours&, const PlaceWeights&,
                                      const ClusterRule&, std::int32_t*, double*, double*,
                                      ClusterWorkspace&);
template ClusterMaxima cluster_maxima(const float*, const Neighbours&, const ClusterRule&,
                                      ClusterWorkspace&);
template WeightedMaxima cluster_maxima(const float*, const Neighbours&, const PlaceWeights&,
                                       const ClusterRule&, ClusterWorkspace&);
template void cluster_maxima_of_maps(const MapRows<float>&, const Neighbours&, const ClusterRule&,
                                     std::int64_t*, double*, int);
template void cluster_maxima_of_maps(const MapRows<float>&, const Neighbours&, const PlaceWeights&,
                                     const ClusterRule&, double*, double*, int);
template ClusterCounts label_clusters(const double*, const Neighbours&, const ClusterRule&,
                                      std::int32_t*, std::int64_t*, double*, ClusterWorkspace&);
template ClusterCounts label_clusters(const double*, const Neighbours&, const PlaceWeights&,
                                      const ClusterRule&, std::int32_t*, double*, double*,
                                      ClusterWorkspace&);
template ClusterMaxima cluster_maxima(const double*, const Neighbours&, const ClusterRule&,
                                      ClusterWorkspace&);
template WeightedMaxima cluster_maxima(const double*, const Neighbours&, const PlaceWeights&,
                                       const ClusterRule&, ClusterWorkspace&);
template void cluster_maxima_of_maps(const MapRows<double>&, const Neighbours&, const ClusterRule&,
                                     std::int64_t*, double*, int);
template void cluster_maxima_of_maps(const MapRows<double>&, const Neighbours&, const PlaceWeights&,
                                     const ClusterRule&, double*, double*, int);

}  // namespace groupglm
