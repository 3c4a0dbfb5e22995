// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <utility>

#include "groupglm/models/ols_state.hpp"
#include "models/givens.hpp"

namespace groupglm {

namespace {

// Above the size of the exponent of any double, subnormal ones too, and of any norm of doubles.
constexpr int kLargestExponent = 1200;

void unpack_factor(const double* packed, MatrixXd& r) {
  const Index q = r.rows();
  r.setZero();
  for (Index k = 0; k < q; ++k) {
    for (Index j = k; j < q; ++j) r(k, j) = *packed++;
  }
}

}  // namespace

Index OlsParts::n_observations(Index voxel) const {
  const std::int32_t at = slot(voxel);
  if (at == MissingVoxels::kComplete) return n_rows;
  return at == MissingVoxels::kAbsent ? 0 : missing.n_rows[static_cast<std::size_t>(at)];
}

bool OlsParts::is_consistent() const {
  const Index q = w.rows();
  const std::size_t slots = missing.n_rows.size();
  const auto entries = static_cast<std::size_t>(missing.slot.empty() && slots == 0 ? 0 : w.cols());
  const auto is_exponent = [](std::int16_t e) { return std::abs(e) <= kLargestExponent; };
  if ((has_scales() && static_cast<Index>(exponent.size()) != w.cols()) ||
      !std::all_of(exponent.begin(), exponent.end(), is_exponent)) {
    return false;
  }
  if (n_rows < 0 || r.rows() != q || r.cols() != q || rss.size() != w.cols() ||
      missing.factors.size() != slots * packed_size(q) || missing.slot.size() != entries) {
    return false;
  }
  std::vector<bool> taken(slots, false);
  for (const std::int32_t at : missing.slot) {
    if (at < MissingVoxels::kAbsent || at >= static_cast<std::int64_t>(slots)) return false;
    if (at < 0) continue;
    // Two threads would update a slot of two voxels at the same time.
    if (taken[static_cast<std::size_t>(at)]) return false;
    taken[static_cast<std::size_t>(at)] = true;
  }
  return std::all_of(missing.n_rows.begin(), missing.n_rows.end(),
                     [](std::int32_t rows) { return rows >= 0; });
}

MatrixXd OlsParts::factor_at(Index voxel) const {
  const std::int32_t at = slot(voxel);
  if (at == MissingVoxels::kComplete) return r;
  MatrixXd own = MatrixXd::Zero(n_working(), n_working());
  if (at >= 0) {
    unpack_factor(missing.factors.data() + static_cast<std::size_t>(at) * packed_size(n_working()),
                  own);
  }
  return own;
}

OlsState OlsState::select(const std::vector<Index>& voxels) const {
  const auto n = static_cast<Index>(voxels.size());
  OlsParts out;
  out.n_rows = parts_.n_rows;
  out.r = parts_.r;
  out.w.resize(n_working(), n);
  out.rss.resize(n);
  for (Index k = 0; k < n_working(); ++k) {
    for (Index v = 0; v < n; ++v) {
      out.w(k, v) = parts_.w(k, voxels[static_cast<std::size_t>(v)]);
    }
  }
  const std::size_t size = packed_size(n_working());
  bool complete = true;
  std::vector<std::int32_t> slots(voxels.size(), MissingVoxels::kComplete);
  for (std::size_t v = 0; v < voxels.size(); ++v) {
    out.rss[static_cast<Index>(v)] = parts_.rss[voxels[v]];
    const std::int32_t old = slot(voxels[v]);
    complete = complete && old == MissingVoxels::kComplete;
    slots[v] = old;
    if (old < 0) continue;
    slots[v] = static_cast<std::int32_t>(out.missing.n_rows.size());
    const double* factor = parts_.missing.factors.data() + static_cast<std::size_t>(old) * size;
    out.missing.factors.insert(out.missing.factors.end(), factor, factor + size);
    out.missing.n_rows.push_back(parts_.missing.n_rows[static_cast<std::size_t>(old)]);
  }
  if (!complete) out.missing.slot = std::move(slots);
  if (has_scales()) {
    for (const Index voxel : voxels)
      out.exponent.push_back(parts_.exponent[static_cast<std::size_t>(voxel)]);
  }
  return OlsState(std::move(out));
}

}  // namespace groupglm
