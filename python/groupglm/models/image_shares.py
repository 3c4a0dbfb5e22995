# SPDX-License-Identifier: BSD-3-Clause
"""What a fit with weights says of its images: which count, which do not, and how much each does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm import _core

__all__ = ["PRESENT", "TOTAL", "ImageShares", "counts_of_kinds"]

Floats: TypeAlias = "NDArray[np.float64]"

# The rows of the compiled state's sums and counts.
TOTAL, _WEIGHT_SUM, _WEIGHT_MAX, _WEIGHT_MIN = range(4)
PRESENT, _HEAVIEST, _OUTSIDE, _UNUSABLE, _NEGATIVE = range(5)
_KINDS = {"outside": _OUTSIDE, "unusable": _UNUSABLE, "negative": _NEGATIVE}


def counts_of_kinds(state: _core.WeightedState) -> dict[str, NDArray[np.int64]]:
    """Return what `ImageShares.counts` does, of a state to which images may still be added."""
    counts = state.counts
    return {name: counts[row].astype(np.int64) for name, row in _KINDS.items()}


class ImageShares:
    """Counts and weights of the images at every voxel, as the compiled state has them."""

    _state: _core.WeightedState  # of the class that inherits from this one

    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Return how many images of a voxel have values of a kind, shape (n_voxels,) each.

        Returns
        -------
        dict of array
            "outside": an effect of 0 with a variance of 0. "unusable": a variance of 0 or NaN, or a
            weight of NaN, beside another finite effect. "negative": a variance or weight below 0.
        """
        return counts_of_kinds(self._state)

    def totals(self) -> dict[str, int]:
        """Return how many values of each of these kinds there are at all voxels together.

        Returns
        -------
        dict of int
            By the names of `counts`.
        """
        counts = self._state.counts
        return {name: int(counts[row].sum(dtype=np.int64)) for name, row in _KINDS.items()}

    def dominance(self) -> tuple[Floats, NDArray[np.int64]]:
        """Return the largest share of the weight that one image has, and which image has it.

        Returns
        -------
        share : array, shape (n_voxels,)
            Between 0 and 1; 0 where no image has the voxel.
        image : array of int, shape (n_voxels,)
            Its number; 0 where no image has the voxel.
        """
        sums = self._state.sums
        total = sums[_WEIGHT_SUM]
        share = sums[_WEIGHT_MAX] / np.where(total > 0, total, 1.0)
        return share, np.maximum(self._state.counts[_HEAVIEST], 0).astype(np.int64)

    @property
    def variance_ratio(self) -> Floats:
        """The largest over the smallest weight of a voxel, shape (n_voxels,); NaN without any."""
        sums = self._state.sums
        found = sums[_WEIGHT_MAX] > 0
        ratio: Floats = np.where(found, sums[_WEIGHT_MAX], np.nan) / sums[_WEIGHT_MIN]
        return ratio
