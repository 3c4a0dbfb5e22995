# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing and resampling in the estimator, against nilearn's and against our own functions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import SecondLevelModel
from groupglm.errors import GridMismatchError, ImageError, ZeroValuesWarning

SHAPE = (24, 26, 22)
AFFINE = np.array([[-2.0, 0, 0, 20], [0, 2.0, 0, -24], [0, 0, 2.0, -18], [0, 0, 0, 1.0]])
OBLIQUE = AFFINE.copy()
OBLIQUE[:3, :3] = AFFINE[:3, :3] @ np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.1]])
N = 9
DESIGN = pd.DataFrame({"intercept": np.ones(N), "dose": np.linspace(-1, 1, N)})
OUTPUTS = ("effect_size", "effect_variance", "stat", "z_score", "p_value")


def image(values: Any, affine: Any = AFFINE) -> Any:
    return nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]


def brain() -> Any:
    where = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    return (where**2).sum(axis=0) < 81.0


def values(seed: int) -> Any:
    noise = np.random.default_rng(seed).normal(3, 1, SHAPE)
    smooth = groupglm.smooth_img(image(noise.astype(np.float32)), 5.0).get_fdata()
    return np.where(brain(), smooth, 0).astype(np.float32)


@pytest.fixture(scope="module")
def images() -> list[Any]:
    return [image(values(seed)) for seed in range(N)]


@pytest.fixture(scope="module")
def mask() -> Any:
    return image(brain().astype(np.uint8))


def nilearn_maps(images: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Theirs(**options).fit(images, design_matrix=DESIGN)
        return model, model.compute_contrast("dose", output_type="all")


CASES: dict[str, dict[str, Any]] = {
    "smoothed": {"smoothing_fwhm": 6.0},
    "3 mm": {"target_affine": np.diag([3.0, 3.0, 3.0])},
    "3 mm, flipped": {"target_affine": np.diag([-3.0, 3.0, 3.0])},
    "4x4 and shape": {"target_affine": OBLIQUE, "target_shape": (20, 22, 21)},
    "both": {"target_affine": np.diag([3.0, 3.0, 3.0]), "smoothing_fwhm": 7.0},
}


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_prepared_images_equal_nilearn(
    images: list[Any], mask: Any, case: str, given: bool
) -> None:
    options = dict(CASES[case])
    if given:
        options["mask_img"] = mask
    model = SecondLevelModel(n_jobs=2, **options).fit(images, design_matrix=DESIGN)
    theirs, wanted = nilearn_maps(images, **options)
    their_mask = theirs.masker_.mask_img_
    assert model.mask_img_.shape == their_mask.shape
    np.testing.assert_allclose(model.mask_img_.affine, their_mask.affine, atol=1e-12)
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), their_mask.get_fdata())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = theirs.masker_.transform(images)
    assert np.abs(model.masker_.transform(images) - rows).max() <= 1e-4 * np.ptp(rows)
    found = model.compute_contrast("dose", output_type="all")
    inside = their_mask.get_fdata() > 0
    for name in OUTPUTS:
        a, b = found[name].get_fdata()[inside], wanted[name].get_fdata()[inside]
        # An error of 1e-6 of the range in a row is 1e-4 of the residual, at most.
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-3 * np.abs(b).max(), err_msg=name)


def test_each_axis_has_a_width_of_its_own(images: list[Any], mask: Any) -> None:
    """nilearn's smooth_img takes such widths, its model does not."""
    widths = [4.0, 6.0, 8.0]
    model = SecondLevelModel(mask_img=mask, smoothing_fwhm=widths)
    rows = model.fit_transform(images, design_matrix=DESIGN)
    wanted = groupglm.smooth_img(images[3], widths).get_fdata()
    np.testing.assert_array_equal(rows[3], wanted[brain()])


def test_a_maskers_smoothing_and_grid_are_used(images: list[Any], mask: Any) -> None:
    from nilearn.maskers import NiftiMasker

    options = CASES["both"]
    masker = NiftiMasker(mask_img=mask, **options)
    with pytest.warns(UserWarning, match=r"(?s)Overriding .*smoothing_fwhm :.*Masker parameter 7"):
        theirs = SecondLevelModel(mask_img=masker).fit(images, design_matrix=DESIGN)
    ours = SecondLevelModel(mask_img=mask, **options).fit(images, design_matrix=DESIGN)
    np.testing.assert_array_equal(
        theirs.compute_contrast("dose").get_fdata(), ours.compute_contrast("dose").get_fdata()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing conflicts
        SecondLevelModel(mask_img=masker, **options).fit(images, design_matrix=DESIGN)


def test_missing_values_are_left_out_of_the_smoothing(images: list[Any], mask: Any) -> None:
    """The present voxels are averaged; nilearn includes a zero for the missing one."""
    holes = [image(img.get_fdata().astype(np.float32)) for img in images]
    holes[2].dataobj[10:13, 11:14, 10:13] = np.nan
    model = SecondLevelModel(mask_img=mask, smoothing_fwhm=6.0).fit(holes, design_matrix=DESIGN)
    rows = model.transform(holes)
    wanted = groupglm.smooth_img(holes[2], 6.0).get_fdata()
    np.testing.assert_array_equal(rows[2], wanted[brain()])
    assert np.isnan(rows[2]).sum() == 27
    assert model.n_observations_.get_fdata()[10, 12, 11] == N - 1
    beside = model.masker_.inverse_transform(rows[2]).get_fdata()[9, 12, 11]
    whole = SecondLevelModel(mask_img=mask, smoothing_fwhm=6.0).fit(images, design_matrix=DESIGN)
    full = whole.masker_.inverse_transform(whole.transform(images)[2]).get_fdata()[9, 12, 11]
    assert abs(beside - full) < 0.05 * full

    zeroed = SecondLevelModel(mask_img=mask, smoothing_fwhm=6.0, missing="zero")
    zeroed.fit(holes, design_matrix=DESIGN)
    theirs, _ = nilearn_maps(holes, mask_img=mask, smoothing_fwhm=6.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = theirs.masker_.inverse_transform(theirs.masker_.transform(holes[2])).get_fdata()
    ours = zeroed.masker_.inverse_transform(zeroed.transform(holes)[2]).get_fdata()
    np.testing.assert_allclose(ours[9, 12, 11], back[9, 12, 11], rtol=1e-5)
    assert abs(back[9, 12, 11] - full) > 0.05 * full


def test_images_on_different_grids_meet_on_the_target(images: list[Any], mask: Any) -> None:
    moved = [*images[:-1], groupglm.resample_img(images[-1], OBLIQUE)]
    with pytest.raises(GridMismatchError, match="not on the grid of image 1"):
        SecondLevelModel(mask_img=mask).fit(moved, design_matrix=DESIGN)
    for mask_img in (mask, None):
        model = SecondLevelModel(mask_img=mask_img, target_affine=np.diag([3.0, 3.0, 3.0]))
        # The moved image is zero where its new grid reaches beyond the old one.
        with pytest.warns(ZeroValuesWarning, match="exactly zero in some images"):
            model.fit(moved, design_matrix=DESIGN)
        assert model.mask_img_.shape == (17, 18, 15)
        for img in (moved[0], moved[-1]):
            there = groupglm.resample_to(img, model.mask_img_).get_fdata()
            wanted = there[model.mask_img_.get_fdata() > 0]
            clipped = (wanted < 0) | (wanted > 3.4)  # into the range of all images, by the model
            found = model.transform([img])[0]
            # Beyond its field of view an image has no value, where `resample_to` fills in zero.
            absent = np.isnan(found)
            assert (wanted[absent] == 0).all()
            kept = ~clipped & ~absent
            np.testing.assert_allclose(found[kept], wanted[kept], atol=1e-5)


def test_residuals_are_of_the_smoothed_images(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=mask, smoothing_fwhm=6.0, minimize_memory=False)
    model.fit(images, design_matrix=DESIGN)
    smooth = [groupglm.smooth_img(img, 6.0) for img in images]
    plain = SecondLevelModel(mask_img=mask, minimize_memory=False).fit(smooth, design_matrix=DESIGN)
    np.testing.assert_allclose(
        model.residuals_.get_fdata(), plain.residuals_.get_fdata(), atol=1e-5
    )


def test_cached_rows_know_their_smoothing(tmp_path: Path, images: list[Any], mask: Any) -> None:
    for fwhm in (None, 4.0, 6.0, 4.0):
        cached = SecondLevelModel(mask_img=mask, smoothing_fwhm=fwhm, memory=tmp_path / "cache")
        plain = SecondLevelModel(mask_img=mask, smoothing_fwhm=fwhm)
        np.testing.assert_array_equal(
            cached.fit(images, design_matrix=DESIGN).compute_contrast("dose").get_fdata(),
            plain.fit(images, design_matrix=DESIGN).compute_contrast("dose").get_fdata(),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing_fwhm": -1.0}, "fwhm is -1.0"),
        ({"smoothing_fwhm": "fast"}, "fwhm is 'fast'"),
        ({"target_shape": (5, 5, 5)}, "target_affine should be specified too"),
        ({"target_affine": np.zeros((3, 3))}, "singular"),
    ],
)
def test_nonsense_is_refused_before_anything_is_read(
    images: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SecondLevelModel(**options).fit(images, design_matrix=DESIGN)


def test_infinite_values_do_not_spread(images: list[Any], mask: Any) -> None:
    bad = [image(img.get_fdata().astype(np.float32)) for img in images]
    bad[4].dataobj[12, 12, 12] = np.inf
    with pytest.raises(ImageError, match="image 5 in memory: 1 infinite value, which smoothing"):
        SecondLevelModel(mask_img=mask, smoothing_fwhm=6.0).fit(bad, design_matrix=DESIGN)
