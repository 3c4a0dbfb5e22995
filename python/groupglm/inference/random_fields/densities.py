# SPDX-License-Identifier: BSD-3-Clause
"""Expected Euler characteristics per resel of fields of z, t, F and chi-squared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError
from groupglm.runtime.arguments import check_choice, real_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LEAST_DF", "Df", "FieldKind", "check_field", "ec_densities", "statistic_at", "tail_of"]

FieldKind: TypeAlias = Literal["z", "t", "F", "chi2"]
Df: TypeAlias = "float | tuple[float, float] | None"

_KINDS = ("z", "t", "F", "chi2")
_FOUR_LOG_2 = 4 * math.log(2)  # resels: the derivatives' variance of noise of a FWHM of one
_MOST_DIMENSIONS = 3

LEAST_DF = float(_MOST_DIMENSIONS)
"""A field of t or F has more degrees of freedom: one of fewer is infinite somewhere.

Worsley (1994). Where they are as many as dimensions, a field is infinite at points.
"""

_HIGHEST_Z = 37.0
"""The z whose p is about the smallest that double holds with full precision."""


def check_field(stat_type: FieldKind, df: Df) -> Df:
    """Return the degrees of freedom of a field of a kind, as floats; refuse what it cannot have.

    Examples
    --------
    >>> check_field("F", (2, 18))
    (2.0, 18.0)
    """
    check_choice("stat_type", stat_type, _KINDS)
    given = () if df is None else df if isinstance(df, tuple) else (df,)
    wanted = {"z": 0, "t": 1, "F": 2, "chi2": 1}[stat_type]
    if len(given) != wanted:
        number = ("no", "one number of", "a pair of numbers of")[wanted]
        raise ArgumentError(
            "df", f"{df!r}", f"{number} degrees of freedom", f"a field of {stat_type} has such"
        )
    numbers = [real_number("df", number, infinite=True) for number in given]
    least = 0.0 if stat_type == "chi2" else LEAST_DF
    if wanted and numbers[-1] <= least:
        raise ArgumentError(
            "df",
            f"{numbers[-1]:g}",
            f"above {least:g}",
            "random field theory needs more images: use permutation, or a mask of the places that "
            "enough images have",
        )
    if wanted == 2 and not 0 < numbers[0] < math.inf:
        raise ArgumentError("df", f"{df!r}", "above 0 and finite", "the numerator is the rank")
    return None if wanted == 0 else numbers[0] if wanted == 1 else (numbers[0], numbers[1])


def ec_densities(values: ArrayLike, stat_type: FieldKind, df: Df = None) -> NDArray[np.float64]:
    """Compute the expected Euler characteristic per resel of what exceeds some values.

    Parameters
    ----------
    values : array_like, shape (...)
        Heights of the field.
    stat_type : {"z", "t", "F", "chi2"}
        The kind of field.
    df : float or pair of float, optional
        Degrees of freedom: none of z, one number of t and chi-squared, numerator and denominator
        of F.

    Returns
    -------
    array of float64, shape (4, ...)
        Of 0 (the probability of the upper tail), 1, 2 and 3 dimensions.

    Raises
    ------
    ValueError
        If the degrees of freedom are not those of such a field.

    References
    ----------
    Worsley, K. J., Marrett, S., Neelin, P., Vandal, A. C., Friston, K. J., Evans, A. C. (1996). A
    unified statistical approach for determining significant signals in images of cerebral
    activation. Human Brain Mapping 4, 58-73, table II.

    Examples
    --------
    >>> ec_densities(4.0, "z").round(6)
    array([3.20e-05, 8.90e-05, 2.36e-04, 5.88e-04])
    """
    df = check_field(stat_type, df)
    at = np.asarray(values, np.float64)
    if isinstance(df, tuple):
        if math.isinf(df[1]):
            return _of_chi2(at * df[0], df[0])
        return _of_f(at, *df)
    if df is None or (stat_type == "t" and math.isinf(df)):
        return _of_z(at)
    return _of_t(at, df) if stat_type == "t" else _of_chi2(at, df)


def _of_z(z: NDArray[np.float64]) -> NDArray[np.float64]:
    bell = np.exp(-(z**2) / 2)
    root, whole = math.sqrt(_FOUR_LOG_2), 2 * math.pi
    return np.stack(
        [
            special.ndtr(-z),
            root / whole * bell,
            root**2 / whole**1.5 * z * bell,
            root**3 / whole**2 * (z**2 - 1) * bell,
        ]
    )


def _of_t(t: NDArray[np.float64], df: float) -> NDArray[np.float64]:
    bell = np.exp(-(df - 1) / 2 * np.log1p(t**2 / df))
    root, whole = math.sqrt(_FOUR_LOG_2), 2 * math.pi
    # Gamma((df + 1) / 2) / (sqrt(df / 2) Gamma(df / 2)), near one
    ratio = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df / 2)
    return np.stack(
        [
            np.asarray(special.stdtr(df, -t)),
            root / whole * bell,
            root**2 / whole**1.5 * ratio * t * bell,
            root**3 / whole**2 * ((df - 1) / df * t**2 - 1) * bell,
        ]
    )


def _of_f(f: NDArray[np.float64], k: float, v: float) -> NDArray[np.float64]:
    """F with k and v degrees of freedom, by x = k f / v."""
    x = np.maximum(f, 0) * k / v
    with np.errstate(divide="ignore", invalid="ignore"):
        log_x, log_1x = np.log(x), np.log1p(x)

        def scaled(d: int) -> NDArray[np.float64]:
            """Return what all terms of d dimensions have in common."""
            gammas = math.lgamma((v + k - d) / 2) - math.lgamma(k / 2) - math.lgamma(v / 2)
            constant = d / 2 * math.log(_FOUR_LOG_2 / (2 * math.pi)) + gammas
            constant += (2 - d) / 2 * math.log(2)
            power = (k - d) / 2 * log_x if k != d else 0.0
            return np.asarray(np.exp(constant + power - (v + k - 2) / 2 * log_1x))

        second = (v - 1) * x - (k - 1)
        third = (v - 1) * (v - 2) * x**2 - (2 * v * k - v - k - 1) * x + (k - 1) * (k - 2)
        tail = _tail_of_f(f, k, v)
        return np.stack([tail, scaled(1), scaled(2) * second, scaled(3) * third])


def _of_chi2(c: NDArray[np.float64], k: float) -> NDArray[np.float64]:
    x = np.maximum(c, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_x = np.log(x)

        def scaled(d: int) -> NDArray[np.float64]:
            constant = d / 2 * math.log(_FOUR_LOG_2 / (2 * math.pi)) - math.lgamma(k / 2)
            constant -= (k - 2) / 2 * math.log(2)
            power = (k - d) / 2 * log_x if k != d else 0.0
            return np.asarray(np.exp(constant + power - x / 2))

        second = x - (k - 1)
        third = x**2 - (2 * k - 1) * x + (k - 1) * (k - 2)
        tail = _tail_of_chi2(c, k)
        return np.stack([tail, scaled(1), scaled(2) * second, scaled(3) * third])


def tail_of(values: NDArray[np.float64], stat_type: FieldKind, df: Df) -> NDArray[np.float64]:
    """Return the probability of the upper tail of one value of a field: p, not corrected.

    Shapes: `values` (...); returns `p` (...).
    """
    if isinstance(df, tuple):
        return _tail_of_f(values, *df)
    if df is None or (stat_type == "t" and math.isinf(df)):
        return np.asarray(special.ndtr(-values))
    return np.asarray(special.stdtr(df, -values)) if stat_type == "t" else _tail_of_chi2(values, df)


def _tail_of_f(f: NDArray[np.float64], k: float, v: float) -> NDArray[np.float64]:
    """Return the upper tail of F: 1 of negative values, which scipy.special calls unknown."""
    if math.isinf(v):
        return _tail_of_chi2(f * k, k)
    return np.asarray(special.fdtrc(k, v, np.maximum(f, 0)))


def _tail_of_chi2(c: NDArray[np.float64], k: float) -> NDArray[np.float64]:
    return np.asarray(special.chdtrc(k, np.maximum(c, 0)))


def statistic_at(z: NDArray[np.float64], stat_type: FieldKind, df: Df) -> NDArray[np.float64]:
    """Return the value of a field that has the same upper tail as a z.

    Shapes: `z` (...); returns `values` (...).
    """
    if stat_type == "z" or (stat_type == "t" and df == math.inf):
        return z
    p = special.ndtr(-np.minimum(z, _HIGHEST_Z))
    if isinstance(df, tuple) and math.isinf(df[1]):
        return np.asarray(special.chdtri(df[0], p) / df[0])
    if isinstance(df, tuple):
        return _f_at(p, *df)
    assert df is not None  # noqa: S101  (of the kinds that are left, each has some)
    if stat_type == "chi2":
        return np.asarray(special.chdtri(df, p))
    one_tail = np.minimum(p, special.ndtr(z))  # t is symmetric, and its square an F
    return np.asarray(np.sign(z) * np.sqrt(_f_at(2 * one_tail, 1.0, df)))


def _f_at(p: NDArray[np.float64], k: float, v: float) -> NDArray[np.float64]:
    """Return the F of an upper tail; exact also far out, where that of scipy is not (1.17)."""
    with np.errstate(divide="ignore"):
        return np.asarray((1 / special.betaincinv(v / 2, k / 2, p) - 1) * v / k)
