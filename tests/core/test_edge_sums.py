# SPDX-License-Identifier: BSD-3-Clause
"""Sums of residuals at the ends of edges: against a slow version, NumPy, and odd arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groupglm import _core
from reference.edge_sums import edge_sums

pytestmark = pytest.mark.quick

BY_DTYPE = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def sums(
    rows: NDArray[Any], edges: NDArray[np.int32], threads: int = 1, cut: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Add rows, in two calls if `cut`."""
    squares, products = np.zeros(rows.shape[1]), np.zeros(edges.shape[1])
    differs = np.zeros(edges.shape[1], np.uint8)
    for block in (rows[:cut], rows[cut:]):
        _core.add_edge_sums(block, edges, squares, products, differs, threads)
    return squares, products, differs


def some(n_rows: int, n: int, dtype: Any, missing: float) -> tuple[Any, NDArray[np.int32]]:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((n_rows, n)).astype(dtype)
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows, rng.integers(0, n, (2, 3 * n), dtype=np.int32)


@BY_DTYPE
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_is_the_definition(dtype: Any, missing: float) -> None:
    rows, edges = some(6, 40, dtype, missing)
    squares, products, differs = sums(rows, edges)
    expected = edge_sums(rows, edges)
    # Six products of at most 16 are rounded once each.
    np.testing.assert_allclose(squares, expected[0], rtol=1e-15 * 6)
    np.testing.assert_allclose(products, expected[1], rtol=0, atol=6 * 16 * 2.3e-16)
    assert differs.astype(bool).tolist() == expected[2]
    assert bool(missing) == differs.any()


@BY_DTYPE
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_has_the_same_bits_for_any_threads_and_blocks(dtype: Any, missing: float) -> None:
    rows, edges = some(7, 9001, dtype, missing)
    first = sums(rows, edges)
    np.testing.assert_allclose(first[0], np.nansum(rows.astype(np.float64) ** 2, axis=0))
    for other in (sums(rows, edges, threads=4), sums(rows, edges, threads=3, cut=2)):
        for one, another in zip(first, other, strict=True):
            np.testing.assert_array_equal(one, another)


def test_nothing_and_one_place() -> None:
    none = np.zeros((2, 0), np.int32)
    assert sums(np.array([[2.0], [3.0]]), none)[0].tolist() == [13.0]
    assert sums(np.zeros((0, 3)), none)[0].tolist() == [0.0] * 3
    assert sums(np.full((2, 1), np.nan), np.zeros((2, 1), np.int32))[2].tolist() == [0]


def test_refuses_what_does_not_fit() -> None:
    rows, edges = some(3, 5, np.float64, 0.0)
    good: list[Any] = [rows, edges, np.zeros(5), np.zeros(15), np.zeros(15, np.uint8), 1]
    for place, wrong, message in [
        (0, rows[0], "two dimensions"),
        (1, edges[:1], "two rows"),
        (1, edges + np.int32(5), "does not exist"),
        (1, edges - np.int32(5), "does not exist"),
        (2, np.zeros(4), "squares must have a value a place"),
        (3, np.zeros(4), "products must have a value an edge"),
        (4, np.zeros(4, np.uint8), "differs must have a value an edge"),
    ]:
        given = [*good]
        given[place] = wrong
        with pytest.raises(ValueError, match=message):
            _core.add_edge_sums(*given)
    for place, wrong in [
        (0, rows.T.copy().T),
        (1, edges.astype(np.int64)),
        (3, np.zeros(15, "f4")),
    ]:
        given = [*good]
        given[place] = wrong
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.add_edge_sums(*given)
    locked = np.zeros(5)
    locked.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _core.add_edge_sums(rows, edges, locked, *good[3:])
