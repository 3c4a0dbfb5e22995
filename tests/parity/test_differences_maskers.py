# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: maskers.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.second_level import non_parametric_inference as nilearn_inference
from nilearn.maskers import NiftiMasker
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import groupglm
from groupglm import SecondLevelModel
from reference.oracle import N_IMAGES, SHAPE, brain, image, mask_image, nilearn_fit, volumes

DESIGN = pd.DataFrame({"intercept": np.ones(N_IMAGES)})
OPTIONS: dict[str, Any] = {
    "design_matrix": DESIGN, "second_level_contrast": "intercept", "n_perm": 20, "random_state": 0,
    "threshold": 0.01,
}  # fmt: skip


def images() -> list[Any]:
    return [image(volume) for volume in volumes()]


def masker(**options: Any) -> Any:
    return NiftiMasker(standardize=None, **options)


def smaller() -> Any:
    """An image with a brain that lacks a part."""
    values = np.where(brain(), 1.0, 0.0)
    values[: SHAPE[0] // 2] = 0
    assert 0 < values.sum() < brain().sum()
    return image(values)


def by_nilearn(mask: Any, **options: Any) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = nilearn_inference(images(), mask=mask, **OPTIONS, **options)["t"].get_fdata()
    assert not [each for each in caught if "masker" in str(each.message)]
    return found


def ours(mask: Any, **options: Any) -> Any:
    found: Any = groupglm.non_parametric_inference(images(), mask=mask, **OPTIONS, **options)
    return found["t"].get_fdata()


def test_masker_without_a_conflict() -> None:
    given = masker(mask_img=mask_image(), smoothing_fwhm=5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SecondLevelModel(given, smoothing_fwhm=5.0).fit(images(), design_matrix=DESIGN)
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    with pytest.warns(UserWarning, match="Parameter mask_img :\n    Masker parameter") as caught:
        Theirs(given, smoothing_fwhm=5.0).fit(images(), design_matrix=DESIGN)
    said = [str(each.message) for each in caught if "Overriding" in str(each.message)]
    assert ["\nParameter smoothing_fwhm" in text for text in said] == [False]


def test_fitted_masker_permuted() -> None:
    given = masker()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given.fit(smaller())
    own = given.mask_img_.get_fdata() > 0
    assert own.sum() < brain().sum()
    np.testing.assert_array_equal(by_nilearn(given) != 0, brain())
    np.testing.assert_array_equal(ours(given) != 0, own)
    model = SecondLevelModel(given).fit(images(), design_matrix=DESIGN)
    theirs = nilearn_fit(images(), DESIGN, mask_img=given)
    for mask in (model.mask_img_, theirs.masker_.mask_img_):
        np.testing.assert_array_equal(mask.get_fdata() > 0, own)


def test_masker_that_does_not_smooth() -> None:
    given = masker(mask_img=mask_image())
    np.testing.assert_array_equal(by_nilearn(given), by_nilearn(given, smoothing_fwhm=8.0))
    with pytest.warns(UserWarning, match=r"smoothing_fwhm :\n    Masker parameter None - over"):
        found = ours(given, smoothing_fwhm=8.0)
    np.testing.assert_array_equal(found, ours(given))


def test_fitting_the_masker_again() -> None:
    model = SecondLevelModel().fit(images(), design_matrix=DESIGN)
    theirs = nilearn_fit(images(), DESIGN)
    assert model.masker_.fit_transform([smaller()]).shape == (1, brain().sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = theirs.masker_.fit_transform([smaller()])
    assert rows.shape[1] == np.count_nonzero(smaller().get_fdata()) < brain().sum()


def test_options_of_the_masker() -> None:
    found = SecondLevelModel().fit(images(), design_matrix=DESIGN).masker_
    theirs = nilearn_fit(images(), DESIGN).masker_
    assert theirs.get_params()["smoothing_fwhm"] is None
    with pytest.raises(NotFittedError):
        clone(theirs).transform(images())
    assert not hasattr(found, "get_params")
    rows = found.transform(images())
    for same in (clone(found), copy.copy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301
        np.testing.assert_array_equal(same.transform(images()), rows)
    model = clone(SecondLevelModel(found)).fit(images(), design_matrix=DESIGN)
    np.testing.assert_array_equal(model.masker_.transform(images()), rows)
