# SPDX-License-Identifier: BSD-3-Clause
"""The atlas that names the places of tables: options of commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.options.geometry import MASK
from groupglm.cli.options.giving import giving
from groupglm.cli.options.paths import FILE, expand
from groupglm.cli.results.provenance import fingerprint
from groupglm.spaces.map_files import MapFiles

if TYPE_CHECKING:
    from groupglm.atlases.atlas import Atlas

__all__ = [
    "AtlasChoice",
    "atlas_options",
    "of_atlas",
    "small_volume_facts",
    "small_volume_given",
    "small_volume_option",
]


class _Atlas(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The image of an atlas, or words of the name of one that is on this machine."""

    name = "image|name"

    def convert(self, value: Any, param: Any, ctx: Any) -> MapFiles | str:
        if isinstance(value, MapFiles):
            return value
        text = str(value)
        if not os.path.lexists(expand(text)) and os.sep not in text and "." not in text:
            return text
        return MASK.convert(value, param, ctx)


class _SmallVolume(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A mask, or the four numbers of a sphere."""

    name = "mask|x,y,z,radius"

    def convert(self, value: Any, param: Any, ctx: Any) -> MapFiles | tuple[float, ...]:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        parts = value.split(",")
        if len(parts) == 4 and not expand(value).exists():
            try:
                return tuple(float(part) for part in parts)
            except ValueError:
                self.fail(f"{value!r} is neither a mask nor X,Y,Z,RADIUS in mm", param, ctx)
        return MASK.convert(value, param, ctx)


small_volume_option = click.option(
    "--small-volume",
    type=_SmallVolume(),
    help="Correct only inside this mask, or this sphere X,Y,Z,RADIUS in mm, of prior interest.",
)


def small_volume_facts(given: MapFiles | tuple[float, ...] | None) -> Any:
    """Return the facts of a small volume for sidecars; None without one."""
    return fingerprint(given) if isinstance(given, MapFiles) else given and list(given)


def small_volume_given(given: MapFiles | tuple[float, ...] | None) -> Any:
    """Return a small volume as functions take it."""
    return given.as_path if isinstance(given, MapFiles) else given


of_atlas = (
    click.option(
        "--atlas",
        type=_Atlas(),
        help="Names regions: an image of labels on the grid of the maps, or words of the name of "
        "an atlas of TemplateFlow's folder, FSL's, or an installed package.",
    ),
    click.option(
        "--atlas-labels",
        type=FILE,
        help="Names of the labels (.tsv, .csv, .xml of FSL, .txt of FreeSurfer); by default those "
        "in the file of the atlas, or beside it.",
    ),
    click.option(
        "--resample-atlas",
        is_flag=True,
        help="Take an atlas on another grid, by the nearest voxel.",
    ),
)

atlas_options = giving(of_atlas)


@dataclass(frozen=True)
class AtlasChoice:
    """The atlas that a user asks for.

    Parameters
    ----------
    atlas : MapFiles or str
        Its image, or words of its name.
    labels : pathlib.Path or None
        The table of its names.
    nearest : bool
        Whether it may be on another grid.
    """

    atlas: MapFiles | str
    labels: Path | None
    nearest: bool

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> AtlasChoice | None:
        """Take these options out of a command's arguments; refuse those without an atlas."""
        atlas = given.pop("atlas")
        labels, nearest = given.pop("atlas_labels"), given.pop("resample_atlas")
        if atlas is not None:
            if isinstance(atlas, str) and labels is not None:
                raise click.UsageError(
                    "--atlas-labels has no effect with the name of an atlas; give its image."
                )
            return cls(atlas, labels, nearest)
        for option, own in (("--atlas-labels", labels), ("--resample-atlas", nearest)):
            if own:
                raise click.UsageError(f"{option} has no effect without --atlas.")
        return None

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        images = [] if isinstance(self.atlas, str) else list(self.atlas.paths)
        return [*images, *([] if self.labels is None else [self.labels])]

    def facts(self) -> dict[str, Any]:
        """Return the facts for sidecars, equal if the options mean the same."""
        own = self.atlas
        return {
            "Image": {"Name": own} if isinstance(own, str) else fingerprint(own),
            "Labels": None if self.labels is None else fingerprint(self.labels),
            "Resampled": self.nearest,
        }

    def load(self) -> Atlas:
        """Load it."""
        from groupglm.atlases.atlas import load_atlas
        from groupglm.atlases.finding import find_atlas
        from groupglm.errors import renamed

        resample: Any = "nearest" if self.nearest else None
        if isinstance(self.atlas, str):
            with renamed(name="atlas"):
                return find_atlas(self.atlas, resample=resample)
        with renamed(image="atlas", labels="atlas_labels"):
            return load_atlas(self.atlas.as_path, self.labels, resample=resample)
