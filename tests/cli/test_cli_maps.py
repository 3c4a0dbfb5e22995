# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm threshold``, ``clusters``, ``report`` and ``info``."""

from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.thresholding import threshold_stats_img as nilearn_threshold
from nilearn.reporting import get_clusters_table as nilearn_table

import groupglm
from groupglm import SecondLevelModel
from groupglm.cli import main
from groupglm.cli.results.provenance import fingerprint
from groupglm.datasets import simulate_group_study
from reference.shell import run, values_of


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with z.nii.gz, mask.nii.gz and model.groupglm; the images are gone."""
    folder = tmp_path_factory.mktemp("fitted")
    study = simulate_group_study(folder / "maps", n_subjects=16, voxel_size=6.0, seed=2)
    model = SecondLevelModel(mask_img=study.mask_img).fit(
        [str(path) for path in study.paths], design_matrix=study.design_matrix
    )
    nib.save(model.compute_contrast("intercept"), folder / "z.nii.gz")
    nib.save(study.mask_img, folder / "mask.nii.gz")
    model.save(folder / "model.groupglm")
    (folder / "with_images.html").write_text(str(model.generate_report("age")))
    for path in study.paths:
        path.unlink()
    return folder


def test_threshold(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.nii.gz"
    arguments: list[str | Path] = [
        "threshold", fitted / "z.nii.gz", "--mask", fitted / "mask.nii.gz", "--correct",
        "fdr:0.05", "--output", out, "--json",
    ]  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    _, wanted = nilearn_threshold(
        str(fitted / "z.nii.gz"),
        mask_img=str(fitted / "mask.nii.gz"),
        alpha=0.05,
        height_control="fdr",
        two_sided=True,
    )
    assert facts["threshold"] == pytest.approx(wanted, rel=1e-6)
    z = values_of(fitted / "z.nii.gz")
    kept = (values_of(fitted / "mask.nii.gz") > 0) & (np.abs(z) >= facts["threshold"])
    np.testing.assert_array_equal(values_of(out), np.where(kept, z, 0))
    assert facts["n_voxels"] == kept.sum() > 0
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["Threshold"] == facts["threshold"]
    assert sidecar["SoftwareVersions"]["groupglm"] == groupglm.__version__
    refused = run(*arguments, "--one-sided")
    assert refused.exit_code == 1
    assert "exists already; add --overwrite" in refused.output
    assert run(*arguments, "--one-sided", "--overwrite").exit_code == 0


def _commands(folder: Path, out: Path) -> dict[str, tuple[list[str | Path], list[str | Path]]]:
    """Return commands that make a file from another, and an option that changes the file."""
    z, model = folder / "z.nii.gz", folder / "model.groupglm"
    mask = folder / "mask.nii.gz"
    return {
        "threshold": (
            ["threshold", z, "--mask", mask, "--at", "3", "--output", out / "o.nii.gz"],
            ["--one-sided"],
        ),
        "clusters": (
            ["clusters", z, "--threshold", "2.5", "--output", out / "o.tsv"],
            ["--min-distance", "7"],
        ),
        "report": (
            ["report", model, "--contrast", "age", "--output", out / "o.html"],
            ["--contrast", "group"],
        ),
    }


@pytest.mark.parametrize("command", ["threshold", "clusters", "report"])
def test_the_same_again_is_skipped(fitted: Path, tmp_path: Path, command: str) -> None:
    folder = shutil.copytree(fitted, tmp_path / "fitted")
    arguments, other = _commands(folder, tmp_path)[command]
    output, source = Path(arguments[-1]), Path(arguments[1])
    first = run(*arguments, "--json")
    assert first.exit_code == 0, first.output
    before = output.stat().st_mtime_ns
    again = run(*arguments, "--json")
    assert again.exit_code == 0, again.output
    assert "skipped, it is there already" in again.stderr
    assert output.stat().st_mtime_ns == before
    told, told_again = json.loads(first.stdout), json.loads(again.stdout)
    rows, rows_again = told.pop("clusters", []), told_again.pop("clusters", [])
    assert told == {**told_again, "status": "written"}
    assert told_again["status"] == "skipped"
    # A float32 in decimal, as the table has it, is the same to half of its last place.
    pd.testing.assert_frame_equal(pd.DataFrame(rows), pd.DataFrame(rows_again), rtol=1e-7)
    for more in (other, ["--overwrite"]):
        changed = run(*arguments, *more)
        assert (changed.exit_code == 0) == (more == ["--overwrite"])
    assert output.stat().st_mtime_ns != before
    # Other content under the same name is another input, whatever its date.
    source.write_bytes(source.read_bytes() + b"\0" * 512)
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "exists already; add --overwrite" in refused.output


def test_a_table_and_a_map_of_one_name_keep_their_sidecars(fitted: Path, tmp_path: Path) -> None:
    commands = _commands(fitted, tmp_path)
    for arguments, _ in commands.values():
        assert run(*arguments).exit_code == 0
    for arguments, _ in commands.values():
        assert "skipped" in run(*arguments).output
    facts = json.loads((tmp_path / "o.json").read_text())
    assert facts["Threshold"] == 3
    facts = json.loads((tmp_path / "o.tsv.json").read_text())
    assert set(pd.read_csv(tmp_path / "o.tsv", sep="\t")) <= set(facts)


def test_what_is_known_of_the_input_is_carried_over(fitted: Path, tmp_path: Path) -> None:
    known = {
        "Contrast": {"Name": "intercept", "Weights": [0, 0, 1]},
        "StatType": "t",
        "DegreesOfFreedom": {"Residual": 13},
        "DesignHash": "sha256:d",
        "InputListHash": "sha256:i",
        "Settings": {"SmoothingFWHM": 6},
    }
    folder = shutil.copytree(fitted, tmp_path / "fitted")
    for name in ("z", "model"):
        (folder / f"{name}.json").write_text(json.dumps({**known, "Threshold": 7, "Input": 1}))
    for arguments, _ in _commands(folder, tmp_path).values():
        assert run(*arguments).exit_code == 0
    for name in ("o.json", "o.tsv.json", "o.html.json"):
        facts = json.loads((tmp_path / name).read_text())
        assert {key: facts[key] for key in known} == known
        assert facts["Input"]["Name"] in ("z.nii.gz", "model.groupglm")
    over = ["threshold", folder / "z.nii.gz", "--at", "3", "--overwrite", "--output"]
    before = fingerprint(folder / "z.nii.gz")
    refused = run(*over, folder / "z.nii.gz")  # over its own source
    assert refused.exit_code == 1
    assert f"would go over '{folder / 'z.nii.gz'}', which is read" in refused.output
    assert fingerprint(folder / "z.nii.gz") == before
    (folder / "z.json").write_text("[")  # not a sidecar that can be read
    assert run(*_commands(folder, tmp_path / "fitted")["threshold"][0]).exit_code == 0


def test_a_threshold_of_ones_own(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.nii"
    result = run(
        "threshold", fitted / "z.nii.gz", "--mask", fitted / "mask.nii.gz", "--at", "3",
        "--one-sided", "--cluster-threshold", "5", "--output", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.output.startswith("z >= 3.000: ")
    values = values_of(out)
    assert values.min() == 0
    assert values[values > 0].min() >= 3


@pytest.mark.parametrize(
    "more", [[], ["--at", "3", "--correct", "fdr:0.05"], ["--correct", "fdr"], ["--at", "x"]]
)
def test_a_threshold_must_be_one(fitted: Path, tmp_path: Path, more: list[str]) -> None:
    result = run("threshold", fitted / "z.nii.gz", "--output", tmp_path / "o.nii", *more)
    assert result.exit_code == 2, result.output


def test_outputs_of_other_kinds_are_refused(fitted: Path, tmp_path: Path) -> None:
    z = fitted / "z.nii.gz"
    cases: list[list[str | Path]] = [
        ["threshold", z, "--at", "3", "--output", tmp_path / "o.txt"],
        ["clusters", z, "--threshold", "3", "--output", tmp_path / "o.csv"],
        ["report", fitted / "model.groupglm", "--output", tmp_path / "o.pdf"],
    ]
    for arguments in cases:
        result = run(*arguments)
        assert result.exit_code == 1
        assert "must end in" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning:nilearn")
def test_clusters(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.tsv"
    arguments = ["clusters", fitted / "z.nii.gz", "--threshold", "2.5", "--output", out, "--json"]
    arguments.append("--one-sided")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    wanted = nilearn_table(str(fitted / "z.nii.gz"), 2.5, two_sided=False)
    found = pd.read_csv(out, sep="\t")
    places = ["X", "Y", "Z", "Peak Stat"]
    # Three digits after the point, as on the page; nilearn's places are whole millimetres here.
    np.testing.assert_allclose(found[places], wanted[places].astype(float), rtol=0, atol=5.1e-4)
    rows = json.loads(result.stdout)["clusters"]
    assert [row["Peak Stat"] for row in rows] == pytest.approx(found["Peak Stat"].tolist())
    shown = run("clusters", fitted / "z.nii.gz", "--threshold", "2.5")
    assert "Peak Stat" in shown.output
    assert "as given: neither voxels nor clusters are corrected for their number" in shown.output
    none = run("clusters", fitted / "z.nii.gz", "--threshold", "99")
    assert none.exit_code == 0
    assert "No cluster." in none.output


def test_a_report_of_a_saved_model_needs_no_image(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = run(
        "report", fitted / "model.groupglm", "--contrast", "age", "--contrast",
        "older or patient=age; group", "--correct", "fdr:0.05", "--title", "Ours", "--output", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page = out.read_text(encoding="utf-8")
    assert "<title>Ours" in page
    assert "older or patient" in page
    assert "images were not read" in page
    assert "The data at the peaks" not in page
    assert "sub-01_effect.nii.gz" in page
    assert "nan" not in page.split("The images")[1].split("What the columns mean")[0]
    # The other page's statements on map, clusters and design do not depend on the images.
    whole = (fitted / "with_images.html").read_text(encoding="utf-8")
    assert "The data at the peaks" in whole
    assert "images were not read" not in whole


def test_a_report_of_something_else_is_refused(fitted: Path, tmp_path: Path) -> None:
    result = run("report", fitted / "z.nii.gz", "--output", tmp_path / "report.html")
    assert result.exit_code == 1
    assert "not a saved model" in result.output
    unknown = run(
        "report", fitted / "model.groupglm", "--contrast", "ages", "--output", tmp_path / "r.html"
    )
    assert unknown.exit_code == 1
    assert "Did you mean 'age'" in unknown.output


def test_info_for_a_program() -> None:
    result = run("info", "--json")
    facts = json.loads(result.output)
    assert facts["groupglm"] == groupglm.__version__
    assert facts["level"] in ("baseline", "v3", "v4")
    assert facts["openmp_threads"] >= 1
    assert facts["python"] == platform.python_version()
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["processors"] == os.cpu_count()
    assert float(facts["free_memory"].removesuffix(" GiB")) > 0


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_has_examples_and_the_exit_codes(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"\n    groupglm {command}" in result.output  # a line of its own, not wrapped
    if command != "info":
        assert "Exit codes: 0 done, 1 input" in result.output


def test_nothing_survives_at_any_command(fitted: Path, tmp_path: Path) -> None:
    """The map without a discovery is a result like others: commands that are given it go on."""
    noise = np.clip(np.random.default_rng(5).normal(size=(9, 9, 9)), -2, 2)
    nib.save(nib.Nifti1Image(noise, np.eye(4)), tmp_path / "noise.nii.gz")  # type: ignore[no-untyped-call]
    empty = tmp_path / "empty.nii.gz"
    first = run("threshold", tmp_path / "noise.nii.gz", "--correct", "fdr:0.05", "--output", empty)
    assert first.exit_code == 0, first.output
    assert "no voxel is a discovery" in first.stderr
    for how in (["--correct", "fdr:0.05"], ["--at", "3"], ["--at", "inf"]):
        again = run("threshold", empty, *how, "--output", tmp_path / f"{how[1][:3]}.nii.gz")
        assert again.exit_code == 0, again.output
        assert "nothing survives" in again.stderr
    for height in ("3", "inf"):
        clusters = run("clusters", empty, "--threshold", height)
        assert (clusters.exit_code, "No cluster." in clusters.output) == (0, True)
        assert "No clusters found" in clusters.stderr
    # At a level that no voxel of this study reaches.
    page = tmp_path / "page.html"
    report = run(
        "report", fitted / "model.groupglm", "--contrast", "age", "--correct", "fdr:1e-12",
        "--output", page,
    )  # fmt: skip
    assert report.exit_code == 0, report.output
    assert "Nothing survived" in page.read_text(encoding="utf-8")
