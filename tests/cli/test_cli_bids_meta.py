# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids`` with variance maps: options, and Stats Models of Type "meta"."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from reference.bids import SUBJECT_LEVEL, SUBJECTS, bids_done, maps_of, model_file, run_bids
from reference.shell import values_of

FIXED = (*SUBJECT_LEVEL, "--group-model", "fixed")


@pytest.fixture(scope="module")
def measured(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose subjects have variance maps."""
    folder = Path(shutil.copytree(raw, tmp_path_factory.mktemp("measured") / "raw"))
    rng = np.random.default_rng(3)
    inside = values_of(folder / "mask.nii.gz") > 0
    for path in maps_of(folder):
        effect: Any = nib.load(path)
        values = np.where(inside, rng.uniform(0.2, 3.0, effect.shape), 0.0)
        image = nib.Nifti1Image(values, effect.affine)  # type: ignore[no-untyped-call]
        nib.save(image, variance_of(path))
    return folder


def variance_of(path: Path) -> Path:
    return path.with_name(path.name.replace("stat-effect", "stat-variance"))


def rows(raw: Path, kind: str = "effect") -> Any:
    inside = values_of(raw / "mask.nii.gz") > 0
    paths = [path if kind == "effect" else variance_of(path) for path in maps_of(raw)]
    return np.array([values_of(path)[inside] for path in paths])


def test_fixed_effects_of_the_maps_and_their_variances(measured: Path, tmp_path: Path) -> None:
    result = bids_done(measured, tmp_path / "out", *FIXED)
    assert "12 have a variance map." in result.output
    y, v = rows(measured), rows(measured, "variance")
    wanted = {"effect": (y / v).sum(0) / (1 / v).sum(0), "variance": 1 / (1 / v).sum(0)}
    wanted["z"] = wanted["effect"] / np.sqrt(wanted["variance"])
    inside = values_of(measured / "mask.nii.gz") > 0
    stem = "task-faces_space-MNIColin27_contrast-facesGtHouses"
    for kind, values in wanted.items():
        found = values_of(tmp_path / "out" / f"{stem}_stat-{kind}_statmap.nii.gz")[inside]
        # Maps are float32: 6e-8 relative; an effect or z near zero loses what its terms lost.
        np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6, err_msg=kind)
    facts = json.loads((tmp_path / "out" / f"{stem}_stat-z_statmap.json").read_text())
    assert facts["Settings"]["Model"] == "fixed effects"
    assert facts["VarianceListHash"].startswith("sha256:")
    sources = json.loads((tmp_path / "out" / f"{stem}_design.json").read_text())["Sources"]
    assert sum("stat-variance" in source for source in sources) == 12


def test_a_meta_node_is_fixed_effects_and_says_so(measured: Path, tmp_path: Path) -> None:
    path = model_file(tmp_path, Model={"Type": "Meta", "X": [1]})
    result = bids_done(measured, tmp_path / "out", "--model", path, *SUBJECT_LEVEL[2:])
    assert "Type 'meta' is fixed effects, as in FitLins" in result.output
    assert '{"groupglm": {"model": "mixed effects"}}' in result.output
    by_options = bids_done(measured, tmp_path / "options", *FIXED)
    assert "Type 'meta'" not in by_options.output
    stem = "task-faces_space-MNIColin27_contrast-facesGtHouses_stat-z_statmap.nii.gz"
    np.testing.assert_array_equal(
        values_of(tmp_path / "out" / "node-groupLevel" / stem),
        values_of(tmp_path / "options" / stem),
    )


@pytest.mark.parametrize(
    ("how", "allow", "told"),
    [
        (FIXED, False, "1 of 12 effect maps have no variance map"),
        (FIXED, True, "left out 1 map without a variance map: 05"),
        (None, False, "1 of 12 effect maps have no variance map"),
    ],
)
def test_a_missing_variance_map_is_not_guessed(
    measured: Path, tmp_path: Path, how: tuple[str, ...] | None, allow: bool, told: str
) -> None:
    raw = Path(shutil.copytree(measured, tmp_path / "raw"))
    absent = variance_of(maps_of(raw)[4])
    absent.rename(absent.with_name(absent.name.replace("_task-faces", "_task-faces_run-1")))
    if how is None:
        path = model_file(tmp_path, Model={"Type": "meta", "X": [1]})
        how = ("--model", str(path), *SUBJECT_LEVEL[2:])
    result = run_bids(raw, tmp_path / "out", *how, *(("--allow-partial",) if allow else ()))
    assert result.exit_code == (0 if allow else 1), result.output
    assert told in result.output
    assert ("subjects 05" in result.output) is not allow
    assert (tmp_path / "out").exists() is allow


def test_ordinary_least_squares_leave_variances_unread(measured: Path, tmp_path: Path) -> None:
    result = bids_done(measured, tmp_path / "out", *SUBJECT_LEVEL)
    assert "12 have a variance map, which ordinary least squares does not use" in result.output


def test_a_dry_run_shows_which_variance_belongs_to_which_map(
    measured: Path, tmp_path: Path
) -> None:
    result = bids_done(measured, tmp_path / "out", *FIXED, "--dry-run")
    for subject in SUBJECTS:
        stem = f"sub-{subject}_task-faces_space-MNIColin27_contrast-facesGtHouses_stat"
        pair = f"map {stem}-effect_statmap.nii.gz, variance {stem}-variance_statmap.nii.gz"
        assert f"{subject}: {pair}" in result.output


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--group-model", "fixed", "--tau2", "ml"), "--tau2 has no effect with --group-model"),
        (("--group-model", "mixed", "--fwhm", "6"), "--fwhm changes the maps"),
        (("--group-model", "mixed", "--model", "MODEL"), "have no effect beside --model, whose"),
        (("--model", "MODEL", "--fwhm", "6"), "no longer be those of Model.Type fixed"),
    ],
)
def test_options_that_do_not_go_together(
    measured: Path, tmp_path: Path, more: tuple[str, ...], told: str
) -> None:
    path = str(model_file(tmp_path, Model={"Type": "meta", "X": [1]}))
    result = run_bids(measured, tmp_path / "out", *(path if x == "MODEL" else x for x in more))
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--weights", "groupglm fit, which has --weights and matches maps by subject"),
        ("--covariate", "groupglm fit, which has --covariate and matches maps by subject"),
        ("--variances", "with --group-model mixed or fixed the stat-variance map"),
    ],
)
def test_options_of_fit_say_what_to_do(
    measured: Path, tmp_path: Path, option: str, told: str
) -> None:
    refused = run_bids(measured, tmp_path / "out", *FIXED, option, "a=*.nii.gz")
    assert refused.exit_code == 2
    assert f"bids has no {option}: " in " ".join(refused.output.split())
    assert told in " ".join(refused.output.split())


def test_a_dry_run_finds_variances_whose_headers_say_otherwise(
    measured: Path, tmp_path: Path
) -> None:
    raw = Path(shutil.copytree(measured, tmp_path / "raw"))
    for path in maps_of(raw):
        image: Any = nib.load(variance_of(path))
        image.header.set_intent("t test", (20,))
        nib.save(image, tmp_path / "own.nii.gz")
        shutil.move(tmp_path / "own.nii.gz", variance_of(path))
    refused = run_bids(raw, tmp_path / "out", *FIXED, "--dry-run")
    assert refused.exit_code == 1
    assert "hold t statistics" in " ".join(refused.output.split())
