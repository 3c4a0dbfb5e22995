// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of the variance between images: sums over the images of a few voxels.
//
// Eight neighbouring voxels, an octet, are summed together: one register of AVX-512, and several of
// others. Numbers of an octet are row-major blocks, rows x kOctet, without gaps. Every voxel goes
// through the same operations in the same order, whatever its place in the octet.
#pragma once

#include <Eigen/Core>

#include "groupglm/loops/projection.hpp"

namespace groupglm {

inline constexpr Eigen::Index kOctet = 8;
inline constexpr Eigen::Index kPanelOctets = kPanel / kOctet;

/// Images of a panel where they lie in memory: rows of kPanel effects and variances, some strides
/// apart. The next panel is prefetched if has_next.
template <typename Scalar>
struct ImageSource {
  const Scalar* y = nullptr;
  const Scalar* v = nullptr;
  Eigen::Index y_stride = 0;
  Eigen::Index v_stride = 0;
  const Eigen::Index* rows = nullptr;  // (n): which rows, or nullptr for the first n
  Eigen::Index n = 0;
  bool has_next = false;
};

/// What is known of the voxels of a panel, (kPanel) each: the number of images present, their
/// smallest variance, infinite without any, and their largest, zero without any.
struct PanelFacts {
  double* n_images;
  double* smallest;
  double* largest;
};

/// Reads a panel into y and v, (kPanelOctets, n, kOctet). An image is missing where its effect or
/// variance is not finite or the variance not above zero, and has y = 0 and v = infinity there.
template <typename Scalar>
void read_images(const ImageSource<Scalar>& source, double* y, double* v, const PanelFacts& facts);

/// The images of an octet, (n, kOctet), and the basis of the design that all voxels share: for each
/// image its row (r) and then the r (r + 1) / 2 products (j, k <= j) of the row's entries.
struct OctetImages {
  Eigen::Index n = 0;
  const double* y = nullptr;
  const double* v = nullptr;
};
struct BasisRows {
  const double* rows = nullptr;
  Eigen::Index r = 0;

  Eigen::Index n_products() const { return r * (r + 1) / 2; }
  const double* row(Eigen::Index i) const { return rows + i * (r + n_products()); }
};

/// Bases of up to this many columns have loops of their own, whose sums stay in registers.
inline constexpr Eigen::Index kUnrolledRank = 3;

/// Where sums over the images go: matrices of the packed products, (r (r + 1) / 2, kOctet), vectors
/// (r, kOctet), and (kOctet) otherwise. Which are written, each function says.
struct ImageSums {
  double* a;   // sum(w q q')
  double* a2;  // sum(w^2 q q')
  double* a3;  // sum(w^3 q q')
  double* b;   // sum(w q y); read as the coefficients of the fit where residuals e are needed
  double* d;   // sum(w^2 q e)
  double* s1;  // sum(w e^2)
  double* s2;  // sum(w^2 e^2)
  double* s3;  // sum(w^3 e^2)
  double* w1;  // sum(w)
  double* w2;  // sum(w^2)
};

/// Loops over the images of an octet. weights and scratch: (n, kOctet); t (kOctet): tau2.
/// 2 n flops for each entry of a sum and voxel, and n divisions where weights are made.
struct ImageLoops {
  void (*read_float)(const ImageSource<float>& source, double* y, double* v,
                     const PanelFacts& facts);
  void (*read_double)(const ImageSource<double>& source, double* y, double* v,
                      const PanelFacts& facts);

  /// out (count, kOctet) = for each column, from `first`, of the basis and its products the sum
  /// over the n images of it times x (n, kOctet).
  void (*columns)(const BasisRows& basis, Eigen::Index first, Eigen::Index count, Eigen::Index n,
                  const double* x, double* out);
  /// out (n, kOctet) = y - q b, times `present` (n, kOctet) unless nullptr; rss its squares.
  void (*residuals)(const OctetImages& images, const BasisRows& basis, const double* b,
                    const double* present, double* out, double* rss);
  /// weights = 1 / (v + t), and a and b.
  void (*weigh)(const OctetImages& images, const BasisRows& basis, const double* t, double* weights,
                double* scratch, const ImageSums& sums);
  /// s1 of e = y - q b.
  void (*scatter)(const OctetImages& images, const BasisRows& basis, const double* weights,
                  const ImageSums& sums);
  /// a2, s1, s2, w1, and with cubes a3, d, s3 and w2 too, of e = y - q b.
  void (*moments)(const OctetImages& images, const BasisRows& basis, const double* weights,
                  bool cubes, double* scratch, const ImageSums& sums);
  /// a, a2, b, w1, and d and s2 of y rather than e, all at t; for r up to kUnrolledRank.
  void (*scan)(const OctetImages& images, const BasisRows& basis, const double* t,
               const ImageSums& sums);

  void read(const ImageSource<float>& source, double* y, double* v, const PanelFacts& facts) const {
    read_float(source, y, v, facts);
  }
  void read(const ImageSource<double>& source, double* y, double* v,
            const PanelFacts& facts) const {
    read_double(source, y, v, facts);
  }
};

/// The loops compiled in the module of this function.
ImageLoops own_image_loops();

}  // namespace groupglm
