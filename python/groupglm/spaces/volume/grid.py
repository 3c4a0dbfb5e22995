# SPDX-License-Identifier: BSD-3-Clause
"""The positions of an image's voxels: `Grid`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SAME_PLACE_MM", "Grid", "HasGrid"]

SAME_PLACE_MM = 1e-3
"""Voxels closer than this (mm) count as being at the same place.

Headers store affines in float32, and some tools convert them to a quaternion and back. This
rounding displaces the far corner of a whole-head grid by 1e-5 to 1e-4 mm. The limit is above that
rounding, and a thousandth of the smallest voxel that studies average over subjects.
"""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxels.

    Two grids are compared with `difference`, not with ``==``: what matters is how far apart their
    voxels lie in millimetres.

    Parameters
    ----------
    shape : tuple of 3 ints
        Number of voxels along each axis.
    affine : array, shape (4, 4)
        Maps voxel indices to millimetres; kept as a read-only float64 copy.

    Raises
    ------
    ValueError
        If `shape` is not three positive numbers, or `affine` is not a finite 4 x 4 matrix.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Grid((61, 73, 61), np.diag([3.0, 3.0, 3.0, 1.0]))
    >>> grid.n_voxels
    271633
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = tuple(int(length) for length in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a grid needs three positive dimensions, but its shape is {shape}")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise ValueError(f"a grid's affine must be 4 x 4, but has shape {affine.shape}")
        if not np.isfinite(affine).all():
            raise ValueError(
                "the affine holds NaN or infinity, so the place of the voxels is unknown; "
                "write a valid affine into the header"
            )
        if np.linalg.matrix_rank(affine[:3, :3]) < 3:
            raise ValueError(
                "the affine is singular, so that voxels lie at the same place; write a valid "
                "affine into the header"
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @property
    def n_voxels(self) -> int:
        """Number of voxels of the whole grid."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def describe(self) -> str:
        """Say how many voxels the grid has, and their size.

        Examples
        --------
        >>> Grid((61, 73, 61), np.diag([3.0, 3.0, 2.5, 1.0])).describe()
        '61 x 73 x 61 voxels of 3 x 3 x 2.5 mm'
        """
        shape = " x ".join(str(length) for length in self.shape)
        edges = np.linalg.norm(self.affine[:3, :3], axis=0).round(3)
        return f"{shape} voxels of " + " x ".join(format(edge, "g") for edge in edges) + " mm"

    def displacement(self, other: Grid) -> float:
        """Return the largest distance, in mm, between the same voxel of two grids.

        An affine difference is affine in the voxel index, so its length is largest at a corner.
        """
        corners = np.array(list(itertools.product(*[(0, n - 1) for n in self.shape], [1])))
        offsets = corners @ (self.affine - other.affine)[:3].T
        return float(np.sqrt((offsets**2).sum(axis=1)).max())

    def same_place_voxels(self) -> tuple[float, float, float]:
        """Return `SAME_PLACE_MM` in voxels: how far it reaches along each axis of the grid.

        A displacement of d mm changes a voxel index by at most d times the length of that index's
        row of the inverse affine. At most a quarter of a voxel, whatever the voxels' size.

        Examples
        --------
        >>> Grid((5, 5, 5), np.diag([2.0, 4.0, 1.0, 1.0])).same_place_voxels()
        (0.0005, 0.00025, 0.001)
        """
        rows = np.linalg.norm(np.linalg.inv(self.affine[:3, :3]), axis=1)
        x, y, z = np.minimum(SAME_PLACE_MM * rows, 0.25).tolist()
        return x, y, z

    def difference(self, other: Grid) -> str | None:
        """Return, in words, how this grid differs from another.

        Examples
        --------
        >>> import numpy as np
        >>> here, there = np.eye(4), np.eye(4)
        >>> there[0, 3] = 2.0
        >>> Grid((5, 5, 5), there).difference(Grid((5, 5, 5), here))
        'its affine displaces voxels by up to 2 mm'
        >>> Grid((5, 5, 6), here).difference(Grid((5, 5, 5), here))
        'its shape is (5, 5, 6), not (5, 5, 5)'
        """
        if self.shape != other.shape:
            return f"its shape is {self.shape}, not {other.shape}"
        if np.array_equal(self.affine, other.affine):
            return None
        displacement = self.displacement(other)
        if displacement <= SAME_PLACE_MM:
            return None
        return f"its affine displaces voxels by up to {displacement:.3g} mm"


class HasGrid(Protocol):
    """An object on a grid: an opened volume, or a space."""

    @property
    def grid(self) -> Grid:
        """The grid of its voxels."""
        ...
