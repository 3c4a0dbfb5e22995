// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/huge_pages.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <vector>

#if defined(__linux__)
#include <sys/resource.h>

#include <fstream>
#include <string>
#endif

using groupglm::advise_huge_pages;
using groupglm::kLeastForHugePages;

TEST_CASE("memory keeps its numbers when huge pages are asked for") {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, kLeastForHugePages / 8 - 1,
                              kLeastForHugePages / 8, std::size_t{3'000'001}}) {
    CAPTURE(n);
    std::vector<double> values(n, 1.5);
    // From an address that no page begins at, too.
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}}) {
      if (first > n) continue;
      advise_huge_pages(values.data() + first, (n - first) * sizeof(double));
    }
    CHECK(values == std::vector<double>(n, 1.5));
  }
  advise_huge_pages(nullptr, 0);
}

#if defined(__linux__)
namespace {

bool has_huge_pages() {
  std::ifstream setting("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(setting, line);
  return line.find("[madvise]") != std::string::npos || line.find("[always]") != std::string::npos;
}

long n_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

}  // namespace

TEST_CASE("new memory with huge pages takes a fault for each of them") {
  constexpr Eigen::Index kNumbers = 8 << 20;  // 64 MB: 16,384 pages of 4 KB, or 32 of 2 MB
  const long before = n_faults();
  Eigen::ArrayXd values;
  values.resize(kNumbers);
  advise_huge_pages(values);
  values.setConstant(1.0);
  const long n = n_faults() - before;
  CHECK(values.sum() == static_cast<double>(kNumbers));
  // At the ends, 4 MB at most have small pages. Memory short of runs of 2 MB gives more of them.
  if (has_huge_pages()) WARN(n <= 32 + 2 * 512);
}
#endif
