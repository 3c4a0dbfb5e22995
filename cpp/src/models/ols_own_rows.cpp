// SPDX-License-Identifier: BSD-3-Clause
// Rows of single voxels, and voxels of zeros, added to a state.
#include <algorithm>
#include <cmath>

#include "groupglm/models/ols_state.hpp"
#include "models/givens.hpp"
#include "models/voxel_scales.hpp"

namespace groupglm {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Brings a voxel's numbers to the exponent that they need together with a further value.
void rescale(OlsParts& state, Index voxel, double value) {
  std::int16_t& held = state.exponent[at(voxel)];
  const double size = largest_of_state(state, voxel);
  const double added = std::abs(value);
  if (!(size > 0.0) && !(added > 0.0)) return;
  int top = std::numeric_limits<int>::min();
  if (size > 0.0) top = std::ilogb(size) + held;
  if (added > 0.0) top = std::max(top, std::ilogb(added));
  const int exponent = scale_of_exponent(top);
  if (exponent == held) return;
  const int shift = held - exponent;
  for (double& number : state.w.col(voxel)) number = std::ldexp(number, shift);
  state.rss[voxel] = std::ldexp(state.rss[voxel], 2 * shift);
  held = static_cast<std::int16_t>(exponent);
}

}  // namespace

void OlsState::start_own(const std::vector<Index>& voxels, bool extreme) {
  if (voxels.empty()) return;
  MissingVoxels& missing = parts_.missing;
  if (missing.slot.empty()) missing.slot.assign(at(n_voxels()), MissingVoxels::kComplete);
  const auto is_new = [&](Index voxel) { return missing.slot[at(voxel)] < 0; };
  const std::size_t size = packed_size(n_working());
  const auto added = static_cast<std::size_t>(std::count_if(voxels.begin(), voxels.end(), is_new));
  // Exactly: growth by halves would take half as much again of the largest array of the state.
  missing.n_rows.reserve(missing.n_rows.size() + added);
  missing.factors.reserve(missing.factors.size() + added * size);
  for (const Index voxel : voxels) {
    if (!is_new(voxel)) continue;
    const bool had_rows = missing.slot[at(voxel)] == MissingVoxels::kComplete;
    missing.slot[at(voxel)] = static_cast<std::int32_t>(missing.n_rows.size());
    missing.n_rows.push_back(had_rows ? static_cast<std::int32_t>(n_rows()) : 0);
    for (Index k = 0; k < n_working(); ++k) {
      for (Index j = k; j < n_working(); ++j) {
        missing.factors.push_back(had_rows ? parts_.r(k, j) : 0.0);
      }
    }
  }
  if (extreme) parts_.exponent.resize(at(n_voxels()), 0);
}

void OlsState::add_own(Index voxel, double* x, double y) {
  const std::size_t slot = at(parts_.slot(voxel));
  if (has_scales()) {
    rescale(parts_, voxel, y);
    y = std::ldexp(y, -exponent_of(voxel));
  }
  double* factor = parts_.missing.factors.data() + slot * packed_size(n_working());
  rotate_row_in(n_working(), factor, parts_.w.data() + voxel, n_voxels(), parts_.rss[voxel], x, y);
  ++parts_.missing.n_rows[slot];
}

OlsState OlsState::spread(const std::vector<Index>& places, Index n_voxels) const {
  OlsParts out;
  out.n_rows = parts_.n_rows;
  out.r = parts_.r;
  out.w = RowMatrix::Zero(n_working(), n_voxels);
  out.rss = VectorXd::Zero(n_voxels);
  out.missing.factors = parts_.missing.factors;
  out.missing.n_rows = parts_.missing.n_rows;
  if (has_missing()) out.missing.slot.assign(at(n_voxels), MissingVoxels::kComplete);
  if (has_scales()) out.exponent.assign(at(n_voxels), 0);
  for (std::size_t v = 0; v < places.size(); ++v) {
    const auto from = static_cast<Index>(v);
    out.w.col(places[v]) = parts_.w.col(from);
    out.rss[places[v]] = parts_.rss[from];
    if (has_missing()) out.missing.slot[at(places[v])] = parts_.missing.slot[v];
    if (has_scales()) out.exponent[at(places[v])] = parts_.exponent[v];
  }
  return OlsState(std::move(out));
}

}  // namespace groupglm
