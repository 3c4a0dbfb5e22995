// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/huge_pages.hpp"

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace groupglm {

void advise_huge_pages(void* data, std::size_t n_bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (n_bytes < kLeastForHugePages) return;
  constexpr std::uintptr_t kPage = 4096;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t first = (address + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (address + n_bytes) / kPage * kPage;
  // What the system answers does not matter: without huge pages the memory is as good.
  static_cast<void>(madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE));
#else
  static_cast<void>(data);
  static_cast<void>(n_bytes);
#endif
}

}  // namespace groupglm
