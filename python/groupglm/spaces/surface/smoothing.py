# SPDX-License-Identifier: BSD-3-Clause
"""Smoothing on a mesh by FreeSurfer's rule: how many iterations, and maps that are smoothed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError, shown, warn_caller
from groupglm.runtime.arguments import real_number
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["achieved_fwhm", "check_fwhm", "iterations_of", "smooth_rows", "warn_of_no_smoothing"]

_FWHM_OF_SIGMA = math.sqrt(8.0 * math.log(2.0))
_EMPIRICAL = 1.14
"""Fitted by FreeSurfer's authors: real meshes smooth less than the count of places suggests."""
_MOST_ITERATIONS = 1_000_000
"""The limit of the core."""
_PLACES = 7
"""Vertices in a mean: itself and six neighbours, as on a regular mesh."""


def check_fwhm(fwhm: Any, name: str = "smoothing_fwhm") -> float:
    """Return a width in mm, zero for no smoothing; a surface has no axes that differ."""
    if fwhm is None:
        return 0.0
    if isinstance(fwhm, list | tuple | np.ndarray) and np.ndim(fwhm):
        raise ArgumentTypeError(
            name, shown(fwhm), "one number on a surface, which has no axes that differ"
        )
    if isinstance(fwhm, str):
        raise ArgumentTypeError(name, shown(fwhm), "a width in mm, of type int or float")
    width = real_number(name, fwhm)
    if width < 0:
        raise ArgumentError(name, shown(fwhm), "a finite width in mm that is not negative")
    return width


def iterations_of(
    fwhm: float, mesh: Mesh, areas: NDArray[np.float64] | None = None, *, name: str = "fwhm"
) -> int:
    """Return how many iterations smooth by a width on a mesh.

    n = round(1.14 * 4 pi sigma^2 / (7 A)), with A the mean area of a vertex: the rule of
    FreeSurfer's ``mris_fwhm`` and ``mri_surf2surf --fwhm``.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum, in mm.
    mesh : Mesh
        The mesh.
    areas : array, shape (n_vertices,), optional
        The area of each vertex in mm2; by default on the mesh.
    name : str, default="fwhm"
        What messages call the width.

    Raises
    ------
    groupglm.errors.ArgumentError
        If the width exceeds the longest edge of the box around the mesh.

    Examples
    --------
    On a mesh whose vertices have 2 mm2 each:

    >>> from groupglm.spaces.surface.mesh import Mesh
    >>> strip = Mesh("strip", [[0, 0, 0], [30, 0, 0], [0, 0.4, 0]], [[0, 1, 2]])
    >>> iterations_of(10.0, strip), round(achieved_fwhm(18, strip), 2)
    (18, 9.88)
    """
    extent = float(np.ptp(mesh.coordinates, axis=0).max())
    if fwhm > extent:
        raise ArgumentError(
            name,
            f"{fwhm:g} mm, but {mesh.name} is {extent:.4g} mm long, so nothing but the mean would "
            "be left of a map",
            remedy="give the width in mm, usually 4 to 12",
        )
    sigma = fwhm / _FWHM_OF_SIGMA
    n = math.floor(_EMPIRICAL * 4 * math.pi * sigma**2 / (_PLACES * _mean_area(mesh, areas)) + 0.5)
    if n > _MOST_ITERATIONS:
        raise ArgumentError(
            name,
            f"{fwhm:g} mm, which takes {n} iterations on {mesh.name}, whose vertices have "
            f"{_mean_area(mesh, areas):.3g} mm2",
            remedy="are its coordinates in mm?",
        )
    return n


def warn_of_no_smoothing(
    fwhm: float, mesh: Mesh, areas: NDArray[np.float64] | None = None, *, name: str = "fwhm"
) -> None:
    """Warn if the vertices of a mesh lie too far apart for so little smoothing."""
    if fwhm > 0 and iterations_of(fwhm, mesh, areas, name=name) == 0:
        warn_caller(
            f"{name} is {fwhm:g} mm, but the vertices of {mesh.name} lie too far apart for it: "
            f"nothing is smoothed there; one iteration smooths by "
            f"{achieved_fwhm(1, mesh, areas):.3g} mm"
        )


def achieved_fwhm(n_iterations: int, mesh: Mesh, areas: NDArray[np.float64] | None = None) -> float:
    """Return the width in mm by which a number of iterations smooths on a mesh.

    It is the width of `iterations_of`, which a whole number of iterations seldom meets exactly.
    """
    variance = _PLACES * _mean_area(mesh, areas) * n_iterations / (_EMPIRICAL * 4 * math.pi)
    return _FWHM_OF_SIGMA * math.sqrt(variance)


def smooth_rows(
    rows: NDArray[np.float32] | NDArray[np.float64],
    mesh: Mesh,
    n_iterations: int,
    *,
    names: Mapping[int, str],
    n_threads: int = 1,
) -> None:
    """Smooth maps on the whole mesh in place.

    Parameters
    ----------
    rows : array of float32 or float64, shape (k, n_vertices)
        The maps; missing values (NaN) are in no mean and stay missing.
    mesh : Mesh
        The mesh.
    n_iterations : int
        How often each value becomes the mean of itself and its neighbours.
    names : mapping of int to str
        What messages call each map.
    n_threads : int, default=1
        Threads for several maps.

    Raises
    ------
    groupglm.errors.ImageError
        If a map holds an infinite value.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        suspects = np.flatnonzero(~np.isfinite(rows.sum(axis=1)))  # a quicker search
    for row in suspects.tolist():
        number = int(np.count_nonzero(np.isinf(rows[row])))
        if number:
            raise ImageError(
                f"{names[row]}: {counted(number, 'infinite value')}, which smoothing would spread; "
                "replace by NaN to treat as missing"
            )
    _core.smooth_on_mesh(rows, mesh.neighbours(), n_iterations, n_threads)


def _mean_area(mesh: Mesh, areas: NDArray[np.float64] | None) -> float:
    return float((mesh.areas if areas is None else areas).mean())
