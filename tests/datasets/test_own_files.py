# SPDX-License-Identifier: BSD-3-Clause
"""What a simulator may replace: what one has written, and nothing of the user's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
from click.testing import CliRunner

from groupglm import datasets
from groupglm.cli import main
from groupglm.datasets import surface_files
from groupglm.spaces.volume import saving

SIMULATORS: dict[str, tuple[dict[str, Any], str]] = {
    "simulate_bids_study": (
        {"n_subjects": 3, "n_scans": 24, "voxel_size": 12.0},
        "sub-02/func/sub-02_task-reading_events.tsv",
    ),
    "simulate_covariate_study": ({"n_subjects": 6, "voxel_size": 12.0}, "sub-02_effect.nii.gz"),
    "simulate_grey_matter_study": ({"n_subjects": 8, "voxel_size": 12.0}, "sub-02_effect.nii.gz"),
    "simulate_group_study": ({"n_subjects": 4, "voxel_size": 12.0}, "sub-02_effect.nii.gz"),
    "simulate_longitudinal_study": (
        {"n_subjects": 4, "voxel_size": 12.0},
        "sub-02_ses-1_effect.nii.gz",
    ),
    "simulate_one_sample_study": ({"n_subjects": 4, "voxel_size": 12.0}, "sub-02_effect.nii.gz"),
    "simulate_paired_study": (
        {"n_subjects": 2, "voxel_size": 12.0},
        "sub-02_horizontal_effect.nii.gz",
    ),
    "simulate_surface_study": (
        {"n_subjects": 4, "n_divisions": 2},
        "sub-02_hemi-L_effect.func.gii",
    ),
    "simulate_variance_study": ({"n_subjects": 6, "voxel_size": 12.0}, "sub-02_effect.nii.gz"),
}


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes()
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_every_simulator_is_here() -> None:
    assert set(SIMULATORS) == {name for name in datasets.__all__ if name.startswith("simulate_")}


@pytest.fixture(params=SIMULATORS)
def simulate(request: pytest.FixtureRequest) -> Callable[..., object]:
    options, _ = SIMULATORS[request.param]
    function = getattr(datasets, request.param)
    return lambda folder, **more: function(folder, **{**options, **more})


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    (which,) = (value for value in request.node.callspec.params.values() if value in SIMULATORS)
    return SIMULATORS[which][1]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_what_is_the_users_is_refused_before_anything_is_written(
    simulate: Callable[..., object], name: str, tmp_path: Path, kind: str
) -> None:
    folder, path = tmp_path / "study", tmp_path / "study" / name
    path.parent.mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / ("mine" if kind == "link" else "nowhere"))
    before = contents(tmp_path)
    with pytest.raises(
        ValueError, match=rf"^directory is '.*study', which holds '{re.escape(name)}'"
    ):
        simulate(folder)
    assert contents(tmp_path) == before


def test_what_a_simulator_wrote_is_replaced(
    simulate: Callable[..., object], name: str, tmp_path: Path
) -> None:
    simulate(tmp_path)
    first = contents(tmp_path)
    simulate(tmp_path)
    assert contents(tmp_path) == first
    if not name.endswith(".tsv"):  # the tables of a BIDS data set do not say whose they are
        simulate(tmp_path, seed=1)  # another study in its place
        second = contents(tmp_path)
        assert second.keys() == first.keys()
        assert second != first
    # What has been changed since is the user's.
    if name.endswith(".nii.gz"):
        image: Any = nib.load(tmp_path / name)
        nib.save(nib.Nifti1Image(image.get_fdata() + 1, None, image.header), tmp_path / name)  # type: ignore[no-untyped-call]
    elif name.endswith(".gii"):
        image = nib.load(tmp_path / name)
        image.darrays[0].data = image.darrays[0].data + 1
        nib.save(image, tmp_path / name)
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="has changed since"):
        simulate(tmp_path)
    assert contents(tmp_path) == before


def test_a_run_that_was_stopped_is_gone_on_with(
    simulate: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tmp_path / "wanted"
    simulate(wanted)

    n_saved = 0

    def interrupted(save: Callable[..., object]) -> Callable[..., object]:
        def saving_twice(*given: Any, **options: Any) -> object:
            nonlocal n_saved
            if n_saved == 2:
                raise KeyboardInterrupt
            n_saved += 1
            return save(*given, **options)

        return saving_twice

    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(saving, "save_image", interrupted(saving.save_image))
        module: Any = surface_files
        patch.setattr(module, "write_whole", interrupted(module.write_whole))
        with pytest.raises(KeyboardInterrupt):
            simulate(stopped)
    simulate(stopped)
    assert contents(stopped) == contents(wanted)


@pytest.mark.parametrize(
    "name", ["images/sub-02_effect.nii.gz", "maps/age_z.nii.gz", "report.html"]
)
def test_the_demo_refuses_what_no_demo_wrote(tmp_path: Path, name: str) -> None:
    output = tmp_path / "demo"
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    (output / name).write_text("mine")
    before = contents(output)
    for more in ([], ["--overwrite"]):
        options = ["--n-subjects", "4", "--voxel-size", "12", *more]
        done = CliRunner().invoke(main, ["demo", "--output", str(output), *options])
        assert done.exit_code == 1, done.output
        assert ("is not empty" if not more else Path(name).name) in done.output
        assert contents(output) == before
