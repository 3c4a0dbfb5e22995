# SPDX-License-Identifier: BSD-3-Clause
"""The small volume to which a correction is restricted: a mask, or a sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.atlases.sphere import as_sphere, is_sphere, places_of_sphere
from groupglm.errors import ArgumentError, renamed
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.base import Space

__all__ = ["inside_small_volume"]


def inside_small_volume(
    given: Any, everywhere: Space, inside: NDArray[np.bool_], stat_img: Any, name: str
) -> NDArray[np.bool_]:
    """Return which places of a map are inside its mask and a small volume, shape (n_values,).

    Parameters
    ----------
    given : Sphere, four numbers, or a mask
        The small volume.
    everywhere : Space
        All places of the map.
    inside : array of bool, shape (n_values,)
        Which of them are inside its mask.
    stat_img, name
        The map, and its name in messages.

    Raises
    ------
    ValueError
        If no place is inside both, or the mask is none of the map's grid.
    """
    if is_sphere(given):
        places = places_of_sphere(
            as_sphere(given, "small_volume"), everywhere, "small_volume", name
        )
        small = np.zeros(everywhere.n_values, np.bool_)
        small[places] = True
    else:
        with renamed(mask_img="small_volume"):
            found = kind_of(stat_img).inside_mask(everywhere, given)
        small = np.ones(everywhere.n_values, np.bool_) if found is None else found
    both = np.asarray(inside & small)
    if not both.any():
        one, _ = everywhere.place_words
        raise ArgumentError.about(
            "small_volume",
            f"no {one} of the small volume is inside the mask of {name}",
            "give a small volume inside it",
        )
    return both
