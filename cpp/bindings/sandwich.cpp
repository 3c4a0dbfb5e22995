// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/sandwich.hpp"

#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "bindings.hpp"

namespace groupglm {

namespace {

using Bits = Contiguous<std::uint8_t>;
using Numbers = Contiguous<std::int32_t>;
using Exponents = Contiguous<std::int16_t>;

Adjustment adjustment_of(const std::string& name) {
  static const std::array<std::pair<const char*, Adjustment>, 6> kAdjustments{{
      {"0", Adjustment::none},
      {"1", Adjustment::degrees},
      {"2", Adjustment::leverage_root},
      {"3", Adjustment::leverage},
      {"C2", Adjustment::block_root},
      {"C3", Adjustment::block},
  }};
  for (const auto& [known, adjustment] : kAdjustments) {
    if (name == known) return adjustment;
  }
  throw py::value_error("no such adjustment");
}

SandwichDf df_of(const std::string& name) {
  static const std::array<std::pair<const char*, SandwichDf>, 5> kRules{{
      {"satterthwaite", SandwichDf::satterthwaite},
      {"naive", SandwichDf::naive},
      {"approximate-1", SandwichDf::approximate_1},
      {"approximate-2", SandwichDf::approximate_2},
      {"approximate-3", SandwichDf::approximate_3},
  }};
  for (const auto& [known, rule] : kRules) {
    if (name == known) return rule;
  }
  throw py::value_error("no such rule of degrees of freedom");
}

// Numbers from 0, of which there are `count`; every number occurs.
Index check_numbers(const Integers& numbers, Index size) {
  check(numbers.ndim() == 1 && numbers.size() == size, "numbers of the wrong shape");
  Index count = 0;
  for (Index i = 0; i < size; ++i) {
    const Index number = numbers.data()[i];
    check(number >= 0 && number < size, "a number out of range");
    count = std::max(count, number + 1);
  }
  return count;
}

// basis (n, r); subject (n); part, group (n_subjects); visit (n). group and visit are empty for the
// classic estimator.
SubjectBlocks blocks_of(const Matrix& basis, const Integers& subject, const Integers& part,
                        const Integers& group, const Integers& visit) {
  const auto q = matrix_of(basis);
  const Index n = q.rows();
  // Larger entries would overflow in its products.
  check(n > 0 && q.cols() > 0 && q.cols() <= n && q.allFinite() && (q.array().abs() < 1.5).all(),
        "not an orthonormal basis");
  SubjectBlocks blocks;
  const Index n_subjects = check_numbers(subject, n);
  std::vector<Index> sizes(static_cast<std::size_t>(n_subjects), 0);
  for (Index i = 0; i < n; ++i) ++sizes[static_cast<std::size_t>(subject.data()[i])];
  blocks.starts.push_back(0);
  for (const Index size : sizes) {
    check(size > 0, "a subject without images");
    blocks.starts.push_back(blocks.starts.back() + size);
  }
  std::vector<Index> next(blocks.starts.begin(), blocks.starts.end() - 1);
  blocks.rows.resize(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    blocks.rows[static_cast<std::size_t>(next[static_cast<std::size_t>(subject.data()[i])]++)] = i;
  }
  blocks.basis.resize(n, q.cols());
  for (Index i = 0; i < n; ++i)
    blocks.basis.row(i) = q.row(blocks.rows[static_cast<std::size_t>(i)]);
  blocks.n_parts = check_numbers(part, n_subjects);
  blocks.part.assign(part.data(), part.data() + n_subjects);
  if (group.size() == 0) return blocks;
  blocks.n_visits.assign(static_cast<std::size_t>(check_numbers(group, n_subjects)), 0);
  blocks.group.assign(group.data(), group.data() + n_subjects);
  check_numbers(visit, n);
  for (Index s = 0; s < n_subjects; ++s) {
    Index& count =
        blocks.n_visits[static_cast<std::size_t>(blocks.group[static_cast<std::size_t>(s)])];
    const auto first = blocks.starts[static_cast<std::size_t>(s)];
    const auto end = blocks.starts[static_cast<std::size_t>(s) + 1];
    for (Index i = first; i < end; ++i) {
      const Index own = visit.data()[blocks.rows[static_cast<std::size_t>(i)]];
      for (Index j = first; j < i; ++j) {
        check(blocks.visit[static_cast<std::size_t>(j)] != own, "a subject has a visit twice");
      }
      blocks.visit.push_back(own);
      count = std::max(count, own + 1);
    }
  }
  return blocks;
}

template <typename Scalar>
py::tuple sums_of(const Matrix& basis, const Integers& subject, const Integers& part,
                  const Integers& group, const Integers& visit, const std::string& adjustment,
                  const py::array_t<Scalar>& y, const Exponents& exponent, bool with_fourth,
                  int n_threads) {
  const SubjectBlocks blocks = blocks_of(basis, subject, part, group, visit);
  const Adjustment chosen = adjustment_of(adjustment);
  const DataView<Scalar> data = view_of(y);
  check(data.n_rows == blocks.n(), "the data do not match the basis");
  check(exponent.size() == 0 || exponent.size() == data.n_voxels,
        "the exponents do not match the data");
  check(!with_fourth || !blocks.is_homogeneous(), "the homogeneous estimator has no fourth powers");
  const Index n_sums =
      blocks.is_homogeneous() ? blocks.n_covariances() : blocks.r() * (blocks.r() + 1) / 2;
  Matrix sums({n_sums, data.n_voxels});
  Matrix fourth({with_fourth ? n_fourth(blocks.r()) : 0, data.n_voxels});
  Bits bits({data.n_voxels, blocks.n_bytes()});
  Bits projected(blocks.is_homogeneous() ? data.n_voxels : 0);
  const SandwichSums out{sums.mutable_data(), with_fourth ? fourth.mutable_data() : nullptr,
                         bits.mutable_data(),
                         blocks.is_homogeneous() ? projected.mutable_data() : nullptr};
  const std::int16_t* const scales = exponent.size() == 0 ? nullptr : exponent.data();
  {
    const py::gil_scoped_release unlocked;
    sandwich_sums<Scalar>(blocks, chosen, data, scales, out, n_threads);
  }
  return py::make_tuple(sums, fourth, bits, projected);
}

py::tuple test_of(const Matrix& basis, const Integers& subject, const Integers& part,
                  const Integers& group, const Integers& visit, const std::string& adjustment,
                  const std::string& df_rule, const Matrix& sums, const Matrix& fourth,
                  const Numbers& pattern, const Bits& patterns, const Matrix& effect,
                  const Matrix& g, int n_threads) {
  const SubjectBlocks blocks = blocks_of(basis, subject, part, group, visit);
  const Adjustment chosen = adjustment_of(adjustment);
  const SandwichDf rule = df_of(df_rule);
  const bool is_first = rule == SandwichDf::approximate_1;
  check(blocks.is_homogeneous()
            ? rule != SandwichDf::satterthwaite
            : rule != SandwichDf::approximate_2 && rule != SandwichDf::approximate_3,
        "the estimator does not have this rule of degrees of freedom");
  const auto all_sums = matrix_of(sums);
  const auto effects = matrix_of(effect);
  const Index n = effects.cols();
  const Index n_sums =
      blocks.is_homogeneous() ? blocks.n_covariances() : blocks.r() * (blocks.r() + 1) / 2;
  check(all_sums.rows() == n_sums && all_sums.cols() == n, "the sums do not match");
  const bool with_fourth = is_first && !blocks.is_homogeneous();
  const auto all_fourth = matrix_of(fourth);
  check(!with_fourth || (all_fourth.rows() == n_fourth(blocks.r()) && all_fourth.cols() == n),
        "the fourth powers do not match");
  check(patterns.ndim() == 2 && patterns.shape(1) == blocks.n_bytes() && pattern.ndim() == 1 &&
            pattern.size() == n,
        "the patterns do not match");
  const Index n_patterns = patterns.shape(0);
  for (Index v = 0; v < n; ++v) {
    check(pattern.data()[v] >= -1 && pattern.data()[v] < n_patterns, "no such pattern");
  }
  const auto rows = matrix_of(g);
  check(rows.rows() > 0 && rows.rows() == effects.rows() && rows.cols() == blocks.r() &&
            rows.rows() <= blocks.r() && rows.allFinite(),
        "the rows of the contrast do not match");
  const SandwichTest test{sums.data(),    with_fourth ? fourth.data() : nullptr,
                          pattern.data(), patterns.data(),
                          n_patterns,     n,
                          effect.data(),  rows};
  Matrix variance(n);
  Matrix wald(n);
  Matrix df(n);
  double* const variance_out = variance.mutable_data();
  double* const wald_out = wald.mutable_data();
  double* const df_out = df.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    sandwich_test(blocks, chosen, rule, test, variance_out, wald_out, df_out, n_threads);
  }
  return py::make_tuple(variance, wald, df);
}

}  // namespace

void register_sandwich(py::module_& module) {
  const auto basis = py::arg("basis").noconvert();
  const auto subject = py::arg("subject").noconvert();
  const auto part = py::arg("part").noconvert();
  const auto group = py::arg("group").noconvert();
  const auto visit = py::arg("visit").noconvert();
  const auto adjustment = py::arg("adjustment");
  const auto threads = py::arg("n_threads");
  const auto y = py::arg("y").noconvert();
  const auto exponent = py::arg("exponent").noconvert();
  const auto with_fourth = py::arg("with_fourth");
  module.def("sandwich_sums", &sums_of<float>, basis, subject, part, group, visit, adjustment, y,
             exponent, with_fourth, threads);
  module.def("sandwich_sums", &sums_of<double>, basis, subject, part, group, visit, adjustment, y,
             exponent, with_fourth, threads);
  module.def("sandwich_test", &test_of, basis, subject, part, group, visit, adjustment,
             py::arg("df"), py::arg("sums").noconvert(), py::arg("fourth").noconvert(),
             py::arg("pattern").noconvert(), py::arg("patterns").noconvert(),
             py::arg("effect").noconvert(), py::arg("g").noconvert(), threads);
}

}  // namespace groupglm
