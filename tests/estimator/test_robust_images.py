# SPDX-License-Identifier: BSD-3-Clause
"""Robust regression of images: the maps of arrays, weights by subject, files, the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from groupglm import Robust, SecondLevelModel, fit_robust, non_parametric_inference

nib: Any = nibabel  # typed only in part
N, SHAPE = 12, (4, 4, 4)
DESIGN = pd.DataFrame({"intercept": np.ones(N)})
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))


def images() -> list[Any]:
    rng = np.random.default_rng(0)
    values = rng.normal(1.0, 1.0, (N, *SHAPE)).astype(np.float32)
    values[3] += 30
    return [nib.Nifti1Image(own, np.eye(4)) for own in values]


@pytest.mark.parametrize("model", ["robust", Robust("huber")])
def test_images_are_arrays(model: Any, tmp_path: Path) -> None:
    given = images()
    fitted = SecondLevelModel(MASK, model=model).fit(given, design_matrix=DESIGN)
    Y = np.stack([image.get_fdata(dtype=np.float32).ravel() for image in given])
    kind = "huber" if isinstance(model, Robust) else "bisquare"
    fit = fit_robust(np.ones((N, 1)), Y, weights=kind)
    stat = fitted.compute_contrast("intercept", output_type="stat").get_fdata()
    # Maps are float32.
    np.testing.assert_allclose(stat.ravel(), fit.contrast([1]).stat, rtol=1e-6)
    table = fitted.mean_weights_
    np.testing.assert_array_equal(table["mean_weight"], fit.mean_weights)
    np.testing.assert_array_equal(table["low_share"], fit.low_shares)
    assert table["mean_weight"].argmin() == 3
    np.testing.assert_array_equal(fitted.iterations_.get_fdata().ravel(), fit.iterations)
    np.testing.assert_array_equal(fitted.converged_.get_fdata().ravel(), fit.converged)
    loaded = SecondLevelModel.load(fitted.save(tmp_path / "m.groupglm"))
    pd.testing.assert_frame_equal(loaded.mean_weights_, table)
    page = fitted.generate_report("intercept", bg_img=None).get_standalone()
    assert "Who was down-weighted" in page
    assert f"{table.index[3]} (" in page


def test_other_models_have_no_such_weights() -> None:
    fitted = SecondLevelModel(MASK).fit(images(), design_matrix=DESIGN)
    for name in ("mean_weights_", "converged_", "iterations_", "mean_weight_"):
        with pytest.raises(AttributeError, match="fit the model 'robust'"):
            getattr(fitted, name)
    with pytest.raises(AttributeError, match="fit the model 'robust'"):
        fitted.weights_image("a")


def test_weights_of_one_subject_and_at_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    given = images()
    holed = given[2].get_fdata()
    holed[1, 1, 1] = np.nan
    given[2] = nib.Nifti1Image(holed, np.eye(4))
    fitted = SecondLevelModel(MASK, model="robust").fit(given, design_matrix=DESIGN)
    Y = np.stack([image.get_fdata().ravel() for image in given])
    weights = fit_robust(np.ones((N, 1)), Y).weights(Y).reshape(N, *SHAPE)
    names = fitted.mean_weights_.index
    for tile in (None, 12 * 8 * 10):
        if tile is not None:
            monkeypatch.setattr("groupglm.estimator.robust_maps.TILE_BYTES", tile)
        for number in (2, 3, 7):
            found = fitted.weights_image(names[number]).get_fdata()
            np.testing.assert_allclose(found, weights[number], rtol=1e-6, atol=1e-7)  # float32
    assert np.isnan(fitted.weights_image(names[2]).get_fdata()[1, 1, 1])
    own = np.nan_to_num(weights[:, 1, 1, 1])
    at = fitted.weights_at((1.0, 1.0, 1.0))
    np.testing.assert_allclose(at, 100 * own / own.sum(), rtol=1e-6)
    assert at.iloc[3] == 0
    with pytest.raises(ValueError, match="subject is 'nobody'; 'subject' must be one of"):
        fitted.weights_image("nobody")


@pytest.mark.parametrize("kind", ["cohen_d", "hedges_g_ci_low", "partial_r", "log_bayes_factor"])
def test_effect_sizes_are_refused_by_name_and_the_interval_is_not(kind: str) -> None:
    fitted = SecondLevelModel(MASK, model="robust").fit(images(), design_matrix=DESIGN)
    with pytest.raises(ValueError, match=f"'{kind}' is not defined for the model 'robust': [a-z]"):
        fitted.compute_contrast("intercept", output_type=kind)
    low, effect, variance = (
        fitted.compute_contrast("intercept", output_type=kind).get_fdata()
        for kind in ("ci_low", "effect_size", "effect_variance")
    )
    wanted = effect - stats.t.isf(0.025, N - 1) * np.sqrt(variance)
    np.testing.assert_allclose(low, wanted, rtol=1e-5, atol=1e-5)  # of maps in float32


def test_permutations_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="model 'robust' has no permutation test"):
        non_parametric_inference(
            images(), design_matrix=DESIGN, second_level_contrast="intercept", mask=MASK,
            n_perm=5, model="robust", random_state=0,
        )  # fmt: skip
