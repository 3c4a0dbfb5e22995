# SPDX-License-Identifier: BSD-3-Clause
"""Where the values of a row lie: who is next to whom, how large, and what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from groupglm.spaces.part import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm._core import Neighbours
    from groupglm.spaces.cells import Cells

__all__ = ["SAME_POSITION_MM", "Places"]

SAME_POSITION_MM = 1e-3
"""How far a position in a file may be from the exact one: files round coordinates to float32."""


class Places(Protocol):
    """The places of a row of values, numbered from 0 to ``n_values - 1``."""

    tag: ClassVar[str]
    """The kind of data, in a saved model."""

    @property
    def n_values(self) -> int:
        """Length of a row: how many places the data are at."""
        ...

    @property
    def public_order(self) -> NDArray[np.intp] | None:
        """Which place of a row here each value of a row that a user sees is, shape (n_values,).

        None if both have the same order. `groupglm.spaces.public_rows` goes from one to the other.
        """
        return None

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
    def input_words(self) -> tuple[str, str]:
        """The words for one input and for several: ``("image", "images")``."""
        return "image", "images"

    @property
    def placement_word(self) -> str:
        """The word for what says where the places lie: ``grid``."""
        return "layout"

    @property
    def placement_remedy(self) -> str:
        """What to do about an input whose places lie elsewhere than those of a fit."""
        return f"resample it to that {self.placement_word}"

    def describe_placement(self) -> str:
        """Say in words where the places lie: ``46 x 55 x 46 voxels of 4 x 4 x 4 mm``."""
        return f"{self.n_values} {self.place_words[1]}"

    @property
    def measure_unit(self) -> str:
        """The unit of `measure`: ``mm3``, ``mm2``, or what is counted."""
        return self.unit

    @property
    def has_neighbours(self) -> bool:
        """Whether places may have neighbours, so that there are clusters."""
        return True

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

    def cells(self) -> tuple[Cells, ...]:
        """List the cells between neighbours, of each part, which random field theory counts.

        Returns
        -------
        tuple of Cells
            A lattice of voxels or a triangulation for each part; empty where places have no
            neighbours, or it is not known how they lie.
        """
        return ()

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

    def middle_layout(self, places: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return the numbers whose mean is the middle of several places, here their `layout`.

        Parameters
        ----------
        places : array of int, shape (n,)
            The places.

        Returns
        -------
        array, shape (n, k)
            As of `layout`.
        """
        return self.layout(places)

    def distances_from(
        self, place: int, places: NDArray[np.integer], limit: float
    ) -> NDArray[np.float64]:
        """Return the distances of some places from one place.

        Parameters
        ----------
        place : int
            The one place.
        places : array of int, shape (n,)
            The other places, of the same part.
        limit : float
            Distances above it may be infinite.

        Returns
        -------
        array, shape (n,)
            In mm, here on a straight line; NaN where a place has no position.
        """
        del limit
        positions = self.coordinates(np.append(places, place))
        return np.asarray(np.linalg.norm(positions[:-1] - positions[-1], axis=1))

    def ball(self, centre: Sequence[float], radius: float) -> tuple[NDArray[np.intp], float]:
        """Find the places within a distance of a position: in a ball, or in a disc of a surface.

        Parameters
        ----------
        centre : three floats
            In mm.
        radius : float
            In mm; a place that is farther by less than the rounding of positions counts.

        Returns
        -------
        places : array of int, shape (n,)
            Increasing.
        distance : float
            How far the nearest place is; infinite if no place has a position.
        """
        steps = self.coordinates() - np.asarray(centre, np.float64)
        distances = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        if np.isnan(distances).all():
            return np.zeros(0, np.intp), np.inf
        return np.flatnonzero(distances <= radius + SAME_POSITION_MM), float(np.nanmin(distances))

    def structure(self, places: NDArray[np.integer]) -> NDArray[np.object_] | None:
        """Return the anatomical structure that each of some places is in, by its name.

        Parameters
        ----------
        places : array of int, shape (n,)
            The places.

        Returns
        -------
        array of str, shape (n,), or None
            Such as ``left``; None if the data do not name structures.
        """
        del places
        return None

    def vertex_numbers(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers that some places have on their surface.

        Parameters
        ----------
        places : array of int, shape (n,)
            The places.

        Returns
        -------
        array of int, shape (n,)
            Counted from zero; -1 for a place that is not on a surface.
        """
        return np.full(len(places), -1)

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
