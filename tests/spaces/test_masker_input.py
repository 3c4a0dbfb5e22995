# SPDX-License-Identifier: BSD-3-Clause
"""A masker in the place of a mask image: nilearn's for real, and our own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import MultiNiftiMasker, NiftiMasker

from groupglm import SecondLevelModel

SHAPE = (9, 10, 11)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
N = 8
DESIGN = pd.DataFrame({"intercept": np.ones(N), "dose": np.linspace(-1, 1, N)})


def image(values: Any) -> Any:
    return nib.Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


@pytest.fixture
def mask() -> Any:
    inside = np.zeros(SHAPE, np.uint8)
    inside[2:7, 3:8, 2:9] = 1
    return image(inside)


@pytest.fixture
def images(mask: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    inside = mask.get_fdata()
    return [image((inside * rng.normal(3, 1, SHAPE)).astype(np.float32)) for _ in range(N)]


def fitted(masker: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of plotting packages that are absent
        return masker.fit()


def same(masker: Any) -> Any:
    return masker


@pytest.mark.parametrize("kind", [NiftiMasker, MultiNiftiMasker])
@pytest.mark.parametrize("prepare", [fitted, same])
def test_the_mask_of_a_masker(
    images: list[Any], mask: Any, kind: Any, prepare: Callable[[Any], Any]
) -> None:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    ours = SecondLevelModel(mask_img=prepare(kind(mask_img=mask))).fit(images, design_matrix=DESIGN)
    np.testing.assert_array_equal(ours.mask_img_.get_fdata(), mask.get_fdata())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Theirs(mask_img=prepare(kind(mask_img=mask))).fit(images, design_matrix=DESIGN)
        wanted = theirs.compute_contrast("dose", output_type="stat").get_fdata()
    found = ours.compute_contrast("dose", output_type="stat").get_fdata()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_our_own_masker_fits_the_same_voxels(images: list[Any], mask: Any) -> None:
    first = SecondLevelModel(mask_img=mask).fit(images, design_matrix=DESIGN)
    second = SecondLevelModel(mask_img=first.masker_).fit(images[::-1], design_matrix=DESIGN)
    np.testing.assert_array_equal(second.mask_img_.get_fdata(), mask.get_fdata())


def test_an_unfitted_masker_without_a_mask_finds_one(images: list[Any], mask: Any) -> None:
    model = SecondLevelModel(mask_img=NiftiMasker()).fit(images, design_matrix=DESIGN)
    np.testing.assert_array_equal(model.mask_img_.get_fdata(), mask.get_fdata())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardize": "zscore_sample"}, "standardize='zscore_sample', which would treat subj"),
        ({"detrend": True}, "detrend=True"),
        ({"low_pass": 0.1, "t_r": 2.0}, r"low_pass=0\.1"),
    ],
)
def test_a_masker_made_for_time_series_is_refused(
    images: list[Any], mask: Any, options: dict[str, Any], message: str
) -> None:
    """Nilearn would detrend or standardise across subjects without a word."""
    model = SecondLevelModel(mask_img=NiftiMasker(mask_img=mask, **options))
    with pytest.raises(ValueError, match=message):
        model.fit(images, design_matrix=DESIGN)


@pytest.mark.parametrize("what", [3, {"a": 1}, np.ones(SHAPE)])
def test_what_is_neither_mask_nor_masker(images: list[Any], what: Any) -> None:
    with pytest.raises(TypeError, match=r"'mask_img' must be an image, a file name"):
        SecondLevelModel(mask_img=what).fit(images, design_matrix=DESIGN)
