# SPDX-License-Identifier: BSD-3-Clause
"""Where the data live: the protocols between the statistics and the kinds of data.

The modules that fit models know only rows of values. A `Source` is an opened input. A `Space` reads
a source into a row, knows the place of each value of a row, and turns rows of results into images.
A `Part` is a stretch of a row whose places are of one kind. `volume` has the space of voxels inside
a mask. Another kind of data (surfaces, tables of regions) is another folder, with a class that has
the members of `Space`. Nothing above changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np

from groupglm.spaces.part import Part
from groupglm.spaces.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm._core import Neighbours
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.zeros import Zeros

__all__ = ["Part", "RowStream", "Source", "Space"]

RowStream: TypeAlias = "Generator[NDArray[np.float64], None, None]"
"""Rows of values that come one by one, shape (n_values,) each."""


class Space(Protocol):
    """What the statistics need to know about where the data live.

    The places of a row are numbered from 0 to ``n_values - 1``. A class that inherits from this one
    need only define what has no default here.
    """

    tag: ClassVar[str]
    """The kind of data, in a saved model."""

    @property
    def n_values(self) -> int:
        """Length of a row: how many places the data are at."""
        ...

    @property
    def zero_is_missing(self) -> bool:
        """Whether an exact zero of an input is a missing value for `read_row`."""
        return False

    @property
    def resamples(self) -> bool:
        """Whether `read_row` resamples inputs, which may then lie at other places."""
        return False

    @property
    def mixes_places(self) -> bool:
        """Whether a value of a row may come from several places of an input, as by smoothing."""
        return False

    @property
    def public_order(self) -> NDArray[np.intp] | None:
        """Which place of a row here each value of a row that a user sees is, shape (n_values,).

        None if both have the same order. `groupglm.spaces.public_rows` goes from one to the other.
        """
        return None

    @property
    def preparation_options(self) -> Mapping[str, Any]:
        """What is done to inputs before they are a row, by the names of the estimator's options."""
        return {}

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of a row, in order; one part if all places are of one kind."""
        return (Part(self.tag, 0, self.n_values, self.unit, (0.5, 2.0)),)

    @property
    def unit(self) -> str:
        """The unit of the extent of a cluster; ``places`` if the parts have different units."""
        ...

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for one place and for several: ``("voxel", "voxels")``."""
        return "place", "places"

    @property
    def placement_word(self) -> str:
        """The word for what says where the places lie: ``grid``."""
        return "layout"

    def describe_placement(self) -> str:
        """Say in words where the places lie: ``46 x 55 x 46 voxels of 4 x 4 x 4 mm``."""
        return f"{self.n_values} {self.place_words[1]}"

    @property
    def measure_unit(self) -> str:
        """The unit of `measure`: ``mm3``, ``mm2``, or what is counted."""
        return self.unit

    def read_row(self, source: Any, out: NDArray[np.float32] | NDArray[np.float64]) -> Zeros | None:
        """Read an input into a row.

        Parameters
        ----------
        source : Source
            An opened input of this kind of data. Called from several threads at once, with a
            different `out` each.
        out : array of float32 or float64, shape (n_values,)
            Filled with the values; NaN where the input has none.

        Returns
        -------
        Zeros or None
            Where the input itself holds exactly zero; None if the row does not hide it.

        Raises
        ------
        groupglm.errors.ImageError
            If the input cannot be read or has no finite value here.
        """
        ...

    def read_values(
        self, source: Any, room: NDArray[np.float32] | NDArray[np.float64]
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Return the row that `read_row` would fill, not to be written to.

        Parameters
        ----------
        source : Source
            An opened input of this kind of data, whose exact zeros the row does not hide.
        room : array of float32 or float64, shape (n_values,)
            May be filled with the row and returned.

        Raises
        ------
        groupglm.errors.ImageError
            As `read_row`.
        """
        self.read_row(source, room)
        return room

    def read_stored(self, source: Any, out: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Read an input into a row as it is stored: nothing is prepared, and all may be NaN.

        Parameters
        ----------
        source : Source
            An opened input of this kind of data, at the places of this space.
        out : array of float32 or float64, shape (n_values,)
            Filled with the values; NaN where the input has none.

        Raises
        ------
        groupglm.errors.ImageError
            If the input cannot be read.
        """
        self.read_row(source, out)

    def bytes_to_read(self, source: Any) -> int:
        """Return the bytes that one input takes while it is read, besides its row."""
        del source
        return 0

    def restrict(self, keep: NDArray[np.bool_]) -> Self:
        """Make the space of some of the places.

        Parameters
        ----------
        keep : array of bool, shape (n_values,)
            Which places stay.

        Returns
        -------
        Space
            The places that stay, in the same order.

        Raises
        ------
        ValueError
            If none stays, or `keep` is not a row of truth values.
        """
        ...

    def onto(self, other: Self) -> Self:
        """Make the space of those places of another whose nearest place is one of these.

        Raises
        ------
        ValueError
            If there is none.
        """
        ...

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the places that are not background, of a space that has no mask yet.

        Parameters
        ----------
        mean : array, shape (n_values,)
            At each place the mean of the inputs that have it; NaN where none has.
        n_observations : array of int, shape (n_values,)
            How many inputs have each place.
        n_images : int
            Number of inputs.
        min_observations : int
            A place is inside only if at least so many inputs have it.

        Returns
        -------
        array of bool, shape (n_values,)
            True inside.

        Raises
        ------
        ValueError
            If no place is inside.
        """
        ...

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> Any:
        """Turn results into an image.

        Parameters
        ----------
        values : array, shape (n_values,) or (k, n_values)
            One row, or `k` of them.
        descrip : str
            What the values are, for the image's header.
        dtype : data-type, optional
            Type of the image's values. By default float32, or float64 where float32 cannot hold a
            value.
        statistic : Statistic, optional
            What the values are, for programs that read the header.

        Returns
        -------
        image
            Of the space's own kind, with zero outside the mask.

        Raises
        ------
        ValueError
            If `values` has another shape.
        """
        ...

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> Any:
        """Turn rows that come one by one into one image, in memory or in a file.

        Parameters
        ----------
        make_rows : callable
            Returns the rows; called again if the values need another type.
        n_rows : int
            How many there are.
        descrip : str
            What the values are, for the image's header.
        out : pathlib.Path or None
            The file, or what the names of several are made of; no more than a row is in memory
            at a time.

        Raises
        ------
        ValueError
            If the file's ending is not one of this kind of data.
        OSError
            If the file cannot be written.
        """
        ...

    def mask_image(self) -> Any:
        """Return the places as an image of uint8: one here, zero elsewhere."""
        return self.to_image(np.ones(self.n_values, np.uint8), "mask", dtype=np.uint8)

    def neighbours(self, connectivity: int) -> Neighbours:
        """List who is neighbour of whom, for clusters; never of two parts.

        Parameters
        ----------
        connectivity : int
            Of voxels: how many neighbours an inner one has, 6, 18 or 26. Where a mesh says who is
            neighbour of whom it has no effect.

        Returns
        -------
        Neighbours
            The lists of neighbours, in the numbering of a row.

        Raises
        ------
        ValueError
            If the space has no such connectivity.
        """
        ...

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Count the neighbours that some places have where no mask leaves any out.

        A place that has fewer in `neighbours` is at the edge of the mask.

        Parameters
        ----------
        connectivity : int
            As in `neighbours`.
        places : array of int, shape (n,)
            The places.

        Returns
        -------
        array of int, shape (n,)
            In the whole grid or mesh; here those in `neighbours`.
        """
        starts, _ = self.neighbours(connectivity).adjacency()
        return np.asarray(np.diff(starts)[places])

    def weights(self) -> NDArray[np.float64] | None:
        """Return what each place counts in the extent and the mass of a cluster.

        Returns
        -------
        array, shape (n_values,), or None
            In the `unit` of its part; None where every place counts one.
        """
        return None

    def measure(self, places: NDArray[np.integer]) -> float:
        """Return the extent of some places in `measure_unit`: their volume, area or number."""
        weights = self.weights()
        return float(len(places) if weights is None else weights[places].sum())

    def coordinates(self, places: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return where places lie.

        Parameters
        ----------
        places : array of int, shape (n,), optional
            All by default.

        Returns
        -------
        array, shape (n, 3)
            In mm; NaN where a place has no position.
        """
        n = self.n_values if places is None else len(places)
        return np.full((n, 3), np.nan)

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return where some places lie in the space's own terms.

        Equal values are listed in the order of the first of these numbers, then of the second, and
        so on. The middle of several places is the one nearest to the mean of these numbers.

        Parameters
        ----------
        places : array of int, shape (n,)
            The places.

        Returns
        -------
        array, shape (n, k)
            Whole numbers on a lattice, such as the indices of voxels: a mean is then rounded to
            the lattice. Coordinates elsewhere; here the coordinates in mm, or the places' numbers
            where some have none.
        """
        positions = self.coordinates(places)
        return np.array(places)[:, np.newaxis] if np.isnan(positions).any() else positions

    def place_at(self, position: Sequence[float]) -> int | None:
        """Return the place that holds a position.

        Parameters
        ----------
        position : three floats
            In mm.

        Returns
        -------
        int or None
            None if it is outside.
        """
        del position
        return None

    def describe_place(self, place: int) -> str:
        """Name a place for a reader: ``(-45, -24, 48) mm``, ``vertex 4012, left``."""
        ...

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first five of several places for a message, by their numbers in the data."""
        names = ", ".join(self.describe_place(place) for place in places[:5].tolist())
        return f"{names}{', ...' if len(places) > 5 else ''}"

    def value_names(self) -> NDArray[np.object_]:
        """Name each place, in the order of a row: names of the columns of a matrix."""
        return np.array([f"place_{place}" for place in range(self.n_values)], object)

    def identity(self) -> str:
        """Return a text that is equal for spaces that read equal rows from an input."""
        ...

    def absent_source(self, name: str, saved_in: str) -> Source:
        """Return an input that was fitted elsewhere: its name is known, its values are not.

        Parameters
        ----------
        name : str
            What the input was called.
        saved_in : str
            The saved model that names it, for the error of whoever reads it.
        """
        ...

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Take the space apart, for a file.

        Returns
        -------
        facts : dict
            What JSON can hold.
        arrays : dict of str to array
            By name. `Kind.load_space` makes the space of both again.
        """
        ...
