# SPDX-License-Identifier: BSD-3-Clause
"""Weights and voxelwise covariates in least squares, and fixed effects: against statsmodels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from groupglm import SecondLevelModel, resample_img, smooth_img
from groupglm.errors import ArgumentError
from reference.data import data_dir

N, SHAPE = 12, (8, 7, 6)
LABELS = [f"{number:02d}" for number in range(1, N + 1)]
AFFINE = np.diag([-2.0, 2.0, 2.5, 1.0])  # a flipped axis
INSIDE = np.zeros(SHAPE, np.bool_)
INSIDE[2:6, 2:5, 2:4] = True
RNG = np.random.default_rng(11)
AGE = RNG.normal(size=N)
DESIGN = pd.DataFrame({"intercept": 1.0, "age": AGE}, index=pd.Index(LABELS, name="subject_label"))

Floats = NDArray[np.float64]


def image(values: NDArray[Any]) -> Any:
    return Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


MASK = image(INSIDE.astype(np.uint8))


class Study:
    """Effects, weights, variances and grey matter in files, zero outside the brain."""

    def __init__(self, folder: Path) -> None:
        shape = (N, *SHAPE)
        self.grey = np.where(INSIDE, RNG.uniform(0.2, 0.9, shape), 0)
        self.w = np.where(INSIDE, RNG.uniform(0.5, 2, shape), 0)
        self.v = np.where(INSIDE, RNG.uniform(0.5, 2, shape), 0)
        self.y = np.where(INSIDE, 1 + 2 * self.grey + RNG.normal(size=shape), 0)
        self.y[3, 3, 3, 3] = np.nan
        self.grey[4, 3, 4, 3] = np.nan
        self.w[5, 4, 4, 3] = 0
        self.files = {}
        for kind in ("y", "w", "v", "grey"):
            self.files[kind] = [str(folder / f"sub-{label}_{kind}-a.nii.gz") for label in LABELS]
            for path, own in zip(self.files[kind], getattr(self, kind), strict=True):
                nib.save(image(own), path)

    def table(self, *columns: str) -> pd.DataFrame:
        table = pd.DataFrame({"subject_label": LABELS, "map_name": "a"})
        for kind, name in {"y": "effects", "w": "weights", "v": "variances"}.items():
            if kind == "y" or kind in columns:
                table[f"{name}_map_path"] = self.files[kind]
        return table


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("maps"))


def values_of(path: str) -> Floats:
    loaded: Any = nib.load(path)
    values: Floats = np.asarray(loaded.dataobj, np.float64).squeeze()
    return values


def at(image: Any, place: tuple[int, ...]) -> float:
    return float(np.asarray(image.dataobj)[place])


def check(model: SecondLevelModel, design: Any, y: Floats, w: Floats) -> None:
    """Compare with statsmodels voxel by voxel; `design` makes that of a voxel."""
    np.testing.assert_array_equal(np.asarray(model.mask_img_.dataobj) > 0, INSIDE)
    names = list(model.design_matrix_.columns)
    maps = {name: model.compute_contrast(name, output_type="all") for name in names}
    f_map = model.compute_contrast(np.eye(len(names)), output_type="stat")
    for place in zip(*np.nonzero(INSIDE), strict=True):
        X = design(place)
        own_w = w[(slice(None), *place)]
        has = np.isfinite(y[(slice(None), *place)]) & np.isfinite(X).all(axis=1) & (own_w > 0)
        fit = sm.WLS(y[(slice(None), *place)][has], X[has], weights=own_w[has]).fit()
        assert at(model.n_observations_, place) == has.sum()
        assert at(model.df_residual_, place) == fit.df_resid
        for column, name in enumerate(names):
            # Maps are float32: 6e-8 of the value.
            for kind, value in {
                "effect_size": fit.params[column], "stat": fit.tvalues[column],
                "effect_variance": fit.bse[column] ** 2,
            }.items():  # fmt: skip
                assert at(maps[name][kind], place) == pytest.approx(value, rel=2e-7), (place, kind)
        assert at(f_map, place) == pytest.approx(
            float(fit.f_test(np.eye(len(names))).fvalue), rel=2e-7
        )


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("how", ["list", "column", "series", "cache", "threads"])
def test_weights(study: Study, how: str, with_mask: bool, tmp_path: Path) -> None:
    given: Any = study.files["y"]
    weights: Any = study.files["w"]
    options: dict[str, Any] = {}
    if how == "column":
        given, weights = study.table("w").sample(frac=1, random_state=2), None
    elif how == "series":
        weights = pd.Series(weights[::-1], index=LABELS[::-1])
    elif how == "cache":
        options["memory"] = tmp_path
    elif how == "threads":
        options["n_jobs"] = 3
    model = SecondLevelModel(MASK if with_mask else None, **options)
    model.fit(given, design_matrix=DESIGN, weights=weights)
    check(model, lambda place: DESIGN.to_numpy(), study.y, study.w)


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("how", ["list", "table", "4-D image"])
def test_covariates(study: Study, how: str, weighted: bool, with_mask: bool) -> None:
    given: Any = study.files["y"]
    grey: Any = study.files["grey"]
    weights: Any = study.files["w"] if weighted else None
    if how == "table":
        columns = ("w",) if weighted else ()
        given, weights = study.table(*columns).iloc[::-1], None
        grey = pd.Series(grey, index=LABELS)
    elif how == "4-D image":
        grey = image(np.moveaxis(study.grey, 0, -1))
    model = SecondLevelModel(MASK if with_mask else None, minimize_memory=False)
    model.fit(given, design_matrix=DESIGN, weights=weights, covariates={"grey": grey})
    assert list(model.design_matrix_.columns) == ["intercept", "age", "grey"]

    def design(place: tuple[int, ...]) -> Floats:
        grey_here = np.moveaxis(study.grey, 0, -1)[place]
        return np.column_stack([DESIGN.to_numpy(), grey_here])

    w = study.w if weighted else np.ones_like(study.w)
    check(model, design, study.y, w)
    if with_mask:  # else the mean is over all places that were read, before the mask was found
        means = np.nanmean(study.grey[:, INSIDE], axis=1)
        np.testing.assert_allclose(model.design_matrix_["grey"], means, rtol=1e-12)
    beta = np.stack(
        [
            np.asarray(model.compute_contrast(name, output_type="effect_size").dataobj)[INSIDE]
            for name in model.design_matrix_.columns
        ]
    )
    fitted = DESIGN.to_numpy() @ beta[:2] + study.grey[:, INSIDE] * beta[2]
    predicted = np.asarray(model.predicted_.dataobj)[INSIDE].T
    np.testing.assert_allclose(predicted, fitted, rtol=0, atol=2e-6)
    residuals = np.asarray(model.residuals_.dataobj)[INSIDE].T
    # An image without a weight has no part in the fit.
    expected = np.where(w[:, INSIDE] > 0, study.y[:, INSIDE] - fitted, np.nan)
    np.testing.assert_allclose(residuals, expected, rtol=0, atol=2e-6)
    two = model.compute_contrast("grey - age", output_type="effect_size")
    np.testing.assert_allclose(np.asarray(two.dataobj)[INSIDE], beta[2] - beta[1], atol=1e-6)


@pytest.mark.parametrize("with_mask", [True, False])
def test_covariates_are_prepared_as_the_images(study: Study, with_mask: bool) -> None:
    """Smoothed, and resampled by a spline within their own range; weights are only resampled."""
    complete = {kind: np.nan_to_num(getattr(study, kind)) for kind in ("y", "grey", "w")}
    own = {kind: [image(each) for each in values] for kind, values in complete.items()}
    model = SecondLevelModel(
        MASK if with_mask else None, smoothing_fwhm=3.0, target_affine=np.diag([3.0, 3, 3])
    ).fit(own["y"], design_matrix=DESIGN, weights=own["w"], covariates={"grey": own["grey"]})
    inside = np.asarray(model.mask_img_.dataobj) > 0
    grid: dict[str, Any] = {
        "target_affine": model.mask_img_.affine, "target_shape": inside.shape
    }  # fmt: skip

    def brought(each: Any, interpolation: Any = "continuous") -> Any:
        return resample_img(each, fill_value=np.nan, interpolation=interpolation, **grid)

    z = np.stack([smooth_img(brought(each), 3.0).get_fdata()[inside] for each in own["grey"]])
    found = np.asarray(model.design_matrix_["grey"])
    # The mean over the places that were read: without a mask, more than those of the mask.
    if with_mask:
        np.testing.assert_allclose(found, np.nanmean(z, axis=1), rtol=0.05)
    w = np.stack([brought(each, "linear").get_fdata()[inside] for each in own["w"]])
    n = np.asarray(model.n_observations_.dataobj)[inside]
    np.testing.assert_array_equal(n, np.count_nonzero((w > 0) & np.isfinite(z), axis=0))


@pytest.mark.parametrize("with_mask", [True, False])
def test_fixed_effects(study: Study, with_mask: bool) -> None:
    model = SecondLevelModel(MASK if with_mask else None, model="fixed effects")
    model.fit(study.table("v"), design_matrix=DESIGN)
    maps = model.compute_contrast("age", output_type="all")
    X = DESIGN.to_numpy()
    for place in zip(*np.nonzero(INSIDE), strict=True):
        y, v = study.y[(slice(None), *place)], study.v[(slice(None), *place)]
        has = np.isfinite(y)
        covariance = np.linalg.inv((X[has].T / v[has]) @ X[has])
        b = covariance @ (X[has].T / v[has]) @ y[has]
        assert at(maps["effect_size"], place) == pytest.approx(b[1], rel=4e-7)
        assert at(maps["stat"], place) == pytest.approx(b[1] / covariance[1, 1] ** 0.5, rel=4e-7)
    with pytest.raises(ArgumentError, match="weights is given, but the model 'fixed effects' wei"):
        model.fit(study.table("v"), design_matrix=DESIGN, weights=study.files["w"])


def test_names_of_covariates(study: Study) -> None:
    grey = study.files["grey"]
    for name in ("age", "intercept", "Intercept"):
        with pytest.raises(ArgumentError, match=r"covariates .* another name|name of its own"):
            SecondLevelModel(MASK).fit(
                study.files["y"], design_matrix=DESIGN, covariates={name: grey}
            )
    for wrong in ({3: grey}, {" ": grey}):
        with pytest.raises(ArgumentError, match=r"covariates names .*; .* must be a name, a str"):
            SecondLevelModel(MASK).fit(study.files["y"], design_matrix=DESIGN, covariates=wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"covariates .*the column of subject labels; give it"):
        SecondLevelModel(MASK).fit(
            study.files["y"], design_matrix=DESIGN, covariates={"subject_label": grey}
        )
    with pytest.raises(ArgumentError, match=r"covariates\['grey'\] has 1 image, but"):
        SecondLevelModel(MASK).fit(
            study.files["y"], design_matrix=DESIGN, covariates={"grey": grey[:1]}
        )
    with pytest.raises(ArgumentError, match=r"covariates\['grey'\] has 5 images, but") as caught:
        SecondLevelModel(MASK).fit(
            study.files["y"], design_matrix=DESIGN, covariates={"grey": grey[:5]}
        )
    assert caught.value.argument == "covariates"


def test_weights_of_zero_everywhere_are_refused(study: Study) -> None:
    zeros = image(np.zeros((*INSIDE.shape, len(DESIGN))))
    with pytest.raises(ArgumentError, match="weights are 0 wherever the images have a value"):
        SecondLevelModel(MASK).fit(study.files["y"], design_matrix=DESIGN, weights=zeros)


def test_a_covariate_that_is_constant_at_a_place_is_reported(study: Study) -> None:
    grey = np.nan_to_num(study.grey, nan=0.5)
    grey[:, 3, 3, 2] = 0.4
    grey[:, 4, 3, 2] = 2 * AGE
    given = [image(own) for own in grey]
    with pytest.warns(UserWarning, match=r"at 2 of 24 voxels a covariate \('grey'\) is the same"):
        model = SecondLevelModel(MASK).fit(
            study.files["y"], design_matrix=DESIGN, covariates={"grey": given}
        )
    with pytest.warns(UserWarning, match=r"at 24 of 24 voxels a covariate \('grey'\) is the same"):
        SecondLevelModel(MASK).fit(
            study.files["y"], design_matrix=DESIGN, covariates={"grey": [given[0]] * len(given)}
        )
    t = np.asarray(model.compute_contrast("grey", output_type="stat").dataobj)
    assert np.isnan(t[INSIDE]).sum() == 2
    assert np.isnan(t[3, 3, 2])
    assert np.isnan(t[4, 3, 2])
    assert np.isfinite(
        np.asarray(model.compute_contrast("age", output_type="stat").dataobj)[3, 3, 2]
    )


def test_weights_that_are_negative_or_missing(study: Study) -> None:
    w = study.w.copy()
    w[2, 3, 3, 2] = -1.0
    w[7, 3, 3, 2:4] = np.nan

    def fit(values: Floats) -> SecondLevelModel:
        own = [image(each) for each in values]
        return SecondLevelModel(MASK).fit(study.files["y"], design_matrix=DESIGN, weights=own)

    with pytest.raises(ArgumentError, match=r"weights are negative at .* 1 of 12 images: 03 \(1 "):
        fit(w)
    w[2, 3, 3, 2] = 1.0
    with pytest.warns(UserWarning, match=r"weights are NaN beside a value .*: 08 \(2 voxels\)"):
        fit(w)
    w[7] *= 100
    with pytest.warns(UserWarning, match=r"over half of the weight at many voxels: 08 \(2\d of 24"):
        fit(np.nan_to_num(w, nan=1.0))


REAL = {
    "pain21": ("pain_??_beta", "beta", "varcope"),
    "ds003338": ("sub-*_effect_size", "effect_size", "effect_variance"),
}


@pytest.mark.filterwarnings("ignore:.*(beside a value|over half of the weight|exactly zero)")
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("name", REAL)
def test_fixed_effects_of_real_maps(name: str, with_mask: bool, tmp_path: Path) -> None:
    """Their variances have one volume on a fourth axis, and are zero outside each brain."""
    pattern, effect, variance = REAL[name]
    effects = sorted(map(str, data_dir(name).glob(f"{pattern}.nii.gz")))
    variances = [path.replace(effect, variance) for path in effects]
    y, v = (np.stack([values_of(path) for path in paths]) for paths in (effects, variances))
    has = np.isfinite(y) & (v > 0)
    inside = has.sum(axis=0) >= 5
    first: Any = nib.load(effects[0])
    mask = Nifti1Image(inside.astype(np.uint8), first.affine) if with_mask else None  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"intercept": np.ones(len(effects))})
    model = SecondLevelModel(mask, model="fixed effects", n_jobs=2).fit(
        effects, design_matrix=design, variances=variances
    )
    found = np.asarray(model.mask_img_.dataobj) > 0
    assert not (found & (has.sum(axis=0) < 2)).any()
    at_both = inside & found
    assert np.count_nonzero(at_both) > 0.9 * np.count_nonzero(inside)
    y, v, own = y[:, at_both], v[:, at_both], has[:, at_both]
    w = np.where(own, 1 / np.where(own, v, 1), 0)
    mean = (w * np.where(own, y, 0)).sum(axis=0) / w.sum(axis=0)
    z = mean * np.sqrt(w.sum(axis=0))
    stat = np.asarray(model.compute_contrast("intercept", output_type="stat").dataobj)[at_both]
    np.testing.assert_allclose(stat, z, rtol=1e-6, atol=1e-6)
    n = np.asarray(model.n_observations_.dataobj)[at_both]
    np.testing.assert_array_equal(n, own.sum(axis=0))
    q = (w * np.where(own, y - mean, 0) ** 2).sum(axis=0)
    np.testing.assert_allclose(np.asarray(model.q_.dataobj)[at_both], q, rtol=1e-6)
