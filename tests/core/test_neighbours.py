# SPDX-License-Identifier: BSD-3-Clause
"""Which voxels are neighbours, compared with scipy's structuring elements."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import ndimage

from groupglm import _core
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace
from reference import clusters as reference
from reference.volumes import CONNECTIVITIES, row_of, smooth_volume, space_of

pytestmark = pytest.mark.quick


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
        volume = space.to_image(alone).get_fdata()
        around = ndimage.binary_dilation(volume > 0, structure) & inside
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
