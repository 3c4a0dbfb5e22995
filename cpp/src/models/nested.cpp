// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/nested.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include "groupglm/models/component_tests.hpp"
#include "groupglm/parallel.hpp"
#include "loops/lanes.hpp"
#include "models/nested_search.hpp"
#include "models/voxel_runs.hpp"
#include "non_finite.hpp"

namespace groupglm {

using lanes::at;
using lanes::packed;

namespace {

using One = Eigen::Array<double, 1, 1>;

// Voxels of a task: their values are within the second-level cache for some hundred images.
constexpr Index kTaskVoxels = 64;

// A subject's images tell its mean from the residuals, unless these are rounding.
bool has_scatter(double scatter, double size, Index n) {
  const double share = rounding_share(n);
  return scatter > share * share * size;
}

// What one task writes.
struct Output {
  const NestedLayout& layout;
  double* numbers;
  std::int32_t* counts;
  Index n_voxels;

  double& number(Index row, Index voxel) const { return numbers[row * n_voxels + voxel]; }
  std::int32_t& count(Index row, Index voxel) const { return counts[row * n_voxels + voxel]; }

  void set_nan(Index voxel) const {
    for (Index row = 0; row < layout.rows(); ++row) number(row, voxel) = kNaN;
  }
};

// The covariance of (1, ratio of subjects, ratio of families): the inverse of the information on
// the three variances. `pairs` holds it for V itself and the two components: (V, V), (V, s), (V,
// f), (s, s), (s, f), (f, f), of which an image's own component is V less the others. Components
// that are not wanted have no variance.
void covariance_of(const std::array<double, 6>& pairs, double subject, double family,
                   std::array<bool, 3> is_wanted, double* out) {
  Eigen::Matrix3d own;
  own << pairs[0], pairs[1], pairs[2], pairs[1], pairs[3], pairs[4], pairs[2], pairs[4], pairs[5];
  Eigen::Matrix3d to = Eigen::Matrix3d::Identity();
  to(0, 1) = -subject;
  to(0, 2) = -family;
  const Eigen::Matrix3d information = 0.5 * to * own * to.transpose();
  std::vector<Index> wanted;
  for (Index k = 0; k < 3; ++k) {
    if (is_wanted[at(k)]) wanted.push_back(k);
  }
  const auto n = static_cast<Index>(wanted.size());
  MatrixXd part(n, n);
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k < n; ++k) part(j, k) = information(wanted[at(j)], wanted[at(k)]);
  }
  const MatrixXd inverse = inverse_of_information(part);
  std::fill_n(out, 6, 0.0);
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k <= j; ++k) out[packed(wanted[at(j)], wanted[at(k)])] = inverse(j, k);
  }
}

// One voxel's numbers, from the moments at its ratios. back (r, own r): coordinates of all images
// from those of the voxel's own basis; y0 (own r): the fit by least squares, in own coordinates.
template <typename V>
void write_voxel(const NestedMoments<V>& moments, const Ratios<V>& ratios, Index lane,
                 const VectorXd& y0, const MatrixXd* back, double df, Index voxel,
                 const Output& out) {
  const Index r = y0.size();
  const NestedLayout& to = out.layout;
  const double subject = ratios.subject[lane];
  const double family = ratios.family[lane];
  const double scatter = moments.scatter[lane];
  if (std::max(subject, family) >= kLargestRatio) {
    out.set_nan(voxel);
    return;
  }
  out.number(0, voxel) = scatter / df;
  out.number(1, voxel) = subject;
  out.number(2, voxel) = family;
  out.number(3, voxel) = moments.criterion[lane];

  const auto symmetric = [&](const std::vector<V>& values) {
    MatrixXd whole(r, r);
    for (Index j = 0; j < r; ++j) {
      for (Index k = 0; k <= j; ++k) {
        whole(j, k) = whole(k, j) = values[at(packed(j, k))][lane];
      }
    }
    return whole;
  };
  const MatrixXd inverse = symmetric(moments.inverse);
  const std::array<MatrixXd, 2> m{symmetric(moments.m[0]), symmetric(moments.m[1])};
  const std::array<MatrixXd, 3> n{symmetric(moments.n[0]), symmetric(moments.n[1]),
                                  symmetric(moments.n[2])};
  // Of V itself: y'P V P y = y'Py and tr(P V P V_k) = tr(P V_k).
  const std::array<double, 3> traces{moments.traces[0][lane], moments.traces[1][lane],
                                     moments.traces[2][lane]};
  const std::array<double, 6> expected{
      df, moments.trace[0][lane], moments.trace[1][lane], traces[0], traces[1], traces[2]};
  std::array<double, 6> observed{};
  const std::array<double, 6> of_data{scatter,
                                      moments.py[0][lane],
                                      moments.py[1][lane],
                                      moments.pypy[0][lane],
                                      moments.pypy[1][lane],
                                      moments.pypy[2][lane]};
  for (std::size_t k = 0; k < 6; ++k) {
    observed[k] = scatter > 0.0 ? 2.0 * of_data[k] * df / scatter - expected[k] : expected[k];
  }
  std::array<double, 6> w{};
  covariance_of(expected, subject, family, {true, true, true}, w.data());
  for (Index k = 0; k < 6; ++k) out.number(to.expected() + k, voxel) = w[at(k)];
  std::array<double, 6> w_observed{};
  covariance_of(observed, subject, family, {true, subject > 0.0, family > 0.0}, w_observed.data());
  for (Index k = 0; k < 6; ++k) out.number(to.observed() + k, voxel) = w_observed[at(k)];

  // Kenward and Roger's correction, equation (4): the sum over all pairs of components of
  // W_kl (N_kl - M_k A^-1 M_l). An image's own component is V less the others.
  const MatrixXd a = symmetric(moments.b);
  const MatrixXd m_own = a - subject * m[0] - family * m[1];
  const MatrixXd n_own_subject = m[0] - subject * n[0] - family * n[1];
  const MatrixXd n_own_family = m[1] - subject * n[1] - family * n[2];
  const MatrixXd n_own = m_own - subject * n_own_subject - family * n_own_family;
  const std::array<const MatrixXd*, 3> of_one{&m_own, &m[0], &m[1]};
  const std::array<const MatrixXd*, 6> of_pair{&n_own,        &n_own_subject, &n[0],
                                               &n_own_family, &n[1],          &n[2]};  // packed
  MatrixXd correction = MatrixXd::Zero(r, r);
  for (Index j = 0; j < 3; ++j) {
    for (Index k = 0; k < 3; ++k) {
      correction += w[at(packed(j, k))] *
                    (*of_pair[at(packed(j, k))] - *of_one[at(j)] * inverse * *of_one[at(k)]);
    }
  }
  const MatrixXd adjusted = inverse + 2.0 * inverse * correction * inverse;

  const auto write = [&](Index first, const MatrixXd& own) {
    const MatrixXd whole = back != nullptr ? MatrixXd(*back * own * back->transpose()) : own;
    for (Index j = 0; j < to.r; ++j) {
      for (Index k = 0; k <= j; ++k) {
        out.number(first + packed(j, k), voxel) = 0.5 * (whole(j, k) + whole(k, j));
      }
    }
  };
  VectorXd effect = y0;
  for (Index j = 0; j < r; ++j) effect[j] += moments.beta[at(j)][lane];
  if (back != nullptr) effect = *back * effect;
  for (Index j = 0; j < to.r; ++j) out.number(to.effect() + j, voxel) = effect[j];
  write(to.inverse(), inverse);
  write(to.adjusted(), adjusted);
  write(to.subject(), inverse * m[0] * inverse);
  write(to.family(), inverse * m[1] * inverse);
}

// A voxel whose images fit exactly: no variance at all, and no likelihood.
void clear_variances(Index voxel, const Output& out) {
  out.number(0, voxel) = 0.0;
  out.number(3, voxel) = -kInfinity;
}

// Fits the voxels of one task.
template <typename Scalar>
class Task {
 public:
  Task(const Eigen::Ref<const RowMatrix>& basis, const FamilyTree& tree, const NestedRows& complete,
       const NestedGrid& grid, const Output& out)
      : basis_(basis),
        tree_(tree),
        complete_(complete),
        grid_(grid),
        out_(out),
        sums_(complete),
        moments_(basis.cols()),
        criteria_(at(kGridPoints)),
        y_(at(basis.rows())) {}

  void run(const DataView<Scalar>& y, Index first, Index count) {
    std::vector<Index> whole;
    for (Index v = first; v < first + count; ++v) {
      if (look(y, v)) {
        whole.push_back(v);
      } else {
        fit_own(y, v);
      }
    }
    for (std::size_t k = 0; k < whole.size(); k += at(kLane)) {
      const std::size_t n = std::min(at(kLane), whole.size() - k);
      fit_whole(y, whole.data() + k, static_cast<Index>(n));
    }
  }

  std::vector<std::pair<Index, MatrixXd>> deficient;  // voxel, and its projector

 private:
  // Counts a voxel's images and sets its exponent; returns whether all are there.
  bool look(const DataView<Scalar>& y, Index v) {
    Index n = 0;
    double largest = 0.0;
    for (Index i = 0; i < y.n_rows; ++i) {
      const auto value = static_cast<double>(y(i, v));
      if (std::isnan(value)) continue;
      largest = std::max(largest, std::abs(value));
      ++n;
    }
    int exponent = 0;
    if (largest > 0.0 && std::isfinite(largest)) std::frexp(largest, &exponent);
    // Squares of values between these are far within double.
    if (largest > 1e-100 && largest < 1e100) exponent = 0;
    out_.count(0, v) = static_cast<std::int32_t>(n);
    out_.count(4, v) = exponent;
    return n == y.n_rows;
  }

  void fit_whole(const DataView<Scalar>& y, const Index* voxels, Index count) {
    const Index n = basis_.rows();
    const Index r = basis_.cols();
    std::vector<Lane> coefficients(at(r), Lane::Zero());
    Lane size = Lane::Zero();
    for (Index i = 0; i < n; ++i) {
      Lane& own = y_[at(i)];
      own.setZero();
      for (Index l = 0; l < count; ++l) {
        own[l] = scaled(static_cast<double>(y(i, voxels[l])), voxels[l]);
      }
      size += own * own;
      for (Index j = 0; j < r; ++j) coefficients[at(j)] += basis_(i, j) * own;
    }
    Lane scatter = Lane::Zero();
    for (Index i = 0; i < n; ++i) {
      Lane& own = y_[at(i)];
      for (Index j = 0; j < r; ++j) own -= basis_(i, j) * coefficients[at(j)];
      scatter += own * own;
    }
    const bool can = complete_.tells_variances_apart();
    for (Index l = 0; l < count; ++l) count_subjects(complete_, r, voxels[l]);
    if (!can) {
      for (Index l = 0; l < count; ++l) out_.set_nan(voxels[l]);
      return;
    }
    sums_.load(complete_, y_.data());
    grid_.criteria(sums_, criteria_.data());
    Ratios<Lane> found = highest_likelihood(complete_, sums_, criteria_.data(), moments_);
    bool all_have_scatter = true;
    for (Index l = 0; l < count; ++l) {
      if (has_scatter(scatter[l], size[l], n)) continue;
      all_have_scatter = false;
      found.subject[l] = found.family[l] = 0.0;  // not what rounding says
    }
    if (!all_have_scatter) moments_.set_all(complete_, sums_, found.subject, found.family);
    for (Index l = 0; l < count; ++l) {
      VectorXd y0(r);
      for (Index j = 0; j < r; ++j) y0[j] = coefficients[at(j)][l];
      write_voxel(moments_, found, l, y0, nullptr, static_cast<double>(n - r), voxels[l], out_);
      if (!has_scatter(scatter[l], size[l], n)) clear_variances(voxels[l], out_);
    }
  }

  void fit_own(const DataView<Scalar>& y, Index v) {
    std::vector<Index> present;
    for (Index i = 0; i < y.n_rows; ++i) {
      if (!std::isnan(static_cast<double>(y(i, v)))) present.push_back(i);
    }
    const auto n = static_cast<Index>(present.size());
    const Index r_all = basis_.cols();
    RowMatrix rows(n, r_all);
    VectorXd values(n);
    for (Index i = 0; i < n; ++i) {
      rows.row(i) = basis_.row(present[at(i)]);
      values[i] = scaled(static_cast<double>(y(present[at(i)], v)), v);
    }
    if (n == 0) {
      for (const Index row : {1, 2, 3}) out_.count(row, v) = 0;
      out_.set_nan(v);
      return;
    }
    Eigen::ColPivHouseholderQR<MatrixXd> qr(n, r_all);
    qr.setThreshold(kRankTolerance);
    qr.compute(rows);
    const Index r = qr.rank();
    MatrixXd q = MatrixXd::Identity(n, r);
    q.applyOnTheLeft(qr.householderQ());
    // rows = q own, and the coordinates of all images are own^+ those of q.
    const MatrixXd own = q.transpose() * rows;
    const MatrixXd back = own.completeOrthogonalDecomposition().pseudoInverse();
    if (r < r_all) deficient.emplace_back(v, back * own);
    const NestedRows held(q, tree_, present);
    count_subjects(held, r, v);
    if (!held.tells_variances_apart()) {
      out_.set_nan(v);
      return;
    }
    const VectorXd y0 = q.transpose() * values;
    const VectorXd left = values - q * y0;
    std::vector<One> y_own(at(n));
    for (Index i = 0; i < n; ++i) y_own[at(i)][0] = left[i];
    NestedSums<One> sums(held);
    sums.load(held, y_own.data());
    NestedMoments<One> moments(r);
    std::vector<One> criteria(at(kGridPoints));
    const auto n_ratios = static_cast<Index>(kRatioGrid.size());
    for (Index index = 0; index < kGridPoints; ++index) {
      moments.set_criterion(held, sums, One::Constant(kRatioGrid[at(index / n_ratios)]),
                            One::Constant(kRatioGrid[at(index % n_ratios)]));
      criteria[at(index)] = moments.criterion;
    }
    Ratios<One> found = highest_likelihood(held, sums, criteria.data(), moments);
    const bool has_any = has_scatter(left.squaredNorm(), values.squaredNorm(), n);
    if (!has_any) {
      found = {One::Zero(), One::Zero()};
      moments.set_all(held, sums, found.subject, found.family);
    }
    write_voxel(moments, found, 0, y0, &back, static_cast<double>(n - r), v, out_);
    // The determinant is that of the basis of all images.
    const Eigen::JacobiSVD<MatrixXd> sizes(own);
    out_.number(3, v) += 2.0 * sizes.singularValues().head(r).array().log().sum();
    if (!has_any) clear_variances(v, out_);
  }

  void count_subjects(const NestedRows& rows, Index r, Index v) {
    out_.count(1, v) = static_cast<std::int32_t>(r);
    out_.count(2, v) = static_cast<std::int32_t>(rows.n_subjects());
    out_.count(3, v) = static_cast<std::int32_t>(rows.n_families());
  }

  double scaled(double value, Index v) const {
    const int exponent = out_.count(4, v);
    return exponent == 0 ? value : std::ldexp(value, -exponent);
  }

  const Eigen::Ref<const RowMatrix>& basis_;
  const FamilyTree& tree_;
  const NestedRows& complete_;
  const NestedGrid& grid_;
  const Output& out_;
  NestedSums<Lane> sums_;
  NestedMoments<Lane> moments_;
  std::vector<Lane> criteria_;
  std::vector<Lane> y_;
};

std::vector<Index> all_images(Index n) {
  std::vector<Index> images(at(n));
  for (Index i = 0; i < n; ++i) images[at(i)] = i;
  return images;
}

}  // namespace

template <typename Scalar>
void fit_nested(const Eigen::Ref<const RowMatrix>& basis, const FamilyTree& tree,
                const DataView<Scalar>& y, double* numbers, std::int32_t* counts,
                Deficient& deficient, int n_threads) {
  const NestedLayout layout(basis.cols());
  const NestedRows complete(basis, tree, all_images(basis.rows()));
  const NestedGrid grid(complete);
  const Output out{layout, numbers, counts, y.n_voxels};
  const Index n_tasks = (y.n_voxels + kTaskVoxels - 1) / kTaskVoxels;
  std::vector<std::vector<std::pair<Index, MatrixXd>>> found(at(n_tasks));
  const auto threads = static_cast<int>(
      std::clamp<Index>(n_tasks, 1, static_cast<Index>(resolve_threads(n_threads))));
  std::vector<std::optional<Task<Scalar>>> tasks(at(threads));
  parallel_for(n_tasks, threads, [&](Index index, int thread) {
    auto& task = tasks[static_cast<std::size_t>(thread)];
    if (!task) task.emplace(basis, tree, complete, grid, out);
    task->deficient.clear();
    const Index first = index * kTaskVoxels;
    task->run(y, first, std::min(kTaskVoxels, y.n_voxels - first));
    found[at(index)] = task->deficient;
  });
  for (const auto& of_task : found) {
    for (const auto& [voxel, projector] : of_task) {
      deficient.voxel.push_back(voxel);
      const RowMatrix whole = projector;
      deficient.projector.insert(deficient.projector.end(), whole.data(),
                                 whole.data() + whole.size());
    }
  }
}

template void fit_nested(const Eigen::Ref<const RowMatrix>&, const FamilyTree&,
                         const DataView<float>&, double*, std::int32_t*, Deficient&, int);
template void fit_nested(const Eigen::Ref<const RowMatrix>&, const FamilyTree&,
                         const DataView<double>&, double*, std::int32_t*, Deficient&, int);

}  // namespace groupglm
