# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing on a mesh: against its definition and a sparse matrix of SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from groupglm import _core
from reference.meshes import graph_of, icosphere, neighbours_of, sphere
from reference.smoothing import neighbour_means

pytestmark = pytest.mark.quick

BY_DTYPE = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ITERATIONS = 12


def tolerance(dtype: Any, n_iterations: int = ITERATIONS) -> float:
    """For values of at most one: each side rounds some ten sums and products an iteration."""
    return float(np.finfo(dtype).eps + 20 * n_iterations * np.finfo(np.float64).eps)


def smoothed(
    maps: NDArray[Any], graph: csr_array[Any, Any], n_iterations: int = ITERATIONS, threads: int = 1
) -> NDArray[Any]:
    out = maps.copy()
    _core.smooth_on_mesh(out, neighbours_of(graph), n_iterations, threads)
    return out


def random_maps(n_maps: int, n: int, dtype: Any, missing: float = 0.0) -> NDArray[Any]:
    rng = np.random.default_rng(3)
    maps = rng.uniform(-1, 1, (n_maps, n)).astype(dtype)
    maps[rng.random(maps.shape) < missing] = np.nan
    return maps


@BY_DTYPE
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_is_the_definition(dtype: Any, missing: float) -> None:
    graph = graph_of(sphere(90)[1], 90)
    for n_maps in (1, 3, 9):
        maps = random_maps(n_maps, 90, dtype, missing)
        found = smoothed(maps, graph)
        assert found.dtype == dtype
        for before, after in zip(maps, found, strict=True):
            expected = neighbour_means(before, graph, ITERATIONS)
            np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
            np.testing.assert_allclose(after, expected, rtol=0, atol=tolerance(dtype))


@BY_DTYPE
def test_is_the_power_of_a_sparse_matrix(dtype: Any) -> None:
    points, faces = icosphere(4)
    graph = graph_of(faces.astype(np.intp), len(points))
    maps = random_maps(5, len(points), dtype)
    with_centre = graph + diags_array(np.ones(len(points)))
    step = diags_array(1 / with_centre.sum(axis=1)) @ with_centre
    expected = maps.T.astype(np.float64)
    for _ in range(40):
        expected = step @ expected
    found = smoothed(maps, graph, 40)
    np.testing.assert_allclose(found.T, expected, rtol=0, atol=tolerance(dtype, 40))


def test_a_missing_place_is_as_if_the_mesh_had_none_there() -> None:
    graph = graph_of(sphere(200)[1], 200)
    maps = random_maps(4, 200, np.float64)
    gone = np.random.default_rng(8).random(200) < 0.25
    maps[:, gone] = np.nan
    rest = smoothed(maps[:, ~gone].copy(), csr_array(graph[~gone][:, ~gone]))
    np.testing.assert_array_equal(smoothed(maps, graph)[:, ~gone], rest)


@BY_DTYPE
def test_a_constant_is_kept_and_the_mean_by_degree_stays(dtype: Any) -> None:
    graph = graph_of(sphere(150)[1], 150)
    constant = np.full((2, 150), 0.7, dtype)
    np.testing.assert_allclose(smoothed(constant, graph), constant, rtol=tolerance(dtype))
    maps = random_maps(3, 150, dtype)
    # The walk that stays with 1 / (1 + k) is in balance where places count 1 + k.
    counts = 1 + graph.sum(axis=1)
    before, after = maps @ counts, smoothed(maps, graph) @ counts
    np.testing.assert_allclose(after, before, rtol=0, atol=counts.sum() * tolerance(dtype))


@BY_DTYPE
def test_threads_and_company_change_no_bit(dtype: Any) -> None:
    graph = graph_of(sphere(120)[1], 120)
    maps = random_maps(27, 120, dtype, 0.1)
    together = smoothed(maps, graph)
    for threads in (2, 3, 0):
        np.testing.assert_array_equal(smoothed(maps, graph, threads=threads), together)
    for before, after in zip(maps, together, strict=True):
        np.testing.assert_array_equal(smoothed(before[None], graph)[0], after)


def test_nothing_present_and_nobody_near() -> None:
    graph = graph_of(sphere(30)[1], 30)
    assert np.isnan(smoothed(np.full((2, 30), np.nan), graph)).all()
    lonely = np.full((1, 30), np.nan)
    lonely[0, 7] = 3.0
    np.testing.assert_array_equal(smoothed(lonely, graph), lonely)
    np.testing.assert_array_equal(smoothed(lonely, graph, 0), lonely)


def test_wrong_maps_and_iterations_are_refused() -> None:
    neighbours = neighbours_of(graph_of(sphere(30)[1], 30))
    for maps in (np.zeros(30), np.zeros((2, 29)), np.zeros((1, 2, 30))):
        with pytest.raises(ValueError, match="the last of 30 values"):
            _core.smooth_on_mesh(maps, neighbours, 1, 1)
    for wrong in (np.zeros((30, 2)).T, np.zeros((2, 30), np.int64), np.zeros((2, 30), ">f8")):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.smooth_on_mesh(wrong, neighbours, 1, 1)  # type: ignore[arg-type]
    for n_iterations in (-1, 1_000_001):
        with pytest.raises(ValueError, match=f"n_iterations is {n_iterations}; it must be from 0"):
            _core.smooth_on_mesh(np.zeros((2, 30)), neighbours, n_iterations, 1)
    locked = np.zeros((2, 30))
    locked.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _core.smooth_on_mesh(locked, neighbours, 1, 1)
