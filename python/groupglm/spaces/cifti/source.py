# SPDX-License-Identifier: BSD-3-Clause
"""One map of a CIFTI matrix that can be read: `CiftiSource` and its subclasses."""

from __future__ import annotations

import math
import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import joblib
import numpy as np

from groupglm.errors import GridMismatchError, ImageError, in_quotes
from groupglm.runtime.scratch import ScratchFile

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from groupglm.spaces.cifti.header import CiftiHeader

__all__ = ["AbsentMap", "Axis", "CiftiSource", "ComputedMap", "FileMap", "ImageMap", "MapsOfFile"]

_BLOCK_BYTES = 16 << 20
# The object that computes may not support calls from several threads at once.
_ONE_AT_A_TIME = threading.Lock()


class Axis(Protocol):
    """The places of a matrix: grayordinates, or parcels."""

    @property
    def n_places(self) -> int: ...  # noqa: D102
    @property
    def extent(self) -> str: ...  # noqa: D102
    def difference(self, other: Any) -> str | None: ...  # noqa: D102


class HasAxis(Protocol):
    """What a source is compared with: another source, or a space."""

    @property
    def axis(self) -> Axis: ...


class CiftiSource(ABC):
    """One map, opened but not read.

    Parameters
    ----------
    name : str
        The file's name, or the image's place in the input; error messages begin with it.
    axis : Axis
        Where the values lie.
    stored : data-type
        The type of the values before they are scaled.
    slope, inter : float
        A value is ``stored * slope + inter``.
    """

    is_readable = True
    saved_in: str | None = None
    nbytes_in_memory: float = 0.0

    def __init__(
        self,
        name: str,
        axis: Axis,
        stored: np.dtype[Any],
        slope: float = 1.0,
        inter: float = 0.0,
    ) -> None:
        self.name, self.axis = name, axis
        self._slope, self._inter = slope, inter
        self._is_scaled = (slope, inter) != (1.0, 0.0)
        self.is_quantised = self._is_scaled and stored.kind in "iu"
        fits = not self._is_scaled and np.can_cast(stored, np.float32, "safe")
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if fits else np.float64)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @abstractmethod
    def _stored_values(self) -> NDArray[Any]:
        """Return the stored values, shape (n_places,), in the order of the file."""

    def files(self) -> list[str]:
        """Return the files that hold the values; none of an image in memory."""
        return []

    def read(self) -> NDArray[Any]:
        """Return the values, shape (n_places,), in the order of the file; not to be written to.

        Raises
        ------
        groupglm.errors.ImageError
            If they cannot be read.
        """
        try:
            values = self._stored_values()
        except (OSError, EOFError) as error:
            raise ImageError(f"{self.name}: cannot be read: {error}") from error
        if values.shape != (self.axis.n_places,):  # an object in memory reads them now
            raise ImageError(
                f"{self.name}: gives values of the shape {values.shape}, but its axis has "
                f"{self.axis.n_places} places; make the image again"
            )
        if not self._is_scaled:
            return values
        return np.asarray(values * np.float64(self._slope) + self._inter)

    @property
    def extent(self) -> str:
        """The number of places, in words."""
        return self.axis.extent

    def file_state(self) -> Hashable:
        """Return what changes when the files are written to; None if unknown."""
        try:
            return tuple(map(_file_state, self.files())) or None
        except OSError:
            return None  # reading the file will say what is wrong

    def fingerprint(self) -> Hashable:
        """Identify the values that a reading gives now; None if that is not known."""
        return self.file_state()

    def difference(self, other: HasAxis) -> str | None:
        """Return how its places differ from those of another source or a space; None if not."""
        return self.axis.difference(other.axis)

    def value_range(self) -> tuple[float, float]:
        """Read it, and return the least and the largest of its finite values and zero."""
        values = self.read()
        finite = values[np.isfinite(values)]
        return float(finite.min(initial=0)), float(finite.max(initial=0))


class FileMap(CiftiSource):
    """A map of a file.

    Parameters
    ----------
    maps : MapsOfFile
        Reads the values.
    number : int
        Which map of the file.
    name : str
        As in messages.
    axis : Axis
        Where the values lie.
    """

    def __init__(self, maps: MapsOfFile, number: int, name: str, axis: Axis) -> None:
        header = maps.header
        super().__init__(name, axis, header.dtype, header.slope, header.inter)
        self._maps, self._number = maps, number

    def files(self) -> list[str]:
        """Return the file."""
        return [self._maps.header.path]

    def fingerprint(self) -> Hashable:
        """Identify the values by the state of the file and the map's number."""
        state = self.file_state()
        return None if state is None else (state, self._number, self._slope, self._inter)

    def _stored_values(self) -> NDArray[Any]:
        return self._maps.values(self._number)


class MapsOfFile:
    """The maps of a file, which holds the values of one place side by side.

    The only map of a file is read from it. Several are put one after the other in a scratch file
    when the first one is read, so that the file is read once and memory holds some megabytes of it
    at a time.

    Parameters
    ----------
    header : CiftiHeader
        Where the values are.
    """

    def __init__(self, header: CiftiHeader) -> None:
        self.header = header
        self._lock = threading.Lock()
        self._scratch: ScratchFile | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy in another process makes its own scratch file.
        return type(self), (self.header,)

    def values(self, number: int) -> NDArray[Any]:
        """Return the stored values of one map, shape (n_places,)."""
        header = self.header
        if header.n_maps == 1:
            return self._read(0, header.n_places)
        with self._lock:
            if self._scratch is None:
                self._scratch = self._side_by_side()
        values = np.empty(header.n_places, header.dtype)
        self._scratch.read(number, values)
        return values

    def _read(self, first: int, count: int) -> NDArray[Any]:
        """Read some values of the file, shape (count,)."""
        header = self.header
        # Not a memory map: if another program shortens the file, the process would be killed.
        offset = header.offset + first * header.dtype.itemsize
        values = np.fromfile(header.path, header.dtype, count, offset=offset)
        if values.size < count:
            raise ImageError(
                f"{header.path}: the file was shortened after it was opened; do not write to "
                "images while they are read"
            )
        return values

    def _side_by_side(self) -> ScratchFile:
        header = self.header
        size = header.dtype.itemsize
        scratch = ScratchFile(header.n_maps, header.n_places * size)
        step = max(1, _BLOCK_BYTES // (header.n_maps * size))
        for first in range(0, header.n_places, step):
            n_places = min(step, header.n_places - first)
            block = self._read(first * header.n_maps, n_places * header.n_maps)
            for number, values in enumerate(block.reshape(n_places, header.n_maps).T):
                scratch.write(number, values, first * size)
        return scratch


class ImageMap(CiftiSource):
    """A map of a nibabel image.

    Parameters
    ----------
    image : nibabel.Cifti2Image
        The image.
    number : int
        Which map of it.
    name : str
        As in messages.
    axis : Axis
        Where the values lie.
    """

    def __init__(self, image: Any, number: int, name: str, axis: Axis) -> None:
        data = image.dataobj
        in_memory = isinstance(data, np.ndarray)
        super().__init__(name, axis, data.dtype if in_memory else np.dtype(np.float64))
        self._image, self._number = image, number
        self.nbytes_in_memory = float(data.nbytes) if in_memory else 0.0

    def files(self) -> list[str]:
        """Return the image's file, if its values are not in memory."""
        name = self._image.get_filename()
        return [name] if name and not self.nbytes_in_memory else []

    def fingerprint(self) -> Hashable:
        """Identify the values by the state of the file, or by themselves if they are in memory."""
        state = self.file_state()
        return (state, self._number) if state else str(joblib.hash(self.read()))

    def _stored_values(self) -> NDArray[Any]:
        try:
            values = np.asanyarray(self._image.dataobj[self._number])
        except Exception as error:  # a damaged file makes nibabel raise anything
            raise ImageError(f"{self.name}: cannot be read: {error}") from error
        if np.ma.is_masked(values):
            return np.ma.filled(values.astype(np.float64), np.nan)
        return np.asarray(values)


class AbsentMap(CiftiSource):
    """A map that was fitted elsewhere: only its name is known.

    Parameters
    ----------
    name : str
        The name of the image.
    axis : Axis
        Of the fit.
    saved_in : str
        The saved model that names the image.
    """

    is_readable = False

    def __init__(self, name: str, axis: Axis, saved_in: str) -> None:
        super().__init__(name, axis, np.dtype(np.float32))
        self.saved_in = saved_in

    def _stored_values(self) -> NDArray[Any]:
        raise ImageError(
            f"{self.name}: its values are not in {in_quotes(str(self.saved_in))}, which this model "
            "was loaded from; what reads the images again, such as residuals, needs a model that "
            "is fitted here"
        )


class ComputedMap(CiftiSource):
    """A map that exists only while it is read, so that many cost the memory of one.

    Parameters
    ----------
    name : str
        As in messages.
    compute : callable
        Returns the image.
    open_one : callable
        Opens an image by itself and a name.
    axis : Axis, optional
        The places that the image must have. By default the image is computed now, and its places
        taken; the first reading then uses that image.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[], object],
        open_one: Callable[[Any, str], CiftiSource],
        axis: Axis | None = None,
    ) -> None:
        self._compute, self._open_one = compute, open_one
        self._ready: CiftiSource | None = None
        if axis is None:
            self._ready = open_one(compute(), name)
            axis = self._ready.axis
        # float64 holds the values of any type that the computed image may have.
        super().__init__(name, axis, np.dtype(np.float64))
        self.nbytes_in_memory = math.inf

    def fingerprint(self) -> None:
        """Return None: nothing tells whether it would be computed anew."""

    def _stored_values(self) -> NDArray[Any]:
        with _ONE_AT_A_TIME:
            source, self._ready = self._ready, None
            if source is None:
                source = self._open_one(self._compute(), self.name)
        difference = source.difference(self)
        if difference is not None:
            raise GridMismatchError(
                f"{self.name}: the image is not on the axes of the first: {difference}; fit all "
                "first-level models on one set of axes"
            )
        return source.read()


def _file_state(path: str) -> tuple[str, int, int]:
    status = os.stat(path)  # noqa: PTH116 (a Path for each of many files is slow)
    return (os.path.realpath(path), status.st_size, status.st_mtime_ns)
