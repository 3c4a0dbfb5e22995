# SPDX-License-Identifier: BSD-3-Clause
"""The regions of a table, which have names but no place: `RegionSpace`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import joblib
import numpy as np

from groupglm.errors import ArgumentError, ImageError, warn_caller
from groupglm.messages import argument
from groupglm.runtime.naming import counted, listed
from groupglm.spaces.base import RowStream, Space
from groupglm.spaces.checks import checked_keep, checked_rows
from groupglm.spaces.table.saving import save_table
from groupglm.spaces.table.series import REGION, common_degrees, frame_of_rows, series_of_row
from groupglm.spaces.table.source import RegionSource
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.statistic import Statistic
    from groupglm.tabular.region_tables import RegionNames

__all__ = ["RegionSpace"]

_SHOWN = 8  # regions that a warning names


@dataclass(frozen=True, eq=False)
class RegionSpace(Space):
    """Some regions of a table.

    Parameters
    ----------
    table : RegionNames
        The regions of the whole table, one a column.
    places : array of int, shape (n_values,), optional
        The regions inside the mask, by their positions in the table, increasing. All by default.
    zero_is_missing : bool, default=False
        Whether exact zeros are missing values.

    Examples
    --------
    >>> import numpy as np
    >>> from groupglm.tabular.region_tables import RegionNames
    >>> space = RegionSpace(RegionNames(("V1", "V2", "MT"))).restrict(np.array([True, False, True]))
    >>> space.names, space.describe_place(1)
    (('V1', 'MT'), 'MT')
    >>> space.to_image(np.array([1.5, 2.5])).to_dict()
    {'V1': 1.5, 'MT': 2.5}
    """

    tag: ClassVar[str] = "table"
    unit: ClassVar[str] = "regions"
    place_words: ClassVar[tuple[str, str]] = ("region", "regions")
    input_words: ClassVar[tuple[str, str]] = ("row", "rows")
    placement_word: ClassVar[str] = "regions"
    placement_remedy: ClassVar[str] = "give a table of the same regions"
    has_neighbours: ClassVar[bool] = False

    table: RegionNames
    places: NDArray[np.int64] | None = None
    zero_is_missing: bool = False

    def __post_init__(self) -> None:
        if self.places is None:
            return
        places = np.array(self.places, np.int64)
        if places.ndim != 1 or not places.size:
            raise ArgumentError.about(
                "mask_img", "the mask is empty: no region is inside", "name one region or more"
            )
        if places[0] < 0 or places[-1] >= len(self.table) or (np.diff(places) <= 0).any():
            raise ValueError(
                f"the places of the mask must increase from 0 to at most {len(self.table) - 1}"
            )
        places.setflags(write=False)
        object.__setattr__(self, "places", places)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the regions inside the mask, in the order of a row."""
        if self.places is None:
            return self.table.names
        return tuple(self.table.names[place] for place in self.places.tolist())

    @property
    def n_values(self) -> int:
        """Number of regions inside the mask: the length of a row."""
        return len(self.table) if self.places is None else len(self.places)

    def reader_of(self, role: str) -> Self:
        """Return the space of the same regions that reads a table beside the images.

        Its zeros are values: of a covariate they say as much as any other number.
        """
        del role
        return replace(self, zero_is_missing=False) if self.zero_is_missing else self

    def describe_placement(self) -> str:
        """Say how many regions the table has."""
        return counted(len(self.table), "region")

    def read_stored(
        self, source: RegionSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read a row of a table; it may be NaN everywhere."""
        source.read_into(out, self.table, self.places)

    def read_row(
        self, source: RegionSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read a row of a table; ImageError if it has no value in any region."""
        self.read_stored(source, out)
        zeros = None
        if self.zero_is_missing:
            zeros = Zeros.of(out)
            out[zeros.places] = np.nan
        if np.isnan(out[0]) and np.isnan(out).all():
            where = "" if self.places is None else " inside the mask"
            zero = " or zero, which zero_is_missing=True takes for missing" if zeros else ""
            raise ImageError(
                f"{source.name}: all {counted(self.n_values, 'value')}{where} are missing{zero}; "
                "leave the row out"
            )
        return zeros

    def restrict(self, keep: NDArray[np.bool_]) -> RegionSpace:
        """Return the space of some of these regions."""
        kept = np.flatnonzero(checked_keep(keep, self.n_values))
        return replace(self, places=kept if self.places is None else self.places[kept])

    def onto(self, other: RegionSpace) -> RegionSpace:
        """Return the regions of another table that have the names of these."""
        inside = set(self.names)
        places = [place for place, name in enumerate(other.table.names) if name in inside]
        return replace(other, places=np.array(places, np.int64))

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the regions of which enough subjects have a value; a warning names the others."""
        del mean
        keep: NDArray[np.bool_] = n_observations >= min_observations
        left = np.flatnonzero(~keep)
        if not keep.any():
            raise ArgumentError.about(
                "second_level_input",
                f"no region has a value in {min_observations} or more of {n_images} subjects, "
                "which the columns of the design and a residual degree of freedom need",
                "give more subjects, or fewer columns",
            )
        if left.size:
            names = [self.names[place] for place in left.tolist()]
            warn_caller(
                f"left out {counted(len(names), 'region')} with a value in fewer than "
                f"{min_observations} of {n_images} subjects: {listed(names, _SHOWN)}; "
                + argument("mask_img")
                + " with the names of the other regions is rid of this warning"
            )
        return keep

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn one row of results into a Series by region, and several rows into a DataFrame.

        Regions outside the mask are not in it. Values stay float64 unless `dtype` is given.
        """
        rows = np.array(checked_rows(values, self.n_values), dtype)
        if rows.ndim == 1:
            return series_of_row(rows, self.names, descrip, statistic)
        return frame_of_rows(rows, self.names)

    def together(self, images: Mapping[str, Any]) -> Any:
        """Put maps by name side by side into a DataFrame with one row a region.

        A map of several rows, as the effects of an F contrast, has one column for each of them.
        """
        import pandas as pd

        columns: dict[str, Any] = {}
        for name, image in images.items():
            if isinstance(image, pd.DataFrame):
                columns |= {f"{name}_{number}": row for number, row in image.iterrows()}
            else:
                columns[name] = image
        frame = pd.DataFrame(columns, index=pd.Index(self.names, name=REGION))
        frame.attrs.clear()
        frame.attrs.update(common_degrees(images))
        return frame

    def mask_image(self) -> Any:
        """Return a Series of uint8 over the whole table: one for a region inside, else zero."""
        inside = np.zeros(len(self.table), np.uint8)
        inside[slice(None) if self.places is None else self.places] = 1
        return series_of_row(inside, self.table.names, "mask", None)

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Return rows as a DataFrame with one column a region; it is saved if `out` is given."""
        del descrip
        rows = np.empty((n_rows, self.n_values))
        with closing(make_rows()) as stream:
            for number, row in enumerate(stream):
                rows[number] = row
        frame = frame_of_rows(rows, self.names)
        if out is not None:
            save_table(frame, out)
        return frame

    def neighbours(self, connectivity: int) -> NoReturn:
        """Refuse: regions have no neighbours."""
        del connectivity
        raise ArgumentError.about(
            "second_level_input",
            "regions of a table have no neighbours, which clusters and TFCE need",
            "leave the options of clusters and of TFCE out: the largest statistic of all regions "
            "(max-t of a permutation test), the false discovery rate and Bonferroni's correction "
            "need no neighbours",
        )

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return zero for each region: none has a neighbour."""
        del connectivity
        return np.zeros(len(places), np.int64)

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the position of each region in the table, shape (n, 1)."""
        own = places if self.places is None else self.places[places]
        return np.asarray(own, np.int64)[:, np.newaxis]

    def describe_place(self, place: int) -> str:
        """Return the name of a region."""
        return self.table.names[place if self.places is None else int(self.places[place])]

    def value_names(self) -> NDArray[np.object_]:
        """Return the names of the regions."""
        return np.array(self.names, object)

    def identity(self) -> str:
        """Return a text that is equal for spaces of the same regions."""
        return str(joblib.hash((self.tag, self.table.names, self.names, self.zero_is_missing)))

    def absent_source(self, name: str, saved_in: str) -> RegionSource:
        """Return a row of which only the name is known."""
        return RegionSource(name, self.table, None, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the names of the regions, and the positions of those inside the mask."""
        places = np.arange(len(self.table)) if self.places is None else self.places
        facts = {"regions": list(self.table.names), "zero_is_missing": self.zero_is_missing}
        return facts, {"places": np.asarray(places, np.int64)}
