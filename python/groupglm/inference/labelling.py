# SPDX-License-Identifier: BSD-3-Clause
"""Connected voxels: the one place that knows how clusters are formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["keep_large_clusters", "label_clusters"]


def label_clusters(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label the clusters of a volume: voxels that share a face are connected.

    Parameters
    ----------
    inside : array of bool, shape (n_x, n_y, n_z)
        Which voxels are in a cluster.

    Returns
    -------
    labels : array of int32, same shape
        Zero outside, then 1 to k, in the order of the first voxel of each cluster where the last
        axis varies fastest.
    k : int
        How many clusters there are.

    Examples
    --------
    >>> import numpy as np
    >>> labels, k = label_clusters(np.array([[[True, False, True, True]]]))
    >>> labels.tolist(), k
    ([[[1, 0, 2, 2]]], 2)
    """
    labels = np.empty(inside.shape, np.int32)
    n_clusters = int(ndimage.label(inside, output=labels))
    return labels, n_clusters


def keep_large_clusters(
    volume: NDArray[np.float64], smallest: float
) -> tuple[NDArray[np.float64], int]:
    """Set to zero the clusters of either sign that are too small.

    Parameters
    ----------
    volume : array of float64, shape (n_x, n_y, n_z)
        A thresholded map: zero outside clusters.
    smallest : float
        Clusters of fewer voxels are removed.

    Returns
    -------
    kept : array of float64, same shape
        The map that remains.
    largest : int
        Number of voxels of the largest cluster before that.
    """
    kept = volume.copy()
    largest = 0
    for sign in (1.0, -1.0):
        labels, _ = label_clusters(volume * sign > 0)
        sizes = np.bincount(labels.ravel())
        small = sizes < smallest
        small[0] = False
        kept[small[labels]] = 0
        largest = max(largest, int(sizes[1:].max(initial=0)))
    return kept, largest
