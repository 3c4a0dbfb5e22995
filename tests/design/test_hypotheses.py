# SPDX-License-Identifier: BSD-3-Clause
"""Contrasts against a constant: how they are read, and the test that they are."""

from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from groupglm import RepeatedMeasures, SecondLevelModel
from groupglm.design.contrasts import contrast_matrix
from groupglm.design.hypotheses import read_hypothesis, split_constant

nib: Any = nibabel  # typed only in part


@pytest.mark.parametrize(
    ("text", "weights", "value"),
    [
        ("age = 0.5", [1, 0], 0.5),
        ("2*age==-1e-3", [2, 0], -0.001),
        ("age - sex=3", [1, -1], 3.0),
        ("age = 0", [1, 0], 0.0),
        ("age", [1, 0], 0.0),
        (["age = 0.5"], [1, 0], 0.5),
    ],
)
def test_the_constant_is_what_follows_the_equals_sign(
    text: Any, weights: list[int], value: float
) -> None:
    found = read_hypothesis(text, ["age", "sex"])
    assert (found.weights.tolist(), found.null_value) == (weights, value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_constant_is_read_exactly(value: float) -> None:
    assert split_constant(f"age = {value!r}", ["age"]) == ("age", value)


def test_a_column_with_an_equals_sign_is_a_column() -> None:
    assert read_hypothesis("dose=2", ["dose=2", "dose"]).weights.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("contrast", "words"),
    [
        ("age = nan", "compared with nan; give a finite constant"),
        ("age = 1e999", "compared with inf"),
        ("age = sex", "not valid"),
        ("age = 1_0", "not valid"),
        ("= 0.5", "not valid"),
        (["age = 0.5", "sex"], "test each row by itself"),
        ("site = 1", "test each row by itself"),
    ],
)
def test_what_is_no_constant_is_refused(contrast: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_hypothesis(contrast, ["age", "sex", "C(site)[T.b]", "C(site)[T.c]"])


@pytest.fixture
def study() -> tuple[list[Any], Any, pd.DataFrame]:
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    images = [nib.Nifti1Image(rng.normal(1, 1, (3, 4, 5)), affine) for _ in range(16)]
    mask = nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), affine)
    design = pd.DataFrame({"intercept": np.ones(16), "age": rng.normal(size=16)})
    return images, mask, design


def test_the_t_is_that_of_statsmodels(study: Any) -> None:
    images, mask, design = study
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    found = model.compute_contrast("intercept + 0.5*age = 0.8", output_type="all")
    for voxel in ((0, 0, 0), (2, 1, 4)):
        y = np.array([own.get_fdata()[voxel] for own in images])
        wanted = sm.OLS(y, design.to_numpy()).fit().t_test(([[1, 0.5]], [0.8]))
        assert found["stat"].get_fdata()[voxel] == pytest.approx(wanted.tvalue.item(), rel=1e-6)
        assert found["effect_size"].get_fdata()[voxel] == pytest.approx(
            wanted.effect.item(), rel=1e-6
        )
        p = found["p_value"].get_fdata()[voxel]
        assert min(2 * p, 2 - 2 * p) == pytest.approx(wanted.pvalue.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["ols", "fixed effects", "mixed effects", "unequal", "repeated"])
def test_the_test_is_that_of_the_images_less_the_constant(study: Any, kind: str) -> None:
    images, mask, design = study
    less = [nib.Nifti1Image(own.get_fdata() - 0.8, own.affine) for own in images]
    options: dict[str, Any] = {}
    model: Any = {"unequal": "unequal variances", "repeated": RepeatedMeasures()}.get(kind, kind)
    tested, constant = "intercept", "intercept = 0.8"
    if kind in ("fixed effects", "mixed effects"):
        rng = np.random.default_rng(1)
        options["variances"] = [
            nib.Nifti1Image(rng.uniform(0.5, 2, own.shape), own.affine) for own in images
        ]
    if kind == "repeated":
        options["subjects"] = [f"{number // 2:02d}" for number in range(16)]
    if kind == "unequal":
        design = pd.DataFrame({"a": [1.0, 0.0] * 8, "b": [0.0, 1.0] * 8})
        tested, constant = "a", "a = 0.8"
    fits = [
        SecondLevelModel(mask, model=model).fit(own, design_matrix=design, **options)
        for own in (images, less)
    ]
    for output in ("stat", "z_score", "p_value"):
        found, wanted = (
            fit.compute_contrast(text, output_type=output).get_fdata()
            for fit, text in zip(fits, (constant, tested), strict=True)
        )
        # float32 images, and a mean that is 0.8 smaller
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["ols", "robust", "unequal variances"])
def test_places_that_do_not_vary_say_nothing_of_a_constant(study: Any, kind: Any) -> None:
    images, mask, design = study
    values = np.stack([own.get_fdata() for own in images])
    values[:, 0, 0, 0], values[:, 0, 0, 1], values[:, 0, 0, 2] = 0.0, 0.1, 3.0
    if kind == "unequal variances":
        design = pd.DataFrame({"intercept": [1.0, 0.0] * 8, "other": [0.0, 1.0] * 8})
    own = [nib.Nifti1Image(each, np.eye(4)) for each in values]
    model = SecondLevelModel(mask, model=kind).fit(own, design_matrix=design)
    found = model.compute_contrast("intercept = 0.1", output_type="all")
    # As against 0: no data, and a mean that is the constant, are no evidence; 3 is another mean.
    for name, wanted in (("stat", 0.0), ("z_score", 0.0), ("p_value", 0.5)):
        np.testing.assert_array_equal(found[name].get_fdata()[0, 0, :2], wanted)
    assert found["stat"].get_fdata()[0, 0, 2] == np.inf
    assert np.isfinite(found["stat"].get_fdata()[1:]).all()
    if kind != "unequal variances":
        slope = model.compute_contrast("age = 0.5", output_type="stat").get_fdata()
        np.testing.assert_array_equal(slope[0, 0, :3], 0.0)


def test_an_f_of_one_row_is_not_compared_with_a_constant(study: Any) -> None:
    images, mask, design = study
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    with pytest.raises(ValueError, match=r"an F test is of whether effects are 0, not 0\.5"):
        model.compute_contrast("age = 0.5", second_level_stat_type="F")


def test_the_page_and_its_script_name_the_constant(study: Any) -> None:
    images, mask, design = study
    model = SecondLevelModel(mask).fit(images, design_matrix=design)
    page = model.generate_report({"half": "age = 0.5", "mean": [1, 0]}).get_standalone()
    assert "age = 0.5" in page
    assert "&#39;half&#39;: &#39;age = 0.5&#39;" in page
    assert "&#39;mean&#39;: [1.0, 0.0]" in page


def test_where_no_constant_is_compared_the_message_says_where_it_is() -> None:
    with pytest.raises(ValueError, match="Only a t contrast of a model, also by permutation"):
        contrast_matrix("age = 0.5", ["age"])
