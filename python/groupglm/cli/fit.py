# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit``: from maps and a participants table to maps of contrasts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options import (
    AFFINE,
    CONTRAST,
    CORRECTION,
    FWHM,
    NamedContrast,
    as_json,
    n_jobs,
    overwrite,
)

if TYPE_CHECKING:
    pass

__all__ = ["fit"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Fit a group model to maps of subjects.")
@click.argument("maps", nargs=-1, required=True)
@click.option(
    "--participants",
    type=_FILE,
    required=True,
    help="Table (.tsv, .csv) with participant_id, a row a subject.",
)
@click.option("--formula", required=True, help="Design, over the table's columns: '~ age + group'.")
@click.option(
    "--contrast",
    "contrasts",
    type=CONTRAST,
    multiple=True,
    required=True,
    help="A column or expression, NAME=EXPR to name it, 'NAME=EXPR; EXPR' for F. Repeatable.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option("--mask", type=_FILE, help="Mask image; found from the maps by default.")
@click.option("--fwhm", type=FWHM, help="Smoothing, full width at half maximum in mm.")
@click.option(
    "--target-affine", type=AFFINE, help="Grid to resample to: voxel size, or an image that has it."
)
@click.option(
    "--missing",
    type=click.Choice(["omit", "zero", "raise", "intersect"]),
    default="omit",
    show_default=True,
    help="What NaN means: leave out by voxel, zero, refuse, or leave out the voxel.",
)
@click.option(
    "--correct",
    type=CORRECTION,
    help="Threshold too: fdr:0.05, bonferroni:0.05, fpr:0.001 (t: both tails).",
)
@click.option("--subject-pattern", help="Regular expression of the label within a path.")
@click.option("--map-name", help="Which maps of a table that has several kinds.")
@click.option("--allow-partial", is_flag=True, help="Leave out subjects without a map or a row.")
@click.option("--save-model", is_flag=True, help="Keep the fitted model: OUTPUT/model.groupglm.")
@click.option("--report", is_flag=True, help="Write a page with all of it: OUTPUT/report.html.")
@click.option("--dry-run", is_flag=True, help="Show the design and stop; no image is read.")
@n_jobs
@as_json
@overwrite
def fit(
    *,
    maps: tuple[str, ...],
    participants: Path,
    formula: str,
    contrasts: tuple[NamedContrast, ...],
    output: Path,
    subject_pattern: str | None,
    map_name: str | None,
    allow_partial: bool,
    dry_run: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    r"""Fit a group model to maps of subjects, and write maps of contrasts.

    MAPS are image files, globs in quotes, or one table (.tsv) with the columns subject_label,
    map_name and effects_map_path. A map belongs to the row of the participants table that has
    its subject: sub-01 in the file's name or folders, or what --subject-pattern finds.

    The formula is expanded by formulaic. Text columns are categorical; 'C(site)' makes numbers
    so. Code in a formula is arithmetic and known transforms only; anything else is refused.

    \b
    Examples
      groupglm fit 'maps/sub-*_effect.nii.gz' --participants participants.tsv \
          --formula '~ age + C(group)' --contrast age \
          --contrast 'patients>controls=group[T.patient]' --output results
      groupglm fit maps.tsv --map-name faces --participants participants.tsv \
          --formula '~ 1' --contrast intercept --fwhm 6 --correct fdr:0.05 --output results
      groupglm fit 'maps/*.nii.gz' --subject-pattern '(S[0-9]+)_' \
          --participants people.csv --formula '~ center(age) * sex' \
          --contrast 'any=sex[T.m]; center(age):sex[T.m]' --output results --dry-run

    \b
    Writes, each whole or not at all
      contrast-NAME_stat-{effect,variance,t|F,z,p}_statmap.nii.gz, each with a .json
      design_matrix.tsv, mask.nii.gz, log.txt, n_observations.nii.gz if values are missing
      report.html with --report, model.groupglm with --save-model
      contrast-NAME_stat-z_desc-HOW_statmap.nii.gz and ..._clusters.tsv with --correct

    Run again with the same input, it skips what is done.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted.
    """
    journal = Journal(as_json=as_json)
    log = None if dry_run else output / "log.txt"
    start = time.perf_counter()
    with journal.listening(log):
        from groupglm.cli.fitting import Settings, run
        from groupglm.cli.study import collect_maps, prepare_study

        study = prepare_study(
            collect_maps(maps, subject_pattern, map_name),
            participants,
            formula,
            contrasts,
            allow_partial=allow_partial,
        )
        for told in study.left_out:
            journal.warn(f"left out {told}")
        journal.say(study.describe())
        summary = {"output": str(output), **study.facts()}
        if dry_run:
            journal.say("Dry run: no image was read.")
        else:
            settings = Settings(formula=formula, **rest)
            summary |= run(study, output, settings, journal)
            journal.say(f"Done in {time.perf_counter() - start:.1f} s: {output}")
    journal.summary(summary)
