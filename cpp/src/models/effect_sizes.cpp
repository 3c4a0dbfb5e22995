// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/effect_sizes.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "groupglm/parallel.hpp"
#include "groupglm/special/noncentral.hpp"
#include "groupglm/special/smooth_values.hpp"
#include "non_finite.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

constexpr double kLargestStatistic = 1e140;  // squares do not overflow
constexpr double kLargestDf = 1e9;           // nothing changes beyond
constexpr Index kTaskPlaces = 4096;
constexpr Index kFewPlaces = 256;  // of slow ones

// Calls body(i) for all places.
template <typename Body>
void for_places(Index n, int n_threads, const Body& body) {
  parallel_for((n + kTaskPlaces - 1) / kTaskPlaces, n_threads, [&](Index task, int) {
    const Index last = std::min(n, (task + 1) * kTaskPlaces);
    for (Index i = task * kTaskPlaces; i < last; ++i) body(i);
  });
}

// To rounding of its absolute size, which is what tables need; std::asinh takes twice the time.
double asinh_of(double value) {
  const double size = std::fabs(value);
  return std::copysign(std::log(size + std::sqrt(1.0 + size * size)), value);
}

double log_df(double df) { return df >= kLeastDf ? std::log(std::min(df, kLargestDf)) : kNaN; }

// The logarithms of numbers of places; empty if one serves all.
std::vector<double> logarithms(const PlaceNumbers& numbers, Index n, int n_threads) {
  std::vector<double> found;
  if (numbers.by_place == nullptr) return found;
  found.resize(static_cast<std::size_t>(n));
  for_places(n, n_threads,
             [&](Index i) { found[static_cast<std::size_t>(i)] = log_df(numbers.by_place[i]); });
  return found;
}

const double* data_or_null(const std::vector<double>& values) {
  return values.empty() ? nullptr : values.data();
}

// The noncentralities of F that have one probability, into `out`.
void f_bound(const double* f, const std::vector<double>& log_f, Index n, double rank,
             const PlaceNumbers& df, const std::vector<double>& w, double probability, double* out,
             int n_threads) {
  // At and below the quantile of the central F the noncentrality is 0, with a kink, so that tables
  // begin there.
  const auto log_quantile = [=](double, double log_freedom) {
    return std::array<double, 2>{std::log(f_quantile(rank, std::exp(log_freedom), probability)),
                                 kNaN};
  };
  const double w_common = log_df(df.common);
  std::vector<double> v(static_cast<std::size_t>(n), 0.0);
  if (w.empty()) {
    std::fill(v.begin(), v.end(), std::isnan(w_common) ? kNaN : log_quantile(0.0, w_common)[0]);
  } else {
    smooth_values(v.data(), w.data(), w_common, n, log_quantile, v.data(), nullptr, n_threads);
  }
  for_places(n, n_threads, [&](Index i) {
    double& own = v[static_cast<std::size_t>(i)];
    const double above = log_f[static_cast<std::size_t>(i)] - own;
    out[i] = std::isnan(above) ? kNaN : 0.0;
    own = above > 0.0 ? above : kNaN;
  });
  // A noncentrality is about rank f, and grows with it.
  const auto scaled = [=](double above, double log_freedom) {
    const double freedom = std::exp(log_freedom);
    const double value = f_quantile(rank, freedom, probability) * std::exp(above);
    return std::array<double, 2>{
        f_noncentrality(value, rank, freedom, probability) / (1.0 + rank * value), kNaN};
  };
  std::vector<double> ratio(static_cast<std::size_t>(n));
  smooth_values(v.data(), data_or_null(w), w_common, n, scaled, ratio.data(), nullptr, n_threads);
  for_places(n, n_threads, [&](Index i) {
    const double own = ratio[static_cast<std::size_t>(i)];
    if (!std::isnan(own)) out[i] = std::max(0.0, own) * (1.0 + rank * f[i]);
  });
}

}  // namespace

void t_noncentralities(const double* t, Index n, const PlaceNumbers& df, double confidence,
                       double* low, double* high, int n_threads) {
  const double below = 0.5 * (1.0 - confidence);
  const double above = 0.5 + 0.5 * confidence;
  const std::vector<double> w = logarithms(df, n, n_threads);
  std::vector<double> v(static_cast<std::size_t>(n));
  for_places(n, n_threads, [&](Index i) {
    v[static_cast<std::size_t>(i)] = std::fabs(t[i]) <= kLargestStatistic ? asinh_of(t[i]) : kNaN;
  });
  // A noncentrality is about t, with an error of about 1.
  const auto scaled = [=](double root, double log_freedom) {
    const double value = std::sinh(root);
    const double unit = std::cosh(root);
    const double freedom = std::exp(log_freedom);
    return std::array<double, 2>{t_noncentrality(value, freedom, above) / unit,
                                 t_noncentrality(value, freedom, below) / unit};
  };
  smooth_values(v.data(), data_or_null(w), log_df(df.common), n, scaled, low, high, n_threads);
  for_places(n, n_threads, [&](Index i) {
    const double unit = std::sqrt(1.0 + t[i] * t[i]);
    low[i] *= unit;
    high[i] *= unit;
  });
}

void f_noncentralities(const double* f, Index n, double rank, const PlaceNumbers& df,
                       double confidence, double* low, double* high, int n_threads) {
  const std::vector<double> w = logarithms(df, n, n_threads);
  std::vector<double> log_f(static_cast<std::size_t>(n));
  for_places(n, n_threads, [&](Index i) {
    const bool usable = f[i] >= 0.0 && f[i] <= kLargestStatistic;
    log_f[static_cast<std::size_t>(i)] = usable ? std::log(f[i]) : kNaN;
  });
  f_bound(f, log_f, n, rank, df, w, 0.5 + 0.5 * confidence, low, n_threads);
  f_bound(f, log_f, n, rank, df, w, 0.5 * (1.0 - confidence), high, n_threads);
}

void noncentral_t_probabilities(const double* t, const double* noncentrality, Index n,
                                const PlaceNumbers& df, double* out, int n_threads) {
  parallel_for((n + kFewPlaces - 1) / kFewPlaces, n_threads, [&](Index task, int) {
    const Index last = std::min(n, (task + 1) * kFewPlaces);
    for (Index i = task * kFewPlaces; i < last; ++i) {
      out[i] = noncentral_t_cdf(t[i], df.at(i), noncentrality[i]);
    }
  });
}

void log_bayes_factors(const double* f, Index n, double rank, const PlaceNumbers& df,
                       const PlaceNumbers& scale, double* out, int n_threads) {
  // Places by their degrees of freedom, which are whole numbers wherever these Bayes factors are
  // defined: few of them are different.
  std::vector<double> distinct;
  for (Index i = 0; i < (df.by_place == nullptr ? 1 : n); ++i) {
    const auto place = std::lower_bound(distinct.begin(), distinct.end(), df.at(i));
    if (!(df.at(i) >= kLeastDf) || !std::isfinite(df.at(i))) continue;
    if (place == distinct.end() || *place != df.at(i)) distinct.insert(place, df.at(i));
  }
  std::fill(out, out + n, kNaN);
  std::vector<Index> places;
  std::vector<double> v;
  std::vector<double> w;
  std::vector<double> found;
  for (const double freedom : distinct) {
    places.clear();
    for (Index i = 0; i < n; ++i) {
      if (df.at(i) == freedom) places.push_back(i);
    }
    const auto count = static_cast<Index>(places.size());
    v.resize(places.size());
    w.resize(scale.by_place == nullptr ? 0 : places.size());
    found.resize(places.size());
    for_places(count, n_threads, [&](Index k) {
      const auto at = static_cast<std::size_t>(k);
      const double value = f[places[at]];
      const bool usable = value >= 0.0 && value <= kLargestStatistic;
      v[at] = usable ? asinh_of(std::sqrt(rank * value)) : kNaN;
      if (scale.by_place == nullptr) return;
      const double own = scale.by_place[places[at]];
      w[at] = own > 0.0 && std::isfinite(own) ? std::log(own) : kNaN;
    });
    const auto exact = [=](double root, double log_scale) {
      const double size = std::sinh(root);
      return std::array<double, 2>{
          log_bayes_factor(size * size / freedom, rank, freedom, std::exp(log_scale)), kNaN};
    };
    const double w_common = scale.common > 0.0 ? std::log(scale.common) : kNaN;
    smooth_values(v.data(), data_or_null(w), w_common, count, exact, found.data(), nullptr,
                  n_threads);
    for_places(count, n_threads, [&](Index k) {
      out[places[static_cast<std::size_t>(k)]] = found[static_cast<std::size_t>(k)];
    });
  }
}

}  // namespace groupglm
