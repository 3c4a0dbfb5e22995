# SPDX-License-Identifier: BSD-3-Clause
"""Clusters and TFCE of places that have an area or a volume."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import block_diag, csr_array

from groupglm import _core
from reference import clusters as reference
from reference.meshes import areas_of, graph_of, neighbours_of, sphere
from reference.volumes import CONNECTIVITIES, row_of, smooth_volume, space_of, volumes

pytestmark = pytest.mark.quick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm._core import Neighbours

    Floats = NDArray[np.float64]
    Graph = csr_array[Any, Any]

EPS = float(np.finfo(np.float64).eps)
E, H = 1.0, 2.0
POWERS = [(0.5, 2.0), (1.0, 2.0), (0.7, 0.4), (0.0, 1.0), (2.0, 0.0)]


def enhance(
    stat: Any, neighbours: Neighbours, weights: Floats | None, e: float = E, h: float = H
) -> Floats:
    return _core.tfce(stat, neighbours, e, h, True, 0, weights)


def rounding_of(n: int, largest: float) -> float:
    """Bound the difference of two sums of n positive terms that are at most `largest`.

    A term A^E (F(hi) - F(lo)) has the rounding of F's and of A's, itself a sum of n weights whose
    relative error of n EPS the power E <= 2 doubles; so has the sum of the terms.
    """
    return 8 * EPS * (n + 8) * max(largest, 1e-300)


def mesh(n: int = 300, seed: int = 0) -> tuple[Graph, Floats]:
    points, faces = sphere(n, seed)
    return graph_of(faces, n), areas_of(points, faces)


def map_on(graph: Graph, seed: int = 0) -> Floats:
    """Smooth noise of both signs, with ties, zeros and a missing value."""
    stat = np.random.default_rng(seed).standard_normal(graph.shape[0])
    stat = (graph @ stat) / graph.sum(axis=0) + stat
    stat = np.round(4 * stat / stat.std()) / 4
    stat[7] = np.nan
    return np.asarray(stat)


def test_a_mesh_has_the_area_of_its_triangles() -> None:
    _, areas = mesh(5000)
    # The faces of a polyhedron inside a sphere of radius 50 have nearly, and less than, its area.
    assert 0.995 < areas.sum() / (4 * np.pi * 50**2) < 1
    assert np.percentile(areas, 99) > 4 * np.percentile(areas, 1)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.5, 50.0])
def test_clusters_on_a_mesh_have_areas(threshold: float) -> None:
    graph, areas = mesh()
    stat = map_on(graph)
    neighbours = neighbours_of(graph)
    labels, sizes, masses, n_positive = _core.label_clusters(
        stat, neighbours, threshold, True, areas
    )
    expected = reference.graph_clusters(np.nan_to_num(stat), graph, areas, threshold)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_allclose(sizes, expected[1], rtol=300 * EPS)
    np.testing.assert_allclose(masses, expected[2], rtol=300 * EPS)
    assert n_positive == labels[stat > 0].max(initial=0)
    size, mass = _core.cluster_maxima(stat[None], neighbours, threshold, True, 1, areas)
    assert (size.item(), mass.item()) == (sizes.max(initial=0), masses.max(initial=0))


@pytest.mark.parametrize(("e", "h"), POWERS)
def test_tfce_on_a_mesh_is_the_integral(e: float, h: float) -> None:
    graph, areas = mesh()
    stat = map_on(graph)
    neighbours = neighbours_of(graph)
    expected = reference.graph_tfce(np.nan_to_num(stat), graph, areas, e, h)
    bound = rounding_of(len(stat), np.abs(expected).max())
    found = enhance(stat, neighbours, areas, e, h)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    largest = _core.tfce_maxima(stat[None], neighbours, e, h, True, 0, 1, areas)
    np.testing.assert_allclose(largest.item(), np.abs(expected).max(), rtol=0, atol=bound)
    single = stat.astype(np.float32)
    np.testing.assert_array_equal(enhance(single, neighbours, areas, e, h), found)


@settings(deadline=None)
@given(volumes(), st.sampled_from(CONNECTIVITIES), st.sampled_from(POWERS), st.integers(0, 99))
def test_weighted_voxels(
    volume: Floats, connectivity: int, powers: tuple[float, float], seed: int
) -> None:
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(connectivity)
    cube = np.random.default_rng(seed).uniform(0.2, 5, volume.shape)
    weights = row_of(cube, space)
    labels, sizes, masses, _ = _core.label_clusters(stat, neighbours, 0.5, True, weights)
    expected = reference.clusters(volume, 0.5, connectivity, two_sided=True, weights=cube)
    np.testing.assert_array_equal(labels, row_of(expected[0], space))
    np.testing.assert_allclose(sizes, expected[1], rtol=2 * EPS * volume.size)
    np.testing.assert_allclose(masses, expected[2], rtol=2 * EPS * volume.size)
    e, h = powers
    enhanced = reference.tfce(volume, connectivity, e, h, two_sided=True, weights=cube)
    bound = rounding_of(stat.size, np.abs(enhanced).max())
    found = enhance(stat, neighbours, weights, e, h)
    np.testing.assert_allclose(found, row_of(enhanced, space), rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_one_are_no_weights_to_the_bit(dtype: type) -> None:
    volume = smooth_volume(3, (14, 12, 13))
    space = space_of(volume)
    stat = row_of(volume, space)
    stats: Any = np.stack([stat, -2.5 * stat]).astype(dtype)
    ones = np.ones(space.n_values)
    for connectivity in CONNECTIVITIES:
        neighbours = space.neighbours(connectivity)
        plain = _core.label_clusters(stats[0], neighbours, 0.4, True)
        weighted = _core.label_clusters(stats[0], neighbours, 0.4, True, ones)
        assert plain[1].dtype == np.dtype(np.int64)
        assert weighted[1].dtype == np.dtype(np.float64)
        for one, other in zip(plain, weighted, strict=True):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(
            _core.cluster_maxima(stats, neighbours, 0.4, True, 1),
            _core.cluster_maxima(stats, neighbours, 0.4, True, 1, ones),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
        for e, h in POWERS:
            for n_steps in (0, 50):
                rule = (e, h, True, n_steps)
                np.testing.assert_array_equal(
                    _core.tfce(stats[1], neighbours, *rule),
                    _core.tfce(stats[1], neighbours, *rule, ones),
                )
                np.testing.assert_array_equal(
                    _core.tfce_maxima(stats, neighbours, *rule, 1),
                    _core.tfce_maxima(stats, neighbours, *rule, 1, ones),
                )


def test_a_unit_is_a_power_of_the_enhancement() -> None:
    graph, areas = mesh()
    stat, neighbours = map_on(graph), neighbours_of(graph)
    _, sizes, masses, _ = _core.label_clusters(stat, neighbours, 0.5, True, areas)
    _, larger, heavier, _ = _core.label_clusters(stat, neighbours, 0.5, True, 4 * areas)
    np.testing.assert_array_equal(larger, 4 * sizes)  # powers of two: exact
    np.testing.assert_array_equal(heavier, 4 * masses)
    for e, factor in ((0.0, 1), (0.5, 2), (1.0, 4), (2.0, 16)):
        np.testing.assert_array_equal(
            enhance(stat, neighbours, 4 * areas, e), factor * enhance(stat, neighbours, areas, e)
        )
    constant = np.full(len(stat), 3.7)
    found, counted = enhance(stat, neighbours, constant, 0.7), enhance(stat, neighbours, None, 0.7)
    np.testing.assert_allclose(found, 3.7**0.7 * counted, rtol=0, atol=rounding_of(
        len(stat), np.abs(found).max()))  # fmt: skip
    np.testing.assert_array_equal(
        enhance(stat, neighbours, areas, 0.0), enhance(stat, neighbours, None, 0.0)
    )


@pytest.mark.parametrize(("e", "h"), POWERS)
def test_a_whole_weight_is_as_many_places(e: float, h: float) -> None:
    """Copies of a place are neighbours of each other and of all copies of its neighbours."""
    graph, _ = mesh(80)
    stat, neighbours = map_on(graph), neighbours_of(graph)
    n_copies = np.random.default_rng(1).integers(1, 5, len(stat))
    original = np.repeat(np.arange(len(stat)), n_copies)
    near = graph.toarray() + np.eye(len(stat)) > 0
    copied = near[original][:, original] & ~np.eye(len(original), dtype=bool)
    copies = neighbours_of(csr_array(copied))
    weights = n_copies.astype(float)
    labels, sizes, masses, _ = _core.label_clusters(stat, neighbours, 0.5, True, weights)
    found = _core.label_clusters(stat[original], copies, 0.5, True)
    np.testing.assert_array_equal(labels[original], found[0])
    np.testing.assert_array_equal(sizes, found[1])
    np.testing.assert_array_equal(masses, found[2])  # sums of quarters: exact
    expected = enhance(stat[original], copies, None, e, h)
    bound = rounding_of(len(original), np.abs(expected).max())
    np.testing.assert_allclose(
        enhance(stat, neighbours, weights, e, h)[original], expected, rtol=0, atol=bound
    )


def test_the_numbering_of_places_is_no_matter() -> None:
    graph, areas = mesh()
    stat, neighbours = map_on(graph), neighbours_of(graph)
    order = np.random.default_rng(2).permutation(len(stat))
    moved = neighbours_of(csr_array(graph[order][:, order]))
    for powers in POWERS:
        expected = enhance(stat, neighbours, areas, *powers)
        found = enhance(stat[order], moved, areas[order], *powers)
        bound = rounding_of(len(stat), np.abs(expected).max())
        np.testing.assert_allclose(found, expected[order], rtol=0, atol=bound)
    for one, other in zip(
        _core.cluster_maxima(stat[None], neighbours, 0.5, True, 1, areas),
        _core.cluster_maxima(stat[order][None], moved, 0.5, True, 1, areas[order]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=300 * EPS)


def test_more_area_enhances_more() -> None:
    graph, areas = mesh()
    stat, neighbours = np.abs(map_on(graph)), neighbours_of(graph)
    before = enhance(stat, neighbours, areas)
    wider = areas.copy()
    wider[np.nanargmax(stat)] *= 2
    after = enhance(stat, neighbours, wider)
    assert np.all(after >= before * (1 - 300 * EPS))
    # On a closed mesh all places that are above zero end in one cluster with the highest.
    assert np.all(after[stat > 0] > before[stat > 0])


def test_an_infinite_place_is_infinite_whatever_its_area() -> None:
    graph, areas = mesh()
    stat, neighbours = map_on(graph), neighbours_of(graph)
    stat[3] = -np.inf
    enhanced = enhance(stat, neighbours, areas * 1e-200)
    assert enhanced[3] == -np.inf
    assert np.isinf(enhanced).sum() == 1
    assert not np.isnan(enhanced).any()
    _, sizes, masses, _ = _core.label_clusters(stat, neighbours, 0.5, True, areas)
    assert np.isinf(masses).sum() == 1
    assert np.isfinite(sizes).all()


def test_threads_change_no_bit() -> None:
    graph, areas = mesh()
    neighbours = neighbours_of(graph)
    maps = np.stack([map_on(graph, seed) for seed in range(9)])
    enhanced = [np.abs(enhance(row, neighbours, areas)).max() for row in maps]
    one = _core.tfce_maxima(maps, neighbours, E, H, True, 0, 1, areas)
    bound = rounding_of(maps.shape[1], max(enhanced))
    np.testing.assert_allclose(one, enhanced, rtol=0, atol=bound)
    sizes, masses = _core.cluster_maxima(maps, neighbours, 0.5, True, 1, areas)
    for n_threads in (2, 4):
        found = _core.cluster_maxima(maps, neighbours, 0.5, True, n_threads, areas)
        np.testing.assert_array_equal(found[0], sizes)
        np.testing.assert_array_equal(found[1], masses)
        np.testing.assert_array_equal(
            _core.tfce_maxima(maps, neighbours, E, H, True, 0, n_threads, areas), one
        )


def test_parts_side_by_side() -> None:
    """In a joined graph each part has its own results, and the maxima are those of all parts."""
    graphs, weights = zip(*(mesh(n, seed) for seed, n in enumerate((120, 5, 200))), strict=True)
    parts = [neighbours_of(graph) for graph in graphs]
    joined = _core.Neighbours.joined(parts)
    whole = neighbours_of(csr_array(block_diag(graphs)))
    for one, other in zip(joined.adjacency(), whole.adjacency(), strict=True):
        np.testing.assert_array_equal(one, other)
    areas = np.concatenate(weights)
    stats = np.random.default_rng(3).standard_normal((4, len(areas)))
    ends = np.cumsum([0, *map(len, weights)])
    slices = [slice(*pair) for pair in pairwise(ends)]
    alone = [
        enhance(stats[0, where].copy(), part, area)
        for where, part, area in zip(slices, parts, weights, strict=True)
    ]
    np.testing.assert_array_equal(enhance(stats[0], joined, areas), np.concatenate(alone))
    # A part of each row is taken where it lies.
    largest = [
        _core.tfce_maxima(stats[:, where], part, E, H, True, 0, 2, area)
        for where, part, area in zip(slices, parts, weights, strict=True)
    ]
    np.testing.assert_array_equal(
        np.max(largest, axis=0), _core.tfce_maxima(stats, joined, E, H, True, 0, 2, areas)
    )
    sizes = [
        _core.cluster_maxima(stats[:, where], part, 0.5, True, 1, area)
        for where, part, area in zip(slices, parts, weights, strict=True)
    ]
    np.testing.assert_array_equal(
        np.max(sizes, axis=0), _core.cluster_maxima(stats, joined, 0.5, True, 1, areas)
    )
    assert _core.Neighbours.joined([]).n_places == 0
    for wrong in ([None], [parts[0], 3], 7, [_core.Neighbours.__new__(_core.Neighbours)]):
        with pytest.raises(TypeError):
            _core.Neighbours.joined(wrong)  # type: ignore[arg-type]


def test_rows_apart_are_taken_as_they_lie() -> None:
    line = _core.Neighbours.of_volume((4, 1, 1), np.arange(4), 6)
    many = np.random.default_rng(4).standard_normal((6, 9))
    expected = _core.cluster_maxima(many[::2, 3:7].copy(), line, 0.1, True, 1)
    for one, other in zip(
        _core.cluster_maxima(many[::2, 3:7], line, 0.1, True, 1), expected, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    backwards = _core.cluster_maxima(many[4::-2, 3:7], line, 0.1, True, 1)
    np.testing.assert_array_equal(backwards[1], expected[1][::-1])
    with pytest.raises(ValueError, match="values of a map must lie side by side"):
        _core.cluster_maxima(many[:, :8:2], line, 0.1, True, 1)
    with pytest.raises(ValueError, match="two dimensions, the last of 4 values"):
        _core.tfce_maxima(many, line, E, H, True, 0, 1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], r"weights has 3 values for the neighbours' 4 places; give one weight"),
        ([1, 2, 0, 3], r"weights\[2\] is 0; every weight must be finite and above zero: leave out"),
        ([1, -2.5, 1, 3], r"weights\[1\] is -2.5; every weight"),
        ([np.nan, 2, 1, 3], r"weights\[0\] is -?nan; every weight"),
        ([1, 2, 1, np.inf], r"weights\[3\] is inf; every weight"),
        ([1e308, 1e308, 1, 1], r"sum of weights is infinite; give them in a larger unit"),
        ([[1, 2], [1, 3]], r"weights has 2 dimensions; it must have one"),
    ],
)
def test_bad_weights_are_refused_at_every_door(weights: list[Any], message: str) -> None:
    line = _core.Neighbours.of_volume((4, 1, 1), np.arange(4), 6)
    stat, areas = np.ones(4), np.array(weights, dtype=float)
    with pytest.raises(ValueError, match=message):
        _core.label_clusters(stat, line, 0.5, True, areas)
    with pytest.raises(ValueError, match=message):
        _core.cluster_maxima(stat[None], line, 0.5, True, 1, areas)
    with pytest.raises(ValueError, match=message):
        _core.tfce(stat, line, E, H, True, 0, areas)
    with pytest.raises(ValueError, match=message):
        _core.tfce_maxima(stat[None], line, E, H, True, 0, 1, areas)


def test_weights_whose_power_is_zero_are_refused() -> None:
    line = _core.Neighbours.of_volume((2, 1, 1), np.arange(2), 6)
    stat = np.array([np.inf, 1.0])
    for tiny, power in ((1e-200, 2.0), (0.1, 400.0)):
        with pytest.raises(ValueError, match=rf"value {tiny:g}, whose power {power:g} of the"):
            _core.tfce(stat, line, power, H, True, 0, np.array([1.0, tiny]))
    assert np.isfinite(_core.tfce(stat, line, 0.5, H, True, 0, np.array([1.0, 1e-200]))[1])
