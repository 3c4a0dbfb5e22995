# SPDX-License-Identifier: BSD-3-Clause
"""Variances beside images, from every kind of input to the contrast: the numbers per voxel.

The model is the contract suite's smallest one, a mean with weights 1 / variance, whose numbers are
a line of numpy.
"""

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

from contract.fake_models import KnownVariance
from groupglm import SecondLevelModel, resample_img
from reference.readings import count_readings

N, SHAPE = 7, (9, 8, 7)
ONES = pd.DataFrame({"intercept": np.ones(N)})
LABELS = [f"{number:02d}" for number in range(1, N + 1)]
AFFINE = np.diag([-3.0, 3.0, 3.0, 1.0])  # a flipped axis
AFFINE[:3, 3] = [12.0, -10.0, -9.0]

Floats = NDArray[np.float64]


class Study:
    """Maps on disk, zero outside a brain; a subject lacks a part of it, and values are missing."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(3)
        self.inside = np.zeros(SHAPE, np.bool_)
        self.inside[2:7, 2:6, 2:5] = True
        sd = rng.uniform(0.5, 3, (N, *SHAPE))
        self.v = np.where(self.inside, sd**2, 0.0)
        self.y = np.where(self.inside, 1.5 + sd * rng.normal(size=(N, *SHAPE)), 0.0)
        self.y[2, 2:4, 2], self.v[2, 2:4, 2] = 0.0, 0.0  # outside this subject's brain
        self.y[3, 4, 4, 4] = np.nan
        self.v[5, 3, 3, 3] = np.nan
        self.v[6, 5, 5, 4] = 0.0
        self.mask = folder / "mask.nii"
        save(self.inside.astype(np.uint8), self.mask)
        self.effects, self.variances = [], []
        for label, y, v in zip(LABELS, self.y, self.v, strict=True):
            beginning = folder / f"sub-{label}_contrast-faces_stat-"
            self.effects.append(save(y, f"{beginning}effect_statmap.nii.gz"))
            # Of one volume on four axes, as FSL writes it.
            self.variances.append(save(v[..., np.newaxis], f"{beginning}variance_statmap.nii.gz"))

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "subject_label": LABELS,
                "map_name": "faces",
                "effects_map_path": self.effects,
                "variances_map_path": self.variances,
            }
        )

    def expected(self, keep: Any = slice(None)) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """The weighted mean, its variance and the number of images, inside the brain."""
        y, v = self.y[keep][:, self.inside], self.v[keep][:, self.inside]
        has = np.isfinite(y) & (v > 0)
        w = np.where(has, 1 / np.where(has, v, 1), 0)
        variance = 1 / w.sum(axis=0)
        return variance * (w * np.where(has, y, 0)).sum(axis=0), variance, has.sum(axis=0)


def save(values: NDArray[Any], path: Any) -> str:
    nib.save(Nifti1Image(values, AFFINE), path)  # type: ignore[no-untyped-call]
    return str(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("maps"))


def fit(given: Any, design: Any = ONES, *, mask: Any = None, **more: Any) -> SecondLevelModel:
    options = {name: more.pop(name) for name in list(more) if name not in FIT}
    model = SecondLevelModel(mask, model=KnownVariance(), minimize_memory=False, **options)
    return model.fit(given, design_matrix=design, **more)


FIT = ("variances", "weights", "covariates", "allow_partial", "confounds")
IGNORED = pytest.mark.filterwarnings("ignore:variances are NaN or 0 beside a value")


def values(image: Any, study: Study) -> Floats:
    found: Floats = np.asarray(image.dataobj, dtype=np.float64)[study.inside]
    return found


def check(
    model: SecondLevelModel, study: Study, keep: Any = slice(None), first_level: Any = None
) -> None:
    effect, variance, n = study.expected(keep)
    np.testing.assert_array_equal(np.asarray(model.mask_img_.dataobj) > 0, study.inside)
    maps = model.compute_contrast("intercept", first_level, output_type="all")
    # Maps are float32: 6e-8 of the value.
    np.testing.assert_allclose(values(maps["effect_size"], study), effect, rtol=2e-7)
    np.testing.assert_allclose(values(maps["effect_variance"], study), variance, rtol=2e-7)
    np.testing.assert_allclose(values(maps["stat"], study), effect / np.sqrt(variance), rtol=4e-7)
    np.testing.assert_array_equal(values(model.n_observations_, study), n)


def four_d(paths: list[str]) -> Any:
    images = [np.asarray(nib.load(path).dataobj).reshape(SHAPE) for path in paths]  # type: ignore[attr-defined]
    return Nifti1Image(np.stack(images, axis=-1), AFFINE)  # type: ignore[no-untyped-call]


GIVEN: dict[str, Any] = {
    "lists": lambda s: (s.effects, s.variances),
    "series by label": lambda s: (
        pd.Series(s.effects, index=LABELS),
        pd.Series(s.variances[::-1], index=[f"sub-{x}" for x in LABELS[::-1]]),
    ),
    "a series by the labels in the names": lambda s: (
        s.effects,
        pd.Series(s.variances[::-1], index=LABELS[::-1]),
    ),
    "images in memory": lambda s: (
        [nib.load(path) for path in s.effects],
        [nib.load(path) for path in s.variances],
    ),
    "4-D images": lambda s: (four_d(s.effects), four_d(s.variances)),
    "a list and a 4-D image": lambda s: (s.effects, four_d(s.variances)),
}


@IGNORED
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("how", GIVEN)
def test_images_and_variances_are_matched(study: Study, how: str, with_mask: bool) -> None:
    images, variances = GIVEN[how](study)
    check(fit(images, mask=study.mask if with_mask else None, variances=variances), study)


@IGNORED
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("how", ["as it is", "cache", "threads", "small budget"])
def test_a_table_of_maps_has_a_column(
    study: Study, how: str, with_mask: bool, tmp_path: Path
) -> None:
    every: dict[str, Any] = {
        "as it is": {}, "cache": {"memory": tmp_path}, "threads": {"n_jobs": 3},
        "small budget": {"memory_budget": 3e5},
    }  # fmt: skip
    options = every[how]
    mixed = study.table.sample(frac=1, random_state=1)
    design = ONES.set_axis(LABELS).rename_axis("subject_label")
    for _ in range(2):  # the second time from the cache
        check(fit(mixed, design, mask=study.mask if with_mask else None, **options), study)


@IGNORED
def test_variances_beside_a_table_are_matched_by_label(study: Study) -> None:
    table = study.table.drop(columns="variances_map_path").iloc[::-1]
    design = ONES.set_axis(LABELS).rename_axis("subject_label")
    own = pd.Series(study.variances, index=LABELS)
    check(fit(table, design, variances=own), study)
    with pytest.raises(ValueError, match="is sorted by subject_label, but variances has no labels"):
        fit(table, design, variances=study.variances)
    with pytest.raises(ValueError, match="variances is given, but the column variances_map_path"):
        fit(study.table, ONES.set_axis(LABELS), variances=own)


@IGNORED
def test_residuals_and_rows_are_of_the_images(study: Study) -> None:
    model = fit(study.effects, mask=study.mask, variances=study.variances)
    effect, *_ = study.expected()
    found = np.asarray(model.residuals_.dataobj)[study.inside]
    y, v = study.y[:, study.inside], study.v[:, study.inside]
    has = np.isfinite(y) & (v > 0)  # the others are no part of the fit
    expected = np.where(has, y - effect, np.nan).T
    # float32: 6e-8 of values up to 10.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    predicted = np.asarray(model.predicted_.dataobj)[study.inside]
    np.testing.assert_allclose(predicted, np.tile(effect[:, np.newaxis], N), rtol=2e-7)
    rows = SecondLevelModel(study.mask, model=KnownVariance()).fit_transform(
        study.effects, design_matrix=ONES, variances=study.variances
    )
    np.testing.assert_array_equal(rows, study.y[:, study.inside])
    assert len(model.residuals_.shape) == 4
    assert model.zeros_.n_partial == 0  # zeros with a variance of 0 are outside a brain
    n_zeros = np.count_nonzero(study.y[:, study.inside] == 0, axis=0)
    np.testing.assert_array_equal(values(model.n_zeros_, study), n_zeros)


class FirstLevel:
    """A first-level model, fitted elsewhere."""

    def __init__(self, label: str, y: Floats, v: Floats) -> None:
        self.subject_label = label
        self._maps = {"effect_size": y, "effect_variance": v}

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        assert contrast_def == "faces"
        return Nifti1Image(self._maps[output_type], AFFINE)  # type: ignore[no-untyped-call]


@IGNORED
def test_first_level_models_give_their_variances(study: Study) -> None:
    models: Any = [FirstLevel(*own) for own in zip(LABELS, study.y, study.v, strict=True)]
    model = SecondLevelModel(model=KnownVariance(), minimize_memory=False).fit(models[::-1])
    model.compute_contrast("intercept", "faces")
    check(model, study, first_level="faces")
    refused = SecondLevelModel(model=KnownVariance()).fit(models, variances=study.variances)
    with pytest.raises(ValueError, match="variances is given, but the first-level models compute"):
        refused.compute_contrast("intercept", "faces")


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("bad", [True, False])
def test_how_often_files_are_read(
    study: Study, with_mask: bool, bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; and once more to say whose variances cannot be used, only if there are such."""
    keep = slice(None) if bad else slice(0, 5)
    files = [*study.effects[keep], *study.variances[keep]]
    counts = count_readings(monkeypatch)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = fit(
            study.effects[keep],
            ONES[keep],
            mask=study.mask if with_mask else None,
            variances=study.variances[keep],
        )
    assert sum("beside a value" in str(one.message) for one in told) == bad
    assert {name: counts[name] for name in files} == dict.fromkeys(files, 2 if bad else 1)
    _ = model.residuals_
    assert all(counts[name] == (3 if bad else 2) for name in files)


@IGNORED
@pytest.mark.parametrize("how", ["list", "series", "table", "gap in table", "gap in series"])
def test_who_is_left_out_takes_the_variances_along(study: Study, how: str) -> None:
    keep = [0, 1, 3, 4, 5, 6]
    design = ONES.set_axis(LABELS).rename_axis("subject_label")
    given: Any = study.effects
    variances: Any = study.variances
    if how == "table":
        given, variances = study.table, None
    elif how == "gap in table":
        given, variances = study.table, None
        given.loc[2, "variances_map_path"] = np.nan
    elif how == "series":
        variances = pd.Series(study.variances, index=LABELS)
    elif how == "gap in series":
        variances = pd.Series(study.variances, index=LABELS).drop("03")
    if "gap" not in how:
        design = design.drop("03")
    with pytest.warns(UserWarning, match="left out subjects without .*: '?03"):
        model = fit(given, design, mask=study.mask, variances=variances, allow_partial=True)
    check(model, study, keep)
    if how == "gap in table":
        with pytest.raises(ValueError, match="has no variances_map_path for 1 of 7 maps: 03"):
            fit(given, ONES.set_axis(LABELS).rename_axis("subject_label"))


@IGNORED
@pytest.mark.parametrize("with_mask", [True, False])
def test_variances_are_resampled_linearly(study: Study, with_mask: bool) -> None:
    """A spline through variances overshoots between 0 and a large one, to less than 0."""
    rng = np.random.default_rng(5)
    target = np.diag([2.0, 2.0, 2.0])
    y, v = study.y[:, study.inside].copy(), study.v
    del y
    v = np.where(study.inside, rng.choice([0.1, 30.0], (N, *SHAPE)), 0.0)
    effects = [np.where(study.inside, rng.normal(3, 1, SHAPE), 0.0) for _ in range(N)]

    def image(own: Floats) -> Any:
        return Nifti1Image(own, AFFINE)  # type: ignore[no-untyped-call]

    model = fit(
        [image(own) for own in effects],
        mask=study.mask if with_mask else None,
        variances=[image(own) for own in v],
        target_affine=target,
    )
    inside = np.asarray(model.mask_img_.dataobj) > 0
    grid: Any = {"target_affine": model.mask_img_.affine, "target_shape": inside.shape}
    linear = np.stack(
        [
            resample_img(image(own), interpolation="linear", fill_value=np.nan, **grid).get_fdata()
            for own in v
        ]
    )[:, inside]
    spline = np.stack(
        [resample_img(image(own), fill_value=np.nan, **grid).get_fdata() for own in effects]
    )[:, inside]
    has = np.isfinite(spline + linear) & (linear > 0)
    w = np.where(has, 1 / np.where(has, linear, 1), 0)
    effect = (w * np.where(has, spline, 0)).sum(axis=0) / w.sum(axis=0)
    found = np.asarray(model.compute_contrast("intercept", output_type="effect_size").dataobj)[
        inside
    ]
    # resample_img clips each image to its own range, the fit to that of all; nearly all agree.
    agree = np.isclose(found, effect, rtol=1e-5)
    assert np.count_nonzero(agree) > 0.9 * agree.size
    variance = np.asarray(
        model.compute_contrast("intercept", output_type="effect_variance").dataobj
    )[inside]
    np.testing.assert_allclose(variance, 1 / w.sum(axis=0), rtol=1e-6)


@IGNORED
@pytest.mark.filterwarnings("ignore:.*exactly zero in some images")
def test_a_user_reads_how_variances_are_resampled(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    told = (
        "Images were resampled to the grid of the fit by a cubic spline, and variances linearly, "
        "because a spline may make them negative."
    )
    for target, is_told in ((np.diag([2.0, 2.0, 2.0]), True), (AFFINE, False), (None, False)):
        shape = SHAPE if target is AFFINE else None
        model = fit(
            study.effects, mask=study.mask, variances=study.variances, target_affine=target,
            target_shape=shape, verbose=1,
        )  # fmt: skip
        assert (told in capsys.readouterr().out) is is_told
        page = " ".join(str(model.generate_report("intercept", bg_img=None)).split())
        assert page.count(told) == (2 if is_told else 0)  # in its section, and in the methods
