# SPDX-License-Identifier: BSD-3-Clause
"""Find images that are the same file or object: two subjects cannot share their data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from groupglm.errors import ArgumentError, in_quotes, warn_caller
from groupglm.runtime.paths import file_identity, file_names
from groupglm.spaces.map_files import MapFiles
from groupglm.spaces.registry import parts_of

__all__ = ["refuse_shared_files", "refuse_shared_maps", "report_shared_files"]


def refuse_shared_files(labels: Sequence[str], images: Iterable[Any], argument: str) -> None:
    """Refuse a file, or an image in memory, that is given for two subjects or twice for one."""
    for first, second, image in _shared(images):
        who = " and ".join(repr(label) for label in dict.fromkeys((labels[first], labels[second])))
        twice = "" if "and" in who else " twice"
        of = f"file for the maps of subject {who}{twice}: {image}"
        if image is None:
            of = f"image in memory for the maps of subject {who}{twice}"
        raise ArgumentError(
            argument, f"one {of}", remedy="give each map a file of its own", verb="has"
        )


def refuse_shared_maps(maps: Mapping[str, MapFiles], argument: str) -> None:
    """Refuse a file that belongs to the maps of two labels, or twice to one."""
    files = [(label, path) for label, own in maps.items() for path in own.paths]
    refuse_shared_files([label for label, _ in files], [path for _, path in files], argument)


def report_shared_files(images: Iterable[Any], *, refuse: bool = False) -> None:
    """Warn of a file, or an image in memory, that is given twice among images of no known subjects.

    Where each is a visit of a subject, it is refused.
    """
    pairs = _shared(images)
    if not pairs:
        return
    first, second, image = pairs[0]
    more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
    what = "one image in memory" if image is None else f"one file: {image}"
    told = f"images {first + 1} and {second + 1} of second_level_input are {what}{more}"
    if refuse:
        raise ArgumentError.about(
            "second_level_input", told, "give each subject and visit an image of its own"
        )
    warn_caller(f"{told}; they count as independent, which they are not")


def _shared(images: Iterable[Any]) -> list[tuple[int, int, str | None]]:
    """Return the numbers of images that were given before, with the earlier numbers.

    Images that have one of their files in common are such too. The third of each is the path in
    quotes, or None for an image in memory.
    """
    seen: dict[object, int] = {}
    pairs = []
    for place, image in enumerate(images):
        shared = None
        for part in parts_of(image):
            name = next(iter(file_names(part)), None)
            # A missing file is reported when it is opened.
            key = ("in memory", id(part)) if name is None else file_identity(name) or name
            earlier = seen.setdefault(key, place)
            if earlier != place and shared is None:
                shared = (earlier, place, None if name is None else in_quotes(name))
        pairs += [] if shared is None else [shared]
    return pairs
