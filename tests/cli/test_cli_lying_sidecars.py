# SPDX-License-Identifier: BSD-3-Clause
"""Sidecars that are valid JSON and false, impossible locks, and errors that name no file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groupglm.cli.journal import Journal
from groupglm.cli.results import locks
from groupglm.cli.results.records import Target
from groupglm.cli.results.removal import remove
from reference.shell import EVERYTHING, basic, run

Z = "contrast-age_stat-z_statmap.json"
FDR = "contrast-age_stat-z_desc-fdr0p05_statmap.json"
LOGP = "contrast-age_stat-logp_desc-maxT_statmap.json"
HUGE = 10**400  # an integer of JSON that no double holds


def _lie(record: Path, keys: tuple[str | int, ...], value: Any) -> None:
    facts = json.loads(record.read_text())
    place = facts
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    record.write_text(json.dumps(facts))


LIES: list[tuple[str, tuple[str | int, ...], Any]] = [
    (Z, ("Contrast",), "age"),
    (Z, ("Contrast", "Columns"), None),
    (Z, ("Contrast", "Weights", 0), HUGE),
    (FDR, ("Correction",), {}),
    (FDR, ("Correction", "Alpha"), HUGE),
    (LOGP, ("Permutation",), None),
    (LOGP, ("Permutation", "ClusterFormingP"), "0.01"),
    (LOGP, ("NumberOfPermutations",), 0),
    ("report.html.json", ("Contrasts",), [{}]),
]


@pytest.mark.parametrize(("name", "keys", "value"), LIES)
def test_a_sidecar_that_lies_is_named(
    study: Path, results: Path, name: str, keys: tuple[str | int, ...], value: Any
) -> None:
    _lie(results / name, keys, value)
    ran = [run("fit", *basic(study, results, *EVERYTHING))]
    if name != "report.html.json":
        ran.append(run("report", results, "--output", results.parent / "page.html"))
    for one in ran:
        assert one.exit_code == 1
        assert name in one.output
        assert "fault of groupglm" not in one.output
    assert not (results.parent / "page.html").exists()


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("threshold", ("--at", "2", "--output", "t.nii")),
        ("clusters", ("--threshold", "2")),
        ("clusters", ("--threshold", "2", "--output", "t.tsv")),
    ],
)
def test_a_map_is_hashed_once(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    more: tuple[str, ...],
) -> None:
    """One hash serves its sidecar, its number of tails, its scale and the result's own sidecar."""
    z_map, hashed = results / Z.replace(".json", ".nii.gz"), []
    digest = hashlib.file_digest

    def counting(file: Any, name: str) -> Any:
        hashed.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashlib, "file_digest", counting)
    assert run(command, z_map, *more).exit_code == 0
    assert hashed.count(z_map.name) == 1


@pytest.mark.parametrize("keys", [("Contrast",), ("Correction",), ("Permutation",)])
def test_what_groupglm_did_not_write_is_not_on_a_page(results: Path, keys: tuple[str]) -> None:
    name = {"Contrast": Z, "Correction": FDR, "Permutation": LOGP}[keys[0]]
    _lie(results / name, keys, [1])
    _lie(results / name, ("SoftwareVersions",), {})
    page = results.parent / "page.html"
    ran = run("report", results, "--output", page)
    assert ran.exit_code == 0, ran.output
    assert page.exists()


@pytest.mark.parametrize("other", ["../../x", ".", "a/b", "a\0b", "\ud800"])
def test_the_name_in_a_sidecar_is_no_path(study: Path, results: Path, other: str) -> None:
    _lie(results / Z, ("File", "Name"), other)
    ran = run("fit", *basic(study, results, *EVERYTHING))
    assert ran.exit_code == 0, ran.output  # size and hash identify the file


def test_degrees_of_freedom_that_no_double_holds(results: Path, tmp_path: Path) -> None:
    _lie(results / Z, ("DegreesOfFreedom", "Residual"), HUGE)
    z = results / Z.replace(".json", ".nii.gz")
    ran = run("threshold", z, "--at", "1", "--output", tmp_path / "z1.nii.gz")
    assert ran.exit_code == 0, ran.output


def test_an_archive_of_the_user_with_a_seed_is_kept(study: Path, tmp_path: Path) -> None:
    own = tmp_path / "out" / "contrast-age_permutations.npz"
    own.parent.mkdir()
    np.savez(own, seed=3, volumes=np.ones(3))
    before = own.read_bytes()
    ran = run("fit", *basic(study, own.parent, "--permute", "20", "--overwrite"))
    assert ran.exit_code == 1
    assert own.name in ran.output
    assert own.read_bytes() == before


def test_what_was_put_there_since_it_was_checked_is_not_removed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = [Target.of(results / Z.replace(".json", ".nii.gz")), Target.of(results / "mask.nii")]
    targets[0].path.write_bytes(b"the user's")
    targets[1].path.write_bytes(b"the user's")
    remove([*targets, Target.of(results / "design_matrix.tsv")], Journal(as_json=False))
    assert [target.path.read_bytes() for target in targets] == [b"the user's"] * 2
    assert not (results / "design_matrix.tsv").exists()
    assert "Removed" in capsys.readouterr().out


def _lock(folder: Path) -> Path:
    with locks.held(folder, "mask.nii.gz", "--output 'out'"):
        (path,) = folder.glob(".groupglm-*.lock")
    return path


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_in_the_place_of_the_lock(study: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = _lock(out)
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    ran = run("fit", *basic(study, out))
    assert ran.exit_code == 1
    assert path.name in ran.output
    assert f"is a {kind}" in ran.output


def test_a_full_disk_is_named_where_not_even_a_lock_can_be_written(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("groupglm.cli.results.locks.os.write", full)
    out = tmp_path / "out"
    ran = run("fit", *basic(study, out))
    assert ran.exit_code == 1
    assert f"{out}: No space left on device; free some space" in ran.output
    assert not list(out.glob(".groupglm-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="a file that is there and cannot be read")
def test_an_error_of_the_disk_names_the_file(results: Path, tmp_path: Path) -> None:
    z, mask = results / Z.replace(".json", ".nii.gz"), "/proc/self/mem"
    out = tmp_path / "z1.nii.gz"
    ran = run("threshold", z, "--at", "1", "--mask", mask, "--output", out)
    assert ran.exit_code == 1
    assert "/proc/self/mem: Input/output error" in ran.output
