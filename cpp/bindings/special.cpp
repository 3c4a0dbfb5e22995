// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/special.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

// (p, z) of every statistic.
template <typename Distribution>
py::tuple p_and_z(const Distribution& distribution, const Matrix& stat) {
  Matrix p(stat.size());
  Matrix z(stat.size());
  {
    const double* values = stat.data();
    double* p_out = p.mutable_data();
    double* z_out = z.mutable_data();
    const auto n = stat.size();
    const py::gil_scoped_release unlocked;
    distribution.p_and_z(values, n, p_out, z_out);
  }
  return py::make_tuple(p, z);
}

template <double (StudentT::*function)(double) const>
Matrix t_values(const Matrix& stat, double df) {
  const StudentT distribution(df);
  Matrix out(stat.size());
  for (py::ssize_t i = 0; i < stat.size(); ++i) {
    out.mutable_data()[i] = (distribution.*function)(stat.data()[i]);
  }
  return out;
}

template <double (FisherF::*function)(double) const>
Matrix f_values(const Matrix& stat, double df_numerator, double df_denominator) {
  const FisherF distribution(df_numerator, df_denominator);
  Matrix out(stat.size());
  for (py::ssize_t i = 0; i < stat.size(); ++i) {
    out.mutable_data()[i] = (distribution.*function)(stat.data()[i]);
  }
  return out;
}

}  // namespace

void register_special(py::module_& module) {
  const auto stat = py::arg("stat").noconvert();
  module.def("t_log_sf", &t_values<&StudentT::log_sf>, stat, py::arg("df"));
  module.def("f_log_sf", &f_values<&FisherF::log_sf>, stat, py::arg("df_numerator"),
             py::arg("df_denominator"));
  module.def(
      "t_p_and_z", [](const Matrix& t, double df) { return p_and_z(StudentT(df), t); }, stat,
      py::arg("df"));
  module.def(
      "f_p_and_z",
      [](const Matrix& f, double df_numerator, double df_denominator) {
        return p_and_z(FisherF(df_numerator, df_denominator), f);
      },
      stat, py::arg("df_numerator"), py::arg("df_denominator"));
}

}  // namespace groupglm
