# SPDX-License-Identifier: BSD-3-Clause
"""Pages about saved models of surfaces: with meshes that the model has not, or instead of its."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from groupglm.cli import main
from groupglm.datasets import SurfaceStudy, simulate_surface_study


def run(*arguments: Any, fails: bool = False) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SurfaceStudy:
    folder = tmp_path_factory.mktemp("study")
    return simulate_surface_study(folder / "maps", n_subjects=6, n_divisions=2, seed=2)


@pytest.mark.parametrize("ending", ["func.gii", "dscalar.nii"])
def test_a_model_without_meshes_has_pictures_on_those_that_are_given(
    study: SurfaceStudy, ending: str, tmp_path: Path
) -> None:
    maps = sorted(study.directory.glob(f"sub-*_effect.{ending}"))
    out = tmp_path / "out"
    run(
        "fit", *maps, "--formula", "~ 1", "--contrast", "mean=intercept", "--save-model",
        "--correct", "fpr:0.01", "--output", out,
    )  # fmt: skip
    page, meshes = tmp_path / "page.html", ["--surfaces", *study.surfaces]
    run("report", out, "--output", page)
    assert 'id="viewer' not in page.read_text()
    assert "Surfaces" not in json.loads(page.with_name("page.html.json").read_text())["Options"]
    run("report", out, "--output", page, *meshes, "--overwrite")
    drawn = page.read_text()
    assert 'id="viewer' in drawn
    assert "mm2" in drawn or "mm²" in drawn
    facts = json.loads(page.with_name("page.html.json").read_text())["Options"]
    assert [Path(own[0]).name for own in facts["Surfaces"]] == [
        file.name for file in study.surfaces
    ]
    assert "skipped" in run("report", out, "--output", page, *meshes).output
    areas = ["--areas", *study.mask]  # one everywhere on the cortex
    refused = run("report", out, "--output", page, *meshes, *areas, fails=True).output
    assert "--overwrite" in refused
    backwards = ["--surfaces", *study.surfaces[::-1]]
    wrong = run("report", out, "--output", page, *backwards, "--overwrite", fails=True)
    assert "hemisphere" in wrong.output
    assert page.read_text() == drawn
