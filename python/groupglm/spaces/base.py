# SPDX-License-Identifier: BSD-3-Clause
"""Where the data live: the protocols between the statistics and the kinds of data.

The modules that fit models know only rows of values. A `Source` is an opened input. A `Space` reads
a source into a row, knows the place of each value of a row (`Places`), and turns rows of results
into images. A `Part` is a stretch of a row whose places are of one kind. `volume` has the space of
voxels inside a mask. Another kind of data (surfaces, tables of regions) is another folder, with a
class that has the members of `Space`. Nothing above changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

import numpy as np

from groupglm.spaces.geometry import report_unused_geometry
from groupglm.spaces.part import Part
from groupglm.spaces.places import Places
from groupglm.spaces.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.zeros import Zeros

__all__ = ["Part", "RowStream", "Source", "Space"]

RowStream: TypeAlias = "Generator[NDArray[np.float64], None, None]"
"""Rows of values that come one by one, shape (n_values,) each."""


class Space(Places, Protocol):
    """What the statistics need to know about where the data live.

    A class that inherits from this one need only define what has no default here or in `Places`.
    """

    @property
    def zero_is_missing(self) -> bool:
        """Whether an exact zero of an input is a missing value for `read_row`."""
        return False

    @property
    def resamples(self) -> bool:
        """Whether `read_row` resamples inputs, which may then lie at other places."""
        return False

    @property
    def only_zeros_are_outside(self) -> bool:
        """Whether `background` takes for outside what is zero in all inputs, not what is alike."""
        return False

    @property
    def mixes_places(self) -> bool:
        """Whether a value of a row may come from several places of an input, as by smoothing."""
        return False

    @property
    def preparation_options(self) -> Mapping[str, Any]:
        """What is done to inputs before they are a row, by the names of the estimator's options."""
        return {}

    @property
    def preparation_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """What became of that, for sidecars: such as the width of smoothing that a mesh allows."""
        return {}

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

    def reader_of(self, role: str) -> Space:
        """Return the space of the same places that reads what belongs to an image.

        Parameters
        ----------
        role : str
            "variance", "weight" or "covariate". The values of a variance or a weight may be
            prepared in another way than those of an image.
        """
        del role
        return self

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

    def on_surfaces(self, geometry: Geometry) -> Self:
        """Make the space of the same places on other surfaces; a warning without any surface.

        Parameters
        ----------
        geometry : Geometry
            The surfaces, the areas of vertices, or both; those not given stay as they are.

        Raises
        ------
        ValueError
            If they are not of the mesh of these places, or the inputs were smoothed on others.
        """
        report_unused_geometry(geometry, self.place_words[1])
        return self

    def name_of(self, source: Any, inside: NDArray[np.bool_]) -> str:
        """Return the name of an input, or of those parts of it that have some of the places."""
        del inside
        name: str = source.name
        return name

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

    def together(self, images: Mapping[str, Any]) -> Any:
        """Put images of results, by the names of what they hold, together; here in a dict.

        A kind of data whose users expect one object, such as a data frame, makes that of them.
        """
        return dict(images)

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
