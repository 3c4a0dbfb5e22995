// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/special/smooth_values.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "groupglm/parallel.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

constexpr int kNodes = 13;
constexpr double kWidth = 0.5;
constexpr double kPi = 3.14159265358979323846;
constexpr std::size_t kFew = 16;    // values of w that have tables of their own
constexpr int kWorth = 2;           // values a node for which a table is worth it
constexpr Index kTaskValues = 512;  // in a task
constexpr std::int32_t kMissing = -1;

using Row = std::array<double, kNodes>;
using Weights = std::array<Row, kNodes>;

double node(int j) { return -std::cos(kPi * (j + 0.5) / kNodes); }

// Row k gives the k-th Chebyshev coefficient from the values at the nodes.
const Weights& weights() {
  static const Weights made = [] {
    Weights all{};
    for (int k = 0; k < kNodes; ++k) {
      for (int j = 0; j < kNodes; ++j) {
        const double angle = k * kPi * (kNodes - 1 - j + 0.5) / kNodes;
        all[static_cast<std::size_t>(k)][static_cast<std::size_t>(j)] =
            std::cos(angle) * (k == 0 ? 1.0 : 2.0) / kNodes;
      }
    }
    return all;
  }();
  return made;
}

Row coefficients_of(const Row& values) {
  const Weights& all = weights();
  Row found{};
  for (std::size_t k = 0; k < kNodes; ++k) {
    for (std::size_t j = 0; j < kNodes; ++j) found[k] += all[k][j] * values[j];
  }
  return found;
}

double polynomial(const Row& coefficients, double u) {
  double next = 0.0;
  double after = 0.0;
  for (std::size_t k = kNodes - 1; k > 0; --k) {
    const double here = coefficients[k] + 2.0 * u * next - after;
    after = next;
    next = here;
  }
  return coefficients[0] + u * next - after;
}

// One output of the function in a cell: rows are the Chebyshev degrees in w.
struct Patch {
  std::vector<Row> rows;

  double operator()(double u, double q) const {
    if (rows.size() == 1) return polynomial(rows[0], u);
    Row next{};  // over v, for all degrees of v at once; the sum over w is last
    Row after{};
    for (std::size_t k = kNodes - 1; k > 0; --k) {
      for (std::size_t j = 0; j < kNodes; ++j) {
        const double here = rows[k][j] + 2.0 * q * next[j] - after[j];
        after[j] = next[j];
        next[j] = here;
      }
    }
    for (std::size_t j = 0; j < kNodes; ++j) next[j] = rows[0][j] + q * next[j] - after[j];
    return polynomial(next, u);
  }
};

struct Cell {
  Index count = 0;
  std::int32_t table = kMissing;
};

class SmoothTables {
 public:
  SmoothTables(const double* v, const double* w, double w_common, Index n,
               const SmoothFunction& function, bool has_second, int n_threads)
      : v_(v), w_(w), w_common_(w_common), function_(function), has_second_(has_second) {
    find_ranges(n);
    if (first_piece_ > last_piece_) return;
    count(n);
    fit(n_threads);
  }

  void evaluate(Index first, Index last, double* one, double* two) const {
    for (Index i = first; i < last; ++i) {
      const Index at = cells_.empty() ? kMissing : cell_of(i);
      std::array<double, 2> found{kNaN, kNaN};
      if (at != kMissing) {
        const Cell& cell = cells_[static_cast<std::size_t>(at)];
        if (cell.table == kMissing) {
          found = function_(v_[i], w_at(i));
        } else {
          const auto& patches = tables_[static_cast<std::size_t>(cell.table)];
          const double u = offset(v_[i]);
          const double q = few_.empty() ? offset(w_at(i)) : 0.0;
          found[0] = patches[0](u, q);
          if (has_second_) found[1] = patches[1](u, q);
        }
      }
      one[i] = found[0];
      if (two != nullptr) two[i] = found[1];
    }
  }

 private:
  static Index piece(double value) { return static_cast<Index>(std::floor(value / kWidth)); }
  static double offset(double value) {
    const double scaled = value / kWidth;
    return 2.0 * (scaled - std::floor(scaled)) - 1.0;
  }
  static double at_node(Index of_piece, int j) {
    return kWidth * (static_cast<double>(of_piece) + 0.5 + 0.5 * node(j));
  }

  double w_at(Index i) const { return w_ == nullptr ? w_common_ : w_[i]; }
  bool is_known(Index i) const { return std::isfinite(v_[i]) && std::isfinite(w_at(i)); }

  void find_ranges(Index n) {
    double lowest_v = kInfinity;
    double highest_v = -kInfinity;
    double lowest_w = w_ == nullptr ? w_common_ : kInfinity;
    double highest_w = w_ == nullptr ? w_common_ : -kInfinity;
    if (w_ == nullptr) few_.assign(1, w_common_);
    for (Index i = 0; i < n; ++i) {
      if (!is_known(i)) continue;
      lowest_v = std::min(lowest_v, v_[i]);
      highest_v = std::max(highest_v, v_[i]);
      if (w_ == nullptr) continue;
      lowest_w = std::min(lowest_w, w_[i]);
      highest_w = std::max(highest_w, w_[i]);
      if (few_.size() > kFew) continue;
      const auto place = std::lower_bound(few_.begin(), few_.end(), w_[i]);
      if (place == few_.end() || *place != w_[i]) few_.insert(place, w_[i]);
    }
    if (few_.size() > kFew) few_.clear();
    if (lowest_v > highest_v) return;
    first_piece_ = piece(lowest_v);
    last_piece_ = piece(highest_v);
    first_row_ = piece(lowest_w);
    last_row_ = piece(highest_w);
  }

  Index cell_of(Index i) const {
    if (!is_known(i)) return kMissing;
    const Index row = few_.empty()
                          ? piece(w_at(i)) - first_row_
                          : std::lower_bound(few_.begin(), few_.end(), w_at(i)) - few_.begin();
    return row * (last_piece_ - first_piece_ + 1) + piece(v_[i]) - first_piece_;
  }

  void count(Index n) {
    const Index n_rows =
        few_.empty() ? last_row_ - first_row_ + 1 : static_cast<Index>(few_.size());
    cells_.resize(static_cast<std::size_t>(n_rows * (last_piece_ - first_piece_ + 1)));
    for (Index i = 0; i < n; ++i) {
      const Index at = cell_of(i);
      if (at != kMissing) ++cells_[static_cast<std::size_t>(at)].count;
    }
  }

  void fit(int n_threads) {
    const int n_q = few_.empty() ? kNodes : 1;
    std::vector<Index> wanted;
    for (std::size_t at = 0; at < cells_.size(); ++at) {
      if (cells_[at].count < kWorth * kNodes * n_q) continue;
      cells_[at].table = static_cast<std::int32_t>(wanted.size());
      wanted.push_back(static_cast<Index>(at));
    }
    tables_.resize(wanted.size());
    for (auto& patches : tables_) {
      for (Patch& patch : patches) patch.rows.resize(static_cast<std::size_t>(n_q));
    }
    // A row of nodes a task: cells alone would be few.
    parallel_for(static_cast<Index>(wanted.size()) * n_q, n_threads, [&](Index task, int) {
      const auto number = static_cast<std::size_t>(task / n_q);
      fit_row(wanted[number], static_cast<int>(task % n_q), tables_[number]);
    });
    if (n_q == 1) return;
    for (auto& patches : tables_) {
      for (Patch& patch : patches) across_rows(patch);
    }
  }

  void fit_row(Index cell, int q, std::array<Patch, 2>& patches) const {
    const Index n_pieces = last_piece_ - first_piece_ + 1;
    const Index row = cell / n_pieces;
    const double w =
        few_.empty() ? at_node(first_row_ + row, q) : few_[static_cast<std::size_t>(row)];
    std::array<Row, 2> values{};
    for (int j = 0; j < kNodes; ++j) {
      const auto found = function_(at_node(first_piece_ + cell % n_pieces, j), w);
      for (std::size_t k = 0; k < 2; ++k) values[k][static_cast<std::size_t>(j)] = found[k];
    }
    for (std::size_t k = 0; k < 2; ++k) {
      patches[k].rows[static_cast<std::size_t>(q)] = coefficients_of(values[k]);
    }
  }

  static void across_rows(Patch& patch) {
    for (std::size_t j = 0; j < kNodes; ++j) {
      Row column{};
      for (std::size_t q = 0; q < kNodes; ++q) column[q] = patch.rows[q][j];
      column = coefficients_of(column);
      for (std::size_t q = 0; q < kNodes; ++q) patch.rows[q][j] = column[q];
    }
  }

  const double* v_;
  const double* w_;
  double w_common_;
  const SmoothFunction& function_;
  bool has_second_;
  Index first_piece_ = 0;
  Index last_piece_ = -1;
  Index first_row_ = 0;
  Index last_row_ = -1;
  std::vector<double> few_;  // the values of w, if they are few
  std::vector<Cell> cells_;
  std::vector<std::array<Patch, 2>> tables_;
};

}  // namespace

void smooth_values(const double* v, const double* w, double w_common, Index n,
                   const SmoothFunction& function, double* first, double* second, int n_threads) {
  const SmoothTables tables(v, w, w_common, n, function, second != nullptr, n_threads);
  parallel_for((n + kTaskValues - 1) / kTaskValues, n_threads, [&](Index task, int) {
    tables.evaluate(task * kTaskValues, std::min(n, (task + 1) * kTaskValues), first, second);
  });
}

}  // namespace groupglm
