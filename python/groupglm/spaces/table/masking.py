# SPDX-License-Identifier: BSD-3-Clause
"""The mask of a table, which is a list of regions: `RegionMasking`, `regions_inside`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.runtime.naming import listed
from groupglm.spaces.table.reading import names_in_file, open_series
from groupglm.spaces.table.space import RegionSpace
from groupglm.tabular.labels import near_labels, near_words
from groupglm.tabular.region_tables import is_table_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.table.source import RegionSource
    from groupglm.tabular.region_tables import RegionNames

__all__ = ["RegionMasking", "regions_inside"]

_WANTED = "give a list of names of regions, or a Series of ones and zeros by region"


def regions_inside(table: RegionNames, mask: Any) -> NDArray[np.bool_]:
    """Find which regions of a table are inside a mask, shape (n_regions,).

    Parameters
    ----------
    table : RegionNames
        The regions.
    mask : sequence of str, pandas.Series, or path
        Names, or the map of a mask: one inside, zero or NaN outside. A file may have the column
        ``region`` alone, of names.
    """
    names = _names_of_map(mask) if _is_map(mask) else _names_of_list(mask)
    unknown = [name for name in names if name not in table.numbers]
    if unknown:
        near = near_words(near_labels(unknown, table.names))
        raise ArgumentError.about(
            "mask_img",
            f"mask_img has regions that the data have not: {listed([*map(repr, unknown)], 8)}",
            f"give names of regions of the data{near}",
        )
    if not names:
        raise ArgumentError.about("mask_img", "the mask is empty: no region is inside", _WANTED)
    inside = np.zeros(len(table), np.bool_)
    inside[[table.numbers[name] for name in names]] = True
    return inside


def _is_map(mask: Any) -> bool:
    import pandas as pd

    if is_table_file(mask):
        return True
    return isinstance(mask, pd.Series) and not pd.api.types.is_string_dtype(mask.dtype)


def _names_of_map(mask: Any) -> list[str]:
    if is_table_file(mask):
        names = names_in_file(Path(mask))
        if names is not None:
            return names
    if not is_table_file(mask) and mask.dtype == np.bool_:
        mask = mask.astype(np.uint8)
    source = open_series(mask, "mask_img")
    values = source.read()
    inside = ~np.isnan(values) & (values != 0)
    if len(set(values[inside].tolist())) > 1:
        raise ArgumentError.about(
            "mask_img",
            "a mask needs zero outside and one other value inside, but this one has values from "
            f"{values[inside].min():g} to {values[inside].max():g} besides zero",
            _WANTED,
        )
    return [name for name, own in zip(source.table.names, inside.tolist(), strict=True) if own]


def _names_of_list(mask: Any) -> list[str]:
    import pandas as pd

    is_list = isinstance(mask, list | tuple | pd.Series | pd.Index)
    if not is_list and not (isinstance(mask, np.ndarray) and mask.ndim == 1):
        raise ArgumentTypeError.about(
            "mask_img", f"the mask of regions is a {type(mask).__name__}", _WANTED
        )
    names = list(map(str, mask))
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ArgumentError.about(
            "mask_img",
            f"mask_img names the region {listed([*map(repr, twice)], 8)} more than once",
            "name each region once",
        )
    return names


@dataclass(frozen=True, eq=False)
class RegionMasking:
    """The regions that a model is fitted to.

    Parameters
    ----------
    mask : optional
        As `regions_inside` takes it; None for all regions of which enough subjects have a value.
    zero_is_missing : bool, default=False
        Whether exact zeros are missing values.
    """

    mask: Any = None
    zero_is_missing: bool = False

    @property
    def resamples(self) -> bool:
        """False: regions have no place."""
        return False

    @property
    def smooths(self) -> bool:
        """False: regions have no neighbours."""
        return False

    def everywhere(
        self,
        sources: Sequence[RegionSource],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> RegionSpace:
        """Return all regions of the table."""
        del clip, fill, n_threads
        return self.as_stored(sources)

    def inside(self, everywhere: RegionSpace) -> RegionSpace | None:
        """Return the regions of the mask; None if there is no mask."""
        if self.mask is None:
            return None
        return everywhere.restrict(regions_inside(everywhere.table, self.mask))

    def find(
        self,
        space: RegionSpace,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the regions of which enough subjects have a value."""
        return space.background(
            mean, n_observations, n_images=n_images, min_observations=min_observations
        )

    def as_stored(self, sources: Sequence[RegionSource]) -> RegionSpace:
        """Return all regions of the table."""
        return RegionSpace(sources[0].table, None, self.zero_is_missing)

    def read_once(
        self, sources: Sequence[RegionSource], memory_budget: float
    ) -> tuple[Sequence[RegionSource], int]:
        """Return the same rows: they are in memory."""
        del memory_budget
        return sources, 0
