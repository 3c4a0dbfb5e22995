# SPDX-License-Identifier: BSD-3-Clause
"""A random intercept of each subject against dense REML, one place at a time."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import linalg

from groupglm import fit_repeated
from groupglm.errors import ArgumentError, NotEstimableError, RankDeficientWarning
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


@pytest.mark.parametrize(("n_subjects", "n_groups"), [(4, 2), (5, 3), (6, 3), (9, 3)])
def test_means_of_balanced_groups_have_the_f_of_anova_on_any_degrees_of_freedom(
    n_subjects: int, n_groups: int
) -> None:
    rng = np.random.default_rng(n_subjects)
    subjects = np.repeat(np.arange(n_subjects), 2)
    own = np.arange(n_groups)
    X = (subjects[:, np.newaxis] % n_groups == own).astype(float)
    Y = rng.normal(size=(len(X), 50)) + 2 * rng.normal(size=(n_subjects, 50))[subjects]
    fit = fit_repeated(X, Y, subjects)
    found = fit.contrast(np.eye(n_groups), stat_type="F")
    # Means of subjects, of one image each, hold all that is between subjects.
    means = (Y[::2] + Y[1::2]) / 2
    few = X[::2]
    b, rss = np.linalg.lstsq(few, means, rcond=None)[:2]
    df = n_subjects - n_groups
    wanted = (b**2 * few.sum(axis=0)[:, np.newaxis]).sum(axis=0) / n_groups / (rss / df)
    inner = ~fit.at_boundary
    assert inner.sum() > 25
    assert isinstance(found.df, tuple)
    np.testing.assert_allclose(found.stat[inner], wanted[inner], rtol=1e-8)
    np.testing.assert_allclose(np.broadcast_to(found.df[1], 50)[inner], df, rtol=1e-8)


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
        ("within", "no residual degree of freedom: 8 images of 4 subjects have 4 differences"),
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


def test_the_lowest_of_several_minima_is_found() -> None:
    """Of the restricted likelihood, against the lowest of 4,000 points."""
    rng = np.random.default_rng(0)
    n_places, n_several = 0, 0
    for sizes in ([2, 3, 3, 2], [2, 2, 3, 3], [3, 1, 1, 3], [1, 2, 1, 2, 2], [8, 1, 1, 20, 2]):
        subjects = np.repeat(np.arange(len(sizes)), sizes)
        n = len(subjects)
        X = np.column_stack([np.ones(n), rng.normal(size=len(sizes))[subjects]])
        X[:, 1] += 0.01 * rng.normal(size=n)
        levels = rng.standard_t(1.2, size=(len(sizes), 1000))
        Y = 0.1 * rng.standard_t(1.5, size=(n, 1000)) + levels[subjects]
        fit = fit_repeated(X, Y, subjects)
        # The criterion by the eigenvalues of K'ZZ'K, K a basis of what X leaves.
        K = linalg.null_space(X.T)
        d, Q = np.linalg.eigh(K.T @ slow.same(subjects) @ K)
        d = np.where(d > 1e-9, d, 0)
        squares = (Q.T @ K.T @ Y) ** 2
        grid = np.concatenate([[0], np.geomspace(1e-5, 1e6, 3999)])
        size = 1 + np.multiply.outer(grid, d)
        values = len(d) * np.log((1 / size) @ squares) + np.log(size).sum(axis=1)[:, None]
        ratio = fit.subject_variance / fit.residual_variance
        own = 1 + ratio * d[:, None]
        found = len(d) * np.log(np.sum(squares / own, axis=0)) + np.log(own).sum(axis=0)
        # The criterion is flat to the rounding of its terms of size 100.
        known = ~np.isnan(ratio)
        assert (found[known] <= values.min(axis=0)[known] + 1e-11).all()
        np.testing.assert_array_equal(np.argmin(values[:, ~known], axis=0), len(grid) - 1)
        inner = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
        n_minima = inner.sum(axis=0) + (values[0] < values[1])
        n_several += int(np.count_nonzero(n_minima > 1))
        n_places += len(n_minima)
    assert n_several > 20, f"{n_several} of {n_places}"


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e100, 2.0**-900])
@pytest.mark.parametrize("missing", [False, True])
def test_values_may_be_large_or_small(study: Study, factor: float, missing: bool) -> None:
    Y = study.with_missing() if missing else study.Y
    one, other = (fit_repeated(study.X, data, study.subjects) for data in (Y, Y * factor))
    np.testing.assert_allclose(
        other.intraclass_correlation, one.intraclass_correlation, rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(other.mean, one.mean * factor, rtol=1e-12, atol=1e-13 * factor)
    for contrast in (T, CONTRASTS["two rows"]):
        found, expected = (fit.contrast(contrast) for fit in (other, one))
        np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-10, atol=1e-12)


def test_one_subject_is_refused_as_such() -> None:
    with pytest.raises(ArgumentError, match="all 4 images are of one subject, 'a': nothing is"):
        fit_repeated(np.ones((4, 1)), np.arange(8.0).reshape(4, 2), list("aaaa"))


def test_values_whose_differences_double_does_not_hold_are_refused(study: Study) -> None:
    with pytest.raises(ArgumentError, match=r"beyond 1e306.*another unit") as caught:
        fit_repeated(study.X, study.Y * 1e307, study.subjects)
    assert caught.value.argument == "Y"


def test_data_that_do_not_vary_have_no_effect_and_no_variance(study: Study) -> None:
    """Zeros, a constant, a sum of columns; levels alone, whose likelihood has no maximum."""
    levels = np.sin(study.subjects.astype(float))
    few = np.full(len(levels), np.nan)
    few[:3] = study.Y[:3, 0]
    one_each = np.where(
        np.isin(np.arange(len(levels)), np.unique(study.subjects, return_index=True)[1]),
        study.Y[:, 0],
        np.nan,
    )
    X = study.X
    nothing = np.full(len(levels), np.nan)
    Y = np.column_stack([0 * levels, 0 * levels + 3.7, X @ [1, 2, 3, 4.0], levels, few, one_each,
                         nothing])  # fmt: skip
    for df in slow.METHODS:
        fit = fit_repeated(X, Y, study.subjects, df=df)
        result = fit.contrast(T)
        unknown = [False] * 3 + [True] * 4
        for values in (fit.subject_variance, fit.beta[2], fit.reml_criterion, result.stat,
                       fit.contrast(CONTRASTS["two rows"]).stat):  # fmt: skip
            np.testing.assert_array_equal(np.isnan(values), unknown)
        np.testing.assert_array_equal(fit.residual_variance[:3], 0)
        np.testing.assert_array_equal(result.stat[:3], [0, 0, np.inf])
        np.testing.assert_array_equal(result.z_score[:3], [0, 0, np.inf])
        np.testing.assert_array_equal(fit.n_observations, np.isfinite(Y).sum(axis=0))
        np.testing.assert_array_equal(fit.n_subjects[-3:], [len(set(study.subjects[:3])), 20, 0])


def test_strides_do_not_matter(study: Study) -> None:
    Y = study.with_missing()
    fit = fit_repeated(study.X, Y, study.subjects)
    for same in (np.asfortranarray(Y), Y[:, ::-1].copy()[:, ::-1], np.repeat(Y, 3, axis=1)[:, ::3]):
        other = fit_repeated(study.X, same, study.subjects)
        np.testing.assert_array_equal(other.subject_variance, fit.subject_variance)
        np.testing.assert_array_equal(other.beta, fit.beta)


def test_rows_are_matched_by_label(study: Study) -> None:
    names = [f"image {number}" for number in range(len(study.X))]
    X = pd.DataFrame(study.X, index=names, columns=["one", "group", "time", "both"])
    Y: Any = pd.DataFrame(study.Y, index=names)
    subjects = pd.Series(study.subjects, index=names)
    expected = fit_repeated(X, Y, subjects)
    order = np.random.default_rng(5).permutation(len(names))
    found = fit_repeated(X, Y, subjects.iloc[order])
    np.testing.assert_array_equal(found.beta, expected.beta)
    assert expected.column_names == ("one", "group", "time", "both")
    with pytest.raises(ValueError, match="subjects has no row for image 0"):
        fit_repeated(X, Y, subjects.iloc[1:])


def test_a_contrast_that_the_design_confounds_is_refused(study: Study) -> None:
    twice = np.column_stack([study.X, study.X[:, 1]])
    with pytest.warns(RankDeficientWarning, match="'1' and '4'"):
        fit = fit_repeated(twice, study.Y, study.subjects)
    with pytest.raises(NotEstimableError, match="'1' and '4'"):
        fit.contrast([0, 1, 0, 0, 0])
    expected = fit_repeated(study.X, study.Y, study.subjects)
    np.testing.assert_allclose(fit.subject_variance, expected.subject_variance, 1e-9, atol=1e-11)
    found, wanted = fit.contrast([0, 1, 0, 0, 1]), expected.contrast([0, 1, 0, 0])
    np.testing.assert_allclose(found.stat, wanted.stat, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.df, wanted.df, rtol=1e-9)


def test_a_pickled_fit_is_the_fit(study: Study) -> None:
    fit = fit_repeated(study.X, study.with_missing(), study.subjects)
    again = pickle.loads(pickle.dumps(fit))  # noqa: S301 (made one line above)
    assert repr(again) == repr(fit)
    assert "50 images of 20 subjects, random intercept: 60 voxels" in repr(fit)
    np.testing.assert_array_equal(again.contrast(T).z_score, fit.contrast(T).z_score)
    np.testing.assert_array_equal(again.reml_criterion, fit.reml_criterion)
