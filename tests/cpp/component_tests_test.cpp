// SPDX-License-Identifier: BSD-3-Clause
#include "groupglm/models/component_tests.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace groupglm;

namespace {

MatrixXd one(double value) { return MatrixXd::Constant(1, 1, value); }

}  // namespace

TEST_CASE("one component alone gives its own degrees of freedom") {
  // s2 of variance 2 s2^2 / nu: both rules give nu, and the scale is 1.
  const double nu = 17.0;
  const MatrixXd w = one(2.0 / nu);
  CHECK(satterthwaite(one(3.0), {one(3.0)}, w, 1).df == doctest::Approx(nu));
  CHECK(kenward_roger(one(3.0), {one(3.0)}, w).df == doctest::Approx(nu));
  MatrixXd c(2, 2);
  c << 2.0, 0.5, 0.5, 1.0;
  const ScaledF f = kenward_roger(c, {c}, w);
  CHECK(f.df == doctest::Approx(nu));
  CHECK(f.scale == doctest::Approx(1.0));
  const ScaledF s = satterthwaite(c, {c}, w, 2);
  CHECK(s.df == doctest::Approx(nu));
}

TEST_CASE("rows that are estimated alike have an exact F, also on two degrees of freedom") {
  // A1 = q A2 = q^2 2 / nu. At nu = 2 the expectation of F is infinite, and its scale is 0 / 0.
  for (const double rows : {2.0, 3.0, 5.0}) {
    for (const double nu : {1.0, 2.0, 4.0, 30.0}) {
      for (const double rounding : {-1e-15, 0.0, 1e-15}) {
        const double a2 = 2.0 * rows / nu;
        const ScaledF f = kenward_roger(rows * a2 * (1.0 + rounding), a2, rows);
        CHECK(f.df == doctest::Approx(nu).epsilon(1e-14));
        CHECK(f.scale == 1.0);
      }
    }
  }
}

TEST_CASE("a component without information has no variance") {
  MatrixXd information = MatrixXd::Zero(2, 2);
  information(0, 0) = 4.0;
  const MatrixXd inverse = inverse_of_information(information);
  CHECK(inverse(0, 0) == doctest::Approx(0.25));
  CHECK(inverse(1, 1) == 0.0);
  information << 4.0, 1.0, 1.0, 2e12;
  const MatrixXd product = inverse_of_information(information) * information;
  CHECK((product - MatrixXd::Identity(2, 2)).norm() < 1e-9);
}
