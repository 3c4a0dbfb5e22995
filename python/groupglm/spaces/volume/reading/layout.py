# SPDX-License-Identifier: BSD-3-Clause
"""The place of the values in a file, and the bytes that the file may hold: `Layout`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SURPLUS", "Compression", "Layout"]

Compression: TypeAlias = Literal["gzip", "bzip2"]

SURPLUS = 1 << 20
"""Bytes that may follow the values in a format with data after them, such as MGH's tags."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where and how a file stores an image.

    Attributes
    ----------
    path : str
        The file that holds the values.
    compression : {"gzip", "bzip2"} or None
        How that file is compressed.
    offset : int
        Bytes before the first value (of the inflated file).
    dtype : numpy.dtype
        Stored type, with its byte order.
    shape : tuple of int
        As declared. Values lie in Fortran order: the first axis varies fastest.
    slope, inter : float
        A value is ``stored * slope + inter``.
    affine : array, shape (4, 4)
        Voxel indices to millimetres.
    name : str
        How error messages call the image.
    has_footer : bool, default=False
        Whether the format keeps more than padding after the values.
    """

    path: str
    compression: Compression | None
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    slope: float
    inter: float
    affine: NDArray[np.float64]
    name: str
    has_footer: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes of the values and of all before them."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume."""
        return math.prod(self.shape[:3]) * self.dtype.itemsize

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return math.prod(self.shape[3:])

    @property
    def surplus(self) -> int:
        """Bytes that may follow the values: less than a slice, or else the header omits a slice."""
        return SURPLUS if self.has_footer else math.prod(self.shape[:2]) * self.dtype.itemsize - 1

    @property
    def declared(self) -> str:
        """The size that the header declares, in words for error messages."""
        return f"{self.n_bytes} bytes (shape {self.shape}, {self.dtype.name})"
