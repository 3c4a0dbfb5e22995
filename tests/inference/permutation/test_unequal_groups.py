# SPDX-License-Identifier: BSD-3-Clause
"""Groups whose variances are far apart, or zero: the G statistic against its formula in 200 digits.

A group without error is the limit of one with less and less.
"""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groupglm import permuted_ols
from groupglm.inference.permutation.kernels import GroupedKernel
from groupglm.inference.permutation.partition import partition

Floats = NDArray[np.float64]

pytestmark = pytest.mark.filterwarnings("ignore:variance_groups. signs of residuals are flipped")


def exact_g(X: Floats, C: Floats, y: Floats, groups: NDArray[Any], floor: float) -> float:
    """Winkler et al. 2014, equation 5, with C as the rows tested; a sum of squares below is floor.

    v for one row. Written for the design as it is: F of C with W, and the estimates of OLS.
    """
    n, k = len(X), len(C)
    with mp.workdps(200):
        M, data, rows = mp.matrix(X.tolist()), mp.matrix(y.tolist()), mp.matrix(C.tolist())
        inverse = (M.T * M) ** -1
        beta = inverse * (M.T * data)
        residual = data - M * beta
        hat = M * inverse * M.T
        free, weight, size = {}, {}, {}
        for g in np.unique(groups).tolist():
            members = np.flatnonzero(groups == g).tolist()
            free[g] = mp.fsum(1 - hat[i, i] for i in members)
            rss = mp.fsum(residual[i] ** 2 for i in members)
            largest = mp.fsum(value**2 for value in data)
            weight[g] = free[g] / (rss if rss > largest * mp.mpf(10) ** -28 else mp.mpf(floor))
            size[g] = len(members)
        W = mp.diag([weight[g] for g in groups.tolist()])
        effect = rows * beta
        F = (effect.T * (rows * (M.T * W * M) ** -1 * rows.T) ** -1 * effect)[0]
        if k == 1:
            return float(mp.sign(effect[0]) * mp.sqrt(F))
        trace = mp.fsum(weight[g] for g in groups.tolist())
        terms = ((1 - size[g] * weight[g] / trace) ** 2 / free[g] for g in size)
        spread = 1 + mp.mpf(2 * (k - 1)) / (k * (k + 2)) * mp.fsum(terms)
        assert n == len(groups)
        return float(F / (spread * k))


def statistics(X: Floats, C: Floats, Y: Floats, groups: NDArray[Any]) -> Floats:
    maps = np.empty((1, Y.shape[1]))
    n = len(X)
    kernel = GroupedKernel(partition(X, C), groups, True)
    best = kernel.statistics(Y, np.arange(n)[None], np.ones((1, n)), maps, 1)
    np.testing.assert_array_equal(best, np.abs(maps).max(axis=1))
    found: Floats = maps[0]
    return found


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_welchs_t_of_a_group_that_hardly_varies(spread: float) -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1], [8, 12])
    X = np.column_stack([groups == 0, groups == 1]).astype(float)
    Y = rng.standard_normal((20, 6))
    Y[groups == 0] *= spread
    found = statistics(X, np.array([[-1.0, 1]]), Y, groups)
    wanted = stats.ttest_ind(Y[groups == 1], Y[groups == 0], equal_var=False).statistic
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


DESIGNS: dict[str, tuple[list[str], list[list[float]]]] = {
    "difference of groups": (["a", "b", "c"], [[1, -1, 0]]),
    "difference of the exact group": (["a", "b", "c"], [[0, 1, -1]]),
    "the exact group itself": (["a", "b", "c"], [[1, 0, 0]]),
    "slope": (["a", "b", "c", "x"], [[0, 0, 0, 1]]),
    "slope beside one mean": (["one", "x"], [[0, 1]]),
    "all groups": (["a", "b", "c"], [[1, -1, 0], [0, 1, -1]]),
    "two others": (["a", "b", "c", "x"], [[0, 1, -1, 0], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("exact", [(0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", DESIGNS)
def test_groups_without_error_are_the_limit(name: str, exact: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], [6, 9, 8])
    x = rng.standard_normal(len(groups))
    columns = {"a": groups == 0, "b": groups == 1, "c": groups == 2, "one": groups >= 0, "x": x}
    names, rows = DESIGNS[name]
    X = np.column_stack([columns[column] for column in names]).astype(float)
    C = np.array(rows)
    truth = X @ rng.standard_normal((len(names), 5))
    Y = truth + rng.standard_normal((len(groups), 5))
    for g in exact:
        Y[groups == g] = truth[groups == g]
    if "x" in names and len(exact) < 3:
        # The others' residuals leave the exact groups exact only if they change no coefficient.
        others = ~np.isin(groups, exact)
        noise = (Y - truth)[others]
        basis = np.linalg.qr(X[others])[0]
        Y[others] = truth[others] + noise - basis @ (basis.T @ noise)
    found = statistics(X, C, Y, groups)
    floor = 1e-80
    for value, y in zip(found, Y.T, strict=True):
        wanted = exact_g(X, C, y, groups, floor)
        if abs(wanted) > 1e20:
            assert value == np.copysign(np.inf, wanted)
        else:
            # The zero that rounding leaves of an exact group's residuals is 1e-15 of the data.
            np.testing.assert_allclose(value, wanted, rtol=1e-9)


def test_permutation_of_groups_without_error() -> None:
    """The difference of two constant groups is infinite, and has the smallest p."""
    group = np.repeat([0.0, 1], [8, 12])
    Y = np.random.default_rng(3).standard_normal((20, 4))
    Y[:, 0] = np.where(group == 1, 0.5, 0.3)
    Y[:, 1] = np.where(group == 1, 0.1, 0.3)
    Y[:, 2] = 0.3
    Y[group == 0, 3] = 0.3
    out = permuted_ols(group, Y, n_perm=99, variance_groups=group, random_state=0)
    wanted = (Y[group == 1, 3].mean() - 0.3) / (Y[group == 1, 3].std(ddof=1) / np.sqrt(12))
    np.testing.assert_allclose(out["t"][0], [np.inf, -np.inf, 0, wanted], rtol=1e-12)
    np.testing.assert_allclose(10 ** -out["logp_max_t"][0, :3], [0.01, 0.01, 1])
