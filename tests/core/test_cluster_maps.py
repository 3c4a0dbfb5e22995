# SPDX-License-Identifier: BSD-3-Clause
"""Rules for both clusters and TFCE: missing values, threads, empty maps, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from groupglm import _core
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference.volumes import enhance, row_of, smooth_volume, space_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DTYPES = (np.float32, np.float64)
EPS = float(np.finfo(np.float64).eps)


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
        stats: NDArray[Any] = rows.astype(dtype)
        one = _core.tfce_maxima(stats, neighbours, 0.5, 2.0, True, 0, 1)
        sizes, masses = _core.cluster_maxima(stats, neighbours, 0.9, True, 1)
        assert one[4] == sizes[4] == masses[4] == 0
        assert np.unique(one).size == 9
        for i in range(9):  # no map leaves anything for the next one
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
@pytest.mark.parametrize("sign", [1, -1])
def test_infinite_values_are_the_strongest(dtype: type[np.floating[Any]], sign: int) -> None:
    neighbours = VolumeSpace(Grid((5, 1, 1), np.eye(4))).neighbours(6)
    stats = sign * np.array([[1, np.inf, np.inf, 2, 1], [1, 2, 0, 0, np.inf]], dtype)
    labels, sizes, masses, _ = _core.label_clusters(stats[0], neighbours, 0.5, True)
    assert (labels.tolist(), sizes.tolist(), masses.tolist()) == ([1] * 5, [5], [np.inf])
    # 1, 2: the integrals of 5^0.5 h^2 to 1, and from there of 3^0.5 h^2 to 2.
    low, middle = 5**0.5 / 3, 5**0.5 / 3 + 3**0.5 * 7 / 3
    enhanced = enhance(stats[0], neighbours)
    np.testing.assert_allclose(sign * enhanced, [low, np.inf, np.inf, middle, low], rtol=1e-12)
    # Ten heights up to the largest finite value, of which 1 reaches five and 2 all.
    steps = np.arange(1, 11) * 0.2
    low = 5**0.5 * np.sum(steps[:5] ** 2)
    middle = low + 3**0.5 * np.sum(steps[5:] ** 2)
    enhanced = enhance(stats[0], neighbours, n_steps=10)
    np.testing.assert_allclose(sign * enhanced, [low, np.inf, np.inf, middle, low], rtol=1e-12)
    for n_threads in (1, 2):
        for n_steps in (0, 10):
            largest = _core.tfce_maxima(stats, neighbours, 0.5, 2.0, True, n_steps, n_threads)
            assert largest.tolist() == [np.inf, np.inf]
        sizes, masses = _core.cluster_maxima(stats, neighbours, 0.5, True, n_threads)
        assert (sizes.tolist(), masses.tolist()) == ([5, 2], [np.inf, np.inf])


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
    with pytest.raises(ValueError, match="of 4 values, one for each place"):
        enhance(np.ones(5), neighbours)
    with pytest.raises(ValueError, match="two dimensions, the last of 4 values"):
        _core.tfce_maxima(stat, neighbours, 0.5, 2.0, True, 0, 1)
