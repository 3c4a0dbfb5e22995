// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/huge_pages.hpp"

#include <memory>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace groupglm {

void advise_huge_pages(void* data, std::size_t n_bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (n_bytes < kLeastForHugePages) return;
  constexpr std::size_t kPage = 4096;
  if (std::align(kPage, kPage, data, n_bytes) == nullptr) return;  // the first whole page
  // What the system answers does not matter: without huge pages the memory is as good.
  static_cast<void>(madvise(data, n_bytes / kPage * kPage, MADV_HUGEPAGE));
#else
  static_cast<void>(data);
  static_cast<void>(n_bytes);
#endif
}

}  // namespace groupglm
