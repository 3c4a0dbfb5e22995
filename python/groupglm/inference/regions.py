# SPDX-License-Identifier: BSD-3-Clause
"""Regions that the user gives, as places in the row of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, GridMismatchError, warn_caller
from groupglm.runtime.naming import listed
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from numpy.typing import NDArray

    from groupglm.inference.stat_map import StatMap
    from groupglm.spaces.base import Space

__all__ = ["places_of_regions"]

_MOST_NAMED = 5  # most regions that a warning names


def places_of_regions(regions: Any, stat_map: StatMap) -> dict[Hashable, NDArray[np.intp]]:
    """Find the tested voxels of each region."""
    if isinstance(regions, Mapping):
        sizes, places = _from_masks(regions, stat_map)
    elif isinstance(regions, Sequence) and not isinstance(regions, str):
        if not regions:
            raise ArgumentError("regions", "an empty list", remedy="give a mask for each region")
        sizes, places = _from_masks(dict(enumerate(regions)), stat_map)
    else:
        sizes, places = _from_atlas(regions, stat_map)
    if any(sizes.values()):
        _report_untested(sizes, places, stat_map.space)
        return places
    # As the clusters of a map are that has none.
    one, _ = stat_map.space.place_words
    warn_caller(
        f"regions holds no {one}: everything is zero or NaN, so that there is nothing to bound; if "
        "you expect regions, give an image of whole numbers, or masks, that are not zero inside "
        "them"
    )
    return places


_Regions = tuple[dict[Any, int], dict[Any, "NDArray[np.intp]"]]


def _from_masks(masks: Mapping[Any, Any], stat_map: StatMap) -> _Regions:
    sizes, places = {}, {}
    for name, mask in masks.items():
        inside = _read(mask, f"regions[{name!r}]", stat_map) != 0
        sizes[name] = int(np.count_nonzero(inside))
        places[name] = np.flatnonzero(inside[stat_map.inside] & stat_map.tested)
    return sizes, places


def _from_atlas(atlas: Any, stat_map: StatMap) -> _Regions:
    numbers = _read(atlas, "regions", stat_map)
    broken = numbers[numbers != np.rint(numbers)]
    if broken.size:
        one, _ = stat_map.space.place_words
        raise ArgumentError(
            "regions",
            (
                f"values such as {broken[0]:g}, but an image of regions needs a whole number a "
                "region and zero outside"
            ),
            remedy=f"threshold it first, or resample an atlas to the nearest {one}",
            verb="has",
        )
    names, counts = np.unique(numbers[numbers != 0], return_counts=True)
    row = numbers[stat_map.inside]
    members = np.flatnonzero((row != 0) & stat_map.tested)
    order = members[np.argsort(row[members], kind="stable")]
    parts = np.split(order, np.searchsorted(row[order], names)[1:])
    keys = [int(name) for name in names]
    return dict(zip(keys, counts.tolist(), strict=True)), dict(zip(keys, parts, strict=False))


def _read(image: Any, name: str, stat_map: StatMap) -> NDArray[np.float64]:
    """Return an image's values at all places of the map, zero for NaN."""
    source, everywhere = kind_of(image).open_map(image, name)
    difference = source.difference(stat_map.everywhere)
    if difference is not None:
        one, word = everywhere.place_words[0], everywhere.placement_word
        raise GridMismatchError(
            f"{source.name}: the region is not on the {word} of {stat_map.name}: {difference}; "
            f"resample it to that {word} (to the nearest {one})"
        )
    values = np.empty(everywhere.n_values)
    everywhere.read_stored(source, values)
    values[~np.isfinite(values)] = 0
    return values


def _report_untested(
    sizes: dict[Any, int], places: dict[Any, NDArray[np.intp]], space: Space
) -> None:
    one, many = space.place_words
    lost = {name: size - len(places[name]) for name, size in sizes.items()}
    partly = {name: n for name, n in lost.items() if 0 < n < sizes[name]}
    if not any(len(place) for place in places.values()):
        raise ArgumentError.about(
            "regions",
            f"no region has a tested {one}: they lie outside the mask, or where the map is NaN",
            "give regions inside the mask, or a mask_img that covers them",
        )
    empty = [name for name, place in places.items() if len(place) == 0]
    if partly:
        warn_caller(
            f"{_regions_have(partly)} {many} that are not tested, because they lie outside the "
            "mask or the map is NaN there; the bounds are of the others: "
            + listed(
                [f"{name!r} ({n} of {sizes[name]})" for name, n in partly.items()], _MOST_NAMED
            )
        )
    if empty:
        warn_caller(
            f"{_regions_have(empty)} no tested {one}, so nothing is known of them: "
            + listed([repr(name) for name in empty], _MOST_NAMED)
        )


def _regions_have(found: Collection[object]) -> str:
    return "1 region has" if len(found) == 1 else f"{len(found)} regions have"
