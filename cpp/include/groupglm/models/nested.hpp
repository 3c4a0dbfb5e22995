// SPDX-License-Identifier: BSD-3-Clause
// Random intercepts of subjects and of the families that subjects are in, by restricted likelihood.
//
// At a voxel, y = X b + u_family + u_subject + e, with the variances lambda_f s2, lambda_s s2, s2.
// With m_s images of a subject, a_s = m_s / (1 + m_s lambda_s), z_s the mean of its rows [X y],
// and for each family g = sum(a_s), u = sum(a_s z_s), c = lambda_f / (1 + lambda_f g):
//
//   [X y]'V^-1 [X y] = W + sum over families of [sum(a_s z_s z_s') - c u u'],   V = Cov(y) / s2
//
// where W are the products of the rows less their subject's mean. Subjects of one family with the
// same number of images have the same a: their z_s are needed as sums only, and so are the products
// z_s z_s' of all subjects with that number. All derivatives follow from the same sums.
//
// Sources: Harville, J. Am. Stat. Assoc. 72:320 (1977); Kenward & Roger, Biometrics 53:983 (1997);
// Fai & Cornelius, J. Stat. Comput. Simul. 54:363 (1996), for Satterthwaite's rule with several
// rows.
#pragma once

#include <cstdint>
#include <vector>

#include "groupglm/models/design.hpp"
#include "groupglm/models/ols_state.hpp"
#include "groupglm/models/statistics.hpp"

namespace groupglm {

/// Who is who: the subject of each image, and the family of each subject, numbered from 0.
struct FamilyTree {
  std::vector<Index> subject;  // (n_images)
  std::vector<Index> family;   // (n_subjects)

  Index n_images() const { return static_cast<Index>(subject.size()); }
  Index n_subjects() const { return static_cast<Index>(family.size()); }
};

/// The rows of the numbers that a fit keeps of each voxel, in coordinates of an orthonormal basis
/// (n, r) of the design. Symmetric matrices are packed by rows of their lower triangles.
struct NestedLayout {
  explicit NestedLayout(Index r_columns) : r(r_columns), packed(r * (r + 1) / 2) {}
  Index r;
  Index packed;

  // s2, lambda_s, lambda_f, the criterion, |y|^2 of the residuals of least squares; of y
  // 2^-exponent
  static constexpr Index kNumbers = 4;
  Index effect() const { return kNumbers; }              // (r): coordinates of the fit
  Index inverse() const { return effect() + r; }         // (X'V^-1 X)^-1
  Index adjusted() const { return inverse() + packed; }  // the same by Kenward and Roger
  Index subject() const { return adjusted() + packed; }  // inverse X'V^-1 V_s V^-1 X inverse
  Index family() const { return subject() + packed; }    // inverse X'V^-1 V_f V^-1 X inverse
  // Covariance of (1, lambda_s, lambda_f), packed: by the expected and by the observed information.
  Index expected() const { return family() + packed; }
  Index observed() const { return expected() + 6; }
  Index rows() const { return observed() + 6; }
};

/// The counts that a fit keeps of each voxel: images, rank of the design, subjects, families,
/// exponent.
inline constexpr Index kNestedCounts = 5;

/// The fit of y (n, n_voxels), any strides; NaN is missing, and a voxel's numbers are those of its
/// own images. numbers: (layout.rows(), n_voxels); counts: (kNestedCounts, n_voxels); row_space
/// gets for each voxel whose images leave the design a lower rank its number in `deficient` and the
/// projector (r, r) onto the combinations that remain. Voxels whose images cannot tell one of the
/// variances, because the design and the other levels leave nothing of it, have NaN. No value is
/// infinite.
struct Deficient {
  std::vector<std::int64_t> voxel;
  std::vector<double> projector;  // (voxels, r, r)
};
template <typename Scalar>
void fit_nested(const Eigen::Ref<const RowMatrix>& basis, const FamilyTree& tree,
                const DataView<Scalar>& y, double* numbers, std::int32_t* counts,
                Deficient& deficient, int n_threads);

enum class ComponentDf { kenward_roger, satterthwaite };

/// A test of rows of a contrast: `rows` (k, r) over the basis give the effects, `hypothesis`
/// (r, rank) is an orthonormal basis of their span. out.effect (k, n_voxels), the others and df
/// (n_voxels). NaN where a voxel's images cannot estimate the contrast.
struct NestedOutputs {
  double* effect;
  double* variance;
  double* stat;
  double* p_value;
  double* z_score;
  double* df;
};
void nested_contrast(const Eigen::Ref<const RowMatrix>& numbers,
                     const Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic,
                                                          Eigen::Dynamic, Eigen::RowMajor>>& counts,
                     const Deficient& deficient, const RowMatrix& rows, const MatrixXd& hypothesis,
                     StatType type, ComponentDf df, const NestedOutputs& out, int n_threads);

}  // namespace groupglm
