# SPDX-License-Identifier: BSD-3-Clause
"""From correlations of neighbours to widths of the noise and numbers of resels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.random_fields.search_volume import lattice_resels
from groupglm.inference.random_fields.smoothness import LEAST_FWHM, PartSmoothness, Smoothness
from groupglm.spaces.cells import Cells, Lattice, Triangulation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from groupglm.inference.random_fields.edge_sums import EdgeSums
    from groupglm.spaces.base import Space

__all__ = [
    "check_cells",
    "edges_of",
    "expected_correlation",
    "smoothness_of",
    "stretches_of",
    "triangle_areas",
]

_FOUR_LOG_2 = 4 * math.log(2)
_LEAST_DF = 4.0
_LEAST_CORRELATION = 1e-3  # of white noise the estimate may be negative: the width is 0.45 steps
_FEWEST_CUBES = 0.25  # a slab of two voxels has half as many cubes as voxels
_FEWEST_TRIANGLES = 0.75  # a strip of two vertices has as many triangles as vertices

_WIDE_MASK = (
    "random field theory needs a mask that is wide compared with the noise: use permutation"
)


def check_cells(space: Space) -> tuple[Cells, ...]:
    """Return the cells of a space; refuse places that do not lie side by side."""
    cells = space.cells()
    if not cells:
        _, many = space.place_words
        raise ArgumentError.about(
            "images",
            f"{many} have no neighbours, so that noise has no smoothness there and random field "
            "theory cannot be used",
            "control the familywise error by bonferroni, or by permutation (max-t)",
        )
    return cells


def edges_of(cells: Sequence[Cells]) -> NDArray[np.int32]:
    """Return all edges of some cells, shape (2, n)."""
    return np.concatenate([edges for part in cells for edges in _edges(part)], axis=1)


def stretches_of(cells: Sequence[Cells]) -> Iterator[tuple[Cells, slice]]:
    """Yield each part, and which edges are its own, numbered as in `edges_of`."""
    first = 0
    for part in cells:
        last = first + sum(edges.shape[1] for edges in _edges(part))
        yield part, slice(first, last)
        first = last


def _edges(part: Cells) -> Sequence[NDArray[np.int32]]:
    return part.edges if isinstance(part, Lattice) else (part.edges,)


def expected_correlation(rho: float, df: float) -> float:
    """Return the mean of the correlation of samples of so many degrees of freedom.

    It is a little nearer to zero than that of the population, `rho` (Hotelling 1953). Where
    neighbours are alike, 1 - r has a mean of (df - 1) / (df - 2) times 1 - rho: the bias of Kiebel
    et al. (1999), equation 15.

    Examples
    --------
    >>> round(expected_correlation(0.9, 10), 4)
    0.89
    """
    gammas = 2 * (math.lgamma((df + 1) / 2) - math.lgamma(df / 2))
    factor = 2 / df * math.exp(gammas)
    return float(rho * factor * special.hyp2f1(0.5, 0.5, df / 2 + 1, rho**2))


def smoothness_of(
    sums: EdgeSums, cells: Sequence[Cells], df: float | NDArray[np.float64], words: tuple[str, str]
) -> Smoothness:
    """Estimate the smoothness from sums over images.

    Parameters
    ----------
    sums : EdgeSums
        Of the edges of the cells.
    cells : sequence of Cells
        The parts.
    df : float or array, shape (n_values,)
        Residual degrees of freedom, of all places or of each.
    words : pair of str
        The words for places.
    """
    freedom = np.broadcast_to(np.asarray(df, np.float64), sums.squares.shape)
    known = (sums.squares > 0) & (freedom > 0)
    median = float(np.median(freedom[known])) if known.any() else 0.0
    if median < _LEAST_DF:
        raise ArgumentError.about(
            "images",
            f"the residuals have {median:g} degrees of freedom, but their smoothness needs at "
            f"least {_LEAST_DF:g}",
            "give more images, or use permutation",
        )
    correlations, parts = sums.correlations(), []
    for own, stretch in stretches_of(cells):
        r, of_edge = correlations[stretch], freedom[sums.edges[0, stretch]]
        if isinstance(own, Lattice):
            parts.append(_of_lattice(own, r, of_edge))
        else:
            parts.append(_of_triangles(own, r, of_edge, words[1]))
    found = Smoothness(tuple(parts), median, sums.n_images)
    _warn(found, cells, words)
    return found


def _of_lattice(cells: Lattice, r: NDArray[np.float64], df: NDArray[np.float64]) -> PartSmoothness:
    ends = np.cumsum([0] + [edges.shape[1] for edges in cells.edges])
    widths = []
    for axis in range(3):
        own = slice(ends[axis], ends[axis + 1])
        rho = _correlation(r[own], df[own], cells.part.name) if ends[axis + 1] > ends[axis] else 0.0
        # Gaussian noise has the correlation exp(-lambda / 2) one step apart.
        widths.append(math.sqrt(_FOUR_LOG_2 / (-2 * math.log(rho))) if rho else math.nan)
    resels = lattice_resels(cells, tuple(widths))
    fwhm_mm = tuple(width * step for width, step in zip(widths, cells.steps, strict=True))
    finite = [width for width in widths if not math.isnan(width)]
    if not finite:
        raise ArgumentError.about(
            "mask_img",
            f"no two of the {cells.part.n_values} places of the mask are neighbours "
            f"({cells.part.name}), so that noise has no smoothness there",
            "random field theory needs a mask of connected places: use permutation",
        )
    return PartSmoothness(
        cells.part.name,
        len(finite),
        fwhm_mm,
        tuple(widths),
        resels,
        cells.part.n_values,
        cells.part.unit,
        1 / math.prod(finite),
    )


def _of_triangles(
    cells: Triangulation, r: NDArray[np.float64], df: NDArray[np.float64], many: str
) -> PartSmoothness:
    """Sum lengths and areas of the mesh whose vertices are the normalised residuals.

    Their expectations are those of noise, whatever the degrees of freedom (Taylor and Worsley
    2007). An edge is a chord of the way between its ends, which is longer by what Gaussian noise
    of this correlation has.
    """
    rho = _correlation(r, df, cells.part.name)
    longer = math.sqrt(math.log(rho) / (rho - 1))
    areas, chords = triangle_areas(r, cells), np.sqrt(_squared_chords(r))
    perimeters = chords[cells.triangles].sum(axis=0)
    # What is not known counts as the mean of what is.
    length = _whole_sum(chords) - _whole_sum(perimeters) / 2
    root = longer / math.sqrt(_FOUR_LOG_2)
    n_places, n_edges, n_triangles = cells.part.n_values, len(r), len(areas)
    second = _whole_sum(areas) * root**2
    resels = (float(n_places - n_edges + n_triangles), length * root, second, 0.0)
    if not second > 0:
        raise ArgumentError.about(
            "mask_img",
            f"the mask has no triangle of the mesh ({cells.part.name})",
            "random field theory needs a mask of connected places: use permutation",
        )
    fwhm = math.sqrt(cells.area / second)
    per_unit = second / (n_places if cells.part.unit == many else cells.area)
    steps = (fwhm / float(cells.lengths.mean()),)
    return PartSmoothness(
        cells.part.name, 2, (fwhm,), steps, resels, n_places, cells.part.unit, per_unit
    )


def triangle_areas(r: NDArray[np.float64], cells: Triangulation) -> NDArray[np.float64]:
    """Return the areas of the triangles whose corners are normalised residuals.

    Shapes: `r` (n_edges,), the correlations of the ends of edges; returns (n_triangles,).
    """
    a, b, c = _squared_chords(r)[cells.triangles]
    # Sixteen times the squared area of a triangle, by its squared sides (Heron).
    areas: NDArray[np.float64] = np.sqrt(np.maximum(4 * a * b - (a + b - c) ** 2, 0.0)) / 4
    return areas


def _squared_chords(r: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2 * np.maximum(1 - r, 0.0))


def _whole_sum(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean() * len(values)) if len(known) else 0.0


def _correlation(r: NDArray[np.float64], df: NDArray[np.float64], name: str) -> float:
    """Return the correlation of noise one step apart, whose samples have these correlations."""
    known = ~np.isnan(r) & (df > 2)
    if not known.any():
        raise ArgumentError.about(
            "images",
            f"no two neighbours ({name}) have residuals of the same images, so that their "
            "smoothness is not known",
            "leave out images that cover little, or use permutation",
        )
    mean = float(r[known].mean())
    values, counts = np.unique(df[known], return_counts=True)
    shares = counts / counts.sum()

    def excess(rho: float) -> float:
        expected = [expected_correlation(rho, freedom) for freedom in values.tolist()]
        return float(shares @ expected) - mean

    highest = 1 - 1e-9
    if excess(highest) <= 0:
        raise ArgumentError.about(
            "images",
            f"residuals of neighbours ({name}) are equal, so that noise has no width",
            "give images that are not constant, on the grid on which they were smoothed",
        )
    if excess(_LEAST_CORRELATION) >= 0:
        return _LEAST_CORRELATION
    from scipy import optimize

    return float(optimize.brentq(excess, _LEAST_CORRELATION, highest, xtol=1e-14))


def _warn(found: Smoothness, cells: Sequence[Cells], words: tuple[str, str]) -> None:
    one, many = words
    for part, own in zip(found.parts, cells, strict=True):
        narrow = min(width for width in part.fwhm_steps if not math.isnan(width))
        if narrow < LEAST_FWHM:
            unit = many if isinstance(own, Lattice) else "edges of the mesh"
            warn_caller(
                f"the noise is only {narrow:.3g} {unit} wide ({part.name}, FWHM), and random field "
                f"theory needs at least {LEAST_FWHM:g}: its p-values are too large; smooth more, "
                "or use permutation"
            )
        of_crumbs = isinstance(own, Lattice) and (
            part.n_dimensions == 3 and own.n_cubes < _FEWEST_CUBES * part.n_places
        )
        if of_crumbs:
            warn_caller(
                f"the mask consists of crumbs ({part.name}): it has {part.n_places} {many}, but "
                f"whole cubes of {one} centres only {getattr(own, 'n_cubes', 0)}; {_WIDE_MASK}"
            )
        if isinstance(own, Triangulation):
            n_triangles = own.triangles.shape[1]
            if n_triangles < _FEWEST_TRIANGLES * part.n_places:
                warn_caller(
                    f"the mask consists of crumbs ({part.name}): it has {part.n_places} vertices, "
                    f"but whole triangles of the mesh only {n_triangles}; {_WIDE_MASK}"
                )
