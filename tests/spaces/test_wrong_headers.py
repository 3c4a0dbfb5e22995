# SPDX-License-Identifier: BSD-3-Clause
"""A header that does not describe its file is refused, with what it declares and what there is."""

import bz2
import gzip
import logging
import re
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from groupglm.errors import ImageError
from groupglm.spaces.volume import open_images
from groupglm.spaces.volume.reading.inflate import MAX_RATIO, CompressedStream
from groupglm.spaces.volume.reading.layout import SURPLUS
from reference.plain_file import DATA, EXPECTED, PLAIN, SHAPE, read

nib: Any = nibabel  # typed only in part

SLICE = 11 * 12 * 4  # bytes
PACK: dict[str, Callable[[bytes], bytes]] = {
    "a.nii": bytes,
    "a.nii.gz": gzip.compress,
    "a.nii.bz2": bz2.compress,
}


def read_volumes(path: Path) -> None:
    for source in open_images(path):
        source.read_into(np.empty(source.grid.n_voxels, source.dtype))


def refused(image: Any, message: str) -> None:
    """Opening or reading fails, and the message begins with the file's name."""
    with pytest.raises(ImageError, match=message) as caught:
        read(image)
    name = image if isinstance(image, Path) else image.get_filename()
    assert str(caught.value).startswith(str(name))


def with_header(**fields: object) -> bytes:
    header = nib.Nifti1Header(PLAIN[:348], check=False)
    for field, value in fields.items():
        header[field] = value
    block: bytes = header.binaryblock
    return block + PLAIN[348:]


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("surplus", [1, SLICE - 1])
def test_less_than_a_slice_after_the_image_is_padding(
    tmp_path: Path, surplus: int, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(PACK[name](PLAIN + bytes(surplus)))
    np.testing.assert_array_equal(read(path), EXPECTED)
    np.testing.assert_array_equal(read(nib.load(path)), EXPECTED)


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    ("fields", "surplus"),
    [
        ({}, SLICE),
        ({}, 3 << 20),
        ({"dim": [3, 11, 12, 12, 1, 1, 1, 1]}, 0),
        ({"dim": [3, 11, 12, 1, 1, 1, 1, 1]}, 0),
        ({"dim": [3, 11, 6, 13, 1, 1, 1, 1]}, 0),
        ({"datatype": 4, "bitpix": 16}, 0),
    ],
)
def test_a_header_that_declares_less_than_there_is(
    tmp_path: Path, fields: dict[str, Any], surplus: int, name: str
) -> None:
    path = tmp_path / name
    file = with_header(**fields) + bytes(surplus)
    path.write_bytes(PACK[name](file))
    shape = tuple(fields.get("dim", [3, *SHAPE])[1:4])
    dtype = "int16" if "datatype" in fields else "float32"
    declared = 352 + int(np.prod(shape)) * np.dtype(dtype).itemsize
    # The whole inflated file is not waited for.
    holds = len(file) if name == "a.nii" else min(len(file), declared + SURPLUS)
    what = re.escape(f"only {declared} bytes (shape {shape}, {dtype})")
    refused(path, f"has .*{holds} bytes, but its header declares {what}")
    refused(nib.load(path), f"has .*{holds} bytes, but its header declares {what}")


@pytest.mark.parametrize("name", PACK)
def test_a_series_that_declares_fewer_volumes_than_there_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    made = nib.Nifti1Image(np.stack([DATA] * 3, -1), np.eye(4)).to_bytes()
    header = nib.Nifti1Header(made[:348])
    header["dim"] = [4, *SHAPE, 2, 1, 1, 1]
    path.write_bytes(PACK[name](header.binaryblock + made[348:]))
    with pytest.raises(ImageError, match=rf"{len(made)} bytes, .* declares only .*12, 13, 2\)"):
        read_volumes(path)


def test_a_pair_of_which_one_file_is_longer(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(DATA, np.eye(4)), tmp_path / "a.img")
    with (tmp_path / "a.img").open("ab") as file:
        file.write(bytes(SLICE - 1))
    np.testing.assert_array_equal(read(tmp_path / "a.img"), EXPECTED)  # its values begin at byte 0
    with (tmp_path / "a.img").open("ab") as file:
        file.write(bytes(1))
    refused(tmp_path / "a.img", "declares only 6864 bytes")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # nibabel's own
def test_what_follows_the_values_of_mgh_is_not_padding(tmp_path: Path) -> None:
    for name, pack in (("a.mgh", bytes), ("a.mgz", gzip.compress)):
        path = tmp_path / name
        path.write_bytes(pack(nib.MGHImage(DATA, np.eye(4)).to_bytes() + bytes(2 * SLICE)))
        np.testing.assert_array_equal(read(path), EXPECTED)
        # The file's format counts, not that of the image made of its values.
        np.testing.assert_array_equal(
            read(nib.Nifti1Image(nib.load(path).dataobj, np.eye(4))), EXPECTED
        )


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    ("image", "least", "offset"),
    [
        *((nib.Nifti1Image, 352, offset) for offset in (0, -1, 100, 351.5)),
        *((nib.Nifti2Image, 544, offset) for offset in (0, -16, 352, 543)),
    ],
)
def test_values_that_would_begin_within_the_header(
    tmp_path: Path, image: Any, least: int, offset: float, name: str
) -> None:
    made = image(DATA, np.eye(4)).to_bytes()
    header = image.header_class(made[: least - 4], check=False)
    header["vox_offset"] = offset
    path = tmp_path / name
    path.write_bytes(PACK[name](header.binaryblock + made[least - 4 :]))
    refused(path, rf"begin at byte {offset} \(vox_offset\), but .* at byte {least} at the least")
    if offset == 0:
        refused(nib.load(path), f"begin at byte 0 .* at byte {least} at the least")


def test_an_image_made_of_the_values_of_a_pair(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(DATA, np.eye(4)), tmp_path / "a.img")
    values = nib.load(tmp_path / "a.img").dataobj
    np.testing.assert_array_equal(read(nib.Nifti1Image(values, np.eye(4))), EXPECTED)


@pytest.mark.parametrize("name", ["a.nii", "a.img"])
def test_a_refusal_is_not_contradicted_in_the_log(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    if name == "a.nii":
        path.write_bytes(with_header(vox_offset=-1, datatype=3))
    else:  # Analyze, which nibabel opens
        analyze = nib.AnalyzeImage(DATA, np.eye(4))
        nib.save(analyze, path)
        analyze.header["datatype"] = 3
        path.with_suffix(".hdr").write_bytes(analyze.header.binaryblock)
    logger = logging.getLogger("nibabel.global")
    before = (list(logger.filters), logger.level, logger.disabled, list(logger.handlers))
    refused(path, "header cannot be read")
    assert not caplog.records
    assert before == (list(logger.filters), logger.level, logger.disabled, list(logger.handlers))
    with pytest.raises(nib.spatialimages.HeaderDataError):
        nib.load(path)
    assert caplog.records  # nibabel by itself


def test_what_nibabel_says_elsewhere_meanwhile_is_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(b"no image")
    logger = logging.getLogger("nibabel.global")
    load = nib.load

    def loud(name: str) -> Any:
        logger.error("here")
        other = threading.Thread(target=logger.error, args=("elsewhere",))
        other.start()
        other.join()
        return load(name)

    monkeypatch.setattr(nib, "load", loud)
    refused(path, "not an image of a known format")
    assert caplog.messages == ["elsewhere"]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_declares_the_impossible(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    header = with_header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    path.write_bytes(gzip.compress(header) if name.endswith("gz") else header)
    tracemalloc.start()
    refused(path, r"header declares.*\(shape \(32767, 32767, 32767\), float32\)|truncated: it has")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def _declare(shape: tuple[int, ...]) -> bytes:
    header = nib.Nifti2Header()
    header.set_data_dtype(np.float64)
    header["dim"] = [len(shape), *shape, *[1] * (7 - len(shape))]
    header["vox_offset"] = 544
    header.set_sform(np.eye(4), code=1)
    header["magic"] = header.single_magic
    return bytes(header.binaryblock) + bytes(4)


@pytest.mark.parametrize("shape", [(1500, 1500, 1500), (150, 150, 150, 1000)])
def test_a_bomb_of_bzip2_is_refused_before_it_is_inflated(
    shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kilobytes that are, truly, 27 GB: the same member again and again."""
    path = tmp_path / "a.nii.bz2"
    member = bz2.compress(bytes(90_000_000))
    path.write_bytes(bz2.compress(_declare(shape)) + member * 300)
    assert path.stat().st_size < 60_000
    skipped: list[int] = []
    skip = CompressedStream.skip

    def counted(self: CompressedStream, n_bytes: int) -> int:
        skipped.append(n_bytes)
        return skip(self, min(n_bytes, 10**6))

    monkeypatch.setattr(CompressedStream, "skip", counted)
    monkeypatch.setattr("groupglm.spaces.volume.reading.volumes.free_bytes", lambda: 10**12)
    refused(path, r"declares 27000000544 bytes .* 268435456 bytes that is not tried out")
    assert skipped == []
    if len(shape) == 3:
        monkeypatch.setattr("groupglm.spaces.volume.reading.volumes.free_bytes", lambda: 10**9)
        refused(path, "volumes of 27000 MB, and 1000 MB of memory are free")
    assert skipped == []


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nii.bz2", "a.mgz"])
def test_a_volume_larger_than_the_memory_is_refused_by_its_header(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory stands for a small one: such a file would take long to make."""
    path = tmp_path / name
    data = np.random.default_rng(0).normal(size=(40, 40, 40)).astype("f4")
    nib.save((nib.MGHImage if "mgz" in name else nib.Nifti1Image)(data, np.eye(4)), path)
    monkeypatch.setattr("groupglm.spaces.volume.reading.volumes._LARGE_VOLUME", 1000)
    monkeypatch.setattr("groupglm.spaces.volume.reading.volumes.free_bytes", lambda: 200_000)
    refused(path, "volumes of 0 MB, and 0 MB of memory are free")
    monkeypatch.setattr("groupglm.spaces.volume.reading.volumes.free_bytes", lambda: 600_000)
    assert len(open_images(path, at_least=1)) == 1


def test_the_possible_ratio_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    empty = nib.Nifti1Image(np.zeros((100, 100, 100), "f4"), np.eye(4))
    path.write_bytes(gzip.compress(empty.to_bytes(), 9))
    ratio = 4_000_352 / path.stat().st_size
    assert 900 < ratio < MAX_RATIO
    assert not read(path).any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dim": [3, -4, 12, 13, 1, 1, 1, 1]}, "declares the shape|header cannot be read"),
        ({"dim": [3, 0, 12, 13, 1, 1, 1, 1]}, "declares the shape|header cannot be read"),
        ({"dim": [2, 11, 12, 1, 1, 1, 1, 1]}, "three axes of space"),
        ({"dim": [5, 11, 12, 1, 1, 13, 1, 1]}, "three axes of space"),
        ({"dim": [9, 11, 12, 13, 1, 1, 1, 1]}, "header cannot be read|not an image"),
        ({"vox_offset": 1e9}, "truncated: it has"),
        ({"vox_offset": np.inf}, "header cannot be read"),
        ({"vox_offset": np.nan}, "header cannot be read"),
        ({"vox_offset": -16}, "header cannot be read"),
        ({"datatype": 3, "bitpix": 8}, "header cannot be read"),
        ({"datatype": 32, "bitpix": 64}, "values are complex numbers"),
        ({"datatype": 128, "bitpix": 24}, "values are colours"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "header cannot be read"),
        ({"sform_code": 1, "srow_x": [np.nan] * 4}, "affine holds NaN"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 5.0}, "header cannot be read"),
    ],
)
def test_a_header_that_is_wrong(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(with_header(**fields))
    refused(path, message)
