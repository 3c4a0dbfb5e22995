# SPDX-License-Identifier: BSD-3-Clause
"""Expected numbers of clusters above a height, whose degrees of freedom may differ by place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError
from groupglm.inference.random_fields.densities import (
    FieldKind,
    check_field,
    ec_densities,
    statistic_at,
    tail_of,
)
from groupglm.messages import argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.inference.random_fields.smoothness import PartSmoothness

__all__ = ["Field"]

_HEIGHTS = np.linspace(0.0, 8.0, 801)
"""The z at which the largest expected Euler characteristic is looked for."""

_MOST_DF = 200
"""The most distinct degrees of freedom that are told apart; more are grouped by quantiles."""


@dataclass(frozen=True)
class Field:
    """A random field: what its statistic is, and the scale on which heights are given.

    Attributes
    ----------
    stat_type : {"z", "t", "F", "chi2"}
        The statistic.
    dfs : tuple
        Degrees of freedom, as `ec_densities` takes them; several where they differ by place.
    shares : tuple of float
        The share of the places that have each of them.
    on_z_scale : bool
        Whether heights are given as the z that has the same upper tail as the statistic.
    """

    stat_type: FieldKind
    dfs: tuple[Any, ...]
    shares: tuple[float, ...]
    on_z_scale: bool

    @classmethod
    def of(cls, stat_type: FieldKind, df: Any, *, on_z_scale: bool = False) -> Self:
        """Make a field; `df` may have an array of denominators, one for each searched place."""
        numerator, denominator = df if isinstance(df, tuple) else (None, df)
        if not isinstance(denominator, np.ndarray):
            return cls(stat_type, (check_field(stat_type, df),), (1.0,), on_z_scale)
        values, counts = _grouped(denominator.astype(np.float64).ravel())
        pairs = [value if numerator is None else (numerator, value) for value in values.tolist()]
        dfs = tuple(check_field(stat_type, pair) for pair in pairs)
        if len(dfs) > 1 and not on_z_scale:
            raise ArgumentError(
                "df",
                f"{len(dfs)} different numbers",
                remedy="a height is then not one p-value: give heights as z, with "
                + argument("on_z_scale", True),
                verb="has",
            )
        return cls(stat_type, dfs, tuple((counts / counts.sum()).tolist()), on_z_scale)

    def densities(self, heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Euler characteristic's densities, shape (4, ...), mean over places."""
        found = np.zeros((4, *heights.shape))
        for df, share in zip(self.dfs, self.shares, strict=True):
            at = statistic_at(heights, self.stat_type, df) if self.on_z_scale else heights
            with np.errstate(invalid="ignore", over="ignore"):
                found += share * ec_densities(at, self.stat_type, df)
        # Infinitely far out, a product of infinity and zero is meant to be zero.
        return np.where(np.isposinf(heights), 0.0, found)

    def tails(self, heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the p of a single place at some heights, not corrected."""
        if self.on_z_scale or self.stat_type == "z":
            return np.asarray(special.ndtr(-heights))
        return tail_of(heights, self.stat_type, self.dfs[0])

    def height_at(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the height that has the same p as a z."""
        return z if self.on_z_scale else statistic_at(z, self.stat_type, self.dfs[0])

    def turning_point(self, parts: Sequence[PartSmoothness]) -> float:
        """Return the height of the largest expected Euler characteristic.

        Above it, the Euler characteristic counts clusters. Below it, clusters merge and have
        holes, so that it says nothing about their number.
        """
        heights, densities = _scan(self)
        return float(heights[int(np.argmax(_resels(parts) @ densities))])

    def expected(
        self, heights: NDArray[np.float64], parts: Sequence[PartSmoothness]
    ) -> NDArray[np.float64]:
        """Return the expected number of clusters above some heights; infinite where not known.

        Shapes: `heights` (n,); returns (n,).
        """
        number = np.tensordot(_resels(parts), self.densities(heights), axes=1)
        known = heights >= self.turning_point(parts)
        return np.where(known, np.maximum(number, 0.0), np.inf)


@lru_cache(maxsize=8)  # a table asks for the same field several times
def _scan(field: Field) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights, shape (n,), and the densities there, shape (4, n)."""
    heights = field.height_at(_HEIGHTS)
    return heights, np.nan_to_num(field.densities(heights), posinf=0.0, neginf=0.0)


def _resels(parts: Sequence[PartSmoothness]) -> NDArray[np.float64]:
    return np.asarray(np.sum([part.resels for part in parts], axis=0), np.float64)


def _grouped(df: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return distinct degrees of freedom and how often each is there, NaN left out."""
    values, counts = np.unique(df[~np.isnan(df)], return_counts=True)
    if not len(values):
        raise ArgumentError("df", "no number", remedy="give degrees of freedom", verb="holds")
    if len(values) <= _MOST_DF:
        return values, counts
    # The smallest of each group: fewer degrees of freedom are never less strict.
    groups = np.searchsorted(
        np.cumsum(counts) / counts.sum(), np.linspace(0, 1, _MOST_DF + 1)[1:-1]
    )
    starts = np.unique(np.concatenate([[0], groups]))
    return values[starts], np.add.reduceat(counts, starts)
