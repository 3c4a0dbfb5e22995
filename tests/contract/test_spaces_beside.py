# SPDX-License-Identifier: BSD-3-Clause
"""Variances, weights and covariates beside the images of every space: the numbers of arrays."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from contract.test_spaces import CASES, N_IMAGES, Case
from groupglm import (
    MixedEffects,
    SecondLevelModel,
    fit_mixed,
    fit_weighted,
    non_parametric_inference,
)
from groupglm.errors import ArgumentError
from reference import mixed as reference

FloatArray = NDArray[np.float64]
MAPS = ("tau2", "i_squared", "h_squared", "q", "q_p_value")


class Study:
    """Effects, variances and a covariate of a kind of data, and their values inside a mask."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(17)
        self.case = case
        self.inside = rng.random(case.size) < 0.8
        self.v = rng.uniform(0.3, 3.0, (N_IMAGES, case.size))
        self.y = 1.0 + rng.normal(size=self.v.shape) * np.sqrt(self.v + 0.4)
        self.z = rng.uniform(0.2, 0.8, self.v.shape)
        age = rng.standard_normal(N_IMAGES)
        self.design = pd.DataFrame({"one": 1.0, "age": age}, range(N_IMAGES))
        self.mask = case.of_flat(self.inside.astype(float))

    def images(self, values: FloatArray) -> list[Any]:
        return [self.case.of_flat(row) for row in values]

    def fit(self, **given: Any) -> SecondLevelModel:
        options = {k: given.pop(k) for k in ("model", "missing", "zero_is_missing") if k in given}
        model = SecondLevelModel(self.mask, surfaces=self.case.surfaces, **options)
        effects = self.images(given.pop("y", self.y))
        return model.fit(effects, design_matrix=self.design, **given)

    def check(self, image: Any, wanted: Any) -> None:
        flat = self.case.flat(image)
        # Maps are float32: half of 1.2e-7 of the value.
        np.testing.assert_allclose(flat[self.inside], wanted, rtol=2e-7, atol=1e-12)
        assert not flat[~self.inside].any()


# Chains have no images in memory beside which others may lie.
@pytest.fixture(params=[name for name in CASES if name not in ("chain", "pair")])
def study(request: pytest.FixtureRequest) -> Study:
    return Study(CASES[request.param])


@pytest.fixture
def place(study: Study) -> int:
    """A place inside, by its number among all."""
    return int(np.flatnonzero(study.inside)[7])


@pytest.mark.parametrize("settings", [{}, {"tau2": "paule-mandel", "test": "z"}])
def test_mixed_effects_are_those_of_arrays(study: Study, settings: Any, tmp_path: Path) -> None:
    y, v = study.y.copy(), study.v.copy()
    gaps = np.flatnonzero(study.inside)
    y[2, gaps[1]] = v[3, gaps[-2]] = np.nan
    y[4, gaps[3]] = v[4, gaps[3]] = 0.0  # outside that subject's brain
    arrays = [own[:, study.inside] for own in (y, v)]
    with pytest.warns(UserWarning, match="variances are NaN or 0 beside a value at .* of 1 of 12"):
        model = study.fit(y=y, variances=study.images(v), model=MixedEffects(**settings))
    fit = fit_mixed(study.design.to_numpy(), *arrays, **settings)
    found = model.compute_contrast("age", output_type="all")
    wanted = fit.contrast([0, 1])
    for name in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
        study.check(found[name], getattr(wanted, name))
    loaded = SecondLevelModel.load(model.save(tmp_path / "model.groupglm"))
    for name in MAPS:
        study.check(getattr(model, f"{name}_"), getattr(fit, name))
        study.check(getattr(loaded, f"{name}_"), getattr(fit, name))
    assert loaded.tau2_zero_share_ == model.tau2_zero_share_ == fit.share_at_zero
    study.check(model.n_observations_, fit.n_observations)
    first, of_first = (own[:, 0] for own in arrays)
    method = settings.get("tau2", "reml")
    own = reference.estimate_tau2(study.design.to_numpy(), first, of_first, method)
    assert fit.tau2[0] == pytest.approx(own, rel=1e-8, abs=1e-9)


def test_weights_and_covariates_are_those_of_arrays(study: Study) -> None:
    X, here = study.design.to_numpy(), study.inside
    model = study.fit(
        weights=study.images(1 / study.v), covariates={"thickness": study.images(study.z)}
    )
    fit = fit_weighted(X, study.y[:, here], 1 / study.v[:, here], study.z[np.newaxis][..., here])
    found = model.compute_contrast("thickness", output_type="all")
    wanted = fit.contrast([0, 0, 1])
    for name in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
        study.check(found[name], getattr(wanted, name))


def test_zeros_of_a_covariate_are_values(study: Study, place: int) -> None:
    """Zeros of images may be missing; those of a covariate say that there is none of it."""
    study.z[:4, place] = 0.0
    study.y[5, place] = 0.0
    covariates = {"thickness": study.images(study.z)}
    model = study.fit(covariates=covariates, zero_is_missing=True)
    counts = study.case.flat(model.n_observations_)
    assert counts[place] == N_IMAGES - 1
    assert (np.delete(counts[study.inside], 7) == N_IMAGES).all()


@pytest.mark.parametrize("missing", ["omit", "intersect", "raise"])
def test_a_negative_variance_is_refused_by_its_image(
    study: Study, place: int, missing: str
) -> None:
    study.v[3, place] = -1.0
    one, many = study.fit().masker_.space.place_words
    where = rf"(at {many} of 1 of 12 images: .* \(1 {one}\)|in 1 of 12 rows: row 4)"
    with pytest.raises(ArgumentError, match=f"variances are negative {where}"):
        study.fit(variances=study.images(study.v), model="mixed effects", missing=missing)


def test_another_number_of_variances_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match=r"variances has 5 images, .* has 12"):
        study.fit(variances=study.images(study.v[:5]), model="mixed effects")


def test_a_covariate_that_is_constant_at_a_place_is_reported(study: Study, place: int) -> None:
    study.z[:, place] = 0.5
    _, many = study.fit().masker_.space.place_words
    n = study.inside.sum()
    told = f"at 1 of {n} {many} a covariate ('thickness') is the same in all images"
    with pytest.warns(UserWarning, match=re.escape(told)):
        model = study.fit(covariates={"thickness": study.images(study.z)})
    slope = study.case.flat(model.compute_contrast("thickness", output_type="effect_size"))
    assert np.flatnonzero(np.isnan(slope)).tolist() == [place]
    assert not np.isnan(study.case.flat(model.compute_contrast("age"))).any()


def test_weights_of_the_images_at_a_place_are_asked_for_by_its_name(study: Study) -> None:
    model = study.fit(variances=study.images(study.v), model="mixed effects")
    fit = fit_mixed(study.design.to_numpy(), study.y[:, study.inside], study.v[:, study.inside])
    names = model.masker_.space.value_names()
    own = 1 / (study.v[:, study.inside][:, 7] + fit.tau2[7])
    found = model.weights_at(names[7])
    np.testing.assert_allclose(found, 100 * own / own.sum(), rtol=1e-10)
    with pytest.raises(ArgumentError, match=r"position is 'nowhere'.*in the mask"):
        model.weights_at("nowhere")


@pytest.mark.filterwarnings("ignore:all 64 different sign flips")
def test_p_of_all_sign_flips_is_that_of_as_many_fits(study: Study) -> None:
    """The variances stay with their images, and tau2 is estimated anew for each choice of signs."""
    few = 6
    y, v = study.y[:few], study.v[:few]
    design = pd.DataFrame({"one": np.ones(few)})
    found = non_parametric_inference(
        study.images(y), design_matrix=design, second_level_contrast="one", mask=study.mask,
        model="mixed effects", variances=study.images(v), n_perm=10_000, random_state=1,
    )  # fmt: skip
    own = y[:, study.inside], v[:, study.inside]
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=few)))
    stats = [fit_mixed(design, sign[:, None] * own[0], own[1]).contrast([1]).stat for sign in signs]
    largest = np.max(stats, axis=1)
    p = (largest[:, None] >= stats[0] * (1 - 1e-9)).mean(axis=0)
    study.check(found, -np.log10(p))


def test_weights_of_zero_everywhere_are_refused_without_a_mask_too(study: Study) -> None:
    none = study.images(0 * study.v)
    with pytest.raises(ArgumentError, match="weights are 0 wherever the images have a value"):
        SecondLevelModel().fit(study.images(study.y), design_matrix=study.design, weights=none)


def test_a_voxel_has_a_position_also_where_the_cortex_has_none() -> None:
    study = Study(CASES["cifti"])
    model = SecondLevelModel(study.mask, model="fixed effects")
    model.fit(
        study.images(study.y),
        design_matrix=study.design,
        variances=study.images(study.v),
    )
    names = model.masker_.space.value_names().tolist()
    name = next(own for own in names if "voxel" in own)
    position = [2.0 * int(number) for number in name.split("_")[-3:]]
    own = 1 / study.v[:, study.inside][:, names.index(name)]
    np.testing.assert_allclose(model.weights_at(position), 100 * own / own.sum(), rtol=1e-12)
    np.testing.assert_array_equal(model.weights_at(position), model.weights_at(name))
