// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/nested.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <string>

#include "bindings.hpp"

namespace groupglm {

namespace {

using Counts = Contiguous<std::int32_t>;
using CountsMap =
    Eigen::Map<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

std::vector<Index> below(const Integers& labels, Index end, const char* complaint) {
  check(labels.ndim() == 1, complaint);
  std::vector<Index> out(labels.data(), labels.data() + labels.size());
  check(std::all_of(out.begin(), out.end(), [end](Index i) { return i >= 0 && i < end; }),
        complaint);
  return out;
}

template <typename Scalar>
py::tuple fit(const Matrix& basis, const Integers& subject, const Integers& family,
              const py::array_t<Scalar>& y, int n_threads) {
  const auto rows = matrix_of(basis);
  const DataView<Scalar> data = view_of(y);
  check(rows.rows() == data.n_rows && rows.cols() > 0 && subject.size() == data.n_rows,
        "the basis, the subjects and the data do not match");
  // Entries of orthonormal columns; with others, or NaN, the search would have no end or no place.
  check((rows.array().abs() <= 1.0 + 1e-6).all(), "the columns of the basis must be orthonormal");
  FamilyTree tree;
  tree.subject = below(subject, family.size(), "subjects must be numbered from 0");
  tree.family = below(family, family.size(), "families must be numbered from 0");
  Matrix numbers({NestedLayout(rows.cols()).rows(), data.n_voxels});
  Counts counts({kNestedCounts, data.n_voxels});
  double* const to = numbers.mutable_data();
  std::int32_t* const counted = counts.mutable_data();
  Deficient deficient;
  {
    const py::gil_scoped_release unlocked;
    fit_nested<Scalar>(rows, tree, data, to, counted, deficient, n_threads);
  }
  Matrix projectors({static_cast<Index>(deficient.voxel.size()), rows.cols(), rows.cols()});
  std::copy(deficient.projector.begin(), deficient.projector.end(), projectors.mutable_data());
  return py::make_tuple(numbers, counts, array_of(deficient.voxel), projectors);
}

py::tuple contrast_of(const Matrix& numbers, const Counts& counts, const Integers& voxels,
                      const Matrix& projectors, const Matrix& rows, const Matrix& hypothesis,
                      const std::string& stat_type, const std::string& df, int n_threads) {
  const auto own = matrix_of(numbers);
  const RowMatrix tested = matrix_of(rows);
  const MatrixXd span = matrix_of(hypothesis);
  const Index n_voxels = own.cols();
  const Index r = tested.cols();
  check(own.rows() == NestedLayout(r).rows() && span.rows() == r && span.cols() > 0 &&
            counts.ndim() == 2 && counts.shape(0) == kNestedCounts && counts.shape(1) == n_voxels,
        "the fit and the contrast do not match");
  check(stat_type == "t" || stat_type == "F", "the statistic must be t or F");
  check(stat_type == "F" || tested.rows() == 1, "t needs one row");
  check(df == "kenward-roger" || df == "satterthwaite", "no such rule of degrees of freedom");
  Deficient deficient;
  for (const Index voxel : below(voxels, n_voxels, "no such voxel")) {
    deficient.voxel.push_back(voxel);
  }
  check(projectors.size() == voxels.size() * r * r, "the projectors do not match");
  deficient.projector.assign(projectors.data(), projectors.data() + projectors.size());
  Matrix effect({tested.rows(), n_voxels});
  Matrix variance(n_voxels);
  Matrix stat(n_voxels);
  Matrix p_value(n_voxels);
  Matrix z_score(n_voxels);
  Matrix freedom(n_voxels);
  const NestedOutputs out{effect.mutable_data(),  variance.mutable_data(), stat.mutable_data(),
                          p_value.mutable_data(), z_score.mutable_data(),  freedom.mutable_data()};
  const CountsMap counted(counts.data(), counts.shape(0), counts.shape(1));
  {
    const py::gil_scoped_release unlocked;
    nested_contrast(own, counted, deficient, tested, span,
                    stat_type == "t" ? StatType::t : StatType::F,
                    df == "satterthwaite" ? ComponentDf::satterthwaite : ComponentDf::kenward_roger,
                    out, n_threads);
  }
  return py::make_tuple(effect, variance, stat, p_value, z_score, freedom);
}

}  // namespace

void register_nested(py::module_& module) {
  const auto basis = py::arg("basis").noconvert();
  const auto subject = py::arg("subject").noconvert();
  const auto family = py::arg("family").noconvert();
  const auto y = py::arg("y").noconvert();
  module.def("fit_nested", &fit<float>, basis, subject, family, y, py::arg("n_threads"));
  module.def("fit_nested", &fit<double>, basis, subject, family, y, py::arg("n_threads"));
  module.def("nested_contrast", &contrast_of, py::arg("numbers").noconvert(),
             py::arg("counts").noconvert(), py::arg("voxels").noconvert(),
             py::arg("projectors").noconvert(), py::arg("rows").noconvert(),
             py::arg("hypothesis").noconvert(), py::arg("stat_type"), py::arg("df"),
             py::arg("n_threads"));
}

}  // namespace groupglm
