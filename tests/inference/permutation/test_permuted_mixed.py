# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests of fixed and mixed effects, against one slow fit a rearrangement and place."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from groupglm import fit_ols
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.exchange import make_exchange
from groupglm.inference.permutation.missing_values import find_presence_of_all
from groupglm.inference.permutation.mixed_kernel import make_mixed_kernel
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.array_rows import ArrayRows
from reference import mixed
from reference.permuted_models import facts, flipped_mixed, interleaved, permuted_mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.testing import PermutationResult

    Floats = NDArray[np.float64]

N = 12
GROUP = np.repeat([0.0, 1.0], [5, 7])
AGE = np.array([31, 18, 44, 25, 52, 60, 23, 37, 41, 29, 35, 48]) / 10.0
ONES = np.ones(N)
DESIGNS: dict[str, Any] = {  # the columns, the contrast, whether signs are flipped
    "mean": (ONES[:, None], [[1.0]], True),
    "mean, covariate": (np.column_stack([ONES, AGE - 3]), [[1.0, 0]], True),
    "mean and covariate, F": (np.column_stack([ONES, AGE - 3]), np.eye(2), True),
    "groups": (np.column_stack([GROUP, 1 - GROUP]), [[1.0, -1]], False),
    "covariate": (np.column_stack([ONES, AGE, GROUP]), [[0.0, 1, 0]], False),
    "covariates, F": (np.column_stack([ONES, AGE, GROUP]), [[0.0, 1, 0], [0, 0, 1]], False),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "reml": {"tau2": "reml", "test": "knapp-hartung"},
    "ml": {"tau2": "ml", "test": "t"},
    "dl": {"tau2": "dersimonian-laird", "test": "z"},
    "pm": {"tau2": "paule-mandel", "test": "knapp-hartung-conservative"},
    "hedges": {"tau2": "hedges", "test": "knapp-hartung"},
    "given": {"tau2": 0.7, "test": "knapp-hartung"},
}
FEWER = pytest.mark.filterwarnings("ignore:.* different .* of this design are used")


def data_of(n_voxels: int, seed: int, *, missing: bool = False) -> tuple[Floats, Floats]:
    """Effects with and without a variance between images, and their variances."""
    rng = np.random.default_rng(seed)
    v = rng.gamma(2, 0.5, (N, n_voxels)) + 0.05
    between = np.where(np.arange(n_voxels) % 3 == 0, 0.0, 1.0)
    y = 0.4 + rng.standard_normal((N, n_voxels)) * np.sqrt(v + between)
    if missing:
        y[rng.integers(N, size=n_voxels), np.arange(n_voxels)] = np.nan
        v[3, ::4] = np.nan
        y[:, :5], v[:, :5] = np.nan_to_num(y[:, :5]), np.nan_to_num(v[:, :5], nan=1.0)
    return y, v


def kernel_of(
    X: Floats, C: Floats, y: Floats, v: Floats, settings: dict[str, Any], *, flips: bool
) -> Any:
    options = options_of(n_perm=0)
    tested = rearranged_model(facts(own=settings), X, C, (), options)
    rows = ArrayRows(interleaved(y, v))
    exchange = make_exchange(N, None, "within", flips=flips)
    presence = find_presence_of_all(
        ArraySource(rows.array()), rows, np.zeros(y.shape[1]), tested.rows, tested.parts, exchange
    )
    return make_mixed_kernel(tested, presence, flips=flips, two_sided=False)


def options_of(**given: Any) -> Any:
    defaults: dict[str, Any] = {
        "n_perm": 100, "two_sided": False, "random_state": 0, "threshold": None, "tfce": False,
        "tfce_powers": None, "missing": "omit", "n_jobs": 1, "verbose": 0,
    }  # fmt: skip
    return check_options(**(defaults | given))


def result_of(
    X: Floats, C: Any, y: Floats, v: Floats, settings: dict[str, Any], **options: Any
) -> PermutationResult:
    found = mixed.fit(X, y, v, tau2=settings.get("tau2", 0.0))
    contrast = np.asarray(C, dtype=float)
    contrast = contrast[0] if len(contrast) == 1 else contrast
    stat = mixed.contrast(found, contrast, settings.get("test", "z")).stat
    model: Any = facts(own=settings)
    return permutation_test(
        X, contrast, ArraySource(interleaved(y, v)), stat, found.df_residual.astype(float),
        options_of(**options), model=model,
    )  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", DESIGNS)
def test_statistics_are_those_of_a_fit_to_each_rearrangement(name: str, settings: str) -> None:
    X, contrast, flips = DESIGNS[name]
    C, how = np.asarray(contrast, dtype=float), SETTINGS[settings]
    y, v = data_of(9, seed=1)
    order, signs = make_exchange(N, None, "within", flips=flips).draw((3,), 0, 4)
    kernel = kernel_of(X, C, y, v, how, flips=flips)
    maps = np.empty((4, 9))
    best = kernel.statistics(interleaved(y, v), order, signs, maps, 2)
    tau2, test = how.get("tau2", 0.0), how.get("test", "z")
    for b, voxel in itertools.product(range(4), range(9)):
        own = (X, C, y[:, voxel], v[:, voxel])
        expected = (
            flipped_mixed(*own, signs[b], tau2, test)
            if flips
            else permuted_mixed(*own, order[b], tau2, test)
        )
        # The reference finds tau2 to 1e-15 where the score is zero, the core to some 1e-10.
        np.testing.assert_allclose(maps[b, voxel], expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(best, maps.max(axis=1))


@pytest.mark.filterwarnings("ignore:.* of .* voxels lack values and are not tested")
@pytest.mark.parametrize("settings", ["fixed", "reml", "pm"])
@pytest.mark.parametrize("name", ["mean", "mean, covariate", "groups", "covariates, F"])
def test_a_voxel_is_tested_with_the_images_that_it_has(name: str, settings: str) -> None:
    X, contrast, flips = DESIGNS[name]
    C, how = np.asarray(contrast, dtype=float), SETTINGS[settings]
    y, v = data_of(16, seed=2, missing=True)
    kernel = kernel_of(X, C, y, v, how, flips=flips)
    order, signs = make_exchange(N, None, "within", flips=flips).draw((5,), 0, 3)
    maps = np.empty((3, 16))
    kernel.statistics(interleaved(y, v), order, signs, maps, 1)
    tau2, test = how.get("tau2", 0.0), how.get("test", "z")
    complete = N - np.linalg.matrix_rank(X)
    for b, voxel in itertools.product(range(3), range(16)):
        own = (X, C, y[:, voxel], v[:, voxel])
        expected = np.array(
            flipped_mixed(*own, signs[b], tau2, test)
            if flips
            else permuted_mixed(*own, order[b], tau2, test)
        )
        df = np.count_nonzero(~np.isnan(own[2] + own[3])) - np.linalg.matrix_rank(X)
        if test != "z":  # to the degrees of freedom of a complete voxel, by p
            expected = same_p(expected, df, complete, len(C))
        np.testing.assert_allclose(maps[b, voxel], expected, rtol=2e-7, atol=1e-9)
    assert len(np.unique(kernel.patterns.present.sum(axis=1))) > 1


def same_p(stat: Floats, df: int, wanted: int, k: int) -> Floats:
    """The statistic with the same p-value, by scipy."""
    if k > 1:
        return np.asarray(stats.f.isf(stats.f.sf(stat, k, df), k, wanted))
    t = stats.t.isf(stats.t.sf(np.abs(stat), df), wanted)
    return np.asarray(np.copysign(t, stat))


def test_each_group_has_its_own_tau2() -> None:
    groups = GROUP.astype(int)
    X = np.column_stack([GROUP, 1 - GROUP, GROUP * AGE, (1 - GROUP) * AGE])
    y, v = data_of(9, seed=3)
    y *= np.where(GROUP, 1.0, 4.0)[:, None]
    how = {"tau2": "reml", "test": "knapp-hartung", "variance_groups": groups.tolist()}
    for C, flips in (([[1.0, -1, 0, 0]], True), ([[0, 0, 1.0, 0], [0, 0, 0, 1]], False)):
        contrast = np.asarray(C)
        kernel = kernel_of(X, contrast, y, v, how, flips=flips)
        order, signs = make_exchange(N, None, "within", flips=flips, kinds=groups).draw((1,), 0, 4)
        maps = np.empty((4, 9))
        kernel.statistics(interleaved(y, v), order, signs, maps, 2)
        for b, voxel in itertools.product(range(4), range(9)):
            own = (X, contrast, y[:, voxel], v[:, voxel])
            expected = (
                flipped_mixed(*own, signs[b], "reml", "knapp-hartung", groups)
                if flips
                else permuted_mixed(*own, order[b], "reml", "knapp-hartung", groups)
            )
            np.testing.assert_allclose(maps[b, voxel], expected, rtol=1e-7, atol=1e-9)


@FEWER
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("settings", ["fixed", "reml", "given"])
def test_p_of_every_flip_is_exact(settings: str, two_sided: bool) -> None:
    n, how = 7, SETTINGS[settings]
    y, v = data_of(6, seed=4)
    y, v, X, C = y[:n], v[:n], np.ones((n, 1)), np.ones((1, 1))
    result = result_of(X, C, y, v, how, n_perm=10_000, two_sided=two_sided)
    assert result.exhaustive
    assert result.sign_flip
    stat = np.array(
        [
            [
                flipped_mixed(
                    X, C, y[:, j], v[:, j], np.array(signs), how.get("tau2", 0.0),
                    how.get("test", "z"),
                )
                for j in range(6)
            ]
            for signs in itertools.product((1.0, -1.0), repeat=n)
        ]
    )  # fmt: skip
    stat = np.abs(stat) if two_sided else stat
    largest, observed = stat.max(axis=1), stat[0]
    expected = np.mean(largest[:, None] >= observed * (1 - 1e-7), axis=0)
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)
    np.testing.assert_allclose(np.abs(result.observed["t"]), np.abs(observed), rtol=1e-7)


@FEWER
def test_p_of_every_order_of_pairs_is_exact() -> None:
    group = np.repeat([0.0, 1.0], [3, 4])
    X, C = np.column_stack([group, np.ones(7)]), np.array([[1.0, 0.0]])
    y, v = data_of(5, seed=5)
    y, v, how = y[:7], v[:7], SETTINGS["reml"]
    result = result_of(X, C, y, v, how, n_perm=10_000, two_sided=True)
    assert result.n_perm == 34  # 7! / (3! 4!), and not the number of orders of pairs
    stat = []
    for chosen in itertools.combinations(range(7), 4):
        moved = X.copy()
        moved[:, 0] = np.isin(np.arange(7), chosen)
        found = mixed.fit(moved, y, v, tau2="reml")
        stat.append(np.abs(mixed.contrast(found, C[0], "knapp-hartung").stat))
    observed = np.abs(result.observed["t"])
    expected = np.mean(np.max(stat, axis=1)[:, None] >= observed * (1 - 1e-7), axis=0)
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["mean", "mean, covariate", "groups", "covariate"])
def test_equal_variances_give_the_test_of_least_squares(name: str) -> None:
    X, contrast, flips = DESIGNS[name]
    y, _ = data_of(30, seed=6)
    v = np.full_like(y, 0.3)
    # Knapp and Hartung's t of equal weights is that of least squares, whatever tau2.
    how = {"tau2": "reml", "test": "knapp-hartung"}
    found = result_of(X, contrast, y, v, how, n_perm=200, two_sided=True)
    fit = fit_ols(X, y)
    expected = permutation_test(
        X, np.asarray(contrast)[0], ArraySource(y), fit.contrast(contrast[0]).stat,
        fit.df_residual,
        options_of(n_perm=200, two_sided=True, method="freedman-lane" if flips else "smith"),
    )  # fmt: skip
    np.testing.assert_allclose(found.observed["t"], expected.observed["t"], rtol=1e-9)
    if flips or name == "covariate":
        # The number of different orders, and so what is drawn, differs for the two groups.
        np.testing.assert_allclose(found.null["t"], expected.null["t"], rtol=1e-8)
        np.testing.assert_array_equal(found.p_value["t"], expected.p_value["t"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mean, covariate", "covariates, F"])
def test_threads_and_batches_change_no_bit(name: str, dtype: Any) -> None:
    X, contrast, flips = DESIGNS[name]
    y, v = (each.astype(dtype) for each in data_of(101, seed=7, missing=True))
    kernel = kernel_of(X, np.asarray(contrast, float), y, v, SETTINGS["reml"], flips=flips)
    order, signs = make_exchange(N, None, "within", flips=flips).draw((1,), 0, 7)
    data = interleaved(y, v).astype(dtype)
    found = []
    for n_threads in (1, 2, 5):
        maps = np.full((7, 101), np.nan)
        found.append((kernel.statistics(data, order, signs, maps, n_threads), maps))
    for best, maps in found[1:]:
        np.testing.assert_array_equal(best, found[0][0])
        np.testing.assert_array_equal(maps, found[0][1])
    one = [kernel.statistics(data, order[[b]], signs[[b]], None, 1).item() for b in range(7)]
    np.testing.assert_array_equal(one, found[0][0])
    strided = np.asfortranarray(data)
    np.testing.assert_array_equal(kernel.statistics(strided, order, signs, None, 2), found[0][0])


def test_units_of_the_data_change_no_p() -> None:
    X, contrast, _ = DESIGNS["mean"]
    y, v = data_of(20, seed=8)
    p = result_of(X, contrast, y, v, SETTINGS["reml"], n_perm=100).p_value["t"]
    for unit in (1e-30, 1e6):
        other = result_of(X, contrast, y * unit, v * unit**2, SETTINGS["reml"], n_perm=100)
        np.testing.assert_array_equal(other.p_value["t"], p)


def test_another_model_is_not_resumed() -> None:
    X, contrast, _ = DESIGNS["mean"]
    y, v = data_of(8, seed=9)
    first = result_of(X, contrast, y, v, SETTINGS["reml"], n_perm=20)
    again = permutation_test(
        X, np.ones(1), ArraySource(interleaved(y, v)), first.observed["t"], 11.0,
        options_of(n_perm=50), model=facts(own=SETTINGS["reml"]), resume=first.state,
    )  # fmt: skip
    whole = result_of(X, contrast, y, v, SETTINGS["reml"], n_perm=50)
    np.testing.assert_array_equal(again.null["t"], whole.null["t"])
    with pytest.raises(ValueError, match="another test: model differs"):
        permutation_test(
            X, np.ones(1), ArraySource(interleaved(y, v)), first.observed["t"], 11.0,
            options_of(n_perm=50), model=facts(own=SETTINGS["ml"]), resume=first.state,
        )  # fmt: skip


def test_options_of_least_squares_are_refused() -> None:
    X, contrast, _ = DESIGNS["mean"]
    y, v = data_of(8, seed=9)
    with pytest.raises(ValueError, match="method='smith' is for ordinary least squares"):
        result_of(X, contrast, y, v, SETTINGS["reml"], method="smith")


@pytest.mark.parametrize("flips", [True, False])
def test_the_familywise_error_is_at_its_level(flips: bool) -> None:
    # Heavy tails and unequal variances, without an effect: 400 data sets of 8 voxels.
    rng = np.random.default_rng(10)
    group = np.repeat([0.0, 1.0], [5, 6])
    X = np.ones((11, 1)) if flips else np.column_stack([group, np.ones(11)])
    C = np.eye(1, X.shape[1])
    n_false = 0
    for number in range(400):
        v = rng.gamma(0.7, 2.0, (11, 8)) + 0.05
        y = rng.standard_t(3, (11, 8)) * np.sqrt(v + 0.5)
        kernel_result = fast_p(X, C, y, v, number)
        n_false += kernel_result <= 0.05
    # Binomial: 0.05 +- 2.6 standard errors of 0.011.
    assert 0.022 <= n_false / 400 <= 0.078


def fast_p(X: Floats, C: Floats, y: Floats, v: Floats, seed: int) -> float:
    """The smallest corrected p of 99 rearrangements."""
    model: Any = facts(own=SETTINGS["reml"])
    result = permutation_test(
        X, C[0], ArraySource(interleaved(y, v)), np.zeros(y.shape[1]), float(len(X) - X.shape[1]),
        options_of(n_perm=99, two_sided=True, random_state=seed), model=model,
    )  # fmt: skip
    return float(result.p_value["t"].min())
