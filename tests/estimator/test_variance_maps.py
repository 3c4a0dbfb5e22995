# SPDX-License-Identifier: BSD-3-Clause
"""Attributes of a model with variances: maps of the fit, weights of subjects, residuals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from contract.fake_models import KnownVariance
from groupglm import SecondLevelModel
from groupglm.errors import ArgumentError
from groupglm.spaces.statistic import Statistic

# The fake model counts a value that is outside a brain as a value.
pytestmark = pytest.mark.filterwarnings("ignore::groupglm.errors.ZeroValuesWarning")

SHAPE, N = (4, 3, 2), 7
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])
PLACE = (1, 2, 1)
MM = tuple((AFFINE @ [*PLACE, 1])[:3])
MAPS = ("tau2_", "i_squared_", "h_squared_", "q_", "q_p_value_", "tau2_zero_share_")


def image_of(values: Any) -> Any:
    return nib.Nifti1Image(np.asarray(values, np.float32), AFFINE)  # type: ignore[no-untyped-call]


@pytest.fixture
def data() -> tuple[Any, Any]:
    """Effects and variances; image 2 is outside at the place, image 4 has no value there."""
    rng = np.random.default_rng(4)
    y, v = rng.normal(1, 1, (N, *SHAPE)), rng.chisquare(4, (N, *SHAPE))
    y[(2, *PLACE)], v[(2, *PLACE)] = 0, 0
    y[(4, *PLACE)] = np.nan
    return y.astype(np.float32), v.astype(np.float32)


def fitted(data: tuple[Any, Any], model: Any = "ols", **options: Any) -> SecondLevelModel:
    y, v = ([image_of(own) for own in rows] for rows in data)
    labels = [f"s{row}" for row in range(N)]
    design = pd.DataFrame({"mean": np.ones(N)}, pd.Index(labels, name="subject_label"))
    beside: dict[str, Any] = {} if model == "ols" else {"variances": v}
    mask = image_of(np.ones(SHAPE))
    return SecondLevelModel(mask, model=model, **options).fit(y, design_matrix=design, **beside)


def test_least_squares_says_what_to_fit_for_a_map(data: tuple[Any, Any]) -> None:
    model = fitted(data)
    for name in MAPS:
        with pytest.raises(AttributeError, match=r"'ols' has no .*model='mixed effects'"):
            getattr(model, name)
        assert not hasattr(model, name)


def test_weights_are_those_of_the_variances_at_the_place(data: tuple[Any, Any]) -> None:
    found = fitted(data, KnownVariance()).weights_at(MM)
    assert found.index.tolist() == [f"s{row}" for row in range(N)]
    assert (found.index.name, found.name) == ("subject_label", "weight")
    v = data[1][(slice(None), *PLACE)].astype(np.float64)
    w = np.array([0 if row in (2, 4) else 1 / v[row] for row in range(N)])
    np.testing.assert_allclose(found, 100 * w / w.sum(), rtol=1e-14)


def test_weights_of_least_squares_are_equal_where_images_have_a_value(data: Any) -> None:
    found = fitted(data).weights_at(MM)
    expected = np.full(N, 100 / 6)
    expected[4] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("position", "said"),
    [((999, 0, 0), "inside the mask"), ((1, 2), "three finite"), ((np.nan, 0, 0), "three finite")],
)
def test_a_place_that_is_none(data: Any, position: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as told:
        fitted(data).weights_at(position)
    assert told.value.argument == "position"


def test_weights_of_files_have_the_subjects_of_their_names(data: Any, tmp_path: Path) -> None:
    names = []
    for row, own in enumerate(data[0]):
        names.append(str(tmp_path / f"sub-{row:02d}_effect.nii"))
        nib.save(image_of(own), names[-1])
    model = SecondLevelModel(image_of(np.ones(SHAPE)))
    model.fit(names, design_matrix=pd.DataFrame({"mean": np.ones(N)}))
    assert model.weights_at(MM).index.tolist() == [f"{row:02d}" for row in range(N)]


def test_residuals_are_those_of_values_that_count(data: Any) -> None:
    """A value that is outside a brain is no value, and has no residual."""
    model = fitted(data, KnownVariance(), minimize_memory=False)
    y, v = (values.astype(np.float64) for values in data)
    counts = np.isfinite(y) & (v > 0)
    w = np.where(counts, 1 / np.where(counts, v, 1), 0)
    mean = (w * np.nan_to_num(y)).sum(axis=0) / w.sum(axis=0)
    found = np.moveaxis(np.asarray(model.residuals_.dataobj), -1, 0)
    np.testing.assert_allclose(found, np.where(counts, y - mean, np.nan), atol=1e-6)
    found = np.moveaxis(np.asarray(model.predicted_.dataobj), -1, 0)
    np.testing.assert_allclose(found, np.broadcast_to(mean, found.shape), atol=1e-6)


def test_a_model_without_r_squared_says_so(data: Any) -> None:
    model = fitted(data, KnownVariance(), minimize_memory=False)
    with pytest.raises(AttributeError, match="'known variance' has no R-squared: fit the model"):
        _ = model.r_square_


@pytest.mark.parametrize("kind", ["tau2", "I2", "H2", "Q", "Qp"])
def test_a_header_says_which_map_of_a_fit_it_is(kind: str) -> None:
    assert Statistic.of_description(kind) == Statistic(kind)


# Thirteen log risk ratios and their variances, and what metafor 3.8.1 finds in them by
# rma(yi, vi, data=dat, test="knha", control=list(threshold=1e-14, maxiter=1000)), dat being
# escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg).
TRIALS = [
    (-0.88931133392020545, 0.32558476500396133, 5.05948273436663),  # yi, vi, weights(res)
    (-1.5853886572014306, 0.19458112139814385, 6.36467937256301),
    (-1.3480731482996933, 0.41536796536796539, 4.43602740260137),
    (-1.4415511900213054, 0.020010031902247573, 9.69874701892071),
    (-0.21754732221129558, 0.051210172169630863, 8.8684563912429),
    (-0.78611558581886398, 0.0069056184559087574, 10.0957385442391),
    (-1.6208982235983918, 0.22301724757231517, 6.02718141444445),
    (0.011952333523840508, 0.0039615792978177295, 10.1894390370957),
    (-0.4694176487381494, 0.056434210463248966, 8.7431332116382),
    (-1.3713448034727844, 0.07302479361302891, 8.36760725788588),
    (-0.33935882833839059, 0.01241221397155972, 9.92502699981141),
    (0.44591340057137874, 0.53250584520015276, 3.82162906298955),
    (-0.017313948216879815, 0.071404659683986293, 8.4028515522011),
]
FOUND = {
    "tau2_": 0.313243258136481,
    "i_squared_": 92.221384521269,
    "h_squared_": 12.8557582353092,
    "q_": 152.233008082373,
    "q_p_value_": 1.99676459084597e-26,
}


def test_maps_and_weights_are_those_of_metafor() -> None:
    y, v, weights = np.array(TRIALS).T
    images = [[image64(value) for value in values] for values in (y, v)]
    model = SecondLevelModel(image_of(np.ones((2, 1, 1))), model="mixed effects")
    design = pd.DataFrame({"mean": np.ones(len(y))})
    model.fit(images[0], design_matrix=design, variances=images[1])
    for name, expected in FOUND.items():
        image: Any = getattr(model, name)
        found = np.asarray(image.dataobj)
        # Images are float32.
        np.testing.assert_allclose(found, np.full(found.shape, expected), rtol=1e-6)
        of_results = getattr(model.results_, name[:-1])
        np.testing.assert_allclose(of_results, [expected] * 2, rtol=1e-7)
    assert Statistic.of_description(str(model.tau2_.header["descrip"].item().decode())) == (  # type: ignore[union-attr]
        Statistic("tau2")
    )
    assert model.tau2_zero_share_ == 0
    at_place = model.weights_at(AFFINE[:3, 3].tolist())
    np.testing.assert_allclose(at_place, weights, rtol=1e-7)
    assert repr(model).endswith("12 degrees of freedom, column mean")


def image64(value: float) -> Any:
    values = np.full((2, 1, 1), value)
    return nib.Nifti1Image(values, AFFINE)  # type: ignore[no-untyped-call]


def test_fixed_effects_have_no_tau2() -> None:
    y, v, _ = np.array(TRIALS).T
    images = [[image64(value) for value in values] for values in (y, v)]
    model = SecondLevelModel(image_of(np.ones((2, 1, 1))), model="fixed effects")
    design = pd.DataFrame({"mean": np.ones(len(y))})
    model.fit(images[0], design_matrix=design, variances=images[1])
    with pytest.raises(AttributeError, match=r"'fixed effects' has no .*model='mixed effects'"):
        _ = model.tau2_
    q: Any = model.q_
    np.testing.assert_allclose(np.asarray(q.dataobj), FOUND["q_"], rtol=1e-6)


def test_a_position_far_outside_is_said_in_few_digits(data: Any) -> None:
    with pytest.raises(ValueError, match=r"position is \(1e\+300, 0, 0\) mm"):
        fitted(data).weights_at((1e300, 0, 0))
