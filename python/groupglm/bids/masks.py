# SPDX-License-Identifier: BSD-3-Clause
"""The mask that a Stats Model names by the entities of its file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from groupglm.bids.entities import NamedFile, read_name, same_value, walk
from groupglm.errors import ArgumentError, in_quotes
from groupglm.messages import argument
from groupglm.runtime.naming import listed
from groupglm.runtime.paths import given_path
from groupglm.spaces.files import endings
from groupglm.spaces.map_files import MapFiles, group_files

__all__ = ["find_mask"]

_SHOWN = 4


def find_mask(derivatives: str | os.PathLike[str], wanted: Mapping[str, Sequence[str]]) -> MapFiles:
    """Find the one mask of a derivative whose name has some entities.

    Parameters
    ----------
    derivatives : path
        The folder of the derivative, whose own files and those of nodes and subjects are searched.
    wanted : mapping of str to sequence of str
        The values that each entity may have; ``suffix`` is the last part of the name, by default
        ``mask``.

    Raises
    ------
    ValueError
        If no file has them, or several have, such as one of each subject.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "space-MNI_desc-brain_mask.nii.gz").touch()
    >>> find_mask(root, {"desc": ["brain"]}).name
    'space-MNI_desc-brain_mask.nii.gz'
    """
    root = given_path("derivatives", derivatives)
    known = tuple(endings())
    named = (
        read_name(Path(entry.path), root) for entry in walk(root) if entry.name.endswith(known)
    )
    files = [file for file in named if file is not None and _has(file, wanted)]
    said = ", ".join(f"{key} {' or '.join(values)}" for key, values in wanted.items())
    where = f"Model.Options.Mask ({said})"
    if not files:
        raise ArgumentError.about(
            "model",
            f"{where} names no file of the derivative {in_quotes(root)}",
            "correct it, or leave it out and give " + argument("mask_img"),
        )
    masks = group_files(sorted(file.path for file in files))
    if len(masks) > 1:
        names = listed([mask.name for mask in masks], _SHOWN)
        raise ArgumentError.about(
            "model",
            f"{where} names {len(masks)} files of the derivative {in_quotes(root)}: {names}",
            "a group model has one mask: add entities, or leave it out and give "
            + argument("mask_img"),
        )
    return masks[0]


def _has(file: NamedFile, wanted: Mapping[str, Sequence[str]]) -> bool:
    if file.suffix not in wanted.get("suffix", ("mask",)):
        return False
    entities = {**file.entities, "extension": file.extension}
    return all(
        any(same_value(key, value, entities.get(key, "")) for value in values)
        for key, values in wanted.items()
        if key not in ("suffix", "datatype")
    )
