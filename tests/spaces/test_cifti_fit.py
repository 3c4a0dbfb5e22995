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

from groupglm import SecondLevelModel, non_parametric_inference, threshold_stats_img
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


def test_each_result_has_a_header_of_its_own(files: list[Path]) -> None:
    model = SecondLevelModel().fit(files, design_matrix=pd.DataFrame({"mean": np.ones(36)}))
    first = model.compute_contrast("mean")
    brain_model = next(iter(first.header.get_index_map(1).brain_models))
    brain_model.vertex_indices[0] = 99
    brain_model.brain_structure = "CIFTI_STRUCTURE_CEREBELLUM"
    second = model.compute_contrast("mean")
    assert second.header.get_axis(1) == nib.load(files[0]).header.get_axis(1)


def test_dscalars_may_be_in_a_table_of_maps(files: list[Path]) -> None:
    labels = [f"{number:02d}" for number in range(36)]
    table = pd.DataFrame(
        {"subject_label": labels, "map_name": "a", "effects_map_path": [str(f) for f in files]}
    )
    design = pd.DataFrame({"mean": np.ones(36)}, index=labels)
    found = SecondLevelModel().fit(table, design_matrix=design)
    plain = SecondLevelModel().fit(files, design_matrix=pd.DataFrame({"mean": np.ones(36)}))
    np.testing.assert_array_equal(
        found.compute_contrast("mean").dataobj, plain.compute_contrast("mean").dataobj
    )


def test_a_saved_map_says_what_it_is(files: list[Path], tmp_path: Path) -> None:
    model = SecondLevelModel().fit(files, design_matrix=pd.DataFrame({"mean": np.ones(36)}))
    t, z = (model.compute_contrast("mean", output_type=kind) for kind in ("stat", "z_score"))
    kind_of(t).rename_contrast(t, "the mean")
    for number, image in enumerate((t, kind_of(t).save(t, tmp_path / "a.dscalar.nii"))):
        statistic, contrast = kind_of(image).said_by_map(image)
        assert statistic is not None, number
        assert (statistic.kind, statistic.df, contrast) == ("t", (35.0,), "the mean")
    # Its degrees of freedom make z-scores of it, as of the map of z-scores.
    with pytest.warns(UserWarning, match="t statistics with 35 degrees of freedom.*converted"):
        kept, threshold = threshold_stats_img(t, alpha=0.01, height_control="fpr")
    wanted, _ = threshold_stats_img(z, alpha=0.01, height_control="fpr")
    assert kept is not None
    assert wanted is not None
    np.testing.assert_array_equal(kept.get_fdata() != 0, wanted.get_fdata() != 0)
    assert threshold == pytest.approx(scipy.stats.norm.isf(0.005))


def test_a_permutation_test_gives_images_too(files: list[Path], rows: NDArray[np.float64]) -> None:
    found: Any = non_parametric_inference(
        files, design_matrix=pd.DataFrame({"mean": np.ones(36)}), second_level_contrast="mean",
        n_perm=20, random_state=1,
    )  # fmt: skip
    inside = ~np.isnan(rows).all(axis=0) & (rows != 0).any(axis=0)
    p = 10 ** -_values(found)[inside]
    t = scipy.stats.ttest_1samp(rows[:, inside], 0.0).statistic
    assert p.min() == pytest.approx(1 / 21)
    assert np.all(np.diff(p[np.argsort(t)]) <= 1e-7)  # a larger t has no larger p


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_voxels_have_as_many_neighbours_as_is_asked_for(
    files: list[Path], connectivity: int
) -> None:
    _, space = kind_of(files[0]).open_map(files[0], "image")
    voxels: Any = space
    own = voxels.members["subcortex"]
    starts, places = own.neighbours(connectivity).adjacency()
    ijk = own.layout(np.arange(own.n_values))
    distance = np.abs(ijk[:, None] - ijk[None])
    beside = (distance.max(axis=2) == 1) & (
        distance.sum(axis=2) <= {6: 1, 18: 2, 26: 3}[connectivity]
    )
    np.testing.assert_array_equal(np.diff(starts), beside.sum(axis=1))
    first = np.repeat(np.arange(own.n_values), np.diff(starts))
    assert beside[first, places].all()


def test_a_mask_of_another_kind_is_called_by_its_file(files: list[Path], tmp_path: Path) -> None:
    mask = tmp_path / "mask.nii.gz"
    with pytest.raises(TypeError, match=r"mask\.nii\.gz.* must be an image of grayordinates"):
        threshold_stats_img(files[0], mask, threshold=3.0, height_control=None)
