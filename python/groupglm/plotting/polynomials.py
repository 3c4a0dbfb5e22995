# SPDX-License-Identifier: BSD-3-Clause
"""Columns of a design as functions of one or two numbers, anywhere if they are polynomials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["degree_of", "polynomials"]

_MAX_DEGREE = 5
_TOLERANCE = 1e-9  # of a column's largest size; more than the rounding of text files


def polynomials(
    columns: FloatArray, variables: Sequence[FloatArray]
) -> Callable[[Sequence[FloatArray]], FloatArray] | None:
    """Express columns as polynomials of one or two numbers, if they are such polynomials.

    Shapes: `columns` (n, n_columns), `variables` (n,).

    Examples
    --------
    >>> x = np.arange(6.0)
    >>> found = polynomials((x**2)[:, np.newaxis], [x])
    >>> found([np.array([0.5, 10.0])]).round(9).tolist()
    [[0.25], [100.0]]
    """
    degree = degree_of(columns, variables)
    if degree is None:
        return None
    scales = [_scale(values) for values in variables]
    weights = np.linalg.lstsq(_basis(variables, scales, degree), columns, rcond=None)[0]

    def at(places: Sequence[FloatArray]) -> FloatArray:
        return np.asarray(_basis(places, scales, degree) @ weights, dtype=np.float64)

    return at


def degree_of(columns: FloatArray, variables: Sequence[FloatArray]) -> int | None:
    """Return the lowest degrees of the polynomials of the numbers that columns are; or None."""
    n_points = len(np.unique(np.column_stack(variables), axis=0))
    scales = [_scale(values) for values in variables]
    size = _TOLERANCE * np.abs(columns).max(axis=0, initial=0.0)
    # A polynomial with as many terms fits any values: only one point more is a test. Two points
    # always have a straight line through them.
    degrees = [
        degree
        for degree in range(1, _MAX_DEGREE + 1)
        if (degree + 1) ** len(variables) < n_points or (degree == len(variables) == 1)
    ]

    def is_of(degree: int) -> bool:
        basis = _basis(variables, scales, degree)
        fitted = basis @ np.linalg.lstsq(basis, columns, rcond=None)[0]
        return bool((np.abs(fitted - columns) <= size).all())

    if not degrees or not is_of(degrees[-1]):  # most columns are not polynomials of others
        return None
    return next(degree for degree in degrees if is_of(degree))


def _scale(values: FloatArray) -> tuple[float, float]:
    """Return the middle and half the range of some values."""
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, (high - low) / 2 or 1.0


def _basis(
    variables: Sequence[FloatArray], scales: Sequence[tuple[float, float]], degree: int
) -> FloatArray:
    """Return products of the numbers' Chebyshev polynomials, shape (n, n_terms)."""
    basis = np.ones((len(variables[0]), 1))
    for values, (middle, half) in zip(variables, scales, strict=True):
        own = np.polynomial.chebyshev.chebvander((values - middle) / half, degree)
        basis = (basis[:, :, np.newaxis] * own[:, np.newaxis, :]).reshape(len(values), -1)
    return basis
