# SPDX-License-Identifier: BSD-3-Clause
"""The cache of masked rows: the same numbers, no image read twice, a changed file is seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.spaces.volume import VolumeSpace

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
    with pytest.raises(TypeError, match="memory is a int; it must be a path"):
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
