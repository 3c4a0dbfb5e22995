# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit``: what it refuses, and what an interrupt leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.cli.options.common import NamedContrast
from groupglm.runtime.naming import slug
from reference.shell import basic, design_of, run_fit, values_of


def test_results_of_other_input_are_not_taken_for_these(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    arguments = [maps / "*.nii.gz", *basic(study, out)[1:]]
    assert run_fit(*arguments).exit_code == 0
    shutil.copy(maps / "sub-01_effect.nii.gz", maps / "sub-02_effect.nii.gz")
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert "holds results made from other maps" in refused.output
    assert "--overwrite" in refused.output
    old = values_of(out / "contrast-age_stat-t_statmap.nii.gz")
    assert run_fit(*arguments, "--overwrite").exit_code == 0
    assert np.any(values_of(out / "contrast-age_stat-t_statmap.nii.gz") != old)
    smoothed = run_fit(*arguments, "--fwhm", "9")
    assert smoothed.exit_code == 1
    assert "holds results made with other settings (--fwhm none then, 9 now)" in smoothed.output
    # A contrast of another name and another design would share the folder's mask and design matrix.
    arguments[4:9] = ["~ age", "--contrast", "years=age"]
    another = run_fit(*arguments)
    assert another.exit_code == 1
    assert "holds results made from another design" in another.output


def test_maps_and_rows_that_do_not_match(study: Path, tmp_path: Path) -> None:
    table = pd.read_csv(study / "participants.tsv", sep="\t")
    other = table[table["participant_id"] != "sub-07"]
    other = pd.concat([other, pd.DataFrame({"participant_id": ["sub-99"], "age": [30.0]})])
    other.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    arguments = basic(study, tmp_path / "out")
    arguments[2] = tmp_path / "participants.tsv"
    refused = run_fit(*arguments)
    assert refused.exit_code == 1
    assert "maps without a row in the participants table: 07" in refused.output
    assert "rows of the participants table without a map: 99" in refused.output
    assert not list(tmp_path.glob("out/*"))
    allowed = run_fit(*arguments, "--allow-partial")
    assert allowed.exit_code == 0, allowed.output
    assert "11 subjects" in allowed.output
    assert "Warning: left out maps without a row" in allowed.output
    paths, design = design_of(study)
    keep = [i for i, path in enumerate(paths) if "sub-07" not in path]
    model = SecondLevelModel(mask_img=study / "mask.nii.gz").fit(
        [paths[i] for i in keep], design_matrix=design.iloc[keep].reset_index(drop=True)
    )
    np.testing.assert_array_equal(
        values_of(tmp_path / "out" / "contrast-age_stat-z_statmap.nii.gz"),
        np.asarray(model.compute_contrast("age").dataobj),
    )


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
        ({"maps": ""}, "MAPS is empty"),
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

    monkeypatch.setattr("groupglm.inputs.cohort.open_inputs", fail)
    options = {
        "--participants": str(study / "participants.tsv"),
        "--formula": "~ age",
        "--contrast": "age",
        "--output": str(tmp_path / "out"),
        **change,
    }
    maps = options.pop("maps", str(study / "maps" / "*.nii.gz"))
    result = run_fit(maps, *[part for option in options.items() for part in option])
    if told:
        assert result.exit_code == 1, result.output
        assert told in result.output
        assert result.output.splitlines()[-1].startswith("Error: ")
    else:  # the options are right, and the images are reached
        assert "an image was opened" in result.output


def test_an_image_that_cannot_be_read_is_named(study: Path, tmp_path: Path) -> None:
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    path = maps / "sub-05_effect.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])
    result = run_fit(maps / "*.nii.gz", *basic(study, tmp_path / "out")[1:])
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
    result = run_fit(*basic(study, tmp_path / "out"), *arguments)
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
    refused = run_fit(*basic(study, tmp_path, "--contrast", "AGE=group[T.patient]"))
    assert refused.exit_code == 1
    assert "'age' and 'AGE' would be written to the same files" in refused.output
    nameless = run_fit(*basic(study, tmp_path, "--contrast", "?=age"))
    assert "no letter or digit" in nameless.output


@pytest.mark.skipif(os.name == "nt", reason="sends a signal of POSIX")
@pytest.mark.parametrize(
    ("sent", "code", "logged"),
    [(signal.SIGINT, 130, "KeyboardInterrupt"), (signal.SIGTERM, 143, "Terminated")],
)
def test_an_interrupt_leaves_whole_files_or_none(
    study: Path, tmp_path: Path, sent: signal.Signals, code: int, logged: str
) -> None:
    """The fourth image takes so long to write that the signal comes before the fifth."""
    maps = shutil.copytree(study / "maps", tmp_path / "maps")
    out = tmp_path / "out"
    program = (
        "import sys, time\n"
        "from groupglm.cli import main\n"
        "import groupglm.cli.results.study_results as outputs\n"
        "write, n = outputs.Outputs.write_image, [0]\n"
        "def slow(self, *a, **k):\n"
        "    n[0] += 1\n"
        "    write(self, *a, **k)\n"
        "    if n[0] == 4:\n"
        "        print('fourth', flush=True); time.sleep(60)\n"
        "outputs.Outputs.write_image = slow\n"
        "main(prog_name='groupglm')\n"
    )
    arguments = [maps / "*.nii.gz", *basic(study, out)[1:]]
    process = subprocess.Popen(  # noqa: S603 - this interpreter, our arguments
        [sys.executable, "-u", "-c", program, "fit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "fourth" in line:
            break
    time.sleep(0.2)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Interrupted; files that were written are complete, and the same command" in stderr
    written = {path.name for path in out.iterdir()}
    assert "contrast-age_stat-t_statmap.nii.gz" in written
    assert not [name for name in written if name.endswith(".tmp")]
    for path in out.glob("*.nii.gz"):
        nib.load(path).get_fdata()  # type: ignore[attr-defined]
    assert f"Stopped: {logged}" in (out / "log.txt").read_text()
    resumed = run_fit(*arguments)
    assert resumed.exit_code == 0, resumed.output
    assert len(list(out.glob("contrast*.nii.gz"))) == 10


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "are complete, and the same command goes on from there.\n"),
        (("--overwrite",), "complete. The same command without --overwrite goes on from there.\n"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    told: str,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("groupglm.cli.options.maps.collect_maps", interrupted)
    result = run_fit(*basic(study, tmp_path, *more))
    assert result.exit_code == 130
    assert result.stderr.endswith(told)
