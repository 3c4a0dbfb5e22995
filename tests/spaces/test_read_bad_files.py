# SPDX-License-Identifier: BSD-3-Clause
"""A file that is not what it says is refused with its name and what is wrong, in bounded memory."""

import gzip
import itertools
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm.errors import ImageError
from groupglm.spaces.volume import open_image, open_images
from groupglm.spaces.volume.reading.layout import SURPLUS
from reference.plain_file import DATA, EXPECTED, PLAIN, SHAPE, read

nib: Any = nibabel  # typed only in part

GZIP = gzip.compress(PLAIN, mtime=0)


def refused(path: Path, message: str) -> None:
    """Opening or reading fails, and the message begins with the file's name."""
    with pytest.raises(ImageError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def member(data: bytes, flags: int = 0, extra: bytes = b"") -> bytes:
    """One gzip member with any header fields."""
    deflater = zlib.compressobj(wbits=-15)
    body = deflater.compress(data) + deflater.flush()
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + extra
    return head + body + struct.pack("<II", zlib.crc32(data), len(data) % 2**32)


@pytest.mark.parametrize("keep", [1, 5, 20, 300, 2000, len(GZIP) // 2, len(GZIP) - 9, -8, -4, -1])
def test_truncated_gzip(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(GZIP[:keep])
    refused(path, "truncated" if keep != 1 else "damaged: they do not begin as gzip does")


@pytest.mark.parametrize("keep", [0, 10, 347, 352, 3000, -1])
def test_truncated_plain(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(PLAIN[:keep])
    refused(path, "truncated: it has|not an image|header cannot be read")


@settings(max_examples=300, deadline=None)
@given(bit=st.integers(8 * 10, 8 * len(GZIP) - 1))
def test_no_flipped_bit_changes_a_value(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    damaged = bytearray(GZIP)
    damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.mktemp("flip") / "a.nii.gz"
    path.write_bytes(damaged)
    try:
        values = read(path)
    except ImageError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 (either outcome is right)
    else:
        # A few bits mean nothing: padding, or the code of a symbol that does not occur.
        np.testing.assert_array_equal(values, EXPECTED)
        assert gzip.decompress(damaged) == PLAIN


def test_a_flipped_bit_in_the_values_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    for byte in range(400, len(GZIP) - 8, 97):
        damaged = bytearray(GZIP)
        damaged[byte] ^= 16
        path.write_bytes(damaged)
        refused(path, "damaged|truncated|the data end|bytes follow|not gzip follow")


def test_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(GZIP[:-8] + bytes(4) + GZIP[-4:])
    refused(path, r"damaged.*incorrect data check.*; copy the file again")


@pytest.mark.parametrize("size", [0, 1, len(PLAIN) - 1, len(PLAIN) + 1, 2**32 - 1])
def test_wrong_size_in_the_trailer(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(GZIP[:-4] + struct.pack("<I", size))
    refused(path, "damaged.*incorrect length check")


@pytest.mark.parametrize(
    ("garbage", "message"),
    [
        (b"garbage!", "bytes that are not gzip follow"),
        (b"\0\0\0x", "bytes that are not gzip follow"),
        (b"\x1f\x8bnot a member", "damaged"),
        (b"\x1f\x8b", "truncated"),
    ],
)
def test_trailing_garbage(tmp_path: Path, garbage: bytes, message: str) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(GZIP + garbage)
    refused(path, message)


@pytest.mark.parametrize("n_zeros", [1, 8, 512, 100_000])
def test_zeros_may_pad_the_end(tmp_path: Path, n_zeros: int) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(GZIP + bytes(n_zeros))
    np.testing.assert_array_equal(read(path), EXPECTED)


@pytest.mark.parametrize("cuts", [[10], [348], [352, 353, 4000], list(range(500, 7000, 500))])
def test_several_members(tmp_path: Path, cuts: list[int]) -> None:
    path = tmp_path / "a.nii.gz"
    edges = [0, *cuts, len(PLAIN)]
    path.write_bytes(b"".join(member(PLAIN[a:b]) for a, b in itertools.pairwise(edges)))
    np.testing.assert_array_equal(read(path), EXPECTED)


def test_the_last_of_several_members_may_be_as_long_as_the_image(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    # The trailer then looks like that of a file of one member, though the first one is short.
    path.write_bytes(member(PLAIN[:400]) + member(PLAIN[400:] + bytes(500)))
    np.testing.assert_array_equal(read(path), EXPECTED)


def test_header_fields_of_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    # FEXTRA (longer than what is read at first), FNAME and FCOMMENT
    extra = struct.pack("<H", 60_000) + bytes(60_000) + b"name.nii\0" + b"comment\0"
    path.write_bytes(member(PLAIN, flags=4 + 8 + 16, extra=extra))
    np.testing.assert_array_equal(read(path), EXPECTED)


@pytest.mark.parametrize("in_one_member", [True, False])
def test_a_bomb_is_not_inflated(tmp_path: Path, in_one_member: bool) -> None:
    path = tmp_path / "a.nii.gz"
    bomb = bytes(64 << 20)
    path.write_bytes(member(PLAIN + bomb) if in_one_member else member(PLAIN) + member(bomb))
    tracemalloc.start()
    refused(path, f"has at least {len(PLAIN) + SURPLUS} bytes, .* declares only {len(PLAIN)} bytes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The image, the file, and pieces of a megabyte.
    assert peak < 8 * SURPLUS


def test_a_bomb_after_a_series_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    made = nib.Nifti1Image(np.stack([DATA, DATA], -1), np.eye(4)).to_bytes()
    path.write_bytes(gzip.compress(made + bytes(64 << 20), 1))
    first, last = open_images(path)
    out = np.empty(first.grid.n_voxels, np.float32)
    first.read_into(out)
    np.testing.assert_array_equal(out, EXPECTED)
    with pytest.raises(ImageError, match=f"at least {len(made) + SURPLUS} bytes, .* declares only"):
        last.read_into(out)


def test_too_short_inside_a_sound_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(PLAIN[:-3]))
    refused(path, f"the data end 3 bytes before the {len(PLAIN)} bytes")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.txt", "a"])
@pytest.mark.parametrize("content", [b"", b"subject,group\n1,2\n" * 100])
def test_what_is_no_image(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if name == "a.img":
        path.with_suffix(".hdr").write_bytes(content)
    message = "not an image of a known format|header cannot be read|File not found"
    if content and name.endswith("gz"):
        message = "damaged: they do not begin as gzip does"
    refused(path, message)


def test_a_mesh_is_no_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.gii"
    nib.save(nib.gifti.GiftiImage(), path)
    refused(path, "data of a surface .GIFTI., and a volume is wanted here")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    folder = tmp_path / "a.nii.gz"
    folder.mkdir()
    refused(folder, "is a folder, not a file")
    refused(tmp_path / "b.nii.gz", "File not found")
    nib.save(nib.Nifti1Pair(DATA, np.eye(4)), tmp_path / "c.img")
    (tmp_path / "c.img").unlink()
    refused(tmp_path / "c.img", "File not found")
    nib.save(nib.Nifti1Image(DATA, np.eye(4)), tmp_path / "d.nii")
    with pytest.raises(ImageError, match=r"e\.nii: File not found.*\(item 2 of the list\)"):
        open_images([tmp_path / "d.nii", tmp_path / "e.nii"])


def test_images_in_memory_that_cannot_be_used() -> None:
    complex_image = nib.Nifti1Image(DATA.astype("c8"), np.eye(4))
    flat = nib.spatialimages.SpatialImage(DATA[0], np.eye(4))
    nowhere = nib.spatialimages.SpatialImage(DATA, None)
    nan_affine = nib.spatialimages.SpatialImage(DATA, np.full((4, 4), np.nan))
    empty = nib.spatialimages.SpatialImage(DATA[:0], np.eye(4))
    for image, message in [
        (complex_image, "complex"),
        (flat, "three axes"),
        (nowhere, "no affine"),
        (nan_affine, "NaN"),
        (empty, "no values"),
    ]:
        with pytest.raises(ImageError, match=f"^image in memory: .*{message}"):
            open_image(image)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_that_changes_after_it_was_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(GZIP if name.endswith("gz") else PLAIN)
    source = open_image(path)
    out = np.empty(source.grid.n_voxels, np.float32)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ImageError, match=r"truncated|shortened"):
        source.read_into(out)
    path.unlink()
    with pytest.raises(ImageError, match=r"cannot be read: .*No such file"):
        source.read_into(out)


@pytest.mark.parametrize("where", ["sum", "cut"])
def test_a_damaged_series_says_so_and_stays_usable(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.nii.gz"
    data = np.random.default_rng(1).normal(size=(*SHAPE, 4)).astype("<f4")
    whole = gzip.compress(nib.Nifti1Image(data, np.eye(4)).to_bytes(), mtime=0)
    path.write_bytes(whole[:-8] + bytes(8) if where == "sum" else whole[: len(whole) // 2])
    sources = open_images(path)
    out = np.empty(sources[0].grid.n_voxels, np.float32)
    for source in sources[: 3 if where == "sum" else 1]:
        source.read_into(out)
    with pytest.raises(ImageError, match=r"a\.nii\.gz: .*(damaged|truncated)"):
        sources[3].read_into(out)
    # Reading again starts again: no thread is left waiting, no half-read state remains.
    sources[0].read_into(out)
    np.testing.assert_array_equal(out, data[..., 0].ravel(order="F"))
