# SPDX-License-Identifier: BSD-3-Clause
"""nilearn's SurfaceMasker in the place of a mask: its mask, and what it would do to the images."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import SurfaceLabelsMasker, SurfaceMasker
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

from groupglm import SecondLevelModel, non_parametric_inference
from reference.meshes import folded

SIDES = ("left", "right")
N, COUNT = 642, 6
WIDTH = 25.0
DESIGN = pd.DataFrame({"one": np.ones(COUNT)})
MESH = PolyMesh(**{side: InMemoryMesh(*folded(3, side)) for side in SIDES})
RNG = np.random.default_rng(2)
INSIDE = SurfaceImage(MESH, {side: np.uint8(RNG.random(N) < 0.7) for side in SIDES})
IMAGES = [
    SurfaceImage(MESH, {side: RNG.standard_normal(N).astype(np.float32) for side in SIDES})
    for _ in range(COUNT)
]


def effect(mask: Any, **options: Any) -> Any:
    model = SecondLevelModel(mask, **options).fit(IMAGES, design_matrix=DESIGN)
    found = model.compute_contrast("one", output_type="effect_size").data.parts
    return np.concatenate([found[side] for side in SIDES])


def permuted(mask: Any, **options: Any) -> Any:
    found: Any = non_parametric_inference(
        IMAGES, design_matrix=DESIGN, mask=mask, n_perm=30, random_state=0, **options
    )
    return np.concatenate([found.data.parts[side] for side in SIDES])


def masker(is_fitted: bool, **options: Any) -> Any:
    made = SurfaceMasker(INSIDE, **options)
    if not is_fitted:
        return made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of plotting packages that are absent
        return made.fit()


@pytest.mark.parametrize("is_fitted", [False, True])
def test_its_smoothing_is_that_of_the_fit(is_fitted: bool) -> None:
    plain, wanted = effect(INSIDE), effect(INSIDE, smoothing_fwhm=WIDTH)
    assert np.abs(plain - wanted).max() > 0.1
    smooths = masker(is_fitted, smoothing_fwhm=WIDTH)
    with pytest.warns(UserWarning, match=r"Masker parameter 25\.0 - overriding estimator param"):
        np.testing.assert_array_equal(effect(smooths), wanted)
    with pytest.warns(UserWarning, match="Masker parameter 25.0 - overriding estimator param"):
        np.testing.assert_array_equal(effect(smooths, smoothing_fwhm=40.0), wanted)
    np.testing.assert_array_equal(effect(smooths, smoothing_fwhm=WIDTH), wanted)
    does_not = masker(is_fitted)
    np.testing.assert_array_equal(effect(does_not), plain)
    with pytest.warns(UserWarning, match=r"Masker parameter None - overriding estimator param"):
        np.testing.assert_array_equal(effect(does_not, smoothing_fwhm=WIDTH), plain)


def test_the_smoothing_given_to_a_permutation_test_overrides_it() -> None:
    wanted, wider = permuted(INSIDE, smoothing_fwhm=WIDTH), permuted(INSIDE, smoothing_fwhm=40.0)
    assert (wanted != wider).any()
    smooths = masker(True, smoothing_fwhm=WIDTH)
    np.testing.assert_array_equal(permuted(smooths), wanted)
    with pytest.warns(UserWarning, match="'smoothing_fwhm' of the masker overridden"):
        np.testing.assert_array_equal(permuted(smooths, smoothing_fwhm=40.0), wider)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardize": "zscore_sample"}, "standardize='zscore_sample', which would treat subj"),
        ({"detrend": True}, "detrend=True"),
        ({"low_pass": 0.1, "t_r": 2.0}, r"low_pass=0\.1"),
    ],
)
def test_one_made_for_time_series_is_refused(options: dict[str, Any], message: str) -> None:
    for call in (effect, permuted):
        with pytest.raises(ValueError, match=message):
            call(masker(False, **options))


def test_one_of_regions_is_refused() -> None:
    with pytest.raises(TypeError, match="SurfaceLabelsMasker, which has a value for each region"):
        effect(SurfaceLabelsMasker(INSIDE))


def test_one_without_a_mask_takes_the_vertices_that_have_values() -> None:
    model = SecondLevelModel(SurfaceMasker()).fit(IMAGES, design_matrix=DESIGN)
    assert model.n_elements_ == 2 * N


def test_the_masker_of_a_fit_is_a_mask_of_the_next() -> None:
    first = SecondLevelModel(INSIDE, smoothing_fwhm=WIDTH).fit(IMAGES, design_matrix=DESIGN)
    again = effect(first.masker_, smoothing_fwhm=WIDTH)
    np.testing.assert_array_equal(again, effect(INSIDE, smoothing_fwhm=WIDTH))
