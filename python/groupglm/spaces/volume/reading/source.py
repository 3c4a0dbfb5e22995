# SPDX-License-Identifier: BSD-3-Clause
"""One volume that can be read: `VolumeSource` and its subclasses."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from groupglm import _core
from groupglm.errors import ImageError
from groupglm.runtime.arguments import real_array
from groupglm.spaces.volume.grid import Grid, HasGrid
from groupglm.spaces.volume.reading.inflate import CompressedSeries, inflate_file
from groupglm.spaces.volume.reading.layout import Compression, Layout

if TYPE_CHECKING:
    from collections.abc import Hashable

    from nibabel.spatialimages import SpatialImage
    from numpy.typing import NDArray

__all__ = [
    "CompressedSeriesVolume",
    "CompressedVolume",
    "ImageVolume",
    "PlainVolume",
    "VolumeSource",
]


class VolumeSource(ABC):
    """One 3-D image, opened but not read.

    Nothing is kept between two reads. A source may be read by several threads at once and can be
    pickled to be read elsewhere.

    Attributes
    ----------
    name : str
        The file's name, or the image's place in the input; error messages begin with it.
    grid : Grid
        Where the voxels lie.
    dtype : numpy.dtype
        The type a row needs to hold every value: float32 when that loses nothing (stored as
        float16, float32, or integers of 8 or 16 bits, and not scaled), else float64.
    stored_dtype : numpy.dtype
        The type of the values before they are scaled, in the byte order of the file.
    value_dtype : numpy.dtype
        The type of the values themselves: the stored one in native byte order, or float64 when they
        are scaled.
    is_quantised : bool
        Whether the values are scaled integers: a measured one may then be zero by rounding.
    """

    def __init__(
        self, *, name: str, grid: Grid, stored: np.dtype[Any], slope: float, inter: float
    ) -> None:
        self.name = name
        self.grid = grid
        self._slope = slope
        self._inter = inter
        self._scaled = (slope, inter) != (1.0, 0.0)
        self.stored_dtype = stored
        self.is_quantised = self._scaled and stored.kind in "iu"
        self.value_dtype = np.dtype(np.float64) if self._scaled else stored.newbyteorder("=")
        self.dtype: np.dtype[np.float32] | np.dtype[np.float64] = np.dtype(np.float64)
        if not self._scaled and np.can_cast(stored, np.float32, "safe"):
            self.dtype = np.dtype(np.float32)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @abstractmethod
    def _stored_values(self) -> NDArray[Any]:
        """Return the stored values, shape (n_voxels,), the first axis varying fastest."""

    def _origin(self) -> Hashable:
        """Return a value that changes whenever the stored values may change; None if unknown."""
        return None

    def _files(self) -> list[str]:
        """Return the paths of the files that hold the values; empty for an image in memory."""
        return []

    def file_state(self) -> Hashable:
        """Return a value that changes when the files are written to; None if unknown."""
        try:
            return tuple(map(_file_state, self._files())) or None
        except OSError:
            return None  # reading the file will say what is wrong

    @property
    def extent(self) -> str:
        """The number of voxels along each axis, in words."""
        return f"{self.grid.shape} voxels"

    def difference(self, other: HasGrid) -> str | None:
        """Return how its grid differs from that of another source, or of a space; None if not."""
        return self.grid.difference(other.grid)

    def value_range(self) -> tuple[float, float]:
        """Read the volume, and return the least and the largest of its finite values and zero."""
        values = np.empty(self.grid.n_voxels, dtype=self.dtype)
        self.read_into(values)
        lowest, highest = float(values.min(initial=0)), float(values.max(initial=0))
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            finite = values[np.isfinite(values)]
            lowest, highest = float(finite.min(initial=0)), float(finite.max(initial=0))
        return lowest, highest

    @property
    def is_readable(self) -> bool:
        """Whether the values can be read; False if only the name of the image is known."""
        return True

    @property
    def saved_in(self) -> str | None:
        """The saved model that names the image, if its values cannot be read."""
        return None

    @property
    def nbytes_in_memory(self) -> float:
        """Bytes to send when the source goes to another process; 0 for a file."""
        return 0.0

    def fingerprint(self) -> Hashable:
        """Return a value that identifies the values that a reading gives now; None if unknown."""
        try:
            origin = self._origin()
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be read: {error}") from error
        if origin is None:
            return None
        return (origin, self._slope, self._inter, self.grid.shape, self.grid.affine.tobytes())

    def read_into(
        self,
        out: NDArray[np.float32] | NDArray[np.float64],
        indices: NDArray[np.intp] | None = None,
        runs: NDArray[np.int64] | None = None,
    ) -> None:
        """Read the volume and put its values into a row.

        Shapes: `out` (n_values,), `indices` (n_values,), `runs` (n_runs, 2).
        """
        stored = self._read()
        if runs is not None and self._is_plain(stored, out.dtype):
            _core.gather(stored, runs, out)
            return
        # "raise" would make numpy gather into a buffer first; both release the GIL.
        values = stored if indices is None else np.take(stored, indices, mode="clip")
        self._convert(values, out)

    def read_values(
        self, room: NDArray[np.float32] | NDArray[np.float64]
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Return the values of the whole volume: as they were read if they are of `room`'s type.

        Else `room` is filled and returned.
        """
        stored = self._read()
        if self._is_plain(stored, room.dtype):
            return stored
        self._convert(stored, room)
        return room

    def _read(self) -> NDArray[Any]:
        try:
            stored = self._stored_values()
        except (OSError, EOFError) as error:
            raise ImageError(f"{self.name}: cannot be read: {error}") from error
        if len(stored) != self.grid.n_voxels:  # an object in memory reads them now
            raise ImageError(
                f"{self.name}: gives {len(stored)} values, but its shape {self.grid.shape} has "
                f"{self.grid.n_voxels}; make the image again"
            )
        return stored

    def _is_plain(self, stored: NDArray[Any], dtype: np.dtype[Any]) -> bool:
        """Return whether the stored values can be used unchanged in a row of a type."""
        is_whole = stored.flags.c_contiguous and stored.flags.aligned
        return is_whole and stored.dtype == dtype and not self._scaled

    def _convert(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        if not self._scaled:
            out[...] = values
            return
        scaled = values * np.float64(self._slope)
        scaled += self._inter
        out[...] = scaled


def _file_state(path: str) -> tuple[str, int, int]:
    status = os.stat(path)  # noqa: PTH116 (a path may be of any kind)
    return (os.path.realpath(path), status.st_size, status.st_mtime_ns)


class PlainVolume(VolumeSource):
    """A volume of an uncompressed file."""

    def __init__(self, layout: Layout, grid: Grid, volume: int, name: str) -> None:
        super().__init__(
            name=name, grid=grid, stored=layout.dtype, slope=layout.slope, inter=layout.inter
        )
        self._path = layout.path
        self._stored_dtype = layout.dtype
        self._offset = layout.offset + volume * grid.n_voxels * layout.dtype.itemsize

    def _origin(self) -> Hashable:
        return (*_file_state(self._path), self._offset, self._stored_dtype.str)

    def _files(self) -> list[str]:
        return [self._path]

    def _stored_values(self) -> NDArray[Any]:
        # Not a memory map: if another program shortens the file, the process would be killed.
        values = np.fromfile(
            self._path, dtype=self._stored_dtype, count=self.grid.n_voxels, offset=self._offset
        )
        if values.size < self.grid.n_voxels:
            raise ImageError(
                f"{self.name}: the file was shortened after it was opened: {values.size} of "
                f"{self.grid.n_voxels} values are left; do not write to images while they are read"
            )
        return values


class CompressedVolume(VolumeSource):
    """The only volume of a compressed file."""

    def __init__(self, layout: Layout, grid: Grid, compression: Compression) -> None:
        super().__init__(
            name=layout.name, grid=grid, stored=layout.dtype, slope=layout.slope, inter=layout.inter
        )
        self._layout = layout
        self._compression: Compression = compression

    def _origin(self) -> Hashable:
        layout = self._layout
        return (*_file_state(layout.path), layout.offset, layout.dtype.str)

    def _files(self) -> list[str]:
        return [self._layout.path]

    def _stored_values(self) -> NDArray[Any]:
        layout = self._layout
        inflated = inflate_file(layout, self._compression)
        return np.frombuffer(inflated, layout.dtype, self.grid.n_voxels, layout.offset)


class CompressedSeriesVolume(VolumeSource):
    """One of several volumes of a compressed file, inflated one after the other."""

    def __init__(self, layout: Layout, grid: Grid, volume: int, series: CompressedSeries) -> None:
        super().__init__(
            name=f"{layout.name}, volume {volume + 1}",
            grid=grid,
            stored=layout.dtype,
            slope=layout.slope,
            inter=layout.inter,
        )
        self._layout = layout
        self._volume = volume
        self._series = series

    def _origin(self) -> Hashable:
        layout = self._layout
        return (*_file_state(layout.path), layout.offset, layout.dtype.str, self._volume)

    def _files(self) -> list[str]:
        return [self._layout.path]

    def _stored_values(self) -> NDArray[Any]:
        return np.frombuffer(self._series.volume(self._volume), self._layout.dtype)


class ImageVolume(VolumeSource):
    """A volume of a nibabel image: in memory, or of a format that only nibabel reads."""

    def __init__(
        self,
        image: SpatialImage,
        stored: np.dtype[Any],
        grid: Grid,
        index: tuple[slice | int, ...],
        name: str,
    ) -> None:
        super().__init__(name=name, grid=grid, stored=stored, slope=1.0, inter=0.0)
        self._image = image
        self._index = index

    def _origin(self) -> Hashable:
        files = self._files()
        if files:  # do not read an image only to know whether it was read before
            return (*map(_file_state, files), str(self._index))
        return str(joblib.hash(self._stored_values()))

    def _files(self) -> list[str]:
        if isinstance(self._image.dataobj, np.ndarray):
            return []
        names = [holder.filename for holder in self._image.file_map.values()]
        return [name for name in names if name is not None and os.path.exists(name)]  # noqa: PTH110

    @property
    def nbytes_in_memory(self) -> float:
        """Bytes to send when the source goes to another process."""
        data = self._image.dataobj
        return float(data.nbytes) if isinstance(data, np.ndarray) else 0.0

    def _stored_values(self) -> NDArray[Any]:
        # The data object itself, because get_fdata would keep a float64 copy of every image.
        data = self._image.dataobj
        try:
            values = np.asanyarray(data[self._index] if self._index else data)
        except Exception as error:  # a third-party reader raises anything on a damaged file
            raise ImageError(f"{self.name}: cannot be read: {error}") from error
        if np.ma.is_masked(values):
            values = real_array(self.name, values, missing=True)
        return values.reshape(-1, order="F")
