// SPDX-License-Identifier: BSD-3-Clause
// tau2: the variance between images beyond the variances that each image states of itself.
//
// At a voxel, y_i ~ N(x_i'b, v_i + tau2). The estimators, with P = W - W X (X'WX)^-1 X'W,
// W = diag(1 / (v + tau2)), n images and p the rank of X in them:
//
//   DerSimonian-Laird  tau2 = (y'Py - (n - p)) / tr P, both at tau2 = 0
//   Hedges             tau2 = (RSS - sum((1 - h) v)) / (n - p), by ordinary least squares
//   Paule-Mandel       y'Py = n - p
//   ML                 the largest -1/2 [sum(log(v + tau2)) + y'Py]
//   REML               the largest -1/2 [sum(log(v + tau2)) + log det X'WX + y'Py]
//
// each at least 0. Both likelihoods may have several maxima; the highest is taken. Sources:
// DerSimonian & Laird, Controlled Clinical Trials 7:177 (1986); Hedges & Olkin, Statistical Methods
// for Meta-Analysis (1985); Paule & Mandel, J. Res. Natl. Bur. Stand. 87:377 (1982); Viechtbauer,
// J. Educ. Behav. Stat. 30:261 (2005).
//
// Missing: an image whose y or v is NaN or infinite, or whose v is not above zero. A voxel has the
// numbers of its own images, whatever the other voxels are, and for any number of threads.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "groupglm/loops/image_sums.hpp"
#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"

namespace groupglm {

enum class Tau2Method { reml, ml, dersimonian_laird, paule_mandel, hedges, given };

/// By which factor the variances of contrasts are multiplied: 1; y'Py / (n - p); or the larger.
enum class MixedScale { one, residual, residual_at_least_one };

/// An orthonormal basis of a design, or of its columns in another order of the images; with the
/// products of its columns. In a test, the last `n_effects` columns span the effect and the others
/// the nuisance (`split` in models/design.hpp).
class ImageBasis {
 public:
  ImageBasis() = default;
  explicit ImageBasis(const Eigen::Ref<const RowMatrix>& q);

  Index n() const { return n_; }
  Index r() const { return r_; }
  /// The r entries of an image's row, and then the r (r + 1) / 2 products (j, k <= j) of them.
  const double* row(Index i) const { return rows_.data() + i * width_; }
  Index width() const { return width_; }
  RowMatrix matrix() const;

 private:
  Index n_ = 0;
  Index r_ = 0;
  Index width_ = 0;
  std::vector<double> rows_;
};

/// How a tile of voxels is tested.
struct MixedTest {
  Tau2Method method = Tau2Method::reml;
  double given = 0.0;  // tau2, for Tau2Method::given
  MixedScale scale = MixedScale::residual;
  Index n_effects = 1;
};

/// What an estimate says of each voxel; nullptr for what nobody asked for.
struct HeterogeneityOut {
  double* tau2 = nullptr;
  double* typical = nullptr;  // variance of an image, (n - p) / tr P at tau2 = 0
  double* q = nullptr;        // Cochran's Q, y'Py at tau2 = 0
};

class Tau2Sums;

/// Voxels of one tile: read once, then estimated under as many bases and signs as wanted. An object
/// serves one thread.
///
/// Memory: 16 bytes an image and voxel, and some 100 bytes an image. Cost of one estimate by REML:
/// some 10 sums over the images.
class HeterogeneityTile {
 public:
  HeterogeneityTile();
  HeterogeneityTile(const HeterogeneityTile&) = delete;
  HeterogeneityTile& operator=(const HeterogeneityTile&) = delete;
  HeterogeneityTile(HeterogeneityTile&&) noexcept;
  HeterogeneityTile& operator=(HeterogeneityTile&&) noexcept;
  ~HeterogeneityTile();

  /// Voxels of a tile at most. More would leave the second-level cache.
  static constexpr Index kVoxels = kPanel;

  /// Takes `count` voxels, from `first`, of all rows of y and v, or of those that are given.
  template <typename Scalar>
  void load(const DataView<Scalar>& y, const DataView<Scalar>& v, const std::vector<Index>* rows,
            Index first, Index count);

  /// What is wanted (count each) of y, or of y times `sign` (n) unless that is nullptr. tau2 and
  /// the typical variance are NaN where a voxel has no more images than the rank, and Q is 0.
  void estimate(const ImageBasis& basis, const double* sign, Tau2Method method, double given,
                const HeterogeneityOut& out);

  /// The statistic (count) of the last columns of the basis: t for one column, F for several; NaN
  /// where a voxel's images cannot tell these columns from the others. tau2 (count), unless
  /// nullptr, gets the estimate.
  void statistics(const ImageBasis& basis, const double* sign, const MixedTest& test, double* stat,
                  double* tau2);

  Index count() const { return count_; }

  /// The images that are present at a voxel.
  double n_images(Index voxel) const { return n_images_[static_cast<std::size_t>(voxel)]; }
  /// The smallest of their variances, infinite without any, and the largest, then 0.
  double smallest(Index voxel) const;
  double largest(Index voxel) const;

 private:
  void scale(Index voxel);
  void solve(const ImageBasis& basis, const double* sign, const MixedTest& test, double* stat,
             const HeterogeneityOut& out);

  Index n_ = 0;
  Index count_ = 0;
  VectorXd y_;                              // octets, (n, kOctet) each; 0 for a missing image
  VectorXd v_;                              // the same; infinite for a missing image
  VectorXd own_;                            // workspace: two octets
  std::unique_ptr<Tau2Sums> sums_;          // workspace, kept because tiles are many
  std::array<int, kVoxels> exponent_{};     // y and v are those of y 2^-exponent, v 4^-exponent
  std::array<double, kVoxels> n_images_{};  // images present, their smallest and largest variance
  std::array<double, kVoxels> smallest_{};
  std::array<double, kVoxels> largest_{};
};

/// tau2 (n_voxels) and, unless nullptr, the typical variance (n_voxels) of y and v (n, n_voxels).
/// basis (n, r): orthonormal. Memory: one HeterogeneityTile a thread.
template <typename Scalar>
void estimate_tau2(const Eigen::Ref<const RowMatrix>& basis, const DataView<Scalar>& y,
                   const DataView<Scalar>& v, Tau2Method method, double given, double* tau2,
                   double* typical, int n_threads);

}  // namespace groupglm
