# SPDX-License-Identifier: BSD-3-Clause
"""Grayordinates and surfaces are known for what they are, in files and in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

from groupglm import SecondLevelModel, get_clusters_table, threshold_stats_img

nib: Any = nibabel  # typed only in part
DESIGN = pd.DataFrame({"one": np.ones(2)})


def _cifti() -> Any:
    inside = np.ones((3, 3, 3), bool)
    axis = nib.cifti2.BrainModelAxis.from_mask(inside, affine=np.eye(4), name="thalamus_left")
    scalars = nib.cifti2.ScalarAxis(["a"])
    return nib.Cifti2Image(np.ones((1, 27), np.float32), header=(scalars, axis))


def _gifti() -> Any:
    return nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(np.ones(30, np.float32))])


def _surface() -> Any:
    mesh = InMemoryMesh(np.eye(4, 3), np.array([[0, 1, 2], [1, 2, 3]]))
    parts = {"left": np.ones(4), "right": np.ones(4)}
    return SurfaceImage(mesh=PolyMesh(left=mesh, right=mesh), data=parts)


def _saved(folder: Path, name: str, image: Any) -> Path:
    image.to_filename(folder / name)
    return folder / name


def _surfaces(folder: Path) -> dict[str, tuple[Any, str]]:
    row = nib.MGHImage(np.ones((30, 1, 1), np.float32), np.eye(4))
    return {
        "gifti": (_saved(folder, "a.func.gii", _gifti()), r"data of a surface \(GIFTI\)"),
        "mgh": (_saved(folder, "lh.a.mgh", row), "30 values in one row, as data of a surface"),
        "gifti in memory": (_gifti(), r"data of a surface \(GIFTI\)"),
        "surface in memory": (_surface(), "data of a surface"),
    }


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # nibabel leaves an .mgh open
@pytest.mark.parametrize("what", ["gifti", "mgh", "gifti in memory", "surface in memory"])
def test_surfaces_are_no_volumes(tmp_path: Path, what: str) -> None:
    item, kind = _surfaces(tmp_path)[what]
    volumes = [nib.Nifti1Image(np.full((5, 5, 5), value), np.eye(4)) for value in (1.0, 2.0)]
    with pytest.raises((TypeError, ValueError), match=rf"{kind}.*a volume is wanted here"):
        SecondLevelModel(mask_img=item).fit(volumes, design_matrix=DESIGN)


@pytest.mark.filterwarnings("ignore:images 1 and 2 of second_level_input are one")
def test_grayordinates_that_are_named_as_volumes_are_no_volumes(tmp_path: Path) -> None:
    item = _saved(tmp_path, "a.dscalar.nii", _cifti()).rename(tmp_path / "named_otherwise.nii")
    message = r"grayordinates \(CIFTI\), but its name does not say so.*\.dscalar\.nii"
    for call in (
        lambda: SecondLevelModel().fit([item, item], design_matrix=DESIGN),
        lambda: SecondLevelModel().fit(item, design_matrix=DESIGN),
        lambda: threshold_stats_img(item),
        lambda: get_clusters_table(item, 3.0),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()


def test_volumes_of_freesurfer_are_read() -> None:
    image = nib.MGHImage(np.random.default_rng(0).normal(size=(9, 9, 9)).astype("f4"), np.eye(4))
    threshold_stats_img(image, alpha=0.5)


@pytest.mark.parametrize("in_file", [False, True])
def test_grayordinates_are_no_volumes(tmp_path: Path, in_file: bool) -> None:
    volumes = [nib.Nifti1Image(np.full((5, 5, 5), value), np.eye(4)) for value in (1.0, 2.0)]
    item = _saved(tmp_path, "a.dscalar.nii", _cifti()) if in_file else _cifti()
    first = _saved(tmp_path, "a.nii", volumes[0]) if in_file else volumes[0]
    for call in (
        lambda: SecondLevelModel().fit([first, item], design_matrix=DESIGN),
        lambda: SecondLevelModel(mask_img=item).fit(volumes, design_matrix=DESIGN),
        lambda: threshold_stats_img(first, mask_img=item),
    ):
        with pytest.raises(
            (TypeError, ValueError),
            match=r"grayordinates \(CIFTI\), and a volume is wanted here",
        ):
            call()
