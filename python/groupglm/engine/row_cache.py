# SPDX-License-Identifier: BSD-3-Clause
"""Masked rows kept on disk between sessions: `CachedSpace`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from groupglm.engine.row_files import read_row, write_row
from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes, warn_caller
from groupglm.runtime.arguments import whole_number
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import why_no_folder

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from groupglm.spaces.base import Source, Space
    from groupglm.spaces.zeros import Zeros

__all__ = ["CachedSpace", "RowFolder", "check_memory"]

_FOLDER = "groupglm_rows"  # within joblib's folder, so that its clear() removes the rows


def check_memory(memory: Any, memory_level: Any) -> joblib.Memory:
    """Return the cache that the user asked for."""
    whole_number("memory_level", memory_level, least=0)
    if isinstance(memory, str | os.PathLike):
        folder = given_path("memory", memory)
        if not folder.absolute().parent.is_dir():
            raise ArgumentError(
                "memory",
                (
                    f"{str(memory)!r}: given cache path parent directory doesn't exist, you gave "
                    f"{str(folder.parent)!r}"
                ),
                remedy="make it first",
            )
        why = why_no_folder(folder)
        if why is not None:
            raise ArgumentError(
                "memory",
                f"{str(memory)!r}, which {why.removeprefix(in_quotes(folder)).strip()}",
                remedy="give the path of a folder",
            )
        memory = joblib.Memory(location=folder, verbose=0)
    elif memory is None:
        memory = joblib.Memory(location=None, verbose=0)
    if not isinstance(memory, joblib.Memory):
        raise ArgumentTypeError(
            "memory",
            f"a {type(memory).__name__}",
            "of type str, os.PathLike, joblib.Memory or None",
        )
    folder_of = getattr(memory.store_backend, "location", None)
    if memory.location is not None and not isinstance(folder_of, str | os.PathLike):
        raise ArgumentError.about(
            "memory",
            f"memory keeps its values by {type(memory.store_backend).__name__}, and rows are kept "
            "in a folder",
            "give its path",
        )
    if memory.location is None and memory_level > 1:
        warn_caller(
            f"memory_level={memory_level} has no effect without memory: caching has been enabled, "
            "but no Memory object or path has been provided"
        )
    if memory.location is not None and memory_level < 1:
        warn_caller(
            "memory_level is currently set to 0 but a Memory object has been provided: it is taken "
            "as 1; leave memory out to cache nothing"
        )
    return memory


class RowFolder:
    """Rows of a cache, each identified by what it was made from: `read` and `write`.

    Parameters
    ----------
    memory : joblib.Memory
        The rows are kept in its folder; nothing else in the folder is read.
    """

    def __init__(self, memory: joblib.Memory) -> None:
        self._folder = Path(memory.store_backend.location) / _FOLDER
        self._warnings_left = [True]  # to pop it is atomic, and a list can be sent to a worker

    def read(self, identity: tuple[Hashable, ...], out: NDArray[Any]) -> tuple[bool, Zeros | None]:
        """Read a row from the cache into `out`; return whether it was there and undamaged."""
        path, key = self._place(identity, out)
        return read_row(path, key, out)

    def write(
        self, identity: tuple[Hashable, ...], row: NDArray[Any], zeros: Zeros | None = None
    ) -> None:
        """Store a row; the first failure to store one is a warning, not an error."""
        path, key = self._place(identity, row)
        try:
            write_row(path, key, row, zeros)
        except (OSError, ValueError) as error:  # no space, or something that is not a file
            try:
                self._warnings_left.pop()
            except IndexError:
                return
            # stacklevel 1, because a thread cannot find the caller's line.
            warnings.warn(
                f"memory: a row cannot be kept ({error}), nor may others; such images are read "
                "each time",
                UserWarning,
                stacklevel=1,
            )

    def _place(self, identity: tuple[Hashable, ...], row: NDArray[Any]) -> tuple[Path, str]:
        key = str(joblib.hash((*identity, row.dtype.str)))
        return self._folder / key[:2] / f"{key}.row", key


class CachedSpace:
    """A space whose rows are read from the images once, and then from a cache.

    A row is identified by its file's name, size and time of change (or the values of an image in
    memory), and by the space's mask, grid and smoothing. A row that is missing or damaged in the
    cache is read from the image.

    Parameters
    ----------
    space : Space
        Reads the rows that the cache does not have.
    rows : RowFolder
        Where the rows are kept. One row is 4 or 8 bytes a voxel, and a bit more if the images are
        prepared.
    """

    def __init__(self, space: Space, rows: RowFolder) -> None:
        self._space = space
        self._identity = space.identity()
        self._rows = rows

    @property
    def n_values(self) -> int:
        """Length of a row."""
        return self._space.n_values

    def reader_of(self, role: str) -> CachedSpace:
        """Return what reads a row of a role beside an image; from the cache too."""
        return CachedSpace(self._space.reader_of(role), self._rows)

    def name_of(self, source: Source, inside: NDArray[np.bool_]) -> str:
        """Return the name of an input as the space does."""
        return self._space.name_of(source, inside)

    def read_row(
        self, source: Source, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Fill a row as the space does; from the cache if the row is there."""
        fingerprint = source.fingerprint()
        if fingerprint is None:
            return self._space.read_row(source, out)
        identity = (fingerprint, self._identity)
        is_read, zeros = self._rows.read(identity, out)
        if not is_read:
            zeros = self._space.read_row(source, out)
            self._rows.write(identity, out, zeros)
        return zeros
