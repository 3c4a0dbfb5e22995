// SPDX-License-Identifier: BSD-3-Clause
// Gaussian smoothing of one volume.
//
// Along each axis of n voxels,
//   out[i] = sum over |k| <= r of w[k] x[i + k],
//   w[k] = exp(-k^2 / (2 sigma^2)) / sum,   r = floor(4 sigma + 1/2).
// Beyond a face the volume continues as its mirror image, which repeats the voxel at the face:
// x[-1 - i] = x[i], with period 2 n. Axis after axis, this equals scipy.ndimage.gaussian_filter
// with its defaults.
//
// Because the mirrored axis has period 2 n, weights that lie 2 n apart are added up: no kernel
// reaches further than n, however large sigma is. A voxel costs r' = min(r, n) additions and r' + 1
// multiply-adds an axis. At 8 mm full width and 2 mm voxels r' is 7; 91 x 109 x 91 voxels are then
// 41 million operations, 2.5 million cycles of two AVX-512 units, and as many loads.
//
// Missing values (NaN) count in no average and stay missing. With p = 1 where a value is present
// and 0 elsewhere, out = G(x p) / G(p): the normalised convolution of Knutsson and Westin (CVPR
// 1993, eq. 12). Without missing values G(p) = 1, and the plain filter is enough.
#pragma once

#include <Eigen/Core>
#include <array>
#include <vector>

namespace groupglm {

/// The largest sigma. The weights of a kernel are computed one by one before they are folded; this
/// limit bounds that time.
inline constexpr double kMaxSigma = 1e6;

/// The weights of an axis of `length` voxels, folded into its period: half[k] is the weight of each
/// of the two voxels at distance k, 0 <= k <= min(r, length), so that
/// half[0] + 2 (half[1] + ...) = 1.
///
/// `half` is {1} if there is nothing to smooth: sigma < 1/8, or a single voxel.
std::vector<double> gaussian_half_kernel(double sigma, Eigen::Index length);

/// Smooths a volume of shape[0] x shape[1] x shape[2] values, the first axis fastest, in place.
///
/// sigma: standard deviations in voxels, 0 to kMaxSigma; 0 leaves an axis as it is. Sums are in
/// double. Results are the same bits for any number of threads. An infinite value spreads, as
/// infinity or NaN, over all that its kernel reaches; the caller must refuse it.
///
/// Workspace a thread, in doubles, the larger of two numbers: (shape[1] + 2 r'[1] + 2) rows of
/// shape[0] rounded up to 32, plus 2 r'[0]; and (shape[2] + 2 r'[2] + 1) rows of 64. With missing
/// values twice that, and one more volume of Scalar.
///
/// Throws std::invalid_argument for a negative length, or a sigma out of range.
template <typename Scalar>
void smooth_volume(Scalar* volume, const std::array<Eigen::Index, 3>& shape,
                   const std::array<double, 3>& sigma, int n_threads);

}  // namespace groupglm
