# SPDX-License-Identifier: BSD-3-Clause
"""A stretch of a row whose places are of one kind: `Part`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """A stretch of a row whose places are of one kind: no cluster reaches beyond it.

    Parameters
    ----------
    name : str
        Such as ``volume`` or ``left``.
    first, end : int
        Its first place in a row, and the one after its last.
    unit : str
        What the extent of a cluster is counted in: ``voxels``, or the unit of the weights, such as
        ``mm2``. Extents of different units are not compared.
    tfce_powers : pair of float
        E of the extent and H of the height, in threshold-free cluster enhancement.

    Examples
    --------
    >>> part = Part("left", 0, 4, "mm2", (1.0, 2.0))
    >>> part.places, part.n_values
    (slice(0, 4, None), 4)
    """

    name: str
    first: int
    end: int
    unit: str
    tfce_powers: tuple[float, float]

    @property
    def n_values(self) -> int:
        """Number of places."""
        return self.end - self.first

    @property
    def places(self) -> slice:
        """The positions of its values in a row."""
        return slice(self.first, self.end)
