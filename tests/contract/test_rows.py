# SPDX-License-Identifier: BSD-3-Clause
"""What all rows keep to: arrays, stores in memory and in a file, and those of a group of images."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from groupglm import SecondLevelModel, fit_ols, non_parametric_inference, permuted_ols
from groupglm.engine import group_rows
from groupglm.engine.group_rows import GroupRows
from groupglm.engine.row_store import RowStore
from groupglm.estimator.group_model import fit_images
from groupglm.inference.permutation import kernels, missing_values
from groupglm.inference.permutation.arrays import PermutationOutputs
from groupglm.models.array_rows import ArrayRows
from groupglm.models.base import HeldRows, Rows, fill
from groupglm.models.ols import OLS

N_IMAGES, SHAPE = 11, (5, 4, 3)
RNG = np.random.default_rng(3)
VALUES = RNG.normal(2, 1, (N_IMAGES, int(np.prod(SHAPE)))).astype(np.float32)
VALUES[3, ::7] = np.nan
VALUES[8, 14] = np.nan
X = np.column_stack([np.ones(N_IMAGES), RNG.normal(size=N_IMAGES)])
DESIGN = pd.DataFrame(X, columns=["one", "age"])


def images() -> list[Any]:
    volumes: Any = VALUES.reshape(N_IMAGES, *SHAPE[::-1]).transpose(0, 3, 2, 1)  # in file order
    return [nib.Nifti1Image(volume, np.eye(4)) for volume in volumes]  # type: ignore[no-untyped-call]


def mask() -> Any:
    return nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))  # type: ignore[no-untyped-call]


def stored(room: float) -> RowStore:
    n_values = VALUES.shape[1]
    store = RowStore(N_IMAGES, n_values, np.dtype(np.float32), memory_budget=room)
    for first in range(0, N_IMAGES, 4):
        store.put(first, VALUES[first : first + 4])
    assert store.is_in_memory == (room > 0)
    return store


def of_group(*, keep_rows: bool) -> GroupRows:
    rows = fit_images(SecondLevelModel(mask()), images(), DESIGN, keep_rows=keep_rows).rows
    assert (rows.kept is not None) == keep_rows
    return rows


HELD: dict[str, Callable[[], HeldRows]] = {
    "array": lambda: ArrayRows(VALUES),
    "array in batches": lambda: ArrayRows(VALUES, batch_rows=3),
    "array of the other order": lambda: ArrayRows(np.asfortranarray(VALUES)),
    "store in memory": lambda: stored(np.inf),
    "store in a file": lambda: stored(0.0),
}
CASES: dict[str, Callable[[], Rows]] = {
    **HELD,
    "group that kept its rows": lambda: of_group(keep_rows=True),
    "group that reads": lambda: of_group(keep_rows=False),
    "group on a worker": lambda: pickle.loads(pickle.dumps(of_group(keep_rows=True))),  # noqa: S301
}


@pytest.fixture(params=list(CASES))
def rows(request: pytest.FixtureRequest) -> Rows:
    return CASES[request.param]()


def same_bits(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.copy().view(np.int32), expected.copy().view(np.int32))


def test_batches_are_all_rows_in_order(rows: Rows) -> None:
    assert (rows.n_inputs, rows.n_values) == VALUES.shape
    for _ in range(2):  # they can be read again
        n_seen = 0
        for first, values in rows.batches():
            assert first == n_seen
            same_bits(values, VALUES[first : first + len(values)])
            n_seen += len(values)
        assert n_seen == N_IMAGES


@pytest.mark.parametrize("n_places", [1, 7, 59, 60, 1000])
def test_tiles_are_all_places_in_order_within_their_bytes(rows: Rows, n_places: int) -> None:
    for _ in range(2):
        n_seen = 0
        for places, values in rows.tiles(n_places * N_IMAGES * 4 + 3):
            assert places.dtype == np.int64
            assert values.shape == (N_IMAGES, len(places))
            assert 0 < len(places) <= n_places
            np.testing.assert_array_equal(places, n_seen + np.arange(len(places)))
            same_bits(values, VALUES[:, places])
            n_seen += len(places)
        assert n_seen == VALUES.shape[1]


def test_a_tile_is_one_place_at_least(rows: Rows) -> None:
    assert [len(places) for places, _ in rows.tiles(1)] == [1] * rows.n_values


def test_a_fit_by_rows_or_by_tiles_is_that_of_the_array(rows: Rows) -> None:
    expected = fit_ols(X, VALUES)
    plan = OLS.prepare(X, ("one", "age"))
    seen = fill(plan, rows, n_threads=1)
    # Streamed, batched and in-memory results agree to 1e-10.
    np.testing.assert_allclose(plan.finish(seen, 1).beta, expected.beta, rtol=1e-10)
    for places, values in rows.tiles(7 * 4 * N_IMAGES):
        own = plan.finish(fill(plan, ArrayRows(values), n_threads=1), 1)
        np.testing.assert_allclose(own.beta, expected.beta[:, places], rtol=1e-10)


@pytest.mark.parametrize("case", HELD)
def test_held_rows_are_an_array(case: str) -> None:
    same_bits(HELD[case]().array(), VALUES)


def test_a_group_reads_its_images_once_for_all_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, n_read = of_group(keep_rows=False), 0
    read_rows: Any = vars(group_rows)["read_rows"]

    def counted(sources: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal n_read
        n_read += len(sources)
        return read_rows(sources, *arguments, **options)

    monkeypatch.setattr(group_rows, "read_rows", counted)
    for max_bytes in (100, 10_000):
        for _ in rows.tiles(max_bytes):
            pass
    assert n_read == N_IMAGES


def test_a_group_that_does_not_fit_into_memory_has_its_tiles_in_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_rows, "check_memory_budget", lambda _: 10)
    rows = of_group(keep_rows=False)
    assert not rows.keep().is_in_memory
    for places, values in rows.tiles(500):
        same_bits(values, VALUES[:, places])


def numbers(outputs: Any) -> list[NDArray[Any]]:
    assert isinstance(outputs, PermutationOutputs)
    (result,) = outputs.results
    return [*result.observed.values(), *result.p_value.values(), *result.null.values()]


TESTS: dict[str, dict[str, Any]] = {
    "t": {"two_sided_test": True},
    "F": {"second_level_contrast": np.eye(2)},
    "Welch": {"variance_groups": np.arange(N_IMAGES) % 2, "missing": "intersect"},
}


@pytest.mark.parametrize("n_places", [1, 7, 33])
@pytest.mark.parametrize("room", ["memory", "file"])
@pytest.mark.parametrize("test", TESTS)
def test_a_permutation_test_is_the_same_by_tiles_of_any_size(
    n_places: int, room: str, test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statistic of the data as they are, and where values are missing, come by tiles."""
    how: dict[str, Any] = {
        "second_level_contrast": "age", "design_matrix": DESIGN, "n_perm": 30, "mask": mask(),
        "threshold": 0.05, "random_state": 0, **TESTS[test],
    }  # fmt: skip
    expected = numbers(non_parametric_inference(images(), **how))
    asked, tiles, make = [], RowStore.tiles, RowStore.__init__

    def counted(self: RowStore, max_bytes: int) -> Any:
        asked.append(max_bytes)
        assert self.is_in_memory == (room == "memory")
        return tiles(self, max_bytes)

    def in_file(self: RowStore, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **{**options, "memory_budget": 0.0})

    monkeypatch.setattr(RowStore, "tiles", counted)
    if room == "file":
        monkeypatch.setattr(RowStore, "__init__", in_file)
    max_bytes = n_places * 4 * N_IMAGES
    for module in (kernels, missing_values):
        monkeypatch.setattr(module, "TILE_BYTES", max_bytes)
    found = numbers(non_parametric_inference(images(), **how))
    assert set(asked) == {max_bytes}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_permutation_test_of_an_array_is_the_same_by_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = permuted_ols(X[:, 1], VALUES, n_perm=30, random_state=0)
    for module in (kernels, missing_values):
        monkeypatch.setattr(module, "TILE_BYTES", 7 * 4 * N_IMAGES)
    found = permuted_ols(X[:, 1], VALUES, n_perm=30, random_state=0)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
