# SPDX-License-Identifier: BSD-3-Clause
"""`non_parametric_inference` of several images of a subject: it tests the model's contrast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import RepeatedMeasures, fit_repeated
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.missing_values import find_presence_of_all
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.planning import choose_exchange
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.repeated_kernel import make_repeated_kernel
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.array_rows import ArrayRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Their types depend on options, and maps are optional to a type checker.
non_parametric_inference: Any = groupglm.non_parametric_inference
SecondLevelModel: Any = groupglm.SecondLevelModel

SHAPE = (5, 4, 3)
SUBJECTS = np.array([f"s{i:02d}" for i in np.repeat(np.arange(12), [3, 2] * 6)])
NUMBER = np.repeat(np.arange(12), [3, 2] * 6)
VISIT = np.tile([-1.0, 0, 1, -0.5, 0.5], 6)
GROUP = (np.arange(12) // 2 % 2).astype(float)[NUMBER]
DESIGN = pd.DataFrame({"visit": VISIT, "group": GROUP, "intercept": 1.0})
MASK: Any = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]


def data_of(n_values: int) -> Floats:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, n_values)) + 0.8 * VISIT[:, None]
    return np.asarray(y + rng.standard_normal((12, n_values))[NUMBER])


def images_of(y: Floats) -> list[Any]:
    return [
        nib.Nifti1Image(row.reshape(SHAPE), np.eye(4))  # type: ignore[no-untyped-call]
        for row in y
    ]


@pytest.mark.filterwarnings("ignore:n_perm=1 gives no p-value")
@pytest.mark.parametrize("contrast", [[1.0, 0, 0], [0, 1.0, 0], np.eye(3)[:2, [0, 2, 1]][:1]])
def test_the_statistic_of_the_data_is_that_of_the_fit(contrast: Any) -> None:
    """Satterthwaite's t is not adjusted; lambda is found by two searches of their own."""
    X, y, C = DESIGN.to_numpy(), data_of(300), np.asarray(contrast, dtype=float)
    C = C[0] if C.ndim == 2 else C
    fitted = fit_repeated(X, y, SUBJECTS, df="satterthwaite").contrast(C)
    options = check_options(
        n_perm=1, two_sided=True, random_state=0, threshold=None, tfce=False, tfce_powers=None,
        missing="omit", n_jobs=1, verbose=0,
    )  # fmt: skip
    found = permutation_test(
        X, C, ArraySource(y), np.zeros(300), 27.0, options,
        model=RepeatedMeasures(subjects=SUBJECTS),
    )  # fmt: skip
    # A statistic that is nowhere: what is reported is the fit's; what is compared, the kernel's.
    assert not found.observed["t"].any()
    tested = rearranged_model(RepeatedMeasures(subjects=SUBJECTS), X, C, (), options)
    presence = find_presence_of_all(
        ArraySource(y), ArrayRows(y), np.zeros(300), tested.rows, tested.parts,
        choose_exchange(tested, options),
    )  # fmt: skip
    kernel = make_repeated_kernel(tested, presence, two_sided=True)
    compared = kernel.observe(ArrayRows(y), np.zeros(300), 1).compared
    np.testing.assert_allclose(compared, fitted.stat, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("covariance", ["random intercept", "sandwich"])
@pytest.mark.parametrize("contrast", ["visit", "group"])
def test_images_are_tested_as_the_model_says(covariance: str, contrast: str) -> None:
    images = images_of(data_of(60))
    model = RepeatedMeasures(covariance, subjects=SUBJECTS)
    options: dict[str, Any] = {
        "design_matrix": DESIGN, "second_level_contrast": contrast, "mask": MASK, "model": model,
        "n_perm": 60, "threshold": 0.05, "tfce": True, "random_state": 0,
    }  # fmt: skip
    out = non_parametric_inference(images, **options)
    (result,) = out.results
    assert set(result.p_value) == {"t", "size", "mass", "tfce"}
    assert result.is_bootstrap == (covariance == "sandwich")
    said = {
        ("random intercept", "visit"): "permuted within each subject",
        ("random intercept", "group"): "Whole subjects' residuals",
    }
    assert said.get((covariance, contrast), "This is a wild bootstrap") in result.assumption
    fitted = SecondLevelModel(MASK, model=model).fit(images, design_matrix=DESIGN)
    expected = fitted.compute_contrast(contrast, output_type="stat").get_fdata()
    np.testing.assert_allclose(out["t"].get_fdata(), expected, rtol=1e-5)
    top = result.observed["t"].max()
    if covariance == "sandwich":  # no adjustment stands between the two statistics
        p = (1 + np.sum(result.null["t"] >= top * (1 - 1e-6))) / 61
        np.testing.assert_allclose(result.p_value["t"].min(), p, rtol=1e-12)
    for n_jobs in (2, 3):
        again = non_parametric_inference(images, n_jobs=n_jobs, **options)
        for which, null in again.results[0].null.items():
            np.testing.assert_array_equal(null, result.null[which])


def test_a_test_without_subjects_is_refused() -> None:
    with pytest.raises(ValueError, match="subjects"):
        non_parametric_inference(
            images_of(data_of(60)), design_matrix=DESIGN, second_level_contrast="visit", mask=MASK,
            model="repeated measures", n_perm=10,
        )  # fmt: skip


def test_subjects_are_those_of_a_table_of_maps(tmp_path: Path) -> None:
    """Or of the argument; rows are matched with the maps as the estimator matches them."""
    paths = []
    for number, image in enumerate(images_of(data_of(60))):
        path = tmp_path / f"map{number}.nii.gz"
        nib.save(image, path)
        paths.append(str(path))
    table = pd.DataFrame(
        {"subject_label": SUBJECTS, "map_name": "effect", "effects_map_path": paths}
    )
    options: dict[str, Any] = {
        "second_level_contrast": "visit", "mask": MASK, "n_perm": 40, "random_state": 0,
        "tfce": True, "model": "repeated measures",
    }  # fmt: skip
    one = non_parametric_inference(
        table, design_matrix=DESIGN.assign(subject_label=SUBJECTS), **options
    )
    other = non_parametric_inference(paths, design_matrix=DESIGN, subjects=SUBJECTS, **options)
    np.testing.assert_array_equal(one.results[0].null["t"], other.results[0].null["t"])
    with pytest.raises(ValueError, match=r"subjects .* the model 'ols' takes none"):
        non_parametric_inference(
            paths, design_matrix=DESIGN, subjects=SUBJECTS, **(options | {"model": "ols"})
        )


def test_effects_without_a_test_are_refused_before_the_images_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("groupglm.inference.permutation.images.fit_group", read)
    age = 20.0 + 0.3 * NUMBER + VISIT
    given: dict[str, Any] = {"mask": MASK, "model": "repeated measures", "subjects": SUBJECTS}
    with pytest.raises(ValueError, match=r"\([5-8]\d % of its sum of squares lies between sub"):
        non_parametric_inference(
            images_of(data_of(60)), design_matrix=DESIGN.assign(age=age)[["age", "intercept"]],
            second_level_contrast="age", **given,
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore:n_perm=3 gives no p-value")
@pytest.mark.parametrize(("adjustment", "said"), [(0, "model are"), ("C2", "leverage (C2), are")])
def test_a_bootstrap_says_how_residuals_are_adjusted(adjustment: Any, said: str) -> None:
    out = non_parametric_inference(
        images_of(data_of(60)), design_matrix=DESIGN, second_level_contrast="visit", mask=MASK,
        model=RepeatedMeasures("sandwich", adjustment=adjustment), subjects=SUBJECTS, n_perm=3,
        tfce=True,
    )  # fmt: skip
    assert said in out.results[0].assumption
