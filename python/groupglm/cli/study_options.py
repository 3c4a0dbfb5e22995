# SPDX-License-Identifier: BSD-3-Clause
"""The options of the commands that begin with maps, a participants table and a formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from groupglm.cli.options import CONTRAST, FWHM, NamedContrast, as_json, n_jobs, overwrite

if TYPE_CHECKING:
    from groupglm.cli.journal import Journal
    from groupglm.cli.study import Study

__all__ = ["StudyOptions", "study_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.argument("maps", nargs=-1, required=True),
    click.option(
        "--participants",
        type=_FILE,
        required=True,
        help="Table (.tsv, .csv) with participant_id, a row a subject.",
    ),
    click.option(
        "--formula", required=True, help="Design, over the table's columns: '~ age + group'."
    ),
    click.option(
        "--contrast",
        "contrasts",
        type=CONTRAST,
        multiple=True,
        required=True,
        help="A column or expression, NAME=EXPR to name it, 'NAME=EXPR; EXPR' for F. Repeatable.",
    ),
    click.option(
        "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
    ),
    click.option("--mask", type=_FILE, help="Mask image; found from the maps by default."),
    click.option("--fwhm", type=FWHM, help="Smoothing, full width at half maximum in mm."),
    click.option("--subject-pattern", help="Regular expression of the label within a path."),
    click.option("--map-name", help="Which maps of a table that has several kinds."),
    click.option(
        "--allow-partial", is_flag=True, help="Leave out subjects without a map or a row."
    ),
    click.option("--dry-run", is_flag=True, help="Show the design and stop; no image is read."),
    n_jobs,
    as_json,
    overwrite,
)


def study_options(command: Command) -> Command:
    """Give a command the options of a study; they come in the order of `_OPTIONS`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, eq=False)
class StudyOptions:
    """What a study is made of, as the options say."""

    maps: tuple[str, ...]
    participants: Path
    formula: str
    contrasts: tuple[NamedContrast, ...]
    output: Path
    mask: Path | None
    fwhm: float | tuple[float, ...] | None
    subject_pattern: str | None
    map_name: str | None
    allow_partial: bool
    dry_run: bool
    n_jobs: int
    as_json: bool
    overwrite: bool

    @property
    def log(self) -> Path | None:
        """Where the log goes; a dry run leaves none."""
        return None if self.dry_run else self.output / "log.txt"

    def study(self, journal: Journal) -> Study:
        """Bring it together, and show the design before any image is read."""
        from groupglm.cli.study import collect_maps, prepare_study

        study = prepare_study(
            collect_maps(self.maps, self.subject_pattern, self.map_name),
            self.participants,
            self.formula,
            self.contrasts,
            allow_partial=self.allow_partial,
        )
        for told in study.left_out:
            journal.warn(f"left out {told}")
        journal.say(study.describe())
        if self.dry_run:
            journal.say("Dry run: no image was read.")
        return study
