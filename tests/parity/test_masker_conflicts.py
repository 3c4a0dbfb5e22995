# SPDX-License-Identifier: BSD-3-Clause
"""A masker in the place of a mask, beside nilearn: whose options apply, and which mask is found."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import second_level as nilearn_models
from nilearn.maskers import (
    MultiNiftiMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
)

import groupglm
from groupglm import SecondLevelModel, smooth_img, threshold_stats_img

SHAPE = (18, 20, 17)
AFFINE = np.array([[-3.0, 0, 0, 25], [0, 3, 0, -28], [0, 0, 3, -24], [0, 0, 0, 1]])
N = 8
DESIGN = pd.DataFrame({"intercept": np.ones(N)})
COARSE = np.diag([4.0, 4.0, 4.0])


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


def brain() -> Any:
    """An ellipsoid that lies to one side, and beside it a lump that is not connected."""
    where = np.indices(SHAPE) - np.array([8.0, 10.5, 8.0])[:, None, None, None]
    inside = ((where / np.array([5.0, 6.0, 4.5])[:, None, None, None]) ** 2).sum(axis=0) < 1
    inside[15:17, 15:17, 13:15] = True
    return inside


@pytest.fixture(scope="module")
def images() -> list[Any]:
    """Noise around zero outside, as of images that were not cut to the brain."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(N):
        noise = smooth_img(image(rng.normal(size=SHAPE).astype(np.float32)), 6.0).get_fdata()
        values = np.where(brain(), 10 + 3 * noise, 0.2 * np.abs(noise))
        found.append(image(values.astype(np.float32)))
    return found


@pytest.fixture(scope="module")
def mask() -> Any:
    return image(brain().astype(np.uint8))


def unfitted(masker: Any) -> Any:
    return masker


def fitted(masker: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return masker.fit()


def told(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what a call returns, and what its warnings say of options of a masker."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    words: list[str] = []
    for each in caught:
        said = str(each.message)
        if said.startswith("Overriding provided-default estimator parameters with provided masker"):
            # nilearn says this of every masker, because a masker is not the mask that it has.
            said = re.sub(r"(?s)Parameter mask_img :.*?(?=\nParameter (?!mask_img)|$)", "", said)
            words += [line.strip() for line in said.splitlines()[1:] if line.strip()]
        elif "masker" in said:
            words.append(said)
    return found, words


CONFLICTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none": ({}, {}),
    "smoothing of both": ({"smoothing_fwhm": 4.0}, {"smoothing_fwhm": 9.0}),
    "one smoothing": ({"smoothing_fwhm": 4.0}, {"smoothing_fwhm": 4.0}),
    "smoothing of the masker": ({"smoothing_fwhm": 4.0}, {}),
    "smoothing of the model": ({}, {"smoothing_fwhm": 9.0}),
    "grid of the masker": ({"target_affine": COARSE}, {}),
    "grid of the model": ({}, {"target_affine": COARSE}),
    "grids of both": ({"target_affine": COARSE}, {"target_affine": 1.5 * COARSE}),
    "several": ({"target_affine": COARSE, "smoothing_fwhm": 5.0}, {"smoothing_fwhm": 9.0}),
    "other words": ({"verbose": 1, "reports": False}, {"verbose": 0}),
}


@pytest.mark.parametrize("prepare", [unfitted, fitted])
@pytest.mark.parametrize("case", CONFLICTS)
def test_the_model_takes_the_options_of_the_masker(
    images: list[Any], mask: Any, case: str, prepare: Callable[[Any], Any]
) -> None:
    of_masker, of_model = CONFLICTS[case]

    def fit(kind: Any) -> Any:
        masker = prepare(NiftiMasker(mask_img=mask, standardize=None, **of_masker))
        return kind(mask_img=masker, **of_model).fit(images, design_matrix=DESIGN)

    ours, our_words = told(lambda: fit(SecondLevelModel))
    theirs, their_words = told(lambda: fit(nilearn_models.SecondLevelModel))
    # A report of the masker is not something that we make.
    kept = [
        line
        for before, line in zip(["", *their_words], [*their_words, ""], strict=False)
        if "reports" not in line and "Parameter reports" not in before
    ]
    assert our_words == [line for line in kept if line]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.compute_contrast(output_type="effect_size").get_fdata()
        np.testing.assert_array_equal(
            ours.mask_img_.get_fdata(), theirs.masker_.mask_img_.get_fdata()
        )
    found = ours.compute_contrast(output_type="effect_size").get_fdata()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    assert ours.masker_.smoothing_fwhm == theirs.masker_.smoothing_fwhm


PERMUTED: dict[str, tuple[float | None, float | None]] = {
    "both": (2.0, 8.0),
    "one width": (8.0, 8.0),
    "the masker": (8.0, None),
    "neither": (None, None),
}


@pytest.mark.parametrize("prepare", [unfitted, fitted])
@pytest.mark.parametrize("case", PERMUTED)
def test_permutations_take_the_smoothing_that_is_given(
    images: list[Any], mask: Any, case: str, prepare: Callable[[Any], Any]
) -> None:
    of_masker, given = PERMUTED[case]

    def permute(function: Any) -> Any:
        masker = prepare(NiftiMasker(mask_img=mask, standardize=None, smoothing_fwhm=of_masker))
        return function(
            images, design_matrix=DESIGN, second_level_contrast="intercept", mask=masker,
            smoothing_fwhm=given, n_perm=4, threshold=0.01, random_state=0,
        )["t"].get_fdata()  # fmt: skip

    ours, our_words = told(lambda: permute(groupglm.non_parametric_inference))
    theirs, their_words = told(lambda: permute(nilearn_models.non_parametric_inference))
    assert our_words == their_words
    assert our_words == (
        ["Parameter 'smoothing_fwhm' of the masker overridden."] if of_masker and given else []
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_smoothing_that_a_masker_has_not_is_not_dropped_in_silence(
    images: list[Any], mask: Any
) -> None:
    options: dict[str, Any] = {
        "design_matrix": DESIGN, "second_level_contrast": "intercept", "n_perm": 0,
    }  # fmt: skip
    masker = NiftiMasker(mask_img=mask, standardize=None)
    found, words = told(
        lambda: groupglm.non_parametric_inference(
            images, mask=masker, smoothing_fwhm=8.0, **options
        )
    )
    assert words == [
        "Parameter smoothing_fwhm :",
        "Masker parameter None - overriding estimator parameter 8.0",
    ]
    plain: Any = groupglm.non_parametric_inference(images, mask=mask, **options)
    np.testing.assert_array_equal(found["t"].get_fdata(), plain["t"].get_fdata())


METHODS: dict[str, dict[str, Any]] = {
    "epi": {"mask_strategy": "epi"},
    "epi, not opened": {"mask_strategy": "epi", "mask_args": {"opening": 0, "exclude_zeros": True}},
    "background, opened": {"mask_args": {"opening": 1, "connected": True}},
    "background, all parts": {"mask_args": {"opening": False, "connected": False}},
    "template": {"mask_strategy": "whole-brain-template"},
}


def cut(images: list[Any]) -> list[Any]:
    return [image(np.where(brain(), each.get_fdata(), 0).astype(np.float32)) for each in images]


@pytest.mark.parametrize("kind", [NiftiMasker, MultiNiftiMasker])
@pytest.mark.parametrize("method", METHODS)
def test_a_masker_that_is_not_fitted_finds_its_own_mask(
    images: list[Any], method: str, kind: Any
) -> None:
    given = cut(images) if method.startswith("background") else images
    masker = kind(standardize=None, **METHODS[method])
    model = SecondLevelModel(mask_img=masker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what nilearn says of its templates
        model.fit(given, design_matrix=DESIGN)
        theirs = nilearn_models.SecondLevelModel(
            mask_img=NiftiMasker(standardize=None, **METHODS[method])
        ).fit(given, design_matrix=DESIGN)
    wanted = theirs.masker_.mask_img_.get_fdata()
    assert 100 < wanted.sum() < 3000
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), wanted)
    assert not hasattr(masker, "mask_img_")  # the user's own is as it was
    # The method says what is inside, not the default.
    default = SecondLevelModel().fit(given, design_matrix=DESIGN).mask_img_.get_fdata()
    assert method in ("background, all parts",) or not np.array_equal(default, wanted)


@pytest.mark.parametrize(
    "options",
    [{"smoothing_fwhm": 5.0}, {"target_affine": COARSE}, {"target_affine": COARSE, "verbose": 1}],
)
def test_its_mask_is_that_of_the_images_as_they_are(
    images: list[Any], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    masker = NiftiMasker(standardize=None, mask_strategy="epi", **options)
    model, _ = told(lambda: SecondLevelModel(mask_img=masker).fit(images, design_matrix=DESIGN))
    assert not capsys.readouterr().out
    theirs, _ = told(
        lambda: nilearn_models.SecondLevelModel(mask_img=masker).fit(images, design_matrix=DESIGN)
    )
    wanted = theirs.masker_.mask_img_
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), wanted.get_fdata())
    np.testing.assert_allclose(model.mask_img_.affine, wanted.affine)
    ours: Any = groupglm.non_parametric_inference(
        images, design_matrix=DESIGN, second_level_contrast="intercept", mask=masker, n_perm=0
    )
    stat = model.compute_contrast(output_type="stat").get_fdata()
    np.testing.assert_allclose(ours["t"].get_fdata(), stat, rtol=1e-6)


def test_its_mask_has_the_voxels_that_enough_images_have(images: list[Any]) -> None:
    """As the mask that we find; nilearn leaves out what one image lacks (a listed difference)."""
    holed = [image(each.get_fdata().astype(np.float32)) for each in images]
    for each in holed[: N - 2]:
        each.dataobj[8, 10, 8] = np.nan
    for each in holed[: N - 1]:
        each.dataobj[7, 11, 8] = np.nan  # no residual degree of freedom
    masker = NiftiMasker(standardize=None, mask_strategy="epi", mask_args={"opening": 0})
    model = SecondLevelModel(mask_img=masker).fit(holed, design_matrix=DESIGN)

    def nilearn_mask(given: list[Any]) -> Any:
        own = nilearn_models.SecondLevelModel(mask_img=masker)
        fit, _ = told(lambda: own.fit(given, design_matrix=DESIGN))
        return fit.masker_.mask_img_.get_fdata()

    wanted = nilearn_mask(images)
    wanted[7, 11, 8] = 0
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), wanted)
    wanted[8, 10, 8] = 0
    np.testing.assert_array_equal(nilearn_mask(holed), wanted)


def test_the_cache_of_a_masker_is_not_used(images: list[Any], mask: Any, tmp_path: Path) -> None:
    """Nor does nilearn use it: the model's own takes its place."""
    for masker in (
        NiftiMasker(mask_img=mask, standardize=None, memory=str(tmp_path / "own")),
        NiftiMasker(mask_strategy="epi", standardize=None, memory=str(tmp_path / "own")),
    ):
        told(lambda given=masker: SecondLevelModel(given).fit(images, design_matrix=DESIGN))  # type: ignore[misc]
        assert not list(tmp_path.glob("own/**/*.pkl"))


def test_a_masker_that_is_fitted_keeps_its_mask(images: list[Any]) -> None:
    masker = NiftiMasker(standardize=None, mask_strategy="epi", mask_args={"opening": 0})
    told(lambda: masker.fit(image(np.pad(np.ones((6, 6, 6)), ((5, 7), (6, 8), (5, 6))))))
    for model in (SecondLevelModel(masker), nilearn_models.SecondLevelModel(masker)):
        fit, _ = told(lambda own=model: own.fit(images, design_matrix=DESIGN))  # type: ignore[misc]
        np.testing.assert_array_equal(
            fit.masker_.mask_img_.get_fdata(), masker.mask_img_.get_fdata()
        )


def test_a_map_of_results_takes_the_mask_of_a_masker_and_nothing_else(
    images: list[Any], mask: Any
) -> None:
    model = SecondLevelModel(mask, smoothing_fwhm=5.0).fit(images, design_matrix=DESIGN)
    z = model.compute_contrast()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # its smoothing is no conflict: nothing is smoothed here
        found, threshold = threshold_stats_img(z, model.masker_)
        wanted, same = threshold_stats_img(z, mask)
    assert threshold == same
    assert found is not None
    assert wanted is not None
    np.testing.assert_array_equal(found.get_fdata(), wanted.get_fdata())
    masker = NiftiMasker(mask_strategy="epi", standardize=None)
    with pytest.raises(ValueError, match=r"mask_strategy='epi' .* fit it on an image first"):
        threshold_stats_img(z, masker)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("kind", [NiftiLabelsMasker, NiftiMapsMasker, NiftiSpheresMasker])
def test_a_masker_of_regions_is_refused(
    images: list[Any], mask: Any, kind: Any, *, fitted: bool
) -> None:
    regions = [(0.0, 0.0, 0.0)] if kind is NiftiSpheresMasker else mask
    if kind is NiftiMapsMasker:
        regions = image(brain().astype(np.float32)[..., None])
    masker = kind(regions, standardize=None)
    if fitted:
        told(masker.fit)
    for models, test in ((nilearn_models, "mask"), (groupglm, "mask_img")):
        with pytest.raises(TypeError, match=f"'{test}' must be "):
            models.SecondLevelModel(mask_img=masker).fit(images, design_matrix=DESIGN)
    with pytest.raises(TypeError, match=f"mask is a {kind.__name__}; .* the image of the regions"):
        groupglm.non_parametric_inference(images, design_matrix=DESIGN, mask=masker, n_perm=20)
    z = SecondLevelModel(mask).fit(images, design_matrix=DESIGN).compute_contrast()
    with pytest.raises(TypeError, match=f"mask_img is a {kind.__name__}"):
        threshold_stats_img(z, masker)
