# SPDX-License-Identifier: BSD-3-Clause
"""Effect maps found by their entities, whatever a folder holds."""

from __future__ import annotations

import json
import os
import time
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nilearn.glm import save_glm_to_bids
from nilearn.glm.first_level import FirstLevelModel

from groupglm import SecondLevelModel
from groupglm.bids import collect_maps, find_participants
from groupglm.bids.entities import read_name
from groupglm.cli.wording import as_options
from reference.bids import effect, touch, write_json


def _names(maps: pd.DataFrame) -> list[str]:
    return [Path(path).name for path in maps["effects_map_path"]]


def test_maps_of_subjects_are_sorted_and_labelled(tmp_path: Path) -> None:
    touch(tmp_path, *(effect(s) for s in ("10", "02", "1")), "sub-02/sub-02_task-x_bold.nii.gz")
    touch(tmp_path, effect("02").replace("effect", "variance"))
    maps = collect_maps(tmp_path)
    assert list(maps["subject_label"]) == ["02", "1", "10"]
    assert list(maps["map_name"]) == ["a"] * 3
    assert _names(maps)[0] == "sub-02_task-x_contrast-a_stat-effect_statmap.nii.gz"
    variances = maps["variances_map_path"]
    assert Path(variances[0]).name == "sub-02_task-x_contrast-a_stat-variance_statmap.nii.gz"
    assert variances[1:].isna().all()


def test_variances_can_be_demanded(tmp_path: Path) -> None:
    touch(tmp_path, effect("01"), effect("02"), effect("01").replace("effect", "variance"))
    with pytest.raises(ValueError, match=r"1 of 2 effect maps have no variance map .* subjects 02"):
        collect_maps(tmp_path, need_variances=True)
    touch(tmp_path, effect("02").replace("effect", "variance"))
    assert collect_maps(tmp_path, need_variances=True)["variances_map_path"].notna().all()


def test_entities_choose(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        for task in ("faces", "rest"):
            for run in ("01", "02"):
                for contrast in ("facesGtHouses", "houses"):
                    touch(tmp_path, effect(subject, task=task, run=run, contrast=contrast))
    maps = collect_maps(tmp_path, task="faces", run=2, contrast="faces > houses")
    assert _names(maps) == [
        f"sub-0{i}_task-faces_run-02_contrast-facesGtHouses_stat-effect_statmap.nii.gz"
        for i in (1, 2)
    ]
    by_subject = collect_maps(tmp_path, task="rest", run="01", contrast="houses", subject="sub-02")
    assert list(by_subject["subject_label"]) == ["02"]


def test_nodes_of_fitlins_are_entities(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        touch(tmp_path / "node-subjectLevel", effect(subject))
        touch(tmp_path / "node-runLevel", effect(subject, run="1"), effect(subject, run="2"))
    touch(tmp_path, "node-datasetLevel/contrast-a_stat-effect_statmap.nii.gz")
    with pytest.raises(
        ValueError, match=r"of several kinds, by node: node runLevel \(4 maps\), subj"
    ):
        collect_maps(tmp_path)
    maps = collect_maps(tmp_path, node="subject_level")
    assert len(maps) == 2
    assert all("node-subjectLevel" in path for path in maps["effects_map_path"])


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (
            {"task": "y"},
            r"by task: task x \(2 maps\), y \(1 map\).*such as by task='x'$",
        ),
        ({"space": "MNI"}, r"by space: space MNI \(1 map\), none \(2 maps\).*by space='MNI'"),
        ({"contrast": "b"}, r"by contrast: contrast a \(2 maps\), b \(1 map\).*by contrast='a'$"),
    ],
)
def test_several_kinds_are_refused(tmp_path: Path, others: dict[str, str], said: str) -> None:
    touch(tmp_path, effect("01"), effect("02"), effect("03", **others))
    with pytest.raises(ValueError, match=said):
        collect_maps(tmp_path)


@pytest.mark.parametrize(
    ("entities", "said"),
    [
        (
            {"run": "2"},
            r"differ in run\. Choose, such as by run='2', or the maps without run by run=''$",
        ),
        ({"ses": "b"}, r"differ in session\. Choose, such as by session='b', or the maps without"),
        (
            {"acq": "ap"},
            r"differ in acquisition\. Choose, such as by acq='ap', or the maps w",
        ),
    ],
)
def test_several_maps_of_a_subject_are_refused(
    tmp_path: Path, entities: dict[str, str], said: str
) -> None:
    touch(tmp_path, effect("01"), effect("02"), effect("02", **entities))
    with pytest.raises(
        ValueError, match=f"1 of 2 subjects have several effect maps, such as 02.*{said}"
    ):
        collect_maps(tmp_path)
    # The remedy in the message works for the subjects that have it.
    key, value = next(iter(entities.items()))
    assert list(collect_maps(tmp_path, **{key: value})["subject_label"]) == ["02"]  # type: ignore[arg-type]


def test_the_same_map_twice_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, effect("01"), effect("01").removesuffix(".gz"))
    with pytest.raises(ValueError, match="same entities: keep one of them"):
        collect_maps(tmp_path)


def test_subjects_with_other_sessions_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, effect("01", ses="a"), effect("02", ses="b"))
    with pytest.warns(UserWarning, match=r"not all of the same session a \(1 map\), b \(1 map\)"):
        assert len(collect_maps(tmp_path)) == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"task": "z"}, r"no effect map has task 'z'; there is task x \(2 maps\)"),
        ({"contrast": "c"}, r"no effect map has contrast 'c'; there is contrast a \(2 maps\)"),
        ({"space": "MNI"}, r"no effect map has space 'MNI'; there is space none \(2 maps\)"),
        ({"subject": "9"}, r"no effect map has subject '9'; there is subject 01 \(1 map\), 02"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, wanted: dict[str, str], said: str) -> None:
    touch(tmp_path, effect("01"), effect("02"))
    with pytest.raises(ValueError, match=said):
        collect_maps(tmp_path, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "give the folder that a first-level analysis was written to"),
        # Maps, not a description, make a folder the one that the user means.
        (
            (
                f"fitlins/{effect('01')}",
                "group/dataset_description.json",
                "group/contrast-a_stat-effect_statmap.nii.gz",
            ),
            "effect maps are in its folders fitlins: give one",
        ),
        ((f"derivatives/a/{effect('01')}",), "effect maps are in .* derivatives/a: give one"),
        (("group/dataset_description.json",), "give the folder that a first-level analysis"),
        (("sub-1/sub-1_stat-t_statmap.nii.gz",), "it holds other maps: 1 stat-t of subjects"),
        (("contrast-a_stat-effect_statmap.nii.gz",), "1 stat-effect of no subject"),
        (("sub-1/sub-1_stat-effect_stat-t_statmap.nii",), "1 no entities in the name"),
    ],
)
def test_a_folder_without_effect_maps(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(ValueError, match=said):
        collect_maps(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        collect_maps(tmp_path / "absent")


def test_labels_are_compared_whatever_composes_their_accents(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    touch(tmp_path, effect(decomposed), effect("日本"))
    assert list(collect_maps(tmp_path)["subject_label"]) == [
        unicodedata.normalize("NFC", "Zoë"),
        "日本",
    ]


def test_contrasts_of_halfpipe(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        folder = f"sub-{subject}/func/task-x/sub-{subject}_task-x_feature-glm_taskcontrast"
        touch(
            tmp_path,
            f"{folder}-a_stat-effect_statmap.nii.gz",
            f"{folder}-b_stat-effect_statmap.nii",
        )
    assert list(collect_maps(tmp_path, contrast="b")["map_name"]) == ["b", "b"]


def test_links_that_run_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, effect("01"), effect("02"))
    (tmp_path / "sub-01" / "above").symlink_to(tmp_path)
    (tmp_path / "sub-01" / "self").symlink_to("self")
    (tmp_path / "sub-02" / "func").symlink_to(tmp_path / "sub-02")
    (tmp_path / "sub-03").symlink_to(tmp_path / "sub-02")  # the same folder by another name
    (tmp_path / "sub-04").symlink_to(tmp_path / "nowhere")
    assert len(collect_maps(tmp_path)) == 2


def test_a_linked_subject_is_found(tmp_path: Path) -> None:
    """Data sets under version control hold links, to files and to folders."""
    touch(tmp_path / "store", effect("01"), effect("02"))
    root = tmp_path / "fitlins"
    root.mkdir()
    (root / "sub-01").symlink_to(tmp_path / "store" / "sub-01")
    (root / "sub-02").mkdir()
    name = effect("02")
    (root / name).symlink_to(tmp_path / "store" / name)
    assert list(collect_maps(root)["subject_label"]) == ["01", "02"]


def test_other_folders_are_not_entered(tmp_path: Path) -> None:
    """Work folders and source data may be enormous."""
    touch(tmp_path, effect("01"), effect("02"))
    touch(tmp_path / "work", effect("03"))
    touch(tmp_path / ".git", effect("04"))
    deep = tmp_path.joinpath("sub-01", *["d"] * 40)
    touch(deep, Path(effect("01")).name)
    assert len(collect_maps(tmp_path)) == 2


def test_many_files_take_seconds(tmp_path: Path) -> None:
    """The time is linear in the number of files: 3,000 in well under ten seconds."""
    for i in range(300):
        folder = tmp_path / f"sub-{i:04d}"
        folder.mkdir()
        for stat in ("effect", "variance", "t", "z", "p"):
            for run in "12":
                os.close(
                    os.open(
                        folder
                        / f"sub-{i:04d}_task-x_run-{run}_contrast-a_stat-{stat}_statmap.nii.gz",
                        os.O_CREAT | os.O_WRONLY,
                    )
                )
    start = time.perf_counter()
    assert len(collect_maps(tmp_path, run=1)) == 300
    assert time.perf_counter() - start < 10


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_no_name_is_too_odd_to_be_read(name: str) -> None:
    root = Path("root")
    file = read_name(root / "sub-01" / name, root) if name not in (".", "..") else None
    if file is not None:
        assert file.entities["sub"]
        assert all(key and value for key, value in file.entities.items())


def test_what_nilearn_writes_is_collected_and_fitted(tmp_path: Path) -> None:
    """nilearn itself writes the layout: one call of save_glm_to_bids for each subject."""
    rng = np.random.default_rng(0)
    shape, n_scans = (6, 6, 6), 24
    mask = nib.Nifti1Image(np.pad(np.ones((4, 4, 4), np.uint8), 1), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"faces": np.arange(n_scans) % 4 < 2, "constant": 1.0}).astype(float)
    for subject in ("01", "02", "03"):
        data = rng.standard_normal((*shape, n_scans)) + 100 + 3 * design["faces"].to_numpy()
        bold = nib.Nifti1Image(data.astype(np.float32), np.eye(4))  # type: ignore[no-untyped-call]
        path = tmp_path / "bold" / f"sub-{subject}_task-x_space-MNI_desc-preproc_bold.nii.gz"
        path.parent.mkdir(exist_ok=True)
        nib.save(bold, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = FirstLevelModel(
                mask_img=mask, t_r=2.0, noise_model="ols", minimize_memory=False
            )
            model.fit(str(path), design_matrices=design)
            save_glm_to_bids(model, contrasts={"faces": "faces"}, out_dir=tmp_path / "out")
    maps = collect_maps(tmp_path / "out", need_variances=True)
    assert list(maps["subject_label"]) == ["01", "02", "03"]
    assert list(maps["map_name"]) == ["faces"] * 3
    fitted = SecondLevelModel(mask_img=mask).fit(
        maps,
        design_matrix=pd.DataFrame({"intercept": np.ones(3)}, index=list(maps["subject_label"])),
    )
    images: list[Any] = [nib.load(path) for path in maps["effects_map_path"]]
    mean = np.mean([np.asarray(image.dataobj) for image in images], axis=0)
    inside = np.asarray(mask.dataobj) > 0
    found = np.asarray(fitted.compute_contrast("intercept", output_type="effect_size").dataobj)
    # The mean of three values of about 3, stored as float32 (6e-8 relative).
    np.testing.assert_allclose(found[inside], mean[inside], rtol=1e-6)


def test_participants_of_the_derivative_come_first(tmp_path: Path) -> None:
    folder = tmp_path / "derivatives" / "fitlins"
    touch(tmp_path, "participants.tsv", "derivatives/fitlins/participants.tsv")
    assert find_participants(folder) == folder / "participants.tsv"
    (folder / "participants.tsv").unlink()
    assert find_participants(folder) == tmp_path / "participants.tsv"
    assert find_participants(touch(tmp_path / "elsewhere", "x").resolve()) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"DatasetLinks": {"raw": "../raw%20data"}},
        {"SourceDatasets": [{"URL": "https://example.org/raw"}, {"URL": "../raw data"}]},
        {"DatasetLinks": [1], "SourceDatasets": [None, {"URL": 3}, {"URL": "../raw data"}]},
    ],
)
def test_participants_of_a_source_that_is_named(tmp_path: Path, facts: dict[str, Any]) -> None:
    raw = touch(tmp_path / "raw data", "participants.tsv")
    write_json(tmp_path / "glm" / "dataset_description.json", facts)
    found = find_participants(tmp_path / "glm")
    assert found is not None
    assert found.resolve() == (raw / "participants.tsv").resolve()


@pytest.mark.parametrize("text", ["{", "[]", "\x00", "[" * 100_000, json.dumps("x")])
def test_a_description_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_description.json").write_text(text)
    with pytest.raises(ValueError, match="dataset_description"):
        find_participants(tmp_path)


def test_maps_without_an_entity_can_be_chosen(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        plain = effect(subject)
        touch(tmp_path, plain, plain.replace("_contrast", "_space-MNI_res-2_contrast"))
        touch(tmp_path, plain.replace("_contrast", "_space-MNI_contrast"))
    with pytest.raises(ValueError, match="of several kinds, by res") as caught:
        collect_maps(tmp_path, space="MNI")
    assert "res 2 (2 maps), none (2 maps)" in str(caught.value)
    assert str(caught.value).endswith("such as by res='2', or the maps without res by res=''")
    told = as_options(caught.value, "bids")
    assert told.endswith("such as by --filter res=2, or the maps without res by --filter res=")
    without = collect_maps(tmp_path, space="MNI", res="")
    assert ["res-" in name for name in _names(without)] == [False, False]
    assert all("space-MNI" in name for name in _names(without))
    assert all("space" not in name for name in _names(collect_maps(tmp_path, space="")))
    with pytest.raises(ValueError, match="no effect map has task absent; there is task x"):
        collect_maps(tmp_path, task="")
