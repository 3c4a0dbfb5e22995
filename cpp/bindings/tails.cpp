// SPDX-License-Identifier: BSD-3-Clause
#include "bindings.hpp"
#include "groupglm/special.hpp"

namespace groupglm {

namespace {

using Values = py::array_t<double, py::array::c_style>;

// z-scores with the same upper tails as the statistics, which have one distribution.
template <typename Distribution, typename... Freedom>
Values z_scores(const Values& stat, Freedom... freedom) {
  if (stat.ndim() != 1) throw py::value_error("the statistics must have one dimension");
  Values z(stat.size());
  double* const out = z.mutable_data();
  // The views stay valid without the GIL: the argument and `z` hold the arrays.
  const py::gil_scoped_release unlocked;
  Distribution(freedom...).p_and_z(stat.data(), stat.size(), nullptr, out);
  return z;
}

}  // namespace

void register_tails(py::module_& module) {
  module.def("t_z_scores", &z_scores<StudentT, double>, py::arg("stat").noconvert(), py::arg("df"));
  module.def("f_z_scores", &z_scores<FisherF, double, double>, py::arg("stat").noconvert(),
             py::arg("df_numerator"), py::arg("df_denominator"));
}

}  // namespace groupglm
