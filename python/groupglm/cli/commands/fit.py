# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm fit``: from maps and a participants table to maps of contrasts."""

from __future__ import annotations

import time
from typing import Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.blocks import BlockOptions
from groupglm.cli.options.group_model import GroupModelOptions
from groupglm.cli.options.study import FitOptions, StudyOptions, fit_options, study_options

__all__ = ["fit"]


@click.command(short_help="Fit a group model to maps of subjects.")
@study_options
@fit_options
def fit(**given: Any) -> None:
    """Fit a group model to maps of subjects, and write maps of contrasts.

    MAPS are image files, globs in quotes, or one table (.tsv) with the columns subject_label,
    map_name and effects_map_path. A map is matched with the row of the participants table that has
    the same subject. The subject of a map is sub-01 in the name of the file or of its folders, or
    what --subject-pattern finds.

    MAPS may also be one 4-D image. Its volumes belong to the rows of the table, of --sessions if it
    is given, or of --design-matrix, by their order.

    With --table in the place of MAPS, each row of a table of regions is a subject. Results are then
    tables (.tsv), and a table of regions stands in the place of clusters.

    A map of the cortical surface has a file of each hemisphere, such as sub-01_hemi-L_ and
    sub-01_hemi-R_, .L. and .R., or lh. and rh. The glob matches both. Results are in two files as
    well, hemi-L_contrast-NAME_... and hemi-R_contrast-NAME_..., with one .json. Give them to other
    commands by the name without hemi-L_. --surfaces LEFT RIGHT gives their meshes.

    With (1 | subject) in the formula, a subject may have several maps. Their visits are ses- and
    run- in the names, and rows are matched by subject, session and run.

    Columns of text in the formula are categories. 'C(site)' makes categories of numbers. A formula
    may hold arithmetic and known transforms. All other code is an error.

    \b
    Examples
      groupglm fit 'maps/sub-*_effect.nii.gz' --participants participants.tsv \\
          --formula '~ age + C(group)' --contrast age \\
          --contrast 'patients>controls=group[T.patient]' --output results
      groupglm fit maps.tsv --map-name faces --participants participants.tsv \\
          --formula '~ 1' --contrast intercept --fwhm 6 --correct fdr:0.05 --output results
      groupglm fit 'maps/*.nii.gz' --subject-pattern '(S[0-9]+)_' \\
          --participants people.csv --formula '~ center(age) * sex' \\
          --contrast 'any=sex[T.m]; center(age):sex[T.m]' --output results --dry-run
      groupglm fit 'maps/sub-*_effect.nii.gz' --variances 'maps/sub-*_variance.nii.gz' \\
          --model mixed --formula '~ 1' --contrast mean=intercept --output results
      groupglm fit 'maps/sub-*_ses-*_effect.nii.gz' --participants participants.tsv \\
          --sessions sessions.tsv --formula '~ group * time + (1 | subject)' \\
          --contrast 'change=group[T.patient]:time' --output results
      groupglm fit all_copes.nii.gz --design-matrix design.mat --contrasts design.con \\
          --contrasts design.fts --mask mask.nii.gz --output results

    \b
    Writes, each whole or not at all
      contrast-NAME_stat-{effect,variance,t|F,z,p}_statmap.nii.gz, in float64 if float32
      cannot hold the values
      design_matrix.tsv, mask.nii.gz and log.txt
      n_observations.nii.gz and df_residual.nii.gz, if values are missing
      n_zeros.nii.gz, if some maps are exactly zero where others are not
      stat-{tau2,I2,H2,Q,Qp}_statmap.nii.gz, how much subjects differ: with --model mixed; all but
      tau2 with --model fixed; of groups stat-{tau2,I2,H2}_desc-GROUP_statmap.nii.gz
      stat-{ICC,subjectVariance,residualVariance,familyVariance,nSubjects}_statmap.nii.gz with
      --model repeated, as far as it has them; the last if it differs between voxels
      stat-{converged,iterations,meanWeight}_statmap.nii.gz with --model robust
      contrast-NAME_stat-dof_statmap.nii.gz, degrees of freedom, with --model unequal or repeated
      stat-rpv_statmap.nii.gz, resels per voxel, with --correct rft or cluster-rft
      with --effect-sizes, each with its interval:
        contrast-NAME_stat-{effectLow,effectHigh}_statmap.nii.gz
        contrast-NAME_stat-{cohenD,cohenDLow,cohenDHigh}_statmap.nii.gz
        contrast-NAME_stat-{hedgesG,hedgesGLow,hedgesGHigh}_statmap.nii.gz
        contrast-NAME_stat-{partialR,partialRLow,partialRHigh}_statmap.nii.gz
        contrast-NAME_stat-{partialR2,partialR2Low,partialR2High}_statmap.nii.gz
      contrast-NAME_stat-logBF10_statmap.nii.gz with --bayes-factor
      contrast-NAME_stat-{p,decision}_desc-equivalence_statmap.nii.gz with --equivalence: the
      decision is 1 an effect, -1 equivalent to none, 2 both, 0 not enough data
      with each --correct, HOW being fdr0p05, fpr0p001 ...:
        contrast-NAME_stat-z_desc-HOW_statmap.nii.gz and contrast-NAME_stat-z_desc-HOW_clusters.tsv
      with --permute (size and mass with --cluster-p too, tfce with --tfce too):
        contrast-NAME_stat-logp_desc-max{T|F,Size,Mass,Tfce}_statmap.nii.gz
        contrast-NAME_stat-{t|F,size,mass,tfce}_desc-permutation_statmap.nii.gz, if with either
        contrast-NAME_desc-permutation_clusters.tsv, with corrected p of clusters and peaks
        contrast-NAME_permutations.npz, from which an interrupted run continues
      report.html with --report, and its paragraph on methods: methods.md, methods.bib
      model.groupglm with --save-model
      beside maps, tables, page and model a .json: contrast, degrees of freedom, settings,
      versions, hashes of the design, of the lists of maps and of the file itself

    While it runs, a lock (.groupglm-....lock) keeps other runs out of the folder. If you
    run it again with the same input, it skips what is done. --overwrite does everything again, and
    removes results of another design, other maps or other settings from the folder.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    blocks = BlockOptions.taken_from(given, permutes=given["permute"] is not None)
    how = FitOptions.taken_from(given)
    group_model = GroupModelOptions.taken_from(given)
    if how.permute:
        group_model.check_permutations()
    options = StudyOptions(**given, group_model=group_model, blocks=blocks)
    journal = Journal(as_json=options.as_json)
    start = time.perf_counter()
    with journal.listening(options.log):
        study = options.study(journal)
        summary = {"output": str(options.output), **study.facts()}
        if not options.dry_run:
            from groupglm.cli.steps.fit_study import Settings, claimed_fit, run

            settings = Settings(options, how)
            with claimed_fit(study, settings):
                summary |= run(study, settings, journal)
            journal.say(f"Done in {time.perf_counter() - start:.1f} s: {options.output}")
    journal.summary(summary)
