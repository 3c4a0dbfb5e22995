# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests by enumeration in rational numbers, in which ties are exact.

The first columns of the design are tested, the others are nuisance. A statistic is its odds: the
part that the effect explains over the part that the full model leaves, with the sign of the
coefficient for one column. It is infinite if nothing is left, and zero if there is nothing to
explain either.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vector = list[Fraction]
Odds = Fraction | float

__all__ = ["corrected_p", "every_flip", "every_order", "permuted_odds"]


def _dot(a: Vector, b: Vector) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _basis(columns: list[Vector]) -> list[Vector]:
    """Orthogonal columns of the same span, by Gram and Schmidt, not of length one."""
    basis: list[Vector] = []
    for column in columns:
        left = _residual(column, basis)
        if any(left):
            basis.append(left)
    return basis


def _residual(y: Vector, basis: list[Vector]) -> Vector:
    for b in basis:
        share = _dot(b, y) / _dot(b, b)
        y = [v - share * w for v, w in zip(y, b, strict=True)]
    return y


def _odds(y: Vector, tested: list[Vector], nuisance: list[Vector]) -> Odds:
    """Return the odds of data y, from bases of the tested effect and of the nuisance."""
    null = _residual(y, nuisance)
    full = _residual(null, tested)
    explained = _dot(null, null) - _dot(full, full)
    if explained == 0:
        return Fraction(0)
    sign = -1 if len(tested) == 1 and _dot(tested[0], null) < 0 else 1
    rest = _dot(full, full)
    return sign * explained / rest if rest else sign * float("inf")


def every_order(n: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    return ((order, (1,) * n) for order in itertools.permutations(range(n)))


def every_flip(n: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    return ((tuple(range(n)), signs) for signs in itertools.product((1, -1), repeat=n))


def permuted_odds(
    X: NDArray[np.int64],
    n_effect: int,
    Y: NDArray[np.int64],
    rearrangements: Iterator[tuple[tuple[int, ...], tuple[int, ...]]],
    method: str,
) -> tuple[list[Odds], list[list[Odds] | None]]:
    """The odds of each voxel of the data as they are, and of each rearrangement.

    None of a rearrangement that leaves the design as it is: that is the data as they are.
    """
    columns: list[Vector] = [[Fraction(int(v)) for v in column] for column in X.T]
    data: list[Vector] = [[Fraction(int(v)) for v in column] for column in Y.T]
    nuisance = _basis(columns[n_effect:])
    effect = [_residual(column, nuisance) for column in columns[:n_effect]]
    tested = _basis(effect)
    own = [_residual(y, [*nuisance, *tested] if method == "ter-braak" else nuisance) for y in data]

    def moved(y: Vector, order: tuple[int, ...], signs: tuple[int, ...]) -> Vector:
        return [s * y[i] for i, s in zip(order, signs, strict=True)]

    null: list[list[Odds] | None] = []
    for order, signs in rearrangements:
        if all(moved(column, order, signs) == column for column in columns):
            null.append(None)
        elif method == "smith":
            beside = [_residual(moved(column, order, signs), nuisance) for column in effect]
            shuffled = _basis(beside)
            null.append([_odds(y, shuffled, nuisance) for y in data])
        else:
            null.append([_odds(moved(y, order, signs), tested, nuisance) for y in own])
    return [_odds(y, tested, nuisance) for y in data], null


def corrected_p(
    observed: list[Odds], null: list[list[Odds] | None], voxels: list[int], *, two_sided: bool
) -> list[Fraction]:
    """The share of rearrangements whose largest statistic reaches a voxel's, for some voxels."""

    def counted(odds: Odds) -> Odds:
        return -odds if two_sided and odds < 0 else odds

    largest = [
        float("inf") if row is None else max(counted(row[v]) for v in voxels) for row in null
    ]
    return [
        Fraction(sum(value >= counted(observed[v]) for value in largest), len(null)) for v in voxels
    ]
