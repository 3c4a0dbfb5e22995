# SPDX-License-Identifier: BSD-3-Clause
"""The mask of parcels: an image of them, or a list of their names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentTypeError, in_quotes
from groupglm.spaces.cifti.kept import read_once
from groupglm.spaces.cifti.masks import mask_values
from groupglm.spaces.cifti.opening import PARCELS
from groupglm.spaces.cifti.parcel_space import ParcelSpace
from groupglm.spaces.table.masking import regions_inside
from groupglm.tabular.region_tables import is_table_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.cifti.source import CiftiSource

__all__ = ["ParcelMasking", "parcels_inside"]


def parcels_inside(space: ParcelSpace, mask: Any) -> NDArray[np.bool_]:
    """Return which parcels are inside a mask, an image of them or a list of names."""
    if PARCELS.holds(mask):
        return mask_values(space, mask, PARCELS)
    if isinstance(mask, str | os.PathLike) and not is_table_file(mask):
        raise ArgumentTypeError(
            "mask_img",
            in_quotes(os.fspath(mask)),
            "an image of parcels (.pscalar.nii), as the data are, or a list of their names",
        )
    return regions_inside(space.table, mask)


@dataclass(frozen=True, eq=False)
class ParcelMasking:
    """The parcels that a model is fitted to.

    Parameters
    ----------
    mask : optional
        As `parcels_inside` takes it; None for all parcels of which enough subjects have a value.
    zero_is_missing : bool, default=False
        Whether exact zeros are missing values.
    """

    mask: Any = None
    zero_is_missing: bool = False

    resamples = False
    smooths = False

    def everywhere(
        self,
        sources: Sequence[CiftiSource],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> ParcelSpace:
        """Return all parcels of the first image."""
        del clip, fill, n_threads
        return self.as_stored(sources)

    def inside(self, everywhere: ParcelSpace) -> ParcelSpace | None:
        """Return the parcels of the mask; None if there is no mask."""
        if self.mask is None:
            return None
        inside: Any = everywhere.restrict(parcels_inside(everywhere, self.mask))
        return inside  # type: ignore[no-any-return]

    def find(
        self,
        space: ParcelSpace,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the parcels of which enough subjects have a value."""
        return space.background(
            mean, n_observations, n_images=n_images, min_observations=min_observations
        )

    def as_stored(self, sources: Sequence[CiftiSource]) -> ParcelSpace:
        """Return all parcels of the first image."""
        axis: Any = sources[0].axis
        return ParcelSpace.whole(axis, zero_is_missing=self.zero_is_missing)

    def read_once(
        self, sources: Sequence[CiftiSource], memory_budget: float
    ) -> tuple[Sequence[Source], int]:
        """Return the same images, which keep the values of the first reading."""
        return read_once(sources, memory_budget)
