# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm confidence-sets``: where effects are at least so large."""

from __future__ import annotations

import time
from typing import Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.blocks import BlockOptions
from groupglm.cli.options.common import seed as seed_option
from groupglm.cli.options.confidence_sets import SETS_OPTIONS, SetsOptions
from groupglm.cli.options.giving import giving
from groupglm.cli.options.group_model import GroupModelOptions
from groupglm.cli.options.study import (
    StudyOptions,
    check_zero_option,
    missing_option,
    study_options,
    target_affine_option,
    zero_is_missing_option,
)

__all__ = ["confidence_sets"]


@click.command("confidence-sets", short_help="Say where effects are at least so large.")
@study_options
@giving(SETS_OPTIONS)
@seed_option
@target_affine_option
@missing_option
@zero_is_missing_option
def confidence_sets(
    *,
    levels: tuple[Any, ...],
    alpha: float,
    n_bootstraps: int,
    seed: int | None,
    target_affine: Any,
    missing: Any,
    zero_is_missing: bool,
    **study_options: Any,
) -> None:
    """Say where effects are at least so large, and where they are smaller, with confidence.

    Maps, table, formula and contrasts are those of "groupglm fit". With a confidence of 1 - alpha,
    at all voxels (places) at once, the places whose effect is at least --level include all of the
    upper set and lie within the lower set (Bowring and others 2019; 2021 for Cohen's d). The same
    seed gives the same maps for any number of threads.

    \b
    Examples
      groupglm confidence-sets 'maps/sub-*_effect.nii.gz' --participants participants.tsv \\
          --formula '~ 1' --contrast mean=intercept --mask mask.nii.gz \\
          --level 0.5:d --output results

    \b
    Writes, each whole or not at all, LEVEL being Effect0p2, CohenD0p5 ...
      contrast-NAME_stat-confidenceSet_desc-{upper,estimate,lower}LEVEL_statmap.nii.gz: 1 inside,
      and 0 outside; in the upper set the effect is at least the level, outside the lower set it is
      smaller
      mask.nii.gz: the voxels that are asked about
      design_matrix.tsv and log.txt
      n_observations.nii.gz and df_residual.nii.gz, if values are missing
      n_zeros.nii.gz, if some maps are exactly zero where others are not
      beside maps and tables a .json: contrast, level, critical value, settings, versions, hashes of
      the design, of the list of maps and of the file itself

    While it runs, a lock (.groupglm-....lock) keeps other runs out of the folder. If you
    run it again with the same input, it skips what is done. --overwrite begins anew, and removes
    results of another design, other maps or other settings from the folder.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    check_zero_option(zero_is_missing, missing)
    if n_bootstraps * alpha < 1:
        raise click.UsageError(
            f"--n-bootstraps {n_bootstraps} is too few for --alpha {alpha:g}; give at least "
            "1 / alpha."
        )
    group_model = GroupModelOptions.taken_from(study_options)
    options = StudyOptions(**study_options, group_model=group_model, blocks=BlockOptions())
    journal = Journal(as_json=options.as_json)
    start = time.perf_counter()
    with journal.listening(options.log):
        study = options.study(journal)
        summary = {"output": str(options.output), **study.facts()}
        if not options.dry_run:
            from groupglm.cli.steps.confidence_sets import run_confidence_sets
            from groupglm.cli.steps.estimation import Reading

            reading = Reading(options, missing, target_affine, zero_is_missing)
            how = SetsOptions(levels, alpha, n_bootstraps, seed or 0)
            summary["contrasts"] = run_confidence_sets(study, reading, how, journal)
            journal.say(f"Done in {time.perf_counter() - start:.1f} s: {options.output}")
    journal.summary(summary)
