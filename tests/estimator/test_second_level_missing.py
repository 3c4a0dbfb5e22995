# SPDX-License-Identifier: BSD-3-Clause
"""Missing values through the estimator, and the maps that need the images again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, fit_ols
from groupglm.errors import ImageError

SHAPE = (6, 7, 8)
N = 12


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0]))  # type: ignore[no-untyped-call]


@pytest.fixture
def data() -> Any:
    """Float32 volumes, two of which lack some voxels."""
    values = np.random.default_rng(0).normal(5, 1, (N, *SHAPE)).astype(np.float32)
    values[0, :2] = np.nan
    values[1, 1:3, 0] = np.nan
    return values


@pytest.fixture
def design() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({"intercept": np.ones(N), "age": rng.normal(size=N)})


MASK = image(np.ones(SHAPE, np.uint8))


def fitted(data: Any, design: pd.DataFrame, **options: Any) -> SecondLevelModel:
    model = SecondLevelModel(mask_img=MASK, **options)
    return model.fit([image(volume) for volume in data], design_matrix=design)


def rows(data: Any) -> Any:
    """The data matrix, in file order."""
    return np.stack([volume.ravel(order="F") for volume in data])


def volume(row: Any) -> Any:
    return np.asarray(row).reshape(SHAPE, order="F")


def test_missing_values_are_left_out(data: Any, design: pd.DataFrame) -> None:
    model = fitted(data, design)
    stat = model.compute_contrast("age", output_type="stat").get_fdata()
    wanted = fit_ols(design.to_numpy(), rows(data)).contrast([0, 1])
    np.testing.assert_allclose(stat, volume(wanted.stat), rtol=1e-6)
    present = np.isfinite(data).sum(axis=0)
    np.testing.assert_array_equal(model.n_observations_.get_fdata(), present)
    np.testing.assert_array_equal(model.df_residual_.get_fdata(), present - 2)


def test_a_voxel_without_data_in_one_group_is_nan(data: Any, design: pd.DataFrame) -> None:
    design = design.assign(group=np.repeat([0.0, 1.0], N // 2))
    data[N // 2 :, 3, 3, 3] = np.nan
    z = fitted(data, design).compute_contrast("group").get_fdata()
    assert np.isnan(z[3, 3, 3])
    assert np.isfinite(np.delete(z.ravel(), np.ravel_multi_index((3, 3, 3), SHAPE))).all()


def test_intersect_and_raise(data: Any, design: pd.DataFrame) -> None:
    everywhere = np.isfinite(data).all(axis=0)
    model = fitted(data, design, missing="intersect")
    assert model.n_elements_ == everywhere.sum()
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), everywhere)
    stat = model.compute_contrast("age", output_type="stat").get_fdata()
    wanted = fit_ols(design.to_numpy(), rows(data)).contrast([0, 1])
    np.testing.assert_allclose(stat, np.where(everywhere, volume(wanted.stat), 0), rtol=1e-6)

    lacking = int((~everywhere).sum())
    with pytest.raises(ValueError, match=f"missing='raise', and {lacking} of {data[0].size} vox"):
        fitted(data, design, missing="raise")
    with pytest.raises(ValueError, match="'drop'; 'missing' must be one of 'omit', 'zero'"):
        fitted(data, design, missing="drop")
    complete = np.where(np.isnan(data), np.float32(1), data)
    fitted(complete, design, missing="raise")
    data[0] = np.nan
    data[0, 0, 0, 0] = 1.0
    data[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="missing='intersect' leaves no voxel"):
        fitted(data, design, missing="intersect")


def test_residuals_of_missing_values(data: Any, design: pd.DataFrame) -> None:
    residuals = fitted(data, design, minimize_memory=False).residuals_.get_fdata()
    np.testing.assert_array_equal(np.isnan(residuals), np.isnan(np.moveaxis(data, 0, -1)))
    fit = fit_ols(design.to_numpy(), rows(data))
    wanted = fit.residuals(None, rows(data))
    np.testing.assert_allclose(residuals[..., 3], volume(wanted[3]), atol=2e-6)
    as_zero = fitted(data, design, minimize_memory=False, missing="zero").residuals_.get_fdata()
    assert np.isfinite(as_zero).all()


def test_minimize_memory_refuses_voxelwise_maps(data: Any, design: pd.DataFrame) -> None:
    model = fitted(data, design)
    for name in ("residuals_", "predicted_", "r_square_"):
        with pytest.raises(AttributeError, match="`minimize_memory` to `False`"):
            getattr(model, name)
    with pytest.raises(AttributeError, match="not fitted"):
        _ = SecondLevelModel(minimize_memory=False).residuals_


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mgz"])
def test_a_file_that_was_changed_after_the_fit_is_not_read_again(
    ending: str, data: Any, design: pd.DataFrame, tmp_path: Path
) -> None:
    paths = [tmp_path / f"sub-{i:02}{ending}" for i in range(N)]
    for path, values in zip(paths, data, strict=True):
        nib.save(image(values) if ending != ".mgz" else mgh(values), path)
    model = SecondLevelModel(mask_img=MASK, minimize_memory=False).fit(paths, design_matrix=design)
    assert len(model.residuals()) == 1

    changed = paths[3]
    nib.save(image(data[3] + 1) if ending != ".mgz" else mgh(data[3] + 1), changed)
    for door in (model.residuals, model.generate_report):
        with pytest.raises(ImageError, match=f"{changed.name}: the file was changed after"):
            door()
    assert len(model.predicted()) == 1  # it needs no image


def mgh(values: Any) -> Any:
    return nib.MGHImage(values, MASK.affine)  # type: ignore[no-untyped-call]


def test_places_without_degrees_of_freedom_are_a_warning(design: pd.DataFrame) -> None:
    """Where no two images share a place: no variance can be estimated, and statistics are NaN."""
    values = np.full((N, *SHAPE), np.nan, np.float32)
    values[:, :3] = np.random.default_rng(2).normal(5, 1, (N, 3, *SHAPE[1:]))
    values[0, 3:] = 1.0
    n_alone = 3 * SHAPE[1] * SHAPE[2]
    n = int(np.prod(SHAPE))
    with pytest.warns(
        UserWarning, match=f"^{n_alone} of {n} voxels have no residual degrees of freedom"
    ):
        model = fitted(values, design[["intercept"]])
    z = np.asarray(model.compute_contrast("intercept").dataobj)
    assert np.count_nonzero(np.isnan(z)) == n_alone


def test_one_image_in_memory_for_several_subjects_is_a_warning() -> None:
    """Its copies have no variance: their z is infinite, and it was given in silence."""
    one = image(np.random.default_rng(0).normal(5, 1, SHAPE).astype(np.float32))
    other = image(np.random.default_rng(1).normal(5, 1, SHAPE).astype(np.float32))
    matrix = pd.DataFrame({"intercept": np.ones(4)})
    with pytest.warns(
        UserWarning,
        match=r"images 1 and 3 of second_level_input are one image in memory \(and 1 more\)",
    ):
        SecondLevelModel(MASK).fit([one, other, one, one], design_matrix=matrix)
    table = pd.DataFrame({"subject_label": ["a", "b"], "map_name": "x"})
    with pytest.raises(ValueError, match="one image in memory for the maps of subject 'a' and 'b'"):
        SecondLevelModel(MASK).fit(table.assign(effects_map_path=[one, one]))
