# SPDX-License-Identifier: BSD-3-Clause
"""The cache of masked rows: the same numbers, no image read twice, a changed file is seen."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.engine.row_files import read_row, write_row
from groupglm.spaces.volume.space import VolumeSpace
from groupglm.spaces.zeros import Zeros

SHAPE = (8, 9, 10)
N = 7
DESIGN = pd.DataFrame({"intercept": np.ones(N), "dose": np.linspace(-1, 1, N)})


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


def values(seed: int) -> Any:
    inside = np.zeros(SHAPE)
    inside[3:6, 3:6, 3:7] = 1
    return (inside * np.random.default_rng(seed).normal(3, 1, SHAPE)).astype(np.float32)


@pytest.fixture(params=["nii", "nii.gz"])
def paths(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    names = [str(tmp_path / f"map{i}.{request.param}") for i in range(N)]
    for seed, name in enumerate(names):
        nib.save(image(values(seed)), name)
    return names


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are really read."""
    names: list[str] = []
    read_row = VolumeSpace.read_row

    def counted(self: VolumeSpace, source: Any, out: Any) -> Any:
        names.append(source.name)
        return read_row(self, source, out)

    monkeypatch.setattr(VolumeSpace, "read_row", counted)
    return names


def z_map(images: Any, **options: Any) -> Any:
    model = SecondLevelModel(**options).fit(images, design_matrix=DESIGN)
    return model.compute_contrast("dose").get_fdata()


@pytest.mark.parametrize("mask_given", [True, False])
def test_a_cached_fit_reads_no_image_and_has_the_same_bits(
    paths: list[str], tmp_path: Path, reads: list[str], mask_given: bool
) -> None:
    mask = image((values(0) != 0).astype(np.uint8)) if mask_given else None
    wanted = z_map(paths, mask_img=mask)
    cache = tmp_path / "cache"
    np.testing.assert_array_equal(z_map(paths, mask_img=mask, memory=cache, n_jobs=2), wanted)
    reads.clear()
    np.testing.assert_array_equal(z_map(paths, mask_img=mask, memory=str(cache)), wanted)
    model = SecondLevelModel(mask_img=mask, memory=joblib.Memory(cache, verbose=0))
    one = model.fit(paths, design_matrix=DESIGN[["intercept"]]).compute_contrast()
    assert one.get_fdata().any()  # another design, the same rows
    assert reads == []


def test_a_changed_file_is_seen(paths: list[str], tmp_path: Path, reads: list[str]) -> None:
    options: dict[str, Any] = {
        "mask_img": image((values(0) != 0).astype(np.uint8)),
        "memory": tmp_path / "cache",
    }
    before = z_map(paths, **options)
    reads.clear()
    nib.save(image(values(99)), paths[3])
    status = os.stat(paths[3])  # noqa: PTH116
    os.utime(paths[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    after = z_map(paths, **options)
    assert reads == [paths[3]]
    assert not np.allclose(after, before)
    np.testing.assert_array_equal(after, z_map(paths, mask_img=options["mask_img"]))


def test_images_in_memory_are_known_by_their_values(tmp_path: Path, reads: list[str]) -> None:
    options: dict[str, Any] = {
        "mask_img": image((values(0) != 0).astype(np.uint8)),
        "memory": tmp_path / "cache",
    }
    images = [image(values(seed)) for seed in range(N)]
    before = z_map(images, **options)
    reads.clear()
    np.testing.assert_array_equal(
        z_map([image(values(seed)) for seed in range(N)], **options), before
    )
    assert reads == []
    images[2] = image(values(50))
    assert not np.allclose(z_map(images, **options), before)
    assert len(reads) == 1


def test_another_mask_is_another_row(paths: list[str], tmp_path: Path) -> None:
    inside = values(0) != 0
    half = inside.copy()
    half[:4] = False
    for mask in (inside, half):
        options = {"mask_img": image(mask.astype(np.uint8))}
        np.testing.assert_array_equal(
            z_map(paths, memory=tmp_path / "cache", **options), z_map(paths, **options)
        )


def test_missing_values_are_cached_as_missing(tmp_path: Path) -> None:
    holes = [values(seed) for seed in range(N)]
    holes[1][4, 4, 4] = np.nan
    names = [str(tmp_path / f"map{i}.nii") for i in range(N)]
    for name, data in zip(names, holes, strict=True):
        nib.save(image(data), name)
    for missing in ("omit", "zero", "intersect"):
        for _ in range(2):
            np.testing.assert_array_equal(
                z_map(names, memory=tmp_path / "cache", missing=missing),
                z_map(names, missing=missing),
            )


def test_memory_is_checked_before_anything_is_read(paths: list[str], tmp_path: Path) -> None:
    nowhere = tmp_path / "not" / "here"
    with pytest.raises(ValueError, match="given cache path parent directory doesn't exist"):
        z_map(paths, memory=nowhere)
    with pytest.raises(TypeError, match="memory is a int; 'memory' must be of type str"):
        z_map(paths, memory=3)
    with pytest.raises(TypeError, match="memory_level is 'all'"):
        z_map(paths, memory_level="all")
    with pytest.warns(UserWarning, match=r"memory_level=2 has no effect without memory"):
        z_map(paths, memory_level=2)
    with pytest.warns(UserWarning, match="memory_level is currently set to 0 but a Memory object"):
        z_map(paths, memory=tmp_path / "cache", memory_level=0)


def test_memory_attribute(paths: list[str], tmp_path: Path) -> None:
    model = SecondLevelModel(memory=tmp_path / "cache").fit(paths, design_matrix=DESIGN)
    assert model.memory_.location == tmp_path / "cache"
    assert SecondLevelModel().fit(paths, design_matrix=DESIGN).memory_.location is None


def _rows(cache: Path) -> list[Path]:
    found = sorted(cache.rglob("*.row"))
    assert len(found) == N
    return found


def _resealed(data: bytes, change: Any) -> bytes:
    """Change what follows the checksum of a row, and make the checksum anew."""
    start = data.index(b"\n") + 1
    body: bytes = change(data[start + 32 :])
    return data[:start] + hashlib.sha256(body).digest() + body


def _scalar(body: bytes) -> bytes:
    line, _, _ = body.partition(b"\n")
    facts = json.loads(line) | {"n_values": 1}
    return json.dumps(facts).encode() + b"\n" + np.float32(7).tobytes()


ATTACKS: dict[str, Any] = {
    "four bytes": lambda data: data[:-9] + bytes(b ^ 0x41 for b in data[-9:-5]) + data[-5:],
    "the checksum": lambda data: data[:20] + b"\0\0\0\0" + data[24:],
    "cut": lambda data: data[:-3],
    "longer": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "a scalar": lambda data: _resealed(data, _scalar),
    "another type": lambda data: _resealed(data, lambda body: body.replace(b"<f4", b"<i4", 1)),
    "another key": lambda data: _resealed(
        data, lambda body: body.replace(b'"key": "', b'"key": "x', 1)
    ),
    "no JSON": lambda data: _resealed(data, lambda body: b"[" * 3000 + body),
    "a pickle": lambda data: pickle.dumps(_Planted()),
}


class _Planted:
    def __reduce__(self) -> Any:
        return exec, ("import os; os.environ['GROUPGLM_PLANTED'] = 'executed'",)


@pytest.mark.parametrize("what", ATTACKS)
def test_what_is_no_row_is_read_from_the_image(
    what: str, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(tmp_path / f"map{i}.nii") for i in range(N)]
    for seed, name in enumerate(names):
        nib.save(image(values(seed)), name)
    options: dict[str, Any] = {
        "mask_img": image((values(0) != 0).astype(np.uint8)),
        "memory": tmp_path / "cache",
    }
    wanted = z_map(names, **options)
    monkeypatch.delenv("GROUPGLM_PLANTED", raising=False)
    kept = {path: path.read_bytes() for path in _rows(tmp_path / "cache")}
    for path, data in kept.items():
        path.write_bytes(ATTACKS[what](data))
    reads.clear()
    np.testing.assert_array_equal(z_map(names, **options), wanted)
    assert sorted(reads) == names
    assert {path: path.read_bytes() for path in _rows(tmp_path / "cache")} == kept  # mended
    assert "GROUPGLM_PLANTED" not in os.environ


def test_rows_that_changed_places_are_not_taken(tmp_path: Path, reads: list[str]) -> None:
    names = [str(tmp_path / f"map{i}.nii") for i in range(N)]
    for seed, name in enumerate(names):
        nib.save(image(values(seed)), name)
    options: dict[str, Any] = {
        "mask_img": image((values(0) != 0).astype(np.uint8)),
        "memory": tmp_path / "cache",
        "smoothing_fwhm": 2.0,  # so that zeros are kept beside the row
    }
    wanted = z_map(names, **options)
    first, second, third, *_ = _rows(tmp_path / "cache")
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    third.unlink()
    os.mkfifo(third)
    reads.clear()
    with pytest.warns(UserWarning, match="a row cannot be kept"):
        np.testing.assert_array_equal(z_map(names, **options), wanted)
    assert len(reads) == 3


def test_clearing_the_memory_clears_the_rows(paths: list[str], tmp_path: Path) -> None:
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    z_map(paths, memory=memory, mask_img=image((values(0) != 0).astype(np.uint8)))
    assert _rows(tmp_path / "cache")
    memory.clear(warn=False)
    assert list((tmp_path / "cache").rglob("*.row")) == []
    assert list((tmp_path / "cache").rglob("*.pkl")) == []


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [1, 7, 8, 1000])
def test_a_row_is_what_was_written(dtype: str, n: int, tmp_path: Path) -> None:
    row = np.random.default_rng(n).normal(size=n).astype(dtype)
    row[0] = np.nan
    places = np.arange(n) % 3 == 1
    for zeros in (None, Zeros(places, all_whole=True), Zeros(places, all_whole=False)):
        write_row(tmp_path / "deep" / "a.row", "k", row, zeros)
        out = np.zeros(n, dtype)
        is_read, found = read_row(tmp_path / "deep" / "a.row", "k", out)
        assert is_read
        np.testing.assert_array_equal(out, row)
        assert (found is None) == (zeros is None)
        if zeros is not None and found is not None:
            np.testing.assert_array_equal(found.places, places)
            assert found.all_whole == zeros.all_whole
        assert read_row(tmp_path / "deep" / "a.row", "other", out) == (False, None)
        assert read_row(tmp_path / "deep" / "a.row", "k", np.zeros(n + 1, dtype)) == (False, None)


def test_rows_that_cannot_be_kept_are_one_warning(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fit, whatever it keeps: the mean for the mask, and a row for each image."""

    def full(path: Path, *_: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("groupglm.engine.row_cache.write_row", full)
    for _ in range(2):
        with pytest.warns(UserWarning, match="a row cannot be kept") as told:
            z_map(paths, memory=tmp_path / "cache", n_jobs=2)
        assert len(told) == 1
        assert "a row cannot be kept ([Errno 28] No space left" in str(told[0].message)
