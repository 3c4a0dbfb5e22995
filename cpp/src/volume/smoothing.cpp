// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/volume/smoothing.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "groupglm/loops/convolution.hpp"
#include "groupglm/loops/inner_loops.hpp"
#include "groupglm/parallel.hpp"

namespace groupglm {

namespace {

using Eigen::Index;

// Values of a plane that are smoothed together along the third axis. A plane is one run of memory,
// so these columns need not end where a row ends. The 15 rows that a kernel of radius 7 uses are
// then 7.5 KiB, well within the first-level cache.
constexpr Index kColumns = 64;
static_assert(kColumns % kStrip == 0);

// Smoothing fewer voxels takes less time than starting threads.
constexpr Index kSerialVoxels = 1 << 14;

// Aligned, because a load that crosses a cache line takes twice as long; with AVX-512 every load of
// an unaligned row would cross one.
using Buffer = std::vector<double, Eigen::aligned_allocator<double>>;

Index padded(Index n) { return (n + kStrip - 1) / kStrip * kStrip; }

struct Kernel {
  std::vector<double> half;
  Index radius() const { return static_cast<Index>(half.size()) - 1; }
};

void convolve_rows(const double* at, Index pitch, const Kernel& kernel, Index width, double* out) {
  inner_loops().convolve(at, pitch, kernel.half.data(), kernel.radius(), width, out);
}

// Extends n rows (of `width` values, `pitch` apart) by their mirror images, `radius` on each side.
void mirror(double* rows, Index n, Index pitch, Index radius, Index width) {
  for (Index i = 0; i < radius; ++i) {
    std::copy_n(rows + i * pitch, width, rows - (i + 1) * pitch);
    std::copy_n(rows + (n - 1 - i) * pitch, width, rows + (n + i) * pitch);
  }
}

// The values to smooth: the values themselves, the values with zero where they are missing, or 1
// where they are present and 0 elsewhere.
struct AsIs {
  template <typename Scalar>
  double operator()(Scalar value) const {
    return static_cast<double>(value);
  }
};
struct ZeroIfMissing {
  template <typename Scalar>
  double operator()(Scalar value) const {
    return std::isnan(value) ? 0.0 : static_cast<double>(value);
  }
};
struct Present {
  template <typename Scalar>
  double operator()(Scalar value) const {
    return std::isnan(value) ? 0.0 : 1.0;
  }
};
// The summed weights of the present values; their sign says whether the voxel itself is missing.
struct Magnitude {
  template <typename Scalar>
  double operator()(Scalar value) const {
    return static_cast<double>(std::fabs(value));
  }
};

// One slice, smoothed along the first two axes; the workspace of a thread.
class Slice {
 public:
  Slice(Index nx, Index ny, const Kernel& x, const Kernel& y)
      : nx_(nx),
        ny_(ny),
        pitch_(padded(nx)),
        x_(x),
        y_(y),
        line_(static_cast<std::size_t>(pitch_ + 2 * x.radius())),
        rows_(static_cast<std::size_t>((ny + 2 * y.radius()) * pitch_)),
        out_(static_cast<std::size_t>(pitch_)) {}

  template <typename Scalar, typename Read>
  void load(const Scalar* values, Read read) {
    double* rows = rows_.data() + y_.radius() * pitch_;
    for (Index j = 0; j < ny_; ++j) {
      double* line = line_.data() + x_.radius();
      std::transform(values + j * nx_, values + (j + 1) * nx_, line, read);
      mirror(line, nx_, 1, x_.radius(), 1);
      convolve_rows(line, 1, x_, pitch_, rows + j * pitch_);
    }
    mirror(rows, ny_, pitch_, y_.radius(), pitch_);
  }

  /// Row j of the result; valid until the next call.
  const double* row(Index j) {
    convolve_rows(rows_.data() + (y_.radius() + j) * pitch_, pitch_, y_, pitch_, out_.data());
    return out_.data();
  }

 private:
  Index nx_, ny_, pitch_;
  const Kernel& x_;
  const Kernel& y_;
  Buffer line_, rows_, out_;
};

// A run of neighbouring values of a plane, through all slices; the workspace of a thread.
class ColumnRun {
 public:
  ColumnRun(Index nz, const Kernel& z)
      : nz_(nz),
        z_(z),
        rows_(static_cast<std::size_t>((nz + 2 * z.radius()) * kColumns)),
        out_(static_cast<std::size_t>(kColumns)) {}

  template <typename Scalar, typename Read>
  void load(const Scalar* values, Index plane, Index width, Read read) {
    double* rows = rows_.data() + z_.radius() * kColumns;
    for (Index k = 0; k < nz_; ++k) {
      std::transform(values + k * plane, values + k * plane + width, rows + k * kColumns, read);
    }
    mirror(rows, nz_, kColumns, z_.radius(), kColumns);
  }

  const double* row(Index k) {
    convolve_rows(rows_.data() + (z_.radius() + k) * kColumns, kColumns, z_, kColumns, out_.data());
    return out_.data();
  }

 private:
  Index nz_;
  const Kernel& z_;
  Buffer rows_, out_;
};

template <typename Scalar>
class Smoother {
 public:
  Smoother(Scalar* volume, const std::array<Index, 3>& shape, const std::array<double, 3>& sigma,
           int n_threads)
      : volume_(volume),
        shape_(shape),
        plane_(shape[0] * shape[1]),
        n_threads_(plane_ * shape[2] < kSerialVoxels ? 1 : resolve_threads(n_threads)),
        x_{gaussian_half_kernel(sigma[0], shape[0])},
        y_{gaussian_half_kernel(sigma[1], shape[1])},
        z_{gaussian_half_kernel(sigma[2], shape[2])} {}

  void run() {
    if (x_.radius() + y_.radius() + z_.radius() == 0) return;
    if (has_missing()) {
      smooth_missing();
    } else {
      smooth_complete();
    }
  }

 private:
  Index n_runs() const { return (plane_ + kColumns - 1) / kColumns; }

  template <typename Workspace, typename Make>
  std::vector<Workspace> one_a_thread(Index n_tasks, const Make& make) const {
    std::vector<Workspace> all;
    const Index n_used = std::min<Index>(n_tasks, n_threads_);
    all.reserve(static_cast<std::size_t>(n_used));
    for (Index thread = 0; thread < n_used; ++thread) all.push_back(make());
    return all;
  }
  std::vector<Slice> slices() const {
    return one_a_thread<Slice>(shape_[2], [&] { return Slice(shape_[0], shape_[1], x_, y_); });
  }
  std::vector<ColumnRun> runs() const {
    return one_a_thread<ColumnRun>(n_runs(), [&] { return ColumnRun(shape_[2], z_); });
  }

  bool has_missing() const {
    std::atomic<bool> found{false};
    parallel_for(shape_[2], n_threads_, [&](Index slice, int) {
      if (found) return;
      const Scalar* values = volume_ + slice * plane_;
      int n_missing = 0;
      for (Index i = 0; i < plane_; ++i) n_missing |= values[i] != values[i] ? 1 : 0;
      if (n_missing != 0) found = true;
    });
    return found;
  }

  void smooth_complete() {
    if (x_.radius() + y_.radius() > 0) {
      std::vector<Slice> work = slices();
      parallel_for(shape_[2], n_threads_, [&](Index k, int thread) {
        Slice& slice = work[static_cast<std::size_t>(thread)];
        Scalar* values = volume_ + k * plane_;
        slice.load(values, AsIs());
        for (Index j = 0; j < shape_[1]; ++j)
          store(slice.row(j), shape_[0], values + j * shape_[0]);
      });
    }
    if (z_.radius() == 0) return;
    std::vector<ColumnRun> work = runs();
    parallel_for(n_runs(), n_threads_, [&](Index p, int thread) {
      ColumnRun& run = work[static_cast<std::size_t>(thread)];
      Scalar* values = volume_ + p * kColumns;
      const Index width = std::min(kColumns, plane_ - p * kColumns);
      run.load(values, plane_, width, AsIs());
      for (Index k = 0; k < shape_[2]; ++k) store(run.row(k), width, values + k * plane_);
    });
  }

  void smooth_missing() {
    // G(p), negated where the voxel itself is missing, so that no separate map of the missing
    // voxels is needed.
    std::vector<Scalar> weights(static_cast<std::size_t>(plane_ * shape_[2]));
    smooth_missing_slices(weights.data());
    smooth_missing_runs(weights.data());
  }

  void smooth_missing_slices(Scalar* weights) {
    std::vector<Slice> work = slices();
    std::vector<Slice> presence = slices();
    parallel_for(shape_[2], n_threads_, [&](Index k, int thread) {
      Slice& sums = work[static_cast<std::size_t>(thread)];
      Slice& present = presence[static_cast<std::size_t>(thread)];
      Scalar* values = volume_ + k * plane_;
      sums.load(values, ZeroIfMissing());
      present.load(values, Present());
      for (Index j = 0; j < shape_[1]; ++j) {
        Scalar* row = values + j * shape_[0];
        Scalar* weight = weights + k * plane_ + j * shape_[0];
        const double* total = present.row(j);
        for (Index i = 0; i < shape_[0]; ++i) {
          weight[i] = static_cast<Scalar>(std::isnan(row[i]) ? -total[i] : total[i]);
        }
        store(sums.row(j), shape_[0], row);
      }
    });
  }

  void smooth_missing_runs(const Scalar* weights) {
    std::vector<ColumnRun> work = runs();
    std::vector<ColumnRun> presence = runs();
    parallel_for(n_runs(), n_threads_, [&](Index p, int thread) {
      ColumnRun& sums = work[static_cast<std::size_t>(thread)];
      ColumnRun& present = presence[static_cast<std::size_t>(thread)];
      Scalar* values = volume_ + p * kColumns;
      const Scalar* weight = weights + p * kColumns;
      const Index width = std::min(kColumns, plane_ - p * kColumns);
      sums.load(values, plane_, width, AsIs());
      present.load(weight, plane_, width, Magnitude());
      for (Index k = 0; k < shape_[2]; ++k) {
        const double* sum = sums.row(k);
        const double* total = present.row(k);
        for (Index i = 0; i < width; ++i) {
          values[k * plane_ + i] = std::signbit(weight[k * plane_ + i])
                                       ? std::numeric_limits<Scalar>::quiet_NaN()
                                       : static_cast<Scalar>(sum[i] / total[i]);
        }
      }
    });
  }

  static void store(const double* row, Index width, Scalar* out) {
    for (Index i = 0; i < width; ++i) out[i] = static_cast<Scalar>(row[i]);
  }

  Scalar* volume_;
  std::array<Index, 3> shape_;
  Index plane_;
  int n_threads_;
  Kernel x_, y_, z_;
};

}  // namespace

std::vector<double> gaussian_half_kernel(double sigma, Index length) {
  if (std::isnan(sigma) || sigma < 0 || sigma > kMaxSigma) {
    throw std::invalid_argument("sigma must be from 0 to 1e6 voxels, but is " +
                                std::to_string(sigma));
  }
  const auto radius = static_cast<Index>(std::floor(4 * sigma + 0.5));
  if (radius == 0 || length < 2) return {1.0};
  const auto weight = [&](Index k) {
    const double distance = static_cast<double>(k) / sigma;
    return std::exp(-0.5 * distance * distance);
  };
  double total = 1.0;
  for (Index k = radius; k > 0; --k) total += 2 * weight(k);
  const Index period = 2 * length;
  std::vector<double> half(static_cast<std::size_t>(std::min(radius, length) + 1));
  for (Index k = radius; k >= 0; --k) {
    const Index beyond = k % period;
    const Index distance = std::min(beyond, period - beyond);
    // k and -k fall on distances +d and -d, or on the same voxel if d is zero.
    const double count = distance == 0 && k > 0 ? 2.0 : 1.0;
    half[static_cast<std::size_t>(distance)] += count * weight(k) / total;
  }
  return half;
}

template <typename Scalar>
void smooth_volume(Scalar* volume, const std::array<Index, 3>& shape,
                   const std::array<double, 3>& sigma, int n_threads) {
  for (const Index length : shape) {
    if (length < 0) throw std::invalid_argument("a length of the shape is negative");
  }
  Smoother<Scalar> smoother(volume, shape, sigma, n_threads);
  if (shape[0] > 0 && shape[1] > 0 && shape[2] > 0) smoother.run();
}

template void smooth_volume(float*, const std::array<Index, 3>&, const std::array<double, 3>&, int);
template void smooth_volume(double*, const std::array<Index, 3>&, const std::array<double, 3>&,
                            int);

}  // namespace groupglm
