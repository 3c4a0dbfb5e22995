# SPDX-License-Identifier: BSD-3-Clause
"""Files of a derivative that are the hemispheres of one map: `whole_maps`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from groupglm.bids.entities import NamedFile
from groupglm.errors import ArgumentError
from groupglm.messages import arguments
from groupglm.runtime.naming import listed

__all__ = ["whole_maps"]

_SIDES = ("L", "R")
_MAX_SHOWN = 8


def whole_maps(files: Sequence[NamedFile]) -> list[NamedFile]:
    """Bring the files of both hemispheres together, by all their other entities.

    Files of one hemisphere only are maps of that hemisphere, if no file is of the other one.

    Returns
    -------
    list of NamedFile
        In the order of the first files. A map of both hemispheres has no entity ``hemi``.

    Raises
    ------
    groupglm.errors.ArgumentError
        If a hemisphere of a map is missing, with the subjects that lack it.
    """
    grouped: dict[object, list[NamedFile]] = {}
    for file in files:
        others = {key: value for key, value in file.entities.items() if key != "hemi"}
        key = (tuple(sorted(others.items())), file.suffix, file.extension)
        grouped.setdefault(key if "hemi" in file.entities else file.path, []).append(file)
    sides = {file.entities["hemi"] for file in files if "hemi" in file.entities}
    if sides != set(_SIDES):
        return list(files)
    _refuse_halves(grouped.values())
    return [whole for own in grouped.values() for whole in _joined(own)]


def _joined(files: list[NamedFile]) -> list[NamedFile]:
    by_side = {file.entities.get("hemi"): file for file in files}
    if len(files) != 2 or set(by_side) != set(_SIDES):
        return files  # one file, or several of a hemisphere, which are refused as several maps
    left, right = (by_side[side] for side in _SIDES)
    entities = {key: value for key, value in left.entities.items() if key != "hemi"}
    return [replace(left, entities=entities, more=(right.path,))]


def _refuse_halves(groups: Iterable[list[NamedFile]]) -> None:
    """Refuse maps whose file of a hemisphere is missing."""
    lacking: dict[str, list[NamedFile]] = {side: [] for side in _SIDES}
    for files in groups:
        found = {file.entities.get("hemi") for file in files}
        for side in _SIDES:
            if None not in found and side not in found:
                lacking[side].append(files[0])
    told = [
        f"{len(own)} maps of hemi-{'R' if side == 'L' else 'L'} have no file of hemi-{side} beside "
        f"them: subjects {listed([file.entities['sub'] for file in own], _MAX_SHOWN)}, such as "
        f"{own[0].path.name}"
        for side, own in lacking.items()
        if own
    ]
    if told:
        raise ArgumentError.about(
            "derivatives",
            "; ".join(told),
            "complete them, or take one hemisphere by " + arguments("entity", hemi="'L'"),
        )
