# SPDX-License-Identifier: BSD-3-Clause
"""The command line, from the inside and as a user's shell runs it."""

from __future__ import annotations

import json
import os
import re
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

import groupglm
from groupglm.cli import main
from reference.shell import run, values_of

CONTRASTS = ["group", "age", "intercept"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo once on a coarse grid: its directory and what it printed."""
    output = tmp_path_factory.mktemp("demo") / "out"
    result = run("demo", "--output", output, "--voxel-size", "6")
    assert result.exit_code == 0, result.output
    return output, result.output


def test_the_demo_writes_what_it_says(demo: tuple[Path, str]) -> None:
    output, _ = demo
    maps = {f"{name}_{kind}.nii.gz" for name in CONTRASTS for kind in ("effect", "t", "z", "p")}
    assert {path.name for path in (output / "maps").iterdir()} == maps
    assert {path.name for path in output.iterdir()} == {
        "demo.json",
        "design_matrix.tsv",
        "images",
        "maps",
        "mask.nii.gz",
        "participants.tsv",
        "report.html",
    }
    assert len(list((output / "images").iterdir())) == 24
    design = pd.read_csv(output / "design_matrix.tsv", sep="\t")
    assert design.shape == (24, 3)
    assert list(design) == CONTRASTS


def test_the_demos_maps_are_nilearns(demo: tuple[Path, str]) -> None:
    output, _ = demo
    design = pd.read_csv(output / "design_matrix.tsv", sep="\t")
    images = sorted(str(path) for path in (output / "images").iterdir())
    model = NilearnModel(mask_img=str(output / "mask.nii.gz")).fit(images, design_matrix=design)
    inside = values_of(output / "mask.nii.gz") > 0
    kinds = {"effect": "effect_size", "t": "stat", "z": "z_score", "p": "p_value"}
    for name in CONTRASTS:
        expected = model.compute_contrast(name, output_type="all")
        for kind, output_type in kinds.items():
            found = values_of(output / "maps" / f"{name}_{kind}.nii.gz")[inside]
            wanted = np.asarray(expected[output_type].dataobj, dtype=np.float64)[inside]
            # Both fit float32 images and round to float32 maps (6e-8 relative). An effect near zero
            # has an absolute error, the one of sums of values of order 1. A p value has none, so
            # even a small p is compared relatively.
            atol = 0.0 if kind == "p" else 1e-6
            np.testing.assert_allclose(
                found, wanted, rtol=1e-5, atol=atol, err_msg=f"{name} {kind}"
            )


def test_the_demo_reports_the_peaks_of_its_maps(demo: tuple[Path, str]) -> None:
    output, printed = demo
    line = r"^{}\s+([\d.]+)\s+\(([-\d, ]+)\)\s+\(([-\d, ]+)\)\s+([\d.]+)$"
    for name in CONTRASTS:
        match = re.search(line.format(name), printed, flags=re.MULTILINE)
        assert match is not None, printed
        values = values_of(output / "maps" / f"{name}_z.nii.gz")
        image: Any = nib.load(output / "maps" / f"{name}_z.nii.gz")
        voxel = np.unravel_index(np.nanargmax(values), values.shape)
        assert float(match[1]) == pytest.approx(np.nanmax(values), abs=0.005 + 1e-9)
        position = np.array([float(value) for value in match[2].split(",")])
        truth = np.array([float(value) for value in match[3].split(",")])
        np.testing.assert_array_equal(position, (image.affine @ [*voxel, 1])[:3])
        apart = np.linalg.norm(position - truth)
        assert float(match[4]) == pytest.approx(apart, abs=0.05 + 1e-9)
        # Half of the narrowest effect's full width: the peak is in the core of the effect.
        assert apart <= 9.0


def test_the_demos_report_states_what_was_printed(demo: tuple[Path, str]) -> None:
    output, printed = demo
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "A simulated group study" in text
    assert str(output / "report.html") in printed
    for name in CONTRASTS:
        match = re.search(rf"^{name}\s+([\d.]+)\s+\(([-\d, ]+)\)", printed, flags=re.MULTILINE)
        assert match is not None, printed
        place = match[2].replace("-", "\N{MINUS SIGN}")
        assert f"The strongest positive z is {match[1]} at ({place}) mm" in text


def test_the_demo_reports_the_study(demo: tuple[Path, str]) -> None:
    output, printed = demo
    n_voxels = int(values_of(output / "mask.nii.gz").sum())
    assert f"voxels of 6 x 6 x 6 mm, {n_voxels} in the mask" in printed
    assert re.search(r"^subjects\s+24$", printed, flags=re.MULTILINE)
    assert "group, age, intercept" in printed
    assert "21 residual" in printed
    for step in ("simulate", "fit", "contrasts", "write", "report"):
        assert re.search(rf"\b{step} \d+\.\d\d", printed)


def test_the_demos_python_lines_run(demo: tuple[Path, str]) -> None:
    output, printed = demo
    snippet = printed.split("or go on in Python:")[1]
    code = "\n".join(line.removeprefix("    ") for line in snippet.splitlines())
    exec(compile(code, "snippet", "exec"), {})  # noqa: S102 - it is our own output
    inside = values_of(output / "mask.nii.gz") > 0
    assert np.all(np.isfinite(values_of(output / "patients_z.nii.gz")[inside]))
    (output / "patients_z.nii.gz").unlink()


def test_an_output_that_is_not_empty_needs_overwrite(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    arguments: list[str | Path] = [
        "demo",
        "--output",
        tmp_path,
        "--n-subjects",
        "4",
        "--voxel-size",
        "12",
    ]
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert re.fullmatch(r"Error: .* is not empty; add --overwrite.*\n", refused.output)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    accepted = run(*arguments, "--overwrite")
    assert accepted.exit_code == 0, accepted.output
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "maps" / "age_z.nii.gz").is_file()


def test_the_same_demo_is_skipped(tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments: list[str | Path] = [
        "demo", "--output", output, "--n-subjects", "4", "--voxel-size", "12", "--json",
    ]  # fmt: skip
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    made = json.loads(first.stdout)  # nothing else is there
    assert "strongest positive z" in first.stderr
    assert made["status"] == "written"
    assert made["df_residual"] == 1
    z = values_of(output / "maps" / "age_z.nii.gz")
    (age,) = (found for found in made["contrasts"] if found["name"] == "age")
    assert age["strongest_positive"]["z"] == np.nanmax(z)
    facts = json.loads((output / "demo.json").read_text())
    assert facts["Options"] == {"NumberOfSubjects": 4, "VoxelSize": 12.0, "Seed": 0}
    before = (output / "report.html").stat().st_mtime_ns
    again = run(*arguments)
    assert again.exit_code == 0, again.output
    assert "skipped, this study is there already" in again.stderr
    seconds = made.pop("seconds")
    assert json.loads(again.stdout) == {**made, "status": "skipped"}
    assert (output / "report.html").stat().st_mtime_ns == before
    assert set(seconds) >= {"simulate", "fit"}
    assert run(*arguments, "--seed", "1").exit_code == 1
    (output / "maps" / "age_z.nii.gz").unlink()
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "is not empty; add --overwrite" in refused.output


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("keep")
    result = run("demo", "--output", path)
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: --output is '.*taken', which is a file; .*\n", result.output)
    assert path.read_text() == "keep"


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("keep")
    result = run("demo", "--output", tmp_path / "taken" / "out")
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: --output '.*out' cannot be used .*\n", result.output)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_output_without_write_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        result = run("demo", "--output", tmp_path / "out")
    finally:
        tmp_path.chmod(0o755)
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: --output '.*out' cannot be used .*\n", result.output)


def test_an_error_on_the_way_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space\nleft on the device")

    monkeypatch.setattr("groupglm.datasets.simulate_group_study", fail)
    result = run("demo", "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert result.output == "Error: no space left on the device\n"


@pytest.mark.parametrize(
    "arguments", [["--n-subjects", "3"], ["--seed", "-1"], ["--voxel-size", "0"], ["--nope"]]
)
def test_wrong_options_are_usage_errors(arguments: list[str], tmp_path: Path) -> None:
    result = run("demo", "--output", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output
    assert not (tmp_path / "out").exists()


def test_info_prints_every_fact_of_the_build() -> None:
    result = run("info")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    shown = [line.split()[0] for line in lines]
    assert set(shown) > {str(name) for name in groupglm.build_info()}
    assert {"groupglm", "python", "processors", "free_memory"} < set(shown)


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output == f"groupglm {groupglm.__version__}\n"


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert re.search(r"^\s+demo\s+Simulate a group study", result.output, flags=re.MULTILINE)
    assert re.search(r"^\s+info\s+Print versions", result.output, flags=re.MULTILINE)


def _python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(  # noqa: S603 - this interpreter, our arguments
        command, check=False, capture_output=True, text=True, env=environment
    )


def test_a_process_of_its_own(tmp_path: Path) -> None:
    code = "from groupglm.cli import main; main(prog_name='groupglm')"
    arguments: list[str | Path] = [
        "demo",
        "--output",
        tmp_path / "out",
        "--n-subjects",
        "6",
        "--voxel-size",
        "12",
    ]
    done = _python(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 residual" in done.stdout
    failed = _python(code, *arguments, "--seed", "1")
    assert failed.returncode == 1
    assert re.fullmatch(r"Error: .* is not empty; .*\n", failed.stderr)
    assert failed.stdout == ""


def test_the_command_line_starts_without_the_heavy_modules() -> None:
    heavy = ["numpy", "pandas", "scipy", "nibabel", "sklearn", "joblib"]
    code = f"import sys, groupglm.cli; print([name for name in {heavy} if name in sys.modules])"
    done = _python(code)
    assert done.stdout == "[]\n", done.stderr


def test_commands_run_without_the_modules_that_only_python_needs(
    demo: tuple[Path, str], tmp_path: Path
) -> None:
    """scikit-learn and scipy.stats take longer to import than a small group to be fitted."""
    output, _ = demo
    images = sorted(str(path) for path in (output / "images").iterdir())
    study = [*images, "--participants", str(output / "participants.tsv"), "--formula", "~ group"]
    study += ["--contrast", "Intercept", "--output"]
    z = str(tmp_path / "fit" / "contrast-intercept_stat-z_statmap.nii.gz")
    commands = [
        ["fit", *study, str(tmp_path / "fit"), "--permute", "20", "--save-model"],
        ["permute", *study, str(tmp_path / "permute"), "--n-perm", "30", "--cluster-p", "0.01"],
        ["threshold", z, "--correct", "fdr:0.05", "--output", str(tmp_path / "above.nii.gz")],
        ["clusters", z, "--threshold", "2", "--output", str(tmp_path / "clusters.tsv")],
    ]
    code = (
        "import sys, warnings; from groupglm.cli import main; warnings.simplefilter('ignore')\n"
        f"for command in {commands}: main(command, standalone_mode=False)\n"
        "heavy = ('sklearn', 'scipy.stats', 'scipy.optimize', 'matplotlib', 'jinja2')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = _python(code)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_no_threads_are_refused_before_anything_is_simulated(tmp_path: Path) -> None:
    output = tmp_path / "demo"
    result = CliRunner().invoke(main, ["demo", "--output", str(output), "--n-jobs", "0"])
    assert result.exit_code == 1
    assert "--n-jobs is 0; give the number of threads, or -1" in result.output
    assert not output.exists()
