// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/sandwich.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "groupglm/parallel.hpp"
#include "loops/lanes.hpp"
#include "models/sandwich_rows.hpp"

namespace groupglm {

namespace {

using Block = Eigen::Array<double, kBlock, 1>;
using BlockMap = Eigen::Map<const Block>;

// Voxels that are read together: their rows are 256 bytes of doubles.
constexpr Index kPanelVoxels = 32;
static_assert(kPanelVoxels % kBlock == 0);

// Voxels of a run: what their images have in common is computed once for each.
constexpr Index kVoxelsOfRun = 1024;

// An eigenvalue below minus this share of the largest is negative, not rounding.
constexpr double kNegative = 1e-12;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What is the same for all voxels with the same images, and the sums of one block of them.
class BlockSums {
 public:
  BlockSums(const SubjectBlocks& blocks, const std::uint8_t* bits, Adjustment adjustment,
            bool with_fourth)
      : present_(blocks, bits), with_fourth_(with_fourth) {
    const Adjustments adjustments(present_, adjustment);
    std::optional<SubjectDegrees> degrees;
    Index largest = 0;
    for (Index s = 0; s < present_.n_subjects(); ++s) {
      const Index m = present_.count(s);
      largest = std::max(largest, m);
      const auto q = present_.basis.middleRows(present_.starts[idx(s)], m);
      const auto a = adjustments.of(s);
      // What is multiplied by the residuals of the subject.
      const RowMatrix gain = blocks.is_homogeneous() ? RowMatrix(a) : RowMatrix(q.transpose() * a);
      gains_.insert(gains_.end(), gain.data(), gain.data() + gain.size());
      if (with_fourth) {
        if (!degrees) degrees.emplace(present_);
        const double own = degrees->of_subject(blocks.part[idx(present_.subject[idx(s)])]);
        weight_.push_back(own > 0.0 ? 1.0 / own : kNan);
      }
    }
    b_.resize(idx(present_.rank()));
    e_.resize(idx(largest));
    u_.resize(idx(std::max(largest, blocks.r())));
    const Index n_sums =
        blocks.is_homogeneous() ? 3 * blocks.n_covariances() : triangle(blocks.r(), 0);
    sums_.resize(idx(n_sums));
    if (with_fourth) fourth_.resize(idx(n_fourth(blocks.r())));
    if (blocks.is_homogeneous()) count_pairs();
  }

  const PresentRows& present() const { return present_; }

  // y (n, stride): the rows of the blocks, of which the first kBlock columns are taken.
  void add(const double* y, Index stride) {
    fit(y, stride);
    std::fill(sums_.begin(), sums_.end(), Block::Zero());
    std::fill(fourth_.begin(), fourth_.end(), Block::Zero());
    const double* gain = gains_.data();
    for (Index s = 0; s < present_.n_subjects(); ++s) {
      residuals(s, y, stride);
      const Index m = present_.count(s);
      const Index n_out = present_.blocks.is_homogeneous() ? m : present_.blocks.r();
      for (Index k = 0; k < n_out; ++k) {
        Block sum = Block::Zero();
        for (Index j = 0; j < m; ++j) sum += gain[j] * e_[idx(j)];
        u_[idx(k)] = sum;
        gain += m;
      }
      if (present_.blocks.is_homogeneous()) {
        add_visits(s);
      } else {
        add_outer(s);
      }
    }
  }

  // Writes the sums of lane `lane` to voxel `voxel` of the outputs.
  void write(Index lane, Index voxel, Index n_voxels, const SandwichSums& out) {
    if (present_.blocks.is_homogeneous()) {
      write_covariances(lane, voxel, n_voxels, out);
      return;
    }
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      out.sums[static_cast<Index>(k) * n_voxels + voxel] = sums_[k][lane];
    }
    for (std::size_t k = 0; k < fourth_.size(); ++k) {
      out.fourth[static_cast<Index>(k) * n_voxels + voxel] = fourth_[k][lane];
    }
  }

 private:
  // b = own'y, four numbers at a time so that y is read less often.
  void fit(const double* y, Index stride) {
    const Index rank = present_.rank();
    for (Index k = 0; k < rank; k += 4) {
      const Index width = std::min<Index>(4, rank - k);
      std::array<Block, 4> sum;
      sum.fill(Block::Zero());
      for (Index j = 0; j < present_.m(); ++j) {
        const BlockMap value(y + present_.rows[idx(j)] * stride);
        const double* const q = present_.own.data() + j * rank + k;
        for (Index c = 0; c < width; ++c) sum[idx(c)] += q[c] * value;
      }
      std::copy_n(sum.begin(), width, b_.begin() + k);
    }
  }

  void residuals(Index s, const double* y, Index stride) {
    const Index rank = present_.rank();
    const Index first = present_.starts[idx(s)];
    for (Index j = 0; j < present_.count(s); ++j) {
      Block left = BlockMap(y + present_.rows[idx(first + j)] * stride);
      const double* const q = present_.own.data() + (first + j) * rank;
      for (Index k = 0; k < rank; ++k) left -= q[k] * b_[idx(k)];
      e_[idx(j)] = left;
    }
  }

  void add_outer(Index s) {
    const Index r = present_.blocks.r();
    Block* sum = sums_.data();
    for (Index a = 0; a < r; ++a) {
      for (Index b = 0; b <= a; ++b) *sum++ += u_[idx(a)] * u_[idx(b)];
    }
    if (!with_fourth_) return;
    Block* fourth = fourth_.data();
    for (Index a = 0; a < r; ++a) {
      const Block one = weight_[idx(s)] * u_[idx(a)];
      for (Index b = 0; b <= a; ++b) {
        const Block two = one * u_[idx(b)];
        for (Index c = 0; c <= b; ++c) {
          const Block three = two * u_[idx(c)];
          for (Index d = 0; d <= c; ++d) *fourth++ += three * u_[idx(d)];
        }
      }
    }
  }

  // Of each pair of visits that the subject has: the product and both squares.
  void add_visits(Index s) {
    const SubjectBlocks& blocks = present_.blocks;
    const Index first = present_.starts[idx(s)];
    Block* const sums = sums_.data() + 3 * offset(blocks.group[idx(present_.subject[idx(s)])]);
    for (Index j = 0; j < present_.count(s); ++j) {
      for (Index k = 0; k <= j; ++k) {
        const Index one = blocks.visit[idx(present_.rows[idx(first + j)])];
        const Index other = blocks.visit[idx(present_.rows[idx(first + k)])];
        const bool is_sorted = one >= other;
        const Block& high = u_[idx(is_sorted ? j : k)];
        const Block& low = u_[idx(is_sorted ? k : j)];
        Block* const sum = sums + 3 * triangle(std::max(one, other), std::min(one, other));
        sum[0] += high * low;
        sum[1] += high * high;
        sum[2] += low * low;
      }
    }
  }

  Index offset(Index group) const {
    Index at = 0;
    for (Index g = 0; g < group; ++g) at += triangle(present_.blocks.n_visits[idx(g)], 0);
    return at;
  }

  void count_pairs() {
    const SubjectBlocks& blocks = present_.blocks;
    n_pairs_.assign(idx(blocks.n_covariances()), 0.0);
    for (Index s = 0; s < present_.n_subjects(); ++s) {
      const Index at = offset(blocks.group[idx(present_.subject[idx(s)])]);
      const Index first = present_.starts[idx(s)];
      for (Index j = 0; j < present_.count(s); ++j) {
        for (Index k = 0; k <= j; ++k) {
          const Index one = blocks.visit[idx(present_.rows[idx(first + j)])];
          const Index other = blocks.visit[idx(present_.rows[idx(first + k)])];
          n_pairs_[idx(at + triangle(std::max(one, other), std::min(one, other)))] += 1.0;
        }
      }
    }
  }

  void write_covariances(Index lane, Index voxel, Index n_voxels, const SandwichSums& out) const {
    Index at = 0;
    bool is_projected = false;
    for (const Index count : present_.blocks.n_visits) {
      MatrixXd v = MatrixXd::Zero(count, count);
      for (Index k = 0; k < count; ++k) {
        const Index own = at + triangle(k, k);
        const double n = n_pairs_[idx(own)];
        if (n > 0.0) v(k, k) = sums_[idx(3 * own)][lane] / n;
        for (Index l = 0; l < k; ++l) {
          const Block* const sum = sums_.data() + 3 * (at + triangle(k, l));
          const double squares = sum[1][lane] * sum[2][lane];
          if (!(squares > 0.0)) continue;
          const double correlation = sum[0][lane] / std::sqrt(squares);
          v(k, l) = v(l, k) = correlation * std::sqrt(v(k, k) * v(l, l));
        }
      }
      is_projected |= project(v);
      for (Index k = 0; k < count; ++k) {
        for (Index l = 0; l <= k; ++l) {
          out.sums[(at + triangle(k, l)) * n_voxels + voxel] = v(k, l);
        }
      }
      at += triangle(count, 0);
    }
    out.projected[voxel] = is_projected ? 1 : 0;
  }

  // Replaces negative eigenvalues by zero; true if there were any.
  static bool project(MatrixXd& v) {
    if (v.rows() < 2 || Eigen::LLT<MatrixXd>(v).info() == Eigen::Success) return false;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(v);
    const VectorXd& values = eigen.eigenvalues();
    if (values[0] >= 0.0) return false;
    const bool is_negative = values[0] < -kNegative * values[values.size() - 1];
    v = eigen.eigenvectors() * values.cwiseMax(0.0).asDiagonal() * eigen.eigenvectors().transpose();
    return is_negative;
  }

  PresentRows present_;
  bool with_fourth_;
  std::vector<double> gains_;    // subject by subject: Q_s'A_s (r, m_s), or A_s (m_s, m_s)
  std::vector<double> weight_;   // (n_subjects): of the fourth powers
  std::vector<double> n_pairs_;  // (n_covariances): subjects that have both visits
  std::vector<Block> b_;
  std::vector<Block> e_;
  std::vector<Block> u_;
  std::vector<Block> sums_;
  std::vector<Block> fourth_;
};

// A panel of voxels: rows of the blocks (n, kPanelVoxels), and which images each voxel has.
template <typename Scalar>
class Panel {
 public:
  Panel(const SubjectBlocks& blocks, const DataView<Scalar>& y, const std::int16_t* exponent)
      : blocks_(blocks), y_(y), exponent_(exponent), values_(idx(blocks.n() * kPanelVoxels)) {}

  const double* values() const { return values_.data(); }

  // Reads voxels at(0), at(1), ... of the data; the rest of the panel is zero.
  template <typename At>
  void read(Index count, const At& voxel_at) {
    for (Index i = 0; i < blocks_.n(); ++i) {
      const Scalar* const row = y_.data + blocks_.rows[idx(i)] * y_.row_stride;
      double* const out = values_.data() + i * kPanelVoxels;
      for (Index v = 0; v < count; ++v) {
        out[v] = static_cast<double>(row[voxel_at(v) * y_.voxel_stride]);
      }
      std::fill(out + count, out + kPanelVoxels, 0.0);
    }
    if (exponent_ == nullptr) return;
    for (Index v = 0; v < count; ++v) {
      const int exponent = -exponent_[voxel_at(v)];
      if (exponent == 0) continue;
      for (Index i = 0; i < blocks_.n(); ++i) {
        double& value = values_[idx(i * kPanelVoxels + v)];
        value = std::ldexp(value, exponent);
      }
    }
  }

  // Sets the bits of the images that are missing; true if no image of any voxel is.
  bool mark(Index first, Index count, std::uint8_t* bits) const {
    Eigen::Array<double, kPanelVoxels, 1> sum = Eigen::Array<double, kPanelVoxels, 1>::Zero();
    using Row = Eigen::Map<const Eigen::Array<double, kPanelVoxels, 1>>;
    for (Index i = 0; i < blocks_.n(); ++i) sum += Row(values_.data() + i * kPanelVoxels);
    const bool is_complete = !sum.isNaN().any();
    const Index n_bytes = blocks_.n_bytes();
    std::fill_n(bits + first * n_bytes, count * n_bytes, std::uint8_t{0});
    if (is_complete) return true;
    for (Index i = 0; i < blocks_.n(); ++i) {
      const Index row = blocks_.rows[idx(i)];
      const double* const value = values_.data() + i * kPanelVoxels;
      const auto bit = static_cast<std::uint8_t>(1U << (row % 8));
      for (Index v = 0; v < count; ++v) {
        if (!std::isnan(value[v])) continue;
        std::uint8_t& byte = bits[(first + v) * n_bytes + row / 8];
        byte = static_cast<std::uint8_t>(byte | bit);
      }
    }
    return is_complete;
  }

 private:
  const SubjectBlocks& blocks_;
  const DataView<Scalar>& y_;
  const std::int16_t* exponent_;
  std::vector<double> values_;
};

// Voxels of an incomplete panel, by the images that they have.
std::vector<Index> sorted_by_bits(std::vector<Index> voxels, const std::uint8_t* bits,
                                  Index n_bytes) {
  std::stable_sort(voxels.begin(), voxels.end(), [&](Index a, Index b) {
    return std::lexicographical_compare(bits + a * n_bytes, bits + (a + 1) * n_bytes,
                                        bits + b * n_bytes, bits + (b + 1) * n_bytes);
  });
  return voxels;
}

void add_panel(BlockSums& sums, const double* values, Index count, const Index* voxels,
               Index n_voxels, const SandwichSums& out) {
  for (Index from = 0; from < count; from += kBlock) {
    sums.add(values + from, kPanelVoxels);
    for (Index lane = 0; lane < std::min<Index>(kBlock, count - from); ++lane) {
      sums.write(lane, voxels[from + lane], n_voxels, out);
    }
  }
}

}  // namespace

template <typename Scalar>
void sandwich_sums(const SubjectBlocks& blocks, Adjustment adjustment, const DataView<Scalar>& y,
                   const std::int16_t* exponent, const SandwichSums& out, int n_threads) {
  const bool with_fourth = out.fourth != nullptr;
  const Index n_panels = (y.n_voxels + kPanelVoxels - 1) / kPanelVoxels;
  std::vector<std::uint8_t> is_incomplete(idx(n_panels), 0);
  const auto n_workers = idx(resolve_threads(n_threads));
  std::vector<std::unique_ptr<Panel<Scalar>>> panels(n_workers);
  std::vector<std::unique_ptr<BlockSums>> complete(n_workers);
  parallel_for(n_panels, n_threads, [&](Index task, int thread) {
    auto& panel = panels[idx(thread)];
    if (!panel) panel = std::make_unique<Panel<Scalar>>(blocks, y, exponent);
    const Index first = task * kPanelVoxels;
    const Index count = std::min(kPanelVoxels, y.n_voxels - first);
    panel->read(count, [first](Index v) { return first + v; });
    if (!panel->mark(first, count, out.bits)) {
      is_incomplete[idx(task)] = 1;
      return;
    }
    auto& sums = complete[idx(thread)];
    if (!sums) sums = std::make_unique<BlockSums>(blocks, nullptr, adjustment, with_fourth);
    std::array<Index, kPanelVoxels> voxels{};
    std::iota(voxels.begin(), voxels.end(), first);
    add_panel(*sums, panel->values(), count, voxels.data(), y.n_voxels, out);
  });

  std::vector<Index> left;
  for (Index task = 0; task < n_panels; ++task) {
    if (is_incomplete[idx(task)] == 0) continue;
    const Index first = task * kPanelVoxels;
    for (Index v = first; v < std::min(first + kPanelVoxels, y.n_voxels); ++v) left.push_back(v);
  }
  const Index n_bytes = blocks.n_bytes();
  left = sorted_by_bits(std::move(left), out.bits, n_bytes);
  // Runs of voxels that have the same images.
  std::vector<Index> runs{0};
  const auto n_left = static_cast<Index>(left.size());
  for (Index i = 1; i <= n_left; ++i) {
    const bool ends =
        i == n_left || i - runs.back() == kVoxelsOfRun ||
        !std::equal(out.bits + left[idx(i)] * n_bytes, out.bits + (left[idx(i)] + 1) * n_bytes,
                    out.bits + left[idx(i - 1)] * n_bytes);
    if (ends) runs.push_back(i);
  }
  parallel_for(static_cast<Index>(runs.size()) - 1, n_threads, [&](Index task, int thread) {
    auto& panel = panels[idx(thread)];
    if (!panel) panel = std::make_unique<Panel<Scalar>>(blocks, y, exponent);
    const Index end = runs[idx(task) + 1];
    const std::uint8_t* const bits = out.bits + left[idx(runs[idx(task)])] * n_bytes;
    BlockSums sums(blocks, bits, adjustment, with_fourth);
    for (Index from = runs[idx(task)]; from < end; from += kPanelVoxels) {
      const Index* const voxels = left.data() + from;
      const Index count = std::min(kPanelVoxels, end - from);
      panel->read(count, [voxels](Index v) { return voxels[v]; });
      add_panel(sums, panel->values(), count, voxels, y.n_voxels, out);
    }
  });
}

template void sandwich_sums(const SubjectBlocks&, Adjustment, const DataView<float>&,
                            const std::int16_t*, const SandwichSums&, int);
template void sandwich_sums(const SubjectBlocks&, Adjustment, const DataView<double>&,
                            const std::int16_t*, const SandwichSums&, int);

}  // namespace groupglm
