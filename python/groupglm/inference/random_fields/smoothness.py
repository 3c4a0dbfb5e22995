# SPDX-License-Identifier: BSD-3-Clause
"""How smooth the noise of images is, and how many resels are searched: `Smoothness`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groupglm.errors import ArgumentError
from groupglm.runtime.json_facts import (
    check_entries,
    is_number,
    is_text,
    is_whole,
    list_of,
    none_or,
)

__all__ = ["LEAST_FWHM", "PartSmoothness", "Resels", "Smoothness"]

Resels = tuple[float, float, float, float]

LEAST_FWHM = 3.0
"""Steps of a grid or mesh: below it a lattice is no good likeness of a continuous field.

SPM and Worsley (1996) ask for about three voxels; see "Assumptions" in the guide.
"""


@dataclass(frozen=True)
class PartSmoothness:
    """The smoothness of the places of one kind: the voxels of a mask, or one hemisphere.

    Attributes
    ----------
    name : str
        Such as ``volume`` or ``left``.
    n_dimensions : int
        3 for voxels, 2 for a surface or a single slice.
    fwhm_mm : tuple of float
        Full width at half maximum of the noise, in mm: along each axis of the grid, or one number
        on a mesh. NaN along an axis on which no two places are neighbours.
    fwhm_steps : tuple of float
        The same in voxels, or in edges of the mesh.
    resels : tuple of 4 floats
        The places in units of the noise: the Euler characteristic, and the number of resels of
        one, two and three dimensions.
    n_places : int
        How many voxels or vertices are searched.
    unit : str
        What the size of a cluster is counted in: ``voxels``, ``mm2`` or ``vertices``.
    resels_per_unit : float
        How many resels such a unit has.
    """

    name: str
    n_dimensions: int
    fwhm_mm: tuple[float, ...]
    fwhm_steps: tuple[float, ...]
    resels: Resels
    n_places: int
    unit: str
    resels_per_unit: float

    def facts(self) -> dict[str, Any]:
        """Return it as JSON holds it.

        Returns
        -------
        dict
            Of numbers, texts and lists; None in the place of NaN.
        """
        return {
            "Part": self.name,
            "Dimensions": self.n_dimensions,
            "FWHM": _without_nan(self.fwhm_mm),
            "FWHMSteps": _without_nan(self.fwhm_steps),
            "Resels": list(self.resels),
            "NumberOfPlaces": self.n_places,
            "Unit": self.unit,
            "ReselsPerUnit": self.resels_per_unit,
        }

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> PartSmoothness:
        """Make it of what `facts` returned.

        Parameters
        ----------
        facts : mapping
            From a file, which anybody may have written.

        Returns
        -------
        PartSmoothness
            The same as was stored.

        Raises
        ------
        ValueError
            If an entry is lacking or impossible.
        """
        check_entries(facts, _PART, "Smoothness")
        n_dimensions, per_unit = facts["Dimensions"], float(facts["ReselsPerUnit"])
        widths = [width for width in facts["FWHM"] + facts["FWHMSteps"] if width is not None]
        if n_dimensions not in (1, 2, 3) or per_unit <= 0 or any(width <= 0 for width in widths):
            raise ValueError(
                f"Smoothness has {n_dimensions} dimensions, widths {widths} and {per_unit:g} "
                "resels per unit"
            )
        first, second, third, fourth = map(float, facts["Resels"])
        return cls(
            facts["Part"],
            n_dimensions,
            _with_nan(facts["FWHM"]),
            _with_nan(facts["FWHMSteps"]),
            (first, second, third, fourth),
            facts["NumberOfPlaces"],
            facts["Unit"],
            per_unit,
        )


@dataclass(frozen=True)
class Smoothness:
    """How smooth the noise of images is, and how many resels are searched.

    `groupglm.estimate_smoothness` and ``SecondLevelModel.smoothness_`` estimate it.

    Attributes
    ----------
    parts : tuple of PartSmoothness
        The smoothness of each kind of places: one part for a volume, one for each hemisphere.
    df : float
        Residual degrees of freedom from which it was estimated.
    n_images : int
        How many images of residuals were read.

    Examples
    --------
    A box of 10 x 10 x 10 voxels of 2 mm, with noise of 8 mm, has 2.25 x 2.25 x 2.25 resels:

    >>> smooth = Smoothness.of_box((10, 10, 10), fwhm=8.0, voxel_size=2.0, df=20)
    >>> smooth.resels
    (1.0, 6.75, 15.1875, 11.390625)
    >>> smooth.fwhm_voxels
    (4.0, 4.0, 4.0)
    """

    parts: tuple[PartSmoothness, ...]
    df: float
    n_images: int

    def __post_init__(self) -> None:
        if not self.parts:
            raise ArgumentError("parts", "empty", remedy="give the smoothness of one part at least")

    @classmethod
    def of_box(
        cls,
        shape: tuple[int, int, int],
        *,
        fwhm: float | tuple[float, float, float],
        voxel_size: float | tuple[float, float, float] = 1.0,
        df: float = math.inf,
        n_images: int = 0,
    ) -> Smoothness:
        """Make the smoothness of a box of voxels whose width of noise is known.

        Parameters
        ----------
        shape : tuple of 3 ints
            Number of voxels along each axis.
        fwhm : float or tuple of 3 floats
            Full width at half maximum in mm.
        voxel_size : float or tuple of 3 floats, default=1.0
            Edges of a voxel in mm.
        df : float, default=inf
            Degrees of freedom of the statistic.
        n_images : int, default=0
            Number of images.

        Returns
        -------
        Smoothness
            Of one part called ``volume``.
        """
        sizes = voxel_size if isinstance(voxel_size, tuple) else (voxel_size,) * 3
        widths = fwhm if isinstance(fwhm, tuple) else (fwhm,) * 3
        steps = tuple(width / size for width, size in zip(widths, sizes, strict=True))
        x, y, z = ((n - 1) / step for n, step in zip(shape, steps, strict=True))
        resels = (1.0, x + y + z, x * y + x * z + y * z, x * y * z)
        per_voxel = 1 / math.prod(steps)
        part = PartSmoothness(
            "volume", 3, widths, steps, resels, math.prod(shape), "voxels", per_voxel
        )
        return cls((part,), df, n_images)

    @property
    def resels(self) -> Resels:
        """The Euler characteristic and the resels of 1, 2 and 3 dimensions, of all parts."""
        zero, one, two, three = (sum(part.resels[d] for part in self.parts) for d in range(4))
        return zero, one, two, three

    @property
    def n_places(self) -> int:
        """How many places are searched."""
        return sum(part.n_places for part in self.parts)

    @property
    def unit(self) -> str:
        """The unit of the size of a cluster; ``places`` if the parts have different ones."""
        units = {part.unit for part in self.parts}
        return units.pop() if len(units) == 1 else "places"

    @property
    def fwhm_mm(self) -> tuple[float, ...]:
        """Width of the noise in mm, of data of one part; of several, see `parts`."""
        return self._only("fwhm_mm").fwhm_mm

    @property
    def fwhm_voxels(self) -> tuple[float, ...]:
        """Width of the noise in voxels, or edges of a mesh, of data of one part."""
        return self._only("fwhm_voxels").fwhm_steps

    def _only(self, name: str) -> PartSmoothness:
        if len(self.parts) > 1:
            names = ", ".join(part.name for part in self.parts)
            raise AttributeError(
                f"{name} differs between {names}; use smoothness.parts, one for each of them"
            )
        return self.parts[0]

    def facts(self) -> dict[str, Any]:
        """Return it as a sidecar holds it.

        Returns
        -------
        dict
            Of numbers, texts and lists.
        """
        df = self.df if math.isfinite(self.df) else None
        return {
            "Parts": [part.facts() for part in self.parts],
            "DegreesOfFreedom": df,
            "NumberOfImages": self.n_images,
        }

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Smoothness:
        """Make it of what `facts` returned.

        Parameters
        ----------
        facts : mapping
            From a sidecar, which anybody may have written.

        Returns
        -------
        Smoothness
            The same as was stored.

        Raises
        ------
        ValueError
            If an entry is lacking or impossible.
        """
        check_entries(facts, _WHOLE, "Smoothness")
        df = facts["DegreesOfFreedom"]
        if df is not None and df <= 0:
            raise ValueError(f"Smoothness has {df} degrees of freedom")
        parts = tuple(PartSmoothness.of_facts(part) for part in facts["Parts"])
        return cls(parts, math.inf if df is None else float(df), facts["NumberOfImages"])


def _without_nan(widths: tuple[float, ...]) -> list[float | None]:
    return [width if math.isfinite(width) else None for width in widths]


def _with_nan(widths: list[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if width is None else float(width) for width in widths)


_PART = {
    "Part": is_text,
    "Dimensions": is_whole,
    "FWHM": list_of(none_or(is_number), 1, 3),
    "FWHMSteps": list_of(none_or(is_number), 1, 3),
    "Resels": list_of(is_number, 4),
    "NumberOfPlaces": is_whole,
    "Unit": is_text,
    "ReselsPerUnit": is_number,
}
_WHOLE = {
    "Parts": lambda value: (
        isinstance(value, list) and len(value) > 0 and all(isinstance(p, dict) for p in value)
    ),
    "DegreesOfFreedom": none_or(is_number),
    "NumberOfImages": is_whole,
}
