// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/design.hpp"

#include "bindings.hpp"

namespace groupglm {

void register_design(py::module_& module) {
  // module_local: the modules of several levels may be loaded into one process.
  py::class_<Design>(module, "Design", py::module_local())
      .def(py::init([](const Matrix& x) {
             const auto view = matrix_of(x);
             if (view.rows() == 0 || view.cols() == 0) {
               throw py::value_error("the design matrix is empty");
             }
             if (!view.allFinite()) throw py::value_error("the design matrix is not finite");
             return make_design(view);
           }),
           py::arg("x").noconvert())
      .def_readonly("n_columns", &Design::n_columns)
      .def_readonly("rank", &Design::rank)
      .def_property_readonly("n_rows", &Design::n_rows)
      .def_property_readonly("n_working", &Design::n_working);
}

}  // namespace groupglm
