# SPDX-License-Identifier: BSD-3-Clause
"""Small volumes for the tests of clusters: smooth ones, and awkward ones by hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

from groupglm import _core
from groupglm.spaces.volume.grid import Grid
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm._core import Neighbours

    Floats = NDArray[np.float64]

CONNECTIVITIES = (6, 18, 26)


def affine_of(axes: Any, origin: Any) -> Floats:
    """Return the matrix of a grid of these three axes, one a column, from this origin."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = origin
    return affine


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


def enhance(
    stat: Any,
    neighbours: Neighbours,
    e: float = 0.5,
    h: float = 2.0,
    two_sided: bool = True,
    n_steps: int = 0,
) -> Floats:
    """TFCE by the core, of voxels by default."""
    return _core.tfce(stat, neighbours, e, h, two_sided, n_steps)
