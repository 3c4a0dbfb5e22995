# SPDX-License-Identifier: BSD-3-Clause
"""A scratch file without a name, for data that do not fit into memory: `ScratchFile`."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ScratchFile"]

# A file system without this call: a full disk is then found when a record is written.
_CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP)


class ScratchFile:
    """Records of one size in a file of the temporary folder, which is unlinked at once.

    The file is made when the first record is written.

    The file has no name, so nothing is left of it when the process ends, also when it is killed.
    Several threads may read and write at the same time.

    Parameters
    ----------
    n_records : int
        Number of records.
    record_bytes : int
        Bytes of each record.

    Raises
    ------
    OSError
        When it is first written to, if the temporary folder has no room for all records.
    """

    def __init__(self, n_records: int, record_bytes: int) -> None:
        self._record_bytes = record_bytes
        self._n_bytes = n_records * record_bytes
        self._lock = threading.Lock()
        self._file: Any = None

    def write(self, record: int, values: NDArray[Any], offset: int = 0) -> None:
        """Write values into a record, `offset` bytes after its beginning."""
        view = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        try:
            with self._lock:
                if self._file is None:
                    self._open()
                self._file.seek(record * self._record_bytes + offset)
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise self._refusal(error) from error

    def _open(self) -> None:
        """Make the file, when it is first needed."""
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as this)
        weakref.finalize(self, self._file.close)
        self._reserve()

    def _reserve(self) -> None:
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            # So that a full disk is found now, not after half of the images have been read.
            os.posix_fallocate(self._file.fileno(), 0, self._n_bytes)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise

    def read(self, record: int, out: NDArray[Any], offset: int = 0) -> None:
        """Fill a contiguous array from a record, `offset` bytes after its beginning."""
        view = out.reshape(-1).view(np.uint8).data
        with self._lock:
            self._file.seek(record * self._record_bytes + offset)
            while view:
                n_read = self._file.readinto(view)
                if not n_read:
                    raise EOFError("the scratch file ends before the record that is read")
                view = view[n_read:]

    def mapped(self) -> NDArray[np.uint8]:
        """Return all records as memory; the system reads the pages that are used from the file."""
        mapped = np.memmap(self._file, dtype=np.uint8, mode="r", shape=(self._n_bytes,))
        return np.asarray(mapped)

    def resize(self, n_records: int, record_bytes: int) -> None:
        """Change the number and the size of the records; the bytes of the file stay as they are."""
        self._record_bytes, self._n_bytes = record_bytes, n_records * record_bytes
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.truncate(self._n_bytes)
                self._reserve()
            except OSError as error:
                raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> OSError:
        return OSError(
            error.errno,
            f"a scratch file of {self._n_bytes / 1e6:.0f} MB cannot be written to the temporary "
            f"folder ({error.strerror}): set TMPDIR to a folder with room, or give a larger "
            "memory_budget",
            tempfile.gettempdir(),
        )
