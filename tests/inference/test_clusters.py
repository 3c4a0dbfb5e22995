# SPDX-License-Identifier: BSD-3-Clause
"""Clusters: by scipy's labels and by nilearn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nilearn.mass_univariate import _utils as nilearn_utils
from scipy import ndimage

from groupglm import _core
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference import clusters as reference
from reference.volumes import CONNECTIVITIES, row_of, smooth_volume, space_of, volumes

pytestmark = pytest.mark.quick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DTYPES = (np.float32, np.float64)
EPS = float(np.finfo(np.float64).eps)


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


@given(volumes(), st.sampled_from(CONNECTIVITIES), st.sampled_from(DTYPES), st.integers(1, 3))
def test_local_maxima_are_those_of_the_definition(
    volume: Floats, connectivity: int, dtype: type, n_labels: int
) -> None:
    space = space_of(volume)
    stat: NDArray[Any] = row_of(volume, space).astype(dtype)
    labels = (np.arange(volume.size, dtype=np.int32) // 5 % n_labels).reshape(volume.shape)
    found = _core.local_maxima(stat, row_of(labels, space), space.neighbours(connectivity), 2)
    held = volume.astype(dtype).astype(float)
    wanted = reference.local_maxima(held, labels.astype(np.int64), connectivity)
    np.testing.assert_array_equal(found, row_of(wanted, space))


def test_local_maxima_refuse_labels_of_another_shape() -> None:
    neighbours = VolumeSpace(Grid((3, 1, 1), np.eye(4))).neighbours(26)
    with pytest.raises(ValueError, match="labels must have the map's shape"):
        _core.local_maxima(np.zeros(3), np.zeros(2, np.int32), neighbours, 1)
