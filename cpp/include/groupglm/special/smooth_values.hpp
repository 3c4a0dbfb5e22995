// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Eigen/Core>
#include <array>
#include <functional>

// Many values of a smooth function that is slow to compute.
//
// The plane of its two arguments is cut into cells, 1/2 wide each way. Chebyshev polynomials of
// degree 12 each way serve a cell that has values enough to be worth its nodes (13, or 169 if the
// second argument has more than 16 values); elsewhere the function is computed. For a function that
// is analytic within 1.5 of the real line, a polynomial is right to 1e-13 of the size of the
// function (the ellipse of regularity has a sum of semi-axes of 12 half widths).
//
// The result of a value depends, within this, on how many others share its cell, and never on the
// number of threads. Memory: 12 bytes a value besides arguments and results, 104 or 1352 bytes a
// cell and output.
namespace groupglm {

using SmoothFunction = std::function<std::array<double, 2>(double v, double w)>;

// first[i], second[i] = function(v[i], w[i]); NaN where an argument is NaN. `second` may be
// nullptr. Arguments are within [-1000, 1000]. If `w` is nullptr, all are `w_common`.
void smooth_values(const double* v, const double* w, double w_common, Eigen::Index n,
                   const SmoothFunction& function, double* first, double* second, int n_threads);

}  // namespace groupglm
