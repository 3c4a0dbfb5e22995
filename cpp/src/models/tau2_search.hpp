// SPDX-License-Identifier: BSD-3-Clause
// The highest maximum of the (restricted) likelihood of tau2 >= 0, for kOctet voxels.
//
// The slope of the log likelihood is (G - F) / 2, with G = y'P^2 y and F = tr P (ML: sum(w)). With
// the eigenvalues m_i of the variances on the complement of the design, between the smallest and
// the largest variance, and y in their coordinates as z_i, which has sum(z_i^2) = RSS,
//
//   F = sum(1 / (m_i + tau2)),   G = sum(z_i^2 / (m_i + tau2)^2).
//
// The slope is therefore below zero wherever m (vmin + tau2)^2 > RSS (vmax + tau2), m the number of
// eigenvalues (ML: of images), and above zero wherever m (vmax + tau2)^2 < RSS (vmin + tau2).
// Between these bounds, the signs of the slope are taken at points whose distance in log(vmin +
// tau2) is kStep; d log(G / F) / d log(vmin + tau2) is between -2 and 1, so that nothing changes
// much within a step. A change from plus to minus brackets a maximum, which Newton's iteration
// finds in the coordinate 1 / (c + tau2), in which G / F is linear if all variances are equal.
// Where there is more than one candidate, or where G / F comes near 1 without crossing it, the
// points are taken much closer, every maximum is found, and their likelihoods are compared.
#pragma once

#include "models/tau2_sums.hpp"

namespace groupglm {

// What is known of the voxels of the lanes.
struct OctetFacts {
  Octet n_images;  // present
  Octet smallest;  // variance
  Octet largest;
  Octet rss;  // of the fit by least squares
};

// tau2, NaN where a voxel has no more images than the rank; and tr P and y'Py at tau2 = 0.
struct OctetTau2 {
  Octet tau2;
  Octet trace;
  Octet q;
};

// images: with the residuals of least squares as y.
OctetTau2 largest_likelihood(Tau2Sums& sums, const OctetImages& images, const OctetFacts& facts,
                             bool restricted);

}  // namespace groupglm
