# SPDX-License-Identifier: BSD-3-Clause
"""Connected voxels: the one place that knows how clusters are formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.volume.space import VolumeSpace

__all__ = ["keep_large_clusters", "label_clusters"]

_CONNECTIVITY = 6  # voxels that share a face, as in nilearn


def label_clusters(
    places: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], int]:
    """Label the clusters that some voxels form: those that share a face are connected.

    Parameters
    ----------
    places : array of int, shape (n,)
        The voxels, as increasing places in a grid whose first axis varies fastest.
    shape : tuple of 3 ints
        Of the grid.

    Returns
    -------
    labels : array of int32, shape (n,)
        From 1 to k, in the order of the first voxel of each cluster.
    k : int
        How many clusters there are.

    Examples
    --------
    >>> import numpy as np
    >>> labels, k = label_clusters(np.array([0, 2, 3]), (4, 1, 1))
    >>> labels.tolist(), k
    ([1, 2, 2], 2)
    """
    if len(places) == 0:
        return np.zeros(0, np.int32), 0
    neighbours = _core.Neighbours.of_volume(shape, places.astype(np.int64), _CONNECTIVITY)
    ones = np.ones(len(places), np.float32)
    labels, sizes, _, _ = _core.label_clusters(ones, neighbours, 0.0, False)
    return labels, len(sizes)


def keep_large_clusters(
    row: NDArray[np.float64], space: VolumeSpace, smallest: float
) -> tuple[NDArray[np.float64], int]:
    """Set to zero the clusters of either sign that are too small.

    Parameters
    ----------
    row : array of float64, shape (n_values,)
        A thresholded map: zero outside clusters.
    space : VolumeSpace
        Where its voxels are.
    smallest : float
        Clusters of fewer voxels are removed.

    Returns
    -------
    kept : array of float64, same shape
        The map that remains.
    largest : int
        Number of voxels of the largest cluster before that.
    """
    kept = row.copy()
    largest = 0
    for inside in (row > 0, row < 0):
        members = np.flatnonzero(inside)
        labels, _ = label_clusters(space.places(members), space.grid.shape)
        sizes = np.bincount(labels)
        kept[members[sizes[labels] < smallest]] = 0
        largest = max(largest, int(sizes.max(initial=0)))
    return kept, largest
