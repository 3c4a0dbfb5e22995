# SPDX-License-Identifier: BSD-3-Clause
"""Expected Euler characteristics: against the Gaussian kinematic formula, and published ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.densities import ec_densities, statistic_at, tail_of

FIELDS: list[tuple[Any, Any, float]] = [
    ("z", None, 2.5),
    ("z", None, 4.2),
    ("t", 12, 3.1),
    ("t", 40.5, 5.0),
    ("F", (1, 20), 12.0),
    ("F", (3, 20), 5.2),
    ("F", (5, 40), 4.0),
    ("chi2", 1, 9.0),
    ("chi2", 4, 11.0),
]


def by_tubes(kind: str, df: Any, height: float) -> list[float]:
    """Compute the densities from probabilities alone (Taylor 2006, Gaussian kinematic formula).

    The field is a function of independent Gaussian fields. If P(r) is the probability that they are
    within r of where the function exceeds the height, the density of j dimensions is the j-th
    derivative of P at zero over (2 pi)^(j / 2), for derivatives of variance one.
    """
    if kind == "z":
        bell = float(stats.norm.pdf(height))
        derivatives = [float(stats.norm.sf(height)), bell, height * bell, (height**2 - 1) * bell]
    elif kind == "chi2":
        derivatives = [float(derivative(j, math.sqrt(height), df)) for j in range(4)]
    else:
        k, v = (1, df) if kind == "t" else df
        # |x| >= slope |y| is a cone, whose edge moves at a right angle.
        slope = math.sqrt(k / v * (height**2 if kind == "t" else height))
        secant = math.sqrt(1 + slope**2)
        # |x| of one Gaussian field exceeds where either tail does.
        tails = 2 if kind == "t" else 1
        derivatives = [
            secant**j
            / tails
            * integrate.quad(
                lambda y, j=j: stats.chi.pdf(y, v) * derivative(j, slope * y, k),
                0,
                math.inf,
                epsabs=0,
                epsrel=1e-10,
            )[0]
            for j in range(4)
        ]
    scale = math.sqrt(4 * math.log(2) / (2 * math.pi))
    return [scale**j * derivative for j, derivative in enumerate(derivatives)]


def derivative(j: int, x: float, k: float) -> float:
    """Return the j-th derivative, by r at zero, of the tail of chi with k df from x - r on."""
    if j == 0:
        return float(stats.chi.sf(x, k))
    density, slope = float(stats.chi.pdf(x, k)), (k - 1) / x - x  # slope of the logarithm
    return density * (1.0, -slope, slope**2 - (k - 1) / x**2 - 1)[j - 1]


@pytest.mark.parametrize(("kind", "df", "height"), FIELDS)
def test_densities_are_those_of_the_kinematic_formula(kind: Any, df: Any, height: float) -> None:
    # The integrals over chi are good to 1e-10.
    expected = by_tubes(kind, df, height)
    np.testing.assert_allclose(ec_densities(height, kind, df), expected, rtol=1e-8)


def spm_t(t: float, v: float) -> list[float]:
    """Worsley et al. (1996), table II, as SPM prints it."""
    a = 4 * math.log(2)
    gammas = math.gamma((v + 1) / 2) / math.gamma(v / 2)
    bell = (1 + t**2 / v) ** ((1 - v) / 2)
    return [
        float(stats.t.sf(t, v)),
        a**0.5 / (2 * math.pi) * bell,
        a / (2 * math.pi) ** 1.5 * gammas / (v / 2) ** 0.5 * bell * t,
        a**1.5 / (2 * math.pi) ** 2 * bell * ((v - 1) * t**2 / v - 1),
    ]


@pytest.mark.parametrize("v", [5.0, 18.0, 60.0])
@pytest.mark.parametrize("t", [0.0, 2.0, 4.5, 9.0])
def test_densities_of_t_are_the_published_ones(t: float, v: float) -> None:
    np.testing.assert_allclose(ec_densities(t, "t", v), spm_t(t, v), rtol=1e-12, atol=1e-300)


def test_t_of_many_degrees_of_freedom_is_z_and_f_is_its_square() -> None:
    heights = np.array([2.0, 3.5, 5.0])
    z = ec_densities(heights, "z")
    assert np.array_equal(ec_densities(heights, "t", math.inf), z)
    # The next term is t^4 / 4 v, of 625 / 4e7 at 5.
    np.testing.assert_allclose(ec_densities(heights, "t", 1e7), z, rtol=3e-5)
    # A field of F with one numerator exceeds t^2 where t exceeds t or -t.
    t = 2 * ec_densities(heights, "t", 25.0)
    np.testing.assert_allclose(ec_densities(heights**2, "F", (1, 25)), t, rtol=1e-10)
    np.testing.assert_allclose(ec_densities(heights**2, "chi2", 1), 2 * z, rtol=1e-10)
    chi2 = ec_densities(heights * 3, "F", (3, math.inf))
    np.testing.assert_allclose(ec_densities(heights * 9, "chi2", 3), chi2, rtol=1e-12)


@pytest.mark.parametrize(("kind", "df", "height"), FIELDS)
def test_statistic_of_a_z_has_the_same_tail(kind: Any, df: Any, height: float) -> None:
    z = np.array([-1.0, 0.5, 3.0, 6.0])
    at = statistic_at(z, kind, df)
    np.testing.assert_allclose(tail_of(at, kind, df), stats.norm.sf(z), rtol=1e-8)
    assert ec_densities(height, kind, df)[0] == pytest.approx(
        float(tail_of(np.array(height), kind, df)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("kind", "df", "scaled"),
    [
        ("F", (2, 20), stats.f(2, 20)),
        ("F", (7.5, 33.3), stats.f(7.5, 33.3)),
        ("F", (3, math.inf), stats.chi2(3, scale=1 / 3)),  # chi-squared over its df
        ("chi2", 4, stats.chi2(4)),
        ("t", 12, stats.t(12)),
        ("t", math.inf, stats.norm()),
        ("z", None, stats.norm()),
    ],
)
def test_tails_are_those_of_scipy(kind: Any, df: Any, scaled: Any) -> None:
    # Negative values of F and chi-squared are below all of their values.
    at = np.array([-2.0, -1e-9, 0.0, 0.3, 2.0, 30.0, math.inf, math.nan])
    np.testing.assert_allclose(tail_of(at, kind, df), scaled.sf(at), rtol=1e-12)
    found = ec_densities(at[:-2], kind, df)[0]
    np.testing.assert_allclose(found, scaled.sf(at[:-2]), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "df", "words"),
    [
        ("t", None, "one number of degrees of freedom"),
        ("t", (1, 2), "one number of degrees of freedom"),
        ("z", 5, "no degrees of freedom"),
        ("F", 5, "a pair of numbers of degrees of freedom"),
        ("t", 3, "above 3"),
        ("F", (2, 2.5), "above 3"),
        ("F", (0, 20), "above 0"),
        ("chi2", -1, "above 0"),
        ("T", 5, "one of"),
    ],
)
def test_impossible_degrees_of_freedom_are_refused(kind: Any, df: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        ec_densities(3.0, kind, df)
