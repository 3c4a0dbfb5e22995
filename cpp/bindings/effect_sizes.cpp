// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/effect_sizes.hpp"

#include <variant>

#include "bindings.hpp"

namespace groupglm {

namespace {

using OneOrMany = std::variant<double, Matrix>;

PlaceNumbers place_numbers(const OneOrMany& given, Index n) {
  if (const auto* one = std::get_if<double>(&given)) return {nullptr, *one};
  const auto& many = std::get<Matrix>(given);
  check(many.ndim() == 1 && many.size() == n,
        "degrees of freedom and scales must be one number, or one a statistic");
  return {many.data(), 0.0};
}

void check_interval(const Matrix& stat, double confidence) {
  check(stat.ndim() == 1, "the statistics must have one dimension");
  check(confidence > 0.0 && confidence < 1.0, "the confidence must be above 0 and below 1");
}

void check_rank(double rank) {
  check(rank > 0.0 && rank < 1e6, "the rank of an F must be finite and above zero");
}

// Both ends of an interval at every place, by compute(freedom, low, high) without the GIL.
template <typename Compute>
py::tuple interval(const Matrix& stat, const OneOrMany& df, double confidence,
                   const Compute& compute) {
  check_interval(stat, confidence);
  const Index n = stat.size();
  const PlaceNumbers freedom = place_numbers(df, n);
  Matrix low(n);
  Matrix high(n);
  double* const first = low.mutable_data();
  double* const last = high.mutable_data();
  {
    // The views stay valid without the GIL: the arguments and results hold the arrays.
    const py::gil_scoped_release unlocked;
    compute(freedom, first, last);
  }
  return py::make_tuple(low, high);
}

py::tuple t_interval(const Matrix& t, const OneOrMany& df, double confidence, int n_threads) {
  const double* const stat = t.data();
  return interval(t, df, confidence, [&](const PlaceNumbers& freedom, double* low, double* high) {
    t_noncentralities(stat, t.size(), freedom, confidence, low, high, n_threads);
  });
}

py::tuple f_interval(const Matrix& f, double rank, const OneOrMany& df, double confidence,
                     int n_threads) {
  check_rank(rank);
  const double* const stat = f.data();
  return interval(f, df, confidence, [&](const PlaceNumbers& freedom, double* low, double* high) {
    f_noncentralities(stat, f.size(), rank, freedom, confidence, low, high, n_threads);
  });
}

Matrix t_probabilities(const Matrix& t, const OneOrMany& df, const Matrix& noncentrality,
                       int n_threads) {
  check(t.ndim() == 1 && noncentrality.ndim() == 1 && t.size() == noncentrality.size(),
        "statistics and noncentralities must have one dimension and the same length");
  const Index n = t.size();
  const PlaceNumbers freedom = place_numbers(df, n);
  Matrix found(n);
  double* const out = found.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    noncentral_t_probabilities(t.data(), noncentrality.data(), n, freedom, out, n_threads);
  }
  return found;
}

Matrix bayes_factors(const Matrix& f, double rank, const OneOrMany& df, const OneOrMany& scale,
                     int n_threads) {
  check(f.ndim() == 1, "the statistics must have one dimension");
  check_rank(rank);
  const Index n = f.size();
  const PlaceNumbers freedom = place_numbers(df, n);
  const PlaceNumbers own_scale = place_numbers(scale, n);
  Matrix found(n);
  double* const out = found.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    log_bayes_factors(f.data(), n, rank, freedom, own_scale, out, n_threads);
  }
  return found;
}

}  // namespace

void register_effect_sizes(py::module_& module) {
  const auto stat = py::arg("stat").noconvert();
  const auto df = py::arg("df").noconvert();
  const auto rank = py::arg("df_numerator");
  const auto confidence = py::arg("confidence");
  const auto threads = py::arg("n_threads");
  module.def("t_noncentralities", &t_interval, stat, df, confidence, threads);
  module.def("f_noncentralities", &f_interval, stat, rank, df, confidence, threads);
  module.def("noncentral_t_cdf", &t_probabilities, stat, df, py::arg("noncentrality").noconvert(),
             threads);
  module.def("log_bayes_factors", &bayes_factors, stat, rank, df, py::arg("scale").noconvert(),
             threads);
}

}  // namespace groupglm
