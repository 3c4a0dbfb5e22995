# SPDX-License-Identifier: BSD-3-Clause
"""What all kernels by patterns do alike: exchangeability blocks, a cluster, and Ctrl-C."""

from __future__ import annotations

import itertools
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest

from groupglm import RepeatedMeasures, _core
from groupglm.inference.permutation import pattern_kernel
from groupglm.inference.permutation.array_data import ArraySource
from groupglm.inference.permutation.options import check_options
from groupglm.inference.permutation.testing import permutation_test
from reference.permuted_models import (
    facts,
    interleaved,
    permuted_mixed,
    rearranged_voxelwise,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.testing import PermutationResult

    Floats = NDArray[np.float64]

REML = {"tau2": "reml", "test": "knapp-hartung"}
N, N_VOXELS = 12, 70
PAIRS = np.repeat(np.arange(6), 2)
KINDS = ["mixed", "voxelwise", "random intercept", "sandwich"]
FUNCTIONS = {
    "mixed": "permuted_mixed_statistics",
    "voxelwise": "permuted_voxelwise_statistics",
    "random intercept": "permuted_repeated_statistics",
    "sandwich": "bootstrapped_sandwich_statistics",
}


def case_of(kind: str) -> tuple[Floats, Floats, Any, Floats, Any]:
    """Design, contrast, model, rows of the images with what lies beside them, and df."""
    rng = np.random.default_rng(2)
    y = rng.standard_normal((N, N_VOXELS))
    y[3, 5] = np.nan
    x = rng.standard_normal(N)
    x -= np.repeat(x.reshape(-1, 2).mean(axis=1), 2)  # within pairs
    X, C = np.column_stack([x, np.ones(N)]), np.array([1.0, 0.0])
    if kind == "mixed":
        v = rng.gamma(2, 1, y.shape)
        return X, C, facts(own=REML), interleaved(y, v), float(N - 2)
    if kind == "voxelwise":
        w, z = rng.gamma(2, 1, y.shape), rng.standard_normal(y.shape)
        design = np.column_stack([X, z.mean(axis=1)])
        model = facts("weighted", ("weight", "covariate"))
        df = np.where(np.isnan(y).any(axis=0), N - 4, N - 3)
        return design, np.array([1.0, 0, 0]), model, interleaved(y, w, z), df
    return X, C, RepeatedMeasures(kind, subjects=PAIRS), y, float(N - 2)


def options_of(**given: Any) -> Any:
    defaults: dict[str, Any] = {
        "n_perm": 100, "two_sided": True, "random_state": 0, "threshold": None, "tfce": False,
        "tfce_powers": None, "missing": "omit", "n_jobs": 1, "verbose": 0,
    }  # fmt: skip
    blocks = given.pop("exchangeability_blocks", None)
    return replace(check_options(**(defaults | given)), exchangeability_blocks=blocks)


def result_of(kind: str, **options: Any) -> PermutationResult:
    X, C, model, data, df = case_of(kind)
    return permutation_test(
        X, C, ArraySource(data), np.zeros(N_VOXELS), df, options_of(**options), model=model
    )


@pytest.mark.filterwarnings("ignore:1 of 70 voxels lack values and are not tested")
@pytest.mark.filterwarnings("ignore:all 64 different")
def test_on_a_cluster_the_same_bits() -> None:
    distributed = pytest.importorskip("distributed")
    here = {kind: result_of(kind, n_perm=300) for kind in KINDS}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        for kind in KINDS:
            there = result_of(kind, n_perm=300)
            np.testing.assert_array_equal(there.null["t"], here[kind].null["t"])
            np.testing.assert_array_equal(there.p_value["t"], here[kind].p_value["t"])


@pytest.mark.filterwarnings("ignore:1 of 70 voxels lack values and are not tested")
@pytest.mark.filterwarnings("ignore:n_perm=2 gives no p-value")
@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_is_noticed_within_one_batch_of_rearrangements(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes in the first call of the core; there is no second call."""
    whole = result_of(kind, n_perm=2)
    monkeypatch.setattr(pattern_kernel, "_PRODUCTS", 1)
    monkeypatch.setattr(pattern_kernel, "_FEWEST_PANELS", 1)
    is_rearranged: list[bool] = []
    compiled = getattr(_core, FUNCTIONS[kind])

    def interrupted(*given: Any) -> Any:
        is_rearranged.append(given[-2] is None)  # the data as they are have least values
        found = compiled(*given)
        if is_rearranged[-1]:
            os.kill(os.getpid(), signal.SIGINT)
        return found

    in_parts = result_of(kind, n_perm=2)
    np.testing.assert_array_equal(in_parts.null["t"], whole.null["t"])
    np.testing.assert_array_equal(in_parts.observed["t"], whole.observed["t"])
    monkeypatch.setattr(_core, FUNCTIONS[kind], interrupted)
    # A shell may have started the tests with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            result_of(kind, n_perm=2)
    finally:
        signal.signal(signal.SIGINT, before)
    # Three panels of complete voxels, and one of the voxel that lacks an image.
    assert is_rearranged == [False] * 4 + [True]


SWAPS = [np.arange(6) ^ np.repeat(np.array(s), 2) for s in itertools.product((0, 1), repeat=3)]
WHOLE = [
    2 * np.repeat(np.array(o), 2) + np.tile([0, 1], 3) for o in itertools.permutations(range(3))
]


@pytest.mark.filterwarnings("ignore:all .* different permutations of this design are used")
@pytest.mark.parametrize("kind", ["mixed", "voxelwise"])
@pytest.mark.parametrize(("block_permutation", "orders"), [("within", SWAPS), ("whole", WHOLE)])
def test_blocks_bound_what_is_exchanged(
    kind: str, block_permutation: str, orders: list[Any]
) -> None:
    """p-values by all orders that the blocks allow, one slow fit each."""
    rng = np.random.default_rng(3)
    y, v = rng.standard_normal((6, 4)), rng.gamma(2, 1, (6, 4))
    x, blocks = rng.standard_normal(6), np.repeat([0, 1, 2], 2)
    ones, none = np.ones(6), np.ones(6)
    X, C = np.column_stack([x, ones]), np.array([[1.0, 0.0]])
    if kind == "mixed":
        data, model = interleaved(y, v), facts(own=REML)
    else:
        data, model = interleaved(y, v), facts("weighted", ("weight",))

    def one(order: Any, j: int) -> float:
        if kind == "mixed":
            return float(permuted_mixed(X, C, y[:, j], v[:, j], order, "reml", "knapp-hartung"))
        return float(rearranged_voxelwise(X, C, y[:, j], v[:, j], [], order, none))

    stat = np.array([[one(order, j) for j in range(4)] for order in orders])
    result = permutation_test(
        X, C[0], ArraySource(data), stat[0], 4.0,
        options_of(
            n_perm=1000, two_sided=False, exchangeability_blocks=blocks,
            block_permutation=block_permutation,
        ),
        model=model,
    )  # fmt: skip
    assert result.n_perm == len(orders) - 1
    expected = np.mean(stat.max(axis=1)[:, None] >= stat[0] - 1e-7 * np.abs(stat[0]), axis=0)
    np.testing.assert_allclose(result.p_value["t"], expected, rtol=1e-12)
