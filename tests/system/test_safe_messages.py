# SPDX-License-Identifier: BSD-3-Clause
"""Names in files and tables drive no terminal by the errors and warnings of Python's doors."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import (
    SecondLevelModel,
    bids,
    design_from_formula,
    fit_ols,
    make_second_level_design_matrix,
    non_parametric_inference,
    permuted_ols,
    plotting,
    threshold_stats_img,
)
from groupglm.errors import (
    DimensionError,
    GridMismatchError,
    ImageError,
    NotEstimableError,
    printable,
)

ESC = "\x1b[2J"
EVIL = f"age{ESC}"
N = 8
IMAGES = [f"map{place}.nii" for place in range(N)]
AGES = np.arange(float(N))
VALUES = np.pad(np.random.default_rng(0).normal(1, 1, size=(N, 4, 4, 4)), ((0, 0), *[(3, 3)] * 3))


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Maps in the working directory, and files of strange names."""
    monkeypatch.chdir(tmp_path)
    for name, values in zip(IMAGES, VALUES, strict=True):
        _save(values, name)
    Path(f"{EVIL}.nii").write_bytes(b"no image")
    _save(VALUES[0][:9], f"grid{ESC}.nii")
    Path(f"{EVIL}.csv").write_text("a,b\n1\n")
    Path(f"twice{ESC}.tsv").write_text(f"participant_id\t{EVIL}\t{EVIL}\nsub-1\t1\t2\n")
    Path(f"row{ESC}.tsv").write_text(f"participant_id\nsub-1{ESC}\nsub-1{ESC}\n")
    Path(f"{EVIL}.json").write_text("{")
    Path(f"{EVIL}.groupglm").write_bytes(b"PK\x03\x04")
    return tmp_path


def _save(values: Any, name: str) -> None:
    nib.save(nib.Nifti1Image(values, np.eye(4)), name)  # type: ignore[no-untyped-call]


def _design(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"intercept": np.ones(N), **columns})


def _fit(images: Any = None, *, design: Any = None, **options: Any) -> SecondLevelModel:
    design = _design(age=AGES) if design is None else design
    model = SecondLevelModel(**options)
    return model.fit(IMAGES if images is None else images, design_matrix=design)


def _table(**changed: Any) -> pd.DataFrame:
    labels = [f"s{place}{ESC}" for place in range(N)]
    table = {"subject_label": labels, "map_name": f"m{ESC}", "effects_map_path": IMAGES}
    return pd.DataFrame({**table, **changed})


EVIL_FIT: Callable[[], SecondLevelModel] = lambda: _fit(design=_design(**{EVIL: AGES}))  # noqa: E731
ATTACKS: dict[str, Callable[[], Any]] = {
    "absent image": lambda: _fit([f"no{ESC}.nii", *IMAGES[1:]]),
    "no image": lambda: _fit([f"{EVIL}.nii", *IMAGES[1:]]),
    "other grid": lambda: _fit([*IMAGES[1:], f"grid{ESC}.nii"]),
    "mask": lambda: _fit(mask_img=f"grid{ESC}.nii"),
    "cache": lambda: _fit(memory=f"no{ESC}/cache"),
    "long name": lambda: SecondLevelModel.load(ESC * 300),
    "null": lambda: SecondLevelModel.load(f"{ESC}\0"),
    "absent model": lambda: SecondLevelModel.load(f"no{ESC}.groupglm"),
    "damaged model": lambda: SecondLevelModel.load(f"{EVIL}.groupglm"),
    "folder for a model": lambda: _fit().save(_made(f"folder{ESC}")),
    "map of no image": lambda: threshold_stats_img(f"{EVIL}.nii"),
    "drawn": lambda: plotting.plot_stat_map(f"no{ESC}.nii"),
    "absent design": lambda: _fit(design=f"no{ESC}.csv"),
    "no design": lambda: _fit(design=f"{EVIL}.csv"),
    "design of no kind": lambda: _fit(design=f"design{ESC}"),
    "repeated column of a table": lambda: bids.read_participants(f"twice{ESC}.tsv"),
    "repeated row of a table": lambda: bids.read_participants(f"row{ESC}.tsv"),
    "absent table": lambda: bids.read_participants(f"no{ESC}.tsv"),
    "no Stats Model": lambda: bids.read_stats_model(f"{EVIL}.json"),
    "key of a Stats Model": lambda: bids.read_stats_model({ESC: 1, "Nodes": [{"Level": ESC}]}),
    "absent derivative": lambda: bids.collect_maps(f"no{ESC}"),
    "empty derivative": lambda: bids.collect_maps(_made(f"empty{ESC}")),
    "column of text": lambda: _fit(design=_design(**{EVIL: ["a"] * N})),
    "column with NaN": lambda: _fit(design=_design(**{EVIL: [np.nan, *AGES[1:]]})),
    "columns of one name": lambda: _fit(
        design=pd.DataFrame(np.ones((N, 2)), columns=[EVIL, EVIL])
    ).compute_contrast(EVIL),
    "columns that depend": lambda: _fit(
        design=_design(**{EVIL: AGES, f"b{ESC}": 2 * AGES})
    ).compute_contrast(EVIL),
    "columns that nearly depend": lambda: _fit(
        design=_design(**{EVIL: AGES, f"b{ESC}": AGES + 1e-5 * np.sin(AGES)})
    ),
    "label": lambda: _fit(design=_design(age=AGES).set_axis([f"s{ESC}"] * N), images=_table()),
    "unmatched labels": lambda: _fit(
        design=_design(age=AGES).set_axis([f"t{place}{ESC}" for place in range(N)]),
        images=_table(),
    ),
    "map name": lambda: _fit(_table()).compute_contrast("age", first_level_contrast=f"no{ESC}"),
    "shared file": lambda: _fit(_table(effects_map_path=[IMAGES[0]] * N)),
    "unknown column": lambda: EVIL_FIT().compute_contrast(f"other{ESC}"),
    "broken contrast": lambda: EVIL_FIT().compute_contrast(f"{EVIL} +"),
    "contrast of a report": lambda: EVIL_FIT().generate_report({f"c{ESC}": f"no{ESC}"}),
    "not estimable": lambda: fit_ols(
        pd.DataFrame({EVIL: AGES, f"b{ESC}": 2 * AGES}), VALUES[:, 4, 4]
    ).contrast([1, 0]),
    "formula": lambda: design_from_formula(f"~ age{ESC}", pd.DataFrame({EVIL: AGES})),
    "column of a formula": lambda: design_from_formula("~ other", pd.DataFrame({EVIL: AGES})),
    "level of a formula": lambda: design_from_formula(
        f"~ `{EVIL}`", pd.DataFrame({EVIL: [f"a{ESC}"] * N})
    ),
    "confound": lambda: make_second_level_design_matrix(
        [f"s{place}" for place in range(N)],
        pd.DataFrame({"subject_label": [f"s{place}" for place in range(N)], EVIL: [f"x{ESC}"] * N}),
    ),
    "subject of a confound": lambda: make_second_level_design_matrix(
        [f"s{ESC}"], pd.DataFrame({"subject_label": [f"t{ESC}"], EVIL: [1.0]})
    ),
    "resumed": lambda: permuted_ols(AGES, VALUES[:, 4, 4], n_perm=5, resume=f"no{ESC}/null.npz"),
    "permuted": lambda: non_parametric_inference(
        IMAGES, design_matrix=_design(**{EVIL: AGES}), second_level_contrast=f"no{ESC}", n_perm=5
    ),
}


def _made(folder: str) -> str:
    Path(folder).mkdir()
    return folder


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_message_drives_a_terminal(attack: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            ATTACKS[attack]()
        except Exception as error:  # of any kind: what is said is looked at
            said = [f"{type(error).__name__}: {error}"]
        else:
            said = []
    said += [str(warning.message) for warning in heard]
    assert said
    assert any("\\x1b" in text or "\\\\x1b" in text or "[2J" in text for text in said), said
    for text in said:
        assert printable(text) == text


@pytest.mark.parametrize("kind", [ImageError, DimensionError, GridMismatchError, NotEstimableError])
def test_our_own_errors_are_safe_and_travel(kind: type[ValueError]) -> None:
    error = pickle.loads(pickle.dumps(kind(f"{EVIL}: no\nimage")))  # noqa: S301 - ours
    assert str(error) == "age\\x1b[2J: no\nimage"


def test_names_are_quoted_by_one_function() -> None:
    """What stands between quotes in a message is made safe by `in_quotes`, or by `repr`."""
    package = Path(groupglm.__file__).parent
    unsafe = re.compile(r"'\{[A-Za-z_.()\[\]:]+\}(\.\.\.)?'")
    found = [
        f"{path.relative_to(package)}:{number}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        if "cli" not in path.relative_to(package).parts  # whose lines are made safe as they leave
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if unsafe.search(line) and "'{printable(" not in line and "LABEL" not in line
    ]
    assert not found, "\n".join(found)
