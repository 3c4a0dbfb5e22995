# SPDX-License-Identifier: BSD-3-Clause
# mypy: disable-error-code="no-untyped-call"
"""Paths that lead to no file: pipes, devices, sockets, folders, pointers of git-annex and LFS."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, non_parametric_inference, threshold_stats_img
from groupglm.bids import read_stats_model
from groupglm.bids.participants import find_participants
from groupglm.inputs.matching import read_participants
from groupglm.runtime.sidecars import read_json
from groupglm.spaces.volume import open_image, open_images, save_image, save_series
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.reading.opening import header_of
from reference.shell import basic, make_study, run_fit

KEY = "MD5E-s1289--0123456789abcdef0123456789abcdef.nii.gz"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "a" + "\nsize 123456\n"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Let what waits for ever fail in words."""

    def give_up(_signal: int, _frame: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _link_of_annex(path: Path) -> None:
    path.symlink_to(f".git/annex/objects/xX/2f/{KEY}/{KEY}")


def _pointer_of_annex(path: Path) -> None:
    path.write_text(f"/annex/objects/{KEY}\n")


def _pointer_of_lfs(path: Path) -> None:
    path.write_text(LFS)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (_pipe, "is a pipe"),
    (_device, "is a device"),
    (_socket, "is a socket"),
    (Path.mkdir, "is a folder"),
    (_link_of_annex, "git annex get"),
    (_pointer_of_annex, "git annex get"),
    (_pointer_of_lfs, "git lfs pull"),
    (_dangling, "is a link to 'nowhere', which does not exist"),
]


def _image(value: float = 1.0) -> Any:
    return nib.Nifti1Image(np.full((5, 5, 5), value, "f4"), np.eye(4))


def _fit(**options: Any) -> SecondLevelModel:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(size=(5, 5, 5)), np.eye(4)) for _ in range(4)]
    return SecondLevelModel(**options).fit(
        images, design_matrix=pd.DataFrame({"intercept": np.ones(4)})
    )


def _fit_design(path: Path) -> object:
    return SecondLevelModel().fit([_image(i) for i in range(4)], design_matrix=path)


def _permute(path: Path) -> object:
    rng = np.random.default_rng(0)
    images = [nib.Nifti1Image(rng.normal(size=(5, 5, 5)), np.eye(4)) for _ in range(6)]
    design = pd.DataFrame({"intercept": np.ones(6)})
    return non_parametric_inference(images, design_matrix=design, n_perm=5, resume=path)


DOORS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "image": ("a.nii.gz", open_image),
    "images": ("a.nii", lambda path: open_images([path, path])),
    "header": ("a.nii", header_of),
    "mgh": ("a.mgz", open_image),
    "afni": ("a+orig.HEAD", open_image),
    "mask": ("mask.nii", lambda path: _fit(mask_img=path)),
    "map": ("z.nii.gz", lambda path: threshold_stats_img(path, alpha=0.01)),
    "design": ("design.tsv", _fit_design),
    "participants": ("participants.csv", read_participants),
    "stats model": ("model.json", read_stats_model),
    "model": ("m.groupglm", SecondLevelModel.load),
    "resume": ("state.npz", _permute),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("make", "message"), KINDS, ids=lambda kind: getattr(kind, "__name__", ""))
def test_every_door_names_what_is_no_file(
    make: Callable[[Path], None], message: str, door: str, tmp_path: Path
) -> None:
    name, open_it = DOORS[door]
    path = tmp_path / name
    make(path)
    with pytest.raises(ValueError, match=message) as refusal:
        open_it(path)
    assert path.name in str(refusal.value)


@pytest.mark.parametrize(("make", "message"), KINDS[:4], ids=["pipe", "device", "socket", "folder"])
@pytest.mark.parametrize(("given", "other"), [("a.hdr", "a.img"), ("a.img", "a.hdr")])
def test_the_other_file_of_a_pair(
    make: Callable[[Path], None], message: str, given: str, other: str, tmp_path: Path
) -> None:
    nib.save(nib.Nifti1Pair(np.ones((5, 5, 5), "f4"), np.eye(4)), tmp_path / "a.img")
    (tmp_path / other).unlink()
    make(tmp_path / other)
    with pytest.raises(ValueError, match=message):
        open_image(tmp_path / given)


def test_the_affine_beside_an_analyze_image(tmp_path: Path) -> None:
    nib.save(nib.Spm99AnalyzeImage(np.ones((5, 5, 5), "f4"), np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.mat").unlink()
    _pipe(tmp_path / "a.mat")
    with pytest.raises(ValueError, match=r"a\.mat: is a pipe"):
        open_image(tmp_path / "a.img")


def test_values_of_an_opened_image_that_became_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.save(_image(), path)
    image: Any = nib.load(path)
    path.unlink()
    _pipe(path)
    with pytest.raises(ValueError, match="is a pipe"):
        open_image(image)


@pytest.mark.parametrize("make", [_pipe, _device, _socket, _pointer_of_lfs])
def test_a_sidecar_that_is_no_file_is_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") is None


def test_a_name_with_a_null_character(tmp_path: Path) -> None:
    for _, open_it in DOORS.values():
        with pytest.raises(ValueError, match=r"null|no such file|TSV or CSV|\.tsv"):
            open_it(tmp_path / "a\0b")


@pytest.mark.parametrize("make", [_pipe, _device, _socket, Path.mkdir])
def test_nothing_is_written_over_what_is_no_file(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    model = _fit()
    grid = Grid((5, 5, 5), np.eye(4))
    for name, write in {
        "a.nii": lambda path: save_image(_image(), path),
        "b.nii": lambda path: save_series([np.ones((5, 5, 5), "f4")], 1, grid, path),
        "m.groupglm": model.save,
        "r.html": lambda path: model.generate_report("intercept").save_as_html(path),
    }.items():
        make(tmp_path / name)
        before = (tmp_path / name).lstat().st_ino
        with pytest.raises(ValueError, match=r"cannot take its place|is a folder"):
            write(tmp_path / name)
        assert (tmp_path / name).lstat().st_ino == before
        assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_study`."""
    return make_study(tmp_path_factory.mktemp("study"))


def test_a_map_that_was_not_fetched_is_not_left_out(study: Path, tmp_path: Path) -> None:
    """A glob finds the links of all subjects; one whose content is elsewhere is not dropped."""
    missing = study / "maps" / "sub-99_effect.nii.gz"
    _link_of_annex(missing)
    try:
        refused = run_fit(*basic(study, tmp_path / "out"))
    finally:
        missing.unlink()
    assert refused.exit_code == 1
    assert "sub-99_effect.nii.gz' is a pointer of git-annex" in refused.output
    assert "git annex get sub-99_effect.nii.gz" in refused.output


@pytest.mark.parametrize(
    ("make", "message"), KINDS[:7], ids=lambda kind: getattr(kind, "__name__", "")
)
def test_options_of_commands(
    make: Callable[[Path], None], message: str, study: Path, tmp_path: Path
) -> None:
    path = tmp_path / "given.nii.gz"
    make(path)
    arguments = basic(study, tmp_path / "out")
    arguments[arguments.index("--mask") + 1] = path
    refused = run_fit(*arguments)
    assert refused.exit_code != 0
    assert message in " ".join(refused.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").glob("*.nii.gz"))


def test_a_description_that_names_a_place_that_cannot_be(tmp_path: Path) -> None:
    """Text of a dataset's description is data: no address in it stops the search."""
    links = {"a": "http://[::1", "b": "x" * 5000, "c": "%00", "d": "../raw"}
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "participants.tsv").touch()
    derivative = tmp_path / "out"
    derivative.mkdir()
    text = json.dumps({"DatasetLinks": links, "SourceDatasets": [{"URL": 3}, 4]})
    (derivative / "dataset_description.json").write_text(text)
    assert find_participants(derivative) == derivative / "../raw/participants.tsv"
