# SPDX-License-Identifier: BSD-3-Clause
"""Inflate gzip and bzip2 files quickly, but never further than the image inside needs.

A file is untrusted: its trailer's length, its header's dimensions and its checksum are all checked,
and memory is bounded by what the image's header declares (itself bounded by `MAX_RATIO`).
"""

from __future__ import annotations

import bz2
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self, TypeAlias

import deflate

from groupglm.errors import ImageError

__all__ = [
    "MAGIC",
    "MAX_RATIO",
    "SURPLUS",
    "CompressedSeries",
    "CompressedStream",
    "Compression",
    "SeriesLayout",
    "holds_at_least",
    "inflate_file",
]

Compression: TypeAlias = Literal["gzip", "bzip2"]

MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}
"""How each member of a compressed file begins."""

MAX_RATIO = 1032
"""No deflate stream expands by more: its longest match, 258 bytes, costs at least two bits.

A bzip2 stream may expand a thousand times as much.
"""

SURPLUS = 1 << 20
"""Bytes that may follow the image inside the stream; they are inflated only to check the sum."""

_CHUNK = 1 << 16
_DAMAGED = "copy the file again from its source, or make it again"


class _Bzip2Inflater:
    """The standard library's bzip2 decompressor, used as that of zlib is."""

    unconsumed_tail = b""  # it keeps by itself what it has not used yet

    def __init__(self) -> None:
        self._inner = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, limit: int) -> bytes:
        return b"" if self._inner.eof else self._inner.decompress(data, limit)


def _inflater(compression: Compression) -> zlib._Decompress | _Bzip2Inflater:
    # 31: a gzip wrapper, verified by zlib itself; bzip2 verifies every block.
    return zlib.decompressobj(31) if compression == "gzip" else _Bzip2Inflater()


class CompressedStream:
    """Inflate a compressed file forward, checking the sum of every member.

    Members may follow each other, and zeros may pad the end; anything else after a member is an
    error.

    Parameters
    ----------
    raw : binary file
        Positioned at the start of the first member. Not closed by this class.
    name : str
        How error messages call the file.
    compression : {"gzip", "bzip2"}
        What the file is.
    """

    def __init__(self, raw: BinaryIO, name: str, compression: Compression) -> None:
        self._raw = raw
        self._name = name
        self._compression: Compression = compression
        self._inflater = _inflater(compression)
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
            except (zlib.error, OSError) as error:  # bzip2's is an OSError
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
        if rest[:1] != MAGIC[self._compression][:1]:
            raise ImageError(
                f"{self._name}: bytes that are not {self._compression} follow the compressed data; "
                f"{_DAMAGED}"
            )
        self._inflater = _inflater(self._compression)
        self._pending = rest


def holds_at_least(path: str, n_bytes: int, name: str, compression: Compression) -> bool:
    """Inflate a file in pieces that are thrown away, and tell whether it holds so many bytes."""
    with Path(path).open("rb") as file:
        stream = CompressedStream(file, name, compression)
        while n_bytes > 0:
            piece = stream.read(min(n_bytes, SURPLUS))
            if not piece:
                return False
            n_bytes -= len(piece)
    return True


def inflate_file(path: str, n_bytes: int, name: str, compression: Compression) -> bytearray:
    """Inflate the image inside a compressed file.

    Parameters
    ----------
    path : str
        The file.
    n_bytes : int
        Bytes that the image needs, its header included.
    name : str
        How error messages call the file.
    compression : {"gzip", "bzip2"}
        What the file is.

    Returns
    -------
    bytearray
        At least `n_bytes` bytes and at most `SURPLUS` more, their checksum verified.

    Raises
    ------
    ImageError
        If the stream is truncated or damaged, or holds less than `n_bytes` or far more.
    """
    with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
        # A file that is larger than its image is read in pieces, and so is never in memory.
        if compression == "gzip" and os.fstat(file.fileno()).st_size <= n_bytes + SURPLUS:
            whole = _inflate_at_once(file.read(), n_bytes)
            if whole is not None:
                return whole
            file.seek(0)
        stream = CompressedStream(file, name, compression)
        out = stream.read_exactly(n_bytes, n_bytes)
        stream.finish()
    return out


def _inflate_at_once(data: bytes, n_bytes: int) -> bytearray | None:
    """Inflate a whole gzip file in one call; None when only a stream can do it, or say why not."""
    # One call is several times faster than a stream, but it must know the size beforehand. The
    # trailer tells it, except for several members, padding or damage.
    size = int.from_bytes(data[-4:], "little")
    if data[:2] != MAGIC["gzip"] or not n_bytes <= size <= n_bytes + SURPLUS:
        return None
    try:
        whole: bytearray = deflate.gzip_decompress(data, size)
    except (deflate.DeflateError, ValueError):
        return None
    return whole if len(whole) >= n_bytes else None


@dataclass(frozen=True)
class SeriesLayout:
    """Where a compressed file keeps its volumes.

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
    compression : {"gzip", "bzip2"}
        What the file is.
    """

    path: str
    offset: int
    volume_bytes: int
    n_volumes: int
    name: str
    compression: Compression

    @property
    def n_bytes(self) -> int:
        """Bytes that all volumes need, with what is before them."""
        return self.offset + self.volume_bytes * self.n_volumes


class CompressedSeries:
    """Volumes of one compressed file, inflated one after the other with bounded memory.

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
        self._stream: CompressedStream | None = None
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

    def _stream_before(self, index: int) -> CompressedStream:
        """Return the stream, started again if it is already past a volume."""
        if self._stream is None or index < self._position:
            self._close()
            self._file = Path(self._layout.path).open("rb")  # noqa: SIM115 (closed by _close)
            self._stream = CompressedStream(self._file, self._layout.name, self._layout.compression)
            self._stream.read_exactly(self._layout.offset, self._layout.n_bytes)
        return self._stream

    def _next(self, stream: CompressedStream) -> bytearray:
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
