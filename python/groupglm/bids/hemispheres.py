# SPDX-License-Identifier: BSD-3-Clause
"""Files of a derivative that are the hemispheres of one map: `whole_maps`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from groupglm.bids.entities import NamedFile
from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import argument, arguments, either
from groupglm.runtime.naming import counted, listed

__all__ = ["whole_maps"]

_SIDES = ("L", "R")
_MAX_SHOWN = 8


def whole_maps(files: Sequence[NamedFile], *, allow_partial: bool = False) -> list[NamedFile]:
    """Bring the files of both hemispheres together, by all their other entities.

    Files of one hemisphere only are maps of that hemisphere, if no file is of the other one. With
    `allow_partial`, maps whose other hemisphere is missing are left out, with a warning.

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
    halves = _halves(grouped.values())
    told = _in_words(halves)
    if told and not allow_partial:
        raise ArgumentError.about(
            "derivatives",
            told,
            "complete them, or take one hemisphere by "
            + arguments("entity", hemi="'L'")
            + either("", ", or leave these subjects out by " + argument("allow_partial", True)),
        )
    if told:
        warn_caller(f"{told}; they are left out")
    left_out = {file.path for own in halves.values() for file in own}
    return [
        whole for own in grouped.values() if own[0].path not in left_out for whole in _joined(own)
    ]


def _joined(files: list[NamedFile]) -> list[NamedFile]:
    """Return the map of both hemispheres; several, which are refused as such, of several files."""
    by_side = [[file for file in files if file.entities.get("hemi") == side] for side in _SIDES]
    if not all(by_side):
        return files
    n = max(map(len, by_side))
    return [_whole(*(own[min(place, len(own) - 1)] for own in by_side)) for place in range(n)]


def _whole(left: NamedFile, right: NamedFile) -> NamedFile:
    entities = {key: value for key, value in left.entities.items() if key != "hemi"}
    return replace(left, entities=entities, more=(right.path,))


def _halves(groups: Iterable[list[NamedFile]]) -> dict[str, list[NamedFile]]:
    """Return the first file of each map that lacks a hemisphere, by that hemisphere."""
    lacking: dict[str, list[NamedFile]] = {side: [] for side in _SIDES}
    for files in groups:
        found = {file.entities.get("hemi") for file in files}
        for side in _SIDES:
            if None not in found and side not in found:
                lacking[side].append(files[0])
    return lacking


def _in_words(halves: Mapping[str, list[NamedFile]]) -> str:
    """Say which subjects lack a hemisphere; nothing if none does."""
    return "; ".join(
        f"{counted(len(own), 'map', 'maps')} of hemi-{'R' if side == 'L' else 'L'} without a file "
        f"of hemi-{side}: subjects {listed([file.entities['sub'] for file in own], _MAX_SHOWN)}, "
        f"such as {own[0].path.name}"
        for side, own in halves.items()
        if own
    )
