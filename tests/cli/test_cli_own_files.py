# SPDX-License-Identifier: BSD-3-Clause
"""The user's own files: never replaced, never overwritten, and never used as results."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from groupglm import threshold_stats_img
from reference.shell import EVERYTHING, basic, run, values_of

posix = pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
Z = "contrast-age_stat-z_statmap.nii.gz"


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "log.txt"}


OWN = (
    "report.html", "report.html.json", "design_matrix.tsv", "design_matrix.json", "mask.nii.gz",
    "mask.json", "model.groupglm", "model.json", "n_observations.nii.gz", "n_zeros.nii.gz",
    "df_residual.nii.gz",
    Z,
    "contrast-age_stat-z_statmap.json", "contrast-age_stat-z_desc-fdr0p05_statmap.nii.gz",
    "contrast-age_stat-z_desc-fdr0p05_clusters.tsv", "contrast-age_permutations.npz",
    "contrast-patientsGtControls_stat-logp_desc-maxT_statmap.nii.gz",
)  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_files_of_the_user_are_refused_before_anything_is_read(
    study: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    for more in ((), ("--overwrite",)):
        result = run("fit", *basic(study, tmp_path, *EVERYTHING, *more))
        assert result.exit_code == 1
        assert f"--output '{tmp_path}' holds '{name}', which " in result.stderr
        assert "move that away, or give another place" in result.stderr
        assert "Computation" not in result.output
        assert _content(tmp_path) == {name: b"mine"}
    permutes = name in OWN[2:6] or "n_" in name or "perm" in name or "logp" in name
    arguments = basic(study, tmp_path, "--n-perm", "20", "--overwrite")
    if permutes:
        assert run("permute", *arguments).exit_code == 1
        assert _content(tmp_path) == {name: b"mine"}


def test_many_files_of_the_user_are_counted(study: Path, tmp_path: Path) -> None:
    for name in OWN[:6:2] + OWN[8:11]:
        (tmp_path / name).write_text("mine")
    told = run("fit", *basic(study, tmp_path, *EVERYTHING)).stderr
    assert "no sidecar mask.json" in told
    assert ", and 3 more; groupglm replaces only what it wrote" in told


@posix
def test_links_and_folders_in_the_place_of_a_result(study: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.nii.gz"
    mine.write_text("mine")
    for kind in ("link", "dangling", "hard", "folder"):
        out = tmp_path / kind
        out.mkdir()
        path = out / "mask.nii.gz"
        if kind == "folder":
            path.mkdir()
        elif kind == "hard":
            path.hardlink_to(mine)
        else:
            path.symlink_to(mine if kind == "link" else tmp_path / "absent")
        result = run("fit", *basic(study, out, "--overwrite"))
        assert result.exit_code == 1
        assert "holds 'mask.nii.gz', which has no sidecar mask.json" in result.stderr
        assert os.path.lexists(path)
    assert mine.read_text() == "mine"


@posix
@pytest.mark.parametrize("spelling", ["plain", "folder's link", "link", "hard link", "dots"])
def test_an_input_is_never_written_over(study: Path, results: Path, spelling: str) -> None:
    """Even if it is one of our results, such as the mask of an earlier fit."""
    mask = results / "mask.nii.gz"
    given = {
        "plain": mask,
        "folder's link": results.parent / "other" / "mask.nii.gz",
        "link": results.parent / "linked.nii.gz",
        "hard link": results.parent / "hard.nii.gz",
        "dots": results / ".." / "results" / "mask.nii.gz",
    }[spelling]
    (results.parent / "other").symlink_to(results)
    (results.parent / "linked.nii.gz").symlink_to(mask)
    (results.parent / "hard.nii.gz").hardlink_to(mask)
    before = _content(results)
    result = run(
        "fit", study / "maps" / "*.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ age", "--contrast", "age", "--mask", given, "--overwrite",
        "--output", results,
    )  # fmt: skip
    assert result.exit_code == 1
    assert f"the result 'mask.nii.gz' would go over '{given}', which is read" in result.stderr
    assert _content(results) == before


def test_a_map_under_a_results_name_is_not_written_over(study: Path, tmp_path: Path) -> None:
    """The maps themselves lie in the output folder, one of them called as a result."""
    maps = Path(shutil.copytree(study / "maps", tmp_path / "maps"))
    shutil.move(maps / "sub-01_effect.nii.gz", maps / Z)
    table = tmp_path / "maps.tsv"
    rows = [f"{i:02d}\tm\tmaps/sub-{i:02d}_effect.nii.gz" for i in range(2, 13)]
    table.write_text("\n".join(["subject_label\tmap_name\teffects_map_path",
                                f"01\tm\tmaps/{Z}", *rows]))  # fmt: skip
    before = _content(maps)
    result = run(
        "fit", table, "--participants", study / "participants.tsv", "--formula", "~ age",
        "--contrast", "age", "--output", maps, "--overwrite",
    )  # fmt: skip
    assert result.exit_code == 1
    assert f"the result '{Z}' would go over" in result.stderr
    assert _content(maps) == before


def _another_map(path: Path) -> None:
    image: Any = nib.load(path)
    values = np.zeros(image.shape, np.float32)
    values[5, 5, 5] = 40
    nib.save(nib.Nifti1Image(values, image.affine), path)  # type: ignore[no-untyped-call]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("change", [_another_map, _cut, _one_bit])
@pytest.mark.parametrize("name", [Z, "mask.nii.gz", "model.groupglm", "report.html"])
def test_a_result_that_was_changed_is_neither_skipped_nor_used(
    study: Path, results: Path, tmp_path: Path, name: str, change: Any
) -> None:
    path = results / name
    if change is _another_map and not name.endswith(".gz"):
        path.write_text("mine")
    else:
        change(path)
    before = _content(results)
    for more in ((), ("--overwrite",)):
        result = run("fit", *basic(study, results, *EVERYTHING, *more))
        assert result.exit_code == 1
        assert f"'{name}', which is not the file that its sidecar" in result.stderr
        assert "skipped" not in result.output
    assert _content(results) == before
    out = tmp_path / "out.nii.gz"
    if name == Z:
        result = run("threshold", path, "--at", "3", "--output", out)
        assert result.exit_code == 1
        assert "is not the file that its sidecar contrast-age_stat-z_statmap.json" in result.stderr
        table = ("--output", tmp_path / "o.tsv")
        for place in ((), table):
            shown = run("clusters", path, "--threshold", "3", *place)
            assert shown.exit_code == 1
            assert "is not the file that its sidecar" in shown.stderr
    if name != "mask.nii.gz" and name != "report.html":
        result = run("report", results, "--output", tmp_path / "page.html")
        assert result.exit_code == 1
        assert "is not the file that its sidecar" in result.stderr
    assert not out.exists()
    # Once the file is moved away, only its result is made again, with the same bits.
    names = {"report.html": "report.html.json", "model.groupglm": "model.json"}
    record = results / names.get(name, name.replace(".nii.gz", ".json"))
    original = json.loads(record.read_text())["File"]
    path.unlink()
    again = run("fit", *basic(study, results, *EVERYTHING))
    assert again.exit_code == 0, again.output
    made = json.loads(record.read_text())["File"]
    assert made["Name"] == name
    if name != "report.html":  # which holds the command that made it
        assert made == original


def test_a_map_of_a_fit_is_not_replaced_by_what_is_made_of_it(results: Path) -> None:
    before = _content(results)
    t_map = results / Z.replace("stat-z", "stat-t")
    for more in ((), ("--overwrite",)):
        result = run("threshold", results / Z, "--at", "3", "--output", t_map, *more)
        assert result.exit_code == 1
        assert f"'{t_map}' is a map of a fit" in result.stderr
    assert _content(results) == before


def test_python_does_not_use_the_sidecar_of_another_map(results: Path) -> None:
    """A sidecar of t beside a map of z would convert the map's values."""
    path = results / "map.nii.gz"
    shutil.copy(results / "contrast-age_stat-t_statmap.json", results / "map.json")
    z: Any = nib.load(results / Z)
    bare = nib.Nifti1Image(np.asarray(z.dataobj), z.affine)  # type: ignore[no-untyped-call]
    nib.save(bare, path)
    with pytest.warns(UserWarning, match=r"is not the file that its sidecar map.json describes"):
        kept, _ = threshold_stats_img(path, alpha=0.01, height_control="fpr")
    # |z| of p = 0.01, both tails, by tables of the normal; no value is between 2.5758 and 2.5759.
    values = np.asarray(z.dataobj)
    assert kept is not None
    np.testing.assert_array_equal(kept.get_fdata() != 0, np.abs(np.nan_to_num(values)) > 2.57585)


def test_results_of_a_version_without_hashes_are_made_anew(study: Path, results: Path) -> None:
    for record in results.glob("*.json"):
        facts = json.loads(record.read_text())
        del facts["File"]
        record.write_text(json.dumps(facts))
    result = run("fit", *basic(study, results, *EVERYTHING))
    assert result.exit_code == 0, result.output
    assert "age: skipped" not in result.output
    for record in results.glob("*.json"):
        assert json.loads(record.read_text())["File"]["Size"] > 0


def test_overwrite_removes_only_what_is_as_it_was_written(study: Path, results: Path) -> None:
    """The user has replaced a map of a contrast that the new study lacks: all files stay."""
    changed = results / "contrast-patientsGtControls_stat-t_statmap.nii.gz"
    _another_map(changed)
    before = _content(results)
    result = run(
        "fit", study / "maps" / "*.nii.gz", "--participants", study / "participants.tsv",
        "--formula", "~ age", "--contrast", "age", "--overwrite", "--output", results,
    )  # fmt: skip
    assert result.exit_code == 1
    assert f"holds '{changed.name}', which is not the file" in result.stderr
    assert _content(results) == before


def test_the_file_of_a_command_is_not_replaced_if_it_is_another(
    results: Path, tmp_path: Path
) -> None:
    commands: dict[str, list[str | Path]] = {
        "o.nii.gz": ["threshold", results / Z, "--at", "3"],
        "o.tsv": ["clusters", results / Z, "--threshold", "3"],
        "o.html": ["report", results],
    }
    for name, arguments in commands.items():
        path = tmp_path / name
        path.write_text("mine")
        for more in ((), ("--overwrite",)):
            refused = run(*arguments, "--output", path, *more)
            assert refused.exit_code == 1
            assert f"--output '{path}' holds '{name}', which has no sidecar" in refused.stderr
            assert path.read_text() == "mine"
    # A sidecar belongs to one file: that of o.nii.gz is not used for another file.
    (tmp_path / "o.nii.gz").unlink()
    assert run(*commands["o.nii.gz"], "--output", tmp_path / "o.nii.gz").exit_code == 0
    for more in ((), ("--overwrite",)):
        refused = run(*commands["o.nii.gz"], "--output", tmp_path / "o.nii", *more)
        assert refused.exit_code == 1
        assert "holds 'o.json', which is the sidecar of 'o.nii.gz'" in refused.stderr
    page = ("--output", results / "report.html", "--overwrite")
    assert run(*commands["o.html"], *page).exit_code == 0
    mask = results / "mask.nii.gz"
    refused = run("threshold", results / Z, "--at", "3", "--mask", mask, "--output", mask)
    assert "the result 'mask.nii.gz' would go over" in refused.stderr


def test_a_demo_replaces_only_what_a_demo_wrote(tmp_path: Path) -> None:
    small = ("--n-subjects", "4", "--voxel-size", "12")
    out = tmp_path / "out"
    out.mkdir()
    (out / "images").mkdir()
    (out / "images" / "sub-02_effect.nii.gz").write_text("mine")
    for name, path in (
        ("images/sub-02_effect.nii.gz", out / "images" / "sub-02_effect.nii.gz"),
        ("design_matrix.tsv", out / "design_matrix.tsv"),
        ("demo.json", out / "demo.json"),
        ("maps/age_z.nii.gz", out / "maps" / "age_z.nii.gz"),
        ("report.html", out / "report.html"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        refused = run("demo", "--output", out, *small, "--overwrite")
        assert refused.exit_code == 1
        assert f"--output '{out}' holds '{name}', which " in refused.stderr
        assert path.read_text() == "mine"
        path.unlink()
    for folder in ("images", "maps"):
        (out / folder).rmdir()
    assert run("demo", "--output", out, "--n-subjects", "6", *small[2:]).exit_code == 0
    values = values_of(out / "maps" / "age_z.nii.gz")
    assert run("demo", "--output", out, *small, "--overwrite").exit_code == 0
    assert len(list((out / "images").iterdir())) == 4  # the fifth and sixth were of the other demo
    assert np.any(values_of(out / "maps" / "age_z.nii.gz") != values)
    _one_bit(out / "maps" / "age_z.nii.gz")
    changed = run("demo", "--output", out, *small)
    assert "is not empty" in changed.stderr
    changed = run("demo", "--output", out, *small, "--overwrite")
    assert "'maps/age_z.nii.gz', which is not the file that demo.json describes" in changed.stderr
