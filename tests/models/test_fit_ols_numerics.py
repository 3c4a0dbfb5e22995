# SPDX-License-Identifier: BSD-3-Clause
"""fit_ols where floating point is hard: layouts, threads, large means, no noise, far tails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from groupglm import fit_ols
from reference import designs, ols

FIELDS = ("beta", "residual_variance", "rss", "r_square")
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

Floats = npt.NDArray[np.floating]


def inside(a: Floats, *, step: int) -> Floats:
    """Give a view equal to `a` whose neighbours in memory hold NaN."""
    padded = np.full((2 * a.shape[0] + 1, 3 * a.shape[1] + 2), np.nan, dtype=a.dtype)
    view = padded[1::2, 1:-1:3][:, : a.shape[1]][::step, ::step]
    view[...] = a
    return view


LAYOUTS: dict[str, Callable[[Floats], Floats]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda a: inside(a, step=1),
    "negative strides": lambda a: inside(a, step=-1),
    "reversed rows": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "transposed copy": lambda a: np.ascontiguousarray(a.T).T,
}


@both_dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_matter(layout: str, dtype: npt.DTypeLike) -> None:
    design = designs.two_sample()
    Y = designs.simulate(design, 130, dtype=dtype)
    view = LAYOUTS[layout](Y.copy())
    X_view = LAYOUTS[layout](design.X.copy())
    np.testing.assert_array_equal(view, Y)
    wanted, found = fit_ols(design.X, Y), fit_ols(X_view, view)
    for field in FIELDS:
        # Only the order of additions may differ.
        np.testing.assert_allclose(getattr(found, field), getattr(wanted, field), rtol=1e-11)
    np.testing.assert_allclose(
        found.residuals(X_view, view), wanted.residuals(design.X, Y), atol=1e-11 * 100
    )


@both_dtypes
def test_inputs_are_read_only_and_left_alone(dtype: npt.DTypeLike) -> None:
    design = designs.anova()
    X, Y = design.X.copy(), designs.simulate(design, 20, dtype=dtype)
    kept_X, kept_Y = X.copy(), Y.copy()
    X.setflags(write=False)
    Y.setflags(write=False)
    fit_ols(X, Y).contrast(design.contrasts[0])
    np.testing.assert_array_equal(X, kept_X)
    np.testing.assert_array_equal(Y, kept_Y)


@both_dtypes
@pytest.mark.parametrize("n_voxels", [1, 7, 63, 64, 65, 1000, 20_000])
def test_same_bits_for_any_number_of_threads(n_voxels: int, dtype: npt.DTypeLike) -> None:
    design = designs.regression()
    Y = designs.simulate(design, n_voxels, seed=n_voxels, dtype=dtype)
    one = fit_ols(design.X, Y, n_threads=1)
    for n_threads in (2, 3, None):
        many = fit_ols(design.X, Y, n_threads=n_threads)
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(many, field), getattr(one, field))
        for c in design.contrasts:
            a, b = one.contrast(c), many.contrast(c)
            for field in ("effect_size", "effect_variance", "stat", "p_value", "z_score"):
                np.testing.assert_array_equal(getattr(b, field), getattr(a, field))


@pytest.mark.parametrize("n_voxels", [1, 7, 63, 64, 65, 1000])
def test_a_voxel_does_not_depend_on_its_neighbours(n_voxels: int) -> None:
    design = designs.anova()
    Y = designs.simulate(design, 1100, seed=11)
    whole, part = fit_ols(design.X, Y), fit_ols(design.X, Y[:, 100 : 100 + n_voxels])
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(part, field), getattr(whole, field)[..., 100 : 100 + n_voxels], rtol=1e-12
        )
        assert getattr(part, field).shape[-1] == n_voxels


def long_double_fit(X: Floats, Y: Floats) -> tuple[Floats, Floats]:
    """Residual variance and total sum of squares about the mean, by Gram-Schmidt in long double."""
    wide = np.longdouble
    residual = Y.astype(wide) - Y.astype(wide).mean(axis=0)
    total = (residual**2).sum(axis=0)
    basis: list[Any] = []
    for column in X.astype(wide).T:
        q = column / np.sqrt((column**2).sum())
        for _ in range(2):
            for known in basis:
                q = q - known * (known @ q)
        basis.append(q / np.sqrt((q**2).sum()))
    for _ in range(2):
        for q in basis:
            residual = residual - np.outer(q, q @ residual)
    rss = (residual**2).sum(axis=0)
    return (rss / (len(X) - X.shape[1])).astype(np.float64), total.astype(np.float64)


@both_dtypes
@pytest.mark.parametrize(
    "design", [designs.one_sample(100), designs.regression(), designs.paired()]
)
@pytest.mark.parametrize("ratio", [1e4, -1e4])
def test_a_mean_far_above_the_noise(
    design: designs.GroupDesign, ratio: float, dtype: npt.DTypeLike
) -> None:
    """The promise is 1e-10 at a mean of 1e4 standard deviations; y'y - z'z would give 1e-8."""
    rng = np.random.default_rng(12)
    Y = (ratio + rng.normal(size=(len(design.X), 200))).astype(dtype)
    fit = fit_ols(design.X, Y)
    variance, total = long_double_fit(design.X, Y)
    np.testing.assert_allclose(fit.residual_variance, variance, rtol=1e-10)
    df = len(design.X) - design.rank
    np.testing.assert_allclose(1.0 - fit.r_square, variance * df / total, rtol=1e-9, atol=1e-15)


@both_dtypes
@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 1e-3, 123456.7])
def test_a_constant_voxel_shows_no_effect(value: float, dtype: npt.DTypeLike) -> None:
    """Nothing varies, so slopes and differences are zero: 0 over 0 is 0, whatever rounding left."""
    for design in (designs.two_sample(), designs.regression(), designs.anova()):
        Y = np.full((len(design.X), 3), value, dtype=dtype)
        Y[:, 1] = designs.simulate(design, 1, dtype=dtype)[:, 0]
        fit = fit_ols(design.X, Y)
        assert np.all(fit.rss[[0, 2]] <= (1e-13 * value) ** 2 * len(Y))
        contrasts: tuple[Any, ...] = design.contrasts
        if design.name == "regression":  # its second contrast holds the intercept: no null there
            contrasts = (design.contrasts[0], design.contrasts[2])
        for c in contrasts:
            found = fit.contrast(c)
            np.testing.assert_array_equal(found.stat[[0, 2]], 0.0)
            null = 0.5 if np.ndim(c) == 1 else 1.0
            np.testing.assert_allclose(found.p_value[[0, 2]], null, rtol=1e-15)
            assert np.all(np.isfinite(found.effect_size))
            assert found.stat[1] != 0.0


def test_a_voxel_of_zeros_is_zero_in_every_field() -> None:
    Y = np.zeros((9, 2))
    Y[:, 1] = np.arange(9.0)
    found = fit_ols(np.ones((9, 1)), Y).contrast([1.0])
    assert (found.stat[0], found.effect_size[0], found.effect_variance[0]) == (0.0, 0.0, 0.0)
    assert found.p_value[0] == pytest.approx(0.5, rel=1e-15)
    assert found.z_score[0] == 0.0


@pytest.mark.parametrize(
    "design", [designs.regression(), designs.anova(), designs.through_zero()], ids=lambda d: d.name
)
def test_a_perfect_fit(design: designs.GroupDesign) -> None:
    """Data in the span of X: nothing is left but rounding, and nothing is NaN."""
    rng = np.random.default_rng(13)
    Y = design.X @ rng.uniform(1.0, 2.0, size=(design.X.shape[1], 50))
    fit = fit_ols(design.X, Y)
    size = (Y**2).sum(axis=0)
    assert np.all(fit.rss <= (len(Y) * np.finfo(float).eps) ** 2 * size)
    np.testing.assert_allclose(fit.r_square, 1.0, rtol=1e-12)
    for c in design.contrasts:
        found = fit.contrast(c)
        for field in ("stat", "p_value", "z_score", "effect_size", "effect_variance"):
            assert not np.any(np.isnan(getattr(found, field))), field


def exact_sample(df: int) -> npt.NDArray[np.float64]:
    """Draw df + 1 numbers with mean 0 and standard deviation about 1."""
    e = np.resize([1.0, -1.0], df + 1)
    if df % 2 == 0:
        e[-1] = 0.0
    return e


@pytest.mark.parametrize("df", [1, 2, 5, 30, 1000, 100_000])
def test_p_and_z_of_t_in_the_far_tails(df: int) -> None:
    """Against arbitrary precision at the statistic found, up to |t| = 1000."""
    t = np.array([1e-8, 0.1, 0.5, 1.0, 2.0, 5.0, 8.0, 37.0, 38.5, 100.0, 300.0, 1000.0])
    t = np.concatenate([-t[::-1], [0.0], t])
    e = exact_sample(df)
    Y = e[:, None] + t * e.std(ddof=1) / np.sqrt(df + 1.0)
    found = fit_ols(np.ones((df + 1, 1)), Y).contrast([1.0])
    # With so few distinct numbers rounding is all that separates the statistic from t.
    np.testing.assert_allclose(found.stat, t, rtol=1e-11, atol=1e-15 * df)
    for stat, p, z in zip(found.stat, found.p_value, found.z_score, strict=True):
        wanted_p, wanted_z = ols.exact_t_tail(float(stat), df)
        # 1e-12 on z and on log p; a p-value of 1e-300 so keeps its 9 first digits.
        assert z == pytest.approx(wanted_z, rel=1e-12, abs=1e-15)
        if wanted_p < np.finfo(float).tiny:
            assert 0.0 <= p <= 2 * np.finfo(float).tiny
        else:
            assert p == pytest.approx(wanted_p, rel=1e-12 * max(1.0, -np.log(wanted_p)))
    assert np.all(np.diff(found.z_score) > 0)


@pytest.mark.parametrize(("groups", "size"), [(3, 2), (3, 10), (4, 30), (2, 200)])
def test_p_and_z_of_f_in_the_far_tails(groups: int, size: int) -> None:
    X = np.repeat(np.eye(groups), size, axis=0)
    C = np.eye(groups)[:-1] - np.eye(groups)[1:]
    noise = np.random.default_rng(14).normal(size=groups * size)
    shift = np.repeat(np.arange(float(groups)), size)
    Y = noise[:, None] + shift[:, None] * np.array([0.0, 0.01, 0.3, 1.0, 4.0, 30.0, 1e3])
    found = fit_ols(X, Y).contrast(C)
    for stat, p, z in zip(found.stat, found.p_value, found.z_score, strict=True):
        wanted_p, wanted_z = ols.exact_f_tail(float(stat), groups - 1, groups * (size - 1))
        assert z == pytest.approx(wanted_z, rel=1e-12, abs=1e-13)
        if wanted_p < np.finfo(float).tiny:
            assert 0.0 <= p <= 2 * np.finfo(float).tiny
        else:
            assert p == pytest.approx(wanted_p, rel=1e-12 * max(1.0, -np.log(wanted_p)))
