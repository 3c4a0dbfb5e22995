// SPDX-License-Identifier: BSD-3-Clause
#include "bindings.hpp"
#include "groupglm/models/random_intercept.hpp"

namespace groupglm {

namespace {

// Whether the visits of rows follow each other, subject by subject, after n_open rows of a subject.
bool are_in_turn(const std::int64_t* visit, const std::int64_t* size, Index n, Index n_open) {
  Index before = n_open;
  for (Index i = 0; i < n; ++i) {
    if (visit[i] != before + 1 || visit[i] > size[i]) return false;
    if (before > 0 && i > 0 && size[i] != size[i - 1]) return false;
    before = visit[i] == size[i] ? 0 : visit[i];
  }
  return true;
}

template <typename Scalar>
void update_repeated(RepeatedState& state, const Design& design, const Integers& visit,
                     const Integers& size, Index first_row, const py::array_t<Scalar>& y,
                     int n_threads) {
  const DataView<Scalar> view = view_of(y);
  check(first_row >= 0 && view.n_rows <= design.n_rows() - first_row,
        "the rows are not those of the design");
  check(visit.ndim() == 1 && size.ndim() == 1 && visit.size() == design.n_rows() &&
            size.size() == design.n_rows(),
        "the visits are not those of the design");
  check(state.n_working() == design.n_working() && view.n_voxels == state.n_voxels(),
        "the state is of another design or other voxels");
  const std::int64_t* const own_visit = visit.data() + first_row;
  const std::int64_t* const own_size = size.data() + first_row;
  check(are_in_turn(own_visit, own_size, view.n_rows, state.n_open()),
        "the rows of a subject do not follow each other");
  const py::gil_scoped_release unlocked;
  state.update<Scalar>(
      {design.working.middleRows(first_row, view.n_rows), design.intercept, own_visit, own_size},
      view, n_threads);
}

void merge_repeated(RepeatedState& state, const RepeatedState& other, int n_threads) {
  check(state.n_working() == other.n_working() && state.n_voxels() == other.n_voxels(),
        "the states are of different designs or voxels");
  check(state.is_complete() && other.is_complete(), "a subject is not complete");
  const py::gil_scoped_release unlocked;
  state.merge(other, n_threads);
}

RepeatedState select_repeated(const RepeatedState& state, const py::array_t<std::int64_t>& voxels) {
  const std::vector<Index> indices = voxels_of(voxels, state.n_voxels());
  check(state.is_complete(), "a subject is not complete");
  const py::gil_scoped_release unlocked;
  return state.select(indices);
}

RepeatedState spread_repeated(const RepeatedState& state, const py::array_t<std::int64_t>& places,
                              Index n_voxels) {
  check(n_voxels >= 0, "a state needs sizes of at least 0");
  const std::vector<Index> indices = voxels_of(places, n_voxels);
  check(static_cast<Index>(indices.size()) == state.n_voxels(), "the state is of other voxels");
  const py::gil_scoped_release unlocked;
  return state.spread(indices, n_voxels);
}

py::tuple repeated_parts(const RepeatedState& state) {
  check(state.is_complete(), "a subject is not complete");
  const RepeatedParts& parts = state.parts();
  py::list means;
  for (const OlsState& own : parts.means) means.append(state_parts(own));
  return py::make_tuple(state_parts(parts.within), array_of(parts.sizes), py::tuple(means));
}

RepeatedState repeated_of_parts(const py::tuple& values) {
  check(values.size() == 3, "not a pickled state");
  RepeatedParts parts{state_of_parts(values[0].cast<py::tuple>()), {}, {}};
  const auto sizes = values[1].cast<Integers>();
  parts.sizes.assign(sizes.data(), sizes.data() + sizes.size());
  for (const py::handle& own : values[2].cast<py::tuple>()) {
    parts.means.push_back(state_of_parts(py::cast<py::tuple>(own)));
  }
  check(parts.is_consistent(), "not a pickled state");
  return RepeatedState(std::move(parts));
}

void check_same(const RepeatedState& state, const Design& design) {
  check(state.n_working() == design.n_working(), "the state is of another design");
  check(state.is_complete(), "a subject is not complete");
}

void check_ratio(const RepeatedState& state, const Matrix& ratio) {
  check(ratio.ndim() == 1 && ratio.size() == state.n_voxels(), "the ratios are of other voxels");
}

py::tuple fit_intercept(const RepeatedState& state, const Design& design, int n_threads) {
  check_same(state, design);
  Matrix ratio(state.n_voxels());
  Matrix variance(state.n_voxels());
  double* const ratios = ratio.mutable_data();
  double* const variances = variance.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    fit_random_intercept(state, design, ratios, variances, n_threads);
  }
  return py::make_tuple(ratio, variance);
}

Matrix criterion_of(const RepeatedState& state, const Design& design, const Matrix& ratio,
                    int n_threads) {
  check_same(state, design);
  check_ratio(state, ratio);
  Matrix out(state.n_voxels());
  double* const values = out.mutable_data();
  const double* const ratios = ratio.data();
  const py::gil_scoped_release unlocked;
  restricted_criterion(state, design, ratios, values, n_threads);
  return out;
}

Matrix intercept_beta(const RepeatedState& state, const Design& design, const Matrix& ratio,
                      int n_threads) {
  check_same(state, design);
  check_ratio(state, ratio);
  Matrix out({design.n_columns, state.n_voxels()});
  const RowMatrixOut view(out.mutable_data(), design.n_columns, state.n_voxels());
  const double* const ratios = ratio.data();
  const py::gil_scoped_release unlocked;
  random_intercept_coefficients(state, design, ratios, view, n_threads);
  return out;
}

py::tuple present(const RepeatedState& state, const Design& design, int n_threads) {
  check_same(state, design);
  Matrix mean_image(state.n_voxels());
  Integers n_images(state.n_voxels());
  Integers rank(state.n_voxels());
  Integers n_subjects(state.n_voxels());
  const PresentImages out{mean_image.mutable_data(), n_images.mutable_data(), rank.mutable_data(),
                          n_subjects.mutable_data()};
  {
    const py::gil_scoped_release unlocked;
    present_images(state, design, out, n_threads);
  }
  return py::make_tuple(mean_image, n_images, rank, n_subjects);
}

py::tuple intercept_contrast(const RepeatedState& state, const Design& design, const Matrix& ratio,
                             const Matrix& rows, const std::string& stat_type,
                             const std::string& freedom, int n_threads) {
  check_same(state, design);
  check_ratio(state, ratio);
  const auto view = matrix_of(rows);
  const bool is_t = stat_type == "t";
  check(view.cols() == design.n_columns && view.rows() > 0 && (!is_t || view.rows() == 1),
        "contrast of the wrong shape");
  const Index n = state.n_voxels();
  Matrix effect({static_cast<Index>(view.rows()), n});
  Matrix variance(n);
  Matrix stat(n);
  Matrix p_value(n);
  Matrix z_score(n);
  Matrix df(n);
  const ContrastOutputs out{effect.mutable_data(), variance.mutable_data(), stat.mutable_data(),
                            p_value.mutable_data(), z_score.mutable_data()};
  double* const own_df = df.mutable_data();
  const double* const ratios = ratio.data();
  const auto method =
      freedom == "kenward-roger" ? DfMethod::kenward_roger : DfMethod::satterthwaite;
  Index rank = 0;
  {
    const py::gil_scoped_release unlocked;
    rank = random_intercept_contrast(state, design, ratios, view, is_t ? StatType::t : StatType::F,
                                     method, out, own_df, n_threads);
  }
  return py::make_tuple(effect, variance, stat, p_value, z_score, df, rank);
}

}  // namespace

void register_repeated(py::module_& module) {
  const auto y = py::arg("y").noconvert();
  const auto visit = py::arg("visit").noconvert();
  const auto size = py::arg("size").noconvert();
  const auto design = py::arg("design");
  const auto threads = py::arg("n_threads");
  py::class_<RepeatedState>(module, "RepeatedState", py::module_local())
      .def(py::init([](Index n_working, Index n_voxels) {
             check(n_working >= 0 && n_voxels >= 0, "a state needs sizes of at least 0");
             return RepeatedState(n_working, n_voxels);
           }),
           py::arg("n_working"), py::arg("n_voxels"))
      .def("update", &update_repeated<float>, design, visit, size, py::arg("first_row"), y, threads)
      .def("update", &update_repeated<double>, design, visit, size, py::arg("first_row"), y,
           threads)
      .def("merge", &merge_repeated, py::arg("other"), threads)
      .def("select", &select_repeated, py::arg("voxels").noconvert())
      .def("spread", &spread_repeated, py::arg("places").noconvert(), py::arg("n_voxels"))
      .def_property_readonly("n_voxels", &RepeatedState::n_voxels)
      .def_property_readonly("n_missing", &RepeatedState::n_missing)
      .def(py::pickle(&repeated_parts, &repeated_of_parts));
  const auto state = py::arg("state");
  const auto ratio = py::arg("ratio").noconvert();
  module.def("fit_random_intercept", &fit_intercept, state, design, threads);
  module.def("restricted_criterion", &criterion_of, state, design, ratio, threads);
  module.def("random_intercept_beta", &intercept_beta, state, design, ratio, threads);
  module.def("present_images", &present, state, design, threads);
  module.def("random_intercept_contrast", &intercept_contrast, state, design, ratio,
             py::arg("contrast").noconvert(), py::arg("stat_type"), py::arg("freedom"), threads);
}

}  // namespace groupglm
