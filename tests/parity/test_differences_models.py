# SPDX-License-Identifier: BSD-3-Clause
"""nilearn 0.14.1 and groupglm on the same input, where they differ on purpose: models, contrasts.

One test an entry of reference.differences, of its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from groupglm import SecondLevelModel
from groupglm.errors import NotEstimableError, RankDeficientWarning
from groupglm.models.results import OlsFit
from reference import ols
from reference.oracle import (
    FLOAT32,
    N_IMAGES,
    SHAPE,
    brain,
    image,
    mask_image,
    nilearn_contrast,
    nilearn_fit,
    save,
    volumes,
)

AGE = np.random.default_rng(7).normal(size=N_IMAGES)
DESIGN = pd.DataFrame({"intercept": 1.0, "age": AGE})
INSIDE = brain()
DATA = volumes()[:, INSIDE]  # (n_images, n_voxels)


def images() -> list[Any]:
    return [image(volume) for volume in volumes()]


def both(design: pd.DataFrame = DESIGN, given: Any = None, **options: Any) -> tuple[Any, Any]:
    """Our model and nilearn's, fitted to the same."""
    options = {"mask_img": mask_image(), **options}
    given = images() if given is None else given
    ours = SecondLevelModel(**options).fit(given, design_matrix=design)
    return ours, nilearn_fit(given, design, **options)


def values(img: Any) -> Any:
    """The values inside the brain."""
    return np.squeeze(img.get_fdata())[INSIDE]


@pytest.fixture
def cells() -> pd.DataFrame:
    """Two groups and an intercept: three columns of rank 2."""
    group = (np.arange(N_IMAGES) % 2).astype(float)
    return pd.DataFrame({"ctrl": 1 - group, "drug": group, "intercept": 1.0})


def test_rank_deficient_design(cells: pd.DataFrame) -> None:
    with pytest.warns(RankDeficientWarning, match="'ctrl', 'drug' and 'intercept' are linearly"):
        ours, theirs = both(cells)
    found = values(ours.compute_contrast("drug - ctrl", output_type="effect_variance"))
    wanted = values(nilearn_contrast(theirs, "drug - ctrl", output_type="effect_variance"))
    # The same sum of squares, over n - rank = 14 and over n - columns = 13.
    np.testing.assert_allclose(found * (N_IMAGES - 2), wanted * (N_IMAGES - 3), rtol=1e-6)
    groups = cells[["ctrl", "drug"]].to_numpy()
    reference = ols.contrast(ols.fit(groups, DATA), np.array([-1.0, 1.0])).effect_variance
    np.testing.assert_allclose(found, reference, rtol=1e-6)


def test_not_estimable_contrast(cells: pd.DataFrame) -> None:
    with pytest.warns(RankDeficientWarning):
        ours, theirs = both(cells)
    with pytest.raises(NotEstimableError, match="apart the columns 'ctrl', 'drug' and 'intercept'"):
        ours.compute_contrast("drug")
    assert np.isfinite(values(nilearn_contrast(theirs, "drug"))).all()


def test_no_residual_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match=r"no residual degrees of freedom: 2 images .* rank 2"):
        SecondLevelModel(mask_img=mask_image()).fit(images()[:2], design_matrix=DESIGN[:2])
    theirs = nilearn_fit(images()[:2], DESIGN[:2], mask_img=mask_image())
    found = nilearn_contrast(theirs, "age", output_type="all")
    assert np.isinf(values(found["effect_variance"])).all()
    assert np.isnan(values(found["z_score"])).all()


def test_r_square_without_intercept() -> None:
    ours, theirs = both(DESIGN[["age"]], minimize_memory=False)
    nilearn_contrast(theirs, "age")
    found = values(ours.r_square_)
    reference = [sm.OLS(y, AGE[:, None]).fit().rsquared for y in DATA.T[:20]]
    np.testing.assert_allclose(found[:20], reference, rtol=1e-6)
    assert 0 <= found.min() < found.max() <= 1
    assert values(theirs.r_square_).max() > 2


def test_fit_that_fits(tmp_path: Path) -> None:
    paths = save(images(), tmp_path)
    ours, theirs = both(given=paths, minimize_memory=False)
    with pytest.raises(ValueError, match="No contrast has been computed yet"):
        _ = theirs.residuals_
    beta = ols.fit(DESIGN.to_numpy(), DATA).beta
    residuals = ours.residuals_.get_fdata()[INSIDE].T
    np.testing.assert_allclose(residuals, DATA - DESIGN.to_numpy() @ beta, rtol=1e-6, atol=1e-6)
    for path in paths:
        Path(path).unlink()
    np.testing.assert_allclose(
        values(ours.compute_contrast("age", output_type="effect_size")), beta[1], rtol=1e-6
    )
    with pytest.raises(ValueError, match="File not found"):
        nilearn_contrast(theirs, "age")


def test_names_without_an_underscore() -> None:
    ours, theirs = both(minimize_memory=False)
    nilearn_contrast(theirs, "age")
    beta = ols.fit(DESIGN.to_numpy(), DATA).beta
    predicted = DESIGN.to_numpy() @ beta
    left = ((DATA - predicted) ** 2).sum(axis=0)
    wanted = {
        "residuals": DATA - predicted,
        "predicted": predicted,
        "r_square": 1 - left / ((DATA - DATA.mean(axis=0)) ** 2).sum(axis=0),
    }
    for name, expected in wanted.items():
        with pytest.warns(FutureWarning, match="is deprecated"):
            attribute = getattr(theirs, name)
        for image_ in (
            attribute,
            getattr(theirs, f"{name}_"),
            getattr(ours, f"{name}_"),
            getattr(ours, name)()[0],
        ):
            np.testing.assert_allclose(values(image_).T, expected, rtol=1e-5, atol=1e-6)
        assert len(getattr(ours, name)()) == 1
    small, theirs = both()
    nilearn_contrast(theirs, "age")
    for model in (small, theirs):
        for name in wanted:
            with pytest.raises(AttributeError, match="To access voxelwise attributes"):
                getattr(model, f"{name}_")
    for name in wanted:
        with pytest.raises(AttributeError, match="set `minimize_memory` to `False`"):
            getattr(small, name)()


def test_refit() -> None:
    models = both()
    wanted = values(models[0].compute_contrast("age", output_type="effect_size"))
    doubled = [image(2 * volume) for volume in volumes()]
    for model in models:
        with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
            model.fit(doubled, design_matrix="nowhere.csv")
    ours, theirs = models
    with pytest.raises(ValueError, match="not fitted"):
        ours.compute_contrast("age")
    assert not hasattr(ours, "design_matrix_")
    mixture = values(nilearn_contrast(theirs, "age", output_type="effect_size"))
    np.testing.assert_allclose(mixture, 2 * wanted, rtol=1e-6)


def test_results() -> None:
    ours, theirs = both()
    nilearn_contrast(theirs, "age")
    assert isinstance(ours.results_, OlsFit)
    with pytest.raises(AttributeError, match=r"no attribute 'labels_'.*results_\.beta"):
        _ = ours.labels_
    (only,) = theirs.results_.values()
    reference = ols.fit(DESIGN.to_numpy(), DATA).beta
    np.testing.assert_allclose(only.theta, reference, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.results_.beta, reference, rtol=1e-8, atol=1e-10)


def test_contrast_expressions() -> None:
    ours, theirs = both()
    same = {
        "age + 1": [1.0, 2.0],  # the number goes to every column
        "age > 0": "age",
        "age**2": "age",
    }
    for expression, meant in same.items():
        with pytest.raises(ValueError, match="must be linear combinations of columns"):
            ours.compute_contrast(expression)
        found = values(nilearn_contrast(theirs, expression, output_type="effect_size"))
        wanted = values(nilearn_contrast(theirs, meant, output_type="effect_size"))
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_contrast_too_short() -> None:
    ours, theirs = both()
    with pytest.raises(ValueError, match=r"shape \(1,\) .* for each of 'intercept' and 'age'"):
        ours.compute_contrast([1.0])
    with pytest.warns(UserWarning, match="was padded with zeros"):
        padded = theirs.compute_contrast([1.0], output_type="stat")
    wanted = nilearn_contrast(theirs, "intercept", output_type="stat")
    np.testing.assert_array_equal(values(padded), values(wanted))


def test_labelled_contrast() -> None:
    ours, theirs = both()
    age = pd.Series({"age": 1.0, "intercept": 0.0})
    with pytest.raises(ValueError, match="labelled 'age' and 'intercept', which are the columns"):
        ours.compute_contrast(age)
    np.testing.assert_array_equal(
        values(nilearn_contrast(theirs, age)), values(nilearn_contrast(theirs, "intercept"))
    )


def test_list_of_expressions() -> None:
    ours, theirs = both()
    rows = ["age", "intercept - 2*age"]
    with pytest.raises(ValueError, match="itemsize"):
        nilearn_contrast(theirs, rows)
    wanted = nilearn_contrast(theirs, [[0.0, 1.0], [1.0, -2.0]], output_type="stat")
    found = ours.compute_contrast(rows, output_type="stat")
    np.testing.assert_allclose(values(found), values(wanted), rtol=1e-6)


def test_effect_size_of_f() -> None:
    ours, theirs = both()
    C = np.array([[0.0, 1.0], [1.0, -2.0]])
    found = ours.compute_contrast(C, output_type="effect_size").get_fdata()
    whitened = nilearn_contrast(theirs, C, output_type="effect_size").get_fdata()
    assert found.shape == whitened.shape == (*SHAPE, 2)
    reference = (C @ ols.fit(DESIGN.to_numpy(), DATA).beta).T
    np.testing.assert_allclose(found[INSIDE], reference, rtol=FLOAT32, atol=1e-8)
    assert not np.allclose(whitened[INSIDE], reference, rtol=0.1)


def test_p_underflow() -> None:
    # Two sharp groups of 200: t of some hundreds on 398 degrees of freedom.
    group = np.repeat([0.0, 1.0], 200)
    rng = np.random.default_rng(8)
    series = group * rng.uniform(40, 80, (3, 3, 3, 1)) + rng.normal(size=(3, 3, 3, 400))
    design = pd.DataFrame({"group": group, "intercept": 1.0})
    full = image(np.ones((3, 3, 3), np.uint8))
    ours, theirs = both(design, image(series), mask_img=full)
    wanted = nilearn_contrast(theirs, "group", output_type="all")
    assert np.ptp(wanted["z_score"].get_fdata()) == 0
    assert wanted["z_score"].get_fdata().max() == pytest.approx(37.05, abs=0.01)
    found = ours.compute_contrast("group", output_type="all")
    reference = ols.contrast(
        ols.fit(design.to_numpy(), series.reshape(27, 400).T), np.array([1.0, 0.0])
    )
    np.testing.assert_allclose(found["z_score"].get_fdata().ravel(), reference.z_score, rtol=1e-6)
    np.testing.assert_allclose(found["stat"].get_fdata(), wanted["stat"].get_fdata(), rtol=1e-6)
    assert len(np.unique(found["z_score"].get_fdata())) == 27


def test_model_in_text() -> None:
    from nilearn.glm.second_level import SecondLevelModel as Theirs

    ours, theirs = SecondLevelModel(smoothing_fwhm=6), Theirs(smoothing_fwhm=6)
    assert str(theirs) == "Second Level Model"
    assert str(ours) == repr(ours) == repr(theirs) == "SecondLevelModel(smoothing_fwhm=6)"
