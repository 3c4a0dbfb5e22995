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
    from groupglm.inference.permutation.present_images import ImageRows
    from groupglm.models.base import Rows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = [
    "FEWEST_REARRANGEMENTS",
    "Patterns",
    "Presence",
    "find_presence",
    "find_presence_of_all",
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
        return cls._grouped(np.concatenate(columns), np.concatenate(bits), rows.n_inputs)

    @classmethod
    def of_all(cls, rows: Rows, layout: ImageRows) -> Patterns:
        """Group all columns of rows, those that lack nothing too."""
        columns, bits = [], []
        for places, values in rows.tiles(TILE_BYTES):
            columns.append(places)
            bits.append(np.packbits(layout.present(values), axis=0).T)
        n_images = rows.n_inputs // layout.rows_per_image
        return cls._grouped(np.concatenate(columns), np.concatenate(bits), n_images)

    @classmethod
    def _grouped(cls, columns: Integers, bits: NDArray[np.uint8], n_images: int) -> Patterns:
        kinds, number = np.unique(bits, axis=0, return_inverse=True)
        order = np.argsort(number.ravel(), kind="stable")
        starts = np.searchsorted(number.ravel()[order], np.arange(len(kinds) + 1))
        present = np.unpackbits(kinds, axis=1, count=n_images).astype(bool)
        return cls(columns[order], starts.astype(np.int64), present)

    def __len__(self) -> int:
        return len(self.present)

    def without(self, columns: Flags) -> Patterns:
        """Return the patterns without some columns, shape (n_voxels,)."""
        kept = ~columns[self.columns]
        number = np.repeat(np.arange(len(self)), np.diff(self.starts))[kept]
        starts = np.searchsorted(number, np.arange(len(self) + 1))
        return Patterns(self.columns[kept], starts.astype(np.int64), self.present)

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
        lacking = ~self.patterns.present.all(axis=1)
        counts = self.patterns.present[lacking].sum(axis=1).tolist()
        fewest, most = min(counts, default=0), max(counts, default=0)
        images = counted(most, "image") if fewest == most else f"{fewest} to {most} images"
        with_images = f", with {images}" if counts else ""
        return (
            f"{self.n_lacking} of {len(self.untested)} {places} lack values and are "
            f"tested with the images that have them{with_images}."
        )

    @property
    def n_lacking(self) -> int:
        """Number of tested places that lack values."""
        counts = np.diff(self.patterns.starts)
        return int(counts[~self.patterns.present.all(axis=1)].sum())

    @property
    def is_complete(self) -> bool:
        """Whether all places have all images, and are tested."""
        return not self.n_lacking and not self.untested.any()


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
    df = df_residual[patterns.columns[patterns.starts[:-1]]]
    return _tested(source, patterns, df, rows.n_values, _reasons(patterns, df, parts, exchange))


def find_presence_of_all(
    source: DataSource,
    rows: Rows,
    statistic: Floats,
    layout: ImageRows,
    parts: Partition,
    exchange: Exchange,
) -> Presence:
    """Group all voxels by the images that they have, and find those that these can test.

    A voxel without a parametric statistic has no test.

    Shapes: `statistic` (n_voxels,).
    """
    patterns = Patterns.of_all(rows, layout)
    df = np.concatenate(
        [
            present.sum(axis=1) - _effect_left(parts, present)[1] - len(parts.effect)
            for present in np.array_split(patterns.present, 1 + patterns.present.size // _CHUNK)
        ]
    ).astype(np.int64)
    reasons = _reasons(patterns, df, parts, exchange)
    whole = patterns.present.all(axis=1)  # planning has refused what is impossible for these
    for reason in (_SAME, _FEW):
        reasons[reason] &= ~whole
    found = _tested(source, patterns, df, rows.n_values, reasons, unknown=np.isnan(statistic))
    kept = np.diff(found.patterns.starts) > 0
    return Presence(found.patterns.take(kept), found.df_residual[kept], found.untested)


def _tested(
    source: DataSource,
    patterns: Patterns,
    df: Integers,
    n_voxels: int,
    reasons: dict[str, Flags],
    unknown: Flags | None = None,
) -> Presence:
    """Return the patterns that are tested; warn of the voxels that are not.

    Shapes: `df` (n_patterns,), `unknown` (n_voxels,).
    """
    tested = np.ones(len(patterns), dtype=bool)
    told = []
    untested = np.zeros(n_voxels, dtype=bool)
    for reason, applies in reasons.items():
        columns = patterns.columns_of(tested & applies)
        tested &= ~applies
        untested[columns] = True
        if len(columns):
            told.append(f"{len(columns)} {reason} ({source.name_places(np.sort(columns))})")
    if unknown is not None:
        columns = np.flatnonzero(unknown & ~untested)
        untested |= unknown
        if len(columns):
            told.append(f"{len(columns)} {_CANNOT_ESTIMATE} ({source.name_places(columns)})")
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
    chosen = patterns.take(tested)
    if unknown is not None:
        chosen = chosen.without(untested)
    return Presence(chosen, df[tested].astype(np.int64), untested)


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
