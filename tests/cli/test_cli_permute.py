# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm permute`` and ``groupglm fit --permute``."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from groupglm import non_parametric_inference
from groupglm.cli import main
from groupglm.datasets import simulate_group_study
from reference.permutation import interrupted_after


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with maps/sub-XX_effect.nii.gz, participants.tsv and mask.nii.gz."""
    folder = tmp_path_factory.mktemp("study")
    made = simulate_group_study(folder / "maps", n_subjects=10, voxel_size=12.0, seed=1)
    made.participants.to_csv(folder / "participants.tsv", sep="\t", index=False)
    nib.save(made.mask_img, folder / "mask.nii.gz")
    return folder


def _run(command: str, study: Path, output: Path, *more: str) -> Result:
    arguments = [
        command, str(study / "maps" / "*.nii.gz"), "--participants",
        str(study / "participants.tsv"), "--formula", "~ age + C(group)", "--contrast", "age",
        "--mask", str(study / "mask.nii.gz"), "--output", str(output), "--n-jobs", "2", *more,
    ]  # fmt: skip
    return CliRunner().invoke(main, arguments)


def _values(image: Any) -> Any:
    loaded: Any = nib.load(image) if isinstance(image, Path) else image
    return np.asarray(loaded.dataobj)


def _expected(study: Path, **options: Any) -> Any:
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    design = pd.DataFrame(
        {"Intercept": 1.0, "age": table["age"], "patient": (table["group"] == "patient") * 1.0}
    )
    return non_parametric_inference(
        sorted(str(path) for path in (study / "maps").glob("sub-*")),
        design_matrix=design,
        second_level_contrast="age",
        mask=study / "mask.nii.gz",
        random_state=0,
        **{"two_sided_test": True, **options},
    )


def test_maps_are_those_of_the_function(study: Path, tmp_path: Path) -> None:
    options = ("--n-perm", "60", "--tfce", "--cluster-p", "0.05", "--two-sided", "--json")
    result = _run("permute", study, tmp_path, *options)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)["contrasts"][0]
    expected = _expected(study, n_perm=60, tfce=True, threshold=0.05, two_sided_test=True)
    assert set(facts["files"]) == set(expected)
    assert len(expected) == 8
    for name, image in expected.items():
        np.testing.assert_array_equal(_values(Path(facts["files"][name])), _values(image))
    assert facts["n_permutations"] == 60
    for name, p in facts["smallest_p"].items():
        assert p == pytest.approx(10.0 ** -_values(expected[f"logp_max_{name}"]).max(), rel=1e-6)
    sidecar = json.loads(
        (tmp_path / "contrast-age_stat-logp_desc-maxTfce_statmap.json").read_text()
    )
    assert sidecar["Permutation"] == {
        "TFCE": True,
        "ClusterFormingP": 0.05,
        "TwoSided": True,
        "Seed": 0,
    }
    assert sidecar["Settings"]["Missing"] == "omit"
    assert sidecar["NumberOfPermutations"] == 60


def test_sidecars_say_the_same_of_the_study(study: Path, tmp_path: Path) -> None:
    """The sidecars of every map, thresholded or permuted too, from either command."""
    more = ("--permute", "20", "--correct", "fpr:0.01", "--save-model")
    assert _run("fit", study, tmp_path / "fit", *more).exit_code == 0
    assert _run("permute", study, tmp_path / "permute", "--n-perm", "20").exit_code == 0
    known = json.loads((tmp_path / "fit" / "contrast-age_stat-t_statmap.json").read_text())
    common = {
        key: known[key]
        for key in (
            "DesignHash", "InputListHash", "NumberOfSubjects", "SoftwareVersions", "Settings",
        )
    }  # fmt: skip
    assert known["DegreesOfFreedom"] == {"Residual": 10 - 3}
    own = {key: known[key] for key in ("Contrast", "StatType", "DegreesOfFreedom")}
    written = {path for path in tmp_path.glob("*/*") if not path.name.endswith(".json")}
    alone = {path for path in written if path.name == "log.txt" or path.suffix == ".npz"}
    for path in written - alone:
        name = path.name
        for ending in (".gz", ".nii", ".tsv", ".groupglm"):
            name = name.removesuffix(ending)
        facts = json.loads((path.parent / f"{name}.json").read_text())
        wanted = common | (own if name.startswith("contrast-") else {})
        assert {key: facts.get(key) for key in wanted} == wanted, path
        assert facts["Description"]
    assert len([path for path in written - alone if "contrast-" in path.name]) == 5 + 2 + 1 + 1 + 2
    clusters = tmp_path / "fit" / "contrast-age_stat-z_desc-fpr0p01_clusters"
    columns = pd.read_csv(f"{clusters}.tsv", sep="\t").columns
    described = json.loads(Path(f"{clusters}.json").read_text())
    assert all(described[column]["Description"] for column in columns)


def test_the_mask_of_the_test_is_written(study: Path, tmp_path: Path) -> None:
    """Also if it is found from the maps: it holds the voxels that have a corrected p."""
    arguments = [
        "permute", str(study / "maps" / "*.nii.gz"), "--participants",
        str(study / "participants.tsv"), "--formula", "~ 1", "--contrast", "mean=Intercept",
        "--n-perm", "20", "--tfce", "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    mask = _values(tmp_path / "out" / "mask.nii.gz") > 0
    expected = non_parametric_inference(
        sorted(str(path) for path in (study / "maps").glob("sub-*")),
        design_matrix=pd.DataFrame({"Intercept": np.ones(10)}),
        second_level_contrast="Intercept",
        n_perm=20,
        two_sided_test=True,
        tfce=True,
        random_state=0,
    )
    t_map = tmp_path / "out" / "contrast-mean_stat-t_desc-permutation_statmap.nii.gz"
    np.testing.assert_array_equal(_values(t_map) != 0, mask)
    logp = _values(tmp_path / "out" / "contrast-mean_stat-logp_desc-maxT_statmap.nii.gz")
    np.testing.assert_array_equal(logp, _values(expected["logp_max_t"]))
    before = (tmp_path / "out" / "mask.nii.gz").stat().st_mtime_ns
    again = CliRunner().invoke(main, arguments)
    assert "permutations skipped" in again.output
    assert (tmp_path / "out" / "mask.nii.gz").stat().st_mtime_ns == before
    refused = CliRunner().invoke(main, [*arguments, "--mask", str(study / "mask.nii.gz")])
    assert refused.exit_code == 1
    assert "made with other settings (--mask none then, mask.nii.gz now)" in refused.output


def test_a_second_run_skips_and_more_permutations_go_on(study: Path, tmp_path: Path) -> None:
    assert _run("permute", study, tmp_path, "--n-perm", "30").exit_code == 0
    again = _run("permute", study, tmp_path, "--n-perm", "30")
    assert "permutations skipped, 30 of them are there already" in again.output
    more = _run("permute", study, tmp_path, "--n-perm", "50")
    assert more.exit_code == 0, more.output
    assert "(50 permutations)" in more.output
    path = tmp_path / "contrast-age_stat-logp_desc-maxT_statmap.nii.gz"
    np.testing.assert_array_equal(_values(path), _values(_expected(study, n_perm=50)))
    other = _run("permute", study, tmp_path, "--n-perm", "50", "--seed", "3")
    assert other.exit_code == 1
    assert "made with other settings (--seed 0 then, 3 now); add --overwrite" in other.output
    redone = _run("permute", study, tmp_path, "--n-perm", "50", "--seed", "3", "--overwrite")
    assert redone.exit_code == 0, redone.output


@pytest.mark.parametrize("command", ["permute", "fit"])
def test_an_interrupted_run_goes_on(
    study: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--n-perm", "60") if command == "permute" else ("--permute", "60")
    with monkeypatch.context() as patch:
        patch.setattr(
            "groupglm.inference.permutation.null_distribution._PRODUCTS", 1
        )  # one at a time
        patch.setattr(
            "groupglm.inference.permutation.testing.null_distribution", interrupted_after(25)
        )
        assert _run(command, study, tmp_path, *options).exit_code == 130
    progress = tmp_path / "contrast-age_permutations.npz"
    assert len(np.load(progress)["null_t"]) == 25
    fewer = _run(command, study, tmp_path, options[0], "20")
    assert fewer.exit_code == 1
    assert "permutations.npz holds 25 already, more than the 20 asked for" in fewer.output
    result = _run(command, study, tmp_path, *options)
    assert result.exit_code == 0, result.output
    path = tmp_path / "contrast-age_stat-logp_desc-maxT_statmap.nii.gz"
    np.testing.assert_array_equal(_values(path), _values(_expected(study, n_perm=60)))


def test_a_fit_with_permutations(study: Path, tmp_path: Path) -> None:
    options = ("--permute", "40", "--tfce")
    result = _run("fit", study, tmp_path, *options)
    assert result.exit_code == 0, result.output
    expected = _expected(study, n_perm=40, tfce=True)
    path = tmp_path / "contrast-age_stat-logp_desc-maxTfce_statmap.nii.gz"
    np.testing.assert_array_equal(_values(path), _values(expected["logp_max_tfce"]))
    # The statistic permuted is the one fitted; both are rounded to float32 from double.
    np.testing.assert_array_equal(
        _values(tmp_path / "contrast-age_stat-t_desc-permutation_statmap.nii.gz"),
        _values(tmp_path / "contrast-age_stat-t_statmap.nii.gz"),
    )
    again = _run("fit", study, tmp_path, *options)
    assert again.output.count("skipped") == 2


def test_missing_values_and_another_grid(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    path = sorted(maps.glob("sub-*"))[2]
    image: Any = nib.load(path)
    data = image.get_fdata(dtype=np.float32)
    data[: data.shape[0] // 2] = np.nan
    nib.save(nib.Nifti1Image(data, image.affine), path)  # type: ignore[no-untyped-call]
    shutil.copy(study / "mask.nii.gz", tmp_path)
    shutil.copy(study / "participants.tsv", tmp_path)
    options = ("--target-affine", "18", "--missing", "omit")
    result = _run("permute", tmp_path, tmp_path / "a", "--n-perm", "40", *options)
    assert result.exit_code == 0, result.output
    target = {"target_affine": np.diag([18.0, 18.0, 18.0])}
    logp = _values(_expected(tmp_path, n_perm=40, **target))
    name = "contrast-age_stat-logp_desc-maxT_statmap.nii.gz"
    np.testing.assert_array_equal(_values(tmp_path / "a" / name), logp)
    assert logp.shape != data.shape
    fitted = _run("fit", tmp_path, tmp_path / "b", "--permute", "40", *options)
    assert fitted.exit_code == 0, fitted.output
    np.testing.assert_array_equal(_values(tmp_path / "b" / name), logp)
    counts = _values(tmp_path / "b" / "n_observations.nii.gz")
    assert counts[counts > 0].min() == 9


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("fit", ["--tfce"]),
        ("fit", ["--permute", "0"]),
        ("permute", ["--cluster-p", "1"]),
        ("permute", ["--n-perm", "0"]),
    ],
)
def test_wrong_options_are_usage_errors(
    study: Path, tmp_path: Path, command: str, more: list[str]
) -> None:
    result = _run(command, study, tmp_path, *more)
    assert result.exit_code == 2
    assert more[0] in result.output


def test_a_dry_run(study: Path, tmp_path: Path) -> None:
    result = _run("permute", study, tmp_path / "out", "--dry-run")
    assert result.exit_code == 0
    assert "Dry run" in result.output
    assert not (tmp_path / "out").exists()


def test_long_work_is_told_in_lines(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a terminal; the clock is an hour later each time it is read."""
    hours = itertools.count(0.0, 3600.0)
    with monkeypatch.context() as patch:
        patch.setattr("groupglm.cli.journal.monotonic", lambda: next(hours))
        patch.setattr(
            "groupglm.inference.permutation.null_distribution._PRODUCTS", 1
        )  # one at a time
        long = _run("permute", study, tmp_path / "long", "--n-perm", "100")
    assert long.exit_code == 0, long.output
    log = (tmp_path / "long" / "log.txt").read_text()
    for line in (
        "images: 9 of 10, about 60 min left",
        "permutations: 30 of 100, about 70.0 h left",
    ):
        assert line in long.stderr.splitlines()
        assert line in log
        assert line not in long.stdout
    short = _run("permute", study, tmp_path / "short", "--n-perm", "100")
    assert " left" not in short.stderr


def test_a_mean_is_tested_by_sign_flips_and_every_word_says_so(study: Path, tmp_path: Path) -> None:
    mean = ("--formula", "~ 1", "--contrast", "mean=intercept", "--n-perm", "40")
    command = [
        "fit", str(study / "maps" / "*.nii.gz"), "--participants",
        str(study / "participants.tsv"), "--mask", str(study / "mask.nii.gz"), "--output",
        str(tmp_path), "--save-model", "--report", *mean,
    ]  # fmt: skip
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "(40 sign flips)" in result.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "40 sign flips, both tails" in page
    assert "40 sign flips (both tails; familywise" in page  # the methods paragraph
    facts = json.loads((tmp_path / "contrast-mean_stat-logp_desc-maxT_statmap.json").read_text())
    assert facts["SignFlips"] is True
    again = ["report", str(tmp_path), "--output", str(tmp_path / "again.html")]
    assert CliRunner().invoke(main, again).exit_code == 0
    assert "40 sign flips, both tails" in (tmp_path / "again.html").read_text(encoding="utf-8")
    assert _run("permute", study, tmp_path / "slope", "--n-perm", "20").exit_code == 0
    slope = tmp_path / "slope" / "contrast-age_stat-logp_desc-maxT_statmap.json"
    assert json.loads(slope.read_text())["SignFlips"] is False


def test_lines_say_how_many_and_which_tails(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 2^5 sign flips of five maps: the warning and the line give the same number."""
    five = ("--formula", "~ 1", "--contrast", "mean=intercept", "--n-perm", "100", "--mask",
            str(study / "mask.nii.gz"))  # fmt: skip
    maps = [str(path) for path in sorted((study / "maps").glob("sub-*"))[:5]]
    for tails, words in (("--two-sided", "both tails"), ("--one-sided", "the positive tail")):
        arguments = ["permute", *maps, *five, tails, "--output", str(tmp_path / tails)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "all 32 different sign flips of this design are used, 31 beside the data" in (
            result.stderr
        )
        assert f"{words} (31 sign flips)" in result.stdout
    assert _run("permute", study, tmp_path / "more", "--n-perm", "30").exit_code == 0
    more = _run("permute", study, tmp_path / "more", "--n-perm", "50")
    assert "30 of 50 permutations are done already; going on from there" in more.stdout
