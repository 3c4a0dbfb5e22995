# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests of least squares with weights and covariates by voxel, against one slow fit a
rearrangement and place."""

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
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.testing import permutation_test
from groupglm.inference.permutation.voxelwise_kernel import make_voxelwise_kernel
from groupglm.models.array_rows import ArrayRows
from reference.permuted_models import facts, interleaved, rearranged_voxelwise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

N = 13
GROUP = np.repeat([0.0, 1.0], [6, 7])
AGE = np.array([31, 18, 44, 25, 52, 60, 23, 37, 41, 29, 35, 48, 57]) / 10.0
X = np.column_stack([np.ones(N), GROUP, AGE])
CASES = {  # numbers of weights and covariates, and the contrast over the columns and covariates
    "weights, t": (1, 0, [[0.0, 1, 0]]),
    "weights, mean": (1, 0, [[1.0, 0, 0]]),
    "covariate as nuisance": (0, 1, [[0.0, 1, 0, 0]]),
    "covariate": (0, 1, [[0.0, 0, 0, 1]]),
    "covariate and column, F": (0, 1, [[0.0, 0, 0, 1], [0, 0, 1, 0]]),
    "weights and two covariates": (1, 2, [[0.0, 0, 0, 1, -1]]),
    "weights and two covariates, F": (1, 2, [[0.0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]),
}


def data_of(n_weights: int, n_covariates: int, n_voxels: int, *, missing: bool = False) -> Any:
    """Values, weights (or none) and covariates."""
    rng = np.random.default_rng(1)
    z = [rng.standard_normal((N, n_voxels)) + i for i in range(n_covariates)]
    y = rng.standard_normal((N, n_voxels)) + GROUP[:, None] + sum(0.5 * each for each in z)
    w = rng.gamma(2, 1, (N, n_voxels)) if n_weights else None
    if missing:
        y[rng.integers(N, size=n_voxels), np.arange(n_voxels)] = np.nan
        y[:, :4] = np.nan_to_num(y[:, :4])
        if w is not None:
            w[2, ::5] = 0.0
        if z:
            z[0][7, ::3] = np.nan
    return y, w, z


def model_of(w: Floats | None, z: list[Floats]) -> Any:
    beside = (() if w is None else ("weight",)) + ("covariate",) * len(z)
    return facts(kind="weighted", beside=beside)


def rows_of(y: Floats, w: Floats | None, z: list[Floats]) -> Floats:
    return interleaved(y, *([] if w is None else [w]), *z)


def ranks_of(y: Floats, w: Floats | None, z: list[Floats]) -> tuple[Any, Any]:
    """Numbers of images, and ranks of the design in them."""
    here = ~np.isnan(np.sum([y, *z], axis=0)) & (True if w is None else w > 0)
    ranks = [
        np.linalg.matrix_rank(np.column_stack([X, *[each[:, j] for each in z]])[here[:, j]])
        for j in range(y.shape[1])
    ]
    return here.sum(axis=0), np.array(ranks)


def design_mean(z: list[Floats]) -> Floats:
    return np.column_stack([X, *[np.nanmean(each, axis=1) for each in z]])


def kernel_of(C: Floats, y: Floats, w: Floats | None, z: list[Floats], *, flips: bool) -> Any:
    options = options_of(n_perm=0)
    tested = rearranged_model(model_of(w, z), design_mean(z), C, (), options)
    rows = ArrayRows(rows_of(y, w, z))
    counts, ranks = ranks_of(y, w, z)
    presence = find_presence_of_all(
        ArraySource(rows.array()), rows, np.zeros(y.shape[1]), tested.rows, tested.parts,
        make_exchange(N, None, "within", flips=flips),
    )  # fmt: skip
    return make_voxelwise_kernel(tested, presence, counts - ranks, two_sided=False)


def options_of(**given: Any) -> Any:
    defaults: dict[str, Any] = {
        "n_perm": 100, "two_sided": True, "random_state": 0, "threshold": None, "tfce": False,
        "tfce_powers": None, "missing": "omit", "n_jobs": 1, "verbose": 0,
    }  # fmt: skip
    return check_options(**(defaults | given))


def same_p(stat: Any, df: int, wanted: int, k: int) -> Any:
    if k > 1:
        return stats.f.isf(stats.f.sf(stat, k, df), k, wanted)
    return np.copysign(stats.t.isf(stats.t.sf(np.abs(stat), df), wanted), stat)


@pytest.mark.filterwarnings("ignore:.* of .* voxels lack values and are not tested")
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_statistics_are_those_of_a_fit_to_each_rearrangement(
    case: str, flips: bool, missing: bool
) -> None:
    n_weights, n_covariates, contrast = CASES[case]
    C = np.asarray(contrast, dtype=float)
    y, w, z = data_of(n_weights, n_covariates, 17, missing=missing)
    kernel = kernel_of(C, y, w, z, flips=flips)
    order, signs = make_exchange(N, None, "within", flips=flips).draw((3,), 0, 5)
    maps = np.empty((5, 17))
    best = kernel.statistics(rows_of(y, w, z), order, signs, maps, 2)
    counts, ranks = ranks_of(y, w, z)
    complete = N - X.shape[1] - n_covariates
    for b, j in itertools.product(range(5), range(17)):
        expected = rearranged_voxelwise(
            X, C, y[:, j], None if w is None else w[:, j], [each[:, j] for each in z], order[b],
            signs[b],
        )  # fmt: skip
        expected = same_p(expected, counts[j] - ranks[j], complete, len(C))
        np.testing.assert_allclose(maps[b, j], expected, rtol=2e-7, atol=1e-9)
    np.testing.assert_array_equal(best, maps.max(axis=1))


def test_equal_weights_and_columns_are_those_of_least_squares() -> None:
    # A covariate that is the same at all voxels is a column; equal weights are none.
    y, _, _ = data_of(0, 0, 40)
    z, w = np.repeat(AGE[:, None], 40, axis=1), np.full_like(y, 3.0)
    shared = X[:, :2]
    fit = fit_ols(X, y)
    options = options_of(n_perm=200)
    contrast = np.array([0.0, 1.0, 0.0])
    expected = permutation_test(
        X, contrast, ArraySource(y), fit.contrast(contrast).stat, fit.df_residual, options
    )
    design = np.column_stack([shared, AGE])
    found = permutation_test(
        design, contrast, ArraySource(interleaved(y, w, z)), fit.contrast(contrast).stat,
        fit.df_residual, options, model=facts("weighted", ("weight", "covariate")),
    )  # fmt: skip
    np.testing.assert_allclose(found.null["t"], expected.null["t"], rtol=1e-9)
    np.testing.assert_array_equal(found.p_value["t"], expected.p_value["t"])


@pytest.mark.filterwarnings("ignore:all .* different permutations")
def test_p_of_every_order_is_exact() -> None:
    n = 5
    y, w, z = data_of(1, 1, 4)
    y, w, z, shared = y[:n], w[:n], z[0][:n], np.ones((n, 1))
    C = np.array([[0.0, 1.0]])
    stat = np.array(
        [
            [
                rearranged_voxelwise(
                    shared, C, y[:, j], w[:, j], [z[:, j]], np.array(order), np.ones(n)
                )
                for j in range(4)
            ]
            for order in itertools.permutations(range(n))
        ]
    )
    result = permutation_test(
        np.column_stack([shared, z.mean(axis=1)]), C[0], ArraySource(interleaved(y, w, z)), stat[0],
        3.0, options_of(n_perm=1000, two_sided=False),
        model=facts("weighted", ("weight", "covariate")),
    )  # fmt: skip
    assert result.n_perm == 119
    expected = np.mean(stat.max(axis=1)[:, None] >= stat[0] - 1e-9, axis=0)
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)


def test_a_covariate_that_is_constant_at_a_voxel_is_not_tested_there() -> None:
    y, w, z = data_of(0, 1, 10)
    z[0][:, 4] = 2.0
    counts, ranks = ranks_of(y, w, z)
    np.testing.assert_array_equal(ranks, np.where(np.arange(10) == 4, 3, 4))
    stat = np.where(np.arange(10) == 4, np.nan, 1.0)
    with pytest.warns(UserWarning, match=r"1 of 10 voxels .* not tested"):
        result = permutation_test(
            design_mean(z), np.array([0.0, 0, 0, 1]), ArraySource(rows_of(y, w, z)), stat,
            counts - ranks, options_of(), model=model_of(w, z),
        )  # fmt: skip
    np.testing.assert_array_equal(np.isnan(result.p_value["t"]), np.arange(10) == 4)
    # As nuisance it leaves a test of more degrees of freedom.
    other = permutation_test(
        design_mean(z), np.array([0.0, 1, 0, 0]), ArraySource(rows_of(y, w, z)), np.ones(10),
        counts - ranks, options_of(), model=model_of(w, z),
    )  # fmt: skip
    assert not np.isnan(other.p_value["t"]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_batches_change_no_bit(dtype: Any) -> None:
    y, w, z = data_of(1, 2, 101, missing=True)
    C = np.array([[0.0, 1, 0, 0, 0]])
    kernel = kernel_of(C, y, w, z, flips=False)
    order, signs = make_exchange(N, None, "within", flips=False).draw((1,), 0, 7)
    data = rows_of(y, w, z).astype(dtype)
    found = []
    for n_threads in (1, 2, 5):
        maps = np.full((7, 101), np.nan)
        found.append((kernel.statistics(data, order, signs, maps, n_threads), maps))
    for best, maps in found[1:]:
        np.testing.assert_array_equal(best, found[0][0])
        np.testing.assert_array_equal(maps, found[0][1])
    one = [kernel.statistics(data, order[[b]], signs[[b]], None, 1).item() for b in range(7)]
    np.testing.assert_array_equal(one, found[0][0])
