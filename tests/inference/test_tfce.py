# SPDX-License-Identifier: BSD-3-Clause
"""TFCE: by the integral level by level, by nilearn, and by what must hold of any map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.mass_univariate import _utils as nilearn_utils
from scipy import ndimage
from scipy.sparse import coo_array, csgraph, csr_array

from groupglm import _core
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference import clusters as reference
from reference.volumes import CONNECTIVITIES, enhance, row_of, smooth_volume, space_of, volumes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm._core import Neighbours

    Floats = NDArray[np.float64]

DTYPES = (np.float32, np.float64)
EPS = float(np.finfo(np.float64).eps)


def rounding_of(n: int, largest: float) -> float:
    """What the sum of n terms s^E (F(hi) - F(lo)) may differ by.

    F, the power of the extent, the difference and the product are right to a few units in the
    last place of a term's own s^E F(hi), and so is each sum: a sum of positive terms none of which
    is above `largest`, in units of which n terms are at most so wrong, for both sides compared.
    """
    return 16 * EPS * n * largest


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
