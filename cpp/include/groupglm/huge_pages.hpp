// SPDX-License-Identifier: BSD-3-Clause
// Huge pages for large memory. huge_pages.cpp is the only file that names the system's call.
//
// The system hands out new memory a page at a time, when a page is first written to. With pages of
// 4 KB that takes longer than the writing: 5,700 page faults for the state of 235,375 voxels.
#pragma once

#include <cstddef>

namespace groupglm {

/// Memory of fewer bytes is left as it is: a huge page has 2 MB.
inline constexpr std::size_t kLeastForHugePages = std::size_t{1} << 22;

/// Asks the system for huge pages where they lie wholly inside of new memory, so that no byte
/// beyond is taken. Without effect if they do not exist, or the system denies them; the memory
/// holds the same numbers in any case.
void advise_huge_pages(void* data, std::size_t n_bytes) noexcept;

/// The same for the coefficients of an Eigen matrix.
template <typename Matrix>
void advise_huge_pages(Matrix& matrix) noexcept {
  advise_huge_pages(matrix.data(),
                    static_cast<std::size_t>(matrix.size()) * sizeof(typename Matrix::Scalar));
}

}  // namespace groupglm
