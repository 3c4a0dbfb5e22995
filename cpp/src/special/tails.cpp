// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/special/tails.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "non_finite.hpp"
#include "special/lane_functions.hpp"
#include "special/tail_pieces.hpp"
#include "special/tail_table.hpp"

namespace groupglm {

namespace {

using detail::TailTable;

constexpr int kBatch = TailTable::kBatch;
// A tail below a quarter gives its z by its logarithm; otherwise z comes from the probability
// around the median.
constexpr double kQuarter = 0.25;
// Statistics within [1 / kLargest, kLargest] neither over- nor underflow when squared and scaled.
constexpr double kLogLargest = 300.0;
constexpr double kLargest = 1e130;

void require_df(double df, const char* name) {
  if (df > 0.0 && df < kInfinity) return;
  throw std::invalid_argument(
      std::string(name) + " is " + std::to_string(df) +
      "; degrees of freedom must be finite and above zero: check the number "
      "of images against the rank of the design matrix");
}

// Contrasts of one model have the same degrees of freedom, and on a surface or a table of regions
// their values take no longer than fitting the table. So the last few tables are kept, of at most
// 20 KB each. a and b: what tells one distribution from another.
template <typename Fit>
std::shared_ptr<const TailTable> recent_table(double a, double b, const Fit& fit) {
  struct Kept {
    double a = 0.0;
    double b = 0.0;
    std::shared_ptr<const TailTable> table;
  };
  static std::mutex mutex;
  static std::array<Kept, 8> kept;
  static std::size_t oldest = 0;
  {
    const std::scoped_lock lock(mutex);
    for (const Kept& each : kept) {
      if (each.table != nullptr && each.a == a && each.b == b) return each.table;
    }
  }
  // Unlocked: threads fit tables of different degrees of freedom at the same time.
  auto table = std::make_shared<const TailTable>(fit());
  const std::scoped_lock lock(mutex);
  kept[oldest] = {a, b, table};
  oldest = (oldest + 1) % kept.size();
  return table;
}

// sqrt(2 x) of a block, in a loop of its own: std::sqrt may set errno, and that branch would keep
// the rest of the loop from being vectorised.
void root_of_twice(const double* x, double* out) {
  for (int i = 0; i < kBatch; ++i) out[i] = std::sqrt(2.0 * x[i]);
}

// p and z of n values by the table, a block of kBatch at a time. The last block is padded, so that
// every value goes through the same instructions whatever n is. Values outside the table go through
// distribution.exact() afterwards. `roots` fills exponent and signed root of a block (the root is
// NaN for a value that the table cannot serve); `score_to_z` maps (root, score) to z.
template <typename Distribution, typename Roots, typename ScoreToZ>
void by_table(const Distribution& distribution, const TailTable& table, const double* in,
              std::ptrdiff_t n, double* p, double* z, const Roots& roots,
              const ScoreToZ& score_to_z) {
  alignas(64) double value[kBatch];
  alignas(64) double exponent[kBatch];
  alignas(64) double root[kBatch];
  alignas(64) double inside[kBatch];
  alignas(64) double scaled[kBatch];
  alignas(64) double score[kBatch];
  const double lower = -table.lower_limit();
  const double upper = table.upper_limit();
  for (std::ptrdiff_t start = 0; start < n; start += kBatch) {
    const std::ptrdiff_t count = std::min<std::ptrdiff_t>(kBatch, n - start);
    std::copy(in + start, in + start + count, value);
    std::fill(value + count, value + kBatch, 1.0);
    roots(value, exponent, root);
    for (int i = 0; i < kBatch; ++i) {
      inside[i] = detail::lane_select((root[i] < upper) & (root[i] > lower), root[i], 0.0);
    }
    table.evaluate(inside, p != nullptr ? scaled : nullptr, z != nullptr ? score : nullptr);
    if (p != nullptr) {
      for (int i = 0; i < kBatch; ++i) {
        const double tail = scaled[i] * detail::lane_exp_negative(exponent[i]);
        scaled[i] = detail::lane_select(root[i] < 0.0, 1.0 - tail, tail);
      }
      std::copy(scaled, scaled + count, p + start);
    }
    if (z != nullptr) {
      for (int i = 0; i < kBatch; ++i) score[i] = score_to_z(root[i], score[i]);
      std::copy(score, score + count, z + start);
    }
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (root[i] < upper && root[i] > lower) continue;
      const TailProbability exact = distribution.exact(value[i]);
      if (p != nullptr) p[start + i] = exact.p;
      if (z != nullptr) z[start + i] = exact.z;
    }
  }
}

// p and z of n values by the exact route.
template <typename Distribution>
void one_by_one(const Distribution& distribution, const double* in, std::ptrdiff_t n, double* p,
                double* z) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const TailProbability exact = distribution.exact(in[i]);
    if (p != nullptr) p[i] = exact.p;
    if (z != nullptr) z[i] = exact.z;
  }
}

}  // namespace

// P(T > t) = scaled exp(-exponent) for t >= 0, and central = P(0 < T < t).
struct StudentT::Tail {
  double scaled;
  double exponent;
  double central;

  double log() const { return std::log(scaled) - exponent; }
  double probability() const { return scaled * std::exp(-exponent); }
  double z() const {
    return 0.5 - central < kQuarter ? normal_isf_from_log(log())
                                    : detail::normal_from_central(central);
  }
};

StudentT::StudentT(double df) : StudentT(df, true) {}

StudentT::StudentT(double df, bool with_table) : df_(df) {
  require_df(df, "df");
  // 1 / B(a, b) at a = 1/2 from the peak of x^a (1 - x)^b.
  const double b = 0.5 * df;
  inverse_beta_ =
      detail::beta_peak(0.5, b) * std::sqrt(1.0 + df) * std::exp(b * std::log1p(1.0 / df));
  if (!with_table) return;
  const int n_pieces = df < 1.0 ? 0 : TailTable::pieces_within(std::sqrt(2.0 * kLogLargest * df));
  // No F distribution has 0 as half of its degrees of freedom.
  table_ = recent_table(0.0, df_, [&] {
    return TailTable(n_pieces, [this](double root) {
      const Tail tail = upper_tail(std::sqrt(df_ * std::expm1(root * root / df_)));
      return detail::TableValue{tail.scaled, tail.z() / root};
    });
  });
}

StudentT::Tail StudentT::upper_tail(double magnitude) const {
  const double b = 0.5 * df_;
  const double q = magnitude * magnitude / df_;
  Tail tail{};
  if (q <= 3.0 / (df_ + 2.0)) {
    // Around the median: P(0 < T < t), relatively accurate near t = 0.
    const double root_x = magnitude / std::sqrt(df_ + magnitude * magnitude);
    const double x = q / (1.0 + q);
    tail.exponent = b * std::log1p(q);
    tail.central = 0.5 * inverse_beta_ * root_x * std::exp(-tail.exponent) *
                   detail::beta_fraction(0.5, b, x, 1.0 / (1.0 + q));
    tail.scaled = (0.5 - tail.central) * std::exp(tail.exponent);
    return tail;
  }
  const bool large = magnitude > kLargest;
  tail.exponent = large ? b * (2.0 * std::log(magnitude) - std::log(df_)) : b * std::log1p(q);
  const double y = 1.0 / (1.0 + q);
  const double x = large ? 1.0 : q * y;
  tail.scaled = 0.5 * inverse_beta_ * std::sqrt(x) * detail::beta_fraction(b, 0.5, y, x);
  tail.central = 0.5 - tail.probability();
  return tail;
}

double StudentT::log_sf(double t) const {
  if (std::isnan(t)) return t;
  if (std::isinf(t)) return t > 0.0 ? -kInfinity : 0.0;
  const Tail tail = upper_tail(std::fabs(t));
  return t < 0.0 ? std::log1p(-tail.probability()) : tail.log();
}

TailProbability StudentT::exact(double t) const {
  if (std::isnan(t)) return {t, t};
  if (std::isinf(t)) return {t > 0.0 ? 0.0 : 1.0, t};
  const Tail tail = upper_tail(std::fabs(t));
  const double p = tail.probability();
  return {t < 0.0 ? 1.0 - p : p, std::copysign(tail.z(), t)};
}

void StudentT::p_and_z(const double* t, std::ptrdiff_t n, double* p, double* z) const {
  if (table_ == nullptr) {
    one_by_one(*this, t, n, p, z);
    return;
  }
  const double inverse_df = 1.0 / df_;
  const double half_df = 0.5 * df_;
  const auto roots = [=](const double* value, double* exponent, double* root) {
    for (int i = 0; i < kBatch; ++i) {
      const double q = value[i] * value[i] * inverse_df;
      exponent[i] = half_df * detail::lane_log1p(q, 1.0 + q);
    }
    root_of_twice(exponent, root);
    for (int i = 0; i < kBatch; ++i) {
      // The square of a tiny t loses digits to underflow, but w = t to full precision there. The
      // square of a huge t overflows.
      const double magnitude = std::fabs(value[i]);
      const double w = detail::lane_select(magnitude < 1.0 / kLargest, magnitude, root[i]);
      root[i] = std::copysign(detail::lane_select(magnitude < kLargest, w, kNaN), value[i]);
    }
  };
  by_table(*this, *table_, t, n, p, z, roots,
           [](double root, double ratio) { return root * ratio; });
}

// Both tails at f: p and cdf, and the same divided by exp(-exponent) as upper and lower.
struct FisherF::Tails {
  double exponent;
  double upper;
  double lower;
  double p;
  double cdf;

  // A tail that is not small is 1 minus the other one, which keeps its logarithm accurate.
  double log_upper() const {
    return cdf < kQuarter ? std::log1p(-cdf) : std::log(upper) - exponent;
  }
  double log_lower() const { return p < kQuarter ? std::log1p(-p) : std::log(lower) - exponent; }
  double z() const {
    if (p < kQuarter) return normal_isf_from_log(log_upper());
    if (cdf < kQuarter) return -normal_isf_from_log(log_lower());
    return detail::normal_from_central(0.5 * (cdf - p));
  }
};

FisherF::FisherF(double df_numerator, double df_denominator)
    : FisherF(df_numerator, df_denominator, true) {}

FisherF::FisherF(double df_numerator, double df_denominator, bool with_table)
    : a_(0.5 * df_numerator), b_(0.5 * df_denominator) {
  require_df(df_numerator, "df_numerator");
  require_df(df_denominator, "df_denominator");
  constant_ = detail::beta_peak(a_, b_);
  if (!with_table) return;
  table_ = recent_table(a_, b_, [&] { return fitted_table(); });
}

TailTable FisherF::fitted_table() const {
  const bool tabulate = std::min(a_, b_) >= 0.5;
  const int n_upper = tabulate ? TailTable::pieces_within(signed_root(kLogLargest)) : 0;
  const int n_lower = tabulate ? TailTable::pieces_within(-signed_root(-kLogLargest)) : 0;
  // The search of each root starts where the last one ended, or at the mean when the side changes.
  double log_f = 0.0;
  double last_root = 0.0;
  return {n_upper, n_lower, [&](double root) {
            if (root * last_root < 0.0) log_f = 0.0;
            last_root = root;
            log_f = signed_root_inverse(root, log_f);
            const Tails value = tails(std::exp(log_f));
            return detail::TableValue{root < 0.0 ? value.lower : value.upper,
                                      value.z() - signed_root(log_f)};
          }};
}

// E from two logarithms that are both small around f = 1, so that their sum loses little.
double FisherF::exponent(double f) const {
  const double v = (f + b_ / a_) * (a_ / (a_ + b_));
  const double u = a_ / (a_ + b_) * (f - 1.0);
  const double u_over_f = -b_ / (a_ + b_) * (f - 1.0) / f;
  const double log_v = std::fabs(u) < 0.5 ? std::log1p(u) : std::log(v);
  double log_v_over_f = std::log(v) - std::log(f);
  if (std::fabs(u_over_f) < 0.5) {
    log_v_over_f = std::log1p(u_over_f);
  } else if (f > 1.0 / kLargest) {
    log_v_over_f = std::log(v / f);
  }
  return std::max(0.0, b_ * log_v + a_ * log_v_over_f);
}

double FisherF::signed_root(double log_f) const {
  return std::copysign(std::sqrt(2.0 * exponent(std::exp(log_f))), log_f);
}

// Newton's method for w(log f) = root, with w dw / dlog f = dE / dlog f = (a + b) x - a.
double FisherF::signed_root_inverse(double root, double log_f_start) const {
  double log_f = log_f_start;
  for (int step = 0; step < 60; ++step) {
    const double w = signed_root(log_f);
    const double slope_at_mean = std::sqrt(a_ / (a_ + b_)) * std::sqrt(b_);
    const double slope =
        w == 0.0 ? slope_at_mean : a_ * b_ * std::expm1(log_f) / (a_ * std::exp(log_f) + b_) / w;
    const double change = (root - w) / slope;
    log_f += change;
    if (std::fabs(change) <= 1e-13 * std::fabs(log_f)) break;
  }
  return log_f;
}

FisherF::Tails FisherF::tails(double f) const {
  const double ratio = b_ / a_;
  const double x = f / (f + ratio);
  const double y = ratio / (f + ratio);
  Tails result{};
  result.exponent = exponent(f);
  const double scale = std::exp(-result.exponent);
  if (x * (a_ + b_ + 2.0) < a_ + 1.0) {
    result.lower = constant_ * detail::beta_fraction(a_, b_, x, y);
    result.cdf = result.lower * scale;
    result.p = 1.0 - result.cdf;
    result.upper = result.p / scale;
  } else {
    result.upper = constant_ * detail::beta_fraction(b_, a_, y, x);
    result.p = result.upper * scale;
    result.cdf = 1.0 - result.p;
    result.lower = result.cdf / scale;
  }
  return result;
}

double FisherF::log_sf(double f) const {
  if (!(f >= 0.0)) return kNaN;
  if (f == 0.0) return 0.0;
  return f == kInfinity ? -kInfinity : tails(f).log_upper();
}

double FisherF::log_cdf(double f) const {
  if (!(f >= 0.0)) return kNaN;
  if (f == 0.0) return -kInfinity;
  return f == kInfinity ? 0.0 : tails(f).log_lower();
}

TailProbability FisherF::exact(double f) const {
  if (!(f >= 0.0)) return {kNaN, kNaN};
  if (f == 0.0) return {1.0, -kInfinity};
  if (f == kInfinity) return {0.0, kInfinity};
  const Tails value = tails(f);
  return {value.p, value.z()};
}

void FisherF::p_and_z(const double* f, std::ptrdiff_t n, double* p, double* z) const {
  if (table_ == nullptr) {
    one_by_one(*this, f, n, p, z);
    return;
  }
  const double a = a_;
  const double b = b_;
  const double ratio = b / a;
  const double a_share = a / (a + b);
  const double b_share = b / (a + b);
  const auto roots = [=](const double* value, double* exponent, double* root) {
    for (int i = 0; i < kBatch; ++i) {
      const double inverse = 1.0 / value[i];
      const double excess = value[i] - 1.0;
      const double v = (value[i] + ratio) * a_share;
      const double log_v = detail::lane_log1p(a_share * excess, v);
      const double log_v_over_f = detail::lane_log1p(-b_share * excess * inverse, v * inverse);
      const double both = b * log_v + a * log_v_over_f;
      exponent[i] = detail::lane_select(both > 0.0, both, 0.0);
    }
    root_of_twice(exponent, root);
    for (int i = 0; i < kBatch; ++i) {
      const bool usable = (value[i] < kLargest) & (value[i] > 1.0 / kLargest);
      const double w = std::copysign(root[i], value[i] - 1.0);
      root[i] = detail::lane_select(usable, w, kNaN);
    }
  };
  by_table(*this, *table_, f, n, p, z, roots,
           [](double root, double excess) { return root + excess; });
}

}  // namespace groupglm
