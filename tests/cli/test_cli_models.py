# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit`` by each model: numbers computed anew from the files, and the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from reference import mixed
from reference.shell import basic, design_of, run_fit, run_well, values_of
from reference.variance_study import make_variance_study, rows_of

Floats = NDArray[np.float64]
AGE = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_variance_study(tmp_path_factory.mktemp("study"))


def glob_of(study: Path, kind: str) -> str:
    return str(study / "maps" / f"*_{kind}.nii.gz")


def weighted(study: Path, out: Path, *more: str | Path) -> list[str | Path]:
    return basic(study, out, "--variances", glob_of(study, "variance"), *more)


def found(study: Path, out: Path, name: str) -> Floats:
    """Return the values of a result inside the mask."""
    values: Floats = values_of(out / f"{name}.nii.gz")[values_of(study / "mask.nii.gz") > 0]
    return values


def check_map(study: Path, out: Path, kind: str, wanted: Floats, label: str = "age") -> None:
    """Compare a contrast's map; maps are float32, and a value near zero lost what its terms had."""
    values = found(study, out, f"contrast-{label}_stat-{kind}_statmap")
    np.testing.assert_allclose(values, wanted, rtol=2e-6, atol=2e-6, err_msg=kind)


def least_squares(X: Floats, y: Floats, w: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """Return effect, c'(X'WX)^-1 c and the weighted sum of squares at each place.

    Shapes: `X` (n, p) or (n_values, n, p), `y` and `w` (n, n_values), `c` (p,).
    """
    X = np.broadcast_to(X, (y.shape[1], *X.shape[-2:]))
    root = np.sqrt(w.T)[:, :, None]
    inverse = np.linalg.pinv(root * X)  # (n_values, p, n)
    beta = inverse @ (root * y.T[:, :, None])
    rss = ((root * (y.T[:, :, None] - X @ beta)) ** 2).sum(axis=(1, 2))
    unscaled = ((c @ inverse) ** 2).sum(axis=1)
    return (c @ beta)[:, 0], unscaled, rss


def test_fixed_effects(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_well("fit", *weighted(study, out, "--model", "fixed"))
    assert "Model: fixed effects\n" in result.output
    assert "Values are missing" not in result.output
    y, v, X = rows_of(study, "effect"), rows_of(study, "variance"), design_of(study)[1].to_numpy()
    effect, variance, q = least_squares(X, y, 1 / v, AGE)
    z = effect / np.sqrt(variance)
    for kind, wanted in {"effect": effect, "variance": variance, "t": z, "z": z}.items():
        check_map(study, out, kind, wanted)
    # p of z: the relative error is |z| times the absolute one of z, by phi / p.
    p = found(study, out, "contrast-age_stat-p_statmap")
    np.testing.assert_allclose(p, stats.norm.sf(z), rtol=3e-5)
    np.testing.assert_allclose(found(study, out, "stat-Q_statmap"), q, rtol=2e-6)
    facts = json.loads((out / "contrast-age_stat-t_statmap.json").read_text())
    assert facts["DegreesOfFreedom"] == {"Residual": "inf"}
    assert facts["Settings"]["Model"] == "fixed effects"
    said = json.loads((out / "stat-Q_statmap.json").read_text())
    assert said["Values"] == "Q"
    assert said["VarianceListHash"] == facts["VarianceListHash"]


def few_places(study: Path, folder: Path) -> tuple[Path, NDArray[np.bool_]]:
    """Make a mask of every 60th place of the study's; return it and these places of its mask."""
    image: Any = nib.load(study / "mask.nii.gz")
    inside = np.asarray(image.dataobj) > 0
    chosen = np.zeros(int(inside.sum()), dtype=bool)
    chosen[::60] = True
    values = np.zeros(inside.shape, np.uint8)
    values[inside] = chosen
    mask = nib.Nifti1Image(values, image.affine)  # type: ignore[no-untyped-call]
    nib.save(mask, folder / "few.nii.gz")
    return folder / "few.nii.gz", chosen


@pytest.mark.parametrize(
    ("options", "tau2", "test"),
    [
        ((), "reml", "knapp-hartung"),
        (("--tau2", "dersimonian-laird", "--test", "t"), "dersimonian-laird", "t"),
        (("--tau2", "0.3", "--test", "z"), 0.3, "z"),
    ],
)
def test_mixed_effects(
    study: Path, tmp_path: Path, options: tuple[str, ...], tau2: str | float, test: str
) -> None:
    out = tmp_path / "out"
    mask, few = few_places(study, tmp_path)
    arguments = weighted(study, out, "--model", "mixed", *options, "--contrast", "both=age; group")
    arguments[arguments.index("--mask") + 1] = mask
    result = run_well("fit", *arguments)
    how = f"by {tau2}" if isinstance(tau2, str) else "0.3, as given"
    assert f"Model: mixed effects (variance between subjects {how}; test {test})" in result.output
    y, v = rows_of(study, "effect")[:, few], rows_of(study, "variance")[:, few]
    # The maps are float32; the model reads what they hold.
    wanted = mixed.fit(design_of(study)[1].to_numpy(), y, v, tau2=tau2)
    inside = values_of(mask) > 0
    for name, values in {
        "tau2": wanted.tau2,
        "I2": wanted.i_squared,
        "H2": wanted.h_squared,
        "Q": wanted.q,
        "Qp": wanted.q_p_value,
    }.items():
        own = values_of(out / f"stat-{name}_statmap.nii.gz")[inside]
        # float32; tau2 at its maximum is known to the root of what the likelihood is.
        np.testing.assert_allclose(own, values, rtol=2e-6, atol=1e-6, err_msg=name)
    rows = np.array([[0.0, 1, 0], [0, 0, 1]])
    for label, c in (("age", rows[0]), ("both", rows)):
        tested = mixed.contrast(wanted, c, test)
        stat = "t" if label == "age" else "F"
        for kind, values in {stat: tested.stat, "z": tested.z_score}.items():
            own = values_of(out / f"contrast-{label}_stat-{kind}_statmap.nii.gz")[inside]
            np.testing.assert_allclose(own, values, rtol=2e-6, atol=2e-6, err_msg=kind)
    facts = json.loads((out / "contrast-age_stat-t_statmap.json").read_text())
    assert facts["DegreesOfFreedom"]["Residual"] == ("inf" if test == "z" else 9)
    settings = facts["Settings"]
    assert (settings["Model"], settings["Tau2"], settings["Test"]) == ("mixed effects", tau2, test)
    zero = int((wanted.tau2 == 0).sum())
    assert f"(tau2): 0 at {zero} of {few.sum()} voxels" in result.output
    facts = json.loads((out / "stat-tau2_statmap.json").read_text())
    assert facts["ShareAtZero"] == zero / few.sum()


def test_mixed_effects_with_a_variance_for_each_group(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mask, few = few_places(study, tmp_path)
    arguments = weighted(study, out, "--model", "mixed", "--variance-groups", "group")
    arguments[4] = "~ group*age"
    arguments[arguments.index("--mask") + 1] = mask
    result = run_well("fit", *arguments)
    patient = design_of(study)[1]["patient"].to_numpy()
    age = design_of(study)[1]["age"].to_numpy()
    X = np.column_stack([np.ones(12), patient, age, patient * age])
    y, v = rows_of(study, "effect")[:, few], rows_of(study, "variance")[:, few]
    wanted = mixed.fit(X, y, v, variance_groups=["control", "patient"] * 6)
    inside = values_of(mask) > 0
    for number, label in enumerate(("control", "patient")):
        own = values_of(out / f"stat-tau2_desc-{label}_statmap.nii.gz")[inside]
        np.testing.assert_allclose(own, wanted.tau2[number], rtol=2e-6, atol=1e-6)
        facts = json.loads((out / f"stat-I2_desc-{label}_statmap.json").read_text())
        assert (facts["VarianceGroup"], facts["Values"]) == (label, "I2")
        assert f"(tau2) of group {label}: 0 at {(own == 0).sum()} of" in result.output
    assert not (out / "stat-tau2_statmap.nii.gz").exists()
    one = [*arguments[:-2], "--overwrite"]  # one tau2 for all
    run_well("fit", *one)
    assert not list(out.glob("*_desc-patient_*"))
    assert (out / "stat-tau2_statmap.nii.gz").exists()


def test_groups_whose_maps_would_have_one_name(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    arguments = weighted(study, tmp_path / "out", "--model", "mixed", "--variance-groups", "site")
    arguments[2] = tmp_path / "sites.tsv"
    for labels, told in (
        (["a_b", "a b"], "the maps of the groups 'a b' and 'a_b' would be written to the same"),
        (["?", "b"], "has the group '?', which has no letter or digit"),
    ):
        table.assign(site=labels * 6).to_csv(tmp_path / "sites.tsv", sep="\t", index=False)
        refused = run_fit(*arguments, "--dry-run")
        assert refused.exit_code == 1
        assert told in refused.output


def test_weights(study: Path, tmp_path: Path) -> None:
    run_well("fit", *basic(study, tmp_path / "out", "--weights", glob_of(study, "weight")))
    y, w, X = rows_of(study, "effect"), rows_of(study, "weight"), design_of(study)[1].to_numpy()
    effect, unscaled, rss = least_squares(X, y, w, AGE)
    variance = unscaled * rss / 9
    check_map(study, tmp_path / "out", "effect", effect)
    check_map(study, tmp_path / "out", "variance", variance)
    check_map(study, tmp_path / "out", "t", effect / np.sqrt(variance))
    facts = json.loads((tmp_path / "out" / "contrast-age_stat-t_statmap.json").read_text())
    assert facts["DegreesOfFreedom"] == {"Residual": 9}
    assert facts["WeightListHash"].startswith("sha256:")


def test_voxelwise_covariates(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ("--covariate", f"grey={glob_of(study, 'grey')}", "--contrast", "grey")
    result = run_well("fit", *basic(study, out, *more, "--contrast", "both=age; grey"))
    assert "4 columns (Intercept, age, C(group)[T.patient], grey), full rank, 8 resid" in (
        result.output
    )
    y, grey, X = rows_of(study, "effect"), rows_of(study, "grey"), design_of(study)[1].to_numpy()
    whole = np.concatenate([np.broadcast_to(X, (y.shape[1], *X.shape)), grey.T[:, :, None]], axis=2)
    ones = np.ones_like(y)
    for label, column in (("age", 1), ("grey", 3)):
        effect, unscaled, rss = least_squares(whole, y, ones, np.eye(4)[column])
        check_map(study, out, "effect", effect, label)
        check_map(study, out, "t", effect / np.sqrt(unscaled * rss / 8), label)
    fewer = least_squares(X[:, [0, 2]], y, ones, np.zeros(2))[2]
    check_map(study, out, "F", (fewer - rss) / 2 / (rss / 8), "both")
    facts = json.loads((out / "contrast-grey_stat-t_statmap.json").read_text())
    assert facts["Contrast"]["Columns"][-1] == "grey"
    assert facts["DegreesOfFreedom"] == {"Residual": 8}


def test_values_that_are_no_variances(study: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for path in (study / "maps").glob("*_variance.nii.gz"):
        shutil.copy(path, maps / path.name.replace("variance", "stat-z_statmap"))
    arguments = basic(study, tmp_path / "out", "--model", "fixed", "--variances", maps / "*")
    scores = run_fit(*arguments)
    assert scores.exit_code == 1
    assert "12 of 12 images of variances hold z-scores" in scores.output
    for path in maps.iterdir():
        path.rename(path.with_name(path.name.replace("stat-z_statmap", "variance")))
    image: Any = nib.load(maps / "sub-03_variance.nii.gz")
    values = -np.asarray(image.dataobj)
    negative = nib.Nifti1Image(values, image.affine)  # type: ignore[no-untyped-call]
    nib.save(negative, maps / "sub-03_variance.nii.gz")
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert "variances are negative at voxels of 1 of 12 images: 03 (2,368 voxels)" in refused.output
    assert not list((tmp_path / "out").glob("contrast-*"))


def test_sidecar_and_log_tell_how_variances_are_resampled(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_well("fit", *weighted(study, out, "--model", "mixed", "--target-affine", "5"))
    facts = json.loads((out / "contrast-age_stat-t_statmap.json").read_text())
    assert facts["Resampling"] == {"Images": "cubic spline", "Variances": "linear"}
    assert "by a cubic spline, and variances linearly" in (out / "log.txt").read_text()
    run_well("fit", *weighted(study, tmp_path / "plain", "--model", "fixed"))
    facts = json.loads((tmp_path / "plain" / "contrast-age_stat-t_statmap.json").read_text())
    assert "Resampling" not in facts
