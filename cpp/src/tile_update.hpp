// SPDX-License-Identifier: BSD-3-Clause
// One tile of voxels taken through the blocks of rows of an update (see ols_state.hpp).
//
// A tile is a few panels side by side: rows are read in runs of a tile and worked on panel by
// panel. Rows lie far apart in memory, where the hardware does not prefetch, so the next run is
// asked for while one is packed; measured, this brings the packing within 1.3 times of a plain
// read.
#pragma once

#include <algorithm>
#include <vector>

#include "groupglm/ols_state.hpp"
#include "groupglm/projection.hpp"

namespace groupglm {

// A panel of a block of rows (32 KB) fits the first-level cache, a tile of them the second level.
inline constexpr Index kBlockRows = 128;
inline constexpr Index kTilePanels = 4;
inline constexpr Index kTile = kTilePanels * kPanel;

// Below this share of the total, rss = total - |w|^2 has lost four digits or more, and the
// residuals are formed one by one instead: rounding stays under 1e-11 either way.
inline constexpr double kResidualGuard = 1e-4;

// The QR of [R; rows] for one block of rows, made once for all voxels.
struct Block {
  Index first = 0;
  Index n_new = 0;
  Index n_prior = 0;  // q rows of R above the new ones, or none at the start
  RowMatrix q;        // (n_prior + n_new, q)
  MatrixXd r;         // (q, q)
  VectorXd ones_in;   // the constant column in the prior rows' coordinates, R_old a
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
    if (intercept != nullptr) block.ones_in = r * *intercept;
    Eigen::HouseholderQR<MatrixXd> qr(stacked);
    block.q = qr.householderQ() * MatrixXd::Identity(stacked.rows(), q);
    r = qr.matrixQR().topRows(q).triangularView<Eigen::Upper>();
    block.r = r;
    if (intercept != nullptr) block.ones_out = r * *intercept;
    blocks.push_back(std::move(block));
  }
  return blocks;
}

// One thread's memory for a tile; allocated once. Eigen's vectors are aligned to a SIMD register,
// which spares the inner loops every second cache line.
struct Workspace {
  Index max_rows, q;
  VectorXd packed;   // (panels, rows, kPanel)
  VectorXd w;        // (panels, q, kPanel)
  VectorXd w_next;   // (q, kPanel)
  VectorXd rss;      // (panels, kPanel)
  VectorXd shift;    // (panels, kPanel)
  VectorXd scratch;  // (2, kPanel)

  Workspace(Index rows, Index n_working)
      : max_rows(rows),
        q(n_working),
        packed(rows * kTile),
        w(n_working * kTile),
        w_next(n_working * kPanel),
        rss(kTile),
        shift(kTile),
        scratch(2 * kPanel) {
    // Voxels past the end of the data are worked on too: they must hold numbers.
    packed.setZero();
    w.setZero();
    rss.setZero();
  }

  double* packed_row(Index panel, Index row) {
    return packed.data() + (panel * max_rows + row) * kPanel;
  }
  double* w_row(Index panel, Index k) { return w.data() + (panel * q + k) * kPanel; }
};

inline void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

// Where a row of a tile is found, and the run of memory that will be wanted after it.
template <typename Scalar>
struct RowSource {
  const Scalar* data;
  const Scalar* next;  // nullptr when there is none
  Index stride;
  Index count;
};

// The tile's part of row `row`. After the blocks of one tile come those of the next.
template <typename Scalar>
RowSource<Scalar> row_source(const DataView<Scalar>& y, Index row, Index first, Index count) {
  const Scalar* data = y.data + row * y.row_stride + first * y.voxel_stride;
  const Scalar* next = nullptr;
  if (y.voxel_stride == 1) {
    const Index in_first_block = row % kBlockRows;
    if (row + kBlockRows < y.n_rows) {
      next = data + kBlockRows * y.row_stride;
    } else if (first + 2 * kTile <= y.n_voxels) {
      next = data + kTile - (row - in_first_block) * y.row_stride;
    }
  }
  return {data, next, y.voxel_stride, count};
}

// A row's values, less the shift, into the panels; voxels past the end stay as they are.
template <typename Scalar>
void pack_row(const RowSource<Scalar>& source, Index to, Workspace& ws) {
  for (Index panel = 0; panel * kPanel < source.count; ++panel) {
    double* out = ws.packed_row(panel, to);
    const double* shift = ws.shift.data() + panel * kPanel;
    const Scalar* in = source.data + panel * kPanel * source.stride;
    const Index n = std::min(kPanel, source.count - panel * kPanel);
    if (source.next != nullptr) {
      constexpr Index kLine = 64 / static_cast<Index>(sizeof(Scalar));
      for (Index v = 0; v < kPanel; v += kLine) prefetch(source.next + panel * kPanel + v);
    }
    if (source.stride == 1 && n == kPanel) {
      for (Index v = 0; v < kPanel; ++v) out[v] = static_cast<double>(in[v]) - shift[v];
    } else {
      for (Index v = 0; v < n; ++v) out[v] = static_cast<double>(in[v * source.stride]) - shift[v];
    }
  }
}

// Brings one panel's (w, rss) one block further; its new rows are packed already.
inline void advance_panel(const Block& block, Index panel, Workspace& ws) {
  using Lanes = Eigen::Map<Eigen::Array<double, kPanel, 1>>;
  const Lanes shift(ws.shift.data() + panel * kPanel);
  for (Index k = 0; k < block.n_prior; ++k) {
    Lanes row(ws.packed_row(panel, k));
    row = Lanes(ws.w_row(panel, k));
    if (block.shifted()) row -= block.ones_in[k] * shift;
  }
  const double* packed = ws.packed_row(panel, 0);
  Lanes added(ws.scratch.data());
  project_panel(block.q.data(), block.n_rows(), ws.q, packed, ws.w_next.data(), added.data());
  const Eigen::Array<double, kPanel, 1> total = added;
  for (Index k = 0; k < ws.q; ++k) added -= Lanes(ws.w_next.data() + k * kPanel).square();
  if ((added < kResidualGuard * total).any()) {
    Lanes exact(ws.scratch.data() + kPanel);
    residual_panel(block.q.data(), block.n_rows(), ws.q, packed, ws.w_next.data(), exact.data());
    added = (added < kResidualGuard * total).select(exact, added).eval();
  }
  Lanes(ws.rss.data() + panel * kPanel) += added;
  for (Index k = 0; k < ws.q; ++k) {
    Lanes w(ws.w_row(panel, k));
    w = Lanes(ws.w_next.data() + k * kPanel);
    if (block.shifted()) w += block.ones_out[k] * shift;
  }
}

// Brings one tile's (w, rss) in the workspace one block further.
//
// Values are shifted by each voxel's first value in the block, along the constant column, which is
// in the span of the working design: residuals do not change, and the total sum of squares becomes
// one about a value of the data's own size, so that subtracting |w|^2 from it is safe for any mean.
template <typename Scalar>
void advance_tile(const Block& block, const DataView<Scalar>& y, Index first, Index count,
                  Workspace& ws) {
  ws.shift.setZero();
  if (block.shifted()) {
    pack_row(row_source(y, block.first, first, count), 0, ws);
    for (Index panel = 0; panel * kPanel < count; ++panel) {
      std::copy_n(ws.packed_row(panel, 0), std::min(kPanel, count - panel * kPanel),
                  ws.shift.data() + panel * kPanel);
    }
  }
  for (Index i = 0; i < block.n_new; ++i) {
    pack_row(row_source(y, block.first + i, first, count), block.n_prior + i, ws);
  }
  for (Index panel = 0; panel * kPanel < count; ++panel) advance_panel(block, panel, ws);
}

}  // namespace groupglm
