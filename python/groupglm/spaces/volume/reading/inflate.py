# SPDX-License-Identifier: BSD-3-Clause
"""Inflate gzip and bzip2 files quickly, but no further than the image inside needs.

A file is untrusted: the length in its trailer, the dimensions in its header and its checksum are
all checked. Memory is bounded by what the image's header declares, which `MAX_RATIO` bounds.
"""

from __future__ import annotations

import bz2
import os
import threading
import zlib
from pathlib import Path
from typing import BinaryIO, Self

import deflate

from groupglm.errors import ImageError
from groupglm.spaces.volume.reading.layout import SURPLUS, Compression, Layout

__all__ = [
    "MAGIC",
    "MAX_RATIO",
    "CompressedSeries",
    "CompressedStream",
    "holds_at_least",
    "inflate_file",
]

MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}
"""The first bytes of each member of a compressed file."""

MAX_RATIO = 1032
"""The largest expansion of a deflate stream: its longest match, 258 bytes, costs two bits.

A bzip2 stream may expand a thousand times as much.
"""

_CHUNK = 1 << 16
_DAMAGED = "copy the file again from its source, or make it again"


class _Bzip2Inflater:
    """The standard library's bzip2 decompressor, with the interface of zlib's."""

    unconsumed_tail = b""  # it keeps its unused input itself

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
    # 31 means a gzip wrapper, which zlib itself verifies. bzip2 verifies every block.
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
        """Return the next `n_bytes` bytes; the message says `holds`, the bytes of the image."""
        out = self.read(n_bytes)
        if len(out) < n_bytes:
            raise ImageError(
                f"{self._name}: the data end {n_bytes - len(out)} bytes before the {holds} bytes "
                f"that the header declares; {_DAMAGED}"
            )
        return out

    def finish(self, layout: Layout) -> None:
        """Verify the data after the image; they may be no longer than the image's surplus."""
        # It reads beyond the surplus: bytes that seem to follow may be damage, which shows only
        # later.
        following = self.skip(max(layout.surplus + 1, SURPLUS))
        if following > layout.surplus:
            raise ImageError(
                f"{self._name}: the inflated file has at least {layout.n_bytes + following} bytes, "
                f"but its header declares only {layout.declared}, so the header does not describe "
                "the file; correct the header, or make the file again"
            )

    def skip(self, n_bytes: int) -> int:
        """Inflate so many bytes and drop them, piece by piece; return how many there were."""
        skipped = 0
        while skipped < n_bytes:
            piece = self._next_piece(min(n_bytes - skipped, 1 << 20))
            if not piece:
                break
            skipped += len(piece)
        return skipped

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
    """Return whether a file holds so many bytes, by inflating it in pieces that are dropped."""
    with Path(path).open("rb") as file:
        return CompressedStream(file, name, compression).skip(n_bytes) == n_bytes


def inflate_file(layout: Layout, compression: Compression) -> bytearray:
    """Inflate the image inside a compressed file."""
    n_bytes = layout.n_bytes
    with open(layout.path, "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
        # A file larger than its image is read in pieces, and so is never in memory as a whole.
        if compression == "gzip" and os.fstat(file.fileno()).st_size <= n_bytes + SURPLUS:
            whole = _inflate_at_once(file.read(), n_bytes, n_bytes + layout.surplus)
            if whole is not None:
                return whole
            file.seek(0)
        stream = CompressedStream(file, layout.name, compression)
        out = stream.read_exactly(n_bytes, n_bytes)
        stream.finish(layout)
    return out


def _inflate_at_once(data: bytes, least: int, most: int) -> bytearray | None:
    """Inflate a whole gzip file in one call; None if it must be read as a stream, or is damaged."""
    # One call is several times faster than a stream, but must know the size beforehand. The trailer
    # tells it, unless there are several members, padding or damage.
    size = int.from_bytes(data[-4:], "little")
    if data[:2] != MAGIC["gzip"] or not least <= size <= most:
        return None
    try:
        whole: bytearray = deflate.gzip_decompress(data, size)
    except (deflate.DeflateError, ValueError):
        return None
    return whole if len(whole) >= least else None


class CompressedSeries:
    """Volumes of one compressed file, inflated one after the other with bounded memory.

    Threads may ask for volumes in any order; increasing order costs one pass over the file.
    Threads that take turns overtake each other by a few volumes: those passed over are
    kept (at most `max_kept`), the rest is inflated again from the start when asked for.

    Parameters
    ----------
    layout : Layout
        Where the file keeps its values.
    compression : {"gzip", "bzip2"}
        How it is compressed.
    max_kept : int, default=16
        How many volumes passed over are kept.
    """

    def __init__(self, layout: Layout, compression: Compression, max_kept: int = 16) -> None:
        self._layout = layout
        self._compression: Compression = compression
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._kept: dict[int, bytearray] = {}
        self._file: BinaryIO | None = None
        self._stream: CompressedStream | None = None
        self._position = 0

    def __reduce__(self) -> tuple[type[Self], tuple[Layout, Compression, int]]:
        # A copy in another process makes its own pass: locks and open files cannot be sent.
        return type(self), (self._layout, self._compression, self._max_kept)

    def __del__(self) -> None:
        self._close()

    def volume(self, index: int) -> bytearray:
        """Return the bytes of one volume; the last volume's reading verifies the checksum."""
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
            self._kept.pop(min(self._kept))  # the one that was passed over first

    def _stream_before(self, index: int) -> CompressedStream:
        """Return the stream; if it is already past the volume, start it again."""
        if self._stream is None or index < self._position:
            self._close()
            self._file = Path(self._layout.path).open("rb")  # noqa: SIM115 (closed by _close)
            self._stream = CompressedStream(self._file, self._layout.name, self._compression)
            self._stream.read_exactly(self._layout.offset, self._layout.n_bytes)
        return self._stream

    def _next(self, stream: CompressedStream) -> bytearray:
        data = stream.read_exactly(self._layout.volume_bytes, self._layout.n_bytes)
        self._position += 1
        if self._position == self._layout.n_volumes:
            stream.finish(self._layout)
            self._close()
        return data

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._stream = None
        self._position = 0
