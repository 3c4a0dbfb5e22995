# SPDX-License-Identifier: BSD-3-Clause
"""A random intercept of each subject against dense REML, one place at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm import fit_repeated
from reference import repeated as slow

Floats = NDArray[np.float64]

T, OTHER_T = [0.0, 0, 1, 0], [0.0, 1, 0, 0]
CONTRASTS: dict[str, Any] = {
    "within": T,
    "between": OTHER_T,
    "two rows": [[0, 1.0, 0, 0], [0, 0, 0, 1.0]],
    "dependent rows": [[0, 0, 1.0, 0], [0, 0, 0, 2.0], [0, 0, 2.0, 2.0]],
}


class Study:
    """20 subjects with 1 to 4 visits, in any order; intercepts from none to large."""

    def __init__(self, n_places: int = 60, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sizes = rng.permutation(np.repeat([1, 2, 3, 4], 5))
        subjects = np.repeat(np.arange(20), sizes)
        time = np.concatenate([np.arange(size) for size in sizes]).astype(float)
        group = (subjects % 2).astype(float)
        X = np.column_stack([np.ones(len(time)), group, time, group * time])
        level = rng.normal(size=(20, n_places)) * rng.uniform(0, 2, n_places)
        Y = rng.normal(size=(len(time), n_places)) + level[subjects]
        order = rng.permutation(len(time))
        self.X, self.Y, self.subjects = X[order], Y[order], subjects[order]

    def with_missing(self) -> Floats:
        Y = self.Y.copy()
        Y[np.random.default_rng(1).random(Y.shape) < 0.15] = np.nan
        Y[:, 7] = self.Y[:, 7]
        return Y


@pytest.fixture(scope="module")
def study() -> Study:
    return Study()


@pytest.mark.parametrize("missing", [False, True])
def test_variances_and_coefficients_are_those_of_dense_reml(study: Study, missing: bool) -> None:
    Y = study.with_missing() if missing else study.Y
    fit = fit_repeated(study.X, Y, study.subjects)
    expected = slow.fit(study.X, Y, study.subjects)
    assert 0.05 < fit.at_boundary.mean() < 0.8
    np.testing.assert_array_equal(fit.at_boundary, expected.ratio == 0)
    # The root of the slope is found to the rounding of a sum of some 50 squares.
    np.testing.assert_allclose(fit.subject_variance, expected.subject_variance, 1e-10, atol=1e-12)
    np.testing.assert_allclose(fit.residual_variance, expected.residual_variance, rtol=1e-11)
    np.testing.assert_allclose(fit.beta, expected.beta, rtol=0, atol=1e-11)
    np.testing.assert_allclose(fit.reml_criterion, expected.criterion, rtol=1e-12)
    total = fit.subject_variance + fit.residual_variance
    np.testing.assert_allclose(fit.intraclass_correlation, fit.subject_variance / total, 1e-12)
    np.testing.assert_allclose(fit.residual_sd, np.sqrt(total), rtol=1e-12)
    np.testing.assert_array_equal(
        np.broadcast_to(fit.n_observations, len(total)), expected.n_observations
    )
    np.testing.assert_allclose(fit.mean, np.nanmean(Y, axis=0), rtol=1e-11, atol=1e-13)
    present = [len(set(study.subjects[~np.isnan(y)])) for y in Y.T]
    np.testing.assert_array_equal(fit.n_subjects, present)


@pytest.mark.parametrize("df", slow.METHODS)
@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("missing", [False, True])
def test_contrasts_are_those_of_the_papers(
    study: Study, contrast: str, df: str, missing: bool
) -> None:
    Y = study.with_missing() if missing else study.Y
    found = fit_repeated(study.X, Y, study.subjects, df=df).contrast(CONTRASTS[contrast])
    expected = slow.contrast(slow.fit(study.X, Y, study.subjects), CONTRASTS[contrast], df)
    own: Any = found.df[1] if isinstance(found.df, tuple) else found.df
    np.testing.assert_allclose(found.effect_size, expected.effect_size, rtol=0, atol=1e-11)
    np.testing.assert_allclose(own, expected.df, rtol=1e-9)
    np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.p_value, expected.p_value, rtol=1e-8)
    np.testing.assert_allclose(found.z_score, expected.z_score, rtol=1e-8, atol=1e-10)


def test_a_voxel_has_the_numbers_of_the_images_it_has(study: Study) -> None:
    """As a fit to these rows alone, with one image of every subject or none missing."""
    Y = study.with_missing()
    fit = fit_repeated(study.X, Y, study.subjects)
    found = fit.contrast([0, 0, 1, 0])
    for place in range(0, Y.shape[1], 7):
        has = ~np.isnan(Y[:, place])
        alone = fit_repeated(study.X[has], Y[has, place : place + 1], study.subjects[has])
        own = alone.contrast([0, 0, 1, 0])
        np.testing.assert_allclose(
            fit.subject_variance[place], alone.subject_variance[0], rtol=1e-10, atol=1e-12
        )
        for name in ("effect_size", "effect_variance", "stat", "df", "p_value"):
            np.testing.assert_allclose(
                getattr(found, name)[place], getattr(own, name)[0], rtol=1e-10, err_msg=name
            )


def test_a_large_mean_costs_no_digits(study: Study) -> None:
    far = study.Y + 1e4
    one, other = (fit_repeated(study.X, Y, study.subjects) for Y in (study.Y, far))
    # What is lost is the rounding of the data themselves, 1e4 times 1e-16.
    np.testing.assert_allclose(other.subject_variance, one.subject_variance, 1e-10, atol=1e-11)
    np.testing.assert_allclose(other.residual_variance, one.residual_variance, rtol=1e-10)
    found, expected = (fit.contrast([0, 0, 1, 0]) for fit in (other, one))
    np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-9, atol=1e-10)


def test_a_balanced_one_way_design_is_repeated_measures_anova() -> None:
    """F and its degrees of freedom exactly, wherever subjects differ more than by chance."""
    rng = np.random.default_rng(3)
    n_subjects, n_visits, n_places = 12, 4, 200
    subjects = np.tile(np.arange(n_subjects), n_visits)
    visits = np.repeat(np.arange(n_visits), n_subjects)
    X = np.eye(n_visits)[visits]
    Y = (
        rng.normal(size=(len(visits), n_places))
        + 2 * rng.normal(size=(n_subjects, n_places))[subjects]
    )
    table = Y.reshape(n_visits, n_subjects, n_places)
    visit_means, subject_means, mean = table.mean(1), table.mean(0), table.mean((0, 1))
    between = n_subjects * np.sum((visit_means - mean) ** 2, axis=0) / (n_visits - 1)
    left = table - visit_means[:, None] - subject_means[None] + mean
    df = (n_visits - 1) * (n_subjects - 1)
    expected = between / (np.sum(left**2, axis=(0, 1)) / df)
    for method in slow.METHODS:
        fit = fit_repeated(X, Y, subjects, df=method)
        assert not fit.at_boundary.any()
        found = fit.contrast(np.diff(np.eye(n_visits), axis=0))
        assert isinstance(found.df, tuple)
        np.testing.assert_allclose(found.stat, expected, rtol=1e-10)
        np.testing.assert_allclose(found.df[1], df, rtol=1e-10)
        pair = fit.contrast([1, -1, 0, 0])
        np.testing.assert_allclose(pair.df, df, rtol=1e-10)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "subjects",
            "a level for every subject, by the columns '0', '1', '2' and '3'.*model='ols'",
        ),
        ("images", "no residual degrees of freedom"),
        ("within", "leaves the variance between subjects and that within them to be told apart"),
    ],
)
def test_designs_that_cannot_tell_the_variances_apart_are_refused(
    columns: str, message: str
) -> None:
    subjects = np.repeat(np.arange(4), 2)
    turn = np.tile([-1.0, 1.0], 4)
    every = np.eye(4)[subjects]
    X = {
        "subjects": np.column_stack([every, turn]),
        "images": np.eye(8),
        "within": every * turn[:, None],
    }[columns]
    with pytest.raises(ValueError, match=message):
        fit_repeated(X, np.zeros((8, 2)), subjects)


def test_infinite_values_are_named_in_the_order_given(study: Study) -> None:
    Y = study.Y.copy()
    Y[13, [2, 5]] = np.inf
    with pytest.raises(ValueError, match=r"Y holds 2 infinite values in row 14 \(Y\[13\]\)"):
        fit_repeated(study.X, Y, study.subjects)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    large = Study(5000, seed=4)
    Y = large.with_missing().astype(np.float32)
    one, other = (fit_repeated(large.X, Y, large.subjects, n_threads=n) for n in (1, 3))
    for name in ("subject_variance", "residual_variance", "beta"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    some, others = (fit.contrast([0, 0, 1, 0]) for fit in (one, other))
    np.testing.assert_array_equal(some.z_score, others.z_score)
