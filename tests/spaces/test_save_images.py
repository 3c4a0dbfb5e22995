# SPDX-License-Identifier: BSD-3-Clause
"""An image is saved whole or not at all."""

import stat
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.spaces.volume import Grid, open_images, save_image, save_series

nib: Any = nibabel  # typed only in part

SHAPE = (5, 6, 7)
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0.2, 0, 3, -72], [0, 0, 0, 1]])


def image(seed: int = 0) -> Any:
    values = np.random.default_rng(seed).normal(size=SHAPE)
    return nib.Nifti1Image(values.astype("f4"), AFFINE)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "new/folder/a.NII.GZ"])
def test_save(tmp_path: Path, name: str) -> None:
    made = image()
    path = save_image(made, tmp_path / name)
    assert path == tmp_path / name
    np.testing.assert_array_equal(np.asanyarray(nib.load(path).dataobj), np.asarray(made.dataobj))
    np.testing.assert_allclose(nib.load(path).affine, AFFINE, rtol=1e-6)  # stored in float32
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.lower().endswith("gz")
    first = path.read_bytes()
    save_image(made, path)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    plain = path.parent / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("name", ["a.img", "a", "a.nii.bz2", "a.gz"])
def test_save_refuses_other_extensions(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in \.nii or \.nii\.gz"):
        save_image(image(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image(image(0), tmp_path / "a.nii.gz")
    before = path.read_bytes()

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_image(image(1), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.nii.gz"]


def series_model(tmp_path: Path) -> Any:
    rng = np.random.default_rng(0)
    shape = (8, 9, 10)
    images = [nib.Nifti1Image(rng.normal(size=shape), np.diag([2.0, 3, 4, 1])) for _ in range(7)]
    images[3].dataobj[4, 4, 4] = np.nan
    inside = np.zeros(shape, np.uint8)
    inside[2:6, 2:7, 2:8] = 1
    mask = nib.Nifti1Image(inside, images[0].affine)
    design = pd.DataFrame({"intercept": np.ones(7), "dose": np.arange(7.0)})
    return SecondLevelModel(mask_img=mask, minimize_memory=False).fit(images, design_matrix=design)


@pytest.mark.parametrize("name", ["maps.nii", "maps.nii.gz"])
def test_maps_of_every_image_can_go_straight_to_a_file(tmp_path: Path, name: str) -> None:
    model = series_model(tmp_path)
    for ask, kept in ((model.residuals, model.residuals_), (model.predicted, model.predicted_)):
        (image,) = ask(out=tmp_path / name)
        assert image.get_filename() == str(tmp_path / name)
        np.testing.assert_array_equal(image.get_fdata(), kept.get_fdata())
        np.testing.assert_array_equal(image.affine, kept.affine)
        assert image.header["descrip"] == kept.header["descrip"]
        assert image.get_data_dtype() == np.float32
        assert len(open_images(str(tmp_path / name))) == 7  # our own reader takes it too
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_series_that_fails_leaves_no_file(tmp_path: Path) -> None:
    grid = Grid((2, 3, 4), np.eye(4))
    volume = np.ones(grid.shape, np.float32, order="F")
    with pytest.raises(ValueError, match="1 volumes came, but the header says 2"):
        save_series([volume], 2, grid, tmp_path / "maps.nii")
    with pytest.raises(ValueError, match=r"must end in \.nii or \.nii\.gz"):
        save_series([volume], 1, grid, tmp_path / "maps.img")
    assert list(tmp_path.iterdir()) == []


def test_more_volumes_than_nifti_1_can_count(tmp_path: Path) -> None:
    grid = Grid((1, 1, 2), np.eye(4))
    n = 2**15 + 3
    volumes = (np.full(grid.shape, i, np.float32, order="F") for i in range(n))
    image: Any = nib.load(save_series(volumes, n, grid, tmp_path / "maps.nii"))
    assert image.shape == (1, 1, 2, n)
    np.testing.assert_array_equal(image.get_fdata()[0, 0, 1], np.arange(n))
