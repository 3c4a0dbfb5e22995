# SPDX-License-Identifier: BSD-3-Clause
"""Standard meshes by name, where an installed package or TemplateFlow's folder has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError, in_quotes
from groupglm.runtime.templates import package_folders, templateflow_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["NAMES", "background", "is_name", "standard_surface"]

_LETTERS = {"left": "L", "right": "R"}


@dataclass(frozen=True)
class _Standard:
    """A standard mesh.

    Parameters
    ----------
    densities : dict of int to str
        TemplateFlow's name of each density, by the number of vertices of a hemisphere.
    surface, depths : str and tuple of str
        TemplateFlow's path of the surface, and possible ones of the sulcal depth.
    in_nilearn : (str, str) or None
        The paths of surface and sulcal depth in the folder of nilearn.
    remedy : str
        How a user gets it.
    """

    densities: dict[int, str]
    surface: str
    depths: tuple[str, ...]
    in_nilearn: tuple[str, str] | None
    remedy: str


_FSAVERAGE5 = "datasets/data/fsaverage5/"

_STANDARD = {
    "fsaverage5": _Standard(
        {10242: "10k"},
        "tpl-fsaverage/tpl-fsaverage_hemi-{hemi}_den-{density}_pial.surf.gii",
        ("tpl-fsaverage/tpl-fsaverage_hemi-{hemi}_den-{density}_sulc.shape.gii",),
        (_FSAVERAGE5 + "pial_{side}.gii.gz", _FSAVERAGE5 + "sulc_{side}.gii.gz"),
        "install nilearn, which brings fsaverage5 (groupglm[templates])",
    ),
    "fsLR": _Standard(
        {4002: "4k", 7842: "8k", 32492: "32k", 59292: "59k", 163842: "164k"},
        "tpl-fsLR/tpl-fsLR_den-{density}_hemi-{hemi}_midthickness.surf.gii",
        (
            "tpl-fsLR/tpl-fsLR_den-{density}_hemi-{hemi}_sulc.shape.gii",
            "tpl-fsLR/tpl-fsLR_den-{density}_hemi-{hemi}_desc-sulc_midthickness.shape.gii",
        ),
        None,
        "fetch it once with TemplateFlow (templateflow.api.get('fsLR', density='32k', "
        "suffix='midthickness'))",
    ),
}

NAMES = tuple(_STANDARD)
"""The names of standard meshes."""


def is_name(given: object) -> bool:
    """Return whether what was given is the name of a standard mesh, not of a file."""
    return isinstance(given, str) and given in _STANDARD


def standard_surface(name: str, side: str, n_vertices: int) -> Path:
    """Return the file of a standard mesh with the data's number of vertices.

    It is the pial surface of fsaverage5, as in nilearn's images, and the midthickness of fsLR.

    Raises
    ------
    groupglm.errors.ArgumentError
        If the mesh has another number of vertices, or no file of it is on this machine. Nothing
        is fetched.
    """
    standard = _STANDARD[name]
    if n_vertices not in standard.densities:
        known = " or ".join(f"{number:,}" for number in standard.densities)
        raise ArgumentError.about(
            "surfaces",
            f"{name} has {known} vertices in a hemisphere, but the data have {n_vertices:,}",
            "give the surface files of the data's mesh, or resample the data to fsaverage or fsLR "
            "(mri_surf2surf of FreeSurfer, wb_command -metric-resample of the Workbench)",
        )
    candidates = list(_candidates(standard, side, n_vertices))
    found = _first(candidates)
    if found is None:
        places = ", ".join(in_quotes(path) for path in candidates)
        raise ArgumentError.about(
            "surfaces",
            f"{name} is not on this machine (looked for {places or 'no place to look in'}), and "
            "nothing is downloaded",
            f"{standard.remedy}, or give the surface files (left, right)",
        )
    return found


def background(side: str, n_vertices: int) -> Path | None:
    """Return a file of the sulcal depth of a standard mesh of so many vertices; None without one.

    For pictures of data that may be on that mesh: its file says nothing about the data's.
    """
    for standard in _STANDARD.values():
        if n_vertices in standard.densities:
            found = _first(_candidates(standard, side, n_vertices, depth=True))
            if found is not None:
                return found
    return None


def _candidates(
    standard: _Standard, side: str, n_vertices: int, *, depth: bool = False
) -> Iterator[Path]:
    """Yield where a surface, or its sulcal depth, may lie."""
    names = {"side": side, "hemi": _LETTERS[side], "density": standard.densities[n_vertices]}
    if standard.in_nilearn is not None:
        for folder in package_folders("nilearn"):
            yield folder / standard.in_nilearn[depth].format(**names)
    flow = templateflow_folder()
    for path in standard.depths if depth else (standard.surface,):
        if flow is not None:
            yield flow / path.format(**names)


def _first(candidates: Iterable[Path]) -> Path | None:
    # TemplateFlow's files are empty until they are asked for.
    return next((path for path in candidates if path.is_file() and path.stat().st_size > 0), None)
