# SPDX-License-Identifier: BSD-3-Clause
"""A model that is not OLS through the doors that know images: fit, contrast, file, permutation.

The model is the smallest one: each image is a map of values and one of their variances.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from contract.fake_models import KeptVariance, KnownVariance
from groupglm import SecondLevelModel, group
from groupglm.estimator.group_model import fit_images, fitted_group
from groupglm.inference.permutation.group_test import ImageData, permute_group
from groupglm.inference.permutation.options import check_options
from groupglm.models.kinds import MODELS

# Of one voxel, which `Study` means.
pytestmark = pytest.mark.filterwarnings("ignore:variances are NaN or 0 beside a value")

N_IMAGES, SHAPE = 9, (8, 7, 6)
DESIGN = pd.DataFrame({"one": np.ones(N_IMAGES)})


def image_of(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


class Study:
    """Values and variances, shape (n_images, *SHAPE), zero and one around a brain; some missing."""

    def __init__(self) -> None:
        rng = np.random.default_rng(8)
        inside = np.zeros(SHAPE)
        inside[2:6, 2:5, 2:4] = 1
        self.inside = inside > 0
        self.y = inside * rng.normal(3, 1, (N_IMAGES, *SHAPE))
        self.v = np.where(self.inside, rng.uniform(0.5, 2, (N_IMAGES, *SHAPE)), 1.0)
        self.y[4, 3, 3, 3] = np.nan
        self.v[5, 4, 4, 3] = np.nan
        self.images = [image_of(values) for values in self.y]
        self.variances = [image_of(values) for values in self.v]

    def weighted(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The mean with weights 1 / variance, and its variance, inside the brain."""
        y, v = self.y[:, self.inside], self.v[:, self.inside]
        w = np.where(np.isnan(y + v), 0, 1 / v)
        variance = 1 / w.sum(axis=0)
        return variance * (w * np.nan_to_num(y)).sum(axis=0), variance


@pytest.fixture(scope="module")
def study() -> Study:
    return Study()


def fitted(study: Study, *, with_mask: bool = True, **options: Any) -> SecondLevelModel:
    mask = image_of(study.inside.astype(np.uint8)) if with_mask else None
    model = SecondLevelModel(mask, minimize_memory=False, model=KnownVariance(), **options)
    return model.fit(study.images, design_matrix=DESIGN, variances=study.variances)


def inside(image: Any, study: Study) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asarray(image.dataobj, dtype=np.float64)[study.inside]
    return values


@pytest.mark.parametrize("with_mask", [True, False])
def test_a_contrast_is_that_of_the_model(study: Study, with_mask: bool) -> None:
    model = fitted(study, with_mask=with_mask)
    np.testing.assert_array_equal(model.mask_img_.get_fdata() > 0, study.inside)
    effect, variance = study.weighted()
    maps = model.compute_contrast("2 * one", output_type="all")
    z = effect / np.sqrt(variance)
    for name, expected in {
        "effect_size": 2 * effect, "effect_variance": 4 * variance, "stat": z, "z_score": z,
        "p_value": stats.norm.sf(z),
    }.items():  # fmt: skip
        # Maps are float32. The relative error of p is |z| times that of z, by z * phi / p.
        rtol = 1e-5 if name == "p_value" else 2e-7
        np.testing.assert_allclose(inside(maps[name], study), expected, rtol=rtol, err_msg=name)
    n_observations = inside(model.n_observations_, study)
    assert sorted(n_observations)[:3] == [8, 8, 9]
    assert repr(model).endswith("fitted to 9 images of known variance")


@pytest.mark.parametrize("most", [512 * 2**20, 0])
@pytest.mark.parametrize("how", ["mask", "no mask", "cache", "target grid", "other background"])
def test_a_model_that_keeps_rows_gets_them_all(
    study: Study, how: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, or in a scratch file; the numbers are those of the model that streams."""
    monkeypatch.setattr(group.fit_group, "_MOST_KEPT", most)
    every: dict[str, dict[str, Any]] = {
        "cache": {"memory": tmp_path},
        "target grid": {"target_affine": 1.5 * np.eye(3)},
    }
    options = every.get(how, {})
    mask = image_of(study.inside.astype(np.uint8)) if how == "mask" else None
    add = 1.0 if how == "other background" else 0.0
    images = [image_of(y + add) for y in study.y]
    both = [
        SecondLevelModel(mask, model=model, **options).fit(
            images, design_matrix=DESIGN, variances=study.variances
        )
        for model in (KnownVariance(), KeptVariance())
    ]
    np.testing.assert_array_equal(both[1].mask_img_.dataobj, both[0].mask_img_.dataobj)
    assert np.asarray(both[0].mask_img_.dataobj).any()
    maps = [model.compute_contrast("one", output_type="all") for model in both]
    for name, expected in maps[0].items():
        np.testing.assert_allclose(
            maps[1][name].get_fdata(), expected.get_fdata(), rtol=1e-6, atol=1e-30, err_msg=name
        )
    assert fitted_group(both[1]).kept is None  # what is not asked for is not held after the fit


def test_the_values_of_the_images_are_not_their_variances(study: Study) -> None:
    model = fitted(study)
    effect, _ = study.weighted()
    residuals, predicted = model.residuals_.get_fdata(), model.predicted_.get_fdata()
    assert residuals.shape == predicted.shape == (*SHAPE, N_IMAGES)
    for image in range(N_IMAGES):
        np.testing.assert_allclose(predicted[study.inside, image], effect, rtol=2e-7)
        has = ~np.isnan(study.v[image, study.inside])  # the others are no part of the fit
        expected = np.where(has, study.y[image, study.inside] - effect, np.nan)
        # float32: 6e-8 of values up to 6.
        np.testing.assert_allclose(residuals[study.inside, image], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", ["cache", "target grid"])
def test_the_mask_is_that_of_the_values_where_it_is_found_first(
    study: Study, how: str, tmp_path: Path
) -> None:
    """Where rows are prepared or kept the mask comes first, by the mean of the images as stored."""
    options: dict[str, Any] = {"memory": tmp_path} if how == "cache" else {
        "target_affine": np.eye(4), "target_shape": SHAPE}  # fmt: skip
    first = fitted(study, with_mask=False, **options)
    mask = np.asarray(first.mask_img_.dataobj) > 0
    np.testing.assert_array_equal(mask, study.inside)


def test_a_saved_model_is_the_model(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(study)
    path = model.save(tmp_path / "model.groupglm")
    with pytest.raises(ValueError, match=r"later version: model 'known variance'.* knows .*'ols'"):
        SecondLevelModel.load(path)
    monkeypatch.setitem(MODELS, KnownVariance.kind, KnownVariance)
    again = SecondLevelModel.load(path)
    for name, image in model.compute_contrast("one", output_type="all").items():
        found = again.compute_contrast("one", output_type="all")[name]
        np.testing.assert_array_equal(inside(found, study), inside(image, study))
    assert again.results_.model == KnownVariance()
    assert again.model == KnownVariance()  # a further fit is of the same model
    assert len(again.second_level_input_) == N_IMAGES


def test_a_permutation_test_is_of_the_model_or_refused(study: Study) -> None:
    """The permutations are of OLS: of another model's contrast they would test another one."""
    model = SecondLevelModel(image_of(study.inside.astype(np.uint8)), model=KnownVariance())
    group = fit_images(model, study.images, DESIGN, keep_rows=True, variances=study.variances)
    options = check_options(
        n_perm=10, two_sided=False, random_state=0, threshold=None, cluster_threshold_scale="p",
        tfce=False, tfce_powers=None, method="freedman-lane", sign_flip=None, tail=None,
        connectivity=6, missing="omit", n_jobs=1, verbose=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"model 'known variance' .*no permutation test"):
        permute_group(group, ImageData(group.rows), np.array([1.0]), options, label="one")


def test_a_page_is_about_the_images_and_not_their_variances(study: Study) -> None:
    page = fitted(study).generate_report("one", bg_img=None).get_standalone()
    assert "Group analysis of 9 images" in page
    assert "fitted by weights that are known" in page
    assert "Fisher RA. Statistical Methods. 1925." in page


def test_images_without_their_variances_are_refused(study: Study) -> None:
    model = SecondLevelModel(image_of(study.inside.astype(np.uint8)), model=KnownVariance())
    wrong = r"variances has 8 images, but second_level_input has 9; give one for each image"
    with pytest.raises(ValueError, match=wrong):
        model.fit(study.images, design_matrix=DESIGN, variances=study.variances[:8])
