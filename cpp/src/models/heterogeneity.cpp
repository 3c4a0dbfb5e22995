// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/heterogeneity.hpp"

#include <array>
#include <cmath>
#include <optional>

#include "groupglm/parallel.hpp"
#include "models/tau2_search.hpp"
#include "special/lane_functions.hpp"

namespace groupglm {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// Cubes of the inverse of variances between these, times squares of effects, stay within double.
// Voxels with others are scaled by a power of two.
constexpr double kSmallestOrdinary = 1e-60;
constexpr double kLargestOrdinary = 1e60;
constexpr int kMostExponent = 500;  // 4 to its power is within double

Lane paule_mandel(Tau2Sums& sums, const LaneImages& images, const LaneFacts& facts) {
  // 1 / y'Py is concave in tau2: Newton's iteration on it rises to its root, and does so in one
  // step if all variances are equal.
  constexpr int kMostSteps = 200;
  constexpr double kLastStep = 3e-8;  // the next would be about its square
  const Lane df = facts.n_images - static_cast<double>(sums.basis().r());
  Lane t = full(0.0);
  std::array<bool, kLane> done{};
  for (int step = 0; step < kMostSteps; ++step) {
    if (step > 0) {
      sums.fit(images, t);
      sums.add_squares(images);
    }
    const Lane q = sums.moments().s1;
    const Lane change = (q - df) * q / (df * sums.moments().s2);
    for (int l = 0; l < kLane; ++l) {
      if (done[at(l)]) continue;
      if (change[l] > 0.0) t[l] += change[l];
      done[at(l)] = !(change[l] > kLastStep * (facts.smallest[l] + t[l]));
    }
    if (std::all_of(done.begin(), done.end(), [](bool each) { return each; })) break;
  }
  return t;
}

// The estimates of one voxel a lane, from the residuals of least squares. `sums` has just centred.
LaneTau2 estimate_lanes(Tau2Sums& sums, const LaneImages& images, const LaneFacts& facts,
                        Tau2Method method, const Lane& given) {
  if (method == Tau2Method::reml || method == Tau2Method::ml) {
    return largest_likelihood(sums, images, facts, method == Tau2Method::reml);
  }
  const Lane df = facts.n_images - static_cast<double>(sums.basis().r());
  const Lane left = method == Tau2Method::hedges ? sums.variance_left(images) : full(0.0);
  sums.fit(images, full(0.0));
  sums.add_squares(images);
  LaneTau2 out{given, sums.trace()};
  switch (method) {
    case Tau2Method::hedges:
      out.tau2 = ((facts.rss - left) / df).max(full(0.0));
      break;
    case Tau2Method::dersimonian_laird:
      out.tau2 = ((sums.moments().s1 - df) / out.trace).max(full(0.0));
      break;
    case Tau2Method::paule_mandel:
      out.tau2 = paule_mandel(sums, images, facts);
      break;
    default:
      break;
  }
  return out;
}

// The statistic of the last columns, from b (r) of the whole data, and the factor and s1 in `sums`.
Lane statistic_of(const Tau2Sums& sums, const Lanes& b, const Lane& df, MixedScale scale,
                  Index n_effects) {
  const Moments& m = sums.moments();
  const Index r = sums.basis().r();
  Lane squares = full(0.0);
  Lane last = full(0.0);
  for (Index j = r - n_effects; j < r; ++j) {
    last = b[at(j)];
    for (Index k = j + 1; k < r; ++k) last += m.a[at(packed(k, j))] * b[at(k)];
    squares += last * last * m.a[at(packed(j, j))];
  }
  Lane variance = full(1.0);
  if (scale != MixedScale::one) variance = m.s1 / df;
  if (scale == MixedScale::residual_at_least_one) variance = variance.max(full(1.0));
  if (n_effects > 1) return squares / (static_cast<double>(n_effects) * variance);
  return last * (m.a[at(packed(r - 1, r - 1))] / variance).sqrt();
}

struct LaneResults {
  LaneTau2 found;
  Lane typical;  // (n - p) / tr P at tau2 = 0
  Lane stat;
  // The images cannot tell the columns of the basis apart: nothing else is of use.
  std::array<bool, kLane> is_deficient{};
};

// What is asked for, of one voxel a lane. own (n, kLane): workspace.
LaneResults solve_lanes_of(Tau2Sums& sums, const LaneImages& raw, LaneFacts facts,
                           const MixedTest& test, const Lane& given, bool with_statistic,
                           double* own) {
  facts.rss = sums.centre(raw, facts.n_images, own);
  LaneResults out;
  for (int l = 0; l < kLane; ++l) out.is_deficient[at(l)] = sums.is_deficient(l);
  Lanes b = sums.moments().b;
  const LaneImages images{raw.n, own, raw.v};
  out.found = estimate_lanes(sums, images, facts, test.method, given);
  out.stat = full(kNan);
  const Lane df = facts.n_images - static_cast<double>(sums.basis().r());
  out.typical = df / out.found.trace;
  for (int l = 0; l < kLane; ++l) {
    if (df[l] > 0.0) continue;
    out.found.tau2[l] = kNan;
    out.typical[l] = kNan;
  }
  if (!with_statistic) return out;
  sums.fit(images, out.found.tau2);
  sums.add_scatter(images);
  for (std::size_t j = 0; j < b.size(); ++j) b[j] += sums.moments().b[j];
  out.stat = statistic_of(sums, b, df, test.scale, test.n_effects);
  return out;
}

// An orthonormal basis of the columns of q.
MatrixXd basis_of(const MatrixXd& q) {
  if (q.cols() == 0) return q;
  Eigen::ColPivHouseholderQR<MatrixXd> qr(q.rows(), q.cols());
  qr.setThreshold(kRankTolerance);
  qr.compute(q);
  MatrixXd basis = MatrixXd::Identity(q.rows(), qr.rank());
  basis.applyOnTheLeft(qr.householderQ());
  return basis;
}

// The basis of some of the images, whose last columns span the effect as those of q do; nothing if
// these images cannot tell all columns of the effect from the nuisance.
std::optional<MatrixXd> basis_with_effect(const MatrixXd& q, Index n_effects) {
  if (n_effects == 0) return basis_of(q);
  const MatrixXd nuisance = basis_of(q.leftCols(q.cols() - n_effects));
  MatrixXd effect = q.rightCols(n_effects);
  const Eigen::RowVectorXd length = effect.colwise().norm();
  for (int pass = 0; pass < 2; ++pass) effect -= nuisance * (nuisance.transpose() * effect);
  for (Index j = 0; j < n_effects; ++j) {
    const double left = effect.col(j).norm();
    if (!(left > kEstimableTolerance * length[j])) return std::nullopt;
    effect.col(j) /= left;
  }
  if (n_effects > 1) {
    effect = basis_of(effect);
    if (effect.cols() < n_effects) return std::nullopt;
  }
  MatrixXd basis(q.rows(), nuisance.cols() + n_effects);
  basis << nuisance, effect;
  return basis;
}

// One voxel whose images cannot tell the columns apart: the same over a basis of its own. y and v
// (n, kLane), of which it is one lane. Lane 0 of the results is the voxel's.
LaneResults solve_alone(const ImageBasis& basis, const LaneImages& raw, const LaneFacts& facts,
                        int lane, const MixedTest& test, const Lane& given, bool with_statistic) {
  LaneResults nothing{{full(kNan), full(kNan)}, full(kNan), full(kNan)};
  std::vector<Index> rows;
  for (Index i = 0; i < raw.n; ++i) {
    if (raw.variances(i)[lane] < kInf) rows.push_back(i);
  }
  if (rows.empty()) return nothing;
  const RowMatrix whole = basis.matrix();
  MatrixXd q(static_cast<Index>(rows.size()), basis.r());
  for (Index i = 0; i < q.rows(); ++i) q.row(i) = whole.row(rows[at(i)]);
  const auto own_basis = basis_with_effect(q, with_statistic ? test.n_effects : 0);
  if (!own_basis || own_basis->cols() >= q.rows()) return nothing;
  const ImageBasis alone{RowMatrix(*own_basis)};
  const Index n = alone.n();
  std::vector<double> values(at(3 * n * kLane));
  double* const y = values.data();
  double* const v = y + n * kLane;
  for (Index i = 0; i < n; ++i) {
    LaneOut(y + i * kLane).setConstant(raw.effects(rows[at(i)])[lane]);
    LaneOut(v + i * kLane).setConstant(raw.variances(rows[at(i)])[lane]);
  }
  Tau2Sums sums(alone);
  const LaneFacts own{full(facts.n_images[lane]), full(facts.smallest[lane]),
                      full(facts.largest[lane]), full(0.0)};
  return solve_lanes_of(sums, {n, y, v}, own, test, full(given[lane]), with_statistic,
                        v + n * kLane);
}

// A row of a tile as doubles; a missing image has y = 0 and v = infinity. `y - y` is NaN for NaN
// and infinity.
template <typename Scalar>
void read_present(const Scalar* y_in, const Scalar* v_in,
                  std::array<double, HeterogeneityTile::kVoxels>& y,
                  std::array<double, HeterogeneityTile::kVoxels>& v) {
  for (std::size_t k = 0; k < y.size(); ++k) {
    const auto effect = static_cast<double>(y_in[k]);
    const auto variance = static_cast<double>(v_in[k]);
    const bool present = (variance > 0.0) & (variance < kInf) & (effect - effect == 0.0);
    y[k] = detail::lane_select(present, effect, 0.0);
    v[k] = detail::lane_select(present, variance, kInf);
  }
}

}  // namespace

template <typename Scalar>
void HeterogeneityTile::load(const DataView<Scalar>& y, const DataView<Scalar>& v, Index first,
                             Index count) {
  n_ = y.n_rows;
  count_ = count;
  const Index n_groups = (count + kLane - 1) / kLane;
  y_.resize(at(n_groups * n_ * kLane));
  v_.resize(y_.size());
  exponent_.assign(at(n_groups * kLane), 0);
  n_images_.resize(exponent_.size());
  smallest_.resize(exponent_.size());
  largest_.resize(exponent_.size());
  for (Index i = 0; i < n_; ++i) {
    const Scalar* const y_in = y.data + i * y.row_stride + first * y.voxel_stride;
    const Scalar* const v_in = v.data + i * v.row_stride + first * v.voxel_stride;
    std::array<double, kVoxels> effect{};
    std::array<double, kVoxels> variance{};
    if (y.voxel_stride == 1 && v.voxel_stride == 1 && count == kVoxels) {
      read_present<Scalar>(y_in, v_in, effect, variance);
    } else {
      std::array<Scalar, kVoxels> y_row{};
      std::array<Scalar, kVoxels> v_row{};  // zeros: beyond `count` nothing is present
      for (Index k = 0; k < count; ++k) {
        y_row[at(k)] = y_in[k * y.voxel_stride];
        v_row[at(k)] = v_in[k * v.voxel_stride];
      }
      read_present<Scalar>(y_row.data(), v_row.data(), effect, variance);
    }
    for (Index group = 0; group < n_groups; ++group) {
      const std::size_t out = at((group * n_ + i) * kLane);
      std::copy_n(effect.data() + group * kLane, kLane, y_.data() + out);
      std::copy_n(variance.data() + group * kLane, kLane, v_.data() + out);
    }
  }
  for (Index group = 0; group < n_groups; ++group) {
    Lane n_images = full(0.0);
    Lane smallest = full(kInf);
    Lane largest = full(0.0);
    for (Index i = 0; i < n_; ++i) {
      const Lane own = LaneMap(v_.data() + (group * n_ + i) * kLane);
      smallest = smallest.min(own);
      for (int l = 0; l < kLane; ++l) {
        const bool present = own[l] < kInf;
        n_images[l] += detail::lane_select(present, 1.0, 0.0);
        largest[l] = std::max(largest[l], detail::lane_select(present, own[l], 0.0));
      }
    }
    LaneOut(n_images_.data() + group * kLane) = n_images;
    LaneOut(smallest_.data() + group * kLane) = smallest;
    LaneOut(largest_.data() + group * kLane) = largest;
  }
  for (Index k = 0; k < count; ++k) scale(k);
}

void HeterogeneityTile::scale(Index voxel) {
  const double smallest = smallest_[at(voxel)];
  const double largest = largest_[at(voxel)];
  if (n_images_[at(voxel)] == 0.0) return;
  if (smallest >= kSmallestOrdinary && largest <= kLargestOrdinary) return;
  const int wanted = (std::ilogb(smallest) + std::ilogb(largest)) / 4;
  const int exponent = std::clamp(wanted, -kMostExponent, kMostExponent);
  exponent_[at(voxel)] = exponent;
  for (Index i = 0; i < n_; ++i) {
    const std::size_t out = at((voxel / kLane * n_ + i) * kLane + voxel % kLane);
    y_[out] = std::ldexp(y_[out], -exponent);
    v_[out] = std::ldexp(v_[out], -2 * exponent);
  }
  smallest_[at(voxel)] = std::ldexp(smallest, -2 * exponent);
  largest_[at(voxel)] = std::ldexp(largest, -2 * exponent);
}

void HeterogeneityTile::solve(const ImageBasis& basis, const double* sign, const MixedTest& test,
                              double* stat, double* tau2, double* typical) {
  Tau2Sums sums(basis);
  own_.resize(at(2 * n_ * kLane));
  double* const with_signs = own_.data() + n_ * kLane;
  for (Index first = 0; first < count_; first += kLane) {
    LaneImages raw{n_, y_.data() + first * n_, v_.data() + first * n_};
    if (sign != nullptr) {
      for (Index i = 0; i < n_; ++i) LaneOut(with_signs + i * kLane) = sign[i] * raw.effects(i);
      raw.y = with_signs;
    }
    const LaneFacts facts{LaneMap(n_images_.data() + first), LaneMap(smallest_.data() + first),
                          LaneMap(largest_.data() + first), full(0.0)};
    Lane given;
    for (int l = 0; l < kLane; ++l) {
      given[l] = std::ldexp(test.given, -2 * exponent_[at(first + l)]);
    }
    const LaneResults all =
        solve_lanes_of(sums, raw, facts, test, given, stat != nullptr, own_.data());
    for (Index l = 0; l < std::min<Index>(kLane, count_ - first); ++l) {
      const bool is_alone = all.is_deficient[at(l)] && facts.n_images[l] > 0.0;
      const auto lane = static_cast<int>(l);
      const LaneResults alone =
          is_alone ? solve_alone(basis, raw, facts, lane, test, given, stat != nullptr) : all;
      const Index from = is_alone ? 0 : l;
      const int exponent = 2 * exponent_[at(first + l)];
      if (stat != nullptr) stat[first + l] = alone.stat[from];
      if (tau2 != nullptr) tau2[first + l] = std::ldexp(alone.found.tau2[from], exponent);
      if (typical != nullptr) typical[first + l] = std::ldexp(alone.typical[from], exponent);
    }
  }
}

void HeterogeneityTile::estimate(const ImageBasis& basis, const double* sign, Tau2Method method,
                                 double given, double* tau2, double* typical) {
  MixedTest test;
  test.method = method;
  test.given = given;
  solve(basis, sign, test, nullptr, tau2, typical);
}

void HeterogeneityTile::statistics(const ImageBasis& basis, const double* sign,
                                   const MixedTest& test, double* stat, double* tau2) {
  solve(basis, sign, test, stat, tau2, nullptr);
}

template <typename Scalar>
void estimate_tau2(const Eigen::Ref<const RowMatrix>& basis, const DataView<Scalar>& y,
                   const DataView<Scalar>& v, Tau2Method method, double given, double* tau2,
                   double* typical, int n_threads) {
  const ImageBasis own(basis);
  constexpr Index kVoxels = HeterogeneityTile::kVoxels;
  std::vector<HeterogeneityTile> tiles(at(resolve_threads(n_threads)));
  parallel_for((y.n_voxels + kVoxels - 1) / kVoxels, n_threads, [&](Index task, int thread) {
    const Index first = task * kVoxels;
    HeterogeneityTile& tile = tiles[at(thread)];
    tile.load(y, v, first, std::min(kVoxels, y.n_voxels - first));
    tile.estimate(own, nullptr, method, given, tau2 + first,
                  typical == nullptr ? nullptr : typical + first);
  });
}

template void HeterogeneityTile::load(const DataView<float>&, const DataView<float>&, Index, Index);
template void HeterogeneityTile::load(const DataView<double>&, const DataView<double>&, Index,
                                      Index);
template void estimate_tau2(const Eigen::Ref<const RowMatrix>&, const DataView<float>&,
                            const DataView<float>&, Tau2Method, double, double*, double*, int);
template void estimate_tau2(const Eigen::Ref<const RowMatrix>&, const DataView<double>&,
                            const DataView<double>&, Tau2Method, double, double*, double*, int);

}  // namespace groupglm
