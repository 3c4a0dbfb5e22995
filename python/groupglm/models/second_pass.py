# SPDX-License-Identifier: BSD-3-Clause
"""The second pass of mixed effects over the rows: tau2, and the state with the final weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm import _core
from groupglm.models.weighted_fit import state_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from groupglm.models.base import Values
    from groupglm.models.variance_groups import GroupDesign

    Floats: TypeAlias = NDArray[np.float64]
    Tile: TypeAlias = tuple[NDArray[np.int64] | slice, Values, Values]

__all__ = ["TILE_BYTES", "SecondPass"]

TILE_BYTES = 2**26
"""Rows are read for the second time in tiles of at most this size."""


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

    def state(
        self, tiles: Iterable[Tile], tau2: Floats, typical_variance: Floats
    ) -> _core.WeightedState:
        """Return the state with the final weights, and write estimates, (n_groups, n_values)."""
        parts: tuple[Any, ...] = ()
        for at, y, v in tiles:
            own, typical = self.estimates(y, v)
            tau2[:, at], typical_variance[:, at] = own, typical
            state = self.weigh(y, v, own)
            if state.n_voxels == tau2.shape[1]:
                return state
            sizes, arrays = state.__getstate__()[:3], state.__getstate__()[3:]
            if not parts:
                whole = [np.zeros((len(each), tau2.shape[1]), each.dtype) for each in arrays]
                parts = (*sizes, *whole)
            for array, part in zip(parts[3:], arrays, strict=True):
                array[:, at] = part
        return state_of_parts(parts)

    def estimates(self, y: Values, v: Values) -> tuple[Floats, Floats]:
        """Return tau2 and the typical variance of an image, (n_groups, n_places) each."""
        bases = [(slice(None), self.design.basis())]
        if self.groups:
            bases = [(_run(group.rows), _core.Design(group.X).basis()) for group in self.groups]
        method = self.tau2 if isinstance(self.tau2, str) else "given"
        given = 0.0 if isinstance(self.tau2, str) else self.tau2
        found = [
            _core.estimate_tau2(basis, y[rows], v[rows], method, given, self.n_threads)
            for rows, basis in bases
        ]
        return np.stack([own for own, _ in found]), np.stack([own for _, own in found])

    def weigh(self, y: Any, v: Any, tau2: Floats) -> _core.WeightedState:
        """Return the state of one tile, with weights 1 / (v + tau2).

        Where a group has no more images than coefficients, and so no estimate, it takes no part.
        """
        state = _core.WeightedState(self.design.n_working, 0, y.shape[1])
        lost = np.isnan(tau2)
        if lost.any():
            y = y.copy()
        for number, rows in self._runs(len(y)):
            if lost[number].any():
                # What has no weight by itself stays, so that it is counted.
                y[rows, lost[number]] = np.where(
                    v[rows, lost[number]] > 0, np.nan, y[rows, lost[number]]
                )
            own = np.where(lost[number], 0.0, tau2[number])
            state.update(self.design, rows.start, y[rows], v[rows], [], True, own, self.n_threads)
        return state

    def _runs(self, n_images: int) -> Iterator[tuple[int, slice]]:
        """Yield the group of neighbouring images, and which these are."""
        number = np.zeros(n_images, dtype=np.int64)
        for at, group in enumerate(self.groups):
            number[group.rows] = at
        ends = [*(np.flatnonzero(np.diff(number)) + 1).tolist(), n_images]
        start = 0
        for end in ends:
            yield int(number[start]), slice(start, end)
            start = end


def _run(rows: NDArray[np.int64]) -> Any:
    """Return numbers of rows as a slice, which copies nothing, where they follow each other."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows
