// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/graph/mesh_smoothing.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

constexpr Index kLanes = 8;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The places in an order in which neighbours lie near each other in memory: a mesh numbers its
// vertices as they were made, and the next level of memory is twice as slow.
class NearbyOrder {
 public:
  explicit NearbyOrder(const Neighbours& neighbours) {
    const Index n = neighbours.n_places();
    place_.reserve(at(n));
    std::vector<std::int32_t> row(at(n), -1);
    for (Index first = 0; first < n; ++first) {  // breadth first, from one place of each component
      if (row[at(first)] >= 0) continue;
      auto next = static_cast<Index>(place_.size());
      add(static_cast<std::int32_t>(first), row);
      for (; next < static_cast<Index>(place_.size()); ++next) {
        const Index place = place_[at(next)];
        for (const std::int32_t* j = neighbours.begin(place); j != neighbours.end(place); ++j) {
          if (row[at(*j)] < 0) add(*j, row);
        }
      }
    }
    starts_.reserve(at(n) + 1);
    rows_.reserve(neighbours.places().size());
    for (const std::int32_t place : place_) {
      // A list keeps its order, so that sums have the same bits.
      for (const std::int32_t* j = neighbours.begin(place); j != neighbours.end(place); ++j) {
        rows_.push_back(row[at(*j)]);
      }
      starts_.push_back(static_cast<std::int64_t>(rows_.size()));
    }
  }

  Index place(Index row) const { return place_[at(row)]; }
  Index n_rows() const { return static_cast<Index>(place_.size()); }
  const std::int32_t* begin(Index row) const { return rows_.data() + starts_[at(row)]; }
  const std::int32_t* end(Index row) const { return rows_.data() + starts_[at(row) + 1]; }

 private:
  void add(std::int32_t place, std::vector<std::int32_t>& row) {
    row[at(place)] = static_cast<std::int32_t>(place_.size());
    place_.push_back(place);
  }

  std::vector<std::int32_t> place_;  // of each row
  std::vector<std::int64_t> starts_{0};
  std::vector<std::int32_t> rows_;
};

// The places in their own order, which costs nothing to find.
class OwnOrder {
 public:
  explicit OwnOrder(const Neighbours& neighbours) : neighbours_(neighbours) {}
  static Index place(Index row) { return row; }
  Index n_rows() const { return neighbours_.n_places(); }
  const std::int32_t* begin(Index row) const { return neighbours_.begin(row); }
  const std::int32_t* end(Index row) const { return neighbours_.end(row); }

 private:
  const Neighbours& neighbours_;
};

// 1 / (1 + k) for each row, where no value is missing.
template <typename Order>
std::vector<double> shares_of(const Order& order) {
  std::vector<double> shares(at(order.n_rows()));
  for (Index row = 0; row < order.n_rows(); ++row) {
    shares[at(row)] = 1.0 / static_cast<double>(1 + (order.end(row) - order.begin(row)));
  }
  return shares;
}

// Some maps side by side, a place a row; a thread uses one for all of its maps.
template <Index Lanes, typename Order>
class MapBlock {
 public:
  MapBlock(const Order& order, const std::vector<double>& shares)
      : order_(order), shares_(shares) {}

  template <typename Scalar>
  void smooth(Scalar* maps, Index n_maps, Index n_iterations) {
    if (load(maps, n_maps)) {
      find_own_shares(maps, n_maps);
      for (Index iteration = 0; iteration < n_iterations; ++iteration) iterate(own_shares_);
    } else {
      for (Index iteration = 0; iteration < n_iterations; ++iteration) iterate(shares_);
    }
    store(maps, n_maps);
  }

 private:
  using Values = Eigen::Array<double, Lanes, 1>;
  using Rows = std::vector<Values, Eigen::aligned_allocator<Values>>;

  // Returns whether a value is missing.
  template <typename Scalar>
  bool load(const Scalar* maps, Index n_maps) {
    const Index n = order_.n_rows();
    values_.resize(at(n));
    next_.resize(at(n));
    bool missing = false;
    for (Index row = 0; row < n; ++row) {
      const Scalar* const first = maps + order_.place(row);
      Values& value = values_[at(row)];
      for (Index lane = 0; lane < n_maps; ++lane) {
        const Scalar given = first[lane * n];
        missing = missing || std::isnan(given);
        value[lane] = std::isnan(given) ? 0.0 : static_cast<double>(given);
      }
      for (Index lane = n_maps; lane < Lanes; ++lane) value[lane] = 0.0;
    }
    return missing;
  }

  template <typename Scalar>
  void find_own_shares(const Scalar* maps, Index n_maps) {
    const Index n = order_.n_rows();
    own_shares_.resize(at(n));
    for (Index row = 0; row < n; ++row) {
      Values present = Values::Zero();
      for (Index lane = 0; lane < n_maps; ++lane) {
        present[lane] = std::isnan(maps[lane * n + order_.place(row)]) ? 0.0 : 1.0;
      }
      next_[at(row)] = present;
    }
    for (Index row = 0; row < n; ++row) {
      own_shares_[at(row)] = (next_[at(row)] > 0).select(1.0 / sum(next_, row), 0.0);
    }
  }

  template <typename Shares>
  void iterate(const Shares& shares) {
    for (Index row = 0; row < order_.n_rows(); ++row) {
      next_[at(row)] = sum(values_, row) * shares[at(row)];
    }
    values_.swap(next_);
  }

  template <typename Scalar>
  void store(Scalar* maps, Index n_maps) const {
    const Index n = order_.n_rows();
    for (Index row = 0; row < n; ++row) {
      for (Index lane = 0; lane < n_maps; ++lane) {
        Scalar& value = maps[lane * n + order_.place(row)];
        if (!std::isnan(value)) value = static_cast<Scalar>(values_[at(row)][lane]);
      }
    }
  }

  // What a place and its neighbours have together.
  Values sum(const Rows& rows, Index row) const {
    Values total = rows[at(row)];
    for (const std::int32_t* j = order_.begin(row); j != order_.end(row); ++j) {
      total += rows[at(*j)];
    }
    return total;
  }

  const Order& order_;
  const std::vector<double>& shares_;
  Rows values_;  // zero where a value is missing
  Rows next_;
  Rows own_shares_;  // of each map, where values are missing; zero where the value itself is
};

}  // namespace

template <typename Scalar>
void smooth_on_mesh(Scalar* maps, Index n_maps, const Neighbours& neighbours, Index n_iterations,
                    int n_threads) {
  if (n_iterations < 0 || n_iterations > kMaxSmoothingIterations) {
    throw std::invalid_argument("n_iterations is " + std::to_string(n_iterations) +
                                "; it must be from 0 to " +
                                std::to_string(kMaxSmoothingIterations));
  }
  if (n_iterations == 0) return;
  if (n_maps == 1) {
    const OwnOrder order(neighbours);
    const std::vector<double> shares = shares_of(order);
    MapBlock<1, OwnOrder>(order, shares).smooth(maps, 1, n_iterations);
    return;
  }
  const NearbyOrder order(neighbours);
  const std::vector<double> shares = shares_of(order);
  const int threads = resolve_threads(n_threads);
  std::vector<MapBlock<kLanes, NearbyOrder>> blocks(static_cast<std::size_t>(threads),
                                                    {order, shares});
  parallel_for((n_maps + kLanes - 1) / kLanes, threads, [&](Index task, int thread) {
    blocks[static_cast<std::size_t>(thread)].smooth(maps + task * kLanes * order.n_rows(),
                                                    std::min(kLanes, n_maps - task * kLanes),
                                                    n_iterations);
  });
}

template void smooth_on_mesh(float*, Index, const Neighbours&, Index, int);
template void smooth_on_mesh(double*, Index, const Neighbours&, Index, int);

}  // namespace groupglm
