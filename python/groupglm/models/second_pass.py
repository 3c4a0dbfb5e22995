# SPDX-License-Identifier: BSD-3-Clause
"""The second pass of mixed effects over the rows: tau2, and the state with the final weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from groupglm.models.base import Values
    from groupglm.models.variance_groups import GroupDesign

    Floats: TypeAlias = NDArray[np.float64]
    Tile: TypeAlias = tuple[NDArray[np.int64] | slice, Values, Values]

__all__ = ["TILE_BYTES", "GroupFindings", "SecondPass", "tiles_bytes"]

TILE_BYTES = 2**26
"""Rows are read for the second time in tiles of at most this size."""


def tiles_bytes(n_rows: int, n_values: int) -> int:
    """Return the bytes of two tiles, of which one is read ahead; few rows fill none.

    Examples
    --------
    >>> tiles_bytes(10, 100), tiles_bytes(10, 10**9) == 2 * TILE_BYTES
    (16000, True)
    """
    return 2 * min(TILE_BYTES, 8 * n_rows * n_values)


@dataclass(frozen=True, eq=False)
class GroupFindings:
    """What the second pass finds of each group of images, shape (n_groups, n_values) each.

    Parameters
    ----------
    tau2, typical_variance : array
        NaN where a group has no more images than coefficients.
    q : array
        Cochran's Q of the group by itself.
    smallest, largest : array
        Variance of its images; infinite and 0 where it has none.
    n_images : array of int32
        Number of its images with data.
    """

    tau2: Floats
    typical_variance: Floats
    q: Floats
    smallest: Floats
    largest: Floats
    n_images: NDArray[np.int32]

    @classmethod
    def empty(cls, n_groups: int, n_values: int) -> GroupFindings:
        """Return findings that are to be put."""
        shape = (n_groups, n_values)
        return cls(
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape),
            np.zeros(shape, dtype=np.int32),
        )

    def put(self, at: NDArray[np.int64] | slice, found: GroupFindings) -> None:
        """Take what was found at some of the places."""
        for each in fields(self):
            getattr(self, each.name)[:, at] = getattr(found, each.name)

    @property
    def variance_ratio(self) -> Floats:
        """The largest over the smallest variance of all groups, shape (n_values,); NaN without."""
        largest = self.largest.max(axis=0)
        ratio: Floats = np.where(largest > 0, largest, np.nan) / self.smallest.min(axis=0)
        return ratio


@dataclass(frozen=True)
class SecondPass:
    """What is done to each tile: places, and the values and variances of all images there.

    Values and variances have the shape (n_images, n_places) each.

    Parameters
    ----------
    design : groupglm._core.Design
        The design.
    groups : tuple of GroupDesign
        Groups of images with a tau2 of their own; none if all have the same.
    tau2 : str or float
        The estimator, or the value.
    n_threads : int
        Number of threads; 0 means all.
    """

    design: _core.Design
    groups: tuple[GroupDesign, ...]
    tau2: str | float
    n_threads: int

    def run(
        self, tiles: Iterable[Tile], n_values: int
    ) -> tuple[_core.WeightedState, GroupFindings]:
        """Return the state with the final weights, and what was found of each group.

        Where a group has no more images than coefficients, and so no estimate, it takes no part.
        """
        whole = None
        findings = GroupFindings.empty(max(1, len(self.groups)), 0)
        for at, y, v in tiles:
            state = self._empty(y.shape[1])
            found = GroupFindings(
                *_core.update_mixed(
                    state, self.design, y, v, self._groups(len(y)), self._method, self._given,
                    self.n_threads,
                )
            )  # fmt: skip
            if state.n_voxels == n_values:
                return state, found
            if whole is None:
                whole = self._empty(n_values)
                findings = GroupFindings.empty(len(found.tau2), n_values)
            whole.put(np.arange(n_values)[at], state)
            findings.put(at, found)
        return (self._empty(n_values) if whole is None else whole), findings

    def _empty(self, n_values: int) -> _core.WeightedState:
        return _core.WeightedState(self.design.n_working, 0, n_values, self.n_threads)

    def _groups(self, n_images: int) -> list[tuple[list[int], Floats]]:
        """Return the rows of each group with a tau2, and the basis of its design."""
        if not self.groups:
            return [(list(range(n_images)), self.design.basis())]
        return [(each.rows.tolist(), _core.Design(each.X).basis()) for each in self.groups]

    @property
    def _method(self) -> str:
        return self.tau2 if isinstance(self.tau2, str) else "given"

    @property
    def _given(self) -> float:
        return 0.0 if isinstance(self.tau2, str) else self.tau2
