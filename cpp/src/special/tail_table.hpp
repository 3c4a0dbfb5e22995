// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

// The piecewise polynomials behind StudentT::p_and_z and FisherF::p_and_z.
//
// Pieces partition [0, limit) of |w| where 1 + w^2 crosses quarters of octaves. The piece of a
// value is thus read from the bits of 1 + w^2, and pieces widen with w as the functions'
// singularities recede. Every piece holds two polynomials of its local coordinate in [-1, 1].
namespace groupglm::detail {

// The two functions that are interpolated at w: the scaled tail h, and z or a function of z.
struct TableValue {
  double scaled_tail;
  double score;
};

class TailTable {
 public:
  static constexpr int kDegree = 12;
  static constexpr int kBatch = 64;  // values at a time; a multiple of every vector width
  static constexpr int kMaxPieces = 43;

  // Upper end in |w| of the pieces 0 .. n_pieces - 1.
  static double edge(int n_pieces);
  // The largest number of pieces whose upper end does not exceed `root`.
  static int pieces_within(double root);

  // For functions even in w: fits n_pieces at w >= 0 and uses them for both signs.
  TailTable(int n_pieces, const std::function<TableValue(double)>& function);
  // Fits n_upper pieces at w >= 0, then n_lower pieces at w < 0. On each side `function` is called
  // with w of increasing magnitude.
  TailTable(int n_upper, int n_lower, const std::function<TableValue(double)>& function);

  double upper_limit() const { return upper_limit_; }
  double lower_limit() const { return lower_limit_; }

  // h and the score (each unless nullptr) for kBatch roots w, all inside the limits.
  void evaluate(const double* root, double* scaled_tail, double* score) const;

 private:
  // The doubles of a piece: its centre, the inverse of its half-width, then the coefficients of the
  // two polynomials, lowest first.
  static constexpr int kStride = 2 + 2 * (kDegree + 1);

  void fit_piece(int piece, bool lower, const std::function<TableValue(double)>& function);

  double upper_limit_;
  double lower_limit_;
  int lower_offset_;
  std::vector<double> coefficients_;
};

}  // namespace groupglm::detail
