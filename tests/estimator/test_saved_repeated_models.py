# SPDX-License-Identifier: BSD-3-Clause
"""Saved models of several images a subject: the same numbers, and no file of them does harm."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import RepeatedMeasures, SecondLevelModel
from reference.damaging import damaged_copies, npy, rewrite_model

SHAPE = (5, 4, 3)
SIZES = [3, 2, 3, 1, 2, 3, 2, 3, 3, 2, 1, 3]
WHO = [who for visit in range(3) for who, n in enumerate(SIZES) if visit < n]  # visit by visit
N = len(WHO)
SUBJECTS = [f"s{number}" for number in WHO]
VISITS = [str(SUBJECTS[:place].count(own)) for place, own in enumerate(SUBJECTS)]
FAMILIES = [f"f{number // 3}" for number in WHO]
GROUPS = ["ab"[number % 2] for number in WHO]
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
MODELS: dict[str, tuple[RepeatedMeasures, dict[str, Any]]] = {
    "kenward-roger": (RepeatedMeasures(), {}),
    "satterthwaite": (RepeatedMeasures(df="satterthwaite"), {"visits": VISITS}),
    "nested": (RepeatedMeasures("nested"), {"families": FAMILIES}),
    "sandwich": (RepeatedMeasures("sandwich", adjustment=2), {}),
    "sandwich by group": (RepeatedMeasures("sandwich", groups=GROUPS), {"visits": VISITS}),
}
DESIGN = pd.DataFrame(
    {
        "one": 1.0,
        "time": np.array(VISITS, dtype=float),
        "b": np.array([float(group == "b") for group in GROUPS]),
    }
)


def fitted(kind: str) -> SecondLevelModel:
    rng = np.random.default_rng(7)
    level = rng.normal(0, 1, (len(SIZES), *SHAPE))
    values = 5 + level[WHO] + rng.normal(0, 1, (N, *SHAPE))
    values[3, 2, 2, 1] = np.nan
    images = [nib.Nifti1Image(own, np.eye(4)) for own in values]  # type: ignore[no-untyped-call]
    model, labels = MODELS[kind]
    return SecondLevelModel(MASK, model=model).fit(
        images, design_matrix=DESIGN, subjects=SUBJECTS, **labels
    )


def values(image: Any) -> Any:
    return np.asanyarray(image.dataobj)


@pytest.mark.parametrize("kind", MODELS)
def test_a_loaded_model_is_the_model(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    again = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    for contrast in ("time", "b", ["time", "b"]):
        for name, image in model.compute_contrast(contrast, output_type="all").items():
            found = again.compute_contrast(contrast, output_type="all")[name]
            np.testing.assert_array_equal(values(found), values(image), err_msg=name)
    fit, loaded = model.results_, again.results_
    assert loaded.model == fit.model
    assert loaded.model.settings() == fit.model.settings()
    assert loaded.model.settings()["subjects"] == SUBJECTS
    assert list(loaded.maps()) == list(fit.maps())
    for name, compute in fit.maps().items():
        np.testing.assert_array_equal(loaded.maps()[name](), compute(), err_msg=name)
    np.testing.assert_array_equal(again.design_matrix_.to_numpy(), DESIGN.to_numpy())
    assert again.save(tmp_path / "again").read_bytes() == (tmp_path / "m.groupglm").read_bytes()


@pytest.mark.parametrize("kind", MODELS)
def test_no_damage_crashes(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    good = model.save(tmp_path / "m.groupglm").read_bytes()
    expected = values(model.compute_contrast("b"))
    bad = tmp_path / "bad.groupglm"
    refused = 0
    for data in damaged_copies(good, 40):
        bad.write_bytes(data)
        try:
            loaded = SecondLevelModel.load(bad)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(values(loaded.compute_contrast("b")), expected)
    assert refused > 25


DAMAGE: dict[str, Callable[[Any], Any]] = {
    "another type": lambda a: a.astype("complex128"),
    "fewer": lambda a: a[..., :-1],
    "an axis more": lambda a: a[..., None],
    "none": lambda a: a[..., :0],
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("how", DAMAGE)
def test_arrays_that_do_not_fit_are_refused(kind: str, how: str, tmp_path: Path) -> None:
    file = tmp_path / "m.groupglm"
    good = fitted(kind).save(file).read_bytes()
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    for name in names:
        file.write_bytes(good)
        with zipfile.ZipFile(file) as archive, archive.open(name) as member:
            array = np.load(member)
        changed = DAMAGE[how](array)
        if changed.shape == array.shape and changed.dtype == array.dtype:
            continue  # what holds nothing cannot hold less
        rewrite_model(file, lambda f, m, n=name, c=changed: m.update({n: npy(c)}))  # type: ignore[misc]
        with pytest.raises(ValueError, match=r"m\.groupglm"):
            SecondLevelModel.load(file)


NO_LABELS: list[Any] = [
    3, "ab", {}, [], ["s1"], [None] * N, [[1]] * N, [[]] * N, ["s1"] * (N - 1), {"a": ["s1"] * N},
]  # fmt: skip
NO_COVARIANCES: list[Any] = ["x", 3, None, [], {}]
NO_DF: list[Any] = ["x", 3, [], {}, "naive"]
NO_ADJUSTMENTS: list[Any] = ["x", 4, [], {}, True, -1, float("nan")]
HOSTILE: list[tuple[str, str, Any]] = [
    *(("kenward-roger", "subjects", value) for value in [None, *NO_LABELS]),
    ("kenward-roger", "subjects", [f"s{number}" for number in range(N)]),
    ("kenward-roger", "families", FAMILIES),
    ("kenward-roger", "groups", GROUPS),
    ("kenward-roger", "covariance", "sandwich"),
    *(("kenward-roger", "covariance", value) for value in NO_COVARIANCES),
    *(("kenward-roger", "df", value) for value in NO_DF),
    ("kenward-roger", "adjustment", 2),
    ("kenward-roger", "__class__", "x"),
    *(("nested", "families", value) for value in [None, *NO_LABELS]),
    ("nested", "families", [f"f{number}" for number in range(N)]),
    *(("sandwich", "adjustment", value) for value in NO_ADJUSTMENTS),
    *(("sandwich by group", "groups", value) for value in NO_LABELS),
    ("sandwich by group", "visits", None),
    ("sandwich by group", "visits", ["0"] * N),
]


@pytest.mark.parametrize(("kind", "setting", "value"), HOSTILE)
def test_settings_that_no_model_has_are_refused(
    kind: str, setting: str, value: Any, tmp_path: Path
) -> None:
    file = fitted(kind).save(tmp_path / "m.groupglm")
    rewrite_model(file, lambda f, m: f["fits"][0]["model"]["settings"].update({setting: value}))
    with pytest.raises(ValueError, match=r"m\.groupglm"):
        SecondLevelModel.load(file)
