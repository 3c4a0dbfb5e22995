# SPDX-License-Identifier: BSD-3-Clause
"""Paths that are empty, too long or none, and outputs over an input, at every door."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from groupglm import (
    SecondLevelModel,
    bids,
    cluster_level_inference,
    datasets,
    get_clusters_table,
    get_results_table,
    non_parametric_inference,
    permuted_ols,
    plotting,
    resample_img,
    resample_to,
    resample_to_img,
    smooth_img,
    threshold_stats_img,
    true_discovery_bounds,
)
from groupglm.cli import main

N = 8
DESIGN = pd.DataFrame({"intercept": np.ones(N), "age": np.arange(float(N))})
IMAGES = [f"map{place}.nii" for place in range(N)]
RNG = np.random.default_rng(0)
VOLUMES = np.pad(RNG.normal(1, 1, size=(N, 4, 4, 4)), ((0, 0), *[(3, 3)] * 3))
LONG = "n" * 300
DEEP = "/".join(["d" * 200] * 30)


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Maps, mask and design in the working directory, and a map of z."""
    monkeypatch.chdir(tmp_path)
    for name, values in zip(IMAGES, VOLUMES, strict=True):
        _save(values.astype(np.float32), name)
    _save((VOLUMES[0] != 0).astype(np.uint8), "mask.nii")
    _save(4 * VOLUMES[0], "z.nii")
    DESIGN.to_csv("design.csv", index=False)
    return tmp_path


def _save(values: Any, name: str) -> None:
    nib.save(nib.Nifti1Image(values, np.eye(4)), name)  # type: ignore[no-untyped-call]


def _fit(images: Any = None, **options: Any) -> SecondLevelModel:
    design = options.pop("design", DESIGN)
    model = SecondLevelModel(minimize_memory=False, **options)
    return model.fit(IMAGES if images is None else images, design_matrix=design)


def _permute(**options: Any) -> Any:
    given: dict[str, Any] = {"design_matrix": DESIGN, "n_perm": 5, **options}
    return non_parametric_inference(IMAGES, second_level_contrast="age", **given)


def _table(path: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject_label": [f"s{place}" for place in range(N)],
            "map_name": "a",
            "effects_map_path": [path, *IMAGES[1:]],
        }
    )


READ_IMAGES: dict[str, Callable[[Any], Any]] = {
    "item 1 of second_level_input": lambda path: _fit([path, *IMAGES[1:]]),
    "item 1 of second_level_input ": lambda path: SecondLevelModel().fit(_table(path)),
    "second_level_input": _fit,
    "mask_img": lambda path: _fit(mask_img=path),
    "mask": lambda path: _permute(mask=path),
    "X": lambda path: _fit().transform(path),
    "item 1 of X": lambda path: _fit().transform([path]),
    "stat_img": threshold_stats_img,
    "mask_img  ": lambda path: threshold_stats_img("z.nii", mask_img=path),
    "stat_img ": lambda path: get_clusters_table(path, 2.0),
    "stat_img    ": lambda path: get_results_table(path, 2.0, correction="fpr"),
    "stat_img  ": cluster_level_inference,
    "stat_img   ": lambda path: true_discovery_bounds(path, [np.ones(1)]),
    "imgs ": lambda path: smooth_img(path, 4),
    "img": lambda path: resample_img(path, target_affine=2 * np.eye(3)),
    "source_img": lambda path: resample_to_img(path, "z.nii"),
    "target_img": lambda path: resample_to_img("z.nii", path),
    "reference": lambda path: resample_to("z.nii", path),
    "stat_map_img": plotting.plot_stat_map,
    "stat_map_img ": plotting.plot_glass_brain,
    "bg_img": lambda path: plotting.plot_stat_map("z.nii", bg_img=path),
    "bg_img ": lambda path: _fit().generate_report("age", bg_img=path),
}
OTHERS: dict[str, Callable[[Any], Any]] = {
    "design_matrix": lambda path: _fit(design=path),
    "design_matrix ": lambda path: _permute(design_matrix=path),
    "design_matrix  ": plotting.plot_design_matrix,
    "output_file": lambda path: plotting.plot_design_matrix("no.tsv", output_file=path),
    "memory": lambda path: _fit(memory=path),
    "path": SecondLevelModel.load,
    "path ": lambda path: _fit().save(path),
    "path  ": lambda path: _fit().generate_report("age").save_as_html(path),
    "path   ": bids.read_participants,
    "out": lambda path: _fit().residuals(out=path),
    "out ": lambda path: _fit().predicted(out=path),
    "resume": lambda path: _permute(resume=path),
    "resume ": lambda path: permuted_ols(
        DESIGN[["age"]].to_numpy(), VOLUMES[:, 4, 4, 4:6], n_perm=5, resume=path
    ),
    "directory": lambda path: datasets.simulate_group_study(path, n_subjects=4, voxel_size=12.0),
    "directory ": lambda path: datasets.simulate_paired_study(path, n_subjects=4, voxel_size=12.0),
    "directory  ": lambda path: datasets.simulate_bids_study(path, n_subjects=4, voxel_size=12.0),
    "model": bids.read_stats_model,
    "derivatives": bids.find_participants,
    "derivatives ": bids.collect_maps,
}
DOORS = {**READ_IMAGES, **OTHERS}


@pytest.mark.parametrize("argument", DOORS)
def test_an_empty_path_is_refused_by_the_name_of_its_argument(study: Path, argument: str) -> None:
    before = sorted(study.iterdir())
    with pytest.raises(ValueError, match="is an empty path") as refused:
        DOORS[argument]("")
    assert str(refused.value).startswith(f"{argument.strip()} is an empty path; give a file")
    assert sorted(study.iterdir()) == before


@pytest.mark.parametrize("argument", DOORS)
@pytest.mark.parametrize("name", [LONG, DEEP], ids=["name", "path"])
def test_a_name_that_no_file_system_takes(study: Path, argument: str, name: str) -> None:
    """It is named, with the remedy, and not only by a number of the system."""
    before = sorted(study.iterdir())
    ending = "nii" if argument in READ_IMAGES else "tsv"  # a .tsv is a table of regions there
    with pytest.raises(ValueError, match=r"give a shorter one") as refused:
        DOORS[argument](f"{name}.{ending}")
    assert name[:40] in str(refused.value)
    assert "Errno" not in str(refused.value)
    if argument in OTHERS:
        assert str(refused.value).startswith(f"{argument.strip()} is '{name[:40]}...' with a ")
        what = "a name of 304 bytes" if name == LONG else f"a path of {len(DEEP) + 4} bytes"
        assert f"{what}, and file systems take {255 if name == LONG else 4095};" in str(
            refused.value
        )
    assert sorted(study.iterdir()) == before


@pytest.mark.parametrize("argument", DOORS)
def test_an_address_is_no_file(study: Path, argument: str) -> None:
    """It is shown as it was given, and no folder is made of it."""
    address = "http://[x"
    before = sorted(study.iterdir())
    with pytest.raises(ValueError, match="download the file, and give its path") as refused:
        DOORS[argument](address)
    assert str(refused.value).startswith(f"{argument.strip()} is '{address}', which is an address")
    assert sorted(study.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        "report http://[x --output page.html",
        "report m.groupglm --output http://[x",
        "threshold http://[x --at 3 --output t.nii",
        "threshold z.nii --at 3 --output http://[x",
        "fit map0.nii --participants http://[x --formula ~1 --contrast a --output out",
        "bids http://[x out",
    ],
)
def test_an_address_is_no_file_for_a_command(study: Path, command: str) -> None:
    before = sorted(study.iterdir())
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code == 2
    assert "'http://[x' is an address, and nothing is fetched: download the file" in result.output
    assert sorted(study.iterdir()) == before


@pytest.mark.parametrize("argument", DOORS)
def test_a_null_character_is_named(argument: str) -> None:
    with pytest.raises(ValueError, match=r"null (character|byte).*check the name"):
        DOORS[argument]("a\0b.nii")


@pytest.mark.parametrize("argument", DOORS)
@pytest.mark.parametrize("given", [7, b"map0.nii"], ids=["number", "bytes"])
def test_what_is_no_path_is_named(argument: str, given: Any) -> None:
    with pytest.raises(TypeError, match=argument.rsplit(maxsplit=1)[-1]):
        DOORS[argument](given)


WRITERS: dict[str, Callable[[SecondLevelModel, Any], Any]] = {
    "residuals": lambda model, path: model.residuals(out=path),
    "predicted": lambda model, path: model.predicted(out=path),
    "save": lambda model, path: model.save(path),
    "report": lambda model, path: model.generate_report("age").save_as_html(path),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("way", ["name", "absolute", "link", "hard link", "mask", "design"])
def test_no_output_goes_over_an_input(study: Path, writer: str, way: str) -> None:
    model = _fit(mask_img="mask.nii", design="design.csv")
    given = {"mask": "mask.nii", "design": "design.csv"}.get(way, IMAGES[3])
    target = Path(given)
    if way == "absolute":
        target = study / "." / given
    elif way == "link":
        target = Path("linked.nii")
        target.symlink_to(given)
    elif way == "hard link":
        target = Path("linked.nii")
        os.link(given, target)
    before = {path: path.read_bytes() for path in study.iterdir()}
    with pytest.raises(ValueError, match="which is an input of this model") as refused:
        WRITERS[writer](model, target)
    assert f"is '{target}', which is an input of this model ('{given}')" in str(refused.value)
    assert "give the name of a new file" in str(refused.value)
    assert {path: path.read_bytes() for path in study.iterdir()} == before
    WRITERS[writer](model, "new.nii")
    WRITERS[writer](model, "new.nii")  # over its own, it may


def test_images_opened_by_nibabel_are_inputs_too(study: Path) -> None:
    loaded: Any = [nib.load(name) for name in IMAGES]
    model = _fit(loaded, mask_img=nib.load("mask.nii"))
    for name in (IMAGES[0], "mask.nii"):
        with pytest.raises(ValueError, match=rf"out is '{name}', which is an input"):
            model.residuals(out=name)


def test_a_loaded_model_knows_its_images_and_its_own_file(study: Path) -> None:
    _fit().save("a.groupglm")
    model = SecondLevelModel.load("a.groupglm")
    with pytest.raises(ValueError, match=rf"path is '{IMAGES[2]}', which is an input"):
        model.save(IMAGES[2])
    before = Path("a.groupglm").read_bytes()
    model.save("a.groupglm")
    assert Path("a.groupglm").read_bytes() == before
