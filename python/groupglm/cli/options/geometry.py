# SPDX-License-Identifier: BSD-3-Clause
"""The meshes of surfaces, and the files of maps that have several: options of commands."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.options.giving import giving
from groupglm.cli.options.paths import FILE, expand
from groupglm.spaces.map_files import MapFiles, files_of_map, group_files, whole_of

if TYPE_CHECKING:
    from groupglm.spaces.geometry import Geometry

__all__ = [
    "MAP",
    "MASK",
    "SidePair",
    "geometry_of",
    "geometry_options",
    "mesh_facts",
    "mesh_files",
    "note_half",
    "of_geometry",
    "surfaces_option",
]

_NONE = "none"
_SIDES = ("left", "right")


class _Map(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A map of results: its file, or the common name of its files if it has several."""

    name = "file"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = expand(value) if value and isinstance(value, str) else value
        own = files_of_map(path) if isinstance(path, Path) else ()
        if len(own) < 2 and own in ((), (path,)):
            return FILE.convert(value, param, ctx)
        for file in own:
            FILE.convert(str(file), param, ctx)
        return path


class _Mask(_Map):
    """A map as above, or a glob of its files."""

    def convert(self, value: Any, param: Any, ctx: Any) -> MapFiles:
        if isinstance(value, MapFiles):
            return value
        if not glob.has_magic(value) or expand(value).exists():
            return MapFiles(files_of_map(super().convert(value, param, ctx)))
        from groupglm.cli.options.maps import files_of

        try:
            masks = group_files(files_of(value, "--mask"))
        except (ValueError, OSError) as error:
            self.fail(str(error), param, ctx)
        if len(masks) > 1:
            names = ", ".join(own.name for own in masks)
            self.fail(f"{value!r} matches {len(masks)} masks ({names}); give one", param, ctx)
        return masks[0]


MAP = _Map()
MASK = _Mask()


@dataclass(frozen=True)
class SidePair:
    """What an option gives for the left and the right hemisphere.

    Parameters
    ----------
    files : tuple of (pathlib.Path or None)
        The file of each, None for a hemisphere without maps.
    name : str or None
        The name of a standard mesh in place of files.
    """

    files: tuple[Path | None, ...]
    name: str | None = None

    @property
    def given(self) -> str | dict[str, str]:
        """The pair as functions take it."""
        if self.name is not None:
            return self.name
        sides = zip(_SIDES, self.files, strict=True)
        return {side: str(file) for side, file in sides if file is not None}

    @property
    def read(self) -> list[Path]:
        """The files that are read."""
        return [file for file in self.files if file is not None]

    def facts(self) -> Any:
        """Return the facts for sidecars, equal if the options mean the same."""
        from groupglm.cli.results.provenance import file_facts

        return self.name if self.name is not None else [file_facts(file) for file in self.read]


def _pair_of(ctx: click.Context, param: click.Parameter, value: Any) -> SidePair | None:
    """Read both values of an option; a standard mesh is named twice."""
    if not value:
        return None
    files: list[Path | None] = []
    names = set()
    for text in value:
        is_name = param.name == "surfaces" and Path(text).name == text and "." not in text
        if text.startswith("--"):
            raise click.BadParameter(
                "it takes two values, for the left and the right hemisphere, but one is "
                f"{text}; give both after one {param.opts[0]}, and 'none' for a hemisphere without",
                ctx,
                param,
            )
        if text == _NONE:
            files.append(None)
        elif is_name and not expand(text).exists():
            names.add(text)
        else:
            files.append(Path(FILE.convert(text, param, ctx)))
    if names:
        if len(names) > 1 or files:
            raise click.BadParameter(
                f"{' '.join(value)!r} names a standard mesh for one hemisphere; give its name "
                f"twice: {min(names)} {min(names)}",
                ctx,
                param,
            )
        return SidePair((), names.pop())
    if not any(files):
        raise click.BadParameter("none none gives nothing; leave it out", ctx, param)
    return SidePair(tuple(files))


surfaces_option = click.option(
    "--surfaces",
    nargs=2,
    callback=_pair_of,
    metavar="LEFT RIGHT",
    help="Meshes (.surf.gii) of maps of surfaces, for clusters, TFCE, smoothing and pictures; "
    "or the name fsLR or fsaverage5 twice; none for a hemisphere without maps.",
)
of_geometry = (
    surfaces_option,
    click.option(
        "--areas",
        nargs=2,
        callback=_pair_of,
        metavar="LEFT RIGHT",
        help="Maps of the area of each vertex in mm2; by default that on the --surfaces.",
    ),
)

geometry_options = giving(of_geometry)


def geometry_of(surfaces: SidePair | None, areas: SidePair | None) -> Geometry:
    """Return the meshes as the functions of maps take them."""
    from groupglm.spaces.geometry import Geometry

    return Geometry(
        None if surfaces is None else surfaces.given, None if areas is None else areas.given
    )


def note_half(path: Path) -> str | None:
    """Return a note that a map is one file of several, which the user may not mean."""
    whole = whole_of(path)
    if whole is None:
        return None
    return (
        f"'{path.name}' is only one file of the map '{whole.name}', which has "
        f"{len(files_of_map(whole))}; give {whole.name} for all of it"
    )


def mesh_files(surfaces: SidePair | None, areas: SidePair | None) -> list[Path]:
    """Return the files of the meshes."""
    return [file for pair in (surfaces, areas) if pair is not None for file in pair.read]


def mesh_facts(surfaces: SidePair | None, areas: SidePair | None) -> dict[str, Any]:
    """Return the facts of the meshes for sidecars; nothing of what is not given."""
    pairs = {"Surfaces": surfaces, "Areas": areas}
    return {name: pair.facts() for name, pair in pairs.items() if pair is not None}
