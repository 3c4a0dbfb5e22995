# SPDX-License-Identifier: BSD-3-Clause
"""The clusters of a map and their table: `FoundClusters`."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["FoundClusters", "n_clusters", "strongest_first"]


@dataclass(frozen=True, eq=False)
class FoundClusters:
    """The clusters of a map.

    Attributes
    ----------
    space : Space
        The places of its values.
    table : pandas.DataFrame
        The table of `get_clusters_table`, also with a column of the sizes in the unit of the space.
    places : array of int, shape (n_rows,)
        For each row of the table, the place of its peak in a row of values.
    labels : list of arrays of int32, shape (n_values,)
        For each tail, the number of a place's cluster in the table; zero outside.
    """

    space: Space
    table: pd.DataFrame
    places: NDArray[np.intp]
    labels: list[NDArray[np.int32]]

    def strongest_first(self) -> FoundClusters:
        """Return the same clusters; the table is ordered by the size of their peaks."""
        order = _strongest_first(self.table, None)
        table = self.table.iloc[order].reset_index(drop=True)
        return FoundClusters(self.space, table, self.places[order], self.labels)


def n_clusters(table: pd.DataFrame) -> int:
    """Return the number of clusters in a table; its rows for subpeaks do not count."""
    return len(set(_numbers(table)))


def strongest_first(table: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Order the clusters of a table by the size of their peaks, whatever the sign.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"Cluster ID": [1, "1a", 2, 3], "Peak Stat": [5.0, 4.0, 3.5, -9.0]})
    >>> strongest_first(table, most=2)["Cluster ID"].tolist()
    [3, 1, '1a']
    """
    return table.iloc[_strongest_first(table, most)].reset_index(drop=True)


def _strongest_first(table: pd.DataFrame, most: int | None) -> NDArray[np.intp]:
    """Return the order of the rows of `strongest_first`."""
    numbers = np.array(_numbers(table), dtype=np.int64)
    if numbers.size == 0:
        return np.zeros(0, np.intp)
    size = np.zeros(numbers.max() + 1)
    np.maximum.at(size, numbers, np.abs(table["Peak Stat"].to_numpy(np.float64)))
    order = np.lexsort((numbers, -size[numbers]))
    kept = list(dict.fromkeys(numbers[order].tolist()))[:most]
    return np.asarray(order[np.isin(numbers[order], kept)])


def _numbers(table: pd.DataFrame) -> list[int]:
    """Return the number of each row's cluster."""
    return [int(str(label).rstrip(ascii_lowercase)) for label in table["Cluster ID"]]
