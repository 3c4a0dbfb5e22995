# SPDX-License-Identifier: BSD-3-Clause
"""Results in the folder of the maps, which the same pattern matches in the next run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from groupglm.cli import main
from groupglm.cli.options.maps import collect_maps
from reference.bids import make_fitlins, run_bids
from reference.shell import make_study, values_of

N = 12
PATTERN = r"(?:sub-)?(\w+?)_?(?:effect)?\.nii"  # by which every file is of a subject


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return make_study(tmp_path) / "maps"


def run(command: str, maps: Path, output: Path, *more: str) -> Result:
    return CliRunner().invoke(
        main,
        [
            command, str(maps / "*.nii.gz"), "--formula", "~ 1", "--contrast", "mean=Intercept",
            "--output", str(output), *(["--n-perm", "20"] if command == "permute" else []), *more,
        ],
    )  # fmt: skip


@pytest.mark.parametrize("more", [[], ["--subject-pattern", PATTERN]])
@pytest.mark.parametrize("command", ["fit", "permute"])
def test_results_are_not_taken_for_subjects(maps: Path, command: str, more: list[str]) -> None:
    apart = run(command, maps, maps.parent / "apart", *more)
    assert apart.exit_code == 0, apart.output
    first = run(command, maps, maps, *more)
    assert first.exit_code == 0, first.output
    assert "left out of MAPS" not in first.output
    names = {path.name for path in maps.iterdir()}
    assert "mask.nii.gz" in names
    again = run(command, maps, maps, *more)
    assert again.exit_code == 0, again.output
    assert f"results of groupglm in --output '{maps}' (contrast-mean_stat-" in again.output
    assert f"Design: {N} subjects" in again.output
    assert "skipped" in again.output
    redone = run(command, maps, maps, *more, "--overwrite")
    assert redone.exit_code == 0, redone.output
    assert {path.name for path in maps.iterdir()} == names
    for path in (maps.parent / "apart").glob("contrast-*_statmap.nii.gz"):
        np.testing.assert_array_equal(values_of(maps / path.name), values_of(path))


def test_a_link_to_the_folder_is_the_folder(maps: Path) -> None:
    link = maps.parent / "link"
    link.symlink_to(maps)
    assert run("fit", maps, link).exit_code == 0
    again = run("fit", link, maps)
    assert again.exit_code == 0, again.output
    assert "left out of MAPS" in again.output


def test_results_of_another_folder_may_be_maps(maps: Path) -> None:
    """A study of sites has one map for each site, the result of the site's group."""
    sites = maps.parent / "sites"
    for site in ("a", "b", "c"):
        assert run("fit", maps, sites / f"sub-{site}").exit_code == 0
    effects = str(sites / "*" / "contrast-mean_stat-effect_statmap.nii.gz")
    done = CliRunner().invoke(
        main, ["fit", effects, "--formula", "~ 1", "--contrast", "Intercept", "--mask",
               str(maps.parent / "mask.nii.gz"), "--output", str(sites), "--json"],
    )  # fmt: skip
    # Three equal values have no variance.
    assert "left out of MAPS" not in done.output
    assert '"n_subjects": 3' in done.output or "no variance" in done.output, done.output


def test_maps_that_a_command_made_of_maps_are_maps(maps: Path) -> None:
    """A thresholded map of a subject has a sidecar of ours, but is not a result of a study."""
    path = next(maps.glob("sub-01*.nii.gz"))
    made = maps / "sub-90_effect.nii.gz"
    options = ["--at", "0.5", "--output", str(made)]
    done = CliRunner().invoke(main, ["threshold", str(path), *options])
    assert done.exit_code == 0, done.output
    assert json.loads((maps / "sub-90_effect.json").read_text())["SoftwareVersions"]["groupglm"]
    found = collect_maps([str(maps / "*.nii.gz")], None, None, output=maps)
    assert len(found) == N + 1


def test_results_alone_are_refused(maps: Path) -> None:
    assert run("fit", maps, maps).exit_code == 0
    done = CliRunner().invoke(
        main, ["fit", str(maps / "contrast-*.nii.gz"), "--formula", "~ 1", "--contrast",
               "Intercept", "--output", str(maps)],
    )  # fmt: skip
    assert done.exit_code == 1
    assert "and no other file; give the maps of the subjects" in done.output


def test_bids_results_within_the_derivative(tmp_path: Path) -> None:
    make_fitlins(tmp_path)
    chosen = ("--filter", "node=subjectLevel", "--contrast", "facesGtHouses")
    for name in ("group", "node-ofGroups", "sub-ofGroups"):
        out = tmp_path / "derivatives" / "fitlins" / name
        for expected in ("Mask:", "skipped", "skipped"):
            done = run_bids(tmp_path, out, *chosen)
            assert done.exit_code == 0, done.output
            assert expected in done.output
            assert "Effect maps of 12 subjects" in done.output
        shutil.rmtree(out)


def test_links_that_lead_round_are_refused(maps: Path) -> None:
    """Two such links make some 2**40 paths, which no pattern should visit."""
    (maps / "one").symlink_to(".")
    (maps / "two").symlink_to("../maps")
    with pytest.raises(ValueError, match=r"maps/(one|two)' is a link to a folder that it lies in"):
        collect_maps([str(maps / "**" / "*.nii.gz")], None, None)
    for name in ("one", "two"):
        (maps / name).unlink()
    elsewhere = maps.parent / "elsewhere"
    maps.rename(elsewhere)
    maps.mkdir()
    (maps / "linked").symlink_to(elsewhere)  # leads nowhere but there
    (maps / "itself").symlink_to("itself")
    assert len(collect_maps([str(maps / "**" / "*.nii.gz")], None, None)) == N
