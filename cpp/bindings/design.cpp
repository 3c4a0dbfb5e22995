// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/design.hpp"

#include "bindings.hpp"

namespace groupglm {

namespace {

// The design of some of its rows. Columns keep the lengths that all rows gave them.
Design rows_of(const Design& design, Index first, Index count) {
  if (first < 0 || count < 1 || first > design.n_rows() - count) {
    throw py::index_error("no such rows");
  }
  Design part = design;
  part.working = design.working.middleRows(first, count);
  return part;
}

py::tuple design_parts(const Design& design) {
  return py::make_tuple(design.working, design.scale, design.intercept, design.n_columns,
                        design.rank, design.has_intercept);
}

Design design_of_parts(const py::tuple& parts) {
  if (parts.size() != 6) throw py::value_error("not a pickled design");
  Design design;
  design.working = parts[0].cast<RowMatrix>();
  design.scale = parts[1].cast<VectorXd>();
  design.intercept = parts[2].cast<VectorXd>();
  design.n_columns = parts[3].cast<Index>();
  design.rank = parts[4].cast<Index>();
  design.has_intercept = parts[5].cast<bool>();
  const Index q = design.n_working();
  if (design.scale.size() != design.n_columns || design.intercept.size() != q ||
      q < design.n_columns || q > design.n_columns + 1 || design.n_rows() == 0) {
    throw py::value_error("not a pickled design");
  }
  return design;
}

MatrixXd checked_rows(const Design& design, const Matrix& rows) {
  const auto view = matrix_of(rows);
  if (view.cols() != design.n_columns || view.rows() == 0) {
    throw py::value_error("rows of the wrong shape");
  }
  return view;
}

RowMatrix gains_of(const Design& design, const Matrix& rows) {
  return gains(checked_rows(design, rows), design);
}

py::tuple partition(const Design& design, const Matrix& contrast) {
  const MatrixXd rows = checked_rows(design, contrast);
  const Factor factor = factorize(design);
  const MatrixXd tested = hypothesis(rows, design.scale, contrast_rank(rows, design));
  if (!is_estimable(tested, factor)) throw py::value_error("the contrast is not estimable");
  Split parts = split(tested, factor);
  return py::make_tuple(RowMatrix(parts.effect.transpose()), RowMatrix(parts.nuisance.transpose()));
}

}  // namespace

void register_design(py::module_& module) {
  module.attr("RANK_TOLERANCE") = kRankTolerance;
  module.attr("ESTIMABLE_TOLERANCE") = kEstimableTolerance;
  // module_local, because the modules of several levels may be loaded into one process.
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
      .def("rows", &rows_of, py::arg("first"), py::arg("count"))
      .def(py::pickle(&design_parts, &design_of_parts))
      .def_readonly("n_columns", &Design::n_columns)
      .def_readonly("rank", &Design::rank)
      .def_readonly("has_intercept", &Design::has_intercept)
      .def("basis", [](const Design& design) { return RowMatrix(factorize(design).span); })
      .def("gains", &gains_of, py::arg("rows").noconvert())
      .def("partition", &partition, py::arg("contrast").noconvert())
      .def_property_readonly("n_rows", &Design::n_rows)
      .def_property_readonly("n_working", &Design::n_working);
}

}  // namespace groupglm
