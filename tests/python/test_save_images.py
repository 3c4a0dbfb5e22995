# SPDX-License-Identifier: BSD-3-Clause
"""An image is saved whole or not at all."""

import stat
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from groupglm.images import save_image

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
