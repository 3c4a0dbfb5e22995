# SPDX-License-Identifier: BSD-3-Clause
"""Which hemisphere a file is of, and which two files are of one image.

The name of a file says it in one of three ways: ``hemi-L``, ``.L.`` or ``lh.``; else GIFTI's
metadata say it (AnatomicalStructurePrimary, or the surface that SPM names).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.naming import listed
from groupglm.tabular.labels import label_in_path

__all__ = [
    "SIDES",
    "check_subjects",
    "existing_files",
    "grouped_files",
    "hemisphere_files",
    "key_of_name",
    "nominal_name",
    "other_side",
    "side_in_facts",
    "side_in_name",
]

SIDES = ("left", "right")

_IN_NAMES = (
    re.compile(r"(?:^|(?<=_))hemi-([LRlr])(?=[_.])"),
    re.compile(r"(?:^|(?<=\.))([LR])(?=\.)"),
    re.compile(r"(?:^|(?<=[._]))([lr])h(?=\.)"),
)
_STRUCTURES = {"cortexleft": "left", "cortexright": "right"}


def other_side(side: str) -> str:
    """Return the other hemisphere."""
    return SIDES[side == "left"]


def _split(name: str) -> tuple[str, str] | None:
    """Return the hemisphere that a name tells, and the name without it."""
    base = os.path.basename(name)  # noqa: PTH119
    for pattern in _IN_NAMES:
        found = pattern.search(base)
        if found is not None:
            rest = f"{base[: found.start()]}\0{base[found.end() :]}"
            side = "left" if found[1] in "Ll" else "right"
            return side, os.path.join(os.path.dirname(name), rest)  # noqa: PTH118, PTH120
    return None


def side_in_name(name: str) -> str | None:
    """Return the hemisphere that a file's name tells; None if it tells none.

    Examples
    --------
    >>> side_in_name("sub-01_hemi-L_effect.func.gii"), side_in_name("rh.thickness")
    ('left', 'right')
    >>> side_in_name("100307.R.thickness.32k_fs_LR.shape.gii"), side_in_name("thickness.mgh")
    ('right', None)
    """
    found = _split(name)
    return None if found is None else found[0]


def key_of_name(name: str) -> str:
    """Return what the names of both hemispheres of an image have in common."""
    found = _split(name)
    return name if found is None else found[1]


def side_in_facts(*metadata: Mapping[str, str]) -> str | None:
    """Return the hemisphere that the metadata of a GIFTI file tell; None if they tell none."""
    for facts in metadata:
        structure = str(facts.get("AnatomicalStructurePrimary", "")).replace("_", "").lower()
        if structure in _STRUCTURES:
            return _STRUCTURES[structure]
    for facts in metadata:  # SPM names the surface instead
        side = side_in_name(str(facts.get("SurfaceID", "")))
        if side is not None:
            return side
    return None


def hemisphere_files(path: Path) -> dict[str, Path]:
    """Name the file of each hemisphere of a pair that a user calls `path`.

    Examples
    --------
    >>> hemisphere_files(Path("out/z.func.gii"))["left"].as_posix()
    'out/hemi-L_z.func.gii'
    >>> hemisphere_files(Path("z.mgh"))["right"].name
    'rh.z.mgh'
    """
    beginnings = {"left": "hemi-L_", "right": "hemi-R_"}
    if path.name.lower().endswith((".mgh", ".mgz", ".annot")):
        beginnings = {"left": "lh.", "right": "rh."}
    return {side: path.with_name(f"{start}{path.name}") for side, start in beginnings.items()}


def existing_files(path: str) -> dict[str, str]:
    """Return the files of the hemispheres of the map that a user calls `path`; {} if none exist."""
    if os.path.lexists(path):
        return {}
    files = hemisphere_files(Path(path))
    return {side: os.fspath(file) for side, file in files.items() if file.exists()}


def nominal_name(left: str, right: str) -> str:
    """Return the name by which a user calls a pair of files; that of the left one if none was used.

    Examples
    --------
    >>> nominal_name("hemi-L_z.func.gii", "hemi-R_z.func.gii")
    'z.func.gii'
    >>> nominal_name("sub-01_hemi-L_z.func.gii", "sub-01_hemi-R_z.func.gii")
    'sub-01_hemi-L_z.func.gii'
    """
    file = Path(left)
    for start in ("hemi-L_", "lh."):
        nominal = file.with_name(file.name.removeprefix(start) or file.name)
        if nominal != file and hemisphere_files(nominal) == {"left": file, "right": Path(right)}:
            return os.fspath(nominal)
    return left


def check_subjects(left: str, right: str, argument: str, place: str = "") -> None:
    """Refuse a pair whose files are of two subjects, by their names."""
    one, other = label_in_path(PurePath(left)), label_in_path(PurePath(right))
    if one is not None and other is not None and one != other:
        raise ArgumentError.about(
            argument,
            f"{place or 'a pair'} has the left hemisphere of subject {one} ({in_quotes(left)}) and "
            f"the right one of subject {other} ({in_quotes(right)})",
            "bring both hemispheres into the same order",
        )


def grouped_files(
    names: Sequence[str], side_of: Callable[[int], str | None], argument: str
) -> list[tuple[int, int]] | None:
    """Pair the files of a flat list; None if all are of one hemisphere.

    Parameters
    ----------
    names : sequence of str
        The names of the files.
    side_of : callable
        Returns the hemisphere that the metadata of a file, by its number, tell.
    argument : str
        What messages call the list.

    Returns
    -------
    list of pair of int, or None
        The numbers of the left and the right file of each image, in the order of the list.
    """
    sides = [side_in_name(name) for name in names]
    by_name = all(side is not None for side in sides)
    if not by_name:
        sides = [side or side_of(number) for number, side in enumerate(sides)]
    unknown = [name for name, side in zip(names, sides, strict=True) if side is None]
    if len(unknown) == len(names) or len(set(sides)) == 1:
        return None  # what tells nothing of its hemisphere is refused when it is opened
    if unknown:
        raise ArgumentError.about(
            argument,
            f"neither the name nor the metadata of {in_quotes(unknown[0])} say of which "
            "hemisphere it is, and others are of both",
            "give pairs (left, right)",
        )
    images: dict[object, dict[str, int]] = {}
    counts = dict.fromkeys(SIDES, 0)
    for number, (name, side) in enumerate(zip(names, sides, strict=True)):
        # Where only the metadata tell the hemispheres, the files are in the same order in both.
        key: object = key_of_name(name) if by_name else counts[str(side)]
        counts[str(side)] += 1
        own = images.setdefault(key, {})
        if side in own:
            raise ArgumentError.about(
                argument,
                f"two {side} hemispheres of one image: {in_quotes(names[own[side]])} and "
                f"{in_quotes(name)}",
                "give each file once, with its own name",
            )
        own[str(side)] = number
    lone = [own for own in images.values() if len(own) == 1]
    if lone:
        _refuse_lone(names, lone, argument)
    pairs = [(own["left"], own["right"]) for own in images.values()]
    for place, (left, right) in enumerate(pairs, start=1):
        check_subjects(names[left], names[right], argument, f"image {place} of {argument}")
    return pairs


def _refuse_lone(names: Sequence[str], lone: Iterable[Mapping[str, int]], argument: str) -> None:
    lacking: dict[str, list[str]] = {}
    for own in lone:
        ((side, number),) = own.items()
        label = label_in_path(PurePath(names[number]))
        lacking.setdefault(other_side(side), []).append(
            in_quotes(os.path.basename(names[number])) if label is None else f"sub-{label}"  # noqa: PTH119
        )
    told = "; ".join(
        f"the {side} hemisphere is missing of {listed(labels)}" for side, labels in lacking.items()
    )
    raise ArgumentError.about(
        argument,
        f"{told}: files of two hemispheres belong together if their names differ only in hemi-L "
        "and hemi-R, .L. and .R., or lh. and rh.",
        "complete the pairs, leave those subjects out, or give pairs (left, right)",
    )
