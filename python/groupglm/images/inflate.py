# SPDX-License-Identifier: BSD-3-Clause
"""Inflate gzip files quickly, but never further than the image inside needs.

A file is untrusted: its trailer's length, its header's dimensions and its checksum are all checked,
and memory is bounded by what the image's header declares (itself bounded by `MAX_RATIO`).
"""

from __future__ import annotations

import io
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import deflate

from groupglm.errors import ImageError

__all__ = [
    "GZIP_MAGIC",
    "MAX_RATIO",
    "SURPLUS",
    "GzipSeries",
    "GzipStream",
    "SeriesLayout",
    "inflate_file",
]

GZIP_MAGIC = b"\x1f\x8b"

MAX_RATIO = 1032
"""No deflate stream expands by more: its longest match, 258 bytes, costs at least two bits."""

SURPLUS = 1 << 20
"""Bytes that may follow the image inside the stream; they are inflated only to check the sum."""

_CHUNK = 1 << 16
_DAMAGED = "copy the file again from its source, or make it again"


class GzipStream:
    """Inflate a gzip file forward, checking the sum of every member.

    Members may follow each other, and zeros may pad the end; anything else after a member is an
    error.

    Parameters
    ----------
    raw : binary file
        Positioned at the start of the first member. Not closed by this class.
    name : str
        How error messages call the file.
    """

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self._raw = raw
        self._name = name
        self._inflater = zlib.decompressobj(31)  # 31: a gzip wrapper, verified by zlib itself
        self._pending = b""
        self._ended = False

    def read(self, n_bytes: int) -> bytearray:
        """Return the next `n_bytes` bytes, or fewer at the end of the stream."""
        out = bytearray()
        while len(out) < n_bytes:
            piece = self._next_piece(min(n_bytes - len(out), 1 << 20))
            if not piece:
                break
            out += piece
        return out

    def read_exactly(self, n_bytes: int, holds: int) -> bytearray:
        """Return the next `n_bytes` bytes, of the `holds` that the image needs in all."""
        out = self.read(n_bytes)
        if len(out) < n_bytes:
            raise ImageError(
                f"{self._name}: the data end {n_bytes - len(out)} bytes before the {holds} bytes "
                f"that the header declares; {_DAMAGED}"
            )
        return out

    def finish(self) -> None:
        """Check the sum of what is left, which may be at most `SURPLUS` bytes."""
        if len(self.read(SURPLUS + 1)) > SURPLUS:
            raise ImageError(
                f"{self._name}: more than {SURPLUS} bytes follow the image that the header "
                "declares, so the header does not describe the file; correct its dimensions"
            )

    def _next_piece(self, limit: int) -> bytes:
        while not self._ended:
            try:
                piece = self._inflater.decompress(self._pending, limit)
            except zlib.error as error:
                raise ImageError(
                    f"{self._name}: the compressed data are damaged ({error}); {_DAMAGED}"
                ) from error
            self._pending = self._inflater.unconsumed_tail
            if piece:
                return piece
            if self._inflater.eof:
                self._start_next_member()
            elif not self._pending:
                self._pending = self._raw.read(_CHUNK)
                if not self._pending:
                    raise ImageError(
                        f"{self._name}: the file is truncated: its compressed data stop before "
                        f"their end; {_DAMAGED}"
                    )
        return b""

    def _start_next_member(self) -> None:
        rest = self._inflater.unused_data.lstrip(b"\0")
        while not rest:
            chunk = self._raw.read(_CHUNK)
            if not chunk:
                self._ended = True
                return
            rest = chunk.lstrip(b"\0")
        if rest[:1] != GZIP_MAGIC[:1]:
            raise ImageError(
                f"{self._name}: bytes that are not gzip follow the compressed data; {_DAMAGED}"
            )
        self._inflater = zlib.decompressobj(31)
        self._pending = rest


def inflate_file(path: str, n_bytes: int, name: str) -> bytearray:
    """Inflate the image inside a gzip file.

    Parameters
    ----------
    path : str
        The file.
    n_bytes : int
        Bytes that the image needs, its header included.
    name : str
        How error messages call the file.

    Returns
    -------
    bytearray
        At least `n_bytes` bytes and at most `SURPLUS` more, their checksum verified.

    Raises
    ------
    ImageError
        If the stream is truncated or damaged, or holds less than `n_bytes` or far more.
    """
    data = Path(path).read_bytes()
    # One call inflates a whole file several times faster than a stream, but it must know the size
    # beforehand. The trailer tells it, except for several members, padding or damage: those
    # take the stream, which also knows what to say.
    size = int.from_bytes(data[-4:], "little")
    if data[:2] == GZIP_MAGIC and n_bytes <= size <= n_bytes + SURPLUS:
        try:
            whole: bytearray = deflate.gzip_decompress(data, size)
        except (deflate.DeflateError, ValueError):
            pass
        else:
            if len(whole) >= n_bytes:
                return whole
    stream = GzipStream(io.BytesIO(data), name)
    out = stream.read_exactly(n_bytes, n_bytes)
    stream.finish()
    return out


@dataclass(frozen=True)
class SeriesLayout:
    """Where a gzip file keeps its volumes.

    Attributes
    ----------
    path : str
        The file.
    offset : int
        Bytes before the first volume (of the inflated file).
    volume_bytes : int
        Bytes of a volume.
    n_volumes : int
        Number of volumes.
    name : str
        How error messages call the file.
    """

    path: str
    offset: int
    volume_bytes: int
    n_volumes: int
    name: str

    @property
    def n_bytes(self) -> int:
        """Bytes that all volumes need, with what is before them."""
        return self.offset + self.volume_bytes * self.n_volumes


class GzipSeries:
    """Volumes of one gzip file, inflated one after the other with bounded memory.

    Threads may ask for volumes in any order; increasing order costs one pass over the file.
    Threads that take turns overtake each other by a few volumes: those passed over are
    kept (at most `max_kept`), the rest is inflated again from the start when asked for.

    Parameters
    ----------
    layout : SeriesLayout
        Where the file keeps its volumes.
    max_kept : int, default=16
        How many volumes passed over are kept.
    """

    def __init__(self, layout: SeriesLayout, max_kept: int = 16) -> None:
        self._layout = layout
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._kept: dict[int, bytearray] = {}
        self._file: BinaryIO | None = None
        self._stream: GzipStream | None = None
        self._position = 0

    def __reduce__(self) -> tuple[type[Self], tuple[SeriesLayout, int]]:
        # A copy sent to another process starts its own pass: locks and open files do not travel.
        return type(self), (self._layout, self._max_kept)

    def __del__(self) -> None:
        self._close()

    def volume(self, index: int) -> bytearray:
        """Return the bytes of one volume; the checksum is verified along with the last one."""
        with self._lock:
            if index in self._kept:
                return self._kept.pop(index)
            try:
                stream = self._stream_before(index)
                while self._position < index:
                    self._keep(self._position, self._next(stream))
                return self._next(stream)
            except BaseException:
                self._close()
                raise

    def _keep(self, index: int, volume: bytearray) -> None:
        self._kept[index] = volume
        if len(self._kept) > self._max_kept:
            self._kept.pop(min(self._kept))  # the one that has been passed over the longest

    def _stream_before(self, index: int) -> GzipStream:
        """Return the stream, started again if it is already past a volume."""
        if self._stream is None or index < self._position:
            self._close()
            self._file = Path(self._layout.path).open("rb")  # noqa: SIM115 (closed by _close)
            self._stream = GzipStream(self._file, self._layout.name)
            self._stream.read_exactly(self._layout.offset, self._layout.n_bytes)
        return self._stream

    def _next(self, stream: GzipStream) -> bytearray:
        data = stream.read_exactly(self._layout.volume_bytes, self._layout.n_bytes)
        self._position += 1
        if self._position == self._layout.n_volumes:
            stream.finish()
            self._close()
        return data

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._stream = None
        self._position = 0
