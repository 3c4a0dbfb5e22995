# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm permute`` and ``groupglm fit --permute`` by other models than least squares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from groupglm import FixedEffects, MixedEffects, UnequalVariances, non_parametric_inference
from reference.shell import basic, design_of, run, run_well, values_of
from reference.variance_study import SUBJECTS, make_variance_study, rows_of

N_PERM = 20
GROUPS = ["control", "patient"] * 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, with a mask of every 40th place."""
    folder = make_variance_study(tmp_path_factory.mktemp("study"))
    image: Any = nib.load(folder / "mask.nii.gz")
    inside = np.asarray(image.dataobj) > 0
    chosen = np.zeros(int(inside.sum()), dtype=bool)
    chosen[::40] = True
    values = np.zeros(inside.shape, np.uint8)
    values[inside] = chosen
    nib.save(
        nib.Nifti1Image(values, image.affine),  # type: ignore[no-untyped-call]
        folder / "mask.nii.gz",
    )
    return folder


def files(study: Path, kind: str) -> list[str]:
    return [str(study / "maps" / f"sub-{subject}_{kind}.nii.gz") for subject in SUBJECTS]


def glob_of(study: Path, kind: str) -> str:
    return str(study / "maps" / f"*_{kind}.nii.gz")


CASES: dict[str, tuple[tuple[str, ...], Any, tuple[str, ...]]] = {
    "fixed": (("--model", "fixed"), FixedEffects(), ("variance",)),
    "mixed": (("--model", "mixed"), MixedEffects(), ("variance",)),
    "mixed with options": (
        ("--model", "mixed", "--tau2", "dersimonian-laird", "--test", "t"),
        MixedEffects(tau2="dersimonian-laird", test="t"),
        ("variance",),
    ),
    "unequal": (
        ("--model", "unequal", "--variance-groups", "group"),
        UnequalVariances(groups=GROUPS),
        (),
    ),
    "weights": ((), "ols", ("weight",)),
    "covariate": ((), "ols", ("grey",)),
}


def options_of(study: Path, case: str) -> list[str]:
    given, _, kinds = CASES[case]
    own = {
        "variance": ("--variances", glob_of(study, "variance")),
        "weight": ("--weights", glob_of(study, "weight")),
        "grey": ("--covariate", f"grey={glob_of(study, 'grey')}"),
    }
    return [*given, *(word for kind in kinds for word in own[kind])]


def expected(study: Path, case: str, **options: Any) -> Any:
    """What the function in Python gives to lists of files in another order of columns."""
    _, model, kinds = CASES[case]
    paths, design = design_of(study)
    name = "age"
    if case == "unequal":
        design, name = design.drop(columns="age"), "patient"
    beside: dict[str, Any] = {}
    if "variance" in kinds:
        beside["variances"] = files(study, "variance")
    if "weight" in kinds:
        beside["weights"] = files(study, "weight")
    if "grey" in kinds:
        beside["covariates"] = {"grey": files(study, "grey")}
    return non_parametric_inference(
        paths,
        design_matrix=design,
        second_level_contrast=name,
        mask=study / "mask.nii.gz",
        model=model,
        n_perm=N_PERM,
        random_state=3,
        two_sided_test=True,
        **beside,
        **options,
    )


@pytest.mark.filterwarnings("ignore:.*signs of residuals are flipped")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["permute", "fit"])
def test_the_maps_are_those_of_python(study: Path, tmp_path: Path, command: str, case: str) -> None:
    arguments = basic(study, tmp_path / "out", *options_of(study, case), "--seed", "3")
    name = "age"
    if case == "unequal":  # age would be a column of both groups
        arguments[4], name = "~ C(group)", "patients>controls"
        del arguments[arguments.index("age") - 1 : arguments.index("age") + 1]
    number = ("--n-perm", str(N_PERM)) if command == "permute" else ("--permute", str(N_PERM))
    result = run_well(command, *arguments, *number, "--tfce", "--json")
    wanted = expected(study, case, tfce=True)
    facts = next(one for one in json.loads(result.stdout)["contrasts"] if one["name"] == name)
    facts = facts if command == "permute" else facts["permuted"]
    assert {"t", "tfce", "logp_max_t", "logp_max_tfce"} == set(facts["files"]) == set(wanted)
    for name, image in wanted.items():
        np.testing.assert_array_equal(
            values_of(Path(facts["files"][name])), np.asarray(image.dataobj), err_msg=name
        )
    assert (values_of(Path(facts["files"]["t"])) != 0).sum() > 20
    sidecar = json.loads(
        Path(facts["files"]["logp_max_t"].removesuffix(".nii.gz") + ".json").read_text()
    )
    assert sidecar["Assumption"] == facts["assumption"] != ""


def test_sign_flips_of_fixed_effects_are_those_by_hand(study: Path, tmp_path: Path) -> None:
    """All 2**12 are too many; with all signs of 8 subjects, p is a count of means over errors."""
    some = SUBJECTS[:8]
    result = run(
        "permute",
        *(study / "maps" / f"sub-{subject}_effect.nii.gz" for subject in some),
        "--variances", glob_of(study, "variance"), "--allow-partial", "--model", "fixed",
        "--formula", "~ 1", "--contrast", "Intercept", "--mask", study / "mask.nii.gz",
        "--output", tmp_path / "out", "--n-perm", "100000", "--two-sided",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    y, v = rows_of(study, "effect", some), rows_of(study, "variance", some)
    signs = 1 - 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
    w = 1 / v
    z = np.abs(signs @ (w * y)) / np.sqrt(w.sum(axis=0))
    largest = z.max(axis=1)
    p = (largest[:, None] >= z[0] * (1 - 1e-9)).mean(axis=0)
    inside = values_of(study / "mask.nii.gz") > 0
    (file,) = (tmp_path / "out").glob("*_stat-logp_desc-maxT_statmap.nii.gz")
    logp = values_of(file)
    np.testing.assert_allclose(10.0 ** -logp[inside], p, rtol=1e-6)  # float32
