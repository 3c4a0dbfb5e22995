# SPDX-License-Identifier: BSD-3-Clause
"""Statistics of rearranged data, against refitting the model to the data shuffled in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groupglm import fit_ols
from groupglm.inference.permutation.exchange import make_exchange
from groupglm.inference.permutation.kernels import METHODS, GroupedKernel, Method, make_ols_kernel
from groupglm.inference.permutation.partition import partition
from groupglm.models.array_rows import ArrayRows
from reference import permutation as reference
from reference.designs import GroupDesign, all_designs, anova, regression, simulate, two_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def cases() -> list[Any]:
    """Every contrast of every design, with the rearrangements that change its effect."""
    found = []
    for design in all_designs():
        for i, contrast in enumerate(design.contrasts):
            C = np.atleast_2d(contrast).astype(float)
            for flips in (False, True):
                exchange = make_exchange(len(design.X), None, "within", flips=flips)
                if len(exchange.varying(partition(design.X, C).effect)):
                    name = f"{design.name}-{i}-{'flips' if flips else 'permutations'}"
                    found.append(pytest.param(design, C, flips, id=name))
    return found


# Both sides solve systems whose conditioning is that of the design in its units (1e6 at worst):
# 1e6 times the rounding of a double, and some; the kernel's own error is far smaller.
RTOL = 1e-8


def rearrangements(n: int, flips: bool, count: int = 12) -> tuple[Any, Any]:
    order, signs = make_exchange(n, None, "within", flips=flips).draw((3,), 0, count)
    order[0], signs[0] = np.arange(n), 1
    return order, signs


@pytest.mark.filterwarnings("ignore::groupglm.errors.RankDeficientWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("design", "C", "flips"), cases())
def test_statistics_are_those_of_the_shuffled_data(
    design: GroupDesign, C: Floats, flips: bool, method: Method
) -> None:
    Y = simulate(design, 37, seed=1).astype(np.float64)
    n = len(design.X)
    exchange = make_exchange(n, None, "within", flips=flips)
    parts = partition(design.X, C)
    if method == "ter-braak" and parts.df_residual == 1 and not flips:
        # Residuals are then one vector, whatever the voxel.
        Y = Y[:, :1]
    kernel = make_ols_kernel(parts, exchange, method, two_sided=False)
    order, signs = rearrangements(n, flips)
    maps = np.empty((len(order), Y.shape[1]))
    best = kernel.statistics(Y, order, signs, maps, 1)
    for b in range(len(order)):
        # The kernel shuffles the design's rows: the inverse of shuffling the data.
        back = np.argsort(order[b])
        if method == "smith":
            back = order[b]
            expected = reference.rearranged(design.X, C, Y, back, signs[b], method)
        else:
            expected = reference.rearranged(design.X, C, Y, back, signs[b][back], method)
        if method == "ter-braak" and b == 0:
            # Residuals as they are have no effect left but rounding.
            np.testing.assert_allclose(maps[b], 0, atol=1e-6)
            continue
        np.testing.assert_allclose(maps[b], expected, rtol=RTOL, atol=RTOL * np.abs(expected).max())
        np.testing.assert_allclose(best[b], maps[b].max(), rtol=1e-9)
    if method != "ter-braak":
        contrast = C[0] if len(C) == 1 else C
        observed = fit_ols(design.X, Y).contrast(contrast).stat
        np.testing.assert_allclose(maps[0], observed, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("design", [two_sample(), anova(), regression()], ids=lambda d: d.name)
def test_g_is_that_of_its_formula(design: GroupDesign) -> None:
    n = len(design.X)
    groups = np.arange(n) % 3 % 2
    Y = simulate(design, 5, seed=2).astype(np.float64) * (1 + 3 * groups[:, None])
    order, signs = rearrangements(n, flips=False, count=4)
    for contrast in design.contrasts:
        C = np.atleast_2d(contrast).astype(float)
        C = C[: np.linalg.matrix_rank(C)]
        parts = partition(design.X, C)
        maps = np.empty((len(order), Y.shape[1]))
        best = GroupedKernel(parts, groups, True).statistics(Y, order, signs, maps, 1)
        nuisance = parts.nuisance
        residual = Y - nuisance.T @ (nuisance @ Y)
        for b in range(len(order)):
            data = residual[np.argsort(order[b])]
            expected = [reference.g_statistic(design.X, C, y, groups) for y in data.T]
            np.testing.assert_allclose(maps[b], expected, rtol=1e-7)
        np.testing.assert_allclose(best, np.abs(maps).max(axis=1), rtol=1e-12)


def test_v_is_welchs_t() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [7, 12])
    Y = rng.normal(size=(19, 40)) * (1 + 2 * group[:, None])
    parts = partition(
        np.column_stack([group == 0, group == 1]).astype(float), np.array([[-1, 1.0]])
    )
    maps = np.empty((1, 40))
    GroupedKernel(parts, group, True).statistics(Y, np.arange(19)[None], np.ones((1, 19)), maps, 1)
    expected = stats.ttest_ind(Y[group == 1], Y[group == 0], equal_var=False).statistic
    np.testing.assert_allclose(maps[0], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("grouped", [False, True])
def test_bits_do_not_depend_on_threads_batches_or_neighbours(dtype: Any, grouped: bool) -> None:
    design = regression()
    n = len(design.X)
    Y = simulate(design, 1003, seed=3, dtype=dtype)
    Y[:, [5, 500]] = 7  # these two do not vary
    parts = partition(design.X, np.array([[0, 1.0, 0, 0]]))
    exchange = make_exchange(n, None, "within", flips=False)
    kernel: Any = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=True)
    if grouped:
        kernel = GroupedKernel(parts, np.arange(n) % 2, True)
    order, signs = exchange.draw((1,), 0, 23)
    results = []
    for n_threads in (1, 2, 5):
        maps = np.full((23, 1003), np.nan)
        results.append((kernel.statistics(Y, order, signs, maps, n_threads), maps))
    best, maps = results[0]
    for other in results[1:]:
        np.testing.assert_array_equal(other[0], best)
        np.testing.assert_array_equal(other[1], maps)
    assert (maps[:, [5, 500]] == 0).all()
    observed = kernel.observe(ArrayRows(Y), np.ones(1003), 2)
    for values in (observed.reported, observed.compared, observed.least):
        assert np.isnan(values).nonzero()[0].tolist() == [5, 500]
    # One by one, strided, and without maps.
    one = [kernel.statistics(Y, order[[b]], signs[[b]], None, 1).item() for b in range(23)]
    np.testing.assert_array_equal(one, best)
    strided = np.asfortranarray(Y)
    np.testing.assert_array_equal(kernel.statistics(strided, order, signs, None, 2), best)
    part = np.empty((23, 31))
    kernel.statistics(Y[:, 40:71], order, signs, part, 1)
    np.testing.assert_array_equal(part, maps[:, 40:71])


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("rows", [1, 2])
def test_nothing_but_nuisance_after_a_flip_is_no_statistic(rows: int, two_sided: bool) -> None:
    # Pairs: without the subjects, two images are d and -d. If one of each pair is flipped they are
    # d and d, which the subjects explain; the ratio of two roundings must not show.
    second = np.repeat([0.0, 1.0], 5)
    effects = np.column_stack([second, second * np.arange(10)])[:, :rows]
    X = np.column_stack([effects, np.tile(np.eye(5), (2, 1))])
    Y = np.random.default_rng(0).normal(size=(10, 70)) + 1e3
    exchange = make_exchange(10, None, "within", flips=True)
    parts = partition(X, np.eye(rows, X.shape[1]))
    kernel = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=two_sided)
    signs = np.stack([1 - 2 * second, np.ones(10)])
    maps = np.empty((2, 70))
    best = kernel.statistics(Y, np.tile(np.arange(10), (2, 1)), signs, maps, 1)
    np.testing.assert_allclose(maps[0], 0, atol=1e-100)
    assert abs(best[0]) < 1e-100
    assert best[1] > 0.1


def test_a_large_mean_costs_no_digits() -> None:
    design = two_sample()
    Y = simulate(design, 50, seed=4).astype(np.float64)
    parts = partition(design.X, np.array([[1.0, -1.0, 0.0]]))
    exchange = make_exchange(len(Y), None, "within", flips=False)
    kernel = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=True)
    order, signs = exchange.draw((1,), 0, 50)
    plain = kernel.statistics(Y, order, signs, None, 1)
    far = kernel.statistics(Y + 1e6, order, signs, None, 1)
    # Y + 1e6 itself is rounded to 1e-10, of data of size one.
    np.testing.assert_allclose(far, plain, rtol=1e-8)


@pytest.mark.parametrize("n_voxels", [1, 2, 31, 32, 33, 257])
def test_any_number_of_voxels_one_sided(n_voxels: int) -> None:
    rng = np.random.default_rng(n_voxels)
    Y = rng.normal(size=(9, n_voxels)) - 5  # every statistic is negative
    parts = partition(np.ones((9, 1)), np.array([[1.0]]))
    exchange = make_exchange(9, None, "within", flips=True)
    kernel = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=False)
    maps = np.empty((1, n_voxels))
    best = kernel.statistics(Y, np.arange(9)[None], np.ones((1, 9)), maps, 2)
    expected = np.asarray(stats.ttest_1samp(Y, 0).statistic)
    np.testing.assert_allclose(maps[0], expected, rtol=1e-10)
    np.testing.assert_allclose(best, expected.max(), rtol=1e-10)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-100, 100))
def test_units_do_not_matter(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(12), rng.normal(size=(12, 2))])
    C = np.array([[0.0, 1.0, 0.0]])
    Y = rng.normal(size=(12, 3))
    exchange = make_exchange(12, None, "within", flips=False)
    order, signs = exchange.draw((seed,), 0, 5)

    def best(X: Floats, Y: Floats) -> Floats:
        kernel = make_ols_kernel(partition(X, C), exchange, "freedman-lane", two_sided=True)
        return kernel.statistics(Y, order, signs, None, 1)

    moved = X.copy()
    moved[:, 1] = scale * X[:, 1] + shift
    # A shift of 100 beside a spread of 0.01 costs four digits twice.
    np.testing.assert_allclose(best(moved, scale * Y + shift), best(X, Y), rtol=1e-6)
