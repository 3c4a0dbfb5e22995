# SPDX-License-Identifier: BSD-3-Clause
"""Permutation where images lack voxels: a voxel is tested with its own images, or not at all."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groupglm import fit_ols, permuted_ols
from groupglm.group.fitted_masker import FittedMasker
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.equivalent_statistic import equivalent_tables
from groupglm.inference.permutation.exchange import make_exchange
from groupglm.inference.permutation.kernels import METHODS, Method, make_ols_kernel
from groupglm.inference.permutation.missing_kernel import PresentKernel, make_present_kernel
from groupglm.inference.permutation.missing_values import Patterns, find_presence
from groupglm.inference.permutation.partition import partition
from groupglm.models.array_rows import ArrayRows
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference import permutation as reference
from reference.designs import GroupDesign, all_designs, anova, regression, simulate, two_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

exact_test: Any = stats.permutation_test  # its types refuse what its documentation allows


def with_holes(Y: Floats, seed: int, share: float = 0.15) -> Floats:
    """Data of which the last two thirds of the voxels lack some values, by a few patterns."""
    rng = np.random.default_rng(seed)
    holes = rng.random((len(Y), 9)) < share
    first = Y.shape[1] // 3
    Y = Y.copy()
    Y[:, first:][holes[:, rng.integers(9, size=Y.shape[1] - first)]] = np.nan
    return Y


def present_kernel(
    X: Floats, C: Floats, Y: Floats, method: Method, *, flips: bool, two_sided: bool = False
) -> Any:
    exchange = make_exchange(len(X), None, "within", flips=flips)
    parts = partition(X, C)
    presence = find_presence(
        ArraySource(Y), ArrayRows(Y), fit_ols(X, Y).df_residual, parts, exchange
    )
    assert presence is not None
    complete = make_ols_kernel(parts, exchange, method, two_sided=two_sided)
    return make_present_kernel(complete, parts, presence, method)


def contracted(order: Integers, present: NDArray[np.bool_]) -> Integers:
    """The permutation of the rows present; the other rows are taken out of its cycles."""
    places = np.flatnonzero(present)
    found = []
    for place in places:
        j = order[place]
        while not present[j]:
            j = order[j]
        found.append(int(np.flatnonzero(places == j)[0]))
    return np.array(found)


def same_p(stat: Floats, df: int, df_wanted: int, k: int) -> Floats:
    """The statistic with the same p-value, by scipy."""
    if k > 1:
        return np.asarray(stats.f.isf(stats.f.sf(stat, k, df), k, df_wanted))
    t = stats.t.isf(stats.t.sf(np.abs(stat), df), df_wanted)
    return np.asarray(np.copysign(t, stat))


@pytest.mark.filterwarnings("ignore::groupglm.errors.RankDeficientWarning")
@pytest.mark.filterwarnings("ignore:.* of .* voxels lack values and are not tested")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("design", all_designs(), ids=lambda d: d.name)
def test_statistics_are_those_of_the_images_present(
    design: GroupDesign, flips: bool, method: Method
) -> None:
    X, n = design.X, len(design.X)
    Y = with_holes(simulate(design, 60, seed=1).astype(np.float64), 2)
    seen = 0
    for contrast in design.contrasts:
        C = np.atleast_2d(contrast).astype(float)
        exchange = make_exchange(n, None, "within", flips=flips)
        parts = partition(X, C)
        if not len(exchange.varying(parts.effect)) or len(parts.nuisance) + len(C) >= n - 4:
            continue
        try:
            kernel = present_kernel(X, C, Y, method, flips=flips)
        except ValueError:
            continue
        order, signs = exchange.draw((3,), 0, 6)
        maps = np.empty((6, Y.shape[1]))
        best = kernel.statistics(Y, order, signs, maps, 1)
        for b, (column, pattern) in itertools.product(range(6), _voxels(kernel.patterns)):
            present = kernel.patterns.present[pattern]
            moved = contracted(order[b], present)
            back = moved if method == "smith" else np.argsort(moved)
            sign = signs[b][present]
            y = Y[present][:, [column]]
            expected = reference.rearranged(
                X[present], C, y, back, sign if method == "smith" else sign[back], method
            )
            if np.sum(reference.left_by_nuisance(X[present], C, y, back, sign[back]) ** 2) < 1e-10:
                expected[:] = 0  # nothing is left to be tested but rounding
            df = int(kernel.heads[kernel.table[pattern], 0])
            rank = np.linalg.matrix_rank(X[present])
            assert df == present.sum() - rank
            expected = same_p(expected, df, parts.df_residual, len(parts.effect))
            # ter Braak's and scipy's own roundings beside that of the table, 1e-8.
            np.testing.assert_allclose(maps[b, column], expected[0], rtol=2e-7, atol=1e-9)
            seen += 1
        np.testing.assert_allclose(best, maps.max(axis=1), rtol=1e-9)
        complete = kernel.complete.statistics(Y, order, signs, None, 1)
        assert (best >= complete).all()
        assert (maps[:, kernel.untested] == 0).all()
    assert seen > 0 or design.name not in ("two_sample", "anova", "regression")


def _voxels(patterns: Patterns) -> list[tuple[int, int]]:
    counts = np.diff(patterns.starts)
    return list(
        zip(
            patterns.columns.tolist(),
            np.repeat(np.arange(len(counts)), counts).tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("k", "df", "wanted"),
    [(1, 1, 19), (1, 18, 19), (1, 5, 200), (3, 4, 40), (10, 17, 19), (2, 900, 999)],
)
def test_equivalent_statistics_have_the_same_p(k: int, df: int, wanted: int) -> None:
    heads, values = equivalent_tables(np.array([df]), wanted, k)
    _, first, step = heads[0]
    for knot in (10, 300, 500, 700, 900):
        x = first + knot * step
        f, same = np.exp(x), np.exp(x + values[0, knot, 0])
        for tail in ("sf", "cdf"):
            p = getattr(stats.f, tail)(f, k, df)
            np.testing.assert_allclose(getattr(stats.f, tail)(same, k, wanted), p, rtol=1e-8)
    # The slopes are those of the values: a central difference of a smooth function.
    slope = np.gradient(values[0, :, 0])
    np.testing.assert_allclose(values[0, 2:-2, 1], slope[2:-2], atol=1e-4)
    # F* rises with F.
    assert (values[0, :, 1] / step > -1).all()
    same = equivalent_tables(np.array([wanted]), wanted, k)[1]
    np.testing.assert_allclose(same[..., 0], 0, atol=1e-9)


def test_every_order_of_the_images_present_comes_equally_often() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6))
    y[[1, 4]] = np.nan
    C, X = np.array([[1.0, 0.0]]), np.column_stack([x, np.ones(6)])
    Y = np.column_stack([rng.normal(size=6), y])
    exchange = make_exchange(6, None, "within", flips=False)
    parts = partition(X, C)
    complete = make_ols_kernel(parts, exchange, "freedman-lane", two_sided=True)
    order = np.array(list(itertools.permutations(range(6))))
    present = ~np.isnan(y)
    kernel = PresentKernel(
        complete, parts, Patterns(np.array([1]), np.array([0, 1]), present[None]), np.array([1]),
        np.array([0]), *equivalent_tables(np.array([2]), 4, 1), "freedman-lane", np.zeros(2, bool),
    )  # fmt: skip
    maps = np.empty((720, 2))
    kernel.statistics(Y, order, np.ones((720, 6)), maps, 1)
    expected = [
        stats.linregress(x[present][list(p)], y[present]).rvalue
        for p in itertools.permutations(range(4))
    ]
    t = same_p(np.array(expected) * np.sqrt(2 / (1 - np.array(expected) ** 2)), 2, 4, 1)
    np.testing.assert_allclose(np.sort(maps[:, 1]), np.repeat(np.sort(t), 30), rtol=1e-7)


@pytest.mark.parametrize(
    ("first", "second"), [((), (0, 1)), ((2,), (0, 1)), ((0,), (0, 1)), ((0, 1), (2, 3))]
)
def test_correlation_of_two_voxels_under_permutation(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    # That of the errors times the share of the images that both have: what the docstring says.
    n = 6
    x = np.random.default_rng(3).normal(size=n)
    has = np.ones((2, n), dtype=bool)
    has[0, list(first)] = has[1, list(second)] = False
    effect = np.stack([np.where(here, x - x[here].mean(), 0) for here in has])
    meets = np.zeros((n, n))
    for order in itertools.permutations(range(n)):
        moved = [np.flatnonzero(here)[contracted(np.array(order), here)] for here in has]
        i, j = np.nonzero(moved[0][:, None] == moved[1])
        meets[np.flatnonzero(has[0])[i], np.flatnonzero(has[1])[j]] += 1 / 720
    share = np.sum(has[0] & has[1]) / np.sum(has[0] | has[1])
    np.testing.assert_allclose(effect[0] @ meets @ effect[1], share * (effect[0] @ effect[1]))


@pytest.mark.filterwarnings("ignore:all .* different")
@pytest.mark.parametrize("two_sided", [False, True])
def test_a_voxel_alone_is_tested_exactly(two_sided: bool) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 7))
    y[2] = np.nan
    here = ~np.isnan(y)
    out = permuted_ols(x, y[:, None], two_sided_test=two_sided)
    tail = np.abs if two_sided else np.positive

    def correlation(x: Floats) -> Any:
        return tail(stats.pearsonr(x, y[here]).statistic)

    expected = exact_test(
        (x[here],),
        correlation,
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    np.testing.assert_allclose(10 ** -out["logp_max_t"].item(), expected.pvalue, rtol=1e-12)
    r = stats.pearsonr(x[here], y[here]).statistic
    np.testing.assert_allclose(out["t"].item(), r * np.sqrt(4 / (1 - r**2)), rtol=1e-9)

    y = rng.normal(0.4, 1, size=9)
    y[5] = np.nan
    flipped = permuted_ols(np.ones(9), y[:, None], two_sided_test=two_sided)
    expected = exact_test(
        (y[~np.isnan(y)],),
        lambda v: tail(np.mean(v)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
    )
    np.testing.assert_allclose(10 ** -flipped["logp_max_t"].item(), expected.pvalue, rtol=1e-12)


def test_groups_keep_their_sizes() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat([0.0, 1.0], [7, 9])
    Y = rng.normal(size=(16, 1)) + group[:, None]
    Y[[3, 12]] = np.nan
    here = ~np.isnan(Y[:, 0])
    out = permuted_ols(group, Y, n_perm=4000, random_state=0)
    clean = permuted_ols(group[here], Y[here], n_perm=3002)  # all 14! / (6! 8!)
    p, exact = 10.0 ** -out["logp_max_t"].item(), 10.0 ** -clean["logp_max_t"].item()
    assert abs(p - exact) < 5 * np.sqrt(exact * (1 - exact) / 4000) + 1 / 4000
    expected = stats.ttest_ind(Y[here & (group == 1), 0], Y[here & (group == 0), 0]).statistic
    np.testing.assert_allclose(out["t"].item(), expected, rtol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_missing_voxels_leave_the_others_as_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=12), rng.normal(size=(12, 20))
    holed = Y.copy()
    holed[rng.integers(12, size=5), np.arange(5)] = np.nan
    whole = permuted_ols(X, Y[:, 5:], n_perm=40, random_state=seed)
    out = permuted_ols(X, holed, n_perm=40, random_state=seed)
    np.testing.assert_allclose(out["t"][:, 5:], whole["t"], rtol=1e-12)
    assert (out["h0_max_t"] >= whole["h0_max_t"] * (1 - 1e-12)).all()


def test_the_same_bits_for_threads_parts_and_a_cluster() -> None:
    distributed = pytest.importorskip("distributed")
    rng = np.random.default_rng(6)
    masker = FittedMasker(VolumeSpace(Grid((6, 7, 8), np.eye(4))), 1)
    Y = with_holes(rng.normal(size=(16, 6 * 7 * 8)), 5, share=0.05)
    x = rng.normal(size=16)
    options: Any = {"masker": masker, "threshold": 0.01, "tfce": True, "random_state": 3}
    whole = permuted_ols(x, Y, n_perm=600, n_jobs=1, **options)
    threads = permuted_ols(x, Y, n_perm=600, n_jobs=3, **options)
    first = permuted_ols(x, Y, n_perm=200, n_jobs=2, **options)
    resumed = permuted_ols(x, Y, n_perm=600, resume=first, **options)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = permuted_ols(x, Y, n_perm=600, **options)
    for name, expected in whole.items():
        np.testing.assert_array_equal(threads[name], expected)
        np.testing.assert_array_equal(resumed[name], expected)
        np.testing.assert_array_equal(there[name], expected)
    with pytest.raises(ValueError, match="another test: data differs"):
        permuted_ols(x, with_holes(Y, 9, share=0.05), n_perm=900, resume=first, **options)


def test_voxels_that_cannot_be_tested_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(7)
    group = np.repeat([0.0, 1.0], 6)
    Y = rng.normal(size=(12, 9))
    Y[6:, 2] = np.nan  # one group has nobody
    Y[:10, 5] = np.nan  # two images of one group
    Y[[0, 1, 2, 3, 6, 7, 8, 9], 7] = np.nan  # 4! / (2! 2!) = 6 orders
    Y[3, 8] = np.nan
    with pytest.warns(UserWarning, match=r"3 of 9 voxels .* are not tested") as caught:
        out = permuted_ols(group, Y, n_perm=100, random_state=0, verbose=1)
    told = str(caught[0].message)
    assert "2 whose images cannot estimate the contrast" in told
    assert "(columns 2, 5)" in told
    assert "1 with fewer than 20 different rearrangements of their images (columns 7)" in told
    assert capsys.readouterr().out == (
        "1 of 9 voxels lack values and are tested with the images that have them, with 11 images.\n"
    )
    untested = np.isin(np.arange(9), [2, 5, 7])
    np.testing.assert_array_equal(out.results[0].untested, untested)
    np.testing.assert_array_equal(np.isnan(out["logp_max_t"][0]), untested)
    X = np.column_stack([group, np.ones(12)])
    np.testing.assert_allclose(out["t"][0], fit_ols(X, Y).contrast([1, 0]).stat, rtol=1e-9)
    kept = permuted_ols(group, Y[:, ~untested], n_perm=100, random_state=0)
    np.testing.assert_array_equal(out["h0_max_t"], kept["h0_max_t"])
    with pytest.raises(ValueError, match="no voxel can be tested, because all lack values"):
        permuted_ols(group, Y[:, untested], n_perm=100)


def test_blocks_that_lack_images() -> None:
    rng = np.random.default_rng(8)
    family = np.repeat(np.arange(8), 2)
    treated = np.repeat([0.0, 1.0], 8)
    Y = rng.normal(size=(16, 4))
    Y[2:4, 1] = np.nan  # a whole family
    Y[4, 2] = np.nan  # half of one
    options: Any = {"exchangeability_blocks": family, "block_permutation": "whole"}
    with pytest.warns(UserWarning, match=r"1 with blocks that lack some .*\(columns 2\)"):
        out = permuted_ols(treated, Y, n_perm=200, random_state=0, **options)
    np.testing.assert_array_equal(out.results[0].untested, np.arange(4) == 2)

    within = np.tile([0.0, 1.0], 8)
    Y[:, 3] = np.nan
    Y[[0, 2, 4, 6, 9, 11, 13, 15], 3] = 1 + rng.normal(size=8)  # one of each pair
    with pytest.warns(UserWarning, match=r"1 among whose images .* in any order \(columns 3\)"):
        permuted_ols(within, Y, n_perm=100, random_state=0, exchangeability_blocks=family)


def test_variance_groups_need_all_images() -> None:
    rng = np.random.default_rng(9)
    group = np.repeat([0, 1], 10)
    Y = rng.normal(size=(20, 5))
    Y[0, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"cannot be tested .* in 1 of 5 .*\(columns 0\).*'intersect'"
    ):
        permuted_ols(group, Y, n_perm=50, variance_groups=group)
    permuted_ols(group, Y, n_perm=50, variance_groups=group, missing="intersect")


@pytest.mark.parametrize("design", [two_sample(), anova(), regression()], ids=lambda d: d.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_neighbours_change_no_bit(design: GroupDesign, dtype: Any) -> None:
    Y = with_holes(simulate(design, 501, seed=3).astype(np.float64), 4).astype(dtype)
    C = np.atleast_2d(design.contrasts[0]).astype(float)
    kernel = present_kernel(design.X, C, Y, "freedman-lane", flips=True, two_sided=True)
    order, signs = make_exchange(len(Y), None, "within", flips=True).draw((1,), 0, 23)
    results = []
    for n_threads in (1, 2, 5):
        maps = np.full((23, 501), np.nan)
        results.append((kernel.statistics(Y, order, signs, maps, n_threads), maps))
    for best, maps in results[1:]:
        np.testing.assert_array_equal(best, results[0][0])
        np.testing.assert_array_equal(maps, results[0][1])
    one = [kernel.statistics(Y, order[[b]], signs[[b]], None, 1).item() for b in range(23)]
    np.testing.assert_array_equal(one, results[0][0])
    strided = np.asfortranarray(Y)
    np.testing.assert_array_equal(kernel.statistics(strided, order, signs, None, 2), results[0][0])
