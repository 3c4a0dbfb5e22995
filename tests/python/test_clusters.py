# SPDX-License-Identifier: BSD-3-Clause
"""Clusters and TFCE: by scipy's labels, by nilearn, and by what must hold of any map."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.mass_univariate import _utils as nilearn_utils
from scipy import ndimage
from scipy.sparse import coo_array, csgraph, csr_array

from groupglm import _core
from groupglm.images.grid import Grid
from groupglm.spaces.volume import VolumeSpace
from reference import clusters as reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm._core import Neighbours

    Floats = NDArray[np.float64]

CONNECTIVITIES = (6, 18, 26)
DTYPES = (np.float32, np.float64)
EPS = float(np.finfo(np.float64).eps)


def space_of(volume: Floats) -> VolumeSpace:
    """The space of the voxels that are not NaN."""
    return VolumeSpace(
        Grid(volume.shape, np.eye(4)), np.flatnonzero(~np.isnan(volume).ravel(order="F"))
    )


def row_of(volume: NDArray[Any], space: VolumeSpace) -> NDArray[Any]:
    return np.ascontiguousarray(volume.ravel(order="F")[space.indices])


def smooth_volume(seed: int, shape: tuple[int, int, int] = (11, 9, 10)) -> Floats:
    rng = np.random.default_rng(seed)
    volume = ndimage.gaussian_filter(rng.normal(size=shape), 0.8)
    volume /= volume.std()
    volume[rng.random(shape) < 0.1] = np.nan
    return volume.astype(np.float32).astype(float)


def enhance(
    stat: Any,
    neighbours: Neighbours,
    e: float = 0.5,
    h: float = 2.0,
    two_sided: bool = True,
    n_steps: int = 0,
) -> Floats:
    return _core.tfce(stat, neighbours, e, h, two_sided, n_steps)


def rounding_of(n: int, largest: float) -> float:
    """What the sum of n terms s^E (F(hi) - F(lo)) may differ by.

    F, the power of the extent, the difference and the product are right to a few units in the
    last place of a term's own s^E F(hi), and so is each sum: a sum of positive terms none of which
    is above `largest`, in units of which n terms are at most so wrong, for both sides compared.
    """
    return 16 * EPS * n * largest


@st.composite
def volumes(draw: st.DrawFn) -> Floats:
    """Small volumes with holes, ties, zeros and both signs; perhaps of one value or one voxel."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    number = st.one_of(
        st.integers(-3, 3).map(float),
        st.floats(-5, 5, width=32),
        st.just(float("nan")),
    )
    n = shape[0] * shape[1] * shape[2]
    values = np.array(draw(st.lists(number, min_size=n, max_size=n)), dtype=float)
    if np.isnan(values).all():
        values[0] = draw(st.integers(-2, 2))
    return values.reshape(shape)


# -- neighbours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 1, 1), (7, 1, 2), (1, 6, 1)])
def test_neighbours_are_those_of_the_structure(
    connectivity: int, shape: tuple[int, int, int]
) -> None:
    inside = np.random.default_rng(1).random(shape) < 0.7
    inside[0, 0, 0] = True
    space = VolumeSpace(Grid(shape, np.eye(4)), np.flatnonzero(inside.ravel(order="F")))
    neighbours = space.neighbours(connectivity)
    starts, places = neighbours.adjacency()
    assert neighbours.n_places == space.n_values == len(starts) - 1
    structure = ndimage.generate_binary_structure(3, reference.RANK[connectivity])
    for place in range(space.n_values):
        alone = np.zeros(space.n_values)
        alone[place] = 1
        volume = np.zeros(shape)
        volume.ravel(order="K")
        flat = np.zeros(volume.size)
        flat[space.indices] = alone
        around = ndimage.binary_dilation(flat.reshape(shape, order="F") > 0, structure) & inside
        expected = np.flatnonzero(row_of(around, space))
        np.testing.assert_array_equal(
            places[starts[place] : starts[place + 1]], expected[expected != place]
        )


def test_without_a_mask_every_voxel_is_a_place() -> None:
    grid = Grid((3, 4, 2), np.eye(4))
    whole = VolumeSpace(grid).neighbours(26).adjacency()
    masked = VolumeSpace(grid, np.arange(24)).neighbours(26).adjacency()
    for one, other in zip(whole, masked, strict=True):
        np.testing.assert_array_equal(one, other)


def test_neighbours_survive_pickling() -> None:
    neighbours = space_of(smooth_volume(2)).neighbours(18)
    again = pickle.loads(pickle.dumps(neighbours))  # noqa: S301
    for one, other in zip(neighbours.adjacency(), again.adjacency(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="connectivity is 8; it must be 6"):
        VolumeSpace(Grid((2, 2, 2), np.eye(4))).neighbours(8)
    for indices in ([0, 0], [2, 1], [-1, 0], [0, 8]):
        with pytest.raises(ValueError, match="must increase from 0 to at most 7"):
            _core.Neighbours.of_volume((2, 2, 2), np.array(indices, np.int64), 6)
    with pytest.raises(ValueError, match="axis of 0 voxels"):
        _core.Neighbours.of_volume((2, 0, 2), np.array([], np.int64), 6)
    with pytest.raises(ValueError, match="fewer than 2\\^61"):
        _core.Neighbours.of_volume((2**40, 2**40, 2), np.array([0], np.int64), 6)


@pytest.mark.parametrize(
    ("starts", "places", "message"),
    [
        ([], [], "starts must increase"),
        ([1, 1], [0], "starts must increase"),
        ([0, 2, 1, 2], [1, 0], "starts must increase"),
        ([0, 1, 3], [1, 0], "starts must increase"),
        ([0, 1, 2], [1, 1], "place 1 has the neighbour 1"),
        ([0, 1, 2], [2, 0], "place 0 has the neighbour 2"),
        ([0, 1, 2], [-1, 0], "place 0 has the neighbour -1"),
        ([0, 2, 3, 4], [2, 1, 0, 0], "a list must increase"),
        ([0, 1, 1], [1], "neighbours must be mutual, but those of 0 and of 1"),
        ([0, 0, 1], [0], "neighbours must be mutual, but those of 1 and of 0"),
        ([0, 1, 2, 3], [1, 2, 0], "neighbours must be mutual"),
    ],
)
def test_bad_adjacency_is_refused(starts: list[int], places: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Neighbours.of_adjacency(np.array(starts, np.int64), np.array(places, np.int32))


def graph(seed: int, n: int = 60) -> tuple[csr_array[Any, Any], Neighbours]:
    """Random pairs: a graph that is no grid, with places that have no neighbour."""
    ends = np.random.default_rng(seed).integers(0, n, size=(2, n))
    ends = ends[:, ends[0] != ends[1]]
    both = np.concatenate([ends, ends[::-1]], axis=1)
    matrix = csr_array(coo_array((np.ones(both.shape[1]), (both[0], both[1])), shape=(n, n)))
    matrix.sum_duplicates()
    return matrix, _core.Neighbours.of_adjacency(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    )


def test_any_graph_will_do() -> None:
    rng = np.random.default_rng(8)
    for seed in range(5):
        matrix, neighbours = graph(seed)
        stat = rng.normal(size=60)
        labels, sizes, _, n_positive = _core.label_clusters(stat, neighbours, 0.3, False)
        inside = np.flatnonzero(stat > 0.3)
        count, expected = csgraph.connected_components(matrix[inside][:, inside], directed=False)
        assert count == len(sizes) == n_positive
        np.testing.assert_array_equal(labels[inside], expected + 1)
        enhanced = enhance(stat, neighbours, 0.5, 2.0, False)
        total = np.zeros(60)
        low = 0.0
        for high in np.sort(stat[stat > 0]):
            inside = np.flatnonzero(stat >= high)
            _, part = csgraph.connected_components(matrix[inside][:, inside], directed=False)
            total[inside] += np.bincount(part)[part] ** 0.5 * (high**3 - low**3) / 3
            low = high
        np.testing.assert_allclose(enhanced, total, atol=rounding_of(60, total.max()), rtol=0)


# -- clusters -------------------------------------------------------------------------------------


def check_clusters(volume: Floats, threshold: float, connectivity: int, two_sided: bool) -> None:
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(connectivity)
    labels, sizes, masses, n_positive = _core.label_clusters(stat, neighbours, threshold, two_sided)
    expected = reference.clusters(volume, threshold, connectivity, two_sided=two_sided)
    np.testing.assert_array_equal(labels, row_of(expected[0], space))
    np.testing.assert_array_equal(sizes, expected[1])
    # Sums of as many positive terms as the cluster has places, in another order.
    bound = 2 * EPS * volume.size * (1 + np.nanmax(np.abs(volume)) * volume.size)
    np.testing.assert_allclose(masses, expected[2], rtol=0, atol=bound)
    assert n_positive == expected[3]
    size, mass = _core.cluster_maxima(stat[None], neighbours, threshold, two_sided, 1)
    assert size.item() == sizes.max(initial=0)
    assert mass.item() == masses.max(initial=0)


@given(
    volumes(),
    st.sampled_from([0.0, 0.5, 1.0, 2.5]),
    st.sampled_from(CONNECTIVITIES),
    st.booleans(),
)
def test_clusters_are_scipys(
    volume: Floats, threshold: float, connectivity: int, two_sided: bool
) -> None:
    check_clusters(volume, threshold, connectivity, two_sided)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.5, 50.0])
def test_clusters_of_a_smooth_map(connectivity: int, two_sided: bool, threshold: float) -> None:
    check_clusters(smooth_volume(4, (23, 20, 21)), threshold, connectivity, two_sided)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("two_sided", [True, False])
def test_cluster_maxima_are_nilearns(connectivity: int, two_sided: bool) -> None:
    maps = np.stack([np.nan_to_num(smooth_volume(seed)) for seed in range(6)], axis=-1)
    structure = ndimage.generate_binary_structure(3, reference.RANK[connectivity])
    sizes, masses = nilearn_utils.calculate_cluster_measures(maps, 0.7, structure, two_sided)
    space = VolumeSpace(Grid(maps.shape[:3], np.eye(4)))
    rows = np.ascontiguousarray(maps.reshape(-1, 6, order="F").T)
    found = _core.cluster_maxima(rows, space.neighbours(connectivity), 0.7, two_sided, 2)
    np.testing.assert_array_equal(found[0], sizes)
    # Sums of at most 990 positive terms, in another order.
    np.testing.assert_allclose(found[1], masses, rtol=2 * 990 * EPS)


def test_a_threshold_is_strict_and_compared_in_double() -> None:
    neighbours = VolumeSpace(Grid((3, 1, 1), np.eye(4))).neighbours(6)
    nearest = float(np.float32(0.1))  # above 0.1
    for threshold, count in [(0.1, 3), (nearest, 0), (np.nextafter(nearest, 0), 3)]:
        stat = np.full(3, nearest, dtype=np.float32)
        for values in (stat, stat.astype(float)):
            for sign in (1, -1):
                labels, *_ = _core.label_clusters(sign * values, neighbours, threshold, True)
                assert np.count_nonzero(labels) == count
    above = np.full(3, np.finfo(np.float32).max)
    assert _core.label_clusters(above, neighbours, 1e300, True)[1].size == 0


# -- TFCE -----------------------------------------------------------------------------------------

POWERS = st.sampled_from([0.0, 0.3, 0.5, 1.0, 2.0, 3.0])


@settings(deadline=None)
@given(volumes(), st.sampled_from(CONNECTIVITIES), POWERS, POWERS, st.booleans())
def test_tfce_is_the_integral(
    volume: Floats, connectivity: int, e: float, h: float, two_sided: bool
) -> None:
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(connectivity)
    found = enhance(stat, neighbours, e, h, two_sided)
    expected = row_of(reference.tfce(volume, connectivity, e, h, two_sided=two_sided), space)
    bound = rounding_of(stat.size, max(np.abs(expected).max(), 1e-300))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    largest = _core.tfce_maxima(stat[None], neighbours, e, h, two_sided, 0, 1)
    np.testing.assert_allclose(largest.item(), np.abs(expected).max(), rtol=0, atol=bound)
    np.testing.assert_array_equal(
        enhance(stat.astype(np.float32), neighbours, e, h, two_sided), found
    )


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
def test_tfce_is_the_integral_on_a_fine_grid(connectivity: int) -> None:
    volume = smooth_volume(5, (6, 7, 5))
    space = space_of(volume)
    found = enhance(row_of(volume, space), space.neighbours(connectivity))
    n_heights = 4000
    expected = reference.tfce_riemann(volume, connectivity, 0.5, 2.0, n_heights=n_heights)
    # A step's error is at most its width times the variation of the integrand within; all in all
    # the extent falls and the height grows once: twice the product of their largest values.
    highest = float(np.nanmax(np.abs(volume)))
    bound = highest / n_heights * 2 * volume.size**0.5 * highest**2
    assert bound < 0.05 * np.abs(found).max()
    np.testing.assert_allclose(found, row_of(expected, space), rtol=0, atol=bound)


@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(("e", "h"), [(0.5, 2.0), (1.0, 2.0), (0.7, 1.3)])
def test_tfce_by_steps_is_nilearns(connectivity: int, two_sided: bool, e: float, h: float) -> None:
    maps = np.stack([np.nan_to_num(smooth_volume(seed)) for seed in range(3)], axis=-1)
    structure = ndimage.generate_binary_structure(3, reference.RANK[connectivity])
    expected = nilearn_utils.calculate_tfce(maps, structure, e, h, two_sided_test=two_sided)
    space = VolumeSpace(Grid(maps.shape[:3], np.eye(4)))
    neighbours = space.neighbours(connectivity)
    rows = np.ascontiguousarray(maps.reshape(-1, 3, order="F").T)
    largest = _core.tfce_maxima(rows, neighbours, e, h, two_sided, 100, 1)
    for i, row in enumerate(rows):
        found = enhance(row, neighbours, e, h, two_sided, 100)
        theirs = expected[..., i].ravel(order="F")
        bound = rounding_of(100, np.abs(theirs).max())
        np.testing.assert_allclose(found, theirs, rtol=0, atol=bound)
        np.testing.assert_allclose(largest[i], np.abs(theirs).max(), rtol=0, atol=bound)


def test_tfce_by_many_steps_nears_the_integral() -> None:
    volume = smooth_volume(6)
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(26)
    exact = enhance(stat, neighbours)
    n_steps = 100_000
    highest = np.abs(stat).max()
    stepped = enhance(stat, neighbours, n_steps=n_steps) * highest / n_steps
    bound = highest / n_steps * 2 * stat.size**0.5 * highest**2  # as on the fine grid above
    np.testing.assert_allclose(stepped, exact, rtol=0, atol=bound)


def test_doubles_that_are_equal_as_floats_keep_their_order() -> None:
    rng = np.random.default_rng(11)
    shape = (5, 5, 5)
    values = (1 + 1e-12 * rng.integers(0, 40, size=shape)) * rng.choice([-1, 1], size=shape)
    volume = values + 1e-9 * rng.integers(0, 2, size=shape)
    assert np.unique(np.abs(volume).astype(np.float32)).size == 1
    space = space_of(volume)
    # The distances alone are enhanced when the common height weighs nothing: with the extent's
    # power the extents of all levels, far apart, show in the sum.
    found = enhance(row_of(volume, space), space.neighbours(6), 3.0, 0.0)
    expected = row_of(reference.tfce(volume, 6, 3.0, 0.0, two_sided=True), space)
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding_of(125, 125.0**3))
    ordered = (1 + 1e-12 * np.arange(125.0))[::-1]
    line = VolumeSpace(Grid((125, 1, 1), np.eye(4))).neighbours(6)
    # Falling along the line, every place makes the cluster one larger: a sum in closed form, in
    # which a wrong order would leave a place without its neighbour.
    sizes = np.arange(1, 126.0)
    falls = np.append(-np.diff(ordered), ordered[-1])
    expected = np.cumsum((sizes * falls)[::-1])[::-1]
    np.testing.assert_allclose(enhance(ordered.copy(), line, 1.0, 0.0), expected, rtol=1e-13)


@settings(deadline=None)
@given(volumes(), st.sampled_from(CONNECTIVITIES), st.floats(0.01, 3))
def test_raising_a_map_raises_its_enhancement(
    volume: Floats, connectivity: int, lift: float
) -> None:
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(connectivity)
    before = enhance(stat, neighbours, two_sided=False)
    after = enhance(stat + lift, neighbours, two_sided=False)
    assert np.all(after >= before - rounding_of(stat.size, after.max(initial=0)))
    assert np.all(after[stat > 0] > before[stat > 0])


@settings(deadline=None)
@given(volumes(), st.sampled_from(CONNECTIVITIES))
def test_signs_are_symmetric_and_scale_is_a_power(volume: Floats, connectivity: int) -> None:
    space = space_of(volume)
    stat = row_of(volume, space)
    neighbours = space.neighbours(connectivity)
    found = enhance(stat, neighbours)
    np.testing.assert_array_equal(enhance(-stat, neighbours), -found)
    np.testing.assert_array_equal(np.sign(found), np.sign(stat))
    np.testing.assert_array_equal(enhance(2 * stat, neighbours), 8 * found)  # exact: H + 1 = 3
    positive = enhance(stat, neighbours, two_sided=False)
    np.testing.assert_array_equal(positive, np.where(stat > 0, found, 0))


# -- what both share ------------------------------------------------------------------------------


def test_missing_places_are_not_there() -> None:
    volume = smooth_volume(7)
    whole = VolumeSpace(Grid(volume.shape, np.eye(4)))
    inside = space_of(volume)
    stat = row_of(volume, inside)
    for dtype in DTYPES:
        holes = np.ascontiguousarray(volume.ravel(order="F").astype(dtype))
        found = enhance(holes, whole.neighbours(18))
        np.testing.assert_array_equal(found[inside.indices], enhance(stat, inside.neighbours(18)))
        assert not found[np.isnan(holes)].any()
        labels, sizes, *_ = _core.label_clusters(holes, whole.neighbours(18), 0.5, True)
        expected = _core.label_clusters(stat, inside.neighbours(18), 0.5, True)
        np.testing.assert_array_equal(labels[inside.indices], expected[0])
        np.testing.assert_array_equal(sizes, expected[1])


def test_the_same_bits_for_any_number_of_threads() -> None:
    volume = smooth_volume(8)
    space = space_of(volume)
    neighbours = space.neighbours(26)
    rows = np.stack([row_of(smooth_volume(seed), space) for seed in range(9)])
    rows[4] = 0
    for dtype in DTYPES:
        stats = rows.astype(dtype)
        one = _core.tfce_maxima(stats, neighbours, 0.5, 2.0, True, 0, 1)
        sizes, masses = _core.cluster_maxima(stats, neighbours, 0.9, True, 1)
        assert one[4] == sizes[4] == masses[4] == 0
        assert np.unique(one).size == 9
        for i in range(9):  # nothing of one map is left for the next
            alone = _core.tfce_maxima(stats[i : i + 1], neighbours, 0.5, 2.0, True, 0, 1)
            assert alone.item() == one[i]
        for n_threads in (2, 3, 16):
            np.testing.assert_array_equal(
                _core.tfce_maxima(stats, neighbours, 0.5, 2.0, True, 0, n_threads), one
            )
            again = _core.cluster_maxima(stats, neighbours, 0.9, True, n_threads)
            np.testing.assert_array_equal(again[0], sizes)
            np.testing.assert_array_equal(again[1], masses)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_voxel_and_none(dtype: type[np.floating[Any]]) -> None:
    one = VolumeSpace(Grid((1, 1, 1), np.eye(4))).neighbours(26)
    np.testing.assert_allclose(enhance(np.array([3.0], dtype), one), [9.0], rtol=4 * EPS)
    labels, sizes, masses, n_positive = _core.label_clusters(np.array([-3], dtype), one, 1.0, True)
    assert (labels.tolist(), sizes.tolist(), masses.tolist(), n_positive) == ([1], [1], [2.0], 0)
    none = _core.Neighbours.of_adjacency(np.zeros(1, np.int64), np.zeros(0, np.int32))
    empty = np.zeros(0, dtype)
    assert enhance(empty, none).shape == (0,)
    assert _core.label_clusters(empty, none, 1.0, True)[0].shape == (0,)
    assert _core.tfce_maxima(empty.reshape(2, 0), none, 0.5, 2.0, True, 0, 2).tolist() == [0, 0]
    assert _core.tfce_maxima(np.zeros((0, 1), dtype), one, 0.5, 2.0, True, 0, 2).shape == (0,)
    assert _core.cluster_maxima(np.zeros((0, 1), dtype), one, 1.0, True, 2)[0].shape == (0,)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused(dtype: type[np.floating[Any]], value: float) -> None:
    neighbours = VolumeSpace(Grid((4, 1, 1), np.eye(4))).neighbours(6)
    stats = np.ones((5, 4), dtype)
    stats[3, 2] = stats[4, 0] = value
    with pytest.raises(ValueError, match="infinite at place 2"):
        enhance(stats[3], neighbours)
    with pytest.raises(ValueError, match="infinite at place 2"):
        _core.label_clusters(stats[3], neighbours, 0.5, False)
    for n_threads in (1, 2):
        with pytest.raises(ValueError, match="map 3: the map is infinite at place 2"):
            _core.tfce_maxima(stats, neighbours, 0.5, 2.0, True, 0, n_threads)
        with pytest.raises(ValueError, match="map 3: the map is infinite at place 2"):
            _core.cluster_maxima(stats, neighbours, 0.5, True, n_threads)


def test_bad_options_are_refused() -> None:
    neighbours = VolumeSpace(Grid((4, 1, 1), np.eye(4))).neighbours(6)
    stat = np.ones(4)
    for threshold in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="threshold is"):
            _core.label_clusters(stat, neighbours, threshold, True)
        with pytest.raises(ValueError, match="threshold is"):
            _core.cluster_maxima(stat[None], neighbours, threshold, True, 1)
    for power in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="power of the extent is"):
            enhance(stat, neighbours, e=power)
        with pytest.raises(ValueError, match="power of the height is"):
            _core.tfce_maxima(stat[None], neighbours, 0.5, power, True, 0, 1)
    for n_steps in (-1, 10**7):
        with pytest.raises(ValueError, match="n_steps is"):
            enhance(stat, neighbours, n_steps=n_steps)
    with pytest.raises(ValueError, match="too large to be enhanced"):
        enhance(stat * 1e200, neighbours)
    with pytest.raises(ValueError, match="the last of 4 values"):
        enhance(np.ones(5), neighbours)
    with pytest.raises(ValueError, match="2 dimension"):
        _core.tfce_maxima(stat, neighbours, 0.5, 2.0, True, 0, 1)
