# SPDX-License-Identifier: BSD-3-Clause
"""Commands run again into the same folder: what is skipped, refused, redone and removed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from groupglm import SecondLevelModel
from groupglm.cli import main
from groupglm.cli.results.sameness import difference
from reference.shell import run_fit, values_of

BOTH = ("~ age + C(group)", "age", "patients=group[T.patient]")
AGE = ("~ age", "age")


def _arguments(study: Path, out: Path, design: tuple[str, ...], *more: str | Path) -> list[str]:
    formula, *contrasts = design
    tests = [part for contrast in contrasts for part in ("--contrast", contrast)]
    return [
        str(study / "maps" / "sub-*.nii.gz"), "--participants", str(study / "participants.tsv"),
        "--mask", str(study / "mask.nii.gz"), "--output", str(out), "--formula", formula,
        *tests, *map(str, more),
    ]  # fmt: skip


def _fit(study: Path, out: Path, design: tuple[str, ...], *more: str | Path) -> Result:
    result = run_fit(*_arguments(study, out, design, *more))
    assert result.exit_code == 0, result.output
    return result


def _refused(study: Path, out: Path, design: tuple[str, ...], *more: str | Path) -> str:
    result = run_fit(*_arguments(study, out, design, *more))
    assert result.exit_code == 1
    return result.output


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_saved_model_is_that_of_the_design(study: Path, tmp_path: Path) -> None:
    _fit(study, tmp_path, BOTH, "--save-model")
    replaced = _fit(study, tmp_path, AGE, "--overwrite")
    assert "Removed what an earlier run made from something else" in replaced.output
    assert "model.groupglm" in replaced.output
    assert not (tmp_path / "model.groupglm").exists()
    _fit(study, tmp_path, AGE, "--save-model")
    loaded = SecondLevelModel.load(tmp_path / "model.groupglm")
    assert list(loaded.design_matrix_.columns) == ["Intercept", "age"]
    before = (tmp_path / "model.groupglm").stat().st_mtime_ns
    again = _fit(study, tmp_path, AGE, "--save-model")
    assert "Computation" not in again.output
    assert (tmp_path / "model.groupglm").stat().st_mtime_ns == before


def test_a_model_of_unknown_origin_is_left_alone(study: Path, tmp_path: Path) -> None:
    _fit(study, tmp_path, AGE)
    (tmp_path / "model.groupglm").write_text("mine")
    for more in ((), ("--overwrite",)):
        told = _refused(study, tmp_path, AGE, "--save-model", *more)
        assert "holds 'model.groupglm', which has no sidecar model.json; groupglm replaces" in told
        assert "Computation" not in told
    assert (tmp_path / "model.groupglm").read_text() == "mine"


def test_the_page_is_about_these_contrasts_at_this_threshold(study: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    _fit(study, tmp_path, BOTH, "--report")
    told = json.loads((tmp_path / "report.html.json").read_text())
    only = {"HeightControl": "fpr", "Alpha": 0.001, "TwoSided": True}
    assert told["Corrections"] == [only]
    first = page.read_text(encoding="utf-8")
    skipped = _fit(study, tmp_path, BOTH, "--report", "--correct", "fpr:0.001")
    assert "Report: skipped" in skipped.output  # the default
    other = _fit(study, tmp_path, BOTH, "--report", "--correct", "bonferroni:0.05")
    assert "Report: skipped" not in other.output
    assert "Bonferroni" in page.read_text(encoding="utf-8")
    assert "Bonferroni" not in first
    _fit(study, tmp_path, BOTH[:2], "--report")
    assert "patients" not in json.dumps(json.loads((tmp_path / "report.html.json").read_text()))
    # A page of another command in its place is not used as the fit's.
    _fit(study, tmp_path, BOTH, "--save-model")
    own = ["report", str(tmp_path / "model.groupglm"), "--contrast", "age", "--output", str(page)]
    assert CliRunner().invoke(main, [*own, "--overwrite"]).exit_code == 0
    assert "Report: skipped" not in _fit(study, tmp_path, BOTH[:2], "--report").output


def test_overwrite_leaves_nothing_of_another_design(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = ("--correct", "fdr:0.05", "--permute", "20", "--save-model", "--report")
    _fit(study, out, BOTH, *everything)
    for name in ("notes.txt", "contrast-patients_notes.txt", "contrast-mine_statmap.json"):
        (out / name).write_text("{}")  # not a sidecar of ours
    replaced = _fit(study, out, AGE, "--overwrite")
    for gone in ("contrast-patients_stat-t_statmap.nii.gz", "contrast-patients_permutations.npz"):
        assert gone in replaced.output
        assert gone in (out / "log.txt").read_text()
    fresh = tmp_path / "fresh"
    _fit(study, fresh, AGE)
    assert _names(out) - _names(fresh) == {
        "notes.txt", "contrast-patients_notes.txt", "contrast-mine_statmap.json"
    }  # fmt: skip
    assert not _names(fresh) - _names(out)
    again = _fit(study, out, AGE)
    assert "age: skipped" in again.output
    assert "Removed" not in again.output


def test_overwrite_keeps_other_contrasts_of_the_same_fit(study: Path, tmp_path: Path) -> None:
    _fit(study, tmp_path, BOTH, "--correct", "fdr:0.05")
    before = (tmp_path / "contrast-patients_stat-t_statmap.nii.gz").stat().st_mtime_ns
    again = _fit(study, tmp_path, BOTH[:2], "--overwrite")
    assert "Removed" not in again.output
    assert (tmp_path / "contrast-patients_stat-t_statmap.nii.gz").stat().st_mtime_ns == before
    assert "patients: skipped" in _fit(study, tmp_path, BOTH).output
    # But no result stays of a contrast that no longer has this name.
    rows = (BOTH[0], "age=age; group[T.patient]")
    assert "made from another contrast (age then, age; group" in _refused(study, tmp_path, rows)
    _fit(study, tmp_path, rows, "--overwrite")
    assert {name for name in _names(tmp_path) if "-age_stat" in name and "nii" in name} == {
        f"contrast-age_stat-{kind}_statmap.nii.gz" for kind in ("effect", "variance", "F", "z", "p")
    }
    assert not list(tmp_path.glob("contrast-age_stat-z_desc*"))


@pytest.mark.parametrize("n_removed", [1, 12, 19, 25])
def test_an_interrupted_overwrite_leaves_one_study(
    study: Path, tmp_path: Path, n_removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is interrupted, a later run without --overwrite mixes no results."""
    _fit(study, tmp_path, BOTH)
    unlink, calls = Path.unlink, iter(range(1000))

    def cut(path: Path, missing_ok: bool = False) -> None:
        if next(calls) >= n_removed:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", cut)
        assert run_fit(*_arguments(study, tmp_path, AGE, "--overwrite")).exit_code == 130
    done = []
    for design in (AGE, BOTH):
        later = run_fit(*_arguments(study, tmp_path, design))
        if later.exit_code == 1:
            assert "holds results made from another design" in later.output
            continue
        done.append(design)
        fresh = tmp_path / "fresh"
        _fit(study, fresh, design)
        assert {name for name in _names(fresh) if "stat" in name} == {
            name for name in _names(tmp_path) if "stat" in name
        }
        for path in fresh.glob("*.nii.gz"):
            np.testing.assert_array_equal(values_of(tmp_path / path.name), values_of(path))
        table = "design_matrix.tsv"
        assert (tmp_path / table).read_bytes() == (fresh / table).read_bytes()
    assert done == [AGE if n_removed > 20 else BOTH]  # 10 maps, each with a sidecar


def test_what_is_read_is_never_removed(study: Path, tmp_path: Path) -> None:
    _fit(study, tmp_path, BOTH)
    grid = tmp_path / "contrast-patients_stat-z_statmap.nii.gz"
    result = _fit(study, tmp_path, AGE, "--overwrite", "--target-affine", grid)
    assert grid.is_file()
    assert grid.name not in result.output.partition("Removed")[2]


def test_images_that_cannot_be_fitted_remove_nothing(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _fit(study, out, BOTH)
    before = _names(out)
    broken = tmp_path / "broken"
    broken.mkdir()
    for i in range(1, 13):
        (broken / f"sub-{i:02d}.nii.gz").write_text("no image")
    arguments = _arguments(study, out, AGE, "--overwrite")
    assert run_fit(str(broken / "*.nii.gz"), *arguments[1:]).exit_code == 1
    assert _names(out) == before


def test_settings_that_mean_the_same(study: Path, tmp_path: Path) -> None:
    _fit(study, tmp_path, AGE)
    for same in (("--fwhm", "0"), ("--fwhm", "0,0,0")):
        assert "age: skipped" in _fit(study, tmp_path, AGE, *same).output
    assert "age: skipped" in _fit(study, tmp_path, ("~age", "age")).output
    told = _refused(study, tmp_path, AGE, "--fwhm", "6,6,9", "--missing", "zero")
    assert "(--fwhm none then, 6,6,9 now; --missing omit then, zero now)" in told
    _fit(study, tmp_path, AGE, "--fwhm", "6", "--overwrite")
    assert "age: skipped" in _fit(study, tmp_path, AGE, "--fwhm", "6,6,6").output
    told = _refused(study, tmp_path, ("~ age", "more=age"))  # it would share the mask
    assert "made with other settings (--fwhm 6 then, none now)" in told


def test_the_version_and_files_in_words() -> None:
    base = {"SoftwareVersions": {"groupglm": "1"}, "Settings": {"Mask": ["mask.nii.gz", 10, 1]}}
    changed = {**base, "Settings": {"Mask": ["mask.nii.gz", 10, 2]}}
    told = difference(base, changed)
    assert told == "with other settings (--mask mask.nii.gz, a file that has changed since)"
    told = difference(base, {**base, "SoftwareVersions": {"groupglm": "2"}})
    assert told == "by another version (1 then, 2 now)"
    told = difference({"Permutation": {"TFCE": True}}, {"Permutation": {"TFCE": False}})
    assert told == "with other settings (--tfce yes then, no now)"
    told = difference({"Permutation": {}}, {"Permutation": {"ClusterFormingP": 0.01}})
    assert told == "with other settings (--cluster-p none then, 0.01 now)"
    assert difference(base, dict(base)) is None


def test_permutations_again(study: Path, tmp_path: Path) -> None:
    def permute(*more: str, design: tuple[str, ...] = BOTH[:2]) -> Result:
        arguments = ["permute", *_arguments(study, tmp_path, design, "--n-perm", "20", *more)]
        return CliRunner().invoke(main, arguments)

    assert permute("--tfce", "--fwhm", "0").exit_code == 0
    again = permute("--tfce")
    assert "permutations skipped" in again.output, again.output
    assert "(--fwhm none then, 9 now)" in permute("--tfce", "--fwhm", "9").output
    # With another seed, no map of the first one stays.
    other = permute("--seed", "1", "--overwrite")
    assert "contrast-age_stat-tfce_desc-permutation_statmap.nii.gz" in other.output
    maps = {name for name in _names(tmp_path) if name.endswith(".nii.gz")}
    assert "contrast-age_stat-logp_desc-maxT_statmap.nii.gz" in maps
    assert not {name for name in maps if "fce" in name}
    # Another design, in the folder of a fit.
    _fit(study, tmp_path, BOTH)
    replaced = permute("--overwrite", design=AGE)
    assert replaced.exit_code == 0, replaced.output
    assert not list(tmp_path.glob("contrast-*_stat-z_*"))
    assert not list(tmp_path.glob("contrast-patients*"))
    assert list(pd.read_csv(tmp_path / "design_matrix.tsv", sep="\t").columns[1:]) == [
        "Intercept", "age"
    ]  # fmt: skip
    assert "permutations skipped" in permute(design=AGE).output


def test_interrupted_permutations_of_another_test(study: Path, tmp_path: Path) -> None:
    def permute(*more: str, n_perm: str = "20") -> Result:
        arguments = ["permute", *_arguments(study, tmp_path, AGE, "--n-perm", n_perm, *more)]
        return CliRunner().invoke(main, arguments)

    assert permute().exit_code == 0
    for path in tmp_path.glob("contrast-age_[sd]*"):  # as after an interruption
        path.unlink()
    refused = permute("--seed", "1")
    assert refused.exit_code == 1
    assert f"--output '{tmp_path}' holds interrupted permutations that cannot" in refused.output
    assert "permutations.npz was made with the seed 0, not 1; add --overwrite" in refused.output
    assert "resume" not in refused.output
    one_sided = permute("--one-sided")
    assert "is the result of another test: number of tails differs" in one_sided.output
    fewer = permute(n_perm="10")
    assert "permutations.npz holds 20 already, more than the 10 asked for" in fewer.output
    (tmp_path / "contrast-age_permutations.npz").write_text("damaged")
    for more in ((), ("--overwrite",)):
        told = permute("--seed", "1", *more).output
        assert "permutations.npz', which is not the state of a permutation test" in told
    (tmp_path / "contrast-age_permutations.npz").unlink()
    assert permute("--seed", "1", "--overwrite").exit_code == 0


@pytest.mark.parametrize("command", ["fit", "permute"])
@pytest.mark.parametrize("below", ["afile", "afile/sub", "afile/sub/sub"])
def test_an_output_that_cannot_be_a_folder(
    study: Path, tmp_path: Path, command: str, below: str
) -> None:
    (tmp_path / "afile").write_text("")
    out = tmp_path / below
    result = CliRunner().invoke(main, [command, *_arguments(study, out, AGE)])
    assert result.exit_code == (2 if below == "afile" else 1)
    assert "--output" in result.output
    if below != "afile":
        assert f"'{tmp_path / 'afile'}' is a file; give a folder" in result.output
        assert "Computation" not in result.output  # refused before the long work
