# SPDX-License-Identifier: BSD-3-Clause
"""Masked rows kept on disk between sessions: `CachedSpace`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from groupglm.arguments import whole_number
from groupglm.errors import warn_caller
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from groupglm.images import VolumeSource
    from groupglm.spaces.volume import VolumeSpace

__all__ = ["CachedSpace", "check_memory"]


def check_memory(memory: Any, memory_level: Any) -> joblib.Memory:
    """Return the cache that the user asked for.

    Parameters
    ----------
    memory : joblib.Memory, str, os.PathLike or None
        The cache, or the folder to keep it in, whose parent exists.
    memory_level : int
        0 asks for no cache.

    Returns
    -------
    joblib.Memory
        Without a location when nothing is to be kept.

    Raises
    ------
    TypeError
        If `memory` or `memory_level` is of another type.
    ValueError
        If the folder's parent does not exist.
    """
    whole_number("memory_level", memory_level, least=0)
    if isinstance(memory, str | os.PathLike):
        folder = Path(memory).expanduser()
        if not folder.absolute().parent.is_dir():
            raise ValueError(
                f"memory is {str(memory)!r}: given cache path parent directory doesn't exist, you "
                f"gave {str(folder.parent)!r}; make it first"
            )
        memory = joblib.Memory(location=folder, verbose=0)
    elif memory is None:
        memory = joblib.Memory(location=None, verbose=0)
    if not isinstance(memory, joblib.Memory):
        raise TypeError(
            f"memory is a {type(memory).__name__}; it must be a path, a joblib.Memory, or None"
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


class CachedSpace:
    """A space whose rows are read from the images once, and then from a cache.

    A row is known again by its file's name, size and time of change (or the values of an image in
    memory), and by the space's mask, grid and smoothing.

    Parameters
    ----------
    space : VolumeSpace
        Reads what the cache does not have.
    memory : joblib.Memory
        The cache. One row is 4 or 8 bytes a voxel, and a bit more if the images are prepared.
    """

    def __init__(self, space: VolumeSpace, memory: joblib.Memory) -> None:
        self._space = space
        self._identity = space.identity()
        self._masked_row = memory.cache(masked_row, ignore=["space", "source"])

    @property
    def n_values(self) -> int:
        """Length of a row."""
        return self._space.n_values

    def read_row(
        self, source: VolumeSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Fill a row as the space does, from the cache if it is there."""
        fingerprint = source.fingerprint()
        if fingerprint is None:
            return self._space.read_row(source, out)
        row, bits, all_whole = self._masked_row(
            fingerprint, self._identity, out.dtype.str, self._space, source
        )
        out[...] = row
        if bits is None:
            return None
        return Zeros(np.unpackbits(bits, count=len(row)).view(np.bool_), all_whole)


def masked_row(
    fingerprint: Hashable, identity: str, dtype: str, space: VolumeSpace, source: VolumeSource
) -> tuple[NDArray[Any], NDArray[np.uint8] | None, bool]:
    """Read one row; the first three arguments say which.

    Parameters
    ----------
    fingerprint : hashable
        Of the source's values.
    identity : str
        Of the space.
    dtype : str
        Of the row.
    space : VolumeSpace
        Reads the row.
    source : VolumeSource
        The image.

    Returns
    -------
    row : array, shape (n_values,)
        The row.
    bits : array of uint8 or None
        Where the image is zero, a bit a place; None if the row shows it.
    all_whole : bool
        Whether all the image's values are whole numbers; of no meaning without `bits`.
    """
    del fingerprint, identity
    row = np.empty(space.n_values, dtype=dtype)
    zeros = space.read_row(source, row)
    if zeros is None:
        return row, None, False
    return row, np.packbits(zeros.places), zeros.all_whole
