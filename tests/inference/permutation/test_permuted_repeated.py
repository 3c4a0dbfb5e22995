# SPDX-License-Identifier: BSD-3-Clause
"""Permutation tests of several images of a subject, against one slow fit a rearrangement."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from groupglm import RepeatedMeasures
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.missing_values import find_presence_of_all
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.planning import choose_exchange
from groupglm.inference.permutation.rearranged_model import rearranged_model
from groupglm.inference.permutation.repeated_kernel import make_repeated_kernel
from groupglm.inference.permutation.testing import permutation_test
from groupglm.models.array_rows import ArrayRows
from reference.permuted_models import flipped_sandwich, rearranged_repeated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.testing import PermutationResult

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

# Eight subjects with 3, 3, 3, 3, 2, 2, 2 and 1 images, in a mixed order of rows.
SIZES = [3, 3, 3, 3, 2, 2, 2, 1]
ORDER = np.random.default_rng(5).permutation(sum(SIZES))
SUBJECTS = np.repeat(np.arange(8), SIZES)[ORDER]
N = len(SUBJECTS)
ONES = np.ones(N)
GROUP = np.array([0.0, 1, 0, 1, 0, 1, 1, 0])[SUBJECTS]
AGE = np.array([-1.0, 0.3, 2.0, -0.5, 1.1, 0.2, -1.4, 0.8])[SUBJECTS]
DRUG = (
    np.concatenate([np.arange(size) for size in SIZES])[ORDER]
    - np.repeat([(size - 1) / 2 for size in SIZES], SIZES)[ORDER]
)  # time about the subject's own middle
TIME = DRUG - np.array([DRUG[s == SUBJECTS].min() for s in SUBJECTS])
DRUG2 = DRUG**2 - np.array([np.mean(DRUG[s == SUBJECTS] ** 2) for s in SUBJECTS])
CASES: dict[str, Any] = {  # columns, contrast, the kind of the effect, whether signs are flipped
    "time": (np.column_stack([DRUG, ONES]), [[1.0, 0]], "within", False),
    "time, beside group and age": (
        np.column_stack([ONES, GROUP, AGE, DRUG]), [[0, 0, 0, 1.0]], "within", False,
    ),
    "time from the first visit": (
        np.column_stack([ONES, GROUP, TIME]), [[0, 0, 1.0]], "within", False,
    ),
    "group, beside that time": (
        np.column_stack([ONES, GROUP, TIME]), [[0, 1.0, 0]], "between", False,
    ),
    "time, F": (np.column_stack([ONES, DRUG, DRUG2]), [[0, 1.0, 0], [0, 0, 1]], "within", False),
    "group": (np.column_stack([ONES, GROUP, DRUG]), [[0, 1.0, 0]], "between", False),
    "group and age, F": (
        np.column_stack([ONES, GROUP, AGE]), [[0, 1.0, 0], [0, 0, 1]], "between", False,
    ),
    "mean": (ONES[:, None], [[1.0]], "between", True),
    "mean, beside time": (np.column_stack([ONES, DRUG]), [[1.0, 0]], "between", True),
}  # fmt: skip
FEWER = pytest.mark.filterwarnings("ignore:all .* of this design are used")


def data_of(n_voxels: int, seed: int, *, missing: bool = False) -> Floats:
    """Data with and without a variance between subjects."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((N, n_voxels)) + 0.4 * GROUP[:, None] + 0.3 * DRUG[:, None]
    y += (
        np.where(np.arange(n_voxels) % 3 == 0, 0.0, 1.5)
        * rng.standard_normal((8, n_voxels))[SUBJECTS]
    )
    if missing:
        y[rng.integers(N, size=n_voxels), np.arange(n_voxels)] = np.nan
        y[:, :4] = np.nan_to_num(y[:, :4])
        y[SUBJECTS == 3, 5] = np.nan
    return np.asarray(y)


def model_of(covariance: str = "random intercept", **given: Any) -> Any:
    return RepeatedMeasures(covariance, subjects=SUBJECTS, **given)


def options_of(**given: Any) -> Any:
    defaults: dict[str, Any] = {
        "n_perm": 100, "two_sided": False, "random_state": 0, "threshold": None, "tfce": False,
        "tfce_powers": None, "missing": "omit", "n_jobs": 1, "verbose": 0,
    }  # fmt: skip
    blocks = given.pop("exchangeability_blocks", None)
    return replace(check_options(**(defaults | given)), exchangeability_blocks=blocks)


def prepared(X: Floats, C: Floats, y: Floats, model: Any, **options: Any) -> tuple[Any, Any]:
    """The exchange and the kernel."""
    own = options_of(**options)
    tested = rearranged_model(model, X, C, (), own)
    exchange = choose_exchange(tested, own)
    rows = ArrayRows(y)
    presence = find_presence_of_all(
        ArraySource(y), rows, np.zeros(y.shape[1]), tested.rows, tested.parts, exchange
    )
    return exchange, make_repeated_kernel(tested, presence, two_sided=own.two_sided)


def same_p(stat: float, df: int, wanted: int, k: int) -> float:
    if k > 1:
        return float(stats.f.isf(stats.f.sf(stat, k, df), k, wanted))
    return float(np.copysign(stats.t.isf(stats.t.sf(abs(stat), df), wanted), stat))


@pytest.mark.filterwarnings("ignore:.* of .* voxels lack values and are not tested")
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_statistics_are_those_of_a_fit_to_each_rearrangement(name: str, missing: bool) -> None:
    X, contrast, kind, flips = CASES[name]
    C, y = np.asarray(contrast, dtype=float), data_of(12, seed=1, missing=missing)
    exchange, kernel = prepared(X, C, y, model_of())
    assert exchange.flips is flips
    tested = rearranged_model(model_of(), X, C, (), options_of())
    assert tested.effect_kind == kind
    order, signs = exchange.draw((3,), 0, 3)
    maps = np.empty((3, 12))
    best = kernel.statistics(y, order, signs, maps, 2)
    np.testing.assert_array_equal(best, maps[:, ~kernel.untested].max(axis=1))
    complete = int(tested.subject_degrees(np.ones((1, N), dtype=bool))[0])
    for b, voxel in itertools.product(range(3), np.flatnonzero(~kernel.untested)):
        expected = rearranged_repeated(X, C, y[:, voxel], SUBJECTS, order[b], signs[b])
        here = ~np.isnan(y[:, voxel])
        df = int(tested.subject_degrees(here[None])[0])
        expected = same_p(expected, df, complete, len(C))
        # The reference finds lambda to 1e-15 where the slope is zero, the core to some 1e-11.
        np.testing.assert_allclose(maps[b, voxel], expected, rtol=1e-7, atol=1e-9)
    if missing:
        assert len(kernel.patterns) > (1 if kernel.untested.any() else 3)
        assert kernel.untested.any() == (not flips and kind == "between")


def result_of(
    X: Floats, C: Any, y: Floats, model: Any, stat: Floats, **options: Any
) -> PermutationResult:
    contrast = np.asarray(C, dtype=float)
    return permutation_test(
        X, contrast[0] if len(contrast) == 1 else contrast, ArraySource(y), stat, float(len(X) - 3),
        options_of(**options), model=model,
    )  # fmt: skip


@FEWER
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("name", ["within", "between", "mean"])
def test_p_of_every_rearrangement_is_exact(name: str, two_sided: bool) -> None:
    rng = np.random.default_rng(6)
    subjects = np.repeat(np.arange(5), 2)
    time, group = np.tile([-1.0, 1.0], 5), np.array([0.0, 0, 1, 1, 1])[subjects]
    y = rng.standard_normal((10, 4)) + rng.standard_normal((5, 4))[subjects]
    X = np.column_stack([{"within": time, "between": group, "mean": 0 * time}[name], np.ones(10)])
    C = np.array([[1.0, 0.0]])
    if name == "mean":
        X, C = np.ones((10, 1)), np.ones((1, 1))
    own, rows = np.arange(10), np.ones(10)
    everyone = {
        "within": [
            (own ^ np.array(swaps)[subjects], rows) for swaps in itertools.product((0, 1), repeat=5)
        ],
        "between": [
            (2 * np.array(chosen)[subjects] + own % 2, rows)
            for chosen in itertools.permutations(range(5))
        ],
        "mean": [
            (own, np.array(signs)[subjects]) for signs in itertools.product((1.0, -1.0), repeat=5)
        ],
    }[name]
    stat = np.array(
        [
            [rearranged_repeated(X, C, y[:, j], subjects, order, signs) for j in range(4)]
            for order, signs in everyone
        ]
    )
    model = RepeatedMeasures(subjects=subjects)
    result = result_of(X, C, y, model, stat[0], n_perm=1000, two_sided=two_sided)
    assert result.exhaustive
    # 5! orders of subjects make C(5, 2) different groups.
    assert result.n_perm == {"within": 31, "between": 9, "mean": 31}[name]
    stat = np.abs(stat) if two_sided else stat
    largest = stat.max(axis=1)
    expected = np.mean(largest[:, None] >= stat[0] - 1e-7 * np.abs(stat[0]), axis=0)
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)


SANDWICHES = ["time", "time, F", "group", "mean, beside time", "group and age, F"]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("adjustment", [0, 1, 2, 3, "C2", "C3"])
@pytest.mark.parametrize("name", SANDWICHES)
def test_the_wild_bootstrap_is_that_of_dense_matrices(
    name: str, adjustment: Any, missing: bool
) -> None:
    X, contrast, *_ = CASES[name]
    C, y = np.asarray(contrast, dtype=float), data_of(9, seed=2, missing=missing)
    exchange, kernel = prepared(X, C, y, model_of("sandwich", adjustment=adjustment))
    assert exchange.flips
    order, signs = exchange.draw((3,), 0, 4)
    assert all(len(np.unique(signs[0, s == SUBJECTS])) == 1 for s in range(8))
    maps = np.empty((4, 9))
    kernel.statistics(y, order, signs, maps, 2)
    observed = kernel.observe(ArrayRows(y), np.zeros(9), 1).compared
    tested = rearranged_model(model_of(), X, C, (), options_of())
    complete = int(tested.subject_degrees(np.ones((1, N), dtype=bool))[0])
    for voxel in np.flatnonzero(~kernel.untested):
        df = int(tested.subject_degrees(~np.isnan(y[:, voxel])[None])[0])
        own = (X, C, y[:, voxel], SUBJECTS)
        found = [observed[voxel], *maps[:, voxel]]
        for value, flipped in zip(found, [None, *signs], strict=True):
            expected = same_p(flipped_sandwich(*own, flipped, adjustment), df, complete, len(C))
            np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-9)


@FEWER
def test_p_of_the_wild_bootstrap_counts_all_signs() -> None:
    rng = np.random.default_rng(7)
    subjects = np.repeat(np.arange(6), 2)
    X = np.column_stack([np.tile([-1.0, 1.0], 6), np.ones(12)])
    C, y = np.array([[1.0, 0]]), rng.standard_normal((12, 5))
    flips = [np.array(s)[subjects] for s in itertools.product((1.0, -1.0), repeat=6)]
    stat = np.array([[flipped_sandwich(X, C, y[:, j], subjects, s, "C2") for j in range(5)]
                     for s in flips])  # fmt: skip
    observed = np.array([flipped_sandwich(X, C, y[:, j], subjects, None, "C2") for j in range(5)])
    result = result_of(
        X, C, y, RepeatedMeasures("sandwich", subjects=subjects), observed, n_perm=1000
    )
    assert result.is_bootstrap
    assert result.sign_flip
    assert "wild bootstrap" in result.assumption
    # The identity counts as the data as they are.
    others = stat.max(axis=1)[1:]
    expected = (1 + np.sum(others[:, None] >= observed * (1 - 1e-9), axis=0)) / 64
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance", ["random intercept", "sandwich"])
def test_threads_and_batches_change_no_bit(
    covariance: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, contrast, *_ = CASES["time, beside group and age"]
    y = data_of(301, seed=3, missing=True).astype(dtype)
    exchange, kernel = prepared(X, np.asarray(contrast), y, model_of(covariance))
    order, signs = exchange.draw((1,), 0, 5)
    found = []
    for n_threads in (1, 2, 5):
        maps = np.full((5, 301), np.nan)
        found.append((kernel.statistics(y, order, signs, maps, n_threads), maps))
    monkeypatch.setattr("groupglm.inference.permutation.pattern_kernel._PRODUCTS", 1)
    monkeypatch.setattr("groupglm.inference.permutation.pattern_kernel._FEWEST_PANELS", 1)
    maps = np.full((5, 301), np.nan)
    found.append((kernel.statistics(y, order, signs, maps, 1), maps))
    for best, other in found[1:]:
        np.testing.assert_array_equal(best, found[0][0])
        np.testing.assert_array_equal(other, found[0][1])


def test_units_and_a_large_mean_change_nothing() -> None:
    X, contrast, *_ = CASES["time"]
    y, C = data_of(20, seed=8), np.asarray(contrast)
    for covariance in ("random intercept", "sandwich"):
        exchange, kernel = prepared(X, C, y, model_of(covariance))
        order, signs = exchange.draw((1,), 0, 4)
        maps, other = np.empty((2, 4, 20))
        kernel.statistics(y, order, signs, maps, 1)
        kernel.statistics(1e4 + y, order, signs, other, 1)
        # Data of 1e4 hold the differences to 1e-12.
        np.testing.assert_allclose(other, maps, rtol=1e-7, atol=1e-8)
        kernel.statistics(1e-200 * y, order, signs, other, 1)
        np.testing.assert_allclose(other, maps, rtol=1e-8, atol=1e-10)


def test_a_mixed_effect_is_refused_with_the_remedy() -> None:
    time = DRUG + AGE
    X = np.column_stack([time, ONES])
    y, C = data_of(4, seed=4), np.array([[1.0, 0]])
    with pytest.raises(ValueError, match=r"varies within subjects and between them.*divide"):
        prepared(X, C, y, model_of())
    for blocks in ("within", "whole"):
        exchange, kernel = prepared(
            X, C, y, model_of(), exchangeability_blocks=SUBJECTS, block_permutation=blocks
        )
        order, signs = exchange.draw((1,), 0, 2)
        maps = np.empty((2, 4))
        kernel.statistics(y, order, signs, maps, 1)
        for b, voxel in itertools.product(range(2), range(4)):
            expected = rearranged_repeated(X, C, y[:, voxel], SUBJECTS, order[b], signs[b])
            np.testing.assert_allclose(maps[b, voxel], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("time", {"exchangeability_blocks": np.arange(N) % 2}, "mix the images of several subjec"),
        ("mean", {"exchangeability_blocks": np.arange(N)}, "flip some images of a subject, but no"),
        ("time", {"method": "smith"}, "method='smith' is for ordinary least squares"),
        (
            "group",
            {"exchangeability_blocks": SUBJECTS},
            "does not vary within subjects, so that no permutation",
        ),
    ],
)
def test_rearrangements_that_tear_subjects_are_refused(
    name: str, given: dict[str, Any], message: str
) -> None:
    X, contrast, *_ = CASES[name]
    with pytest.raises(ValueError, match=message):
        prepared(X, np.asarray(contrast, dtype=float), data_of(3, seed=1), model_of(), **given)


def test_covariances_without_a_test_are_refused() -> None:
    X, contrast, *_ = CASES["time"]
    C, y = np.asarray(contrast), data_of(3, seed=1)
    with pytest.raises(ValueError, match="'nested' has no permutation test"):
        prepared(X, C, y, model_of("nested", families=GROUP))
    with pytest.raises(ValueError, match="same covariance within groups has no wild bootstrap"):
        prepared(X, C, y, model_of("sandwich", groups=GROUP, visits=np.arange(N)))
    with pytest.raises(ValueError, match="sign_flip=False, but the test of a sandwich is a wild"):
        prepared(X, C, y, model_of("sandwich"), sign_flip=False)


@pytest.mark.parametrize("name", ["time", "group", "mean", "sandwich"])
def test_the_familywise_error_is_at_its_level(name: str) -> None:
    """Null data with heavy tails and unequal numbers of visits: 400 data sets of 8 voxels."""
    rng = np.random.default_rng(10)
    subjects = np.repeat(np.arange(12), [3, 2] * 6)
    n = len(subjects)
    time = np.concatenate([[0.0, 1, 2, 0, 1]] * 6)  # from the first visit: a tenth lies between
    group = (np.arange(12) // 2 % 2).astype(float)[subjects]
    X = np.column_stack([{"group": group}.get(name, time), np.ones(n)])
    X = np.ones((n, 1)) if name == "mean" else X
    covariance = "sandwich" if name == "sandwich" else "random intercept"
    model = RepeatedMeasures(covariance, subjects=subjects)
    n_false = 0
    for number in range(400):
        y = rng.standard_t(3, (n, 8)) + rng.standard_t(3, (12, 8))[subjects]
        result = result_of(
            X, np.eye(1, X.shape[1]), y, model, np.zeros(8), n_perm=99, two_sided=True,
            random_state=number,
        )  # fmt: skip
        n_false += result.p_value["t"].min() <= 0.05
    # Binomial: 0.05 +- 2.6 standard errors of 0.011.
    assert 0.022 <= n_false / 400 <= 0.078
