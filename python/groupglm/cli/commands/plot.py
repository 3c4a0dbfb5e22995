# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm plot``: a picture of one or several maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json, overwrite
from groupglm.cli.options.geometry import (
    MAP,
    SidePair,
    mesh_facts,
    mesh_files,
    note_half,
    surfaces_option,
)
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.options.pictures import MOST_MAPS, Picture, picture_options
from groupglm.cli.results.derived_files import Made

if TYPE_CHECKING:
    from groupglm.plotting.sheet.asked import Asked

__all__ = ["plot"]

_ENDINGS = (".png", ".svg", ".pdf")


@click.command(short_help="Draw maps to a picture file.")
@click.argument("maps", type=MAP, nargs=-1, required=True, metavar="MAP [MAP...]")
@picture_options
@surfaces_option
@click.option("--output", type=TO_FILE, required=True, help="A .png, .svg or .pdf file to write.")
@as_json
@overwrite
def plot(
    *,
    maps: tuple[Path, ...],
    surfaces: SidePair | None,
    output: Path,
    as_json: bool,
    overwrite: bool,
    **of_picture: Any,
) -> None:
    """Draw statistical maps over the brain: slices, a glass brain, or surfaces.

    Several maps are drawn on one figure, with the same views and on one scale. No display is
    needed. Each point shows the value of its voxel or vertex; nothing is interpolated. The
    threshold is used without a correction: draw maps that "groupglm threshold" or "groupglm fit
    --correct" has thresholded to show what survives one.

    \b
    Examples
      groupglm plot results/contrast-age_stat-z_statmap.nii.gz --threshold 3.1 --output age.png
      groupglm plot results/contrast-*_stat-z_statmap.nii.gz --kind glass --threshold 3.1 \\
          --output all.pdf
      groupglm plot z.nii.gz --threshold 2.3 --outline results/mask.nii.gz \\
          --display-mode z --cut-coords=-10,20,50 --title 'Age' --output age.svg

    Writes the picture to --output, and OUTPUT.json beside it: the maps, the options, and the hash
    of the picture. If the picture is there already, from the same maps and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    if len(maps) > MOST_MAPS:
        raise click.UsageError(f"{len(maps)} maps are given; {MOST_MAPS} are the most.")
    picture = Picture(of_picture)
    options = {**picture.facts(), **mesh_facts(surfaces, None)}
    made = Made(output, maps[0], options, maps[1:])
    journal = Journal(as_json=as_json)
    read = [*picture.files, *mesh_files(surfaces, None)]
    with journal.listening(), made.claimed(suffixes=_ENDINGS, read=read):
        for path in maps:
            if half := note_half(path):
                journal.warn(half)
        said = made.found(overwrite=overwrite)
        if said is not None:
            journal.say(made.skipped())
        else:
            from groupglm.plotting.sheet.drawing import check_sheet

            asked = check_sheet(picture.asked(maps, None if surfaces is None else surfaces.given))
            _write(made, asked)
            journal.say(f"Picture: {output}")
    journal.summary(
        {
            "inputs": [str(path) for path in maps],
            "status": "written" if said is None else "skipped",
            "output": str(output),
        }
    )


def _write(made: Made, asked: Asked) -> None:
    from groupglm.plotting.sheet.drawing import draw_sheet
    from groupglm.plotting.sheet.saving import save_sheet

    figure = draw_sheet(asked)
    facts = {"Description": "Picture of statistical maps", "Kind": asked.picture}
    with made.writing(facts) as draft:
        save_sheet(figure, draft)
