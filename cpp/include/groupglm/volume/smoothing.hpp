// SPDX-License-Identifier: BSD-3-Clause
// Gaussian smoothing of one volume.
//
// Along each axis of n voxels, out[i] = sum over |k| <= r of w[k] x[i + k], with
// w[k] = exp(-k^2 / (2 sigma^2)) / sum and r = floor(4 sigma + 1/2). Beyond a face the volume is
// continued by its mirror image, the voxel at the face included: x[-1 - i] = x[i], and so with
// period 2 n for ever. Axis after axis, this is scipy.ndimage.gaussian_filter with its defaults.
//
// The mirrored axis has period 2 n, so weights 2 n apart may be added: no kernel reaches further
// than n, however large sigma is. A voxel costs r' = min(r, n) additions and r' + 1 multiply-adds
// an axis. At 8 mm full width and 2 mm voxels r' is 7; 91 x 109 x 91 voxels are 41 million
// operations, 2.5 million cycles of two AVX-512 units, and as many loads.
//
// Missing values (NaN) take part in no average, and stay missing: with p = 1 where a value is
// present and 0 elsewhere, out = G(x p) / G(p), the normalised convolution of Knutsson and Westin
// (CVPR 1993, eq. 12). Without missing values G(p) = 1 and the plain filter is all there is to do.
#pragma once

#include <Eigen/Core>
#include <array>
#include <vector>

namespace groupglm {

/// Weights of a kernel are counted one by one before they are folded: this bounds the time.
inline constexpr double kMaxSigma = 1e6;

/// The weights of an axis of `length` voxels, folded into its period: half[k] is the weight of
/// either voxel at distance k, 0 <= k <= min(r, length), so that half[0] + 2 (half[1] + ...) = 1.
///
/// `half` is {1} where nothing is to be done: sigma < 1/8, or a single voxel.
std::vector<double> gaussian_half_kernel(double sigma, Eigen::Index length);

/// Smooths a volume of shape[0] x shape[1] x shape[2] values, the first axis fastest, in place.
///
/// sigma: standard deviations in voxels, 0 to kMaxSigma; 0 leaves an axis alone. Sums are in
/// double. Results are the same bits for any number of threads. An infinite value spreads, as
/// infinity or NaN, over all that its kernel reaches: the caller refuses it.
///
/// Workspace a thread, in doubles: the larger of (shape[1] + 2 r'[1] + 2) rows of shape[0], which
/// is rounded up to 32, plus 2 r'[0]; and (shape[2] + 2 r'[2] + 1) rows of 64. With missing
/// values twice that, and one more volume of Scalar.
/// Throws std::invalid_argument for a negative length, or a sigma out of range.
template <typename Scalar>
void smooth_volume(Scalar* volume, const std::array<Eigen::Index, 3>& shape,
                   const std::array<double, 3>& sigma, int n_threads);

}  // namespace groupglm
