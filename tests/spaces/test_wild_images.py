# SPDX-License-Identifier: BSD-3-Clause
"""Image files as they are found in the wild, sound or damaged: nibabel's values, or a refusal."""

from __future__ import annotations

import bz2
import gzip
import itertools
import os
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fuzz import image_files
from groupglm.errors import ImageError
from groupglm.spaces.volume import open_image, open_images
from groupglm.spaces.volume.intent import descrip_of
from reference.plain_file import EXPECTED, PLAIN, SHAPE, read

nib: Any = nibabel  # typed only in part


def by_nibabel(path: Path) -> Any:
    return np.asanyarray(nib.load(path).dataobj).ravel(order="F")


# nibabel's own: files it does not close, and arithmetic on damaged headers.
@pytest.mark.filterwarnings("ignore:unclosed file .*a.mg:ResourceWarning")
def test_sound_files_of_every_kind_read_like_nibabel(tmp_path: Path) -> None:
    outcomes = {image_files.check(case, tmp_path) for case in image_files.cases()}
    assert outcomes == {"equal"}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::RuntimeWarning")
def test_any_damage_gives_nibabels_values_or_a_refusal(tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311
    outcomes = set()
    for case in image_files.cases():
        for _ in range(5):
            damaged = bytearray(case)
            for _ in range(rng.choice([1, 2, 8])):
                damaged[rng.randrange(1, len(case))] = rng.choice([0, 1, 127, 255])
            outcomes.add(image_files.check(bytes(damaged[: rng.choice([None, 400, -7])]), tmp_path))
    assert outcomes >= {"equal", "refused"}


def member(data: bytes, flags: int, extra: bytes) -> bytes:
    """One gzip member with header fields of its own; FHCRC is counted over all before it."""
    deflater = zlib.compressobj(wbits=-15)
    body = deflater.compress(data) + deflater.flush()
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + extra
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


FIELDS = [(4, struct.pack("<H", 6) + b"extra!"), (8, b"a.nii\0"), (16, b"comment\0"), (2, b"")]


@pytest.mark.parametrize("n_fields", [1, 2, 3, 4])
@pytest.mark.parametrize("n_members", [1, 3])
def test_gzip_with_header_fields(tmp_path: Path, n_fields: int, n_members: int) -> None:
    path = tmp_path / "a.nii.gz"
    edges = np.linspace(0, len(PLAIN), n_members + 1).astype(int)
    for fields in itertools.combinations(FIELDS, n_fields):
        flags = sum(flag for flag, _ in fields)
        extra = b"".join(content for _, content in fields)
        path.write_bytes(
            b"".join(member(PLAIN[a:b], flags, extra) for a, b in itertools.pairwise(edges))
        )
        np.testing.assert_array_equal(read(path), by_nibabel(path))
        np.testing.assert_array_equal(read(path), EXPECTED)


def test_several_bzip2_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.bz2"
    path.write_bytes(bz2.compress(PLAIN[:400]) + bz2.compress(PLAIN[400:]))
    np.testing.assert_array_equal(read(path), by_nibabel(path))
    np.testing.assert_array_equal(read(path), EXPECTED)


def test_a_flipped_bit_of_bzip2_is_damage(tmp_path: Path) -> None:
    """It changes a whole block, the header with it: that must not be taken for the fault."""
    path = tmp_path / "a.nii.bz2"
    packed = bz2.compress(PLAIN)
    for place in range(0, len(packed), 53):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 4]) + packed[place + 1 :])
        with pytest.raises(ImageError, match="the compressed data are damaged") as caught:
            read(path)
        assert str(caught.value).startswith(str(path))


def test_an_uncompressed_series_is_read_a_volume_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    n_volumes, shape = 50, (40, 40, 40)
    data = np.random.default_rng(1).normal(size=(*shape, n_volumes)).astype("f4")
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    out = np.empty(data[..., 0].size, "f4")
    tracemalloc.start()
    for volume, source in enumerate(open_images(path)):
        source.read_into(out)
        np.testing.assert_array_equal(out, data[..., volume].ravel(order="F"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The volume, what the comparison makes of it, and 50 sources; all the volumes are 13 MB.
    assert peak < 8 * out.nbytes < data.nbytes / 6


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    os.mkfifo(path)
    with pytest.raises(ImageError, match=r"a\.nii: is a pipe"):
        open_image(path)


def test_more_volumes_than_could_be_are_refused(tmp_path: Path) -> None:
    header = nib.Nifti2Image(np.zeros((1, 1, 1, 1), "u1"), np.eye(4)).header
    header["dim"] = [4, 1, 1, 1, 10_000_000, 1, 1, 1]
    header["vox_offset"] = 544
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock.ljust(544, b"\0") + bytes(10_000_000), 1))
    with pytest.raises(ImageError, match="declares 10000000 volumes in a file of"):
        open_images(path)


def test_a_bzip2_header_that_declares_the_impossible(tmp_path: Path) -> None:
    header = nib.Nifti1Header(PLAIN[:348])
    header["dim"] = [3, 32767, 32767, 1000, 1, 1, 1, 1]
    path = tmp_path / "a.nii.bz2"
    path.write_bytes(bz2.compress(header.binaryblock + PLAIN[348:]))
    with pytest.raises(ImageError, match="the header declares volumes of"):
        open_image(path)
    empty = nib.Nifti1Image(np.zeros((128, 128, 128), "f4"), np.eye(4)).to_bytes()
    path.write_bytes(bz2.compress(empty))
    assert len(empty) > 1032 * path.stat().st_size
    assert not read(path).any()


BOMB_JOB = """
import resource, sys
import numpy as np
from groupglm.errors import ImageError
from groupglm.spaces.volume import open_image
open_image(sys.argv[2]).read_into(np.empty(1716, "f4"))  # all modules are loaded
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 16 * 2**20,) * 2)
try:
    open_image(sys.argv[1]).read_into(np.empty(1716, "f4"))
except ImageError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", ["one member", "members", "bz2", "large file"])
def test_a_bomb_costs_no_more_than_its_image(tmp_path: Path, kind: str) -> None:
    zeros = bytes(256 << 20)
    path = tmp_path / ("a.nii.bz2" if kind == "bz2" else "a.nii.gz")
    path.write_bytes(
        {
            "one member": lambda: gzip.compress(PLAIN + zeros, 1),
            "members": lambda: gzip.compress(PLAIN) + gzip.compress(zeros, 1),
            "bz2": lambda: bz2.compress(PLAIN + zeros, 1),
            "large file": lambda: gzip.compress(PLAIN + zeros[: 64 << 20], 0),
        }[kind]()
    )
    sound = tmp_path / f"sound{''.join(path.suffixes)}"
    sound.write_bytes((bz2 if kind == "bz2" else gzip).compress(PLAIN))
    # 16 MB beyond the modules: the image (7 kB), pieces of 1 MB, bzip2's own 4 MB.
    output = subprocess.run(  # noqa: S603
        [sys.executable, "-c", BOMB_JOB, str(path), str(sound)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert "bytes, but its header declares only 7216 bytes" in output


Damage = Callable[[bytes], bytes]


def cut(share: float) -> Damage:
    return lambda whole: whole[: int(len(whole) * share)]


def flip(share: float, bit: int) -> Damage:
    def damaged(whole: bytes) -> bytes:
        place = int(len(whole) * share)
        return whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]

    return damaged


def lie(**fields: Any) -> Damage:
    def damaged(whole: bytes) -> bytes:
        del whole
        header = nib.Nifti1Header(PLAIN[:348], check=False)
        for field, value in fields.items():
            header[field] = value
        return gzip.compress(header.binaryblock + PLAIN[348:], mtime=0)

    return damaged


DAMAGES: list[Damage] = [
    *(cut(share) for share in np.linspace(0.02, 0.999, 30)),
    *(flip(share, bit) for share in np.linspace(0.02, 0.999, 12) for bit in (0, 3, 4, 7)),
    *(lie(dim=[3, *SHAPE[:2], n, 1, 1, 1, 1]) for n in (1, 12, 14, 20, 130, 32767, -1, 0)),
    *(lie(vox_offset=offset) for offset in (0, 100, 368, 4000, 1e9, -16, np.nan, np.inf)),
    *(lie(datatype=code, bitpix=8) for code in (2, 3, 4, 32, 128, 64, 1792)),
    lie(scl_slope=2.0, scl_inter=np.nan),
    lie(sform_code=1, srow_x=[np.nan] * 4),
    lambda whole: gzip.compress(PLAIN + bytes(16 << 20), 1),
]


@pytest.mark.parametrize("place", range(len(DAMAGES)))
def test_damaged_files_are_refused(tmp_path: Path, place: int) -> None:
    """All 104 are refused; nibabel 5.4.2 gives values for 54 of them without an error."""
    path = tmp_path / "a.nii.gz"
    path.write_bytes(DAMAGES[place](gzip.compress(PLAIN, mtime=0)))
    with pytest.raises(ImageError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


class _Growing:
    """Values of a lazy image that has another shape by the time it is read."""

    shape, ndim, dtype, is_proxy = (4, 4, 4), 3, np.dtype(np.float64), True

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.ones((5, 5, 5))

    def __getitem__(self, key: Any) -> Any:
        return np.ones((5, 5, 5))[key]


def test_values_of_another_shape_than_the_image_name_the_image() -> None:
    image = open_image(nib.Nifti1Image(_Growing(), np.eye(4), dtype=np.float64))
    with pytest.raises(ImageError, match=r"gives 125 values, but its shape .* has 64"):
        image.read_into(np.empty(64))


def test_half_of_a_character_in_a_name_does_not_stop_a_map() -> None:
    assert descrip_of("t of contrast a\ud800") == b"t of contrast a?"
