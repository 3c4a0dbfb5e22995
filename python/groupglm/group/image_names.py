# SPDX-License-Identifier: BSD-3-Clause
"""The names by which readers know the images of a group: subjects, or files."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

from groupglm.tabular.labels import label_in_path, row_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.spaces.base import Source

__all__ = ["files_of", "name_of_files", "short_names", "subject_names"]


def files_of(source: Source) -> tuple[str, ...]:
    """Return the names of the files of an image: of a pair of hemispheres both, else its own."""
    names = tuple(own.name for own in getattr(source, "members", {}).values())
    return names if source.name in names else (source.name,)


def name_of_files(names: Sequence[str]) -> str:
    """Return one name for the files of an image, with what differs in braces.

    Examples
    --------
    >>> name_of_files(["sub-01_hemi-L_effect.func.gii", "sub-01_hemi-R_effect.func.gii"])
    'sub-01_hemi-{L,R}_effect.func.gii'
    >>> name_of_files(["lh.thickness"])
    'lh.thickness'
    """
    if len(set(names)) == 1:
        return names[0]
    start = os.path.commonprefix(list(names))  # noqa: RUF071  (letters, not folders)
    rests = [name[len(start) :] for name in names]
    end = os.path.commonprefix([rest[::-1] for rest in rests])[::-1]  # noqa: RUF071
    return f"{start}{{{','.join(rest.removesuffix(end) for rest in rests)}}}{end}"


def subject_names(images: Sequence[str], design: pd.DataFrame) -> list[str]:
    """Return a name for each image: its subject, if that is known, else its file's.

    Subjects are those of the design's rows, or those that the files' names have. Where a subject
    has several images, the names of the files tell them apart.

    Examples
    --------
    >>> import pandas as pd
    >>> design = pd.DataFrame({"mean": [1.0, 1.0]})
    >>> subject_names(["maps/sub-01_effect.nii.gz", "maps/sub-02_effect.nii.gz"], design)
    ['01', '02']
    >>> subject_names(["maps/a.nii.gz", "maps/b.nii.gz"], design)
    ['a.nii.gz', 'b.nii.gz']
    """
    in_paths = [label_in_path(PurePath(name)) for name in images]
    for found in (row_labels(design.index, None, "design_matrix"), in_paths):
        if found is not None and None not in found and len(set(found)) == len(images):
            return [str(label) for label in found]
    return short_names(list(images))


def short_names(names: list[str]) -> list[str]:
    """Return the names without the folder that all files share."""
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120  (names may be no paths)
    if len(names) < 2 or folders == {""}:
        return names
    try:
        common = os.path.commonpath([folder or "." for folder in folders])
    except ValueError:  # absolute and relative names together
        return names
    prefix = common.rstrip(os.sep) + os.sep
    return [name.removeprefix(prefix) for name in names]
