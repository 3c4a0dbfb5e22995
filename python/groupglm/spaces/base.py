# SPDX-License-Identifier: BSD-3-Clause
"""Where the data live: the seam between statistics and image formats.

Whatever fits models knows rows of values only. A space turns an opened input into a row, and a row
of results into an image. `volume` is the one for voxels inside a mask; another kind of data
(surfaces, tables of regions) is another class with the members of `Space`, and nothing above
changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from groupglm._core import Neighbours
    from groupglm.spaces.zeros import Zeros

__all__ = ["Space"]

SourceT_contra = TypeVar("SourceT_contra", contravariant=True)


class Space(Protocol[SourceT_contra]):
    """What the statistics need to know of where the data live.

    ``SourceT_contra`` is the type of an opened input that the space can read.
    """

    @property
    def n_values(self) -> int:
        """Length of a row: how many places the data are at."""
        ...

    def read_row(
        self, source: SourceT_contra, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read an input into a row.

        Parameters
        ----------
        source : SourceT_contra
            An opened input. Called from several threads at once, with a different `out` each.
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

    def to_image(self, values: NDArray[Any], descrip: str = "") -> Any:
        """Turn results into an image.

        Parameters
        ----------
        values : array, shape (n_values,) or (k, n_values)
            One row, or `k` of them.
        descrip : str
            What the values are, for the image's header.

        Returns
        -------
        image
            Of the space's own kind, with zero outside the mask.
        """
        ...

    def neighbours(self, connectivity: int) -> Neighbours:
        """Say who is neighbour of whom, for clusters.

        Parameters
        ----------
        connectivity : int
            Which places count as neighbours; among voxels, how many an inner one has: 6, 18 or 26.

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
