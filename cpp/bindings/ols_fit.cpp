// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/ols_fit.hpp"

#include "bindings.hpp"
#include "groupglm/models/contrast_stats.hpp"

namespace groupglm {

namespace {

void check_same_design(const OlsState& state, const Design& design) {
  if (state.n_working() != design.n_working()) {
    throw py::value_error("the state is of another design");
  }
}

Array map_of(Matrix& array) { return {array.mutable_data(), array.size()}; }

// A map of one number a voxel.
template <auto function>
Matrix compute_map(const OlsState& state, const Design& design, int n_threads) {
  check_same_design(state, design);
  Matrix out(state.n_voxels());
  const Array view = map_of(out);
  const py::gil_scoped_release unlocked;
  function(state, design, view, n_threads);
  return out;
}

Matrix beta(const OlsState& state, const Design& design, int n_threads) {
  check_same_design(state, design);
  Matrix out({design.n_columns, state.n_voxels()});
  const RowMatrixOut view(out.mutable_data(), design.n_columns, state.n_voxels());
  const py::gil_scoped_release unlocked;
  coefficients(state, design, view, n_threads);
  return out;
}

py::tuple observations_and_rank(const OlsState& state, const Design& design, int n_threads) {
  check_same_design(state, design);
  Integers n(state.n_voxels());
  Integers rank(state.n_voxels());
  const IntArray n_view(n.mutable_data(), n.size());
  const IntArray rank_view(rank.mutable_data(), rank.size());
  {
    const py::gil_scoped_release unlocked;
    degrees_of_freedom(state, design, n_view, rank_view, n_threads);
  }
  return py::make_tuple(n, rank);
}

bool estimable(const OlsState& state, const Design& design, const Matrix& contrast) {
  check_same_design(state, design);
  const auto rows = matrix_of(contrast);
  if (rows.cols() != design.n_columns || rows.rows() == 0) {
    throw py::value_error("contrast of the wrong shape");
  }
  const MatrixXd tested = hypothesis(rows, design.scale, contrast_rank(rows, design));
  return is_estimable(tested, factorize(state.r(), design));
}

py::tuple contrast(const OlsState& state, const Design& design, const Matrix& rows,
                   const std::string& stat_type, int n_threads) {
  check_same_design(state, design);
  const auto view = matrix_of(rows);
  const bool is_t = stat_type == "t";
  if (view.cols() != design.n_columns || view.rows() == 0 || (is_t && view.rows() != 1)) {
    throw py::value_error("contrast of the wrong shape");
  }
  const Index n = state.n_voxels();
  Matrix effect({static_cast<Index>(view.rows()), n});
  Matrix variance(n);
  Matrix stat(n);
  Matrix p_value(n);
  Matrix z_score(n);
  const ContrastOutputs out{effect.mutable_data(), variance.mutable_data(), stat.mutable_data(),
                            p_value.mutable_data(), z_score.mutable_data()};
  ContrastInfo info;
  {
    const py::gil_scoped_release unlocked;
    info =
        contrast_statistics(state, design, view, is_t ? StatType::t : StatType::F, out, n_threads);
  }
  return py::make_tuple(effect, variance, stat, p_value, z_score, info.rank);
}

py::tuple parts_of_contrast(const OlsState& state, const Design& design, const Matrix& rows,
                            int n_threads) {
  check_same_design(state, design);
  const auto view = matrix_of(rows);
  if (view.cols() != design.n_columns || view.rows() == 0) {
    throw py::value_error("contrast of the wrong shape");
  }
  const Index n = state.n_voxels();
  const Index k = view.rows();
  Matrix effect({k, n});
  Matrix gram({k * (k + 1) / 2, n});
  Matrix df(n);
  Matrix rounding(n);
  const ContrastParts out{effect.mutable_data(), gram.mutable_data(), df.mutable_data(),
                          rounding.mutable_data()};
  {
    const py::gil_scoped_release unlocked;
    contrast_parts(state, design, view, out, n_threads);
  }
  return py::make_tuple(effect, gram, df, rounding);
}

void check_shapes(const Matrix& x, const Matrix& beta) {
  if (x.ndim() != 2 || beta.ndim() != 2 || x.shape(1) != beta.shape(0)) {
    throw py::value_error("the design and the coefficients do not match");
  }
}

template <typename Scalar>
py::array_t<Scalar> residuals_of(const Matrix& x, const Matrix& beta, const py::array_t<Scalar>& y,
                                 int n_threads) {
  check_shapes(x, beta);
  const DataView<Scalar> data = view_of(y);
  if (data.n_rows != x.shape(0) || data.n_voxels != beta.shape(1)) {
    throw py::value_error("the data do not match the design and the coefficients");
  }
  py::array_t<Scalar> out({data.n_rows, data.n_voxels});
  Scalar* values = out.mutable_data();
  const auto x_view = matrix_of(x);
  const auto beta_view = matrix_of(beta);
  const py::gil_scoped_release unlocked;
  residuals<Scalar>(x_view, beta_view, data, values, n_threads);
  return out;
}

Matrix predict_of(const Matrix& x, const Matrix& beta, int n_threads) {
  check_shapes(x, beta);
  Matrix out({x.shape(0), beta.shape(1)});
  double* values = out.mutable_data();
  const auto x_view = matrix_of(x);
  const auto beta_view = matrix_of(beta);
  const py::gil_scoped_release unlocked;
  predict<double>(x_view, beta_view, values, n_threads);
  return out;
}

}  // namespace

void register_ols_fit(py::module_& module) {
  const auto state = py::arg("state");
  const auto design = py::arg("design");
  const auto threads = py::arg("n_threads");
  module.def("beta", &beta, state, design, threads);
  module.def("rss", &compute_map<&residual_sum_of_squares>, state, design, threads);
  module.def("residual_norm", &compute_map<&residual_norm>, state, design, threads);
  module.def("r_square", &compute_map<&r_square>, state, design, threads);
  module.def("mean", &compute_map<&mean>, state, design, threads);
  module.def("observations_and_rank", &observations_and_rank, state, design, threads);
  module.def("is_estimable", &estimable, state, design, py::arg("contrast").noconvert());
  module.def("contrast", &contrast, state, design, py::arg("contrast").noconvert(),
             py::arg("stat_type"), threads);
  module.def("contrast_parts", &parts_of_contrast, state, design, py::arg("contrast").noconvert(),
             threads);
  const auto x = py::arg("x").noconvert();
  const auto coefs = py::arg("beta").noconvert();
  const auto y = py::arg("y").noconvert();
  module.def("residuals", &residuals_of<float>, x, coefs, y, threads);
  module.def("residuals", &residuals_of<double>, x, coefs, y, threads);
  module.def("predict", &predict_of, x, coefs, threads);
}

}  // namespace groupglm
