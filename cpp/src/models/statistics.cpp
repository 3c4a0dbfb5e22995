// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

#include "groupglm/parallel.hpp"
#include "groupglm/special/tails.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

// Places of a task: their statistics and degrees of freedom fit the first-level cache.
constexpr Index kTaskPlaces = 1024;
// t and F differ from their limits by a share of 1 / df: beyond this, not in double.
constexpr double kLimitDf = 1e30;

// Where a place's degrees of freedom are served: the number of a table, or one of these.
constexpr int kExact = -1;
constexpr int kNone = -2;
constexpr int kDone = -3;
constexpr int kCommon = 0;  // the table of df_common; other tables have the number of their df

template <typename Distribution>
class Tails {
 public:
  Tails(const NullDistribution& null, Index n, int n_threads) : null_(null) {
    std::vector<int> wanted;
    if (null.df_common > 0.0) wanted.push_back(kCommon);
    std::array<bool, kLargestTabulated + 1> seen{};
    for (Index i = 0; null.df != nullptr && i < n; ++i) {
      const int table = table_of(null.df[i]);
      if (table <= kCommon || seen[at(table)]) continue;
      seen[at(table)] = true;
      wanted.push_back(table);
    }
    tables_.resize(kLargestTabulated + 1);
    parallel_for(static_cast<Index>(wanted.size()), n_threads, [&](Index task, int) {
      const int table = wanted[at(task)];
      tables_[at(table)] = std::make_unique<const Distribution>(
          tabulated(null, table == kCommon ? null.df_common : static_cast<double>(table)));
    });
  }

  // p (unless nullptr) and z of `count` places from the place `first`; `stat` has their statistics.
  void fill(const double* stat, Index first, Index count, double* p, double* z) const {
    if (null_.df != nullptr) {
      fill_by_place(stat, null_.df + first, count, p, z);
    } else if (null_.df_common > 0.0) {
      tables_[kCommon]->p_and_z(stat, count, p, z);
    } else {
      if (p != nullptr) std::fill_n(p, count, kNaN);
      std::fill_n(z, count, kNaN);
    }
  }

 private:
  static Distribution tabulated(const NullDistribution& null, double df);
  static Distribution exact(const NullDistribution& null, double df);

  int table_of(double df) const {
    if (!(df > 0.0)) return kNone;
    if (df == null_.df_common) return kCommon;
    const bool has_table = df <= kLargestTabulated && df == std::floor(df);
    return has_table ? static_cast<int>(df) : kExact;
  }

  void fill_by_place(const double* stat, const double* df, Index count, double* p,
                     double* z) const {
    std::array<int, kTaskPlaces> table;
    std::transform(df, df + count, table.begin(), [this](double value) { return table_of(value); });
    for (Index i = 0; i < count; ++i) {
      switch (const int chosen = table[at(i)]) {
        case kDone:
          break;
        case kNone:
          if (p != nullptr) p[i] = kNaN;
          z[i] = kNaN;
          break;
        case kExact:
          exact(null_, df[i]).p_and_z(stat + i, 1, p == nullptr ? nullptr : p + i, z + i);
          break;
        default:
          fill_by_table(chosen, stat, i, count, table, p, z);
      }
    }
  }

  // Serves all places of one table together, because a table works on blocks of values.
  void fill_by_table(int chosen, const double* stat, Index from, Index count,
                     std::array<int, kTaskPlaces>& table, double* p, double* z) const {
    std::array<double, kTaskPlaces> z_value;  // holds the statistics first
    std::array<double, kTaskPlaces> p_value;
    std::array<Index, kTaskPlaces> place;
    Index n = 0;
    for (Index i = from; i < count; ++i) {
      if (table[at(i)] != chosen) continue;
      table[at(i)] = kDone;
      place[at(n)] = i;
      z_value[at(n++)] = stat[i];
    }
    tables_[at(chosen)]->p_and_z(z_value.data(), n, p == nullptr ? nullptr : p_value.data(),
                                 z_value.data());
    for (Index k = 0; k < n; ++k) {
      if (p != nullptr) p[place[at(k)]] = p_value[at(k)];
      z[place[at(k)]] = z_value[at(k)];
    }
  }

  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  const NullDistribution& null_;
  std::vector<std::unique_ptr<const Distribution>> tables_;
};

template <>
StudentT Tails<StudentT>::tabulated(const NullDistribution&, double df) {
  return StudentT(std::min(df, kLimitDf));
}
template <>
StudentT Tails<StudentT>::exact(const NullDistribution&, double df) {
  return StudentT::without_table(std::min(df, kLimitDf));
}
template <>
FisherF Tails<FisherF>::tabulated(const NullDistribution& null, double df) {
  return {null.rank, std::min(df, kLimitDf)};
}
template <>
FisherF Tails<FisherF>::exact(const NullDistribution& null, double df) {
  return FisherF::without_table(null.rank, std::min(df, kLimitDf));
}

void check(const NullDistribution& null) {
  const bool is_rank = null.rank > 0.0 && null.rank < kInfinity;
  if (null.type == StatType::F && !is_rank) {
    throw std::invalid_argument("the rank of an F must be finite and above zero");
  }
}

// Calls body(tails, first, count) for all places, a task at a time.
template <typename Body>
void for_tasks(const NullDistribution& null, Index n, int n_threads, const Body& body) {
  const auto run = [&](const auto& tails) {
    parallel_for((n + kTaskPlaces - 1) / kTaskPlaces, n_threads, [&](Index task, int) {
      const Index first = task * kTaskPlaces;
      body(tails, first, std::min(kTaskPlaces, n - first));
    });
  };
  check(null);
  if (null.type == StatType::t) {
    run(Tails<StudentT>(null, n, n_threads));
  } else {
    run(Tails<FisherF>(null, n, n_threads));
  }
}

double statistic(double effect, double scale) {
  if (scale > 0.0) return effect / scale;
  if (!(scale == 0.0) || std::isnan(effect)) return kNaN;
  return effect == 0.0 ? 0.0 : std::copysign(kInfinity, effect);
}

using Values = Eigen::Map<const Eigen::ArrayXd>;

// The statistics of neighbouring places, as vectors. Returns false, and does nothing, unless all
// places have degrees of freedom and a variance above zero; nearly always they have.
bool divide_all(const NullDistribution& null, const Values& effect, const Values& variance,
                Index first, Eigen::Map<Eigen::ArrayXd> stat) {
  const bool has_df = null.df == nullptr ? null.df_common > 0.0
                                         : (Values(null.df + first, stat.size()) > 0.0).all();
  const bool is_t = null.type == StatType::t;
  const double factor = is_t ? 1.0 : null.rank;
  if (!has_df || !(variance * factor > 0.0).all()) return false;
  if (is_t) {
    stat = effect / variance.sqrt();
  } else {
    stat = effect / (variance * factor);
  }
  return true;
}

}  // namespace

void tail_probabilities(const NullDistribution& null, const double* stat, Index n, double* p_value,
                        double* z_score, int n_threads) {
  for_tasks(null, n, n_threads, [&](const auto& tails, Index first, Index count) {
    tails.fill(stat + first, first, count, p_value == nullptr ? nullptr : p_value + first,
               z_score + first);
  });
}

void test_statistics(const NullDistribution& null, const double* effect, const double* variance,
                     Index n, const StatisticOutputs& out, int n_threads) {
  for_tasks(null, n, n_threads, [&](const auto& tails, Index first, Index count) {
    double* const p_value = out.p_value + first;
    double* const z_score = out.z_score + first;
    if (divide_all(null, Values(effect + first, count), Values(variance + first, count), first,
                   {out.stat + first, count})) {
      tails.fill(out.stat + first, first, count, p_value, z_score);
      return;
    }
    std::array<bool, kTaskPlaces> is_constant;  // kept, because p may overwrite the variances
    for (Index i = 0; i < count; ++i) {
      const Index at = first + i;
      const double df = null.df == nullptr ? null.df_common : null.df[at];
      const double scale =
          null.type == StatType::t ? std::sqrt(variance[at]) : variance[at] * null.rank;
      out.stat[at] = df > 0.0 ? statistic(effect[at], scale) : kNaN;
      is_constant[static_cast<std::size_t>(i)] = out.stat[at] == 0.0 && variance[at] == 0.0;
    }
    tails.fill(out.stat + first, first, count, p_value, z_score);
    for (Index i = 0; i < count; ++i) {
      if (is_constant[static_cast<std::size_t>(i)]) z_score[i] = 0.0;
    }
  });
}

}  // namespace groupglm
