# SPDX-License-Identifier: BSD-3-Clause
"""What the README shows is what happens."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import groupglm
import groupglm.errors
from groupglm.cli import main
from groupglm.datasets import simulate_group_study

_ROOT = Path(__file__).parents[2]
_README = _ROOT.joinpath("README.md").read_text(encoding="utf-8")


def _run_block(heading: str) -> dict[str, Any]:
    """Run the Python block below a heading; return its names."""
    section = _README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, Any] = {}
    exec(compile(blocks[0], f"README.md, {heading}", "exec"), names)  # noqa: S102 - our own text
    return names


def test_every_block_is_run_here() -> None:
    assert _README.count("```python") == 2


def test_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = _run_block("Images")
    study = names["study"]
    assert len(list((tmp_path / "study").glob("*.nii.gz"))) == 16
    written: Any = nib.load(tmp_path / "group_z.nii.gz")
    values = np.asanyarray(written.dataobj)
    # The effect is there: its peak is within two voxels of the true one.
    peak = np.unravel_index(values.argmax(), values.shape)
    position = (written.affine @ [*peak, 1])[:3]
    assert np.linalg.norm(position - study.effects["group"].peak) <= 2 * 6.0
    # And the F of two contrasts is at least half the square of either one's t.
    t = names["model"].compute_contrast("group", output_type="stat").get_fdata()
    assert (names["joint"].get_fdata() >= (1 - 1e-5) * t**2 / 2)[t != 0].all()
    assert set(names["maps"]) == {"z_score", "stat", "p_value", "effect_size", "effect_variance"}
    assert "<h1>Group analysis of 16 images</h1>" in (tmp_path / "report.html").read_text("utf-8")
    assert "'z_score': (30, 36, 30)" in capsys.readouterr().out


def test_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    names = _run_block("Arrays")
    # The mean of 1000 differences of two means of 10: its standard error is about 0.014.
    assert abs(names["t"].effect_size.mean() - 2) < 5 * np.sqrt(2 / 10 / 1000)
    assert capsys.readouterr().out.endswith("[17 18]\n")


def test_from_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = simulate_group_study("maps", n_subjects=16, voxel_size=6.0)
    study.participants.to_csv("participants.tsv", sep="\t", index=False)
    section = _README.split("\n## From the shell\n")[1]
    block = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)[0]
    program, *arguments = shlex.split(block.replace("\\\n", ""))
    assert program == "groupglm"
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "results" / "report.html").is_file()
    assert (tmp_path / "results" / "contrast-patientsGtControls_stat-t_statmap.json").is_file()


def test_figures_are_those_of_the_benches() -> None:
    figures = runpy.run_path(str(_ROOT / "bench" / "short_table.py"))
    shown = _README.split("<!-- figures -->\n")[1].split("\n<!-- /figures -->")[0]
    assert shown == figures["short_table"](), "run python bench/short_table.py"


def test_citation_names_this_version() -> None:
    citation = (_ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {groupglm.__version__}\n" in citation


def test_the_commands_are_there() -> None:
    assert "\n    pip install '.[test]' && groupglm demo\n" in _README
    assert "\n    pytest\n    pytest -m quick\n" in _README
    assert "demo" in main.commands


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`groupglm\.([\w.]+)`", _README))))
def test_names_exist(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert module == "errors"
    assert hasattr(groupglm.errors, attribute)


@pytest.mark.parametrize("target", re.findall(r"""(?:\]\(|src=")([^)#:"]+)[)"]""", _README))
def test_links_lead_somewhere(target: str) -> None:
    assert (_ROOT / target).is_file()
