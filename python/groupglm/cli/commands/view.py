# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm view``: the interactive viewer of maps, as a page of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.common import as_json, background, overwrite
from groupglm.cli.options.geometry import (
    MAP,
    SidePair,
    mesh_facts,
    mesh_files,
    note_half,
    surfaces_option,
)
from groupglm.cli.options.paths import TO_FILE
from groupglm.cli.options.pictures import MOST_MAPS, map_names, title, view_threshold
from groupglm.cli.results.derived_files import Made
from groupglm.cli.results.provenance import file_facts

__all__ = ["view"]


@click.command(short_help="Write an interactive page of maps.")
@click.argument("maps", type=MAP, nargs=-1, required=True, metavar="MAP [MAP...]")
@view_threshold
@background
@surfaces_option
@title
@click.option("--output", type=TO_FILE, required=True, help="A .html file to write.")
@as_json
@overwrite
def view(
    *,
    maps: tuple[Path, ...],
    threshold: float | str | None,
    background: Path | None,
    surfaces: SidePair | None,
    title: str | None,
    output: Path,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Write an interactive page of statistical maps: three planes, or surfaces that turn.

    It is the viewer of "groupglm report" in a page of its own: one file, which loads nothing from
    elsewhere and can be sent to others. It reads the value at a place, and its threshold can be
    moved. Several maps are chosen from a list.

    \b
    Examples
      groupglm view results/contrast-age_stat-z_statmap.nii.gz --threshold 3.1 --output age.html

    Writes the page to --output, and OUTPUT.json beside it: the maps, the options, and the hash of
    the page. If the page is there already, from the same maps and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    if len(maps) > MOST_MAPS:
        raise click.UsageError(f"{len(maps)} maps are given; {MOST_MAPS} are the most.")
    options = {
        "Threshold": threshold,
        "Title": title,
        "Background": None if background is None else file_facts(background),
        **mesh_facts(surfaces, None),
    }
    made = Made(output, maps[0], options, maps[1:])
    journal = Journal(as_json=as_json)
    read = [*(() if background is None else (background,)), *mesh_files(surfaces, None)]
    with journal.listening(), made.claimed(suffixes=(".html", ".htm"), read=read):
        for path in maps:
            if half := note_half(path):
                journal.warn(half)
        said = made.found(overwrite=overwrite)
        if said is not None:
            journal.say(made.skipped())
        else:
            _write(made, maps, threshold, background, surfaces, title)
            journal.say(f"Page: {output}")
    journal.summary(
        {
            "inputs": [str(path) for path in maps],
            "status": "written" if said is None else "skipped",
            "output": str(output),
        }
    )


def _write(
    made: Made,
    maps: tuple[Path, ...],
    threshold: float | str | None,
    background: Path | None,
    surfaces: SidePair | None,
    title: str | None,
) -> None:
    from groupglm.plotting.limits import NOISE
    from groupglm.report.asked_view import AskedView
    from groupglm.report.view import view_page

    names = map_names(maps)
    given: dict[str, Any] = {} if background is None else {"bg_img": background}
    asked = AskedView(
        maps,
        names,
        NOISE if threshold is None else threshold,
        surfaces=None if surfaces is None else surfaces.given,
        **given,
    )
    page = view_page(asked, title or ", ".join(names))
    with made.writing({"Description": "Interactive page of statistical maps"}) as draft:
        page.save_as_html(draft)
