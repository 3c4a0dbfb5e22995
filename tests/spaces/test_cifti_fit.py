# SPDX-License-Identifier: BSD-3-Clause
"""Models of grayordinates: values against scipy, and what comes back in files and in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from groupglm import SecondLevelModel
from groupglm.spaces.registry import kind_of
from reference.data import data_dir

nib: Any = nibabel  # typed only in part
N_PLACES = 5687


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted(data_dir("surfaces/cifti").glob("*.dscalar.nii"))


@pytest.fixture(scope="module")
def rows(files: list[Path]) -> NDArray[np.float64]:
    """The values as nibabel reads them, (36, 5687)."""
    return np.concatenate([nib.load(file).get_fdata() for file in files])


def _values(image: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = image.get_fdata()[0]
    return values


@pytest.mark.parametrize("in_memory", [False, True])
def test_means_and_t_are_those_of_scipy(
    files: list[Path], rows: NDArray[np.float64], in_memory: bool
) -> None:
    given = [nib.load(file) for file in files] if in_memory else files
    design = pd.DataFrame({"mean": np.ones(len(files))})
    model = SecondLevelModel().fit(given, design_matrix=design)
    inside = ~np.isnan(rows).all(axis=0) & (rows != 0).any(axis=0)
    np.testing.assert_array_equal(_values(model.mask_img_) != 0, inside)
    expected = scipy.stats.ttest_1samp(rows[:, inside], 0.0)
    # Sums in double, rounded to float32.
    for output, wanted in (
        ("effect_size", rows[:, inside].mean(axis=0)),
        ("stat", expected.statistic),
        ("p_value", scipy.stats.t.sf(expected.statistic, len(files) - 1)),
    ):
        image = model.compute_contrast("mean", output_type=output)
        assert isinstance(image, nib.Cifti2Image)
        assert image.dataobj.dtype == np.float32
        assert image.header.get_axis(1) == nib.load(files[0]).header.get_axis(1)
        found = _values(image)
        np.testing.assert_allclose(found[inside], wanted, rtol=1e-6, atol=1e-30)
        assert not found[~inside].any()


def test_results_are_files_that_nibabel_reads(files: list[Path], tmp_path: Path) -> None:
    model = SecondLevelModel().fit(files, design_matrix=pd.DataFrame({"mean": np.ones(36)}))
    image = model.compute_contrast("mean", output_type="stat")
    path = kind_of(image).save(image, tmp_path / "t.dscalar.nii")
    back = nib.load(path)
    np.testing.assert_array_equal(back.dataobj, image.dataobj)
    assert back.header.get_axis(1) == nib.load(files[0]).header.get_axis(1)
    assert back.nifti_header.get_intent()[0] == "ConnDenseScalar"
    assert list(back.header.get_axis(0).name) == ["t stat of contrast mean"]


def test_residuals_are_many_maps_in_memory_and_in_a_file(
    files: list[Path], rows: NDArray[np.float64], tmp_path: Path
) -> None:
    design = pd.DataFrame({"mean": np.ones(36), "trend": np.arange(36.0)})
    model = SecondLevelModel(minimize_memory=False).fit(files, design_matrix=design)
    image = model.residuals_
    X = design.to_numpy()
    inside = _values(model.mask_img_) != 0
    expected = rows[:, inside] - X @ np.linalg.lstsq(X, rows[:, inside], rcond=None)[0]
    found = image.get_fdata()
    assert found.shape == (36, N_PLACES)
    # Of float32, relative to the values.
    np.testing.assert_allclose(
        found[:, inside], expected, atol=1e-6 * np.abs(rows[:, inside]).max()
    )
    assert not found[:, ~inside].any()
    out = tmp_path / "residuals.dscalar.nii"
    (in_file,) = model.residuals(out=out)
    np.testing.assert_array_equal(in_file.dataobj, image.dataobj)
    # Several maps are the images of a model.
    again = SecondLevelModel(mask_img=model.mask_img_).fit(out, design_matrix=design)
    effect = again.compute_contrast("trend", output_type="effect_size")
    assert np.abs(_values(effect)).max() < 1e-6 * np.abs(rows[:, inside]).max()
