# SPDX-License-Identifier: BSD-3-Clause
"""Mixed effects of images: the numbers of `fit_mixed` on the arrays, wherever the rows are kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from groupglm import MixedEffects, SecondLevelModel, fit_mixed, group
from groupglm.errors import ArgumentError

N, SHAPE = 10, (9, 8, 7)
INSIDE = np.zeros(SHAPE, np.bool_)
INSIDE[2:7, 2:6, 2:5] = True
AGE = np.random.default_rng(1).normal(size=N)
DESIGN = pd.DataFrame({"intercept": 1.0, "age": AGE})

Floats = NDArray[np.float64]


def image(values: NDArray[Any]) -> Any:
    return Nifti1Image(values, np.diag([-2.0, 2, 2, 1]))  # type: ignore[no-untyped-call]


class Study:
    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(5)
        self.v = np.where(INSIDE, rng.uniform(0.3, 2, (N, *SHAPE)), 0)
        self.y = np.where(INSIDE, rng.normal(1, 1, self.v.shape) + rng.normal(size=(N, *SHAPE)), 0)
        self.y[2, 2:4, 2], self.v[2, 2:4, 2] = 0, 0  # outside this subject's brain
        self.y[4, 4, 4, 4] = np.nan
        self.files = [
            [str(folder / f"sub-{number:02d}_{kind}.nii.gz") for number in range(N)]
            for kind in ("effect", "variance")
        ]
        for paths, values in zip(self.files, (self.y, self.v), strict=True):
            for path, own in zip(paths, values, strict=True):
                nib.save(image(own), path)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("maps"))


def inside(found: Any) -> Floats:
    values: Floats = np.asarray(found.dataobj, np.float64)[INSIDE]
    return values


@pytest.mark.parametrize("most", [512 * 2**20, 0])
@pytest.mark.parametrize("how", ["mask", "no mask", "cache", "threads"])
def test_images_are_fitted_as_arrays_are(
    study: Study, how: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group.fit_group, "_MOST_KEPT", most)
    every: dict[str, dict[str, Any]] = {"cache": {"memory": tmp_path}, "threads": {"n_jobs": 2}}
    mask = image(INSIDE.astype(np.uint8)) if how == "mask" else None
    effects, variances = study.files
    model = SecondLevelModel(mask, model="mixed effects", **every.get(how, {}))
    model.fit(effects, design_matrix=DESIGN, variances=variances)
    np.testing.assert_array_equal(np.asarray(model.mask_img_.dataobj) > 0, INSIDE)
    fit = fit_mixed(DESIGN, study.y[:, INSIDE], study.v[:, INSIDE])
    expected = fit.contrast([0, 1])
    maps = model.compute_contrast("age", output_type="all")
    for kind in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
        # Maps are float32: 6e-8 of the value.
        np.testing.assert_allclose(
            inside(maps[kind]), getattr(expected, kind), rtol=1e-6, err_msg=kind
        )
    np.testing.assert_allclose(inside(model.tau2_), fit.tau2, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(inside(model.df_residual_), fit.df_residual)


def test_few_images_of_unequal_variances_are_reported(study: Study) -> None:
    v = study.v[:5].copy()
    v[3] *= 400
    design = pd.DataFrame({"intercept": np.ones(5)})

    def fit(own: Floats, chosen: Any = "mixed effects") -> None:
        SecondLevelModel(image(INSIDE.astype(np.uint8)), model=chosen).fit(
            [image(each) for each in study.y[:5]],
            design_matrix=design,
            variances=[image(each) for each in own],
        )

    for test in ("knapp-hartung", "t", "z"):
        told = "fewer than 5 degrees of freedom, and the largest variance is over 100 times the "
        with pytest.warns(UserWarning, match=f"{told}smallest: even Knapp-Hartung"):
            fit(v, MixedEffects(test=test))
    fit(study.v[:5])  # and says nothing
    fit(v, "fixed effects")  # whose test is exact
    fit(v, MixedEffects(0.5, "z"))  # also


def test_options_of_ols_are_refused(study: Study) -> None:
    effects, variances = study.files
    model = SecondLevelModel(model=MixedEffects(tau2="dersimonian-laird"))
    for name, own in {"weights": variances, "covariates": {"grey": variances}}.items():
        given: dict[str, Any] = {name: own}
        with pytest.raises(ValueError, match=f"{name} is given, but the model 'mixed effects'"):
            model.fit(effects, design_matrix=DESIGN, variances=variances, **given)
    with pytest.raises(ValueError, match="variances is None, but the model takes one image"):
        model.fit(effects, design_matrix=DESIGN)


@pytest.mark.parametrize("own_tau2", [False, True])
def test_variances_are_counted_where_too_few_images_are_left(study: Study, own_tau2: bool) -> None:
    labels = np.arange(N) % 2
    separate = pd.DataFrame({"first": 1.0 - labels, "second": 1.0 * labels})
    images = [image(own) for own in study.y]
    model = MixedEffects(variance_groups=labels if own_tau2 else None)
    wrong = np.where(labels[:, None, None, None] == 1, -study.v, study.v)
    if not own_tau2:
        wrong = -study.v
    with pytest.raises(ArgumentError, match=f"negative at voxels of {5 if own_tau2 else N} of {N}"):
        SecondLevelModel(image(INSIDE.astype(np.uint8)), model=model).fit(
            images, design_matrix=separate, variances=[image(own) for own in wrong]
        )
    gaps = study.v.copy()
    gaps[1:, 4, 4, 4] = 0  # of one image here
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        SecondLevelModel(image(INSIDE.astype(np.uint8)), model=model).fit(
            images, design_matrix=separate, variances=[image(own) for own in gaps]
        )
    texts = [str(one.message) for one in told]
    assert any("NaN or 0 beside a value at voxels of 8 of 10 images" in text for text in texts)
