# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm permute``: contrasts tested by permutation."""

from __future__ import annotations

import time
from typing import Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.atlases import AtlasChoice, atlas_options
from groupglm.cli.options.blocks import BlockOptions, block_options
from groupglm.cli.options.common import cluster_p as cluster_p_option
from groupglm.cli.options.common import seed as seed_option
from groupglm.cli.options.common import tails
from groupglm.cli.options.common import tfce as tfce_option
from groupglm.cli.options.group_model import GroupModelOptions
from groupglm.cli.options.study import (
    StudyOptions,
    check_zero_option,
    missing_option,
    study_options,
    target_affine_option,
    zero_is_missing_option,
)

__all__ = ["permute"]


@click.command(short_help="Test contrasts by permutation.")
@study_options
@click.option(
    "--n-perm",
    "--permute",
    "n_perm",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Number of permutations.",
)
@tfce_option
@cluster_p_option
@tails
@seed_option
@block_options
@target_affine_option
@missing_option
@zero_is_missing_option
@atlas_options
def permute(
    *,
    n_perm: int,
    tfce: bool,
    cluster_p: float | None,
    two_sided: bool | None,
    seed: int | None,
    target_affine: Any,
    missing: Any,
    zero_is_missing: bool,
    **study_options: Any,
) -> None:
    """Test contrasts by permutation, corrected for all voxels (places) of the mask.

    Maps, table, formula and contrasts are those of "groupglm fit". The method is that of Freedman
    and Lane; effects with variances are permuted together with these. If the null hypothesis is
    that a mean is zero, signs are flipped. Maps that may not be exchanged with all others, such as
    those of a subject or a family, are told by --exchangeability-blocks. The same seed gives the
    same maps for any number of threads.

    \b
    Examples
      groupglm permute 'maps/sub-*_effect.nii.gz' --participants participants.tsv \\
          --formula '~ age + C(group)' --contrast age --tfce --output results
      groupglm permute 'maps/sub-*_effect.nii.gz' --participants participants.tsv \\
          --formula '~ 1' --contrast mean=intercept --mask mask.nii.gz \\
          --n-perm 5000 --cluster-p 0.001 --one-sided --output results

    \b
    Writes, each whole or not at all (size and mass with --cluster-p, tfce with --tfce)
      contrast-NAME_stat-logp_desc-max{T|F,Size,Mass,Tfce}_statmap.nii.gz: -log10 of p, corrected
      for all voxels (clusters, enhanced values) of the mask by the largest of each permutation
      contrast-NAME_stat-{t|F,size,mass,tfce}_desc-permutation_statmap.nii.gz: the statistics, with
      --cluster-p or --tfce
      contrast-NAME_desc-permutation_clusters.tsv: clusters that the test formed, or without
      --cluster-p those of voxels with a corrected p below 0.05, and their peaks, with corrected p
      of both; of regions, a table of those
      contrast-NAME_permutations.npz: the null distributions, written every minute, from which an
      interrupted run, or one with more permutations, continues
      mask.nii.gz: the voxels over which p is corrected
      design_matrix.tsv and log.txt
      n_observations.nii.gz and df_residual.nii.gz, if values are missing
      n_zeros.nii.gz, if some maps are exactly zero where others are not
      beside maps and tables a .json: contrast, degrees of freedom, settings, versions, hashes of
      the design, of the list of maps and of the file itself

    While it runs, a lock (.groupglm-....lock) keeps other runs out of the folder. If you
    run it again with the same input, it skips what is done. --overwrite begins anew, and removes
    results of another design, other maps or other settings from the folder.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    check_zero_option(zero_is_missing, missing)
    atlas = AtlasChoice.taken_from(study_options)
    blocks = BlockOptions.taken_from(study_options)
    group_model = GroupModelOptions.taken_from(study_options)
    group_model.check_permutations()
    options = StudyOptions(**study_options, group_model=group_model, blocks=blocks)
    journal = Journal(as_json=options.as_json)
    start = time.perf_counter()
    with journal.listening(options.log):
        study = options.study(journal, estimates=False)
        summary = {"output": str(options.output), **study.facts()}
        if not options.dry_run:
            from groupglm.cli.steps.permutation_tests import Permutations, run_permutations

            how = Permutations(
                n_perm=n_perm,
                tfce=tfce,
                cluster_p=cluster_p,
                two_sided=two_sided is not False,
                seed=seed or 0,
                missing=missing,
                zero_is_missing=zero_is_missing,
                target_affine=target_affine,
                atlas=atlas,
                blocks=blocks,
            )
            summary["contrasts"] = run_permutations(study, options, how, journal)
            journal.say(f"Done in {time.perf_counter() - start:.1f} s: {options.output}")
    journal.summary(summary)
