# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit``: its numbers, its files, and what it says when input is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.glm.thresholding import threshold_stats_img as nilearn_threshold

from groupglm import SecondLevelModel, __version__
from groupglm.cli import main
from groupglm.cli.options import NamedContrast
from groupglm.cli.outputs import slug
from groupglm.datasets import simulate_group_study

KINDS = {"effect": "effect_size", "variance": "effect_variance", "z": "z_score", "p": "p_value"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with maps/sub-XX_effect.nii.gz, participants.tsv (shuffled) and mask.nii.gz."""
    folder = tmp_path_factory.mktemp("study")
    made = simulate_group_study(folder / "maps", n_subjects=12, voxel_size=9.0, seed=1)
    table = made.participants.sample(frac=1, random_state=4)
    table.to_csv(folder / "participants.tsv", sep="\t", index=False)
    nib.save(made.mask_img, folder / "mask.nii.gz")
    return folder


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["fit", *map(str, arguments)])


def _basic(study: Path, output: Path, *more: str | Path) -> list[str | Path]:
    return [
        study / "maps" / "sub-*_effect.nii.gz",
        "--participants",
        study / "participants.tsv",
        "--formula",
        "~ age + C(group)",
        "--contrast",
        "age",
        "--contrast",
        "patients>controls=group[T.patient]",
        "--mask",
        study / "mask.nii.gz",
        "--output",
        output,
        *more,
    ]


def _values(path: Path) -> Any:
    image: Any = nib.load(path)
    return np.asarray(image.dataobj, dtype=np.float64)


def _design(study: Path) -> tuple[list[str], pd.DataFrame]:
    """The design by hand: sorted subjects, columns written out."""
    table = pd.read_csv(study / "participants.tsv", sep="\t").sort_values("participant_id")
    paths = [str(study / "maps" / f"{name}_effect.nii.gz") for name in table["participant_id"]]
    patient = (table["group"] == "patient").to_numpy(float)
    return paths, pd.DataFrame(
        {"Intercept": 1.0, "age": table["age"].to_numpy(), "patient": patient}
    )


def test_the_maps_are_those_of_the_estimator_and_nilearn(study: Path, tmp_path: Path) -> None:
    result = _run(*_basic(study, tmp_path / "out", "--contrast", "both=age; group[T.patient]"))
    assert result.exit_code == 0, result.output
    paths, design = _design(study)
    ours = SecondLevelModel(mask_img=study / "mask.nii.gz").fit(paths, design_matrix=design)
    theirs = NilearnModel(mask_img=str(study / "mask.nii.gz")).fit(paths, design_matrix=design)
    inside = _values(study / "mask.nii.gz") > 0
    both = np.array([[0, 1.0, 0], [0, 0, 1.0]])
    contrasts: dict[str, Any] = {"age": "age", "patientsGtControls": "patient", "both": both}
    for label, contrast in contrasts.items():
        stat = "F" if label == "both" else "t"
        expected = ours.compute_contrast(contrast, output_type="all")
        oracle = theirs.compute_contrast(contrast, second_level_stat_type=stat, output_type="all")
        for kind, name in {**KINDS, stat: "stat"}.items():
            found = _values(tmp_path / "out" / f"contrast-{label}_stat-{kind}_statmap.nii.gz")
            np.testing.assert_array_equal(found, np.asarray(expected[name].dataobj))
            if stat == "F" and kind in ("effect", "variance"):
                continue  # nilearn's are of whitened rows
            wanted = np.asarray(oracle[name].dataobj, dtype=np.float64)[inside]
            # Both fit float32 data and round to float32 maps (6e-8 relative); an effect near zero
            # loses what its sums of values of order 1 lost. As for the demo's maps.
            np.testing.assert_allclose(found[inside], wanted, rtol=1e-5, atol=1e-6, err_msg=kind)


def test_files_and_sidecars(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert _run(*_basic(study, out)).exit_code == 0
    stems = [
        f"contrast-{label}_stat-{kind}_statmap"
        for label in ("age", "patientsGtControls")
        for kind in ("effect", "variance", "t", "z", "p")
    ]
    images = {f"{stem}.nii.gz" for stem in stems} | {f"{stem}.json" for stem in stems}
    assert {path.name for path in out.iterdir()} == images | {
        "design_matrix.tsv",
        "mask.nii.gz",
        "log.txt",
    }
    facts = json.loads((out / "contrast-patientsGtControls_stat-t_statmap.json").read_text())
    assert facts["Contrast"] == {
        "Name": "patients>controls",
        "Expression": "group[T.patient]",
        "Columns": ["Intercept", "age", "C(group)[T.patient]"],
        "Weights": [0.0, 0.0, 1.0],
    }
    assert facts["DegreesOfFreedom"] == {"Residual": 12 - 3}
    assert facts["SoftwareVersions"]["groupglm"] == __version__
    assert facts["NumberOfSubjects"] == 12
    for name in ("DesignHash", "InputListHash"):
        assert facts[name].startswith("sha256:")
    design = pd.read_csv(out / "design_matrix.tsv", sep="\t", dtype={"subject_label": str})
    np.testing.assert_allclose(design.iloc[:, 1:], _design(study)[1], rtol=1e-15)
    assert list(design["subject_label"]) == [f"{i:02d}" for i in range(1, 13)]
    np.testing.assert_array_equal(_values(out / "mask.nii.gz"), _values(study / "mask.nii.gz"))
    log = (out / "log.txt").read_text()
    assert "12 subjects, 3 columns" in log
    assert "9 residual degrees of freedom" in log


def test_a_second_run_skips_what_is_done(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert _run(*_basic(study, out)).exit_code == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("contrast*")}
    (out / "contrast-age_stat-z_statmap.json").unlink()  # as if it had been interrupted here
    again = _run(*_basic(study, out))
    assert again.exit_code == 0, again.output
    assert "patients>controls: skipped, it is there already" in again.output
    assert "age: largest z" in again.output
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("contrast*")}
    assert set(before) == set(after)
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split("_")[0] for name in changed} == {"contrast-age"}
    assert not list(out.glob("*.tmp"))
    third = _run(*_basic(study, out))
    assert third.output.count("skipped") == 2
    assert "Computation" not in third.output  # no image was read
    redone = _run(*_basic(study, out, "--overwrite"))
    assert redone.exit_code == 0
    assert "skipped" not in redone.output


def test_results_of_other_input_are_not_taken_for_these(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    arguments = [maps / "*.nii.gz", *_basic(study, out)[1:]]
    assert _run(*arguments).exit_code == 0
    shutil.copy(maps / "sub-01_effect.nii.gz", maps / "sub-02_effect.nii.gz")
    refused = _run(*arguments)
    assert refused.exit_code == 1
    assert "'age', 'patients>controls' made from other maps" in refused.output
    assert "--overwrite" in refused.output
    old = _values(out / "contrast-age_stat-t_statmap.nii.gz")
    assert _run(*arguments, "--overwrite").exit_code == 0
    assert np.any(_values(out / "contrast-age_stat-t_statmap.nii.gz") != old)
    smoothed = _run(*arguments, "--fwhm", "9")
    assert smoothed.exit_code == 1
    assert "other settings" in smoothed.output


def test_the_summary_for_a_program(study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groupglm.cli", "fit"]
    arguments = [*map(str, _basic(study, tmp_path / "out", "--json"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(  # noqa: S603 - this interpreter, our arguments
        [*command, *arguments], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert "Design: 12 subjects" in done.stderr
    assert facts["n_subjects"] == 12
    assert facts["df_residual"] == 9
    age = facts["contrasts"][0]
    assert age["status"] == "written"
    z_map = _values(Path(age["files"]["z"]))
    inside = _values(study / "mask.nii.gz") > 0
    assert age["peak"]["z"] == pytest.approx(z_map[inside].max(), rel=1e-6)


@pytest.mark.parametrize("how", ["fdr:0.05", "bonferroni:0.05", "fpr:0.001"])
def test_correction(study: Path, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    arguments = _basic(study, out, "--correct", how, "--json")
    arguments[4:9] = ["~ 1", "--contrast", "mean=intercept"]
    result = CliRunner().invoke(main, ["fit", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    mean = json.loads(result.stdout)["contrasts"][0]
    inside = _values(study / "mask.nii.gz") > 0
    z_map = _values(Path(mean["files"]["z"]))
    control, alpha = how.split(":")
    _, threshold = nilearn_threshold(
        mean["files"]["z"],
        mask_img=str(study / "mask.nii.gz"),
        alpha=float(alpha),
        height_control=control,
        two_sided=True,
    )
    # nilearn's quantile and ours are of the same level; the map is the same.
    assert mean["corrected"]["threshold"] == pytest.approx(threshold, rel=1e-6)
    path = Path(mean["corrected"]["files"]["map"])
    label = how.replace(":", "").replace(".", "p")
    assert path.name == f"contrast-mean_stat-z_desc-{label}_statmap.nii.gz"
    kept = inside & (np.abs(z_map) >= mean["corrected"]["threshold"])
    assert kept.any()
    np.testing.assert_array_equal(_values(path), np.where(kept, z_map, 0))
    table = pd.read_csv(mean["corrected"]["files"]["clusters"], sep="\t")
    assert float(table["Peak Stat"].max()) == pytest.approx(z_map.max(), rel=1e-6)
    again = CliRunner().invoke(main, ["fit", *map(str, arguments)])
    assert json.loads(again.stdout)["contrasts"][0]["corrected"]["status"] == "skipped"


def test_a_dry_run_reads_no_image(study: Path, tmp_path: Path) -> None:
    for i in range(1, 13):
        (tmp_path / f"sub-{i:02d}.nii.gz").write_text("no image")
    arguments = [tmp_path / "*.nii.gz", *_basic(study, tmp_path / "out", "--dry-run")[1:]]
    result = _run(*arguments)
    assert result.exit_code == 0, result.output
    for told in ("12 subjects, 3 columns", "full rank", "9 residual", "patients>controls: t of"):
        assert told in result.output
    assert not (tmp_path / "out").exists()


def test_a_table_of_maps(study: Path, tmp_path: Path) -> None:
    rows = [
        (f"{i:02d}", name, os.path.relpath(study / "maps" / f"sub-{i:02d}_effect.nii.gz", tmp_path))
        for i in (3, 1, 2, 4, 5, 6, 7, 8, 9, 12, 11, 10)
        for name in ("faces", "houses")
    ]
    table = pd.DataFrame(rows, columns=["subject_label", "map_name", "effects_map_path"])
    table.to_csv(tmp_path / "maps.tsv", sep="\t", index=False)
    arguments = [tmp_path / "maps.tsv", *_basic(study, tmp_path / "out")[1:]]
    refused = _run(*arguments)
    assert refused.exit_code == 1
    assert "choose one with --map-name" in refused.output
    assert _run(*arguments, "--map-name", "faces").exit_code == 0
    assert _run(*_basic(study, tmp_path / "globbed")).exit_code == 0
    name = "contrast-age_stat-t_statmap.nii.gz"
    np.testing.assert_array_equal(
        _values(tmp_path / "out" / name), _values(tmp_path / "globbed" / name)
    )


def test_subjects_are_matched_by_label_never_by_order(study: Path, tmp_path: Path) -> None:
    """The same maps under other names, in another order, with a pattern of one's own."""
    for i in range(1, 13):
        source = study / "maps" / f"sub-{i:02d}_effect.nii.gz"
        shutil.copy(source, tmp_path / f"{99 - i}_S{i:02d}_x.nii.gz")
    arguments = _basic(study, tmp_path / "out")[1:]
    result = _run(tmp_path / "*.nii.gz", *arguments, "--subject-pattern", r"S(\d+)_")
    assert result.exit_code == 0, result.output
    assert _run(*_basic(study, tmp_path / "plain")).exit_code == 0
    name = "contrast-age_stat-t_statmap.nii.gz"
    np.testing.assert_array_equal(
        _values(tmp_path / "out" / name), _values(tmp_path / "plain" / name)
    )


def test_maps_and_rows_that_do_not_match(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    other = table[table["participant_id"] != "sub-07"]
    other = pd.concat([other, pd.DataFrame({"participant_id": ["sub-99"], "age": [30.0]})])
    other.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    arguments = _basic(study, tmp_path / "out")
    arguments[2] = tmp_path / "participants.tsv"
    refused = _run(*arguments)
    assert refused.exit_code == 1
    assert "maps without a row in the participants table: 07" in refused.output
    assert "rows of the participants table without a map: 99" in refused.output
    assert not list(tmp_path.glob("out/*"))
    allowed = _run(*arguments, "--allow-partial")
    assert allowed.exit_code == 0, allowed.output
    assert "11 subjects" in allowed.output
    assert "Warning: left out maps without a row" in allowed.output
    paths, design = _design(study)
    keep = [i for i, path in enumerate(paths) if "sub-07" not in path]
    model = SecondLevelModel(mask_img=study / "mask.nii.gz").fit(
        [paths[i] for i in keep], design_matrix=design.iloc[keep].reset_index(drop=True)
    )
    np.testing.assert_array_equal(
        _values(tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"),
        np.asarray(model.compute_contrast("age").dataobj),
    )


def test_missing_values_are_counted(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    image: Any = nib.load(maps / "sub-03_effect.nii.gz")
    data = image.get_fdata(dtype=np.float32)
    voxel = tuple(np.argwhere(_values(study / "mask.nii.gz") > 0)[50])
    data[voxel] = np.nan
    nib.save(nib.Nifti1Image(data, image.affine), maps / "sub-03_effect.nii.gz")  # type: ignore[no-untyped-call]
    out = tmp_path / "out"
    result = _run(maps / "*.nii.gz", *_basic(study, out)[1:])
    assert result.exit_code == 0, result.output
    counts = _values(out / "n_observations.nii.gz")
    assert counts[voxel] == 11
    assert counts.max() == 12
    facts = json.loads((out / "contrast-age_stat-t_statmap.json").read_text())
    assert facts["DegreesOfFreedom"] == {"Residual": 9, "ResidualMinimum": 8}


def test_smoothing_resampling_and_the_saved_model(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--fwhm", "12,12,9", "--target-affine", "12", "--save-model", "--n-jobs", "2")
    result = _run(*_basic(study, out, *options))
    assert result.exit_code == 0, result.output
    paths, design = _design(study)
    model = SecondLevelModel(
        mask_img=study / "mask.nii.gz",
        smoothing_fwhm=(12, 12, 9),
        target_affine=np.diag([12.0, 12, 12]),
    ).fit(paths, design_matrix=design)
    expected = np.asarray(model.compute_contrast("age").dataobj)
    np.testing.assert_array_equal(_values(out / "contrast-age_stat-z_statmap.nii.gz"), expected)
    loaded = SecondLevelModel.load(out / "model.groupglm")
    np.testing.assert_array_equal(np.asarray(loaded.compute_contrast("age").dataobj), expected)
    like = _run(*_basic(study, tmp_path / "like", "--target-affine", out / "mask.nii.gz"))
    assert like.exit_code == 0, like.output
    found: Any = nib.load(tmp_path / "like" / "contrast-age_stat-z_statmap.nii.gz")
    assert found.shape == expected.shape


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--formula": "~ ages"}, "Did you mean 'age'"),
        ({"--formula": "~ {open('x','w')}"}, "would execute open"),
        ({"--contrast": "weight"}, "weight"),
        ({"--contrast": "x=age; "}, ""),
        ({"--formula": "~ age + I(2*age)", "--contrast": "age"}, "cannot tell apart"),
        ({"--formula": "~ C(age)", "--contrast": "Intercept"}, "degree"),
        ({"maps": "nothing*.nii"}, "no file matches"),
        ({"maps": "nothing.nii"}, "there is no file"),
        ({"maps": "."}, "is a folder"),
        ({"--subject-pattern": "x(\\d+)"}, "no subject label is in"),
        ({"--subject-pattern": "sub-([01])"}, "several maps"),
        ({"--subject-pattern": "("}, "not a regular expression"),
        ({"--map-name": "faces"}, "has no effect on paths"),
    ],
)
def test_wrong_input_is_told_before_images_are_read(
    study: Path,
    tmp_path: Path,
    change: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an image was opened")

    monkeypatch.setattr("groupglm.inputs.cohort.open_images", fail)
    options = {
        "--participants": str(study / "participants.tsv"),
        "--formula": "~ age",
        "--contrast": "age",
        "--output": str(tmp_path / "out"),
        **change,
    }
    maps = options.pop("maps", str(study / "maps" / "*.nii.gz"))
    result = _run(maps, *[part for option in options.items() for part in option])
    if told:
        assert result.exit_code == 1, result.output
        assert told in result.output
        assert result.output.splitlines()[-1].startswith("Error: ")
    else:  # what is wanted is fine, and comes to the images
        assert isinstance(result.exception, AssertionError)


def test_an_image_that_cannot_be_read_is_named(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    path = maps / "sub-05_effect.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])
    result = _run(maps / "*.nii.gz", *_basic(study, tmp_path / "out")[1:])
    assert result.exit_code == 1
    assert "sub-05_effect.nii.gz" in result.output
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"log.txt"}
    assert "Stopped: ImageError" in (tmp_path / "out" / "log.txt").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--correct", "fdr"],
        ["--correct", "fdr:2"],
        ["--fwhm", "a"],
        ["--fwhm", "1,2"],
        ["--fwhm", "-1"],
        ["--target-affine", "0"],
        ["--n-jobs", "0"],
        ["--missing", "guess"],
        ["--contrast", "=age"],
        ["--mask", "absent.nii"],
    ],
)
def test_wrong_options_are_usage_errors(study: Path, tmp_path: Path, arguments: list[str]) -> None:
    result = _run(*_basic(study, tmp_path / "out"), *arguments)
    assert result.exit_code == 2, result.output
    assert arguments[0] in result.output


@pytest.mark.parametrize(
    ("text", "name", "rows"),
    [
        ("age", "age", ["age"]),
        ("a b=age", "a b", ["age"]),
        ("any=age; site", "any", ["age", "site"]),
        ("age; site", "age; site", ["age", "site"]),
        ("bs(age, df=4)[1]", "bs(age, df=4)[1]", ["bs(age, df=4)[1]"]),
        ("n=bs(age, df=4)[1] - `x=y`", "n", ["bs(age, df=4)[1] - `x=y`"]),
        ("`x=y`", "`x=y`", ["`x=y`"]),
    ],
)
def test_names_of_contrasts(text: str, name: str, rows: list[str]) -> None:
    assert NamedContrast(text).split([]) == (name, rows)


def test_a_column_is_a_contrast_whatever_its_name() -> None:
    assert NamedContrast("a=b").split(["a=b"]) == ("a=b", ["a=b"])


def test_contrasts_that_would_share_files_are_refused(study: Path, tmp_path: Path) -> None:
    assert slug("well-known") == "wellMinusKnown"
    refused = _run(*_basic(study, tmp_path, "--contrast", "AGE=group[T.patient]"))
    assert refused.exit_code == 1
    assert "'age' and 'AGE' would be written to the same files" in refused.output
    nameless = _run(*_basic(study, tmp_path, "--contrast", "?=age"))
    assert "no letter or digit" in nameless.output


@pytest.mark.skipif(os.name == "nt", reason="sends a signal of POSIX")
def test_an_interrupt_leaves_whole_files_or_none(study: Path, tmp_path: Path) -> None:
    """A pipe among the maps holds the reading up until the interrupt comes."""
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    out = tmp_path / "out"
    code = (
        "import sys, time\n"
        "from groupglm.cli import main\n"
        "import groupglm.cli.outputs as outputs\n"
        "write, n = outputs.Outputs.write_image, [0]\n"
        "def slow(self, *a, **k):\n"
        "    n[0] += 1\n"
        "    write(self, *a, **k)\n"
        "    if n[0] == 3:\n"
        "        print('third', flush=True); time.sleep(60)\n"
        "outputs.Outputs.write_image = slow\n"
        "main(prog_name='groupglm')\n"
    )
    arguments = [maps / "*.nii.gz", *_basic(study, out)[1:]]
    process = subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-u", "-c", code, "fit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "third" in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Interrupted" in stderr
    written = {path.name for path in out.iterdir()}
    assert "contrast-age_stat-t_statmap.nii.gz" in written
    assert not [name for name in written if name.endswith(".tmp")]
    for path in out.glob("*.nii.gz"):
        nib.load(path).get_fdata()  # type: ignore[attr-defined]
    assert "Stopped: KeyboardInterrupt" in (out / "log.txt").read_text()
    resumed = _run(*arguments)
    assert resumed.exit_code == 0, resumed.output
    assert len(list(out.glob("contrast*.nii.gz"))) == 10


def test_a_report_of_the_study(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = _run(*_basic(study, out, "--report"))
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "patients&gt;controls" in page
    before = (out / "report.html").stat().st_mtime_ns
    again = _run(*_basic(study, out, "--report"))
    assert "Report: skipped" in again.output
    assert (out / "report.html").stat().st_mtime_ns == before
