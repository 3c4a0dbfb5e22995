# SPDX-License-Identifier: BSD-3-Clause
"""Missing values: every voxel must be the ordinary fit of the rows that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from groupglm import fit_ols
from reference import designs, ols
from reference.designs import GroupDesign

pytestmark = pytest.mark.quick

Floats = npt.NDArray[np.floating]

# Rows left out raise the condition number of what remains, to 1e4 at worst here.
RTOL = 1e-9
FIT_FIELDS = ("beta", "residual_variance", "rss", "r_square", "df_residual", "rank")
CONTRAST_FIELDS = ("effect_size", "effect_variance", "stat", "p_value", "z_score")

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_design = pytest.mark.parametrize("design", designs.all_designs(), ids=lambda d: d.name)


def at_random(Y: Floats, rng: np.random.Generator) -> Floats:
    """Drop a different handful of rows in most voxels; some voxels stay complete."""
    Y[rng.random(Y.shape) < rng.choice([0.0, 0.05, 0.3], size=Y.shape[1])] = np.nan
    return Y


def in_blocks(Y: Floats, rng: np.random.Generator) -> Floats:
    """Each image misses a run of voxels, as at the edge of a field of view."""
    for row in Y:
        start = rng.integers(Y.shape[1])
        row[start : start + rng.integers(1, 25)] = np.nan
    return Y


def one_subject(Y: Floats, rng: np.random.Generator) -> Floats:
    """One image has nothing at all."""
    Y[rng.integers(len(Y))] = np.nan
    return Y


def empty_voxels(Y: Floats, rng: np.random.Generator) -> Floats:
    """Some voxels have no data, and some a single row."""
    Y[:, ::5] = np.nan
    Y[1:, 1::5] = np.nan
    return Y


def growing(Y: Floats, rng: np.random.Generator) -> Floats:
    """Voxel v keeps v rows, from none to all: every number of rows occurs."""
    for v in range(Y.shape[1]):
        Y[rng.permutation(len(Y))[v % (len(Y) + 1) :], v] = np.nan
    return Y


PATTERNS: tuple[Callable[[Floats, np.random.Generator], Floats], ...] = (
    at_random,
    in_blocks,
    one_subject,
    empty_voxels,
    growing,
)
each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda f: f.__name__)


def assert_close_where_known(found: Any, wanted: Any, slack: Any) -> None:
    """Compare: NaN in the same places, and equal elsewhere except for `slack` from rounding."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    known = ~np.isnan(wanted)
    slack = np.broadcast_to(slack, wanted.shape)
    error = np.abs(found - wanted)[known]
    assert np.all(error <= (RTOL * np.abs(wanted) + slack)[known]), error.max()


def typical(values: Any) -> float:
    """Give the median size of what is known."""
    known = np.abs(np.asarray(values))[~np.isnan(values)]
    return float(np.median(known)) if known.size else 0.0


def per_voxel(value: Any, n_voxels: int) -> npt.NDArray[np.int64]:
    """Spread what may be one number or one a voxel (an image missing everywhere is one number)."""
    return np.broadcast_to(np.asarray(value), (n_voxels,))


@both_dtypes
@each_pattern
@each_design
def test_each_voxel_equals_the_fit_of_its_rows(
    design: GroupDesign, pattern: Callable[..., Floats], dtype: npt.DTypeLike
) -> None:
    rng = np.random.default_rng(len(design.X))
    Y = pattern(designs.simulate(design, 75, seed=5, dtype=dtype), rng)
    fit, wanted = designs.fit_quietly(design.X, Y), ols.fit(design.X, Y)

    for name in ("n_observations", "rank", "df_residual"):
        np.testing.assert_array_equal(
            per_voxel(getattr(fit, name), 75), getattr(wanted, name), err_msg=name
        )
    # A fit without a residual degree of freedom leaves rounding only: what it is relative to is
    # the size of the voxel's data.
    size = np.nanmax(np.abs(np.where(np.isnan(Y), 0.0, Y)), axis=0) + 1.0
    fitted = wanted.df_residual > 0
    np.testing.assert_array_equal(np.isnan(fit.residual_variance), ~fitted)
    assert_close_where_known(fit.rss[fitted], wanted.rss[fitted], RTOL * size[fitted] ** 2)
    assert_close_where_known(
        fit.residual_variance[fitted], wanted.residual_variance[fitted], RTOL * size[fitted] ** 2
    )
    share, wanted_share = fit.r_square[fitted], wanted.r_square[fitted]
    np.testing.assert_allclose(share, wanted_share, rtol=RTOL, atol=1e-9)
    for row, wanted_row in zip(fit.beta, wanted.beta, strict=True):
        assert_close_where_known(row[fitted], wanted_row[fitted], RTOL * typical(wanted_row))

    for c in design.contrasts:
        found, reference = fit.contrast(c), ols.contrast(wanted, c)
        for name in CONTRAST_FIELDS:
            a, b = getattr(found, name), getattr(reference, name)
            slack = RTOL if name == "p_value" else RTOL * typical(b)
            if name != "p_value":
                # The statistic of a nearly perfect fit is as uncertain as its variance.
                slack = slack + 1e-7 * np.abs(b) * (wanted.rss < 1e-4)
            assert_close_where_known(a, b, slack)


def test_a_whole_group_missing_takes_only_its_contrasts() -> None:
    design = designs.anova()
    Y = designs.simulate(design, 12, seed=6)
    Y[design.X[:, 0] == 1.0, 4] = np.nan
    fit = designs.fit_quietly(design.X, Y)
    with_group = fit.contrast([1.0, -1.0, 0.0, 0.0])
    without = fit.contrast([0.0, 1.0, -1.0, 0.0])
    f = fit.contrast([[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]])
    for name in CONTRAST_FIELDS:
        np.testing.assert_array_equal(np.isnan(getattr(with_group, name)), np.arange(12) == 4)
        assert np.all(np.isfinite(getattr(without, name)))
        lost = np.isnan(getattr(f, name))
        assert np.all(lost == (np.arange(12) == 4))
    assert fit.rank[4] == 3
    assert np.all(np.delete(fit.rank, 4) == 4)
    # With two groups left the other contrast is that of the design without the third.
    rows = design.X[:, 0] == 0.0
    alone = fit_ols(design.X[rows][:, 1:], Y[rows][:, [4]]).contrast([1.0, -1.0, 0.0])
    np.testing.assert_allclose(without.stat[4], alone.stat[0], rtol=1e-11)


def test_types_of_n_rank_and_df() -> None:
    design = designs.two_sample()
    Y = designs.simulate(design, 10)
    whole = fit_ols(design.X, Y)
    for name in ("n_observations", "rank", "df_residual"):
        assert type(getattr(whole, name)) is int
    Y[3, 2] = np.nan
    holed = fit_ols(design.X, Y)
    for name in ("n_observations", "rank", "df_residual"):
        value = getattr(holed, name)
        assert isinstance(value, np.ndarray)
        assert value.shape == (10,)
        assert np.issubdtype(value.dtype, np.integer)
    np.testing.assert_array_equal(holed.n_observations, 22 - (np.arange(10) == 2))
    np.testing.assert_array_equal(holed.df_residual, 19 - (np.arange(10) == 2))


def test_complete_voxels_do_not_notice_their_neighbours() -> None:
    design = designs.regression()
    Y = designs.simulate(design, 200, seed=7)
    whole = fit_ols(design.X, Y)
    holed = Y.copy()
    holed[np.random.default_rng(0).integers(30, size=50), np.arange(0, 200, 4)] = np.nan
    fit = fit_ols(design.X, holed)
    complete = ~np.isnan(holed).any(axis=0)
    assert complete.sum() == 150
    for name in ("beta", "rss", "residual_variance", "r_square"):
        np.testing.assert_allclose(
            getattr(fit, name)[..., complete], getattr(whole, name)[..., complete], rtol=1e-12
        )


@both_dtypes
@each_pattern
def test_same_bits_for_any_number_of_threads(
    pattern: Callable[..., Floats], dtype: npt.DTypeLike
) -> None:
    design = designs.anova()
    rng = np.random.default_rng(8)
    Y = pattern(designs.simulate(design, 3000, seed=8, dtype=dtype), rng)
    one = fit_ols(design.X, Y, n_threads=1)
    for n_threads in (2, 3):
        many = fit_ols(design.X, Y, n_threads=n_threads)
        for name in FIT_FIELDS:
            np.testing.assert_array_equal(getattr(many, name), getattr(one, name))
        for c in design.contrasts:
            a, b = one.contrast(c), many.contrast(c)
            for name in CONTRAST_FIELDS:
                np.testing.assert_array_equal(getattr(b, name), getattr(a, name))


def test_a_mean_far_above_the_noise() -> None:
    """Row by row updates lose nothing either: 1e-10 at a mean of 1e4 standard deviations."""
    design = designs.regression()
    rng = np.random.default_rng(9)
    Y = at_random(1e4 + rng.normal(size=(30, 120)), rng)
    fit, wanted = fit_ols(design.X, Y), ols.fit(design.X, Y)
    np.testing.assert_allclose(fit.residual_variance, wanted.residual_variance, rtol=1e-10)
    np.testing.assert_allclose(1 - fit.r_square, 1 - wanted.r_square, rtol=1e-9)


def test_residuals_and_predictions_keep_the_holes() -> None:
    design = designs.two_sample()
    Y = at_random(designs.simulate(design, 40, seed=10), np.random.default_rng(10))
    fit = fit_ols(design.X, Y)
    residuals, predicted = fit.residuals(design.X, Y), fit.predicted(design.X)
    np.testing.assert_array_equal(np.isnan(residuals), np.isnan(Y))
    np.testing.assert_allclose((predicted + residuals)[~np.isnan(Y)], Y[~np.isnan(Y)], rtol=1e-12)
    np.testing.assert_allclose(np.nansum(residuals**2, axis=0), fit.rss, rtol=RTOL)


@both_dtypes
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_by_row_and_count(value: float, dtype: npt.DTypeLike) -> None:
    design = designs.two_sample()
    Y = designs.simulate(design, 50, dtype=dtype)
    Y[2, 7] = np.nan
    Y[17, [3, 30, 49]] = value
    with pytest.raises(ValueError, match=r"(?i)inf") as refused:
        fit_ols(design.X, Y)
    numbers = set("".join(ch if ch.isdigit() else " " for ch in str(refused.value)).split())
    assert {"17", "3"} <= numbers, str(refused.value)


def test_nothing_at_all_is_still_an_answer() -> None:
    """Every value is missing: NaN and zeros, no crash, no invented number."""
    design = designs.two_sample()
    fit = fit_ols(design.X, np.full((22, 5), np.nan))
    np.testing.assert_array_equal(per_voxel(fit.n_observations, 5), 0)
    found = fit.contrast([1.0, -1.0, 0.0])
    for name in CONTRAST_FIELDS:
        assert np.all(np.isnan(getattr(found, name)))


def test_the_mean_is_that_of_the_rows_present() -> None:
    rng = np.random.default_rng(17)
    X = np.column_stack([np.arange(9.0), rng.standard_normal(9)])  # no constant in its span
    Y = 1e4 + at_random(rng.standard_normal((9, 40)), rng)
    # Sums of nine values of 1e4 in double: nine roundings of 1e-16 relative.
    np.testing.assert_allclose(fit_ols(X, Y).mean, np.nanmean(Y, axis=0), rtol=1e-14)
