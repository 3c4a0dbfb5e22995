// SPDX-License-Identifier: BSD-3-Clause
#include "bindings.hpp"
#include "groupglm/models/weighted_fit.hpp"

namespace groupglm {

namespace {

WeightedState new_weighted_state(Index n_working, Index n_own, Index n_voxels, int n_threads) {
  constexpr Index kMost = Index{1} << 20;
  check(n_working >= 0 && n_own >= 0 && n_voxels >= 0 && n_working <= kMost && n_own <= kMost,
        "a state needs sizes of at least 0");
  const py::gil_scoped_release unlocked;
  return {n_working, n_own, n_voxels, n_threads};
}

void check_weighted_design(const WeightedState& state, const Design& design) {
  check(state.parts().n_working == design.n_working(), "the state is of another design");
}

// A view of rows that must have the shape of y.
template <typename Scalar>
DataView<Scalar> view_beside(const py::array_t<Scalar>& array, const DataView<Scalar>& y) {
  const DataView<Scalar> view = view_of(array);
  check(view.n_rows == y.n_rows && view.n_voxels == y.n_voxels,
        "what stands beside the rows has another shape");
  return view;
}

template <typename Scalar>
void update_weighted(WeightedState& state, const Design& design, Index first_row,
                     const py::array_t<Scalar>& y,
                     const std::optional<py::array_t<Scalar>>& weights,
                     const std::vector<py::array_t<Scalar>>& covariates, bool as_variances,
                     const std::optional<Matrix>& tau2, int n_threads) {
  WeightedRows<Scalar> rows;
  rows.y = view_of(y);
  check(first_row >= 0 && rows.y.n_rows <= design.n_rows() - first_row,
        "the rows are not those of the design");
  check_weighted_design(state, design);
  check(rows.y.n_voxels == state.n_voxels(), "the state is of other voxels");
  check(static_cast<Index>(covariates.size()) == state.parts().n_own,
        "the state has another number of covariates");
  rows.as_variances = as_variances;
  if (weights) rows.w = view_beside(*weights, rows.y);
  check(weights.has_value() || !as_variances, "no variances are given");
  for (const auto& z : covariates) rows.z.push_back(view_beside(z, rows.y));
  if (tau2) {
    check(tau2->ndim() == 1 && tau2->size() == state.n_voxels(), "tau2 has another shape");
    rows.tau2 = tau2->data();
  }
  // The views stay valid without the GIL: the caller's arguments hold the arrays.
  const py::gil_scoped_release unlocked;
  state.update<Scalar>(design, first_row, rows, n_threads);
}

void merge_weighted(WeightedState& state, const WeightedState& other, int n_threads) {
  check(state.parts().n_working == other.parts().n_working &&
            state.parts().n_own == other.parts().n_own && state.n_voxels() == other.n_voxels(),
        "the states are of different designs or voxels");
  const py::gil_scoped_release unlocked;
  state.merge(other, n_threads);
}

WeightedState select_weighted(const WeightedState& state, const py::array_t<std::int64_t>& voxels) {
  const std::vector<Index> indices = voxels_of(voxels, state.n_voxels());
  const py::gil_scoped_release unlocked;
  return state.select(indices);
}

WeightedState spread_weighted(const WeightedState& state, const py::array_t<std::int64_t>& places,
                              Index n_voxels, bool as_variances) {
  check(n_voxels >= 0, "a state needs sizes of at least 0");
  const std::vector<Index> indices = voxels_of(places, n_voxels);
  check(static_cast<Index>(indices.size()) == state.n_voxels(), "the state is of other voxels");
  const py::gil_scoped_release unlocked;
  return state.spread(indices, n_voxels, as_variances);
}

void put_weighted(WeightedState& state, const py::array_t<std::int64_t>& places,
                  const WeightedState& other) {
  const std::vector<Index> indices = voxels_of(places, state.n_voxels());
  check(static_cast<Index>(indices.size()) == other.n_voxels(), "the state is of other voxels");
  check(state.parts().n_working == other.parts().n_working &&
            state.parts().n_own == other.parts().n_own,
        "the states are of different designs");
  const py::gil_scoped_release unlocked;
  state.put(indices, other);
}

const RowMatrix& weighted_sums(const WeightedState& state) { return state.parts().sums; }
const CountMatrix& weighted_counts(const WeightedState& state) { return state.parts().counts; }

py::tuple weighted_state_parts(const WeightedState& state) {
  const WeightedParts& parts = state.parts();
  return py::make_tuple(parts.n_rows, parts.n_working, parts.n_own, parts.slots, parts.sums,
                        parts.counts);
}

WeightedState weighted_state_of_parts(const py::tuple& values) {
  check(values.size() == 6, "not a pickled state");
  WeightedParts parts;
  parts.n_rows = values[0].cast<Index>();
  parts.n_working = values[1].cast<Index>();
  parts.n_own = values[2].cast<Index>();
  parts.slots = values[3].cast<RowMatrix>();
  parts.sums = values[4].cast<RowMatrix>();
  parts.counts = values[5].cast<CountMatrix>();
  check(parts.is_consistent(), "not a pickled state");
  return WeightedState(std::move(parts));
}

template <auto function>
Matrix weighted_map(const WeightedState& state, const Design& design, int n_threads) {
  check_weighted_design(state, design);
  Matrix out(state.n_voxels());
  const Array view(out.mutable_data(), out.size());
  const py::gil_scoped_release unlocked;
  function(state, design, view, n_threads);
  return out;
}

Matrix weighted_beta(const WeightedState& state, const Design& design, int n_threads) {
  check_weighted_design(state, design);
  const Index n_columns = design.n_columns + state.parts().n_own;
  Matrix out({n_columns, state.n_voxels()});
  const RowMatrixOut view(out.mutable_data(), n_columns, state.n_voxels());
  const py::gil_scoped_release unlocked;
  weighted_coefficients(state, design, view, n_threads);
  return out;
}

Integers weighted_rank_of(const WeightedState& state, const Design& design, int n_threads) {
  check_weighted_design(state, design);
  Integers out(state.n_voxels());
  const IntArray view(out.mutable_data(), out.size());
  const py::gil_scoped_release unlocked;
  weighted_rank(state, design, view, n_threads);
  return out;
}

Eigen::Map<const RowMatrix> weighted_contrast_rows(const WeightedState& state, const Design& design,
                                                   const Matrix& rows, bool is_t) {
  check_weighted_design(state, design);
  const auto view = matrix_of(rows);
  check(view.cols() == design.n_columns + state.parts().n_own && view.rows() > 0 &&
            (!is_t || view.rows() == 1),
        "contrast of the wrong shape");
  return view;
}

bool weighted_estimable(const WeightedState& state, const Design& design, const Matrix& rows,
                        int n_threads) {
  const MatrixXd contrast = weighted_contrast_rows(state, design, rows, false);
  const py::gil_scoped_release unlocked;
  return any_estimable(state, design, contrast, n_threads);
}

Scale scale_named(const std::string& name) {
  if (name == "one") return Scale::one;
  if (name == "residual") return Scale::residual;
  check(name == "residual at least one", "no such scale");
  return Scale::residual_at_least_one;
}

py::tuple weighted_contrast_of(const WeightedState& state, const Design& design, const Matrix& rows,
                               const std::string& stat_type, const std::string& scale,
                               const std::string& df, int n_threads) {
  const bool is_t = stat_type == "t";
  check(is_t || stat_type == "F", "no such statistic");
  check(df == "residual" || df == "infinite", "no such degrees of freedom");
  const Scale sigma2 = scale_named(scale);
  const MatrixXd contrast = weighted_contrast_rows(state, design, rows, is_t);
  const Index n = state.n_voxels();
  Matrix effect({static_cast<Index>(contrast.rows()), n});
  Matrix variance(n);
  Matrix stat(n);
  Matrix p_value(n);
  Matrix z_score(n);
  const ContrastOutputs out{effect.mutable_data(), variance.mutable_data(), stat.mutable_data(),
                            p_value.mutable_data(), z_score.mutable_data()};
  Index rank = 0;
  {
    const py::gil_scoped_release unlocked;
    rank =
        weighted_contrast(state, design, contrast, is_t ? StatType::t : StatType::F, sigma2,
                          df == "infinite" ? NullDf::infinite : NullDf::residual, out, n_threads);
  }
  return py::make_tuple(effect, variance, stat, p_value, z_score, rank);
}

}  // namespace

void register_weighted(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  const auto w = py::arg("w").noconvert().none(true);
  const auto z = py::arg("z").noconvert();
  const auto tau2 = py::arg("tau2").noconvert().none(true);
  const auto threads = py::arg("n_threads");
  py::class_<WeightedState>(module, "WeightedState", py::module_local())
      .def(py::init(&new_weighted_state), py::arg("n_working"), py::arg("n_columns_z"),
           py::arg("n_voxels"), py::arg("n_threads") = 1)
      .def("update", &update_weighted<float>, py::arg("design"), py::arg("first_row"), y, w, z,
           py::arg("as_variances"), tau2, threads)
      .def("update", &update_weighted<double>, py::arg("design"), py::arg("first_row"), y, w, z,
           py::arg("as_variances"), tau2, threads)
      .def("merge", &merge_weighted, py::arg("other"), threads)
      .def("select", &select_weighted, py::arg("voxels").noconvert())
      .def("put", &put_weighted, py::arg("places").noconvert(), py::arg("other"))
      .def("spread", &spread_weighted, py::arg("places").noconvert(), py::arg("n_voxels"),
           py::arg("as_variances"))
      .def_property_readonly("n_rows", &WeightedState::n_rows)
      .def_property_readonly("n_voxels", &WeightedState::n_voxels)
      .def_property_readonly("n_missing", &WeightedState::n_missing)
      // Views that cannot be written to and keep the state alive: copies take as long as results.
      .def_property_readonly("sums", &weighted_sums, py::return_value_policy::reference_internal)
      .def_property_readonly("counts", &weighted_counts,
                             py::return_value_policy::reference_internal)
      .def(py::pickle(&weighted_state_parts, &weighted_state_of_parts));
  const auto state = py::arg("state");
  const auto design = py::arg("design");
  const auto contrast = py::arg("contrast").noconvert();
  module.def("weighted_beta", &weighted_beta, state, design, threads);
  module.def("weighted_rss", &weighted_map<&weighted_rss>, state, design, threads);
  module.def("weighted_r_square", &weighted_map<&weighted_r_square>, state, design, threads);
  module.def("weighted_rank", &weighted_rank_of, state, design, threads);
  module.def("weighted_is_estimable", &weighted_estimable, state, design, contrast, threads);
  module.def("weighted_contrast", &weighted_contrast_of, state, design, contrast,
             py::arg("stat_type"), py::arg("scale"), py::arg("df"), threads);
}

}  // namespace groupglm
