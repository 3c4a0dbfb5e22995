# SPDX-License-Identifier: BSD-3-Clause
"""The statistic of effects that groups of different variance estimate together: `welch_james`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["GroupEffects", "Joined", "welch_james"]

_NO_VARIANCE = 1e-13
"""A direction of effects is without variance below this share of the largest variance."""

_BLOCK_NUMBERS = 2**21
"""Numbers in the matrices of a block of voxels: 16 MB."""


class GroupEffects(NamedTuple):
    """What one group contributes to m effects, from `_core.contrast_parts`.

    Attributes
    ----------
    effect : array, shape (m, n_voxels)
        The group's part of the effects.
    gram : array, shape (m (m + 1) / 2, n_voxels)
        Its covariance matrix over the group's residual variance: the upper triangle by rows.
    df : array, shape (n_voxels,)
        The group's residual degrees of freedom.
    rounding : array, shape (n_voxels,)
        An effect is zero if it is no larger than this times the root of its entry of the gram.
    """

    effect: Floats
    gram: Floats
    df: Floats
    rounding: Floats


@dataclass(frozen=True, eq=False)
class Joined:
    """The effects of all groups together, and their test.

    Parameters
    ----------
    effect : array, shape (m, n_voxels)
        The effects.
    variance : array, shape (n_voxels,)
        The variance of the effect, if there is one.
    df : array, shape (n_voxels,)
        Degrees of freedom of t, or the second ones of F.
    n_threads : int
        Number of threads; 0 means all.
    """

    effect: Floats
    variance: Floats
    df: Floats
    n_threads: int
    _scaled: tuple[Floats, Floats]  # effect and its variance, or sum of squares and its variance

    def t(self) -> tuple[Floats, Floats, Floats]:
        """Return t, p and z of one effect, shape (n_voxels,) each."""
        return _core.t_statistics(*self._scaled, self.df, self.n_threads)

    def f(self) -> tuple[Floats, Floats, Floats]:
        """Return F, p and z of all effects, shape (n_voxels,) each."""
        m, (numerator, variance) = len(self.effect), self._scaled
        squares = numerator**2 if m == 1 else numerator
        return _core.f_statistics(squares, variance, float(m), self.df, self.n_threads)


def welch_james(parts: Sequence[GroupEffects], norms: Sequence[Floats], n_threads: int) -> Joined:
    """Add up the effects of groups, and compute the degrees of freedom of their test.

    `groupglm.models.unequal.UnequalVariances` has the formulas. Everything is divided by the
    largest residual standard deviation of a group, so that no square leaves the range of double.

    Parameters
    ----------
    parts : sequence of GroupEffects
        One for each group; the effects should have Gram matrices near the identity together.
    norms : sequence of array, shape (n_voxels,)
        The root of the residual sum of squares of each group.
    n_threads : int
        Number of threads; 0 means all.
    """
    sds = [norm / np.sqrt(part.df) for part, norm in zip(parts, norms, strict=True)]
    largest = np.max(sds, axis=0)
    unit = np.where(largest == 0, 1.0, largest)
    squares = [(sd / unit) ** 2 for sd in sds]
    effect: Floats = np.sum([part.effect for part in parts], axis=0)
    if len(effect) > 1:
        scaled, df = _several(parts, squares, effect, unit)
        return Joined(effect, np.full_like(unit, np.nan), df, n_threads, scaled)
    variances = [square * part.gram[0] for square, part in zip(squares, parts, strict=True)]
    variance: Floats = np.sum(variances, axis=0)
    spread = np.sum([own**2 / p.df for own, p in zip(variances, parts, strict=True)], axis=0)
    with np.errstate(invalid="ignore"):
        df = np.where(variance == 0, _least_df(parts), variance**2 / spread)
    noise = np.sum([part.rounding * np.sqrt(part.gram[0]) for part in parts], axis=0)
    numerator = np.where((variance == 0) & (np.abs(effect[0]) <= noise), 0.0, effect[0]) / unit
    with np.errstate(over="ignore"):  # as that of any variance that double does not hold
        in_units = variance * unit**2
    return Joined(effect, in_units, df, n_threads, (numerator, variance))


def _least_df(parts: Sequence[GroupEffects]) -> Floats:
    """Return the least degrees of freedom of a group: for effects without any variance."""
    least: Floats = np.min([part.df for part in parts], axis=0)
    return least


def _several(
    parts: Sequence[GroupEffects], squares: Sequence[Floats], effect: Floats, unit: Floats
) -> tuple[tuple[Floats, Floats], Floats]:
    """Return the sum of squares of F and its variance, and the degrees of freedom, in blocks."""
    m, n = effect.shape
    total, variance, df = np.empty((3, n))
    step = max(1, _BLOCK_NUMBERS // (m * m * (len(parts) + 3)))
    for first in range(0, n, step):
        block = slice(first, first + step)
        own = [GroupEffects(*(array[..., block] for array in part)) for part in parts]
        total[block], variance[block], df[block] = _block(
            own, [each[block] for each in squares], effect[:, block] / unit[block], unit[block]
        )
    return (total, variance), df


def _block(
    parts: Sequence[GroupEffects], squares: Sequence[Floats], effect: Floats, unit: Floats
) -> tuple[Floats, Floats, Floats]:
    m = len(effect)
    diagonal = np.cumsum([0, *range(m, 1, -1)])
    covariances = [
        _symmetric(square * part.gram, m) for square, part in zip(squares, parts, strict=True)
    ]
    whole: Floats = np.sum(covariances, axis=0)
    known = np.isfinite(whole).all(axis=(1, 2))
    whole[~known] = np.eye(m)
    size, directions = np.linalg.eigh(whole)
    varies = size > _NO_VARIANCE * np.maximum(size[:, -1:], 0.0)
    root = np.where(varies, 1 / np.sqrt(np.where(varies, size, 1.0)), 0.0)
    along = (effect.T[:, None, :] @ directions)[:, 0, :]
    noise = np.sum([p.rounding * np.sqrt(p.gram[diagonal]) for p in parts], axis=0) / unit
    bound = (noise.T[:, None, :] @ np.abs(directions))[:, 0, :]
    certain = (~varies & (np.abs(along) > bound)).any(axis=1)
    statistic = ((along * root) ** 2).sum(axis=1)
    whitening = directions * root[:, None, :]
    p, q = np.zeros((2, len(whole)))
    for covariance, part in zip(covariances, parts, strict=True):
        share = whitening.swapaxes(1, 2) @ covariance @ whitening
        p += (share**2).sum(axis=(1, 2)) / part.df
        q += np.trace(share, axis1=1, axis2=2) ** 2 / part.df
    both = 2 * p + q
    constant = both == 0
    df = np.where(constant, _least_df(parts), m * (m + 2) / np.where(constant, 1.0, both))
    scale = m + 2 * p - 2 * both / (m + 2)
    # The statistic is infinite without variance, and 0 if there is no effect either.
    total = np.where(certain, 1.0, statistic * m / scale)
    variance = np.where(certain | (constant & (statistic == 0)), 0.0, 1.0)
    df[~known] = np.nan
    return total, variance, df


def _symmetric(triangle: Floats, m: int) -> Floats:
    """Return the matrices (n, m, m) whose upper triangles are given by rows, (m (m + 1) / 2, n)."""
    rows, columns = np.triu_indices(m)
    out: Floats = np.empty((triangle.shape[1], m, m))
    out[:, rows, columns] = out[:, columns, rows] = triangle.T
    return out
