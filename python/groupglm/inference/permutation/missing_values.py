# SPDX-License-Identifier: BSD-3-Clause
"""Voxels that some images lack: grouped by the images that have them, and chosen for the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.permutation.kernels import TILE_BYTES
from groupglm.inference.permutation.tolerances import LOG_COUNT
from groupglm.messages import argument
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.exchange import Exchange
    from groupglm.inference.permutation.null_distribution import DataSource
    from groupglm.inference.permutation.partition import Partition
    from groupglm.models.base import Rows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = [
    "FEWEST_REARRANGEMENTS",
    "Patterns",
    "Presence",
    "find_presence",
    "lacking_voxels",
    "refuse_missing",
]

FEWEST_REARRANGEMENTS = 20
"""The fewest rearrangements of a tested voxel: with fewer, its own p-value is never below 0.05."""

_CHUNK = 2**24  # values processed together, which bounds the memory

_CANNOT_ESTIMATE = "whose images cannot estimate the contrast or leave no degrees of freedom"
_BROKEN = "with blocks that lack some of their images, so that whole blocks cannot be exchanged"
_SAME = "among whose images the tested effect is the same in any order"
_FEW = f"with fewer than {FEWEST_REARRANGEMENTS} different rearrangements of their images"


@dataclass(frozen=True, eq=False)
class Patterns:
    """Voxels grouped by the images that they have.

    Parameters
    ----------
    columns : array of int, shape (n_voxels,)
        Columns of the data; those of one pattern are side by side.
    starts : array of int, shape (n_patterns + 1,)
        Where the columns of each pattern begin.
    present : array of bool, shape (n_patterns, n_images)
        The images of each pattern.
    """

    columns: Integers
    starts: Integers
    present: Flags

    @classmethod
    def of(cls, rows: Rows) -> Patterns:
        """Group the columns of rows that lack values."""
        columns, bits = [], []
        for places, values in rows.tiles(TILE_BYTES):
            holes = np.isnan(values)
            lacking = np.flatnonzero(holes.any(axis=0))
            columns.append(places[lacking])
            bits.append(np.packbits(~holes[:, lacking], axis=0).T)
        kinds, number = np.unique(np.concatenate(bits), axis=0, return_inverse=True)
        order = np.argsort(number.ravel(), kind="stable")
        starts = np.searchsorted(number.ravel()[order], np.arange(len(kinds) + 1))
        present = np.unpackbits(kinds, axis=1, count=rows.n_inputs).astype(bool)
        return cls(np.concatenate(columns)[order], starts.astype(np.int64), present)

    def __len__(self) -> int:
        return len(self.present)

    def columns_of(self, chosen: Flags) -> Integers:
        """Return the columns of some patterns, shape (n_patterns,)."""
        return self.columns[np.repeat(chosen, np.diff(self.starts))]

    def take(self, chosen: Flags) -> Patterns:
        """Return some of the patterns."""
        counts = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Patterns(self.columns_of(chosen), starts, np.ascontiguousarray(self.present[chosen]))


@dataclass(frozen=True, eq=False)
class Presence:
    """The tested and the untested voxels among those with missing values.

    Parameters
    ----------
    patterns : Patterns
        Patterns of the incomplete voxels that are tested.
    df_residual : array of int, shape (n_patterns,)
        Residual degrees of freedom of each pattern.
    untested : array of bool, shape (n_voxels,)
        The voxels that are not tested.
    """

    patterns: Patterns
    df_residual: Integers
    untested: Flags

    def describe(self, places: str) -> str:
        """Return a line: how many places are tested with fewer images, and how few."""
        counts = self.patterns.present.sum(axis=1).tolist()
        fewest, most = min(counts, default=0), max(counts, default=0)
        images = counted(most, "image") if fewest == most else f"{fewest} to {most} images"
        with_images = f", with {images}" if counts else ""
        return (
            f"{len(self.patterns.columns)} of {len(self.untested)} {places} lack values and are "
            f"tested with the images that have them{with_images}."
        )


def lacking_voxels(rows: Rows) -> Integers:
    """Return the columns of rows that hold NaN."""
    found = [places[np.isnan(values).any(axis=0)] for places, values in rows.tiles(TILE_BYTES)]
    return np.concatenate(found)


def refuse_missing(source: DataSource, lacking: Integers, n_voxels: int) -> NoReturn:
    """Refuse data of which some columns lack values."""
    one, many = source.place_words
    raise ArgumentError.about(
        "missing",
        argument("missing", "raise")
        + f", and {len(lacking)} of {n_voxels} {many} lack a value in some image "
        f"({source.name_places(lacking)})",
        "give " + argument("missing", "omit") + f" to test each {one} with the images "
        f"that have it, 'intersect' to leave these {many} out, or 'zero' to take NaN for zero",
    )


def find_presence(
    source: DataSource,
    rows: Rows,
    df_residual: float | NDArray[Any],
    parts: Partition,
    exchange: Exchange,
) -> Presence | None:
    """Find the voxels that lack values, and those that the images present can test.

    Shapes: `df_residual` (n_voxels,).
    """
    if not isinstance(df_residual, np.ndarray):
        return None
    patterns = Patterns.of(rows)
    if not len(patterns):
        return None
    n_voxels = rows.n_values
    df = df_residual[patterns.columns[patterns.starts[:-1]]]
    reasons = _reasons(patterns, df, parts, exchange)
    tested = np.ones(len(patterns), dtype=bool)
    told = []
    untested = np.zeros(n_voxels, dtype=bool)
    for reason, applies in reasons.items():
        columns = patterns.columns_of(tested & applies)
        tested &= ~applies
        untested[columns] = True
        if len(columns):
            told.append(f"{len(columns)} {reason} ({source.name_places(np.sort(columns))})")
    if told:
        one, many = source.place_words
        if untested.all():
            raise ArgumentError.about(
                "missing",
                f"no {one} can be tested, because all lack values: {'; '.join(told)}",
                "leave out images that cover little",
            )
        warn_caller(
            f"{np.count_nonzero(untested)} of {n_voxels} {many} lack values and are not tested, "
            f"their p-value is NaN: {'; '.join(told)}"
        )
    return Presence(patterns.take(tested), df[tested].astype(np.int64), untested)


def _reasons(
    patterns: Patterns, df: Integers, parts: Partition, exchange: Exchange
) -> dict[str, Flags]:
    """Return, for each reason not to test a voxel, the patterns to which it applies."""
    k = len(parts.effect)
    rows = np.concatenate([parts.effect, exchange.varying(parts.nuisance)])
    complete = exchange.log_counts(rows, np.ones((1, parts.n_images), dtype=bool))
    fewest = np.minimum(np.log(FEWEST_REARRANGEMENTS), complete) - LOG_COUNT
    reasons = {
        reason: np.zeros(len(patterns), dtype=bool)
        for reason in (_CANNOT_ESTIMATE, _BROKEN, _SAME, _FEW)
    }
    step = max(1, _CHUNK // (8 * parts.nuisance.size + 8 * parts.effect.size))
    for first in range(0, len(patterns), step):
        chosen = slice(first, first + step)
        present = patterns.present[chosen]
        effect, rank = _effect_left(parts, present)
        size = np.linalg.svd(effect, compute_uv=False)
        # The rank of the fit is required here, so that the degrees of freedom are the statistic's
        # own.
        same_rank = present.sum(axis=1) - df[chosen] == rank + k
        estimable = (size[:, -1] > _core.ESTIMABLE_TOLERANCE) & same_rank & (df[chosen] >= 1)
        reasons[_CANNOT_ESTIMATE][chosen] = ~estimable
        reasons[_BROKEN][chosen] = exchange.breaks_units(present)
        if not exchange.flips:
            reasons[_SAME][chosen] = ~_varies(effect, present, exchange.orbits())
        reasons[_FEW][chosen] = exchange.log_counts(rows, present) < fewest
    return reasons


def _effect_left(parts: Partition, present: Flags) -> tuple[Floats, Integers]:
    """Return the residual of the effect about the nuisance in the images present.

    The second value is the rank of the nuisance there.
    """
    effect = present[:, None, :] * parts.effect
    if not len(parts.nuisance):
        return effect, np.zeros(len(present), dtype=np.int64)
    _, size, basis = np.linalg.svd(present[:, None, :] * parts.nuisance, full_matrices=False)
    basis = basis * (size > _core.RANK_TOLERANCE)[:, :, None]
    left = effect - (effect @ basis.transpose(0, 2, 1)) @ basis
    return left, np.count_nonzero(size > _core.RANK_TOLERANCE, axis=1)


def _varies(effect: Floats, present: Flags, orbits: Integers) -> Flags:
    """Return whether the effect (n_patterns, k, n) differs within an orbit of present images."""
    members = (orbits == np.arange(orbits.max() + 1)[:, None]).astype(np.float64)  # (orbits, n)
    counts = np.maximum(present @ members.T, 1)
    means = (effect @ members.T) / counts[:, None, :]
    away = (effect - means @ members) * present[:, None, :]
    found: Flags = np.abs(away).max(axis=(1, 2)) > _core.ESTIMABLE_TOLERANCE
    return found
