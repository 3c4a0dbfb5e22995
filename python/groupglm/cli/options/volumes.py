# SPDX-License-Identifier: BSD-3-Clause
"""One image of many maps in the place of files: a 4-D image, whose volumes are maps in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.visits import Visit, VisitMaps
from groupglm.runtime.naming import listed
from groupglm.spaces.map_files import MapFiles

if TYPE_CHECKING:
    from groupglm.cli.steps.beside_maps import BesideMaps

__all__ = ["Volume", "are_volumes", "images_of", "volumes_of", "with_labels"]


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


def with_labels(
    maps: VisitMaps, beside: BesideMaps, labels: Sequence[str], where: str
) -> tuple[VisitMaps, BesideMaps]:
    """Call volumes by the subjects of a table's rows, of which each belongs to one, in order.

    Parameters
    ----------
    maps : VisitMaps
        The volumes.
    beside : BesideMaps
        What the model takes beside them; volumes too, or by subject already.
    labels : sequence of str
        The subject of each row.
    where : str
        What the table is called in messages.

    Raises
    ------
    ValueError
        If there are more or fewer rows than volumes, or a subject has several.
    """
    name = next(iter(maps.files.values())).name
    if len(labels) != len(maps):
        raise ValueError(
            f"'{name}' has {len(maps)} volumes, but {where} has {len(labels)} rows; give one row "
            "for each volume, in their order"
        )
    twice = sorted({label for label in labels if list(labels).count(label) > 1})
    if twice:
        raise ValueError(
            f"{where} has several rows for {listed(twice)}, and the volumes of '{name}' do not "
            "name their visits; give a file for each map"
        )

    def called(files: Mapping[str, MapFiles]) -> dict[str, MapFiles]:
        if not are_volumes(files):
            return dict(files)
        return dict(zip(labels, files.values(), strict=True))

    renamed = replace(
        beside,
        variances=None if beside.variances is None else called(beside.variances),
        weights=None if beside.weights is None else called(beside.weights),
        covariates={name: called(files) for name, files in beside.covariates.items()},
    )
    visits = {label: Visit(label) for label in labels}
    return VisitMaps(called(maps.files), visits, tuple(labels)), renamed
