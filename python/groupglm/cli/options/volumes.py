# SPDX-License-Identifier: BSD-3-Clause
"""One image of many maps in the place of files: a 4-D image, whose volumes are maps in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groupglm.cli.options.visits import Visit, VisitMaps
from groupglm.spaces.map_files import MapFiles

__all__ = ["Volume", "are_volumes", "images_of", "volumes_of"]


@dataclass(frozen=True)
class Volume(MapFiles):
    """One map of an image that holds the maps of all subjects.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        The image.
    number : int
        Its place in the image, from 1.
    """

    number: int = 1


def volumes_of(files: MapFiles, option: str) -> VisitMaps | None:
    """Return the maps of an image that holds several, called by their places; None of one map."""
    from groupglm.spaces.registry import open_inputs

    count = len(open_inputs(files.given, argument=option, same_placement=False, at_least=1))
    if count < 2:
        return None
    labels = [f"volume{number:0{len(str(count))}d}" for number in range(1, count + 1)]
    maps: dict[str, MapFiles] = {
        label: Volume(files.paths, number) for number, label in enumerate(labels, 1)
    }
    return VisitMaps(maps, {label: Visit(label) for label in labels}, tuple(labels))


def are_volumes(maps: Mapping[str, MapFiles]) -> bool:
    """Return whether maps are the volumes of one image."""
    return any(isinstance(own, Volume) for own in maps.values())


def images_of(maps: Mapping[str, MapFiles]) -> Any:
    """Return maps as a model takes them: a list, or the image that holds all of them in order."""
    given = list(maps.values())
    return given[0].given if are_volumes(maps) else [own.given for own in given]
