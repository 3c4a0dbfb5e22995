# SPDX-License-Identifier: BSD-3-Clause
"""`non_parametric_inference` of models other than least squares: it tests the model's contrast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import groupglm
from groupglm import MixedEffects, UnequalVariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Their types depend on options, and maps are optional to a type checker.
non_parametric_inference: Any = groupglm.non_parametric_inference
SecondLevelModel: Any = groupglm.SecondLevelModel

N, SHAPE = 14, (5, 4, 3)
GROUP = np.repeat([0.0, 1.0], [6, 8])
DESIGN = pd.DataFrame({"intercept": np.ones(N), "group": GROUP})
MEAN = pd.DataFrame({"intercept": np.ones(N)})


def image_of(values: Any) -> Any:
    return nib.Nifti1Image(values, np.eye(4))  # type: ignore[no-untyped-call]


MASK = image_of(np.ones(SHAPE, np.uint8))


class Study:
    """Effects, variances, weights and a covariate."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.v = rng.gamma(2, 0.5, (N, *SHAPE)) + 0.1
        self.y = 0.5 + rng.standard_normal((N, *SHAPE)) * np.sqrt(self.v + 0.5)
        self.z = rng.standard_normal((N, *SHAPE))
        self.y[2, 1, 1, 1] = np.nan
        self.y[3, 2, 2, 1] = self.v[3, 2, 2, 1] = np.nan

    def given(self, *names: str) -> dict[str, Any]:
        sources = {"variances": self.v, "weights": self.v}
        found: dict[str, Any] = {
            name: [image_of(each) for each in sources[name]] for name in names if name in sources
        }
        if "covariates" in names:
            found["covariates"] = {"grey": [image_of(each) for each in self.z]}
        return found

    @property
    def images(self) -> list[Any]:
        return [image_of(each) for each in self.y]


@pytest.fixture(scope="module")
def study() -> Study:
    return Study()


MODELS: dict[str, tuple[Any, tuple[str, ...], pd.DataFrame, Any]] = {
    "fixed": ("fixed effects", ("variances",), MEAN, "intercept"),
    "mixed, mean": ("mixed effects", ("variances",), MEAN, "intercept"),
    "mixed, groups": (MixedEffects(test="t"), ("variances",), DESIGN, "group"),
    "mixed, F": ("mixed effects", ("variances",), DESIGN, np.eye(2)),
    "mixed, tau2 by group": (
        MixedEffects(variance_groups=GROUP), ("variances",), DESIGN, "group",
    ),
    "weights": ("ols", ("weights",), DESIGN, "group"),
    "covariate": ("ols", ("covariates",), DESIGN, "grey"),
    "covariate and weights": ("ols", ("weights", "covariates"), DESIGN, "group"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_statistic_is_that_of_the_contrast(study: Study, name: str) -> None:
    model, beside, design, contrast = MODELS[name]
    given = study.given(*beside)
    fitted = SecondLevelModel(MASK, model=model).fit(study.images, design_matrix=design, **given)
    expected = fitted.compute_contrast(contrast, output_type="stat").get_fdata()
    options: dict[str, Any] = {
        "design_matrix": design, "second_level_contrast": contrast, "mask": MASK, "model": model,
        "random_state": 0, **given,
    }  # fmt: skip
    observed = non_parametric_inference(study.images, n_perm=0, **options)
    letter = "F" if name.endswith("F") else "t"
    np.testing.assert_allclose(observed[letter].get_fdata(), expected, rtol=1e-6)
    out = non_parametric_inference(study.images, n_perm=60, threshold=0.05, tfce=True, **options)
    result = out.results[0]
    assert set(result.p_value) == {letter, "size", "mass", "tfce"}
    assert all(((p > 0) & (p <= 1)).all() for p in result.p_value.values())
    # The largest statistic has the smallest p, that of how many maxima are as large.
    top = np.nanmax(result.observed[letter])
    complete = result.observed[letter] == top
    p = (1 + np.sum(result.null[letter] >= top * (1 - 1e-6))) / 61
    np.testing.assert_allclose(result.p_value[letter][complete], p, rtol=1e-12)
    for n_jobs in (2, 3):
        again = non_parametric_inference(
            study.images, n_perm=60, threshold=0.05, tfce=True, n_jobs=n_jobs, **options
        )
        for which, null in again.results[0].null.items():
            np.testing.assert_array_equal(null, result.null[which])


def test_unequal_variances_are_the_test_of_variance_groups(study: Study) -> None:
    images = [image_of(np.nan_to_num(each, nan=0.3)) for each in study.y]
    options: dict[str, Any] = {
        "design_matrix": DESIGN, "second_level_contrast": "group", "mask": MASK,
        "random_state": 0, "n_perm": 50, "threshold": 0.05,
    }  # fmt: skip
    model = UnequalVariances(groups=GROUP)
    with pytest.warns(UserWarning, match="smallest group has 6 images"):
        found = non_parametric_inference(images, model=model, **options)
    with pytest.warns(UserWarning, match="smallest group has 6 images"):
        expected = non_parametric_inference(images, variance_groups=GROUP, **options)
    for name, null in expected.results[0].null.items():
        np.testing.assert_array_equal(found.results[0].null[name], null)
    fitted = SecondLevelModel(MASK, model=model).fit(images, design_matrix=DESIGN)
    welch = fitted.compute_contrast("group", output_type="stat").get_fdata()
    np.testing.assert_allclose(found["t"].get_fdata(), welch, rtol=1e-6)


def test_a_test_is_resumed(study: Study, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "design_matrix": MEAN, "mask": MASK, "model": "mixed effects", "random_state": 0,
        "threshold": 0.05, **study.given("variances"),
    }  # fmt: skip
    path = tmp_path / "state.npz"
    non_parametric_inference(study.images, n_perm=20, resume=path, **options)
    resumed = non_parametric_inference(study.images, n_perm=50, resume=path, **options)
    whole = non_parametric_inference(study.images, n_perm=50, **options)
    np.testing.assert_array_equal(resumed.results[0].null["t"], whole.results[0].null["t"])
    with pytest.raises(ValueError, match="another test: model differs"):
        non_parametric_inference(
            study.images, n_perm=60, resume=path, **(options | {"model": MixedEffects("ml")})
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variance_groups": GROUP, "model": "mixed effects"}, "variance_groups are for ordinary"),
        ({"method": "smith", "model": "mixed effects"}, "method='smith' is for ordinary least sq"),
        ({"smoothing_fwhm": 4.0, "model": "mixed effects"}, "the images would be smoothed"),
        ({}, "variances .* 'ols' takes none"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    study: Study, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        non_parametric_inference(
            study.images, design_matrix=MEAN, mask=MASK, n_perm=10, **study.given("variances"),
            **options,
        )  # fmt: skip


def test_the_result_says_what_is_assumed(study: Study) -> None:
    def says(model: Any, design: pd.DataFrame, contrast: str, **given: Any) -> str:
        out = non_parametric_inference(
            study.images, design_matrix=design, second_level_contrast=contrast, mask=MASK,
            n_perm=5, tfce=True, model=model, random_state=0, **given,
        )  # fmt: skip
        return str(out.results[0].assumption)

    few = pytest.warns(UserWarning, match="gives no p-value below")
    variances = study.given("variances")
    with few:
        assert says("mixed effects", MEAN, "intercept", **variances).startswith(
            "The signs of the effects are flipped while their variances stay, and the variance "
            "between images is estimated anew each time."
        )
        assert "Pairs of effect and variance are permuted against the tested columns" in says(
            "mixed effects", DESIGN, "group", **variances
        )
        assert "each place's own null model, multiplied by the roots of their weights," in says(
            "ols", DESIGN, "group", **study.given("weights")
        )


def test_messages_name_the_argument_that_the_groups_come_from(study: Study) -> None:
    """The model's `groups`, or the option `variance_groups`."""
    options: dict[str, Any] = {
        "design_matrix": pd.DataFrame({"one": 1 - GROUP, "other": GROUP}),
        "second_level_contrast": "other - one", "mask": MASK, "n_perm": 20,
    }  # fmt: skip
    for name, given in (
        ("groups", {"model": UnequalVariances(groups=GROUP)}),
        ("groups", {"model": "unequal variances"}),
        ("variance_groups", {"variance_groups": GROUP}),
    ):
        with pytest.raises(ValueError, match=f"^{name} cannot be tested where images lack"):
            non_parametric_inference(study.images, **options, **given)
        with pytest.raises(ValueError, match=f"images of different {name} cannot take"):
            non_parametric_inference(study.images, sign_flip=False, **options, **given)
        complete = [image_of(np.nan_to_num(each, nan=0.3)) for each in study.y]
        with pytest.warns(UserWarning, match=f"^{name}: signs of residuals are flipped"):
            non_parametric_inference(complete, random_state=0, **options, **given)
