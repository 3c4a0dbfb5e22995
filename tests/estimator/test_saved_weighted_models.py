# SPDX-License-Identifier: BSD-3-Clause
"""Saved models of every kind: their settings come back, and no file of them does harm."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel
from groupglm.models.kinds import model_of_kind
from reference.damaging import damaged_copies, npy, rewrite_model

SHAPE, N = (5, 4, 3), 12
GROUPS = ["a", "b"] * (N // 2)
MASK = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed": ("fixed effects", {}),
    "weights": ("ols", {}),
    "covariate": ("ols", {}),
    "unequal": ("unequal variances", {"groups": GROUPS}),
    "mixed": ("mixed effects", {"tau2": "paule-mandel", "test": "t"}),
    "given tau2": ("mixed effects", {"tau2": 0.5}),
    "mixed groups": ("mixed effects", {"variance_groups": GROUPS}),
}
KEPT = ("tau2", "i_squared", "h_squared", "q", "q_p_value", "r_square")


def images(low: float, high: float, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    values = rng.uniform(low, high, (N, *SHAPE))
    values[3, 2, 2, 1] = np.nan
    return [nib.Nifti1Image(own, np.eye(4)) for own in values]  # type: ignore[no-untyped-call]


def design() -> pd.DataFrame:
    b = np.array([0.0, 1.0] * (N // 2))
    return pd.DataFrame({"a": 1 - b, "b": b})


def fitted(kind: str) -> SecondLevelModel:
    name, settings = SETTINGS[kind]
    beside: dict[str, Any] = {}
    if name in ("fixed effects", "mixed effects"):
        beside["variances"] = images(0.5, 2.0, 1)
    if kind == "weights":
        beside["weights"] = images(0.5, 2.0, 2)
    if kind == "covariate":
        beside["covariates"] = {"grey": images(0.0, 1.0, 3)}
    model: Any = model_of_kind(name, settings) if settings else name
    effects = images(-1.0, 3.0, 0)
    return SecondLevelModel(MASK, model=model).fit(effects, design_matrix=design(), **beside)


def values(image: Any) -> Any:
    return np.asanyarray(image.dataobj)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_loaded_model_is_the_model(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    again = SecondLevelModel.load(model.save(tmp_path / "m.groupglm"))
    for contrast in ("b - a", ["a", "b"], *(["grey"] if kind == "covariate" else [])):
        for name, image in model.compute_contrast(contrast, output_type="all").items():
            found = again.compute_contrast(contrast, output_type="all")[name]
            np.testing.assert_array_equal(values(found), values(image), err_msg=name)
    fit, loaded = model.results_, again.results_
    assert loaded.model == fit.model
    assert loaded.model.settings() == fit.model.settings()
    maps = fit.maps()
    assert list(loaded.maps()) == list(maps)
    for name, compute in maps.items():
        np.testing.assert_array_equal(loaded.maps()[name](), compute(), err_msg=name)
    assert list(again.design_matrix_) == list(model.design_matrix_)
    given = SETTINGS[kind][1]
    assert again.model == (fit.model if given else SETTINGS[kind][0])
    assert again.save(tmp_path / "again").read_bytes() == (tmp_path / "m.groupglm").read_bytes()


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_damage_crashes(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    good = model.save(tmp_path / "m.groupglm").read_bytes()
    expected = values(model.compute_contrast("b"))
    bad = tmp_path / "bad.groupglm"
    refused = 0
    for data in damaged_copies(good, 60):
        bad.write_bytes(data)
        try:
            loaded = SecondLevelModel.load(bad)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(values(loaded.compute_contrast("b")), expected)
    assert refused > 40


Change = Callable[[Any], Any]
DAMAGE: dict[str, Change] = {
    "another type": lambda a: a.astype("complex128"),
    "fewer": lambda a: a[..., :-1],
    "an axis more": lambda a: a[..., None],
    "none": lambda a: a[..., :0],
}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("how", DAMAGE)
def test_arrays_that_do_not_fit_are_refused(kind: str, how: str, tmp_path: Path) -> None:
    good = fitted(kind).save(tmp_path / "m.groupglm").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.groupglm") as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    for name in names:
        file = tmp_path / "m.groupglm"
        file.write_bytes(good)
        with zipfile.ZipFile(file) as archive, archive.open(name) as member:
            array = np.load(member)
        changed = DAMAGE[how](array)
        if changed.shape == array.shape and changed.dtype == array.dtype:
            continue  # what holds nothing cannot hold less
        rewrite_model(file, lambda f, m, n=name, c=changed: m.update({n: npy(c)}))  # type: ignore[misc]
        with pytest.raises(ValueError, match=r"m\.groupglm"):
            SecondLevelModel.load(file)


IMPOSSIBLE: dict[str, Change] = {
    "tau2": lambda a: np.where(np.arange(a.shape[1]) == 3, -0.5, a),
    "typical_variance": lambda a: -a,
    "q": lambda a: a - 1e6,
    "variance_ratio": lambda a: -a,
    "n_present": lambda a: a + np.int32(1),
}


@pytest.mark.parametrize("kind", ["mixed", "given tau2", "mixed groups"])
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_no_fit_can_find_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    file = fitted(kind).save(tmp_path / "m.groupglm")
    member = f"0/{name}.npy"
    with zipfile.ZipFile(file) as archive, archive.open(member) as opened:
        changed = IMPOSSIBLE[name](np.load(opened))
    rewrite_model(file, lambda f, m: m.update({member: npy(changed)}))
    with pytest.raises(ValueError, match=rf"m\.groupglm.* {name} is "):
        SecondLevelModel.load(file)


def test_a_tau2_that_the_settings_do_not_give_is_refused(tmp_path: Path) -> None:
    file = fitted("given tau2").save(tmp_path / "m.groupglm")
    rewrite_model(file, lambda f, m: f["fits"][0]["model"]["settings"].update(tau2=0.75))
    with pytest.raises(ValueError, match=r"m\.groupglm.* tau2 is not 0\.75 everywhere"):
        SecondLevelModel.load(file)


NO_TAU2: list[Any] = [
    -1, "x", [], {}, True, None, float("nan"), float("inf"), 10**400, [1] * N,
]  # fmt: skip
NO_TEST: list[Any] = ["x", 3, None, []]
NO_GROUPS: list[Any] = [3, "ab", ["a"], {}, [[1]] * N]
HOSTILE: dict[str, list[tuple[str, Any]]] = {
    "fixed": [("tau2", "reml"), ("__class__", "x"), ("self", 1)],
    "weights": [("covariates", "ab"), ("covariates", 3), ("weights", "yes"), ("covariates", [3])],
    "covariate": [
        ("covariates", ["nope"]),
        ("covariates", []),
        ("covariates", ["grey", "grey"]),
        ("weights", True),
    ],
    "unequal": [("groups", ["a"] * 3), ("groups", 3), ("groups", {}), ("groups", [[1]] * N)],
    "mixed": [
        *(("tau2", value) for value in NO_TAU2),
        *(("test", value) for value in NO_TEST),
        *(("variance_groups", value) for value in NO_GROUPS),
    ],
}


@pytest.mark.parametrize(
    ("kind", "setting", "value"),
    [(kind, *own) for kind, given in HOSTILE.items() for own in given],
)
def test_settings_that_no_model_has_are_refused(
    kind: str, setting: str, value: Any, tmp_path: Path
) -> None:
    file = fitted(kind).save(tmp_path / "m.groupglm")
    rewrite_model(file, lambda f, m: f["fits"][0]["model"].setdefault("settings", {}).update(
        {setting: value}))  # fmt: skip
    with pytest.raises(ValueError, match=r"m\.groupglm"):
        SecondLevelModel.load(file)


def test_what_a_file_says_of_a_model(tmp_path: Path) -> None:
    for kind, wanted in (("fixed", {"kind": "fixed effects"}), ("unequal", {"groups": GROUPS})):
        file = fitted(kind).save(tmp_path / "m.groupglm")
        with zipfile.ZipFile(file) as archive:
            own = json.loads(archive.read("model.json"))["fits"][0]["model"]
        assert wanted == (own if kind == "fixed" else own["settings"])
