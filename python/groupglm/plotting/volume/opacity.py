# SPDX-License-Identifier: BSD-3-Clause
"""How opaque a map is: everywhere alike, or as another image says: `opacity_of`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, shown, warn_caller
from groupglm.plotting.volume.pictures import Slices
from groupglm.plotting.volume.volumes import Volume
from groupglm.runtime.arguments import real_array, real_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.plotting.volume.panels import Panel
    from groupglm.plotting.volume.pictures import Pictures
    from groupglm.spaces.volume import ImageLike

__all__ = ["Opacity", "opacity_of"]


@dataclass(frozen=True, eq=False)
class Opacity:
    """How opaque each place is.

    Parameters
    ----------
    sizes : Volume
        Sizes of an image.
    low, high : float
        The sizes that are not seen, and opaque.
    slices : Slices
        What makes pictures.
    like : Volume
        The map, whose places the pictures have.
    """

    sizes: Volume
    low: float
    high: float
    slices: Slices
    like: Volume

    def __call__(self, panel: Panel) -> NDArray[np.float64]:
        """Return the opacity of each place of a picture, from 0 to 1."""
        place = 0.0 if panel.coordinate is None else panel.coordinate
        sizes, _ = self.sizes.plane(panel.axis, place, self.slices.bounds, like=self.like)
        return np.asarray(np.clip((sizes - self.low) / (self.high - self.low), 0.0, 1.0))


def opacity_of(
    transparency: float | ImageLike | None,
    transparency_range: ArrayLike | None,
    pictures: Pictures,
    values: Volume,
) -> float | Callable[[Panel], NDArray[Any]] | None:
    """Return how opaque a map is, from what the caller gave."""
    if transparency is None or isinstance(transparency, float | int | np.number):
        if transparency_range is not None:
            raise ArgumentError(
                "transparency_range", "given", remedy="it needs a transparency that is an image"
            )
        return None if transparency is None else _within(transparency)
    if not isinstance(pictures, Slices):
        raise ArgumentTypeError(
            "transparency", "an image", "a number: a glass brain has no single place at a point"
        )
    sizes = Volume.of(transparency, "transparency")
    sizes = Volume(np.abs(np.where(np.isfinite(sizes.data), sizes.data, 0)), sizes.affine)
    low, high = 0.0, float(sizes.data.max())
    if transparency_range is not None:
        ends = real_array("transparency_range", transparency_range).astype(np.float64).ravel()
        if ends.size != 2 or not 0 <= ends[0] < ends[1]:
            raise ArgumentError(
                "transparency_range",
                shown(transparency_range),
                "a list or tuple of 2 non-negative numbers, the first less than the second",
            )
        low, high = float(ends[0]), float(ends[1])
    return Opacity(sizes, low, high if high > low else low + 1.0, pictures, values)


def _within(transparency: float | np.number[Any]) -> float:
    given = real_number("transparency", transparency, infinite=True)
    number = min(max(given, 0.0), 1.0)
    if number != given:
        warn_caller(
            f"'transparency' must be in the interval [0, 1], and is {given:g}. Setting it to "
            f"{number}"
        )
    return number
