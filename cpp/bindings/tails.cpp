// SPDX-License-Identifier: BSD-3-Clause
#include <variant>

#include "bindings.hpp"
#include "groupglm/models/statistics.hpp"

namespace groupglm {

namespace {

using Freedom = std::variant<double, Matrix>;

// The null distribution of n statistics whose degrees of freedom are one number or n numbers.
NullDistribution null_distribution(StatType type, double rank, const Freedom& df, Index n) {
  NullDistribution null{type, rank};
  if (const auto* shared = std::get_if<double>(&df)) {
    null.df_common = *shared;
  } else {
    const auto& by_place = std::get<Matrix>(df);
    check(by_place.ndim() == 1 && by_place.size() == n,
          "degrees of freedom must be one number, or one a statistic");
    null.df = by_place.data();
  }
  return null;
}

// The z-scores with the upper tails of the statistics.
Matrix z_scores(const Matrix& stat, StatType type, double rank, const Freedom& df, int n_threads) {
  check(stat.ndim() == 1, "the statistics must have one dimension");
  const NullDistribution null = null_distribution(type, rank, df, stat.size());
  Matrix z(stat.size());
  double* const out = z.mutable_data();
  // The views stay valid without the GIL: the arguments and `z` hold the arrays.
  const py::gil_scoped_release unlocked;
  tail_probabilities(null, stat.data(), stat.size(), nullptr, out, n_threads);
  return z;
}

py::tuple statistics(const Matrix& effect, const Matrix& variance, StatType type, double rank,
                     const Freedom& df, int n_threads) {
  check(effect.ndim() == 1 && variance.ndim() == 1 && effect.size() == variance.size(),
        "effects and variances must have one dimension and the same length");
  const Index n = effect.size();
  const NullDistribution null = null_distribution(type, rank, df, n);
  Matrix stat(n);
  Matrix p_value(n);
  Matrix z_score(n);
  const StatisticOutputs out{stat.mutable_data(), p_value.mutable_data(), z_score.mutable_data()};
  {
    const py::gil_scoped_release unlocked;
    test_statistics(null, effect.data(), variance.data(), n, out, n_threads);
  }
  return py::make_tuple(stat, p_value, z_score);
}

}  // namespace

void register_tails(py::module_& module) {
  const auto stat = py::arg("stat").noconvert();
  const auto variance = py::arg("variance").noconvert();
  const auto numerator = py::arg("df_numerator");
  const auto denominator = py::arg("df_denominator").noconvert();
  const auto df = py::arg("df").noconvert();
  const auto threads = py::arg("n_threads");
  module.def(
      "t_z_scores",
      [](const Matrix& t, const Freedom& freedom, int n_threads) {
        return z_scores(t, StatType::t, 1.0, freedom, n_threads);
      },
      stat, df, threads);
  module.def(
      "f_z_scores",
      [](const Matrix& f, double rank, const Freedom& freedom, int n_threads) {
        return z_scores(f, StatType::F, rank, freedom, n_threads);
      },
      stat, numerator, denominator, threads);
  module.def(
      "t_statistics",
      [](const Matrix& effect, const Matrix& var, const Freedom& freedom, int n_threads) {
        return statistics(effect, var, StatType::t, 1.0, freedom, n_threads);
      },
      py::arg("effect").noconvert(), variance, df, threads);
  module.def(
      "f_statistics",
      [](const Matrix& squares, const Matrix& var, double rank, const Freedom& freedom,
         int n_threads) { return statistics(squares, var, StatType::F, rank, freedom, n_threads); },
      py::arg("sum_of_squares").noconvert(), variance, numerator, denominator, threads);
}

}  // namespace groupglm
