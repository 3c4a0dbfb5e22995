# SPDX-License-Identifier: BSD-3-Clause
"""The worked examples run as plain scripts, without a warning, and find what was put in."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

Run = Callable[[str], dict[str, Any]]

pytestmark = pytest.mark.examples


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs an example in an empty folder and returns its variables."""

    def run_example(name: str) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        names = runpy.run_path(str(EXAMPLES / f"plot_{name}.py"))
        assert not list(tmp_path.iterdir())  # nothing is left behind
        return names

    return run_example


def test_every_example_is_tested() -> None:
    tested = {name.removeprefix("test_plot_") for name in globals() if "test_plot_" in name}
    assert {path.stem.removeprefix("plot_") for path in EXAMPLES.glob("plot_*.py")} == tested


def test_every_example_has_its_place_and_its_figures() -> None:
    pytest.importorskip("sphinx_gallery")
    import gallery

    names = sorted((path.name for path in EXAMPLES.glob("plot_*.py")), key=gallery.ReadingOrder(""))
    assert names[0] == "plot_one_sample.py"
    assert gallery.ReadingOrder("")(names[-1]) < gallery.ReadingOrder("")("plot_another.py")
    variables: dict[str, Any] = {"first": Figure(), "number": 1}
    assert list(gallery.new_figures(variables)) == [variables["first"]]
    variables["___"] = Figure()
    assert list(gallery.new_figures(variables)) == [variables["___"]]
    assert list(gallery.new_figures(variables)) == []


def _apart(img: Any, peak: tuple[float, float, float]) -> float:
    """Return the distance, in mm, of an image's largest value from a place."""
    values = np.nan_to_num(img.get_fdata())
    voxel = np.unravel_index(values.argmax(), values.shape)
    return float(np.linalg.norm((img.affine @ [*voxel, 1])[:3] - peak))


def test_plot_thresholds(run: Run) -> None:
    names = run("thresholds")
    counts = names["counts"]
    n_null = int((~names["active"][names["inside"]]).sum())
    # Neighbouring voxels depend on each other: about one independent test in 12 voxels (noise of
    # FWHM 8 mm, two voxels), so false positives have a variance 12 times that of a binomial.
    expected, spread = 0.001 * n_null, np.sqrt(12 * 0.001 * n_null)
    assert abs(counts["fpr, alpha 0.001"]["of these false"] - expected) < 3 * spread
    assert counts["bonferroni, alpha 0.05"]["of these false"] == 0
    found = [counts[name]["voxels found"] for name in counts]
    assert found[0] > found[1] > found[2] > 0
    # No peak is farther from the truth than half the width of its effect.
    for name, effect in names["study"].effects.items():
        assert names["distances"][name] < effect.fwhm / 2


def test_plot_true_discoveries(run: Run) -> None:
    names = run("true_discoveries")
    compared = names["compared"]
    assert (compared["as a proportion"] <= compared["in truth"]).all()
    assert compared["as a proportion"].max() > 0.9
    # A sphere about a true peak is active in all of its voxels.
    regions = names["regions"].set_index("Region")
    assert (regions["True Discoveries"] <= regions["Voxels"]).all()
    assert regions.loc["motor", "True Discovery Proportion"] > 0.5
    n_active = int((names["truth"] != 0).sum())
    assert 0 < regions.loc["the whole brain", "True Discoveries"] <= n_active


def test_plot_one_sample(run: Run) -> None:
    names = run("one_sample")
    bars = list(names["bars"].values())
    assert bars[1] < bars[0]  # permutation knows that the noise is smooth
    tests, truth = names["tests"], names["truth"]
    for significant in tests.values():
        assert significant[truth > 0].any()
    assert not tests["largest t"][truth <= 0].any()
    for more, less in (("largest t", "t, Bonferroni"), ("TFCE", "largest t")):
        assert tests[more].sum() > tests[less].sum()
    motor = names["study"].effects["motor"]
    assert _apart(names["permuted"]["t"], motor.peak) < motor.fwhm / 2


def test_plot_mixed_effects(run: Run) -> None:
    names = run("mixed_effects")
    recovered = names["recovered"]
    # An estimate has a standard deviation of some 0.3, and about one voxel in three is independent:
    # the mean of 4,000 is known to 0.01. REML is nearly unbiased where few estimates are 0.
    assert abs(recovered.loc[0.5, "mean estimate"] - 0.5) < 0.05
    assert recovered.loc[0.0, "mean estimate"] < 0.1
    assert 0.4 < recovered.loc[0.0, "share at 0"] < 0.65
    heterogeneous = names["heterogeneous"]
    assert heterogeneous["left: tau2 0.5"] > 0.4 > 0.08 > heterogeneous["right: tau2 0"]
    assert (names["z_at_peaks"]["mixed effects"] > 0.5 + names["z_at_peaks"]["ols"]).all()
    rates = names["false_positives"]
    assert rates["mixed effects"].between(0.03, 0.08).all()
    assert rates.loc["left: tau2 0.5", "fixed effects"] > 0.12
    assert 0.03 < rates.loc["right: tau2 0", "fixed effects"] < 0.06


def test_plot_visits(run: Run) -> None:
    names = run("visits")
    # Of two maps a subject, the test of the change is the two-sample t-test of the differences.
    model, weights = names["model"], names["weights"]
    degrees = model.results_.contrast(weights).df
    interior = ~model.results_.at_boundary
    np.testing.assert_allclose(degrees[interior], 30, rtol=1e-6)
    assert _apart(names["z_change"], names["pairs"].effects["patient:time"].peak) < 24
    # Medians of some 4,000 voxels; with 20 subjects a correlation is known to some 0.15 at each.
    for true, found in names["recovered"].items():
        assert abs(found - true) < 0.06


def test_plot_two_samples(run: Run) -> None:
    names = run("two_samples")
    compared = names["compared"]
    assert compared["degrees of freedom"].tolist() == [30, 15]
    assert (
        compared.loc["paired", "z at the true peak"]
        > 1 + compared.loc["unpaired", "z at the true peak"]
    )
    # The t maps are float32: two roundings of 2**-24 of the largest t, about 8.
    assert names["largest_gap"] <= 2 * 2**-24 * 8
    difference = names["study"].effects["difference"]
    assert _apart(names["permuted"]["tfce"], difference.peak) < difference.fwhm / 2
    assert names["permuted"]["logp_max_tfce"].get_fdata().max() > -np.log10(0.05)
    assert [type(warning.message).__name__ for warning in names["caught"]] == [
        "RankDeficientWarning"
    ]
    assert "32 images of 16 subjects" in names["refused"]


def test_plot_covariates(run: Run) -> None:
    names = run("covariates")
    effects = names["study"].effects
    assert np.linalg.norm(np.subtract(names["peak"], effects["reading_speed"].peak)) < 12
    confounding = names["confounding"].to_numpy()
    assert confounding[0, 0] > 4  # the effect of speed
    assert abs(confounding[0, 1]) < 2 < 3 < confounding[1, 1]  # none, unless age is left out
    centring = names["centring"].to_numpy()
    assert abs(centring[0, 0] - centring[1, 0]) < 1.5e-3  # both rounded to 1e-3
    assert centring[0, 1] > 4 > 2 > centring[1, 1]
    # Each site has 20 subjects: a difference has a standard error of sqrt(2 / 20) at least, more
    # because the sites differ a little in the covariates; four of them.
    error = 4 * 1.1 * np.sqrt(2 / 20)
    np.testing.assert_allclose(names["sites"], [1.5, -1.5, 3.0], atol=error)
    assert _apart(names["z_site"], effects["site[T.B]"].peak) < 12
    X, by_label = names["design"], names["by_label"]
    np.testing.assert_allclose(X.to_numpy()[:, [1, 2, 3, 4, 0]], by_label.to_numpy(), atol=1e-12)


def test_plot_grey_matter(run: Run) -> None:
    names = run("grey_matter")
    age, female = (names["study"].effects[name] for name in ("age", "female"))
    below = -names["z_age"].get_fdata()
    assert _apart(type(names["z_age"])(below, names["z_age"].affine), age.peak) < age.fwhm / 2
    # Bonferroni's bound keeps every voxel that has no effect out, in 95 studies of 100.
    truth = names["truth"]
    found = names["age_map"].get_fdata() != 0
    assert found.sum() > 50
    assert not (found & (np.abs(truth) < abs(age.height) / 100)).any()
    # One cluster, of women; without head size men have more nearly everywhere.
    peaks = names["table"][["X", "Y", "Z"]].to_numpy(dtype=float)
    assert np.linalg.norm(peaks - female.peak, axis=1).max() < female.fwhm / 2
    assert abs(names["median_z"]["head size in the model"]) < 0.3
    assert names["median_z"]["head size left out"] < -3
    without = names["map_without"].get_fdata()[names["inside"]]
    assert (without < 0).mean() > 0.5


def test_plot_surfaces(run: Run) -> None:
    names = run("surfaces")
    study, truth = names["study"], names["truth"]
    effect = study.effects["group"]
    table = names["table"]
    assert table["Structure"].iloc[0] == effect.hemisphere
    peak = table[["X", "Y", "Z"]].iloc[0].to_numpy(dtype=float)
    assert np.linalg.norm(peak - effect.peak) < effect.fwhm / 2
    tests = names["tests"]
    core, nothing = truth >= effect.height / 2, truth < effect.height / 100
    assert all(tests[name][core].mean() > 0.5 for name in ("size of clusters", "TFCE"))
    # Corrected for the family of all vertices: none in 95 studies of 100.
    assert not tests["largest t"][nothing].any()
    # Clusters may reach beyond the effect, but begin in it.
    assert tests["TFCE"].sum() > tests["largest t"].sum()


def test_plot_bids(run: Run) -> None:
    pytest.importorskip("nilearn")
    names = run("bids")
    study = names["study"]
    effects = study.effects
    assert (
        _apart(names["z_difference"], effects["difference"].peak) < effects["difference"].fwhm / 2
    )
    compared = names["compared"]
    # A subject's difference has a standard deviation of about 0.5 % in a voxel (0.3 % its own, the
    # rest from 100 scans), its noise a FWHM of 8 mm: a core of 30 mm holds some 50 independent
    # values, the group 12 subjects of 14 years from the mean. Five standard errors.
    error = 0.5 / np.sqrt(12 * 50)
    np.testing.assert_allclose(
        compared["estimate"]["difference"], compared["true effect"]["difference"], atol=5 * error
    )
    np.testing.assert_allclose(
        compared["estimate"]["age"], compared["true effect"]["age"], atol=5 * error / 14
    )
    assert abs(compared["true effect"]["age"]) > 5 * error / 14
    # Rows of the design are matched by label: the ages are those of participants.tsv.
    ages = study.participants["age"] - study.participants["age"].mean()
    np.testing.assert_allclose(names["group"].design_matrix_["age"], ages)
