// SPDX-License-Identifier: BSD-3-Clause
// Least squares voxel by voxel, the slow and obvious way, with designs and data to compare on.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "groupglm/models/ols_fit.hpp"

namespace reference {

using groupglm::DataView;
using groupglm::Design;
using groupglm::Index;
using groupglm::MatrixXd;
using groupglm::OlsState;
using groupglm::RowMatrix;
using groupglm::VectorXd;

// Wider than double if the platform has such a type: the reference's own rounding is negligible.
using Real = long double;
using RealMatrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
using RealVector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

inline constexpr double kEps = std::numeric_limits<double>::epsilon();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
// The accuracy that the package promises for any batches.
inline constexpr double kPromise = 1e-10;

// ---- The fit of one voxel ----------------------------------------------------------------------

struct Voxel {
  Index n = 0;
  Index rank = 0;
  RealMatrix x;     // rows present
  RealMatrix pinv;  // (p, n)
  RealVector y;
  RealVector beta;
  double rss = kNaN;
  double total = kNaN;  // about the mean when the constant is in the span of x
  double mean = kNaN;
  double length = 0;  // |y|
};

inline RealMatrix pseudo_inverse(const RealMatrix& a, Index& rank) {
  rank = 0;
  if (a.size() == 0) return RealMatrix::Zero(a.cols(), a.rows());
  Eigen::CompleteOrthogonalDecomposition<RealMatrix> cod;
  cod.setThreshold(Real(1e-10));
  cod.compute(a);
  rank = cod.rank();
  return cod.pseudoInverse();
}

inline Voxel fit_voxel(const MatrixXd& x, const VectorXd& y) {
  std::vector<Index> present;
  for (Index i = 0; i < y.size(); ++i) {
    if (!std::isnan(y[i])) present.push_back(i);
  }
  Voxel out;
  out.n = static_cast<Index>(present.size());
  out.x = x(present, Eigen::all).cast<Real>();
  out.y = y(present).cast<Real>();
  out.pinv = pseudo_inverse(out.x, out.rank);
  out.beta = out.pinv * out.y;
  if (out.n == 0) {
    out.beta.setConstant(std::numeric_limits<Real>::quiet_NaN());
    return out;
  }
  out.rss = static_cast<double>((out.y - out.x * out.beta).squaredNorm());
  const RealVector ones = RealVector::Ones(out.n);
  const bool centred = (ones - out.x * (out.pinv * ones)).norm() < Real(1e-8);
  const Real mean = out.y.mean();
  out.total =
      static_cast<double>((out.y.array() - (centred ? mean : Real(0))).matrix().squaredNorm());
  out.mean = static_cast<double>(mean);
  out.length = static_cast<double>(out.y.norm());
  return out;
}

// ---- The core's results for all voxels ----------------------------------------------------------

using IntVector = Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1>;

struct Results {
  RowMatrix beta;
  VectorXd rss, r_square, mean;
  IntVector n, rank;
};

inline Results results(const OlsState& state, const Design& design, int n_threads = 1) {
  const Index n = state.n_voxels();
  Results out{RowMatrix(design.n_columns, n),
              VectorXd(n),
              VectorXd(n),
              VectorXd(n),
              IntVector(n),
              IntVector(n)};
  const auto map = [](VectorXd& v) { return groupglm::Array(v.data(), v.size()); };
  groupglm::coefficients(state, design, groupglm::RowMatrixOut(out.beta.data(), out.beta.rows(), n),
                         n_threads);
  groupglm::residual_sum_of_squares(state, design, map(out.rss), n_threads);
  groupglm::r_square(state, design, map(out.r_square), n_threads);
  groupglm::mean(state, design, map(out.mean), n_threads);
  groupglm::degrees_of_freedom(state, design, groupglm::IntArray(out.n.data(), n),
                               groupglm::IntArray(out.rank.data(), n), n_threads);
  return out;
}

// ---- Comparing ---------------------------------------------------------------------------------

// The error in units of its tolerance; NaN only matches NaN.
inline double ratio(double value, double expected, double tolerance) {
  if (std::isnan(expected)) return std::isnan(value) ? 0.0 : kInfinity;
  if (value == expected) return 0.0;
  if (!std::isfinite(value) || !std::isfinite(expected)) return kInfinity;
  return std::abs(value - expected) / tolerance;
}

// Backward error bound of an orthogonal reduction of n rows of q numbers (Higham, Accuracy and
// Stability of Numerical Algorithms, theorem 19.4, its modest constant taken as 1).
inline double reduction_error(Index n, Index q) {
  return static_cast<double>(n * q + q * q) * kEps;
}

// The worst error of each quantity in units of its tolerance.
struct Worst {
  double beta = 0, rss = 0, r_square = 0, mean = 0;
  bool counts = true;

  bool fine() const { return beta <= 1 && rss <= 1 && r_square <= 1 && mean <= 1 && counts; }
};

inline std::string describe(const Worst& worst) {
  return "beta " + std::to_string(worst.beta) + ", rss " + std::to_string(worst.rss) +
         ", r_square " + std::to_string(worst.r_square) + ", mean " + std::to_string(worst.mean) +
         (worst.counts ? ", counts right" : ", counts wrong");
}

inline void add_voxel(const Voxel& expected, const Results& found, Index v, Worst& worst) {
  const Index p = expected.beta.size();
  const double error = reduction_error(expected.n, p + 1);
  const double lost = std::pow(error * expected.length, 2);  // squared rounding of saturated fits
  for (Index j = 0; j < p; ++j) {
    const double size = static_cast<double>(expected.pinv.norm()) * expected.length;
    worst.beta = std::max(worst.beta, ratio(found.beta(j, v), static_cast<double>(expected.beta[j]),
                                            kPromise * size + 1e-300));
  }
  worst.rss = std::max(worst.rss,
                       ratio(found.rss[v], expected.rss, kPromise * expected.rss + lost + 1e-300));
  if (expected.n > p) {
    const double share = 1.0 - expected.rss / expected.total;
    worst.r_square =
        std::max(worst.r_square, ratio(found.r_square[v], expected.total > 0 ? share : kNaN,
                                       kPromise * std::max(1.0, std::abs(1.0 - share))));
  }
  worst.mean =
      std::max(worst.mean, ratio(found.mean[v], expected.mean, error * expected.length + 1e-300));
  worst.counts = worst.counts && found.n[v] == expected.n &&
                 found.rank[v] == static_cast<Index>(expected.rank);
}

// Every voxel up to 64, else those at the ends of panels, tiles and runs and some more.
inline std::vector<Index> sample_voxels(Index n_voxels) {
  std::vector<Index> voxels;
  for (Index v = 0; v < n_voxels; ++v) {
    const Index in_panel = v % 32;
    const bool edge = (in_panel == 0 || in_panel == 31) && (v % 2048 < 33 || v % 2048 > 2015);
    if (n_voxels <= 64 || edge || v == n_voxels - 1 || v % 97 == 5) voxels.push_back(v);
  }
  return voxels;
}

inline Worst compare(const MatrixXd& x, const RowMatrix& y, const Results& found) {
  Worst worst;
  for (const Index v : sample_voxels(y.cols())) {
    add_voxel(fit_voxel(x, y.col(v)), found, v, worst);
  }
  return worst;
}

template <typename A, typename B>
bool same_bits(const A& a, const B& b) {
  const auto size = static_cast<std::size_t>(a.size());
  return a.size() == b.size() &&
         (size == 0 || std::memcmp(a.data(), b.data(), size * sizeof(*a.data())) == 0);
}

inline bool same_state(const OlsState& one, const OlsState& other) {
  const groupglm::OlsParts& a = one.parts();
  const groupglm::OlsParts& b = other.parts();
  return a.n_rows == b.n_rows && same_bits(a.r, b.r) && same_bits(a.w, b.w) &&
         same_bits(a.rss, b.rss) && a.missing.slot == b.missing.slot &&
         same_bits(a.missing.factors, b.missing.factors) && a.missing.n_rows == b.missing.n_rows &&
         a.exponent == b.exponent;
}

inline bool same_results(const Results& a, const Results& b) {
  return same_bits(a.beta, b.beta) && same_bits(a.rss, b.rss) &&
         same_bits(a.r_square, b.r_square) && same_bits(a.mean, b.mean) && same_bits(a.n, b.n) &&
         same_bits(a.rank, b.rank);
}

// ---- Designs and data --------------------------------------------------------------------------

inline MatrixXd normals(Index rows, Index columns, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  return MatrixXd::NullaryExpr(rows, columns, [&]() { return normal(generator); });
}

struct NamedDesign {
  std::string name;
  MatrixXd x;
};

// Designs of every kind, n rows: with and without the constant, of full and of lower rank.
inline std::vector<NamedDesign> designs(Index n) {
  const MatrixXd z = normals(n, 9, 7);
  const VectorXd ones = VectorXd::Ones(n);
  VectorXd g(n);
  for (Index i = 0; i < n; ++i) g[i] = static_cast<double>(i * 7 % 3 == 0);
  const VectorXd h = ones - g;
  const auto bind = [n](const std::vector<VectorXd>& columns) {
    MatrixXd x(n, static_cast<Index>(columns.size()));
    for (std::size_t j = 0; j < columns.size(); ++j) x.col(static_cast<Index>(j)) = columns[j];
    return x;
  };
  return {{"one sample", bind({ones})},
          {"two groups", bind({g, h})},
          {"constant and covariates", bind({z.col(0) * 30, 2 * ones, g})},
          {"covariates only", z.leftCols(3)},
          {"nine covariates", z},
          {"groups, constant", bind({ones, g, h, z.col(0)})},
          {"a sum of covariates", bind({z.col(0), z.col(1), z.col(0) + z.col(1)})},
          {"scaled groups", bind({0.3 * g, 0.7 * h, z.col(1)})},
          {"a column of zeros", bind({ones, VectorXd::Zero(n), z.col(2)})}};
}

inline RowMatrix make_data(const MatrixXd& x, Index n_voxels, unsigned seed) {
  const MatrixXd beta = normals(x.cols(), n_voxels, seed);
  return (0.5 * (x * beta) + normals(x.rows(), n_voxels, seed + 1)).array() + 3.0;
}

// Noise in whole multiples of 2^-10, so that adding a whole number to it is exact.
inline RowMatrix dyadic_noise(Index n, Index n_voxels, unsigned seed) {
  return (normals(n, n_voxels, seed) * 1024.0).array().round() / 1024.0;
}

// Makes one value in `one_in` missing.
inline void scatter_nan(RowMatrix& y, unsigned one_in, unsigned seed) {
  std::mt19937_64 generator(seed);
  for (Index i = 0; i < y.size(); ++i) {
    if (generator() % one_in == 0) y.data()[i] = kNaN;
  }
}

// ---- Memory layouts ----------------------------------------------------------------------------

enum class Layout { rows, columns, gaps, reversed };

template <typename Scalar>
struct Stored {
  std::vector<Scalar> storage;
  DataView<Scalar> view;
};

// Puts y into memory with the given layout; the memory between its values is NaN.
template <typename Scalar>
Stored<Scalar> store(const RowMatrix& y, Layout layout = Layout::rows) {
  const Index n = y.rows();
  const Index m = y.cols();
  Stored<Scalar> out;
  out.view = {nullptr, n, m, m, 1};
  if (layout == Layout::columns) out.view = {nullptr, n, m, 1, n};
  if (layout == Layout::gaps) out.view = {nullptr, n, m, 3 * m + 5, 3};
  if (layout == Layout::reversed) out.view = {nullptr, n, m, -m, -1};
  const Index size = layout == Layout::gaps ? n * (3 * m + 5) : n * m;
  out.storage.assign(static_cast<std::size_t>(size), static_cast<Scalar>(kNaN));
  const Index origin = layout == Layout::reversed && size > 0 ? size - 1 : 0;
  for (Index i = 0; i < n; ++i) {
    for (Index v = 0; v < m; ++v) {
      const Index at = origin + i * out.view.row_stride + v * out.view.voxel_stride;
      out.storage[static_cast<std::size_t>(at)] = static_cast<Scalar>(y(i, v));
    }
  }
  out.view.data = out.storage.data() + origin;
  return out;
}

template <typename Scalar>
RowMatrix rounded(const RowMatrix& y) {
  return y.cast<Scalar>().template cast<double>();
}

// ---- States ------------------------------------------------------------------------------------

// The state of rows [first, first + count) of y.
template <typename Scalar = double>
void take_rows(OlsState& state, const Design& design, const RowMatrix& y, Index first, Index count,
               int n_threads = 1, Layout layout = Layout::rows) {
  const Stored<Scalar> stored = store<Scalar>(y.middleRows(first, count), layout);
  state.update<Scalar>(design.working.middleRows(first, count), design.intercept, stored.view,
                       n_threads);
}

template <typename Scalar = double>
OlsState state_of_rows(const Design& design, const RowMatrix& y, Index first, Index count,
                       int n_threads = 1, Layout layout = Layout::rows) {
  OlsState state(design.n_working(), y.cols());
  take_rows<Scalar>(state, design, y, first, count, n_threads, layout);
  return state;
}

template <typename Scalar = double>
OlsState state_of(const Design& design, const RowMatrix& y, int n_threads = 1,
                  Layout layout = Layout::rows) {
  return state_of_rows<Scalar>(design, y, 0, y.rows(), n_threads, layout);
}

// Random cuts of n rows into batches.
inline std::vector<Index> random_batches(Index n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<Index> sizes;
  for (Index left = n; left > 0; left -= sizes.back()) {
    sizes.push_back(std::min<Index>(left, 1 + static_cast<Index>(generator() % 60)));
  }
  return sizes;
}

inline OlsState in_batches(const Design& design, const RowMatrix& y,
                           const std::vector<Index>& sizes) {
  OlsState state(design.n_working(), y.cols());
  Index first = 0;
  for (const Index size : sizes) {
    take_rows(state, design, y, first, size);
    first += size;
  }
  return state;
}

inline std::vector<OlsState> parts_of(const Design& design, const RowMatrix& y,
                                      const std::vector<Index>& sizes) {
  std::vector<OlsState> parts;
  Index first = 0;
  for (const Index size : sizes) {
    parts.push_back(state_of_rows(design, y, first, size));
    first += size;
  }
  return parts;
}

// Merges parts two by two at random places until one is left: any order, any bracketing.
inline OlsState merge_at_random(std::vector<OlsState> parts, unsigned seed) {
  std::mt19937 generator(seed);
  while (parts.size() > 1) {
    std::shuffle(parts.begin(), parts.end(), generator);
    const OlsState last = parts.back();
    parts.pop_back();
    parts.back().merge(last, 1);
  }
  return parts.front();
}

}  // namespace reference
