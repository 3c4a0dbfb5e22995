# SPDX-License-Identifier: BSD-3-Clause
"""Small files of values at vertices, and what must hold when any bytes are read as one.

A *case* is bytes, as those of `fuzz.image_files`: the first says how the rest is written.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from groupglm.errors import ImageError
from groupglm.spaces.surface.reading.opening import open_several
from reference.surface_files import gifti, gifti_text

nib: Any = nibabel  # typed only in part

_N = 12
_NAMES = (
    "lh.a.gii",
    "lh.a.mgh",
    "lh.a.mgz",
    "lh.a.mgz",  # what is compressed is the rest of the case
    "lh.a",
    "lh.inflated.gii",  # the values of a GIFTI file, before they are compressed
)
_VALUES = b"@VALUES@"


def write(case: bytes, folder: Path) -> Path:
    """Write a case as a file of the kind that its first byte says."""
    number = case[0] % len(_NAMES)
    body, name = case[1:], _NAMES[number]
    if number == 3:
        body = gzip.compress(body, 1, mtime=0)
    elif number == 5:
        body = (
            gifti_text(np.zeros(_N), data="@VALUES@")
            .encode()
            .replace(_VALUES, base64.b64encode(zlib.compress(body)))
        )
    (folder / "a.dat").write_bytes(np.arange(_N, dtype="<f4").tobytes())
    path = folder / name
    path.write_bytes(body)
    return path


def cases() -> Iterator[bytes]:
    """Make a sound case of every kind, of many types and encodings."""
    values = np.random.default_rng(0).standard_normal(_N).astype("f4")
    for encoding, endian in itertools.product(
        ("ASCII", "Base64Binary", "GZipBase64Binary", "ExternalFileBinary"),
        ("LittleEndian", "BigEndian"),
    ):
        is_external = encoding.startswith("External")
        if is_external and endian == "BigEndian":
            continue
        external = "a.dat" if is_external else ""
        text = gifti_text(values, encoding=encoding, endian=endian, external=external)
        yield bytes([0]) + text.encode()
    for several in (np.stack([values, values]), values.astype("i4"), values.astype("u1")):
        yield bytes([0]) + gifti(several, "CortexLeft").to_bytes()
    for dtype, shape in itertools.product(("u1", "i2", "i4", "f4"), ((_N, 1, 1), (_N, 1, 1, 2))):
        data = np.abs(np.resize(values * 20, shape)).astype(dtype)
        body = nib.MGHImage(data, np.eye(4)).to_bytes()
        yield bytes([1]) + body
        yield bytes([2]) + gzip.compress(body, 1, mtime=0)
        yield bytes([3]) + body
    counts = np.array([_N, 20, 1], ">i4").tobytes()
    yield bytes([4]) + b"\xff\xff\xff" + counts + values.astype(">f4").tobytes()
    yield bytes([5]) + values.astype("<f4").tobytes()


def check(case: bytes, folder: Path) -> str:
    """Read a case as a file of a surface; whatever it is, nothing may go wrong but in one way.

    Returns and raises as `fuzz.image_files.check`.
    """
    path = write(case, folder)
    try:
        rows = _read(path)
    except ImageError as error:
        check_refusal(error, folder)
        return "refused"
    try:
        expected = _by_nibabel(path)
    except Exception:  # whatever a damaged file makes it raise
        return "ours"
    assert len(rows) == len(expected)
    for row, values in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, values)
    return "equal"


def check_refusal(error: ImageError, folder: Path) -> None:
    """Check that the message begins with the file, and that the cause is the file, not our code."""
    assert str(error).startswith(f"{folder}/"), error
    faults = (MemoryError, RecursionError, SystemError, AssertionError)
    assert not isinstance(error.__cause__, faults), repr(error.__cause__)


def _read(path: Path) -> list[NDArray[Any]]:
    with np.errstate(all="ignore"):
        return [source.members["left"].read() for source in open_several(path, "image")[:4]]


def _by_nibabel(path: Path) -> list[NDArray[Any]]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if path.name.endswith(".gii"):
            return [array.data.reshape(-1) for array in nib.load(path).darrays[:4]]
        if path.name.endswith((".mgh", ".mgz")):
            values = np.asanyarray(nib.load(path).dataobj)
            return list(values.reshape(len(values), -1).T[:4])
        return [nib.freesurfer.read_morph_data(path)]
