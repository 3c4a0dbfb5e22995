# SPDX-License-Identifier: BSD-3-Clause
"""Mean and median of the values in regions, missing values omitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.extraction.regions import Regions

__all__ = ["STATISTICS", "RegionStatistic", "summarised"]

RegionStatistic: TypeAlias = Literal["mean", "median"]
STATISTICS: tuple[RegionStatistic, ...] = ("mean", "median")


def summarised(
    row: NDArray[np.floating], regions: Regions, statistic: RegionStatistic
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean or median of a row in each region, and how many values it is of.

    Values that are not finite are missing. Time and memory grow with the places of all regions.
    Shapes: `row` (n_values,); both results (n_regions,). NaN where all are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.extraction.regions import Regions
    >>> regions = Regions(["a", "b"], np.array([0, 1, 1, 2, 3]), np.array([0, 2, 5]))
    >>> summarised(np.array([1.0, 3.0, np.nan, 8.0]), regions, "mean")
    (array([2. , 5.5]), array([2, 2]))
    """
    values = row[regions.places].astype(np.float64)
    present = np.isfinite(values)
    starts = regions.starts[:-1]  # no region is empty
    counts = np.add.reduceat(present, starts, dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        if statistic == "mean":
            return np.add.reduceat(np.where(present, values, 0.0), starts) / counts, counts
    values[~present] = np.inf  # after all others
    region = np.repeat(np.arange(len(starts)), regions.sizes)
    values = values[np.lexsort((values, region))]
    low, high = starts + np.maximum(counts - 1, 0) // 2, starts + counts // 2
    high = np.minimum(high, regions.starts[1:] - 1)
    middle = values[low] / 2 + values[high] / 2
    return np.where(counts > 0, middle, np.nan), counts
