# SPDX-License-Identifier: BSD-3-Clause
"""Small image files of every kind, and what must hold when any bytes are read as one.

A *case* is bytes: the first says which kind of file the rest is written as, so that a fuzzer that
knows nothing but bytes can turn one kind into another. Where the kind is compressed by us, the rest
is what is compressed: damage then reaches the header inside an intact stream.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from groupglm.errors import ImageError
from groupglm.spaces.cifti.opening import GRAYORDINATES, PARCELS, open_inputs
from groupglm.spaces.volume import open_images
from reference import cifti_files

nib: Any = nibabel  # typed only in part

AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0.2, 0, 3, -72], [0, 0, 0, 1]])
CIFTI = {"a.dscalar.nii": GRAYORDINATES, "a.pscalar.nii": PARCELS}
MOST_VOLUMES_READ = 4
"""Of a series: the first ones, and the last."""


@dataclass(frozen=True)
class Kind:
    """How the bytes of a case become a file.

    Attributes
    ----------
    name : str
        Of the file that is opened.
    pack : callable, optional
        Compresses what is written.
    header : str, optional
        Of a pair: the file that takes the first 400 bytes.
    """

    name: str
    pack: Callable[[bytes], bytes] | None = None
    header: str | None = None

    def write(self, body: bytes, folder: Path) -> Path:
        """Write the file, or both of a pair; return what is to be opened."""
        pack = self.pack or bytes
        if self.header is not None:
            (folder / self.header).write_bytes(pack(body[:_PAIR_HEADER]))
            body = body[_PAIR_HEADER:]
        path = folder / self.name
        path.write_bytes(pack(body))
        return path


_PAIR_HEADER = 540  # NIfTI-2's; the shorter headers are padded


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def _members(data: bytes) -> bytes:
    cut = len(data) // 2
    return _gzip(data[:cut]) + _gzip(data[cut:])


KINDS = (
    Kind("a.nii"),
    Kind("a.nii.gz"),  # the stream itself may be damaged
    Kind("a.nii.gz", _gzip),
    Kind("a.nii.gz", _members),
    Kind("a.nii.bz2"),
    Kind("a.nii.bz2", bz2.compress),
    Kind("a.img", None, "a.hdr"),
    Kind("a.img.gz", _gzip, "a.hdr.gz"),
    Kind("a.mgh"),
    Kind("a.mgz", _gzip),
    Kind("a.mgz"),
    Kind("a.dscalar.nii"),
    Kind("a.pscalar.nii"),
)


def write(case: bytes, folder: Path) -> Path:
    """Write a case as a file of the kind that its first byte says."""
    return KINDS[case[0] % len(KINDS)].write(case[1:], folder)


def cases() -> Iterator[bytes]:
    """Make a sound case of every kind, of many types, with extensions, scaled, 3-D and 4-D."""
    bodies = list(_bodies())
    for number, kind in enumerate(KINDS):
        for family, body in bodies:
            if family != _family(kind):
                continue
            # Where the case is not compressed when it is written, it must be beforehand.
            if kind.pack is None and kind.name.endswith((".gz", ".mgz")):
                body = _gzip(body)  # noqa: PLW2901
            elif kind.pack is None and kind.name.endswith(".bz2"):
                body = bz2.compress(body)  # noqa: PLW2901
            yield bytes([number]) + body


def _family(kind: Kind) -> str:
    if kind.header is not None:
        return "pair"
    if kind.name in CIFTI:
        return CIFTI[kind.name].kind
    return "mgh" if kind.name.endswith((".mgh", ".mgz")) else "single"


def _bodies() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    shapes = [(3, 4, 5), (2, 3, 2, 3)]
    for dtype, shape in itertools.product(["u1", "<i2", ">i2", "<f4", ">f8", "<i8"], shapes):
        data = (rng.normal(size=shape) * 20).astype(np.dtype(dtype))
        for single, pair in [
            (nib.Nifti1Image, nib.Nifti1Pair),
            (nib.Nifti2Image, nib.Nifti2Pair),
        ]:
            order = dtype[0] if dtype[0] in "<>" else "<"
            image = single(data, AFFINE, single.header_class(endianness=order), dtype=data.dtype)
            if dtype == "<i2":
                image.header.set_slope_inter(0.5, -3.0)
            elif dtype == "<f4":
                image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"seen"))
            yield "single", image.to_bytes()
            yield "pair", _pair(pair(data, AFFINE, pair.header_class(endianness=order)))
    data = rng.normal(size=shapes[0]).astype("f4")
    yield "pair", _pair(nib.Spm99AnalyzeImage(data, AFFINE))
    yield "pair", _pair(nib.AnalyzeImage(data, AFFINE))
    for shape, dtype in itertools.product(shapes, ["u1", "i2", "f4"]):
        data = (np.abs(rng.normal(size=shape)) * 20).astype(dtype)
        yield "mgh", nib.MGHImage(data, AFFINE).to_bytes()

    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for dtype, byte_order in itertools.product(("u1", "i2", "f4", "f8"), orders):
        slope, inter = (0.5, -3.0) if dtype == "i2" else (1.0, 0.0)
        for text, n_maps, n_places in (
            (cifti_files.xml(), 1, cifti_files.N_PLACES),
            (cifti_files.xml(cifti_files.scalars(3)), 3, cifti_files.N_PLACES),
            (cifti_files.parcel_xml(), 1, len(cifti_files.PARCELS_OF_FILE)),
        ):
            values = np.abs(rng.normal(size=(n_maps, n_places)) * 20)
            family = "PARCELS" if b"PARCELS" in text else "BRAIN_MODELS"
            yield (
                family,
                cifti_files.cifti(
                    text, values, dtype=dtype, order=byte_order, slope=slope, inter=inter
                ),
            )
    series = cifti_files.xml(cifti_files.series(2))
    yield "BRAIN_MODELS", cifti_files.cifti(series, np.ones((2, cifti_files.N_PLACES)))


def _pair(image: Any) -> bytes:
    data = np.asarray(image.dataobj)
    header: bytes = image.header.binaryblock
    stored = image.header.get_data_dtype()
    return header.ljust(_PAIR_HEADER, b"\0") + data.astype(stored).tobytes(order="F")


def check(case: bytes, folder: Path) -> str:
    """Read a case as an image file; whatever it is, nothing may go wrong but in one way.

    Parameters
    ----------
    case : bytes
        Any bytes, at least one.
    folder : pathlib.Path
        An empty folder, which is left with the files in it.

    Returns
    -------
    str
        "refused" if the file was refused, "equal" if the values are nibabel's, "ours" if nibabel
        does not read what we did.

    Raises
    ------
    AssertionError
        If the values are not nibabel's, or a refusal is not as it should be.
    Exception
        Anything but the package's own error is a fault of the package.
    """
    path = write(case, folder)
    try:
        rows = _read(path)
    except ImageError as error:
        _check_refusal(error, folder)
        return "refused"
    try:
        expected = _by_nibabel(path)
    except Exception:  # whatever a damaged file makes it raise
        return "ours"
    assert len(rows) == min(len(expected), MOST_VOLUMES_READ)
    for row, values in zip(rows, [*expected[: MOST_VOLUMES_READ - 1], expected[-1]], strict=False):
        np.testing.assert_array_equal(row, values)
    return "equal"


def _check_refusal(error: ImageError, folder: Path) -> None:
    """Check that the message begins with the file, and that the cause is the file, not our code."""
    assert str(error).startswith(f"{folder}/a."), error
    faults = (MemoryError, RecursionError, SystemError, AssertionError)
    assert not isinstance(error.__cause__, faults), repr(error.__cause__)


def _read(path: Path) -> list[NDArray[np.float64]]:
    family = CIFTI.get(path.name)
    if family is not None:
        maps = open_inputs(path, argument="imgs", same_placement=True, at_least=1, family=family)[
            :MOST_VOLUMES_READ
        ]
        with np.errstate(all="ignore"):
            return [source.read().astype(np.float64) for source in maps]
    sources = open_images(path, at_least=1)
    if len(sources) > MOST_VOLUMES_READ:
        sources = [*sources[: MOST_VOLUMES_READ - 1], sources[-1]]
    rows = []
    with np.errstate(all="ignore"):
        for source in sources:
            row = np.full(source.grid.n_voxels, -12345.0)
            source.read_into(row)
            rows.append(row)
    return rows


def _by_nibabel(path: Path) -> list[NDArray[np.float64]]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        image = nib.load(path)
        values = np.asanyarray(image.dataobj).astype(np.float64)
    if path.name in CIFTI:
        assert isinstance(image, nib.Cifti2Image)
        return list(values[:MOST_VOLUMES_READ])
    n_voxels = int(np.prod(values.shape[:3]))
    return list(values.reshape((n_voxels, -1), order="F").T)
