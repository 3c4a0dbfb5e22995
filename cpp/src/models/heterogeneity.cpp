// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/heterogeneity.hpp"

#include <array>
#include <cmath>
#include <optional>

#include "groupglm/parallel.hpp"
#include "models/tau2_search.hpp"

namespace groupglm {

namespace {

// A task is a run of panels, so that the panel that it prefetches next is its own.
constexpr Index kTaskPanels = 32;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// Cubes of the inverse of variances between these, times squares of effects, stay within double.
// Voxels with others are scaled by a power of two.
constexpr double kSmallestOrdinary = 1e-60;
constexpr double kLargestOrdinary = 1e60;
constexpr int kMostExponent = 500;  // 4 to its power is within double

Octet paule_mandel(Tau2Sums& sums, const OctetImages& images, const OctetFacts& facts) {
  // 1 / y'Py is concave in tau2: Newton's iteration on it rises to its root, and does so in one
  // step if all variances are equal.
  constexpr int kMostSteps = 200;
  constexpr double kLastStep = 3e-8;  // the next would be about its square
  const Octet df = facts.n_images - static_cast<double>(sums.basis().r());
  Octet t = full(0.0);
  std::array<bool, kOctet> done{};
  for (int step = 0; step < kMostSteps; ++step) {
    if (step > 0) {
      sums.fit(images, t);
      sums.add_squares(images);
    }
    const Octet q = sums.moments().s1;
    const Octet change = (q - df) * q / (df * sums.moments().s2);
    for (int l = 0; l < kOctet; ++l) {
      if (done[at(l)]) continue;
      if (change[l] > 0.0) t[l] += change[l];
      done[at(l)] = !(change[l] > kLastStep * (facts.smallest[l] + t[l]));
    }
    if (std::all_of(done.begin(), done.end(), [](bool each) { return each; })) break;
  }
  return t;
}

// The estimates of one voxel a lane, from the residuals of least squares. `sums` has just centred.
OctetTau2 estimate_octet(Tau2Sums& sums, const OctetImages& images, const OctetFacts& facts,
                         Tau2Method method, const Octet& given) {
  if (method == Tau2Method::reml || method == Tau2Method::ml) {
    return largest_likelihood(sums, images, facts, method == Tau2Method::reml);
  }
  const Octet df = facts.n_images - static_cast<double>(sums.basis().r());
  const Octet left = method == Tau2Method::hedges ? sums.variance_left(images) : full(0.0);
  sums.fit(images, full(0.0));
  sums.add_squares(images);
  OctetTau2 out{given, sums.trace(), sums.moments().s1};
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
Octet statistic_of(const Tau2Sums& sums, const Octets& b, const Octet& df, MixedScale scale,
                   Index n_effects) {
  const Moments& m = sums.moments();
  const Index r = sums.basis().r();
  Octet squares = full(0.0);
  Octet last = full(0.0);
  for (Index j = r - n_effects; j < r; ++j) {
    last = b[at(j)];
    for (Index k = j + 1; k < r; ++k) last += m.a[at(packed(k, j))] * b[at(k)];
    squares += last * last * m.a[at(packed(j, j))];
  }
  Octet variance = full(1.0);
  if (scale != MixedScale::one) variance = m.s1 / df;
  if (scale == MixedScale::residual_at_least_one) variance = variance.max(full(1.0));
  if (n_effects > 1) return squares / (static_cast<double>(n_effects) * variance);
  return last * (m.a[at(packed(r - 1, r - 1))] / variance).sqrt();
}

struct OctetResults {
  OctetTau2 found;
  Octet typical;  // (n - p) / tr P at tau2 = 0
  Octet stat;
  // The images cannot tell the columns of the basis apart: nothing else is of use.
  std::array<bool, kOctet> is_deficient{};
};

// What is asked for, of one voxel a lane. own (n, kOctet): workspace.
OctetResults solve_symmetric_of(Tau2Sums& sums, const OctetImages& raw, OctetFacts facts,
                                const MixedTest& test, const Octet& given, bool with_statistic,
                                double* own) {
  facts.rss = sums.centre(raw, facts.n_images, own);
  OctetResults out;
  for (int l = 0; l < kOctet; ++l) out.is_deficient[at(l)] = sums.is_deficient(l);
  Octets b;
  if (with_statistic) b = sums.moments().b;
  const OctetImages images{raw.n, own, raw.v};
  out.found = estimate_octet(sums, images, facts, test.method, given);
  out.stat = full(kNan);
  const Octet df = facts.n_images - static_cast<double>(sums.basis().r());
  out.typical = df / out.found.trace;
  for (int l = 0; l < kOctet; ++l) {
    if (df[l] > 0.0) continue;
    out.found.tau2[l] = kNan;
    out.found.q[l] = 0.0;
    out.typical[l] = kNan;
  }
  if (!with_statistic) return out;
  sums.fit(images, out.found.tau2);
  sums.add_scatter(images);
  for (std::size_t j = 0; j < b.size(); ++j) b[j] += sums.moments().b[j];
  out.stat = statistic_of(sums, b, df, test.scale, test.n_effects);
  return out;
}

// value 2^exponent; most exponents are 0.
double scaled(double value, int exponent) {
  return exponent == 0 ? value : std::ldexp(value, exponent);
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
// (n, kOctet), of which it is one lane. Lane 0 of the results is the voxel's.
OctetResults solve_alone(const ImageBasis& basis, const OctetImages& raw, const OctetFacts& facts,
                         int lane, const MixedTest& test, const Octet& given, bool with_statistic) {
  OctetResults nothing{{full(kNan), full(kNan), full(0.0)}, full(kNan), full(kNan)};
  std::vector<Index> rows;
  for (Index i = 0; i < raw.n; ++i) {
    if (variances(raw, i)[lane] < kInf) rows.push_back(i);
  }
  if (rows.empty()) return nothing;
  const RowMatrix whole = basis.matrix();
  MatrixXd q(static_cast<Index>(rows.size()), basis.r());
  for (Index i = 0; i < q.rows(); ++i) q.row(i) = whole.row(rows[at(i)]);
  const auto own_basis = basis_with_effect(q, with_statistic ? test.n_effects : 0);
  if (!own_basis || own_basis->cols() >= q.rows()) return nothing;
  const ImageBasis alone{RowMatrix(*own_basis)};
  const Index n = alone.n();
  std::vector<double> values(at(3 * n * kOctet));
  double* const y = values.data();
  double* const v = y + n * kOctet;
  for (Index i = 0; i < n; ++i) {
    OctetOut(y + i * kOctet).setConstant(effects(raw, rows[at(i)])[lane]);
    OctetOut(v + i * kOctet).setConstant(variances(raw, rows[at(i)])[lane]);
  }
  Tau2Sums sums(alone);
  const OctetFacts own{full(facts.n_images[lane]), full(facts.smallest[lane]),
                       full(facts.largest[lane]), full(0.0)};
  return solve_symmetric_of(sums, {n, y, v}, own, test, full(given[lane]), with_statistic,
                            v + n * kOctet);
}

}  // namespace

HeterogeneityTile::HeterogeneityTile() = default;
HeterogeneityTile::HeterogeneityTile(HeterogeneityTile&&) noexcept = default;
HeterogeneityTile& HeterogeneityTile::operator=(HeterogeneityTile&&) noexcept = default;
HeterogeneityTile::~HeterogeneityTile() = default;

template <typename Scalar>
void HeterogeneityTile::load(const DataView<Scalar>& y, const DataView<Scalar>& v,
                             const std::vector<Index>* rows, Index first, Index count) {
  n_ = rows == nullptr ? y.n_rows : static_cast<Index>(rows->size());
  count_ = count;
  y_.resize(n_ * kPanel);
  v_.resize(n_ * kPanel);
  exponent_.fill(0);
  const PanelFacts facts{n_images_.data(), smallest_.data(), largest_.data()};
  ImageSource<Scalar> source{y.data + first * y.voxel_stride, v.data + first * v.voxel_stride,
                             y.row_stride, v.row_stride};
  source.rows = rows == nullptr ? nullptr : rows->data();
  source.n = n_;
  if (y.voxel_stride == 1 && v.voxel_stride == 1 && count == kPanel) {
    source.has_next = first + 2 * kPanel <= y.n_voxels;
    inner_loops().images.read(source, y_.data(), v_.data(), facts);
  } else {
    // Zeros beyond `count`: there nothing is present.
    std::vector<Scalar> values(at(2 * n_ * kPanel));
    Scalar* const y_rows = values.data();
    Scalar* const v_rows = y_rows + n_ * kPanel;
    for (Index i = 0; i < n_; ++i) {
      const Index row = rows == nullptr ? i : (*rows)[at(i)];
      for (Index k = 0; k < count; ++k) {
        y_rows[i * kPanel + k] = source.y[row * y.row_stride + k * y.voxel_stride];
        v_rows[i * kPanel + k] = source.v[row * v.row_stride + k * v.voxel_stride];
      }
    }
    const ImageSource<Scalar> gathered{y_rows, v_rows, kPanel, kPanel, nullptr, n_, false};
    inner_loops().images.read(gathered, y_.data(), v_.data(), facts);
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
    const Index out = (voxel / kOctet * n_ + i) * kOctet + voxel % kOctet;
    y_[out] = std::ldexp(y_[out], -exponent);
    v_[out] = std::ldexp(v_[out], -2 * exponent);
  }
  smallest_[at(voxel)] = std::ldexp(smallest, -2 * exponent);
  largest_[at(voxel)] = std::ldexp(largest, -2 * exponent);
}

double HeterogeneityTile::smallest(Index voxel) const {
  return scaled(smallest_[at(voxel)], 2 * exponent_[at(voxel)]);
}

double HeterogeneityTile::largest(Index voxel) const {
  return scaled(largest_[at(voxel)], 2 * exponent_[at(voxel)]);
}

void HeterogeneityTile::solve(const ImageBasis& basis, const double* sign, const MixedTest& test,
                              double* stat, const HeterogeneityOut& out) {
  if (sums_ == nullptr) sums_ = std::make_unique<Tau2Sums>(basis);
  Tau2Sums& sums = *sums_;
  sums.use(basis);
  own_.resize(2 * n_ * kOctet);
  double* const with_signs = own_.data() + n_ * kOctet;
  for (Index first = 0; first < count_; first += kOctet) {
    OctetImages raw{n_, y_.data() + first * n_, v_.data() + first * n_};
    if (sign != nullptr) {
      for (Index i = 0; i < n_; ++i) OctetOut(with_signs + i * kOctet) = sign[i] * effects(raw, i);
      raw.y = with_signs;
    }
    const OctetFacts facts{OctetMap(n_images_.data() + first), OctetMap(smallest_.data() + first),
                           OctetMap(largest_.data() + first), full(0.0)};
    Octet given = full(test.given);
    for (int l = 0; l < kOctet; ++l) given[l] = scaled(given[l], -2 * exponent_[at(first + l)]);
    const OctetResults all =
        solve_symmetric_of(sums, raw, facts, test, given, stat != nullptr, own_.data());
    for (Index l = 0; l < std::min<Index>(kOctet, count_ - first); ++l) {
      const bool is_alone = all.is_deficient[at(l)] && facts.n_images[l] > 0.0;
      const auto lane = static_cast<int>(l);
      OctetResults alone;
      if (is_alone) alone = solve_alone(basis, raw, facts, lane, test, given, stat != nullptr);
      const OctetResults& own = is_alone ? alone : all;
      const Index from = is_alone ? 0 : l;
      const int exponent = 2 * exponent_[at(first + l)];
      if (stat != nullptr) stat[first + l] = own.stat[from];
      if (out.tau2 != nullptr) out.tau2[first + l] = scaled(own.found.tau2[from], exponent);
      if (out.typical != nullptr) out.typical[first + l] = scaled(own.typical[from], exponent);
      if (out.q != nullptr) out.q[first + l] = facts.n_images[l] > 0.0 ? own.found.q[from] : 0.0;
    }
  }
}

void HeterogeneityTile::estimate(const ImageBasis& basis, const double* sign, Tau2Method method,
                                 double given, const HeterogeneityOut& out) {
  MixedTest test;
  test.method = method;
  test.given = given;
  solve(basis, sign, test, nullptr, out);
}

void HeterogeneityTile::statistics(const ImageBasis& basis, const double* sign,
                                   const MixedTest& test, double* stat, double* tau2) {
  HeterogeneityOut out;
  out.tau2 = tau2;
  solve(basis, sign, test, stat, out);
}

template <typename Scalar>
void estimate_tau2(const Eigen::Ref<const RowMatrix>& basis, const DataView<Scalar>& y,
                   const DataView<Scalar>& v, Tau2Method method, double given, double* tau2,
                   double* typical, int n_threads) {
  const ImageBasis own(basis);
  std::vector<HeterogeneityTile> tiles(at(resolve_threads(n_threads)));
  const Index n_panels = (y.n_voxels + kPanel - 1) / kPanel;
  parallel_for((n_panels + kTaskPanels - 1) / kTaskPanels, n_threads, [&](Index task, int thread) {
    HeterogeneityTile& tile = tiles[at(thread)];
    const Index end = std::min(y.n_voxels, (task + 1) * kTaskPanels * kPanel);
    for (Index first = task * kTaskPanels * kPanel; first < end; first += kPanel) {
      tile.load(y, v, nullptr, first, std::min(kPanel, end - first));
      HeterogeneityOut out;
      out.tau2 = tau2 + first;
      if (typical != nullptr) out.typical = typical + first;
      tile.estimate(own, nullptr, method, given, out);
    }
  });
}

template void HeterogeneityTile::load(const DataView<float>&, const DataView<float>&,
                                      const std::vector<Index>*, Index, Index);
template void HeterogeneityTile::load(const DataView<double>&, const DataView<double>&,
                                      const std::vector<Index>*, Index, Index);
template void estimate_tau2(const Eigen::Ref<const RowMatrix>&, const DataView<float>&,
                            const DataView<float>&, Tau2Method, double, double*, double*, int);
template void estimate_tau2(const Eigen::Ref<const RowMatrix>&, const DataView<double>&,
                            const DataView<double>&, Tau2Method, double, double*, double*, int);

}  // namespace groupglm
