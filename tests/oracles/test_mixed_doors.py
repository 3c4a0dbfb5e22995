# SPDX-License-Identifier: BSD-3-Clause
"""Fixed and mixed effects by every door - arrays, images, commands - against the slow reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from groupglm import FixedEffects, MixedEffects, SecondLevelModel, UnequalVariances, fit_mixed
from reference import mixed
from reference.mixed import ESTIMATORS, TESTS
from reference.oracle import concat, quiet
from reference.shell import run_fit

Floats = npt.NDArray[np.float64]

SHAPE = (5, 4, 3)
N = 14
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
IMAGE: Any = nib.Nifti1Image  # nibabel is not typed throughout
# A map is float32, and so the last of its digits is 6e-8; a statistic near zero has the absolute
# error of its two terms.
RTOL, ATOL = 2e-7, 1e-6
CONTRASTS: dict[str, Any] = {
    "age": np.array([0.0, 1.0, 0.0]),
    "group": np.array([0.0, 0.0, 1.0]),
    "both": np.eye(3)[1:],
}


class Study:
    """Files of a small study: voxels outside some brains, missing effects and variances."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(5)
        self.folder = folder
        self.design = pd.DataFrame(
            {"Intercept": 1.0, "age": rng.normal(size=N), "group": np.arange(N) % 2 * 1.0},
            index=[f"{i:02d}" for i in range(N)],
        )
        self.X = self.design.to_numpy(float)
        n_voxels = int(np.prod(SHAPE))
        self.V = np.exp(rng.uniform(-2, 2, size=(N, n_voxels)))
        tau2 = rng.choice([0.0, 0.5, 4.0], size=n_voxels)
        self.Y = self.X @ rng.normal(size=(3, n_voxels)) + rng.normal(size=self.V.shape) * np.sqrt(
            self.V + tau2
        )
        self.Y[3, 40:] = self.V[3, 40:] = 0.0  # outside the brain of a subject
        self.Y[5, ::7], self.V[6, ::5] = np.nan, np.nan
        self.effects, self.variances = (
            [self.save(f"sub-{i:02d}_{name}.nii.gz", row) for i, row in enumerate(rows)]
            for name, rows in (("effect", self.Y), ("variance", self.V))
        )
        self.mask = self.save("mask.nii.gz", np.ones(n_voxels, np.uint8))
        people = self.design.drop(columns="Intercept").rename_axis("participant_id").reset_index()
        people["participant_id"] = "sub-" + people["participant_id"]
        people.to_csv(folder / "participants.tsv", sep="\t", index=False, float_format="%.17g")

    def save(self, name: str, row: npt.NDArray[Any]) -> str:
        path = self.folder / name
        nib.save(IMAGE(row.reshape(SHAPE), AFFINE), path)
        return str(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("pairs"))


def agree(found: Any, wanted: Any, *, rtol: float = RTOL, atol: float = ATOL) -> None:
    np.testing.assert_allclose(np.asarray(found).ravel(), wanted, rtol=rtol, atol=atol)


def check_maps(maps: dict[str, Any], wanted: mixed.ReferenceMixedContrast) -> None:
    """Compare the maps of a contrast with the reference."""
    for name, values in (("stat", wanted.stat), ("z_score", wanted.z_score)):
        agree(maps[name], values)
    # d log p = z dz
    atol = 1e-6 * np.nanmax(wanted.p_value * (1 + wanted.z_score**2))
    agree(maps["p_value"], wanted.p_value, atol=float(atol))
    if wanted.effect_size.ndim == 1:
        agree(maps["effect_size"], wanted.effect_size)
        agree(maps["effect_variance"], wanted.covariance[0, 0])


def maps_of(model: Any, contrast: Any) -> dict[str, Any]:
    found = model.compute_contrast(contrast, output_type="all")
    return {name: image.get_fdata() for name, image in found.items()}


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("tau2", ESTIMATORS)
def test_mixed_effects_of_images(study: Study, tau2: str, test: str) -> None:
    with quiet():  # of voxels that some images lack
        model: Any = SecondLevelModel(
            mask_img=study.mask, model=MixedEffects(tau2=tau2, test=test)
        ).fit(study.effects, design_matrix=study.design, variances=study.variances)
    wanted = mixed.fit(study.X, study.Y, study.V, tau2=tau2)
    for contrast in CONTRASTS.values():
        check_maps(maps_of(model, contrast), mixed.contrast(wanted, contrast, test))
    least = np.nanmin(np.where(study.V > 0, study.V, np.nan))
    agree(model.tau2_.get_fdata(), wanted.tau2, atol=1e-7 * least)
    agree(model.i_squared_.get_fdata(), wanted.i_squared)
    agree(model.h_squared_.get_fdata(), wanted.h_squared)
    agree(model.q_.get_fdata(), wanted.q)
    agree(model.q_p_value_.get_fdata(), wanted.q_p_value)
    # The arrays behind the maps have all digits.
    np.testing.assert_allclose(model.results_.tau2, wanted.tau2, rtol=1e-8, atol=1e-10 * least)
    np.testing.assert_allclose(model.results_.q, wanted.q, rtol=1e-9)


def test_fixed_effects_of_images(study: Study) -> None:
    with quiet():
        model: Any = SecondLevelModel(mask_img=study.mask, model=FixedEffects()).fit(
            study.effects, design_matrix=study.design, variances=study.variances
        )
    wanted = mixed.fit(study.X, study.Y, study.V, tau2=0.0)
    for contrast in CONTRASTS.values():
        check_maps(maps_of(model, contrast), mixed.contrast(wanted, contrast, "z"))
    agree(model.q_.get_fdata(), wanted.q)
    df = wanted.df_residual
    agree(model.h_squared_.get_fdata(), wanted.q / df)
    agree(model.i_squared_.get_fdata(), 100 * np.maximum(0, (wanted.q - df) / wanted.q), atol=1e-5)


def test_nilearn_fixed_effects(study: Study) -> None:
    """One-sample fixed effects, weighted by precision, of voxels that all images have."""
    from nilearn.glm import compute_fixed_effects

    Y, V = np.nan_to_num(study.Y, nan=1.0), np.nan_to_num(study.V, nan=1.0)
    Y[3, 40:], V[3, 40:] = 1.0, 1.0
    effects, variances = ([IMAGE(row.reshape(SHAPE), AFFINE) for row in rows] for rows in (Y, V))
    with quiet():
        effect, variance, stat, _ = compute_fixed_effects(
            effects, variances, mask=nib.load(study.mask), precision_weighted=True
        )
    model = SecondLevelModel(mask_img=study.mask, model="fixed effects").fit(
        effects, design_matrix=pd.DataFrame({"intercept": np.ones(N)}), variances=variances
    )
    found = maps_of(model, "intercept")
    agree(found["effect_size"], effect.get_fdata().ravel())
    agree(found["effect_variance"], variance.get_fdata().ravel())
    agree(found["stat"], stat.get_fdata().ravel())


FORMS = ("4D", "table", "series")


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_variances_give_the_same_bits(study: Study, form: str) -> None:
    effects: Any = study.effects
    variances: Any = study.variances
    model = SecondLevelModel(mask_img=study.mask, model="mixed effects")
    with quiet():
        model.fit(effects, design_matrix=study.design, variances=variances)
        plain = maps_of(model, "age")
        design = study.design
        if form == "4D":
            variances = concat([nib.load(path) for path in variances])
        elif form == "series":
            # Matched by label, in another order.
            variances = pd.Series(variances, index=design.index)
            effects = pd.Series(effects, index=design.index)
        else:
            effects = pd.DataFrame(
                {
                    "subject_label": design.index,
                    "map_name": "faces",
                    "effects_map_path": effects,
                    "variances_map_path": variances,
                }
            ).iloc[::-1]
            variances = None
            design = design.reset_index(names="subject_label")
        second = SecondLevelModel(mask_img=study.mask, model="mixed effects").fit(
            effects, design_matrix=design, variances=variances
        )
    other = maps_of(second, "age")
    for name, values in plain.items():
        if form == "table":  # rows of another order
            np.testing.assert_allclose(other[name], values, rtol=RTOL, atol=ATOL)
        else:
            np.testing.assert_array_equal(other[name], values)


@pytest.mark.parametrize(
    ("options", "tau2", "test"),
    [
        (["--model", "mixed"], "reml", "knapp-hartung"),
        (
            ["--model", "mixed", "--tau2", "dersimonian-laird", "--test", "z"],
            "dersimonian-laird",
            "z",
        ),
        (["--model", "mixed", "--tau2", "0.5", "--test", "t"], 0.5, "t"),
        (["--model", "fixed"], 0.0, "z"),
    ],
    ids=["default", "dl z", "given t", "fixed"],
)
def test_command(study: Study, tmp_path: Path, options: list[str], tau2: Any, test: str) -> None:
    result = run_fit(
        str(study.folder / "sub-*_effect.nii.gz"),
        "--variances", str(study.folder / "sub-*_variance.nii.gz"),
        "--participants", str(study.folder / "participants.tsv"),
        "--formula", "~ age + group", "--mask", study.mask,
        "--contrast", "age", "--contrast", "both=age; group",
        "--output", str(tmp_path / "out"), *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    wanted = mixed.fit(study.X, study.Y, study.V, tau2=tau2)

    def read(name: str) -> Floats:
        image: Any = nib.load(tmp_path / "out" / name)
        values: Floats = image.get_fdata()
        return values

    names = {"stat": "t", "z_score": "z", "p_value": "p", "effect_size": "effect"}
    files = {key: read(f"contrast-age_stat-{name}_statmap.nii.gz") for key, name in names.items()}
    files["effect_variance"] = read("contrast-age_stat-variance_statmap.nii.gz")
    check_maps(files, mixed.contrast(wanted, CONTRASTS["age"], test))
    joint = mixed.contrast(wanted, CONTRASTS["both"], test)
    agree(read("contrast-both_stat-F_statmap.nii.gz"), joint.stat)
    agree(read("contrast-both_stat-z_statmap.nii.gz"), joint.z_score)


def test_welch_is_scipys(study: Study) -> None:
    """Two groups of unequal variance: statistic, degrees of freedom and p of scipy's Welch test."""
    Y = study.Y.copy()
    Y[3, 40:] = np.nan
    Y[:4] *= 5.0
    groups = np.repeat([0.0, 1.0], [6, N - 6])
    design = pd.DataFrame({"first": 1.0 - groups, "second": groups})
    images = [IMAGE(row.reshape(SHAPE), AFFINE) for row in Y]
    with quiet():
        model = SecondLevelModel(mask_img=study.mask, model=UnequalVariances()).fit(
            images, design_matrix=design
        )
    found = maps_of(model, "second - first")
    wanted = stats.ttest_ind(
        Y[groups == 1], Y[groups == 0], equal_var=False, nan_policy="omit", alternative="greater"
    )
    agree(found["stat"], np.ma.getdata(wanted.statistic))
    agree(found["p_value"], np.ma.getdata(wanted.pvalue))


def test_arrays_are_the_reference(study: Study) -> None:
    """With variance groups too, by every estimator and test."""
    group = study.design["group"].to_numpy()
    X = np.column_stack([group == 0, group == 1]).astype(float)
    for tau2 in ESTIMATORS:
        for groups in (None, group):
            wanted = mixed.fit(X, study.Y, study.V, tau2=tau2, variance_groups=groups)
            for test in TESTS:
                fit = fit_mixed(X, study.Y, study.V, tau2=tau2, test=test, variance_groups=groups)
                for c in (np.array([1.0, -1.0]), np.eye(2)):
                    found, expected = fit.contrast(c), mixed.contrast(wanted, c, test)
                    np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-8, atol=1e-8)
                    np.testing.assert_allclose(found.p_value, expected.p_value, rtol=1e-7)
