# SPDX-License-Identifier: BSD-3-Clause
"""The clusters of a map and their table: `FoundClusters`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["ClusterSet", "FoundClusters", "main_rows", "n_clusters", "strongest_first"]


@dataclass(frozen=True, eq=False)
class ClusterSet:
    """All clusters beyond a threshold, of any size, in one tail or in both.

    Attributes
    ----------
    labels : array of int32, shape (n_values,)
        The number of a place's cluster, from 1; zero outside.
    sizes : array of float64, shape (k,)
        The size of each cluster in the unit of its part.
    places : array of int, shape (k,)
        The place of the highest peak of each.
    maxima : array of float64, shape (m,)
        The values of all peaks of all of them, without their signs.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.float64]
    places: NDArray[np.intp]
    maxima: NDArray[np.float64]


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
    find_all : callable, optional
        Returns all clusters beyond the threshold, also those that are too small for the table.
    """

    space: Space
    table: pd.DataFrame
    places: NDArray[np.intp]
    labels: list[NDArray[np.int32]]
    find_all: Callable[[], ClusterSet] | None = None

    def strongest_first(self) -> FoundClusters:
        """Return the same clusters; the table is ordered by the size of their peaks."""
        order = _strongest_first(self.table, None)
        table = self.table.iloc[order].reset_index(drop=True)
        return replace(self, table=table, places=self.places[order])


def main_rows(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of a table are of the highest peak of a cluster: no letter follows."""
    return np.array([str(label).isdigit() for label in table["Cluster ID"]], np.bool_)


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
