# SPDX-License-Identifier: BSD-3-Clause
"""Repeated measures against R: lme4, lmerTest, pbkrtest, nlme and aov, by tables kept here.

lme4's estimates are those of its highest maximum, found from many starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from groupglm import fit_repeated
from reference import lme4, repeated
from reference.lme4 import BALANCED, BALANCED_EFFECTS, NESTED, UNBALANCED, Study
from reference.ols import FloatArray

# The variances of the tables are where Newton's steps by numerical derivatives (of 1e-10) end. What
# is read of them moves by less than their own relative error, times some units.
B_RTOL, SE_RTOL, KR_RTOL = 1e-6, 1e-6, 1e-5
CRITERION_ATOL = 1e-8
# lmerTest derives by finite differences.
SATTERTHWAITE_RTOL = 1e-3


@dataclass(frozen=True)
class Statistics:
    """What a test of one contrast yields, an entry a voxel."""

    effect: FloatArray
    se: FloatArray | None
    stat: FloatArray
    df: FloatArray
    p: FloatArray  # two-sided


@dataclass(frozen=True)
class Side:
    """A fit, ours or the slow one."""

    criterion: FloatArray
    subject_variance: FloatArray
    family_variance: FloatArray | None
    residual_variance: FloatArray
    contrast: Callable[[FloatArray, str], Statistics]


def ours(study: Study) -> Side:
    """Return the package's numbers, from arrays."""
    covariance = "random intercept" if study.families is None else "nested"
    fits: dict[str, Any] = {
        method: fit_repeated(
            study.X,
            study.Y,
            study.subjects,
            families=study.families,
            covariance=covariance,
            df=method,
            n_threads=1,
        )
        for method in repeated.METHODS
    }

    def contrast(c: FloatArray, method: str) -> Statistics:
        plus = fits[method].contrast(c)
        if c.ndim == 2:
            return Statistics(plus.effect_size, None, plus.stat, plus.df[1], plus.p_value)
        p = 2 * np.minimum(plus.p_value, fits[method].contrast(-c).p_value)
        return Statistics(plus.effect_size, np.sqrt(plus.effect_variance), plus.stat, plus.df, p)

    fit: Any = fits["kenward-roger"]
    families = None if study.families is None else fit.family_variance
    return Side(fit.reml_criterion, fit.subject_variance, families, fit.residual_variance, contrast)


def slow(study: Study) -> Side:
    """Return the numbers of the reference, which other tests compare with."""
    fit = repeated.fit(study.X, study.Y, study.subjects, families=study.families)

    def contrast(c: FloatArray, method: str) -> Statistics:
        plus = repeated.contrast(fit, c, method)
        if c.ndim == 2:
            return Statistics(plus.effect_size, None, plus.stat, plus.df, plus.p_value)
        p = 2 * np.minimum(plus.p_value, repeated.contrast(fit, -c, method).p_value)
        return Statistics(plus.effect_size, np.sqrt(plus.covariance[0, 0]), plus.stat, plus.df, p)

    families = None if study.families is None else fit.family_variance
    return Side(fit.criterion, fit.subject_variance, families, fit.residual_variance, contrast)


both_sides = pytest.mark.parametrize("side", [ours, slow])


def close(
    found: Any, wanted: FloatArray, rtol: float, slack: FloatArray | float, what: str
) -> None:
    """Compare with a part of the wanted number, and an absolute slack where one is derived."""
    found = np.asarray(found)
    excess = np.abs(found - wanted) - (rtol * np.abs(wanted) + slack)
    wrong = ~(excess <= 0)
    at = np.flatnonzero(wrong)
    assert not wrong.any(), f"{what}: {found[wrong]}, by R {wanted[wrong]}, at voxels {at}"


def check_variances(side: Side, study: Study) -> None:
    """Compare the criterion and the variances; where one is zero it is exactly so."""
    close(side.criterion, study.of("criterion"), 0.0, CRITERION_ATOL, "criterion")
    residual = study.of("residual")
    close(side.residual_variance, residual, 1e-6, 0.0, "residual variance")
    pairs = [(side.subject_variance, study.of("subject"), "subject variance")]
    if side.family_variance is not None:
        pairs.append((side.family_variance, study.of("family"), "family variance"))
    for found, wanted, what in pairs:
        close(found, wanted, 1e-5, 1e-6 * residual, what)
        np.testing.assert_array_equal(np.asarray(found) == 0, wanted == 0, err_msg=what)


def check_columns(side: Side, study: Study) -> None:
    """Compare the t test of every column, by both methods."""
    p = study.X.shape[1]
    for method, short, df_rtol in (
        ("kenward-roger", "kr", KR_RTOL),
        ("satterthwaite", "st", SATTERTHWAITE_RTOL),
    ):
        for j in range(p):
            found = side.contrast(np.eye(p)[j], method)
            b, se = study.of(f"b{j}"), study.of(f"{short}_se{j}")
            what = f"{method}, column {j}: "
            # An effect that is nearly zero is a difference of numbers of its error's size.
            close(found.effect, b, B_RTOL, B_RTOL * se, what + "coefficient")
            assert found.se is not None
            close(found.se, se, SE_RTOL, 0.0, what + "standard error")
            close(found.stat, b / se, 2 * SE_RTOL, 2 * B_RTOL, what + "statistic")
            close(found.df, study.of(f"{short}_df{j}"), df_rtol, 0.0, what + "df")
            # d log p / d log |t| is below 1 + t^2, and d log p / d log df below that times one.
            slack = (df_rtol + 3 * B_RTOL) * (1 + (b / se) ** 2) * study.of(f"{short}_p{j}")
            close(found.p, study.of(f"{short}_p{j}"), 0.0, slack, what + "p")


def check_joint(side: Side, study: Study, rows: FloatArray, at: str) -> None:
    """Compare an F test, by both methods."""
    for method, short, df_rtol in (
        ("kenward-roger", "kr", KR_RTOL),
        ("satterthwaite", "st", SATTERTHWAITE_RTOL),
    ):
        found = side.contrast(rows, method)
        stat = study.of(f"{at}_{short}_f")
        close(found.stat, stat, KR_RTOL, KR_RTOL, f"{method}, {at}: F")
        close(found.df, study.of(f"{at}_{short}_df"), df_rtol, 0.0, f"{method}, {at}: df")
        p = study.of(f"{at}_{short}_p")
        slack = 3 * df_rtol * (1 + len(rows) * stat) * p
        close(found.p, p, 0.0, slack, f"{method}, {at}: p")


def check(side: Side, study: Study) -> None:
    """Compare all numbers of a study."""
    p = study.X.shape[1]
    check_variances(side, study)
    check_columns(side, study)
    if p > 1:
        check_joint(side, study, np.eye(p)[1:], "all")
    if p > 2:
        check_joint(side, study, np.eye(p)[-2:], "two")


@both_sides
@pytest.mark.parametrize("name", UNBALANCED)
def test_unbalanced_visits(side: Callable[[Study], Side], name: str) -> None:
    study = lme4.study(name)
    assert study.Y.shape[1] == 200
    check(side(study), study)


def test_the_tables_have_what_they_are_for() -> None:
    studies = {name: lme4.study(name) for name in UNBALANCED}
    assert np.mean(studies["boundary"].of("subject") == 0) > 0.4
    assert np.mean(np.isnan(studies["missing"].Y).any(axis=0)) == 0.75
    for name, study in studies.items():
        sizes = np.unique(study.subjects, return_counts=True)[1]
        assert len(np.unique(sizes)) > 1, name
        assert np.any(study.of("subject") > 0)
    assert max(np.unique(studies["covariates"].subjects, return_counts=True)[1]) == 6


@both_sides
@pytest.mark.parametrize("name", NESTED)
def test_subjects_in_families(side: Callable[[Study], Side], name: str) -> None:
    study = lme4.study(name)
    # At all four corners and edges of the two variances.
    kinds = np.stack([study.of("subject") > 0, study.of("family") > 0])
    _, first = np.unique(kinds, axis=1, return_index=True)
    assert len(first) == 4
    if side is slow:  # which takes seconds a voxel
        study = study.some(first)
    check(side(study), study)


@pytest.mark.parametrize(
    ("side", "name"),
    [
        *((ours, name) for name in (*UNBALANCED, *NESTED)),
        *((slow, name) for name in UNBALANCED[:2]),
    ],
)
def test_nlme_agrees(side: Callable[[Study], Side], name: str) -> None:
    """A second opinion; nlme searches standard deviations on a log scale, which has no zero."""
    study = lme4.study(name)
    found, theirs = side(study), study.of("nlme_criterion")
    there = np.isfinite(theirs)
    assert there.mean() > 0.5
    # Its search may stop early, and does at the boundary, but never below our minimum.
    assert np.all(found.criterion[there] <= theirs[there] + CRITERION_ATOL)
    inside = there & (study.of("subject") > 0.01 * study.of("residual"))
    if study.families is not None:
        inside &= study.of("family") > 0.01 * study.of("residual")
    assert inside.sum() > 5
    close(found.criterion[inside], theirs[inside], 0.0, 1e-6, "nlme's criterion")


@both_sides
@pytest.mark.parametrize("name", BALANCED)
def test_balanced_designs_are_analysis_of_variance(
    side: Callable[[Study], Side], name: str
) -> None:
    study = lme4.study(name)
    found = side(study)
    # Where a variance is at zero, analysis of variance divides by another mean square.
    assert np.all(found.subject_variance > 0)
    p = study.X.shape[1]
    for effect, columns in BALANCED_EFFECTS[name].items():
        tested = found.contrast(np.eye(p)[list(columns)], "kenward-roger")
        # F of aov is a ratio of sums of squares of some 50 numbers of size 20: 1e-10 beside one.
        close(tested.stat, study.of(f"{effect}_f"), 1e-10, 1e-10, f"{effect}: F")
        close(tested.df, study.of(f"{effect}_df2"), 1e-10, 0.0, f"{effect}: df")
        # d log p / d log F is below 1 + df1 F.
        slack = 1e-9 * (1 + len(columns) * study.of(f"{effect}_f")) * study.of(f"{effect}_p")
        close(tested.p, study.of(f"{effect}_p"), 0.0, slack, f"{effect}: p")


# As they are printed by lme4 and in its publications: criterion, variances, coefficients.
PRINTED: dict[str, tuple[float, dict[str, float], tuple[float, ...]]] = {
    "dyestuff": (319.6543, {"subject": 1764.05, "residual": 2451.25}, (1527.5,)),
    "dyestuff2": (161.8283, {"subject": 0.0, "residual": 13.806}, (5.6656,)),
    "pastes": (246.9907, {"subject": 8.434, "family": 1.657, "residual": 0.678}, (60.0533,)),
    "sleepstudy": (1786.4651, {"subject": 1378.18, "residual": 960.46}, (251.4051, 10.4673)),
}


@both_sides
@pytest.mark.parametrize("name", PRINTED)
def test_published_data(side: Callable[[Study], Side], name: str) -> None:
    study = lme4.study(name)
    found = side(study)
    criterion, variances, coefficients = PRINTED[name]
    assert found.criterion[0] == pytest.approx(criterion, abs=6e-5)
    for part, value in variances.items():
        digits = len(str(value).partition(".")[2])
        assert getattr(found, f"{part}_variance")[0] == pytest.approx(value, abs=0.51 / 10**digits)
    for j, b in enumerate(coefficients):
        tested = found.contrast(np.eye(len(coefficients))[j], "kenward-roger")
        assert tested.effect[0] == pytest.approx(b, abs=6e-5)
    check(found, study)


@both_sides
def test_at_the_boundary_the_batches_still_count(side: Callable[[Study], Side]) -> None:
    """Dyestuff2: no variance of the batches, yet Kenward-Roger counts six of them.

    Satterthwaite's derivatives there are those of the residual variance alone.
    """
    found = side(lme4.study("dyestuff2"))
    assert found.contrast(np.ones(1), "kenward-roger").df[0] == pytest.approx(5, rel=1e-9)
    assert found.contrast(np.ones(1), "satterthwaite").df[0] == pytest.approx(29, rel=1e-9)


def test_two_degrees_of_freedom_where_a_direction_has_no_more() -> None:
    """lmerTest's rule for F of several rows, where families are few; ours for nested effects."""
    rng = np.random.default_rng(7)
    subjects = np.repeat(np.arange(8), 3)
    families = subjects // 2
    X = np.column_stack([np.ones(24), families % 2, rng.normal(size=24)])
    Y = rng.normal(size=(24, 40)) + 2 * rng.normal(size=(4, 40))[families]
    wanted = repeated.contrast(
        repeated.fit(X, Y, subjects, families=families), np.eye(3)[:2], "satterthwaite"
    ).df
    fit = fit_repeated(
        X, Y, subjects, families=families, covariance="nested", df="satterthwaite"
    ).contrast(np.eye(3)[:2])
    assert np.sum(wanted == 2) > 10
    assert np.sum(wanted != 2) > 3
    np.testing.assert_allclose(fit.df[1], wanted, rtol=1e-5)
