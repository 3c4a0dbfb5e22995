# SPDX-License-Identifier: BSD-3-Clause
"""Messages of the commands name options, not arguments of Python."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import messages
from groupglm.cli.wording import as_options
from groupglm.errors import ArgumentError
from groupglm.messages import argument, either
from groupglm.runtime.arguments import check_truth
from reference.shell import basic, run, run_fit, values_of


def _image(path: Path, values: Any, affine: Any = None) -> Path:
    affine = np.eye(4) if affine is None else affine
    nib.save(nib.Nifti1Image(np.asarray(values, np.float32), affine), path)  # type: ignore[no-untyped-call]
    return path


@pytest.mark.parametrize(
    ("message", "command", "wanted"),
    [
        (
            argument("missing", "raise") + ", and 5 of 9; give " + argument("missing", "omit"),
            "fit",
            "--missing raise, and 5 of 9; give --missing omit",
        ),
        (
            argument("threshold", 0.05)
            + " is small: give "
            + messages.arguments(alpha="0.05", height_control="'fpr'"),
            "threshold",
            "--at 0.05 is small: give --correct fpr:0.05",
        ),
        (
            argument("stat_threshold", -3) + ": " + argument("two_sided", False),
            "clusters",
            "--threshold -3: --one-sided",
        ),
        (argument("n_perm", 9) + " gives", "permute", "--n-perm 9 gives"),
        (argument("n_perm", 9) + " gives", "fit", "--permute 9 gives"),
        (argument("tail", None) + " is", "permute", "tail=None is"),  # no option of its own
        (
            "a mask that all images cover"
            + either("; n_zeros_ is the map of how many images are zero", "")
            + ". Give "
            + argument("missing", "zero")
            + either(", or ignore groupglm.errors.ZeroValuesWarning", ""),
            "fit",
            "a mask that all images cover. Give --missing zero",
        ),
        # Words that the user has chosen stay.
        *(
            (text, "fit", text)
            for text in (
                "out/design_matrix.tsv is",
                "mask_img: n_perm=9",
                "/a/n_perm/b",
                "threshold it",
            )
        ),
    ],
)
def test_arguments_become_options(message: str, command: str, wanted: str) -> None:
    assert as_options(message, command) == wanted
    assert as_options(ValueError(message), command) == wanted


@pytest.mark.parametrize("value", ["yes", 3, None])
def test_the_gate_of_arguments_keeps_its_parts(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        check_truth("zero_is_missing", value)
    error = caught.value
    assert isinstance(error, ArgumentError)
    assert (error.argument, error.found) == ("zero_is_missing", repr(value))
    assert error.wanted == "of type bool, True or False"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own; as from a worker
    assert type(again) is type(error)
    in_shell = str(error).replace("; 'zero_is_missing' must be", "; it must be")
    assert as_options(again, "fit") == as_options(error, "fit") == in_shell


def test_threshold_and_clusters(tmp_path: Path) -> None:
    z = _image(tmp_path / "z.nii.gz", np.random.default_rng(0).normal(size=(5, 5, 5)) * 3)
    for arguments, told in (
        (
            ["threshold", z, "--at", "-3", "--output", tmp_path / "o.nii"],
            "--at -3 is negative, but both tails are looked at: give --at 3, or --one-sided for",
        ),
        (
            ["clusters", z, "--threshold", "-3", "--two-sided"],
            "--threshold -3 is negative, but both tails are looked at: give --threshold 3, or --",
        ),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert told in result.stderr
    arguments = ["threshold", z, "--at", "0.05", "--output", tmp_path / "o.nii"]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Warning: --at 0.05 is compared with the map's own values" in result.stderr
    assert "give --correct fpr:0.05" in result.stderr
    arguments = ["threshold", z, "--at", "-3", "--one-sided", "--output", tmp_path / "n.nii"]
    result = run(*arguments)
    assert result.stdout.startswith("z <= -3.000: ")


def test_one_voxel(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (5, 5, 5))
    values[2, 2, 2] = 9
    z = _image(tmp_path / "z.nii.gz", values)
    arguments = ["threshold", z, "--at", "3", "--output", tmp_path / "o.nii"]
    result = run(*arguments)
    assert result.stdout.startswith("|z| >= 3.000: 1 voxel, written to")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--contrast", "nonsense"], "--contrast 'nonsense': The expression (nonsense) is not"),
        (["--target-affine", "0.01"], "check the voxel sizes of --target-affine, in mm"),
        (["--missing", "raise"], "--missing raise, and 1 of"),
    ],
)
def test_fit(study: Path, tmp_path: Path, more: list[str], told: str) -> None:
    maps = sorted((study / "maps").glob("*.nii.gz"))
    values = values_of(maps[0])
    values[tuple(np.argwhere(values_of(study / "mask.nii.gz"))[0])] = np.nan
    folder = tmp_path / "maps"
    folder.mkdir()
    _image(folder / maps[0].name, values, nib.load(maps[0]).affine)  # type: ignore[attr-defined]
    for path in maps[1:]:
        (folder / path.name).symlink_to(path)
    result = run_fit(folder / "*.nii.gz", *basic(study, tmp_path / "out")[1:], *more)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not [name for name in ("target_", "missing=") if name in result.stderr]
    if (tmp_path / "out" / "log.txt").is_file():
        assert told in (tmp_path / "out" / "log.txt").read_text()


def test_constant_maps(study: Path, tmp_path: Path) -> None:
    for number in range(1, 13):
        _image(tmp_path / f"sub-{number:02d}.nii.gz", np.ones((7, 7, 7)))
    arguments = [tmp_path / "*.nii.gz", *basic(study, tmp_path / "out")[1:]]
    del arguments[9:11]  # --mask
    result = run_fit(*arguments)
    assert result.exit_code == 1
    assert "cannot be told apart; give --mask" in result.stderr


def test_a_table_of_maps_without_its_columns(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "maps3.tsv"
    pd.DataFrame({"subject_label": ["01"]}).to_csv(table, sep="\t", index=False)
    result = run_fit(table, *basic(study, tmp_path / "out")[1:])
    assert result.exit_code == 1
    assert "maps3.tsv': it must have columns 'subject_label', 'map_name' and" in result.stderr
