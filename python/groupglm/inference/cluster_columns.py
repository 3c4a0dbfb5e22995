# SPDX-License-Identifier: BSD-3-Clause
"""The columns and the rows of a table of clusters, by what the places of a map are."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.inference.peaks import Clusters
    from groupglm.spaces.base import Part, Space

__all__ = [
    "REGION_COLUMNS",
    "cluster_rows",
    "has_nilearns_columns",
    "public_table",
    "table_of_rows",
]

REGION_COLUMNS = ("Region", "Regions of Cluster")
"""The region of an atlas that a peak is in, and the shares of a cluster that are in regions."""


def _columns(space: Space) -> list[str]:
    """Return the columns of a table of clusters."""
    where = ["Structure", "Vertex"] if _is_surface(space) else ["Part"] * (len(space.parts) > 1)
    return ["Cluster ID", *where, "X", "Y", "Z", "Peak Stat", *_size_columns(space)]


def _size_columns(space: Space) -> list[str]:
    """Return the columns of sizes: in both units of the space, or with the unit of a part."""
    if _has_several_units(space):
        sizes = ["Cluster Size", "Unit"]
    else:
        sizes = list(dict.fromkeys((_size_in(space.measure_unit), _size_in(space.unit))))
    return [*sizes, "Vertices"] if _is_surface(space) and not has_nilearns_columns(space) else sizes


def _is_surface(space: Space) -> bool:
    """Return whether the data name structures, so that a table has these and their vertices."""
    return space.structure(np.zeros(0, np.intp)) is not None


def has_nilearns_columns(space: Space) -> bool:
    """Return whether a size is a number of vertices, so that a table has nilearn's columns."""
    counts_places = space.unit == space.place_words[1] and not _has_several_units(space)
    return counts_places and _is_surface(space)


def _has_several_units(space: Space) -> bool:
    return len({part.unit for part in space.parts}) > 1


def _size_in(unit: str) -> str:
    return f"Cluster Size ({unit})"


def public_table(table: pd.DataFrame, space: Space) -> pd.DataFrame:
    """Return the table as a user gets it: with nilearn's columns, where nilearn has such a map."""
    if has_nilearns_columns(space):
        size = _size_in(space.unit)
        table = table[table[size] != ""].rename(columns={"Structure": "Hemisphere"})
        others = [name for name in REGION_COLUMNS if name in table.columns]
        table = table[["Cluster ID", "Hemisphere", "Peak Stat", size, *others]]
        return table.reset_index(drop=True).astype({"Cluster ID": np.int64, size: np.int64})
    if _has_several_units(space) or _is_surface(space):
        return table
    return table.drop(columns=_size_columns(space)[1:])  # one size only, as in nilearn


def cluster_rows(clusters: Clusters, space: Space, sign: int, first: int) -> list[list[Any]]:
    """Return the table's rows for one tail."""
    if not clusters.peaks:
        return []
    rows, columns = [], _size_columns(space)
    # All at once: of a single place, they take as long as of many.
    places = np.concatenate([peaks.places for peaks in clusters.peaks])
    where, positions = _where(space, places), space.coordinates(places).tolist()
    has_vertices = "Vertices" in columns
    is_vertex = (space.vertex_numbers(places) if has_vertices else places) >= 0
    at = 0
    for number, (peaks, measure, size, count) in enumerate(
        zip(
            clusters.peaks,
            clusters.measures,
            clusters.sizes.tolist(),
            clusters.counts.tolist(),
            strict=True,
        ),
        start=first,
    ):
        sizes = _sizes(columns, space, int(peaks.places[0]), measure, size)
        if has_vertices:
            sizes.append(count if is_vertex[at] else "")
        end = at + len(peaks.places)
        names = [number, *(f"{number}{letter}" for letter in ascii_lowercase)]
        rows += [
            [name, *own, *position, sign * value, *([""] * len(sizes) if rank else sizes)]
            for rank, (name, own, position, value) in enumerate(
                zip(names, where[at:end], positions[at:end], peaks.heights.tolist(), strict=False)
            )
        ]
        at = end
    return rows


def _where(space: Space, places: NDArray[np.intp]) -> list[list[Any]]:
    """Return the structure and the vertex of peaks, or the part; nothing if there is one part."""
    structures = space.structure(places)
    if structures is None:
        parts = space.parts
        if len(parts) == 1:
            return [[] for _ in places]
        of_place = np.searchsorted([part.end for part in parts], places, side="right")
        return [[parts[number].name] for number in of_place.tolist()]
    vertices = [vertex if vertex >= 0 else "" for vertex in space.vertex_numbers(places).tolist()]
    return [list(pair) for pair in zip(structures.tolist(), vertices, strict=True)]


def _sizes(columns: list[str], space: Space, place: int, measure: float, size: float) -> list[Any]:
    """Return the values of a cluster with some place in the columns of sizes but "Vertices"."""
    sizes: list[Any] = [int(measure), size]
    if "Unit" in columns:
        sizes = [size, _part(space, place).unit]
    elif columns[0] == _size_in(space.unit):
        sizes = [size]
    return sizes


def _part(space: Space, place: int) -> Part:
    return next(part for part in space.parts if place < part.end)


def table_of_rows(rows: list[list[Any]], space: Space, dtype: np.dtype[Any]) -> pd.DataFrame:
    """Make a table of its rows; the values of peaks have the type of the map's values."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=_columns(space))
    return table.astype({"Peak Stat": dtype}) if rows else table
