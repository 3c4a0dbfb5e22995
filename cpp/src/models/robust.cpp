// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/robust.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "groupglm/parallel.hpp"
#include "models/robust_block.hpp"
#include "models/voxel_scales.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// Numbers of data that a thread works on; at least kLeastVoxels voxels, so that few lanes of the
// last block are idle, and at most kMostVoxels, so that all threads have work.
constexpr Index kNumbersOfChunk = 1 << 16;
constexpr Index kLeastVoxels = 96;
constexpr Index kMostVoxels = 768;

Index voxels_of_chunk(Index n) {
  return std::clamp(kNumbersOfChunk / std::max<Index>(n, 1), kLeastVoxels, kMostVoxels);
}

// What iterations have found of a voxel.
struct Found {
  std::vector<double> d;
  std::vector<double> d_ols;
  double ols_squares = 0.0;
  double least_scale = 1.0;
  bool is_exact = false;
  bool is_converged = false;
  int n_iterations = 0;
};

// The data of some voxels, scaled so that their squares are in the range of double.
struct Chunk {
  Index first = 0;
  Index count = 0;
  RowMatrix y;  // (n, count)
  std::vector<int> exponent;
  std::vector<double> sd;
  std::vector<Index> complete;
  std::vector<Index> incomplete;
  std::vector<Found> found;  // of the complete voxels, in their order

  std::vector<Index> images(Index voxel) const {
    std::vector<Index> present;
    for (Index i = 0; i < y.rows(); ++i) {
      if (!std::isnan(y(i, voxel))) present.push_back(i);
    }
    return present;
  }
};

double sd_of(const Chunk& chunk, Index voxel, const std::vector<Index>& images) {
  const auto n = static_cast<double>(images.size());
  double sum = 0.0;
  for (const Index i : images) sum += chunk.y(i, voxel);
  double squares = 0.0;
  for (const Index i : images) squares += std::pow(chunk.y(i, voxel) - sum / n, 2);
  return n > 1.0 ? std::sqrt(squares / (n - 1.0)) : 0.0;
}

template <typename Scalar>
void read(const DataView<Scalar>& y, Index first, Index count, Chunk& chunk) {
  const Index n = y.n_rows;
  chunk.first = first;
  chunk.count = count;
  chunk.y.resize(n, count);
  Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(count);
  Eigen::RowVectorXd largest = Eigen::RowVectorXd::Zero(count);
  for (Index i = 0; i < n; ++i) {
    for (Index v = 0; v < count; ++v) {
      const auto value = static_cast<double>(y(i, first + v));
      chunk.y(i, v) = value;
      sum[v] += value;
      largest[v] = std::abs(value) > largest[v] ? std::abs(value) : largest[v];  // no NaN
    }
  }
  chunk.exponent.assign(at(count), 0);
  chunk.sd.assign(at(count), 0.0);
  chunk.complete.clear();
  chunk.incomplete.clear();
  const Eigen::RowVectorXd mean = sum / static_cast<double>(n);
  Eigen::RowVectorXd squares = Eigen::RowVectorXd::Zero(count);
  for (Index i = 0; i < n; ++i) {
    for (Index v = 0; v < count; ++v) {
      const double left = chunk.y(i, v) - mean[v];
      squares[v] += left * left;
    }
  }
  std::vector<Index> all(at(n));
  std::iota(all.begin(), all.end(), Index{0});
  for (Index v = 0; v < count; ++v) {
    const bool is_complete = !std::isnan(sum[v]) || (std::isinf(largest[v]));
    (is_complete ? chunk.complete : chunk.incomplete).push_back(v);
    chunk.sd[at(v)] = std::sqrt(squares[v] / static_cast<double>(n - 1));
    if (largest[v] > 0.0 && !std::isinf(largest[v])) {
      chunk.exponent[at(v)] = scale_of_exponent(std::ilogb(largest[v]));
    }
    if (chunk.exponent[at(v)] == 0) continue;
    for (Index i = 0; i < n; ++i) {
      chunk.y(i, v) = std::ldexp(chunk.y(i, v), -chunk.exponent[at(v)]);
    }
    if (is_complete) chunk.sd[at(v)] = sd_of(chunk, v, all);
  }
}

template <typename T>
void take(const RobustBlock<T>& block, Index lane, Index r, Found& found) {
  found.d.resize(at(r));
  found.d_ols.resize(at(r));
  for (Index k = 0; k < r; ++k) {
    found.d[at(k)] = block.d(k, lane);
    found.d_ols[at(k)] = block.d_ols(k, lane);
  }
  found.ols_squares = block.ols_squares(lane);
  found.least_scale = block.least_scale(lane);
  found.is_exact = block.is_exact(lane);
  found.is_converged = block.is_converged(lane);
  found.n_iterations = block.n_iterations(lane);
}

// Sums over the voxels of a thread, (n) each.
struct Totals {
  std::vector<std::int64_t> weight;
  std::vector<std::int64_t> n_low;
  std::vector<std::int64_t> n_places;
};

class Fitter {
 public:
  Fitter(const Design& design, const RobustMethod& method, const RobustOutputs& out, Index n_voxels)
      : design_(design),
        method_(method),
        out_(out),
        n_voxels_(n_voxels),
        shape_(robust_shape(design)),
        block_shape_(shared_shape_of(shape_)),
        all_(design.n_rows()),
        pruned_(pruned(design.n_rows(), shape_.rank())) {}

  void fit(Chunk& chunk, Totals& totals) const {
    if (shape_.has_freedom()) {
      fit_complete(chunk, totals);
    } else {
      for (const Index v : chunk.complete) leave(chunk, v);
    }
    if (!chunk.incomplete.empty()) fit_incomplete(chunk, totals);
  }

 private:
  static SortingNetwork pruned(Index n, Index rank) {
    const Index first = std::max<Index>(rank, 1) - 1;
    if (first >= n) return SortingNetwork(n);
    return {n, first + (n - 1 - first) / 2, std::min(n - 1, first + (n - first) / 2)};
  }

  // A lane takes the next voxel as soon as its own is done.
  void fit_complete(Chunk& chunk, Totals& totals) const {
    const Index n = design_.n_rows();
    const Index r = shape_.rank();
    const auto count = static_cast<Index>(chunk.complete.size());
    RobustBlock<double> block(block_shape_, pruned_, method_);
    std::vector<Found>& found = chunk.found;
    if (static_cast<Index>(found.size()) < count) found.resize(at(count));
    std::array<Index, kBlock> number{};
    Index next = 0;
    const auto load = [&](Index lane) {
      number[at(lane)] = next;
      if (next == count) {
        block.rest(lane);
        return;
      }
      const Index v = chunk.complete[at(next++)];
      for (Index i = 0; i < n; ++i) block.y(i, lane) = chunk.y(i, v);
      block.set_sd(lane, chunk.sd[at(v)]);
      block.start(lane);
    };
    for (Index lane = 0; lane < kBlock; ++lane) load(lane);
    while (!block.all_done()) {
      block.iterate();
      for (Index lane = 0; lane < kBlock; ++lane) {
        if (!block.is_done(lane) || number[at(lane)] == count) continue;
        take(block, lane, r, found[at(number[at(lane)])]);
        load(lane);
      }
    }
    for (Index begin = 0; begin < count; begin += kBlock) {
      const Index width = std::min<Index>(kBlock, count - begin);
      for (Index lane = 0; lane < width; ++lane) {
        const Index v = chunk.complete[at(begin + lane)];
        for (Index i = 0; i < n; ++i) block.y(i, lane) = chunk.y(i, v);
        const Found& own = found[at(begin + lane)];
        block.resume(lane, own.d.data(), own.d_ols.data(), own.ols_squares, own.least_scale,
                     own.is_exact);
      }
      write(block, chunk, chunk.complete.data() + begin, found.data() + begin, width, totals);
    }
  }

  // Voxels with the same images lie side by side, so that the shape of each is made once.
  void fit_incomplete(const Chunk& chunk, Totals& totals) const {
    const Index n = design_.n_rows();
    std::vector<std::vector<Index>> images;
    images.reserve(chunk.incomplete.size());
    for (const Index v : chunk.incomplete) images.push_back(chunk.images(v));
    std::vector<Index> order(chunk.incomplete.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&images](Index one, Index other) {
      return images[at(one)] < images[at(other)];
    });
    BlockShape<Voxels> shapes = own_shapes(n, shape_.rank(), design_.n_columns);
    RobustBlock<Voxels> block(shapes, all_, method_);
    std::array<Index, kBlock> voxels{};
    std::array<Found, kBlock> found;
    RobustShape shape;
    const std::vector<Index>* made_of = nullptr;
    Index width = 0;
    const auto finish = [&] {
      for (Index lane = width; lane < kBlock; ++lane) block.rest(lane);
      while (!block.all_done()) block.iterate();
      for (Index lane = 0; lane < width; ++lane) {
        take(block, lane, shape_.rank(), found[at(lane)]);
      }
      write(block, chunk, voxels.data(), found.data(), width, totals);
      width = 0;
    };
    for (const Index number : order) {
      const Index v = chunk.incomplete[at(number)];
      const std::vector<Index>& own = images[at(number)];
      if (own.empty()) {
        leave(chunk, v);
        continue;
      }
      if (made_of == nullptr || *made_of != own) shape = robust_shape(design_, own);
      made_of = &own;
      if (!shape.has_freedom()) {
        leave(chunk, v);
        continue;
      }
      set_shape(shapes, width, shape, own);
      for (Index i = 0; i < n; ++i) block.y(i, width) = 0.0;
      for (const Index i : own) block.y(i, width) = chunk.y(i, v);
      block.set_sd(width, sd_of(chunk, v, own));
      block.start(width);
      voxels[at(width++)] = v;
      if (width == kBlock) finish();
    }
    if (width > 0) finish();
  }

  // A voxel without a degree of freedom keeps its data.
  void leave(const Chunk& chunk, Index voxel) const {
    const Index to = chunk.first + voxel;
    out_.scale[to] = out_.mean_weight[to] = kNaN;
    out_.iterations[to] = 0;
    out_.status[to] = 0;
    for (Index i = 0; i < design_.n_rows(); ++i) {
      const double y = chunk.y(i, voxel);
      out_.pseudo[i * n_voxels_ + to] = std::ldexp(y, chunk.exponent[at(voxel)]);
      if (out_.weights != nullptr) out_.weights[i * n_voxels_ + to] = kNaN;
    }
  }

  template <typename T>
  void write(RobustBlock<T>& block, const Chunk& chunk, const Index* voxels, const Found* found,
             Index width, Totals& totals) const {
    const auto summary = block.summarise();
    std::array<double, kBlock> weight_sum{};
    std::array<double, kBlock> n_images{};
    for (Index i = 0; i < design_.n_rows(); ++i) {
      const Voxels& weights = block.weight(i);
      const Voxels& pseudo = block.pseudo(i);
      for (Index lane = 0; lane < width; ++lane) {
        const Index v = voxels[lane];
        const Index to = i * n_voxels_ + chunk.first + v;
        const bool is_missing = std::isnan(chunk.y(i, v));
        const int exponent = chunk.exponent[at(v)];
        const double value = exponent == 0 ? pseudo[lane] : std::ldexp(pseudo[lane], exponent);
        out_.pseudo[to] = is_missing ? kNaN : value;
        if (out_.weights != nullptr) out_.weights[to] = is_missing ? kNaN : weights[lane];
        if (is_missing) continue;
        weight_sum[at(lane)] += weights[lane];
        n_images[at(lane)] += 1.0;
        totals.weight[at(i)] += std::llround(weights[lane] / kWeightUnit);
        totals.n_low[at(i)] += weights[lane] < kLowWeight ? 1 : 0;
        totals.n_places[at(i)] += 1;
      }
    }
    for (Index lane = 0; lane < width; ++lane) {
      const Index to = chunk.first + voxels[lane];
      const bool is_floored = !(summary.mad[lane] >= found[lane].least_scale);
      out_.scale[to] = std::ldexp(summary.scale[lane], chunk.exponent[at(voxels[lane])]);
      out_.mean_weight[to] = weight_sum[at(lane)] / n_images[at(lane)];
      out_.iterations[to] = static_cast<std::int16_t>(found[lane].n_iterations);
      out_.status[to] = static_cast<std::uint8_t>(
          kRobustFitted + (found[lane].is_converged ? kRobustConverged : 0) +
          (is_floored && !found[lane].is_exact ? kRobustFloored : 0));
    }
  }

  const Design& design_;
  const RobustMethod& method_;
  const RobustOutputs& out_;
  Index n_voxels_;
  RobustShape shape_;
  BlockShape<double> block_shape_;
  SortingNetwork all_;
  SortingNetwork pruned_;
};

}  // namespace

template <typename Scalar>
void robust_fit(const Design& design, const RobustMethod& method, const DataView<Scalar>& y,
                const RobustOutputs& out, int n_threads) {
  const Index n = design.n_rows();
  const Index size = voxels_of_chunk(n);
  const Index n_chunks = (y.n_voxels + size - 1) / size;
  const int threads = resolve_threads(n_threads);
  const Fitter fitter(design, method, out, y.n_voxels);
  std::vector<Chunk> chunks(static_cast<std::size_t>(threads));
  std::vector<Totals> totals(static_cast<std::size_t>(threads));
  for (Totals& own : totals) {
    own.weight.assign(at(n), 0);
    own.n_low.assign(at(n), 0);
    own.n_places.assign(at(n), 0);
  }
  parallel_for(n_chunks, threads, [&](Index task, int thread) {
    Chunk& chunk = chunks[static_cast<std::size_t>(thread)];
    const Index first = task * size;
    read(y, first, std::min(size, y.n_voxels - first), chunk);
    fitter.fit(chunk, totals[static_cast<std::size_t>(thread)]);
  });
  for (Index i = 0; i < n; ++i) {
    out.weight_sums[i] = out.n_low[i] = out.n_places[i] = 0;
    for (const Totals& own : totals) {
      out.weight_sums[i] += own.weight[at(i)];
      out.n_low[i] += own.n_low[at(i)];
      out.n_places[i] += own.n_places[at(i)];
    }
  }
}

template void robust_fit(const Design&, const RobustMethod&, const DataView<float>&,
                         const RobustOutputs&, int);
template void robust_fit(const Design&, const RobustMethod&, const DataView<double>&,
                         const RobustOutputs&, int);

}  // namespace groupglm
