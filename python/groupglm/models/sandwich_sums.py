# SPDX-License-Identifier: BSD-3-Clause
"""What the sandwich estimator keeps of each place: `SandwichSums`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["SandwichSums"]


@dataclass(frozen=True, eq=False)
class SandwichSums:
    """What the second pass over the images keeps of each place.

    Parameters
    ----------
    sums : array, shape (n_sums, n_voxels)
        The covariance of the data in the basis of the design, its lower triangle by rows; with
        groups, the covariances of each group's visits.
    fourth : array, shape (n_fourth, n_voxels)
        Fourth powers for degrees of freedom by "approximate-1" without groups; else of no rows.
    pattern : array of int, shape (n_voxels,)
        Row of `patterns`; -1 where no image is missing.
    patterns : array of uint8, shape (n_patterns, n_bytes)
        Bits of the images that are missing; image i is bit i % 8 of byte i // 8.
    projected : array of uint8, shape (n_voxels,), or empty
        1 where negative eigenvalues of a group's covariance became 0; empty without groups.
    """

    sums: Floats
    fourth: Floats
    pattern: NDArray[np.int32]
    patterns: NDArray[np.uint8]
    projected: NDArray[np.uint8]

    TYPES: ClassVar[dict[str, tuple[str, int]]] = {
        "sums": ("float64", 2),
        "fourth": ("float64", 2),
        "pattern": ("int32", 1),
        "patterns": ("uint8", 2),
        "projected": ("uint8", 1),
    }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, without those that the estimator does not have."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: array for name, array in own.items() if len(array) or name == "patterns"}

    def select(self, places: NDArray[np.int64]) -> SandwichSums:
        """Return what is kept of some of the places."""
        return SandwichSums(
            np.ascontiguousarray(self.sums[:, places]),
            np.ascontiguousarray(self.fourth[:, places]),
            self.pattern[places],
            self.patterns,
            self.projected[places] if len(self.projected) else self.projected,
        )
