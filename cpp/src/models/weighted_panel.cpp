// SPDX-License-Identifier: BSD-3-Clause
#include "models/weighted_panel.hpp"

namespace groupglm {

namespace {

using detail::lane_select;

// Copies one row's values at the panel, as doubles.
template <typename Scalar>
void copy_row(const DataView<Scalar>& data, Index row, Index first, Index count, double* out) {
  const Scalar* from = data.data + row * data.row_stride + first * data.voxel_stride;
  if (data.voxel_stride == 1 && count == kPanel) {
#if defined(__GNUC__)
    // The same row at the next panel: rows lie far apart, where the hardware does not prefetch.
    const auto* next = reinterpret_cast<const char*>(from + kPanel);
    constexpr Index kLines = kPanel * static_cast<Index>(sizeof(Scalar)) / 64;
    for (Index line = 0; line < kLines; ++line) __builtin_prefetch(next + line * 64 + 63, 0, 2);
#endif
    for (Index v = 0; v < kPanel; ++v) out[v] = static_cast<double>(from[v]);
    return;
  }
  for (Index v = 0; v < count; ++v) out[v] = static_cast<double>(from[v * data.voxel_stride]);
  std::fill(out + count, out + kPanel, kNaN);
}

// Makes an image missing where its covariate is, which becomes zero there. Returns false if a
// covariate is infinite.
bool take_covariate(double* __restrict value, double* __restrict z) {
  std::uint64_t n_infinite = 0;
  for (Index v = 0; v < kPanel; ++v) {
    const bool has_z = z[v] == z[v];
    n_infinite += static_cast<std::uint64_t>(std::abs(z[v]) == kInfinity);
    value[v] = lane_select(has_z, value[v], kNaN);
    z[v] = lane_select(has_z, z[v], 0.0);
  }
  return n_infinite == 0;
}

}  // namespace

void WeightedPanel::load(const WeightedParts& state, Index first, Index count) {
  const auto load_rows = [&](const auto& from, double* to) {
    for (Index k = 0; k < from.rows(); ++k, to += kPanel) {
      const auto* row = from.data() + k * from.cols() + first;
      for (Index v = 0; v < count; ++v) to[v] = static_cast<double>(row[v]);
      std::fill(to + count, to + kPanel, 0.0);
    }
  };
  load_rows(state.slots, slots_.data());
  load_rows(state.sums, sums_.data());
  load_rows(state.counts, counted(0));
}

void WeightedPanel::store(Index first, Index count, WeightedParts& state) const {
  const auto store_rows = [&](const double* from, auto& to) {
    using Number = typename std::decay_t<decltype(to)>::Scalar;
    for (Index k = 0; k < to.rows(); ++k, from += kPanel) {
      Number* row = to.data() + k * to.cols() + first;
      for (Index v = 0; v < count; ++v) row[v] = static_cast<Number>(from[v]);
    }
  };
  store_rows(slots_.data(), state.slots);
  store_rows(sums_.data(), state.sums);
  store_rows(sums_.data() + kWeightedSums * kPanel, state.counts);
}

void WeightedPanel::set_tau2(const double* tau2, Index count) {
  tau2_.setZero();
  is_lost_.fill(false);
  any_lost_ = false;
  if (tau2 == nullptr) return;
  for (Index v = 0; v < count; ++v) {
    const bool is_lost = std::isnan(tau2[v]);
    tau2_[v] = is_lost ? 0.0 : tau2[v];
    is_lost_[static_cast<std::size_t>(v)] = is_lost;
    any_lost_ = any_lost_ || is_lost;
  }
}

// Counts why voxels lack the row that comes in.
void WeightedPanel::count_missing(bool as_variances) {
  for (Index v = 0; v < kPanel; ++v) {
    if (std::isnan(value_[v]) || given_[v] > 0.0) continue;
    const bool is_zero = given_[v] == 0.0;
    if (given_[v] < 0.0) {
      counted(kNegative)[v] += 1.0;
    } else if (is_zero && as_variances && value_[v] == 0.0) {
      counted(kOutside)[v] += 1.0;
    } else if (!is_zero || as_variances) {
      counted(kUnusable)[v] += 1.0;
    }
  }
}

template <typename Scalar>
void WeightedPanel::copy_rows(const WeightedRows<Scalar>& rows, Index row, Index first,
                              Index count) {
  copy_row(rows.y, row, first, count, value_.data());
  if (rows.w.data != nullptr) {
    copy_row(rows.w, row, first, count, given_.data());
  } else {
    given_.setOnes();
  }
}

template <typename Scalar>
bool WeightedPanel::add(const WeightedRows<Scalar>& rows, Index row, Index n_rows, Index first,
                        Index count, Index image, const double* x) {
  const auto number = static_cast<double>(image);
  if (n_own_ > 0 || any_lost_ || rows.w.data == nullptr || rows.y.voxel_stride != 1 ||
      rows.w.voxel_stride != 1 || count < kPanel) {
    bool finite = true;
    for (Index r = 0; r < n_rows; ++r) {
      finite &= add_copy(rows, row + r, first, count, number + static_cast<double>(r),
                         x + r * (at_.m - n_own_));
    }
    return finite;
  }
  if (waiting_ + n_rows > kWeighedRows) flush();
  WeighedRows<Scalar> some;
  some.value = rows.y.data + row * rows.y.row_stride + first;
  some.given = rows.w.data + row * rows.w.row_stride + first;
  some.value_stride = rows.y.row_stride;
  some.given_stride = rows.w.row_stride;
  some.n_rows = n_rows;
  some.tau2 = tau2_.data();
  some.as_variances = rows.as_variances;
  some.number = number;
  some.has_next = true;
  std::array<RowPresence, kTogether> presence;
  inner_loops().weigh(some, sums_.data(), y(), w(), presence.data());
  const double* y_weighed = y();
  const double* w_weighed = w();
  bool finite = true;
  for (Index r = 0; r < n_rows; ++r, y_weighed += kPanel, w_weighed += kPanel, x += at_.m) {
    const RowPresence& own = presence[static_cast<std::size_t>(r)];
    finite &= !own.infinite;
    if (!own.all) {
      copy_rows(rows, row + r, first, count);
      count_missing(rows.as_variances);
    }
    if (!own.any) continue;
    if (y_weighed != y()) {
      std::copy_n(y_weighed, kPanel, y());
      std::copy_n(w_weighed, kPanel, w());
    }
    std::copy_n(x, at_.m, x_.data() + waiting_ * at_.m);
    ++waiting_;
  }
  return finite;
}

// Takes a row that cannot be weighed where it lies in memory.
template <typename Scalar>
bool WeightedPanel::add_copy(const WeightedRows<Scalar>& rows, Index row, Index first, Index count,
                             double number, const double* x) {
  if (waiting_ == kWeighedRows) flush();
  copy_rows(rows, row, first, count);
  double* x_row = x_.data() + waiting_ * at_.m * (n_own_ > 0 ? kPanel : 1);
  bool finite = true;
  for (Index j = 0; j < n_own_; ++j) {
    double* __restrict z = x_row + (n_shared_ + j) * kPanel;
    copy_row(rows.z[static_cast<std::size_t>(j)], row, first, count, z);
    finite &= take_covariate(value_.data(), z);
  }
  for (Index v = 0; v < kPanel && any_lost_; ++v) {
    // What has no weight by itself stays, so that it is counted.
    if (is_lost_[static_cast<std::size_t>(v)] && given_[v] > 0.0) value_[v] = kNaN;
  }
  WeighedRows<double> one;
  one.value = value_.data();
  one.given = given_.data();
  one.tau2 = tau2_.data();
  one.as_variances = rows.as_variances;
  one.number = number;
  RowPresence presence{};
  inner_loops().weigh(one, sums_.data(), y(), w(), &presence);
  finite &= !presence.infinite;
  if (!presence.all) count_missing(rows.as_variances);
  if (!presence.any) return finite;
  if (n_own_ == 0) {
    std::copy_n(x, at_.m, x_row);
  } else {
    for (Index j = 0; j < at_.m - n_own_; ++j) {
      const Index column = j < n_shared_ ? j : j + n_own_;
      std::fill_n(x_row + column * kPanel, kPanel, x[j]);
    }
  }
  ++waiting_;
  return finite;
}

void WeightedPanel::flush() {
  inner_loops().rotate({x_.data(), y_.data(), w_.data(), waiting_, at_.m, n_own_ > 0},
                       slots_.data(), scratch_.data());
  waiting_ = 0;
}

void WeightedPanel::add_state(const WeightedParts& other, Index first, Index count,
                              Index n_rows_before) {
  VectorXd x(at_.m * kPanel);
  VectorXd value(kPanel);
  VectorXd weight(kPanel);
  const auto copy = [&](Index k, double* out) {
    std::copy_n(&other.slots(k, first), count, out);
    std::fill_n(out + count, kPanel - count, 0.0);
  };
  for (Index k = 0; k < at_.m; ++k) {
    x.setZero();
    x.segment(k * kPanel, kPanel).setOnes();
    for (Index j = k + 1; j < at_.m; ++j) copy(at_.r(k, j), x.data() + j * kPanel);
    copy(at_.theta(k), value.data());
    copy(at_.d(k), weight.data());
    inner_loops().rotate({x.data(), value.data(), weight.data(), 1, at_.m, true}, slots_.data(),
                         scratch_.data());
  }
  for (Index v = 0; v < count; ++v) {
    const Index voxel = first + v;
    slot(at_.rss())[v] += other.slots(at_.rss(), voxel);
    sum(kTotal)[v] += other.sums(kTotal, voxel);
    sum(kWeightSum)[v] += other.sums(kWeightSum, voxel);
    if (other.sums(kWeightMax, voxel) > sum(kWeightMax)[v]) {
      sum(kWeightMax)[v] = other.sums(kWeightMax, voxel);
      counted(kHeaviest)[v] = static_cast<double>(n_rows_before + other.counts(kHeaviest, voxel));
    }
    sum(kWeightMin)[v] = std::min(sum(kWeightMin)[v], other.sums(kWeightMin, voxel));
    for (const Index k : {kPresent, kOutside, kUnusable, kNegative}) {
      counted(k)[v] += other.counts(k, voxel);
    }
  }
}

template bool WeightedPanel::add(const WeightedRows<float>&, Index, Index, Index, Index, Index,
                                 const double*);
template bool WeightedPanel::add(const WeightedRows<double>&, Index, Index, Index, Index, Index,
                                 const double*);

}  // namespace groupglm
