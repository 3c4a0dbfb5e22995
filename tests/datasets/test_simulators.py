# SPDX-License-Identifier: BSD-3-Clause
"""The studies of the worked examples: the truth is where it is said to be, and in the maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm.datasets import (
    GroupStudy,
    simulate_bids_study,
    simulate_covariate_study,
    simulate_grey_matter_study,
    simulate_longitudinal_study,
    simulate_one_sample_study,
    simulate_paired_study,
    simulate_variance_study,
)
from groupglm.datasets.bold import block_events, regressor, slow_drifts
from reference.bids import problems

FloatArray = NDArray[np.float64]
Simulate = Callable[..., GroupStudy]

_SIMULATORS: list[Simulate] = [
    simulate_one_sample_study,
    simulate_covariate_study,
    simulate_grey_matter_study,
]
_each_simulator = pytest.mark.parametrize("simulate", _SIMULATORS, ids=lambda f: f.__name__)


def _values(image: Any) -> FloatArray:
    return np.asarray(image.dataobj, dtype=np.float64)


def _rows(paths: list[Path], inside: NDArray[np.bool_]) -> FloatArray:
    return np.stack([_values(nib.load(path))[inside] for path in paths])


def _at(image: Any, position: tuple[float, float, float]) -> float:
    """Return an image's value at a place in mm."""
    voxel = np.rint((np.array(position) - image.affine[:3, 3]) / image.affine[0, 0]).astype(int)
    return float(_values(image)[tuple(voxel)])


@_each_simulator
def test_the_parts_of_a_study_belong_together(simulate: Simulate, tmp_path: Path) -> None:
    study = simulate(tmp_path, n_subjects=8, voxel_size=12.0)
    assert sorted(study.directory.iterdir()) == study.paths
    labels = [path.name.removesuffix("_effect.nii.gz") for path in study.paths]
    assert labels == study.participants["participant_id"].tolist()
    assert len(study.design_matrix) == 8
    assert list(study.truth) == list(study.design_matrix)
    outside = _values(study.mask_img) == 0
    for path in study.paths:
        image: Any = nib.load(path)
        assert image.get_data_dtype() == np.float32
        np.testing.assert_array_equal(image.affine, study.mask_img.affine)
        assert np.all(_values(image)[outside] == 0)
    assert all(np.all(_values(truth)[outside] == 0) for truth in study.truth.values())


@_each_simulator
def test_the_same_seed_gives_the_same_study(simulate: Simulate, tmp_path: Path) -> None:
    first = simulate(tmp_path / "a", n_subjects=8, voxel_size=12.0, seed=3)
    again = simulate(tmp_path / "b", n_subjects=8, voxel_size=12.0, seed=3)
    other = simulate(tmp_path / "c", n_subjects=8, voxel_size=12.0, seed=4)
    inside = _values(first.mask_img) > 0
    assert first.participants.equals(again.participants)
    assert first.design_matrix.equals(again.design_matrix)
    np.testing.assert_array_equal(_rows(first.paths, inside), _rows(again.paths, inside))
    assert np.all(_rows(first.paths, inside) != _rows(other.paths, inside))


@_each_simulator
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 1}, "n_subjects is 1"),
        ({"voxel_size": float("inf")}, "voxel_size is inf"),
        ({"noise_fwhm": 0.0}, r"noise_fwhm is 0\.0"),
        ({"seed": -1}, "seed is -1"),
        ({"voxel_size": 90.0}, "leaves out the peak of the effect of"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    simulate: Simulate, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "study", **arguments)
    assert not (tmp_path / "study").exists()


def _standardised_errors(study: GroupStudy, noise_sd: FloatArray | float) -> FloatArray:
    """Return least-squares estimates less the truth, in standard errors, of each column.

    By numpy alone: with independent noise of a known standard deviation these are standard normal.
    """
    inside = _values(study.mask_img) > 0
    X = study.design_matrix.to_numpy()
    estimates = np.linalg.lstsq(X, _rows(study.paths, inside), rcond=None)[0]
    truth = np.stack([_values(image)[inside] for image in study.truth.values()])
    unit = np.sqrt(np.diag(np.linalg.inv(X.T @ X)))[:, np.newaxis]
    errors: FloatArray = (estimates - truth) / (unit * noise_sd)
    return errors


def _check_standard_normal(errors: FloatArray) -> None:
    # Noise of FWHM half a voxel hardly depends on its neighbours (correlation below 0.01), so a row
    # holds about as many independent values as voxels; float32 maps add 1e-7 of the values.
    n = errors.shape[1]
    assert np.abs(errors.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(errors.var(axis=1) - 1).max() < 5 * np.sqrt(2 / n)
    assert np.abs(errors).max() < 6.5


def test_the_one_sample_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_one_sample_study(tmp_path, n_subjects=12, voxel_size=6.0, noise_fwhm=3.0)
    _check_standard_normal(_standardised_errors(study, 1.0))
    truth = study.truth["intercept"]
    for effect in study.effects.values():
        # Exact up to float32, and the tails of other blobs are cut off before they come here.
        np.testing.assert_allclose(_at(truth, effect.peak), effect.height, rtol=1e-6)
    active = _values(truth) != 0
    volume = sum(4 / 3 * np.pi * (effect.fwhm / 2) ** 3 for effect in study.effects.values())
    # Spheres of diameter FWHM, up to the layer of voxels through which their surfaces go; the
    # wide one is cut by the border of the brain.
    surface = sum(np.pi * effect.fwhm**2 for effect in study.effects.values())
    assert abs(active.sum() * 6.0**3 - volume) < surface * 6.0 / 2


def test_the_variance_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_variance_study(tmp_path, n_subjects=40, voxel_size=6.0, noise_fwhm=3.0)
    assert sorted(study.directory.iterdir()) == sorted([*study.paths, *study.variance_paths])
    inside = _values(study.mask_img) > 0
    Y, V = _rows(study.paths, inside), _rows(study.variance_paths, inside)
    tau2 = _values(study.tau2_img)[inside]
    assert np.unique(tau2).tolist() == [0.0, 0.5]
    X = study.design_matrix.to_numpy()
    truth = np.stack([_values(image)[inside] for image in study.truth.values()])
    errors = (Y - X @ truth) / np.sqrt(tau2 + V)
    _check_standard_normal(errors)
    short = study.participants["short"].to_numpy()
    assert V[short].min(axis=0).mean() > 2 * V[~short].mean()
    affine = study.mask_img.affine
    left = affine[0, 0] * np.argwhere(inside)[:, 0] + affine[0, 3] < 0
    np.testing.assert_array_equal(tau2 > 0, left)
    again = simulate_variance_study(tmp_path, n_subjects=40, voxel_size=6.0, noise_fwhm=3.0)
    np.testing.assert_array_equal(_rows(again.variance_paths, inside), V)


def test_the_longitudinal_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_longitudinal_study(
        tmp_path, n_subjects=60, n_visits=3, missed=0.3, voxel_size=6.0, noise_fwhm=3.0
    )
    assert sorted(study.directory.iterdir()) == sorted(study.paths)
    inside = _values(study.mask_img) > 0
    truth = np.stack([_values(image)[inside] for image in study.truth.values()])
    errors = _rows(study.paths, inside) - study.design_matrix.to_numpy() @ truth
    sessions = study.sessions
    counts = sessions.groupby("participant_id").size()
    assert (counts >= 1).all()
    assert 60 * (1 + 2 * 0.7) - 4 * (120 * 0.21) ** 0.5 < len(sessions) < 60 * 3
    # Differences of a subject's maps have twice the variance within a subject, 0.5; neighbouring
    # voxels share noise, so that there are some 4,000 independent ones.
    following = (sessions["participant_id"] == sessions["participant_id"].shift(-1)).to_numpy()
    left = errors[np.flatnonzero(following) + 1] - errors[following]
    np.testing.assert_allclose((left**2).mean(), 1.0, atol=0.02)
    correlation = _values(study.intraclass_correlation_img)[inside]
    for value, variance in ((1 / 3, 0.75), (2 / 3, 1.5)):
        own = np.isclose(correlation, value, atol=1e-6)
        assert own.any()
        np.testing.assert_allclose((errors[:, own] ** 2).mean(), variance, rtol=0.05)
    for name, effect in study.effects.items():
        np.testing.assert_allclose(_at(study.truth[name], effect.peak), effect.height, rtol=1e-6)


def test_the_paired_study_holds_its_truth(tmp_path: Path) -> None:
    n, correlation = 24, 0.75
    study = simulate_paired_study(
        tmp_path, n_subjects=n, correlation=correlation, voxel_size=6.0, noise_fwhm=3.0
    )
    inside = _values(study.mask_img) > 0
    maps = _rows(study.images["path"].tolist(), inside)
    response, difference = (_values(study.truth[x])[inside] for x in ("response", "difference"))
    assert study.images["condition"].tolist() == ["vertical", "horizontal"] * n
    for name, effect in study.effects.items():
        np.testing.assert_allclose(_at(study.truth[name], effect.peak), effect.height, rtol=1e-6)
    noise = maps - response
    noise[::2] -= difference
    # Within a pair the correlation is as stated: differences and sums of its maps, of variances
    # 2 (1 - r) and 2 (1 + r), are independent standard normal values when divided by their SDs.
    for values, spread in (
        (noise[::2] - noise[1::2], np.sqrt(2 * (1 - correlation))),
        (noise[::2] + noise[1::2], np.sqrt(2 * (1 + correlation))),
    ):
        _check_standard_normal(values / spread)


def test_the_same_seed_gives_the_same_pairs(tmp_path: Path) -> None:
    first, again, other = (
        simulate_paired_study(tmp_path / name, n_subjects=3, voxel_size=12.0, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    inside = _values(first.mask_img) > 0
    rows = [_rows(study.images["path"].tolist(), inside) for study in (first, again, other)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.all(rows[0] != rows[2])
    assert sorted(first.directory.iterdir()) == sorted(first.images["path"])


@pytest.mark.parametrize("correlation", [-0.1, 1.0, float("nan")])
def test_a_correlation_out_of_range_is_refused(correlation: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"correlation is {correlation}"):
        simulate_paired_study(tmp_path / "study", correlation=correlation)
    assert not (tmp_path / "study").exists()


def test_the_covariate_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_covariate_study(tmp_path, n_subjects=24, voxel_size=6.0, noise_fwhm=3.0)
    _check_standard_normal(_standardised_errors(study, 1.0))
    for name, effect in study.effects.items():
        np.testing.assert_allclose(_at(study.truth[name], effect.peak), effect.height, rtol=1e-6)
    design, participants = study.design_matrix, study.participants
    for name in ("reading_speed", "age"):
        values = participants[name]
        np.testing.assert_allclose(design[name], values - values.mean(), atol=1e-12)
    assert design["site[T.B]"].tolist() == (participants["site"] == "B").astype(float).tolist()


def test_older_subjects_read_as_slowly_as_stated(tmp_path: Path) -> None:
    n = 120
    study = simulate_covariate_study(tmp_path, n_subjects=n, voxel_size=12.0)
    age, speed = (study.participants[name].to_numpy() for name in ("age", "reading_speed"))
    slope, level = np.polyfit(age - 45.0, speed, 1)
    # Least squares with residuals of SD 20 words a minute; five standard errors.
    assert abs(slope + 1) < 5 * 20 / (age.std() * np.sqrt(n))
    assert abs(level - 220) < 5 * 20 / np.sqrt(n) * 1.1


def test_the_grey_matter_study_holds_its_truth(tmp_path: Path) -> None:
    study = simulate_grey_matter_study(tmp_path, n_subjects=24, voxel_size=6.0, noise_fwhm=3.0)
    inside = _values(study.mask_img) > 0
    mean = _values(study.truth["intercept"])
    assert mean[inside].min() >= 0.2
    assert mean.max() < 1
    _check_standard_normal(_standardised_errors(study, 0.1 * mean[inside]))
    for name, effect in study.effects.items():
        np.testing.assert_allclose(_at(study.truth[name], effect.peak), effect.height, rtol=1e-6)
    assert _rows(study.paths, inside).min() > 0  # a volume; ten standard deviations, all told
    # Of one sex and age, grey matter is proportional to the volume within the skull.
    tiv = study.participants["tiv"].mean()
    np.testing.assert_allclose(_values(study.truth["tiv"]) * tiv, mean, rtol=1e-6)
    design, participants = study.design_matrix, study.participants
    for name in ("age", "tiv"):
        values = participants[name]
        np.testing.assert_allclose(design[name], values - values.mean(), atol=1e-12)
    assert design["female"].tolist() == (participants["sex"] == "F").astype(float).tolist()


def test_the_response_is_that_of_another_package() -> None:
    from nilearn.glm.first_level import compute_regressor

    events = block_events(("words", "symbols"), 100)
    words = events[events["trial_type"] == "words"]
    condition = np.array([words["onset"], words["duration"], np.ones(len(words))])
    theirs, _ = compute_regressor(condition, "spm", 2.0 * np.arange(100))
    # Both sample the response, in steps of 0.1 and 0.04 s, and round times to them; a regressor
    # changes by 0.2 a second at most, the largest density of the response.
    np.testing.assert_allclose(regressor(words, 100), theirs[:, 0], atol=0.2 * 0.14)


def test_the_bids_study_is_laid_out_as_bids_says(tmp_path: Path) -> None:
    study = simulate_bids_study(tmp_path / "study", n_subjects=3, n_scans=30, voxel_size=12.0)
    names = {path.relative_to(study.directory).as_posix() for path in study.directory.rglob("*.*")}
    run = "sub-02/func/sub-02_task-reading"
    bold = f"derivatives/preproc/{run}_space-MNI152NLin2009cAsym_desc-preproc_bold"
    assert {
        "dataset_description.json",
        "derivatives/preproc/dataset_description.json",
        "participants.tsv",
        "participants.json",
        f"{run}_events.tsv",
        f"{bold}.json",
        f"{bold}.nii.gz",
    } <= names
    assert len(names) == 4 + 3 * 3
    for folder, kind in ((study.directory, "raw"), (study.derivatives, "derivative")):
        description = json.loads((folder / "dataset_description.json").read_text("utf-8"))
        assert description["DatasetType"] == kind
        assert {"Name", "BIDSVersion"} <= set(description)
    assert description["GeneratedBy"][0]["Name"]
    assert json.loads((study.directory / f"{bold}.json").read_text("utf-8"))["RepetitionTime"] == 2
    image: Any = nib.load(study.directory / f"{bold}.nii.gz")
    assert image.shape == (*study.mask_img.shape, 30)
    assert image.header.get_zooms() == (12.0, 12.0, 12.0, 2.0)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    table = pd.read_csv(study.directory / "participants.tsv", sep="\t")
    assert table.equals(study.participants)
    events = pd.read_csv(study.directory / f"{run}_events.tsv", sep="\t")
    assert list(events) == ["onset", "duration", "trial_type"]
    assert events["trial_type"].tolist() == ["symbols", "words"]  # the other way round in sub-01
    assert (events["onset"] + events["duration"]).max() <= 60


def test_the_bids_validator_finds_no_fault(tmp_path: Path) -> None:
    study = simulate_bids_study(tmp_path / "study", n_subjects=3, n_scans=24, voxel_size=12.0)
    assert not problems(study.directory)
    assert not problems(study.derivatives)
    (study.directory / "participants.tsv").write_text("participant\n1\n", encoding="utf-8")
    assert problems(study.directory)  # it does look


def test_the_bids_study_holds_its_truth(tmp_path: Path) -> None:
    n, n_scans = 8, 48
    study = simulate_bids_study(
        tmp_path, n_subjects=n, n_scans=n_scans, voxel_size=6.0, noise_fwhm=3.0
    )
    inside = _values(study.mask_img) > 0
    truth = {name: _values(image)[inside] for name, image in study.truth.items()}
    ages = study.participants["age"] - study.participants["age"].mean()
    errors = []
    for label, age in zip(study.participants["participant_id"], ages, strict=True):
        (run,) = study.derivatives.glob(f"{label}/func/*_bold.nii.gz")
        (table,) = study.directory.glob(f"{label}/func/*_events.tsv")
        events = pd.read_csv(table, sep="\t")
        X = np.column_stack(
            [
                *(
                    regressor(events[events["trial_type"] == k], n_scans)
                    for k in ("words", "symbols")
                ),
                np.ones(n_scans),
                slow_drifts(n_scans),
            ]
        )
        percent = _values(nib.load(run))[inside].T / 100 - 100
        words, symbols = np.linalg.lstsq(X, percent, rcond=None)[0][:2]
        # Noise of an autoregression of order one, and the subject's own difference (SD 0.3 %).
        lag = np.abs(np.subtract.outer(np.arange(n_scans), np.arange(n_scans)))
        gain = np.linalg.pinv(X)[:2]
        covariance = gain @ 0.3**lag @ gain.T + np.diag([0.3**2, 0.0])
        difference = truth["difference"] + age * truth["age"]
        error = np.stack([words - truth["response"] - difference, symbols - truth["response"]])
        errors.append(np.linalg.solve(np.linalg.cholesky(covariance), error))
    # Whitened, the errors of all subjects are standard normal, all independent.
    _check_standard_normal(np.concatenate(errors))


def test_the_same_seed_gives_the_same_data_set(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_bids_study(tmp_path / name, n_subjects=3, n_scans=24, voxel_size=12.0, seed=seed)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    for file in files:
        data = [(tmp_path / name / file).read_bytes() for name in "abc"]
        assert data[0] == data[1]
        assert (data[0] == data[2]) == (file.suffix == ".json" or file.name.endswith("events.tsv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_subjects": 2}, "n_subjects is 2"), ({"n_scans": 23}, "n_scans is 23")],
)
def test_a_bids_study_too_small_is_refused(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_bids_study(tmp_path / "study", **arguments)
    assert not (tmp_path / "study").exists()
