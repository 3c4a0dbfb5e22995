# SPDX-License-Identifier: BSD-3-Clause
"""How many resels each place has, where the width of the noise differs: SPM's RPV image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.random_fields.estimation import stretches_of, triangle_areas
from groupglm.spaces.cells import Lattice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.inference.random_fields.edge_sums import EdgeSums
    from groupglm.inference.random_fields.smoothness import PartSmoothness, Smoothness
    from groupglm.spaces.cells import Cells, Triangulation

    Floats = NDArray[np.float64]

__all__ = ["local_resels"]


def local_resels(sums: EdgeSums, cells: Sequence[Cells], found: Smoothness) -> Floats:
    """Return the resels of each place, shape (n_values,).

    Of voxels, the roughness along an axis is the mean of 1 - r of the edges on both sides, where r
    is the correlation of the residuals of their ends; the resels are the product of the roots over
    the axes (Worsley et al. 1999). Of vertices, they are a third of the areas of the triangles
    around them, whose corners are the normalised residuals. Estimates of single places are
    uncertain, and the product of roots is biased: all of a part are scaled so that they agree with
    its smoothness. The mean over voxels is ``resels_per_unit``, and the sum over vertices
    ``resels[2]``.

    NaN where a place has no neighbour with residuals of the same images.

    Parameters
    ----------
    sums : EdgeSums
        Of the edges of the cells.
    cells : sequence of Cells
        The parts.
    found : Smoothness
        The smoothness by these sums.
    """
    correlations, rows = sums.correlations(), np.full(len(sums.squares), np.nan)
    for (own, stretch), part in zip(stretches_of(cells), found.parts, strict=True):
        r, where = correlations[stretch], own.part.places
        of_part = _of_lattice if isinstance(own, Lattice) else _of_triangles
        rows[where] = of_part(own, r, part, len(rows))[where]  # type: ignore[arg-type]
    return rows


def _of_lattice(cells: Lattice, r: Floats, part: PartSmoothness, n_values: int) -> Floats:
    resels, known, first = np.ones(n_values), np.zeros(n_values, np.bool_), 0
    for edges in cells.edges:
        own = slice(first, first + edges.shape[1])
        total, count = _summed(edges, 1 - r[own], n_values)
        first = own.stop
        if not count.any():
            continue
        # Along an axis without a neighbour, a place is as rough as the others.
        rough = np.divide(total, count, out=np.full(n_values, np.nan), where=count > 0)
        rough = np.where(count > 0, rough, np.nanmean(rough))
        resels *= np.sqrt(np.maximum(rough, 0.0))
        known |= count > 0
    resels[~known] = np.nan
    mean = float(np.nanmean(resels[cells.part.places]))
    return resels * (part.resels_per_unit / mean)


def _of_triangles(cells: Triangulation, r: Floats, part: PartSmoothness, n_values: int) -> Floats:
    areas = triangle_areas(r, cells)
    ends = cells.edges[:, cells.triangles]  # of three edges; a corner is the end of two of them
    total, count = _summed(ends.reshape(2, -1), np.tile(areas / 6, 3), n_values)
    resels = np.where(count > 0, total, np.nan)
    return resels * (part.resels[2] / float(np.nansum(resels[cells.part.places])))


def _summed(
    edges: NDArray[np.int32], values: Floats, n_values: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Return for each place the sum over its edges, and their number; NaN does not count."""
    known = ~np.isnan(values)
    ends, own = edges[:, known].ravel(), np.tile(values[known], 2)
    total = np.bincount(ends, weights=own, minlength=n_values).astype(np.float64)
    return total, np.bincount(ends, minlength=n_values)
