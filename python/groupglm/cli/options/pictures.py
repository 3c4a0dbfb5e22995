# SPDX-License-Identifier: BSD-3-Clause
"""Options of pictures: thresholds in words, cuts in mm, tables of peaks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.options.common import background
from groupglm.cli.options.geometry import MAP
from groupglm.cli.options.giving import giving
from groupglm.cli.options.paths import FILE

if TYPE_CHECKING:
    from groupglm.plotting.sheet.asked import Asked, Peaks

__all__ = ["MOST_MAPS", "Picture", "map_names", "picture_options", "title", "view_threshold"]

_LEAST_DPI, _MOST_DPI = 30, 1200
_KINDS = ("slices", "glass", "surface")


class _Text(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The text of an option, which `convert` parses; newer click makes the type generic."""


class _Threshold(_Text):
    name = "SIZE|PERCENT%|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        if not isinstance(value, str):
            return float(value)
        text = value.strip()
        number = _number(text.removesuffix("%"))
        is_percent = text.endswith("%") and 0 <= number <= 100
        if text == "auto" or is_percent:
            return text
        if not (math.isfinite(number) and number >= 0) or text.endswith("%"):
            self.fail(
                f"{value!r} must be a size of at least 0 (both signs count), a percentage such as "
                "95%, or auto",
                param,
                ctx,
            )
        return number


class _Cuts(_Text):
    name = "MM[,MM...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if not isinstance(value, str):
            return tuple(value)
        numbers = tuple(_number(part) for part in value.split(","))
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} must be places in mm with commas between them", param, ctx)
        return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


MOST_MAPS = 24
"""How many maps a picture or a page may have."""

view_threshold = click.option(
    "--threshold",
    type=_Threshold(),
    help="Show values beyond this size, or beyond that percentage of all sizes; by default all but "
    "zero.",
)
title = click.option("--title", help="Heading of the picture or page.")
_OF_PICTURES = (
    click.option(
        "--kind",
        type=click.Choice(_KINDS),
        help="Kind of picture; by default slices of volumes, and surfaces.",
    ),
    view_threshold,
    click.option(
        "--vmax",
        type=click.FloatRange(min=0, min_open=True),
        help="The value of the last colour; by default the largest of all maps.",
    ),
    click.option(
        "--overlay",
        is_flag=True,
        help="Draw two maps over each other, each in one colour, and a third where both are.",
    ),
    click.option(
        "--outline",
        "outlines",
        type=MAP,
        multiple=True,
        help="A mask, or a map of clusters, whose outline is drawn over the colours. Repeatable.",
    ),
    click.option(
        "--outline-threshold",
        type=click.FloatRange(min=0),
        help="Outline where sizes are beyond this; by default where they are not zero.",
    ),
    click.option(
        "--peaks",
        type=FILE,
        help="A table of clusters (.tsv or .csv), whose peaks are marked by their numbers.",
    ),
    background,
    click.option(
        "--display-mode",
        help="Views: ortho, tiled, mosaic, x, y, z, xz, yx, yz of slices; also l, r, lr, lzr, lyr, "
        "lzry, lyrz of glass brains; lateral, medial, dorsal, ventral, anterior, posterior, with "
        "commas between them, of surfaces.",
    ),
    click.option(
        "--cut-coords",
        type=_Cuts(),
        help="Where to cut, in mm: x,y,z for ortho, several places along x, y or z; by default "
        "through the peaks of --peaks, or the largest values.",
    ),
    title,
    click.option("--colorbar/--no-colorbar", default=True, help="Whether to draw the scale."),
    click.option(
        "--dpi",
        type=click.IntRange(_LEAST_DPI, _MOST_DPI),
        default=150,
        show_default=True,
        help="Pixels per inch.",
    ),
)
picture_options = giving(_OF_PICTURES)


@dataclass(frozen=True)
class Picture:
    """The options of a picture.

    Parameters
    ----------
    given : dict
        Their values by name.
    """

    given: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The files that are read besides the maps."""
        from groupglm.spaces.map_files import files_of_map

        outlines = [file for path in self.given["outlines"] for file in files_of_map(path)]
        others = [self.given[name] for name in ("peaks", "background")]
        return [*outlines, *(path for path in others if path is not None)]

    def facts(self) -> dict[str, Any]:
        """Return the facts for sidecars, equal if the options mean the same."""
        from groupglm.cli.results.provenance import file_facts, fingerprint

        own = {
            "Kind": "kind", "Threshold": "threshold", "Vmax": "vmax", "Overlay": "overlay",
            "OutlineThreshold": "outline_threshold", "DisplayMode": "display_mode",
            "CutCoords": "cut_coords", "Title": "title", "Colorbar": "colorbar", "DPI": "dpi",
        }  # fmt: skip
        facts = {name: self.given[key] for name, key in own.items()}
        facts["Outlines"] = [fingerprint(path) for path in self.given["outlines"]]
        for name, key in (("Peaks", "peaks"), ("Background", "background")):
            path = self.given[key]
            facts[name] = None if path is None else file_facts(path)
        return facts

    def asked(self, maps: tuple[Path, ...], surfaces: Any) -> Asked:
        """Return what is to be on the sheet."""
        from groupglm.plotting.limits import NOISE
        from groupglm.plotting.sheet.asked import Asked, Outline

        given = self.given
        limit = given["outline_threshold"]
        return Asked(
            maps,
            map_names(maps),
            given["kind"],
            NOISE if given["threshold"] is None else given["threshold"],
            given["vmax"],
            given["overlay"],
            tuple(Outline(path, _outline_name(path)) for path in given["outlines"]),
            NOISE if limit is None else limit,
            None if given["peaks"] is None else _peaks(given["peaks"]),
            given["background"],
            surfaces,
            given["display_mode"],
            given["cut_coords"],
            given["title"],
            given["colorbar"],
            float(given["dpi"]),
        )


def _peaks(path: Path) -> Peaks:
    from groupglm.plotting.sheet.asked import Peaks
    from groupglm.tabular.files import SEPARATORS, read_table

    if path.suffix.lower() not in SEPARATORS:
        raise ValueError(f"--peaks '{path}' must end in {' or '.join(SEPARATORS)}")
    name = f"the table of peaks '{path.name}'"
    return Peaks.of_table(read_table(path, name, as_text=["Cluster ID", "Structure"]), name)


def _contrast(path: Path) -> str | None:
    """Return the name of the contrast of a map, as its sidecar has it."""
    from groupglm.runtime.sidecars import read_json
    from groupglm.spaces.files import sidecar

    contrast = (read_json(sidecar(path)) or {}).get("Contrast")
    name = contrast.get("Name") if isinstance(contrast, dict) else None
    return name if isinstance(name, str) and name else None


def map_names(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the contrast of each map; the name of its file where this tells them apart better."""
    contrasts = [_contrast(path) for path in paths]
    return tuple(
        name if name is not None and contrasts.count(name) == 1 else path.name.split(".")[0]
        for path, name in zip(paths, contrasts, strict=True)
    )


def _outline_name(path: Path) -> str:
    """Return the contrast and the description of a map that is outlined, or its file's name."""
    name = _contrast(path)
    description = path.name.partition("_desc-")[2].partition("_")[0]
    if name is None:
        return path.name.split(".")[0]
    return f"{name}, {description}" if description else name
