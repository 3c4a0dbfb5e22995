# SPDX-License-Identifier: BSD-3-Clause
"""How alike neighbours are: sums of products of their residuals over images, added as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EdgeSums"]


class EdgeSums:
    """Sums over images, from which the correlation r of the ends of each edge follows.

    The squared difference of residuals that are normalised to a sum of squares of one, which
    Kiebel et al. (1999) sum, is 2 (1 - r). Here no place need be normalised before all images are
    read: one reading is enough. Memory: 8 bytes a place and 9 an edge.

    Parameters
    ----------
    edges : array of int32, shape (2, n_edges)
        The two places of each edge.
    n_values : int
        Number of places.
    n_threads : int, default=1
        Threads that add; sums have the same bits for any number.

    Examples
    --------
    >>> sums = EdgeSums(np.array([[0], [1]], np.int32), 2)
    >>> sums.add(np.array([[1.0, 2.0], [3.0, 4.0], [-2.0, -1.0]]))
    >>> sums.correlations().round(4)
    array([0.9331])
    """

    def __init__(self, edges: NDArray[np.int32], n_values: int, n_threads: int = 1) -> None:
        self.edges = np.ascontiguousarray(edges)
        self._n_threads = n_threads
        self.squares = np.zeros(n_values)
        self.products = np.zeros(edges.shape[1])
        self.differs = np.zeros(edges.shape[1], np.uint8)
        self.n_images = 0

    def add(self, residuals: NDArray[Any]) -> None:
        """Add residuals of some images, shape (n_images, n_values); NaN is none."""
        self.n_images += len(residuals)
        _core.add_edge_sums(
            residuals, self.edges, self.squares, self.products, self.differs, self._n_threads
        )

    def restricted(self, keep: NDArray[np.bool_], edges: NDArray[np.int32]) -> EdgeSums:
        """Return the sums at some places, whose edges in their own numbering are these.

        Shapes: `keep` (n_values,), `edges` (2, n), in the order of the edges here.
        """
        kept = keep[self.edges].all(axis=0)
        found = EdgeSums(edges, int(np.count_nonzero(keep)))
        found.squares, found.n_images = self.squares[keep], self.n_images
        found.products, found.differs = self.products[kept], self.differs[kept]
        return found

    def correlations(self) -> NDArray[np.float64]:
        """Return the correlation of the ends of each edge, shape (n_edges,).

        NaN where an end has no residual variance, or where images have one end without the other:
        sums over different images are not compared.
        """
        one, other = self.edges
        norms = np.sqrt(self.squares[one]) * np.sqrt(self.squares[other])
        with np.errstate(divide="ignore", invalid="ignore"):
            found: NDArray[Any] = np.where(
                (norms > 0) & (self.differs == 0), self.products / norms, np.nan
            )
        return found
