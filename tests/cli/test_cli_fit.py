# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit``: its numbers and its files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from nilearn.glm.second_level import SecondLevelModel as NilearnModel
from nilearn.glm.thresholding import threshold_stats_img as nilearn_threshold

from groupglm import SecondLevelModel, __version__
from groupglm.cli import main
from reference.shell import basic, design_of, run_fit, values_of

KINDS = {"effect": "effect_size", "variance": "effect_variance", "z": "z_score", "p": "p_value"}


def test_the_maps_are_those_of_the_estimator_and_nilearn(study: Path, tmp_path: Path) -> None:
    result = run_fit(*basic(study, tmp_path / "out", "--contrast", "both=age; group[T.patient]"))
    assert result.exit_code == 0, result.output
    paths, design = design_of(study)
    ours = SecondLevelModel(mask_img=study / "mask.nii.gz").fit(paths, design_matrix=design)
    theirs = NilearnModel(mask_img=str(study / "mask.nii.gz")).fit(paths, design_matrix=design)
    inside = values_of(study / "mask.nii.gz") > 0
    both = np.array([[0, 1.0, 0], [0, 0, 1.0]])
    contrasts: dict[str, Any] = {"age": "age", "patientsGtControls": "patient", "both": both}
    for label, contrast in contrasts.items():
        stat = "F" if label == "both" else "t"
        expected = ours.compute_contrast(contrast, output_type="all")
        oracle = theirs.compute_contrast(contrast, second_level_stat_type=stat, output_type="all")
        for kind, name in {**KINDS, stat: "stat"}.items():
            found = values_of(tmp_path / "out" / f"contrast-{label}_stat-{kind}_statmap.nii.gz")
            np.testing.assert_array_equal(found, np.asarray(expected[name].dataobj))
            if stat == "F" and kind in ("effect", "variance"):
                continue  # nilearn's are of whitened rows
            wanted = np.asarray(oracle[name].dataobj, dtype=np.float64)[inside]
            # Both fit float32 data and round to float32 maps (6e-8 relative); an effect near zero
            # loses what its sums of values of order 1 lost. As for the demo's maps.
            np.testing.assert_allclose(found[inside], wanted, rtol=1e-5, atol=1e-6, err_msg=kind)


def test_files_and_sidecars(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_fit(*basic(study, out)).exit_code == 0
    stems = [
        f"contrast-{label}_stat-{kind}_statmap"
        for label in ("age", "patientsGtControls")
        for kind in ("effect", "variance", "t", "z", "p")
    ]
    images = {f"{stem}.nii.gz" for stem in stems} | {f"{stem}.json" for stem in stems}
    assert {path.name for path in out.iterdir()} == images | {
        "design_matrix.tsv",
        "design_matrix.json",
        "mask.nii.gz",
        "mask.json",
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
    np.testing.assert_allclose(design.iloc[:, 1:], design_of(study)[1], rtol=1e-15)
    assert list(design["subject_label"]) == [f"{i:02d}" for i in range(1, 13)]
    np.testing.assert_array_equal(values_of(out / "mask.nii.gz"), values_of(study / "mask.nii.gz"))
    log = (out / "log.txt").read_text()
    assert "12 subjects, 3 columns" in log
    assert "9 residual degrees of freedom" in log


def test_a_second_run_skips_what_is_done(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_fit(*basic(study, out)).exit_code == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("contrast*")}
    (out / "contrast-age_stat-z_statmap.nii.gz").unlink()  # as after an interruption here
    again = run_fit(*basic(study, out))
    assert again.exit_code == 0, again.output
    assert "patients>controls: skipped, it is there already" in again.output
    assert "age: strongest positive z" in again.output
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("contrast*")}
    assert set(before) == set(after)
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split("_")[0] for name in changed} == {"contrast-age"}
    assert not list(out.glob("*.tmp"))
    third = run_fit(*basic(study, out))
    assert third.output.count("skipped") == 2
    assert "Computation" not in third.output  # no image was read
    redone = run_fit(*basic(study, out, "--overwrite"))
    assert redone.exit_code == 0
    assert "skipped" not in redone.output


def test_the_summary_for_a_program(study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groupglm.cli", "fit"]
    arguments = [*map(str, basic(study, tmp_path / "out", "--json"))]
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
    z_map = values_of(Path(age["files"]["z"]))
    inside = values_of(study / "mask.nii.gz") > 0
    for name, wanted in (
        ("positive", z_map[inside].max()),
        ("negative", z_map[inside].min()),
    ):
        found = age[f"strongest_{name}"]
        assert found["z"] == pytest.approx(wanted, rel=1e-6)
        assert f"strongest {name} z {wanted:.3f} at (" in done.stderr
        affine: Any = nib.load(age["files"]["z"]).affine  # type: ignore[attr-defined]
        voxel = np.linalg.solve(affine, [*found["mm"], 1.0])[:3].round().astype(int)
        assert z_map[tuple(voxel)] == found["z"]


@pytest.mark.parametrize("how", ["fdr:0.05", "bonferroni:0.05", "fpr:0.001"])
def test_correction(study: Path, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    arguments = basic(study, out, "--correct", how, "--json")
    arguments[4:9] = ["~ 1", "--contrast", "mean=intercept"]
    result = CliRunner().invoke(main, ["fit", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    # The negative tail has no cluster, which needs no message: the user gave no threshold.
    assert "no cluster" not in result.stderr
    mean = json.loads(result.stdout)["contrasts"][0]
    (corrected,) = mean["corrected"]
    inside = values_of(study / "mask.nii.gz") > 0
    z_map = values_of(Path(mean["files"]["z"]))
    control, alpha = how.split(":")
    _, threshold = nilearn_threshold(
        mean["files"]["z"],
        mask_img=str(study / "mask.nii.gz"),
        alpha=float(alpha),
        height_control=control,
        two_sided=True,
    )
    # nilearn's quantile and ours are of the same level, and the maps are equal.
    assert corrected["threshold"] == pytest.approx(threshold, rel=1e-6)
    path = Path(corrected["files"]["map"])
    label = how.replace(":", "").replace(".", "p")
    assert path.name == f"contrast-mean_stat-z_desc-{label}_statmap.nii.gz"
    kept = inside & (np.abs(z_map) >= corrected["threshold"])
    assert kept.any()
    np.testing.assert_array_equal(values_of(path), np.where(kept, z_map, 0))
    table = pd.read_csv(corrected["files"]["clusters"], sep="\t")
    # Three digits after the point, as on the page.
    assert float(table["Peak Stat"].max()) == pytest.approx(z_map.max(), abs=5e-4)
    again = CliRunner().invoke(main, ["fit", *map(str, arguments)])
    assert json.loads(again.stdout)["contrasts"][0]["corrected"][0]["status"] == "skipped"


def test_a_dry_run_reads_no_image(study: Path, tmp_path: Path) -> None:
    for i in range(1, 13):
        (tmp_path / f"sub-{i:02d}.nii.gz").write_text("no image")
    arguments = [tmp_path / "*.nii.gz", *basic(study, tmp_path / "out", "--dry-run")[1:]]
    result = run_fit(*arguments)
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
    arguments = [tmp_path / "maps.tsv", *basic(study, tmp_path / "out")[1:]]
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert "choose one with --map-name" in refused.output
    assert run_fit(*arguments, "--map-name", "faces").exit_code == 0
    assert run_fit(*basic(study, tmp_path / "globbed")).exit_code == 0
    name = "contrast-age_stat-t_statmap.nii.gz"
    np.testing.assert_array_equal(
        values_of(tmp_path / "out" / name), values_of(tmp_path / "globbed" / name)
    )


def test_subjects_are_matched_by_label_never_by_order(study: Path, tmp_path: Path) -> None:
    """The same maps under other names, in another order, with a pattern of one's own."""
    for i in range(1, 13):
        source = study / "maps" / f"sub-{i:02d}_effect.nii.gz"
        shutil.copy(source, tmp_path / f"{99 - i}_S{i:02d}_x.nii.gz")
    arguments = basic(study, tmp_path / "out")[1:]
    result = run_fit(tmp_path / "*.nii.gz", *arguments, "--subject-pattern", r"S(\d+)_")
    assert result.exit_code == 0, result.output
    assert run_fit(*basic(study, tmp_path / "plain")).exit_code == 0
    name = "contrast-age_stat-t_statmap.nii.gz"
    np.testing.assert_array_equal(
        values_of(tmp_path / "out" / name), values_of(tmp_path / "plain" / name)
    )


def test_missing_values_are_counted(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    image: Any = nib.load(maps / "sub-03_effect.nii.gz")
    data = image.get_fdata(dtype=np.float32)
    voxel = tuple(np.argwhere(values_of(study / "mask.nii.gz") > 0)[50])
    data[voxel] = np.nan
    nib.save(nib.Nifti1Image(data, image.affine), maps / "sub-03_effect.nii.gz")  # type: ignore[no-untyped-call]
    out = tmp_path / "out"
    result = run_fit(maps / "*.nii.gz", *basic(study, out)[1:])
    assert result.exit_code == 0, result.output
    counts = values_of(out / "n_observations.nii.gz")
    assert counts[voxel] == 11
    assert counts.max() == 12
    facts = json.loads((out / "contrast-age_stat-t_statmap.json").read_text())
    by_voxel = {"ResidualMinimum": 8, "ResidualMap": "df_residual.nii.gz"}
    assert facts["DegreesOfFreedom"] == {"Residual": 9, **by_voxel}
    df = values_of(out / "df_residual.nii.gz")
    np.testing.assert_array_equal(df, np.where(counts > 0, counts - 3, 0))


def test_smoothing_resampling_and_the_saved_model(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--fwhm", "12,12,9", "--target-affine", "12", "--save-model", "--n-jobs", "2")
    result = run_fit(*basic(study, out, *options))
    assert result.exit_code == 0, result.output
    paths, design = design_of(study)
    model = SecondLevelModel(
        mask_img=study / "mask.nii.gz",
        smoothing_fwhm=(12, 12, 9),
        target_affine=np.diag([12.0, 12, 12]),
    ).fit(paths, design_matrix=design)
    expected = np.asarray(model.compute_contrast("age").dataobj)
    np.testing.assert_array_equal(values_of(out / "contrast-age_stat-z_statmap.nii.gz"), expected)
    loaded = SecondLevelModel.load(out / "model.groupglm")
    np.testing.assert_array_equal(np.asarray(loaded.compute_contrast("age").dataobj), expected)
    like = run_fit(*basic(study, tmp_path / "like", "--target-affine", out / "mask.nii.gz"))
    assert like.exit_code == 0, like.output
    found: Any = nib.load(tmp_path / "like" / "contrast-age_stat-z_statmap.nii.gz")
    assert found.shape == expected.shape


def test_a_report_of_the_study(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_fit(*basic(study, out, "--report"))
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "patients&gt;controls" in page
    before = (out / "report.html").stat().st_mtime_ns
    again = run_fit(*basic(study, out, "--report"))
    assert "Report: skipped" in again.output
    assert (out / "report.html").stat().st_mtime_ns == before


@pytest.mark.parametrize("pattern", [r"group/(\w+)/effect", r"/(\w+)/[^/]*\.nii"])
def test_a_pattern_with_a_slash_is_searched_in_the_whole_path(
    study: Path, tmp_path: Path, pattern: str
) -> None:
    for path in (study / "maps").iterdir():
        folder = tmp_path / "group" / path.name.split("_")[0].removeprefix("sub-")
        folder.mkdir(parents=True)
        (folder / "effect.nii.gz").write_bytes(path.read_bytes())
    arguments = basic(study, tmp_path / "out", "--subject-pattern", pattern, "--dry-run")
    result = run_fit(tmp_path / "group" / "*" / "effect.nii.gz", *arguments[1:])
    assert result.exit_code == 0, result.output
    assert "Design: 12 subjects" in result.output


def test_the_mean_of_all_maps_needs_no_table(study: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        study / "maps" / "*.nii.gz", "--formula", "~ 1", "--contrast", "intercept",
    ]  # fmt: skip
    bare = run_fit(*arguments, "--output", tmp_path / "bare")
    assert bare.exit_code == 0, bare.output
    table = study / "participants.tsv"
    given = run_fit(*arguments, "--output", tmp_path / "table", "--participants", table)
    assert given.exit_code == 0, given.output
    t = "contrast-intercept_stat-t_statmap.nii.gz"
    np.testing.assert_array_equal(
        values_of(tmp_path / "bare" / t), values_of(tmp_path / "table" / t)
    )
    arguments[2] = "~ age"
    refused = run_fit(*arguments, "--output", tmp_path / "refused")
    assert refused.exit_code == 1
    assert "the formula uses 'age' of the participants table" in refused.output
    assert "--participants" in refused.output


def test_whole_numbers_that_may_be_codes_are_noted(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    n = len(table)
    table["site"] = np.arange(n) % 3 + 1
    table["sex"] = np.arange(n) // 2 % 2  # two codes: a slope is the same test
    table["dose"] = table["site"] / 4  # no codes
    table["order"] = np.arange(n)  # none twice
    table.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)

    def preview(formula: str) -> str:
        result = run_fit(
            study / "maps" / "*.nii.gz", "--participants", tmp_path / "participants.tsv",
            "--formula", formula, "--contrast", "intercept", "--output", tmp_path / "out",
            "--dry-run",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        return result.output

    note = (
        "Note: site is a slope over the numbers 1, 2, 3; if they are codes of groups, write C(site)"
    )
    assert note in preview("~ age + sex + site")
    for formula in ("~ age + sex + dose", "~ order", "~ C(site)", "~ center(age)"):
        assert "is a slope over" not in preview(formula)
