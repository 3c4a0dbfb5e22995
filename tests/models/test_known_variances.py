# SPDX-License-Identifier: BSD-3-Clause
"""Where a design and the images of a place leave nothing of a variance, there is no estimate.

The rule is that of ranks, with F and Z the indicators of families and of subjects:
rank X < rank [X F] < rank [X Z] < n. All places that have the same images are alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from groupglm import fit_repeated
from groupglm.errors import ArgumentError, RankDeficientWarning
from reference import repeated as reference

Floats = npt.NDArray[np.float64]
N_SUBJECTS = 16
N_PLACES = 60


class Visits:
    """Sixteen subjects, two of a family, with two visits; a covariate differs between visits."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.subjects = np.repeat(np.arange(N_SUBJECTS), 2)
        self.families = self.subjects // 2
        self.visit = np.tile([0, 1], N_SUBJECTS)
        n = len(self.subjects)
        group = (self.families % 2).astype(float)
        age = rng.normal(size=n)
        self.X = np.column_stack([np.ones(n), group, age, age * group])
        level = rng.normal(size=(N_SUBJECTS, N_PLACES)) * rng.choice([0.0, 1, 30], N_PLACES)
        self.Y = rng.normal(size=(n, N_PLACES)) + level[self.subjects]

    def lacking(self, keep: npt.NDArray[np.bool_]) -> Floats:
        """Return the data without the images that are not kept, and one place with all."""
        Y = np.where(keep[:, None], self.Y, np.nan)
        Y[:, -1] = self.Y[:, -1]
        return Y

    def fit(self, Y: Floats, *, nested: bool, rows: Any = slice(None)) -> Any:
        options: dict[str, Any] = {}
        if nested:
            options = {"covariance": "nested", "families": self.families[rows]}
        return fit_repeated(self.X[rows], Y[rows], self.subjects[rows], **options)

    def second_visits(self, number: int) -> npt.NDArray[np.bool_]:
        """Return which images are there if so many subjects, of both groups, come again."""
        come = np.isin(self.subjects, [0, 2, 4, 6, 8, 10][:number])
        return np.asarray((self.visit == 0) | come)


VISITS = Visits()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, "have 1 difference within subjects, which the column '2' takes up; give more"),
        (2, "have 2 differences within subjects, which the columns '2' and '3' take up; give"),
    ],
)
def test_a_design_that_absorbs_what_differs_within_subjects_has_no_estimate(
    number: int, told: str, nested: bool
) -> None:
    """Rounding decided, which of these places had numbers, and some had no maximum."""
    keep = VISITS.second_visits(number)
    assert np.count_nonzero(keep) - N_SUBJECTS == number  # two columns differ within subjects
    Y = VISITS.lacking(keep)
    fit = VISITS.fit(Y, nested=nested)
    for found in (fit.subject_variance, fit.residual_variance, fit.reml_criterion, fit.beta[0]):
        np.testing.assert_array_equal(np.isnan(found), np.arange(N_PLACES) < N_PLACES - 1)
    for contrast in ([0.0, 1, 0, 0], [[0.0, 0, 1, 0], [0, 0, 0, 1]]):
        assert np.isnan(fit.contrast(contrast).stat[:-1]).all()
    with pytest.raises(ArgumentError, match=told):
        VISITS.fit(Y, nested=nested, rows=keep)


@pytest.mark.parametrize("nested", [False, True])
def test_one_difference_more_than_columns_has_the_numbers_of_dense_matrices(nested: bool) -> None:
    Y = VISITS.lacking(VISITS.second_visits(3))[:, :4]
    fit = VISITS.fit(Y, nested=nested)
    families = VISITS.families if nested else None
    wanted = reference.fit(VISITS.X, Y, VISITS.subjects, families=families)
    assert np.isfinite(wanted.residual_variance).all()
    # The ratios are up to 1e5: y'Py is known to 1e-16 of a sum that is as much larger.
    np.testing.assert_allclose(fit.residual_variance, wanted.residual_variance, rtol=1e-10)
    contrast = np.array([0.0, 1, 0, 0])
    found, expected = fit.contrast(contrast), reference.contrast(wanted, contrast)
    np.testing.assert_allclose(found.stat, expected.stat, rtol=1e-9)
    np.testing.assert_allclose(found.df, expected.df, rtol=1e-8)


def of_one_family_a_group(own: Visits) -> npt.NDArray[np.bool_]:
    return np.asarray(own.families < 2)


def of_one_subject_a_family(own: Visits) -> npt.NDArray[np.bool_]:
    return np.asarray(own.subjects % 2 == 0)


def of_one_visit(own: Visits) -> npt.NDArray[np.bool_]:
    return np.asarray(own.visit == 0)


@pytest.mark.parametrize("kept", [of_one_family_a_group, of_one_subject_a_family, of_one_visit])
def test_a_family_that_the_design_stands_for_has_no_variance(
    kept: Callable[[Visits], npt.NDArray[np.bool_]],
) -> None:
    """With one family of each group left, groups are families, and had a test all the same."""
    keep = kept(VISITS)
    Y = VISITS.lacking(keep)
    fit = VISITS.fit(Y, nested=True)
    for found in (fit.family_variance, fit.contrast([0.0, 1, 0, 0]).stat):
        np.testing.assert_array_equal(np.isnan(found), np.arange(N_PLACES) < N_PLACES - 1)
    with pytest.raises(ArgumentError):
        VISITS.fit(Y, nested=True, rows=keep)


def test_subjects_of_a_family_that_the_design_stands_for_have_no_variance() -> None:
    """One family has two subjects left, and a column is their difference."""
    own = Visits()
    own.X = np.column_stack([own.X, (own.subjects == 0) - 1.0 * (own.subjects == 1)])
    keep = (own.subjects % 2 == 0) | (own.subjects == 1)
    Y = own.lacking(keep)
    fit = own.fit(Y, nested=True)
    np.testing.assert_array_equal(
        np.isnan(fit.subject_variance), np.arange(N_PLACES) < N_PLACES - 1
    )
    with pytest.raises(ArgumentError, match="columns that stand for all subjects"):
        own.fit(Y, nested=True, rows=keep)


@pytest.mark.parametrize("nested", [False, True])
def test_a_place_has_numbers_where_a_fit_of_its_images_is_not_refused(nested: bool) -> None:
    """The rule for the images of a place, which is compiled, is that for a whole design."""
    n_places, n_unknown = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n_subjects = int(rng.integers(4, 9))
        sizes = rng.integers(1, 4, n_subjects)
        sizes[:2] = np.maximum(sizes[:2], 2)
        subjects = np.repeat(np.arange(n_subjects), sizes)
        n = len(subjects)
        families = rng.integers(0, max(2, n_subjects // 2), n_subjects)[subjects]
        columns = [
            rng.normal(size=n_subjects)[subjects],
            rng.normal(size=n),
            np.concatenate([np.arange(size) for size in sizes]).astype(float),
            (families == 0).astype(float),
            1e6 * rng.normal(size=n_subjects)[subjects] + rng.normal(size=n),
        ]
        chosen = rng.integers(0, len(columns), int(rng.integers(0, 4)))
        X = np.column_stack([np.ones(n), *(columns[number] for number in chosen)])
        Y = rng.normal(size=(n, 8))
        Y[rng.random(Y.shape) < 0.35] = np.nan

        def variance(rows: Any, values: Floats) -> Floats:
            options: dict[str, Any] = {}
            if nested:
                options = {"covariance": "nested", "families": families[rows]}  # noqa: B023
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RankDeficientWarning)
                fit = fit_repeated(X[rows], values, subjects[rows], n_threads=1, **options)  # noqa: B023
            return np.asarray(fit.residual_variance)

        Y[:, 7] = rng.normal(size=n)  # the design is that of all images
        try:
            found = variance(np.arange(n), Y)
        except ArgumentError:
            continue
        for place, own in enumerate(found[:7]):
            rows = np.flatnonzero(~np.isnan(Y[:, place]))
            try:
                wanted = variance(rows, Y[rows][:, [place]])[0]
            except ArgumentError:
                wanted = np.nan
            np.testing.assert_allclose(own, wanted, rtol=1e-6, err_msg=f"{seed}, {place}")
            n_places, n_unknown = n_places + 1, n_unknown + bool(np.isnan(wanted))
    assert 20 < n_unknown < n_places - 20
