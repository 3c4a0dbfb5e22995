// SPDX-License-Identifier: BSD-3-Clause
// One tile of voxels, updated block of rows by block of rows (see models/ols_state.hpp).
//
// A tile is a few panels side by side: rows are read in runs of a tile and processed panel by
// panel.
#pragma once

#include <algorithm>
#include <vector>

#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

// A panel of a block of rows (32 KB) fits the first-level cache, a tile the second-level cache.
inline constexpr Index kBlockRows = 128;
inline constexpr Index kTilePanels = 8;
inline constexpr Index kTile = kTilePanels * kPanel;

// Below this share of the total, rss = total - |w|^2 has lost four digits or more. The residuals
// are then formed one by one instead. Relative to the spread of the shifted values, rounding stays
// below 1e-11 in both cases.
inline constexpr double kResidualGuard = 1e-4;

// The QR of [R; rows] for one block of rows; computed once for all voxels.
struct Block {
  Index first = 0;
  Index n_new = 0;
  Index n_prior = 0;  // q rows of R above the new ones, or none at the start
  RowMatrix q;        // (n_prior + n_new, q)
  MatrixXd r;         // (q, q)
  VectorXd ones_in;   // R_old a: the constant column in the prior rows' coordinates
  VectorXd ones_out;  // R a

  Index n_rows() const { return n_prior + n_new; }
  bool shifted() const { return ones_out.size() > 0; }
};

inline std::vector<Block> plan_blocks(const Eigen::Ref<const RowMatrix>& rows,
                                      const MatrixXd& r_start, bool has_prior,
                                      const VectorXd* intercept) {
  const Index q = rows.cols();
  std::vector<Block> blocks;
  MatrixXd r = r_start;
  for (Index first = 0; first < rows.rows(); first += kBlockRows) {
    Block block;
    block.first = first;
    block.n_new = std::min(kBlockRows, rows.rows() - first);
    block.n_prior = (has_prior || first > 0 || block.n_new < q) ? q : 0;
    MatrixXd stacked(block.n_rows(), q);
    stacked.topRows(block.n_prior) = r.topRows(block.n_prior);
    stacked.bottomRows(block.n_new) = rows.middleRows(first, block.n_new);
    if (intercept != nullptr && block.n_prior > 0) block.ones_in = r * *intercept;
    const Eigen::HouseholderQR<MatrixXd> qr(stacked);
    block.q = qr.householderQ() * MatrixXd::Identity(stacked.rows(), q);
    r = qr.matrixQR().topRows(q).triangularView<Eigen::Upper>();
    block.r = r;
    if (intercept != nullptr) block.ones_out = r * *intercept;
    blocks.push_back(std::move(block));
  }
  return blocks;
}

// One thread's memory for a tile. Eigen aligns its vectors to a cache line, so that no load of the
// inner loops crosses one.
struct Workspace {
  Index q;
  VectorXd packed;   // (rows, kPanel)
  VectorXd w;        // (panels, q, kPanel)
  VectorXd w_next;   // (q, kPanel)
  VectorXd rss;      // (panels, kPanel)
  VectorXd shift;    // (kPanel)
  VectorXd scratch;  // (2, kPanel)

  Workspace(Index rows, Index n_working)
      : q(n_working),
        packed(rows * kPanel),
        w(n_working * kTile),
        w_next(n_working * kPanel),
        rss(kTile),
        shift(kPanel),
        scratch(2 * kPanel) {
    // Voxels past the end of the data are processed too, so they must hold numbers.
    packed.setZero();
    w.setZero();
    rss.setZero();
  }

  double* w_row(Index panel, Index k) { return w.data() + (panel * q + k) * kPanel; }
};

// The data from a voxel on.
template <typename Scalar>
DataView<Scalar> from_voxel(const DataView<Scalar>& y, Index first) {
  return {y.data + first * y.voxel_stride, y.n_rows, y.n_voxels - first, y.row_stride,
          y.voxel_stride};
}

// The data to prefetch after a panel of a block: the same panel of the next block, or of the next
// tile after a tile's last block. y begins at the tile.
template <typename Scalar>
Ahead ahead_of(const DataView<Scalar>& y, const Block& block, Index panel) {
  constexpr auto kBytes = static_cast<Index>(sizeof(Scalar));
  Index row = block.first + block.n_new;
  Index voxel = panel * kPanel;
  if (row >= y.n_rows) {
    row = 0;
    voxel += kTile;
  }
  if (y.voxel_stride != 1 || voxel + kPanel > y.n_voxels) return {};
  const Scalar* data = y.data + row * y.row_stride + voxel;
  return {reinterpret_cast<const char*>(data), y.row_stride * kBytes,
          std::min(kBlockRows, y.n_rows - row), kPanel * kBytes / 64};
}

// Copies rows and subtracts the shift. For rows that cannot be read where they are: their values
// are not side by side, or they have fewer than a panel. Voxels past the end stay as they are.
template <typename Scalar>
void gather_rows(const DataView<Scalar>& rows, const double* shift, double* out) {
  for (Index i = 0; i < rows.n_rows; ++i) {
    for (Index v = 0; v < rows.n_voxels; ++v) {
      out[i * kPanel + v] = static_cast<double>(rows(i, v)) - shift[v];
    }
  }
}

// A panel's part of a block's rows.
template <typename Scalar>
DataView<Scalar> panel_view(const DataView<Scalar>& y, const Block& block, Index first,
                            Index count) {
  const Scalar* data = y.data + block.first * y.row_stride + first * y.voxel_stride;
  return {data, block.n_new, count, y.row_stride, y.voxel_stride};
}

// rss += total - |w|^2, or the squares of the residuals themselves where that difference is unsafe.
inline void add_residuals(const Block& block, Index panel, Workspace& ws) {
  using PanelRow = Eigen::Map<Eigen::Array<double, kPanel, 1>>;
  PanelRow added(ws.scratch.data());
  const Eigen::Array<double, kPanel, 1> total = added;
  for (Index k = 0; k < ws.q; ++k) added -= PanelRow(ws.w_next.data() + k * kPanel).square();
  if ((added < kResidualGuard * total).any()) {
    PanelRow exact(ws.scratch.data() + kPanel);
    inner_loops().residual(block.q.data(), block.n_rows(), ws.q, ws.packed.data(), ws.w_next.data(),
                           exact.data());
    added = (added < kResidualGuard * total).select(exact, added).eval();
  }
  PanelRow(ws.rss.data() + panel * kPanel) += added;
}

// Adds one block of rows to one panel's (w, rss).
//
// Each voxel's values are shifted by its first value in the block, along the constant column. This
// column is in the span of the working design, so the residuals do not change. The total sum of
// squares is then about a value of the data's own size, so that subtracting |w|^2 from it is safe
// for any mean.
template <typename Scalar>
void advance_panel(const Block& block, Index panel, const DataView<Scalar>& rows,
                   const Ahead& ahead, Workspace& ws) {
  using PanelRow = Eigen::Map<Eigen::Array<double, kPanel, 1>>;
  PanelRow shift(ws.shift.data());
  shift.setZero();
  for (Index v = 0; v < rows.n_voxels && block.shifted(); ++v) {
    shift[v] = static_cast<double>(rows(0, v));
  }
  for (Index k = 0; k < block.n_prior; ++k) {
    PanelRow row(ws.packed.data() + k * kPanel);
    row = PanelRow(ws.w_row(panel, k));
    if (block.shifted()) row -= block.ones_in[k] * shift;
  }
  double* y = ws.packed.data();
  if (rows.voxel_stride == 1 && rows.n_voxels == kPanel) {
    const PanelSource<Scalar> source{rows.data, rows.row_stride, rows.n_rows};
    inner_loops().project(block.q.data(), block.n_prior, ws.q, source, ws.shift.data(), ahead, y,
                          ws.w_next.data(), ws.scratch.data());
  } else {
    gather_rows(rows, ws.shift.data(), y + block.n_prior * kPanel);
    inner_loops().project(block.q.data(), block.n_rows(), ws.q, PanelSource<Scalar>(),
                          ws.shift.data(), ahead, y, ws.w_next.data(), ws.scratch.data());
  }
  add_residuals(block, panel, ws);
  for (Index k = 0; k < ws.q; ++k) {
    PanelRow w(ws.w_row(panel, k));
    w = PanelRow(ws.w_next.data() + k * kPanel);
    if (block.shifted()) w += block.ones_out[k] * shift;
  }
}

// Adds one block of rows to one tile's (w, rss) in the workspace. y begins at the tile.
template <typename Scalar>
void advance_tile(const Block& block, const DataView<Scalar>& y, Index count, Workspace& ws) {
  for (Index panel = 0; panel * kPanel < count; ++panel) {
    const Index start = panel * kPanel;
    const Index n = std::min(kPanel, count - start);
    advance_panel(block, panel, panel_view(y, block, start, n), ahead_of(y, block, panel), ws);
  }
}

}  // namespace groupglm
