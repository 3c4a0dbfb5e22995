# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm bids``: from a BIDS derivative to a BIDS derivative of group results."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.blocks import BlockOptions
from groupglm.cli.options.common import CONTRAST, NamedContrast
from groupglm.cli.options.group_model import GroupModelOptions, bids_model_options
from groupglm.cli.options.paths import FILE, FOLDER, TO_FOLDER
from groupglm.cli.options.study import FitOptions, fit_options, run_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from groupglm.cli.steps.bids_studies import BidsOptions
    from groupglm.cli.steps.study_design import Study
    from groupglm.spaces.map_files import MapFiles

__all__ = ["bids"]


@click.command(short_help="Fit a group model to the maps of a BIDS derivative.")
@click.argument("derivatives", type=FOLDER)
@click.argument("out", type=TO_FOLDER)
@click.option("--task", help="Task of the maps.")
@click.option(
    "--contrast", "first_level", multiple=True, help="First-level contrast. Repeatable: a fit each."
)
@click.option("--space", help="Space of the maps.")
@click.option("--session", help="Session of the maps.")
@click.option("--run", help="Run of the maps.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another entity of the maps: acq=ap, or res= for maps without it. Repeatable.",
)
@click.option(
    "--participants",
    type=FILE,
    help="Table, a row a subject; by default participants.tsv of DERIVATIVES or of its source.",
)
@click.option(
    "--sessions",
    multiple=True,
    metavar="PATH",
    help="Tables with a row a session, or their folder; by default sub-*/sub-*_sessions.tsv beside "
    "participants.tsv, if a column is there. Repeatable.",
)
@click.option("--formula", help="Design, over the table's columns; by default '~ 1'.")
@click.option(
    "--second-level-contrast",
    "second_level",
    type=CONTRAST,
    multiple=True,
    help="Over the design: a column or expression, NAME=EXPR, 'NAME=EXPR; EXPR' for F. Repeatable.",
)
@click.option(
    "--model", type=FILE, help="BIDS Stats Model (JSON) in place of formula and contrasts."
)
@click.option("--model-node", help="Which of its nodes, if several are of level Dataset.")
@bids_model_options
@run_options
@fit_options
def bids(**given: Any) -> None:
    """Fit a group model to the effect maps of a BIDS derivative, and write another.

    DERIVATIVES is the folder of a first-level analysis by FitLins, nilearn's save_glm_to_bids or
    another program: sub-*/..._contrast-C_stat-effect_statmap.nii.gz, or the same in node-*/. The
    options choose the maps by the entities in their names. If they leave several maps of a
    subject, or maps of several kinds, the error lists them and nothing is fitted. With
    (1 | subject) in the formula a subject may have a map of each session and run. Rows of
    participants.tsv are matched by subject, those of sessions.tsv by session too. OUT is the folder
    of the results.

    With --model, the dataset-level node of a BIDS Stats Model gives the design and the contrasts.
    Each first-level contrast that reaches the node has its own fit, and so has each group of a
    column in GroupBy, whose files have group-LEVEL_ in their names. A node of Type "meta" weights
    each map by its stat-variance map. Parts of a model that are not supported are an error before
    any image is read.

    \b
    Examples
      groupglm bids derivatives/fitlins derivatives/group --task faces --contrast facesGtHouses
      groupglm bids derivatives/nilearn derivatives/group --task faces --contrast facesGtHouses \\
          --space MNI152NLin2009cAsym --formula '~ age + C(group)' \\
          --second-level-contrast age \\
          --second-level-contrast 'patients>controls=group[T.patient]' --correct fdr:0.05 --report
      groupglm bids derivatives/fitlins derivatives/group --model model-faces_smdl.json --dry-run

    \b
    Writes, each whole or not at all, in a folder node-NAME with --model
      task-T_space-S_contrast-C_stat-{effect,variance,t|F,z,p}_statmap.nii.gz: the mean of C;
      other second-level contrasts are called contrast-CName
      task-T_space-S_contrast-C_design.tsv and task-T_space-S_contrast-C_mask.nii.gz
      task-T_space-S_contrast-C_stat-{nObservations,dof,nZeros}_statmap.nii.gz, if values are
      missing or some maps are exactly zero where others are not
      task-T_space-S_contrast-C_stat-{tau2,I2,H2,Q,Qp}_statmap.nii.gz with --group-model mixed, all
      but tau2 with fixed; contrast-C_stat-dof_statmap.nii.gz with unequal or repeated;
      stat-{ICC,subjectVariance,residualVariance,familyVariance}_statmap.nii.gz with repeated;
      stat-rpv_statmap.nii.gz with --correct rft or cluster-rft
      task-T_space-S_contrast-C_report.html with --report, and its paragraph on methods:
      ..._methods.{md,bib}; task-T_space-S_contrast-C_model.groupglm with --save-model,
      and what "groupglm fit" writes for --correct and --permute, called so
      beside each a .json, as "groupglm fit" writes it
      dataset_description.json, .bidsignore and log.txt

    While it runs, a lock (.groupglm-....lock) keeps other runs out of the folder. If you
    run it again with the same input, it skips what is done. --overwrite does everything again, and
    removes results of another design, other maps or other settings from the folder.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    from groupglm.bids.derivative import check_output

    given["blocks"] = BlockOptions.taken_from(given, permutes=given["permute"] is not None)
    how = FitOptions.taken_from(given)
    journal = Journal(as_json=given["as_json"])
    start = time.perf_counter()
    root = given["out"]
    check_output(root, given["derivatives"])  # before a log is written into a foreign folder
    with journal.listening(None if given["dry_run"] else root / "log.txt"):
        from groupglm.cli.steps.bids_studies import bids_studies

        options = _options(given)
        studies = bids_studies(options, journal)
        summary: dict[str, Any] = {
            "output": str(options.output),
            "studies": [{**study.origin, **study.facts()} for study in studies],
        }
        if options.dry_run:
            journal.say("Dry run: no image was read.")
        else:
            _run(studies, options, how, journal, summary)
            journal.say(f"Done in {time.perf_counter() - start:.1f} s: {options.output}")
    journal.summary(summary)


def _options(given: dict[str, Any]) -> BidsOptions:
    """Convert the options that are still text."""
    from groupglm.bids import read_stats_model
    from groupglm.bids.derivative import node_folder
    from groupglm.cli.steps.bids_studies import BidsOptions

    group_model = GroupModelOptions.taken_from(given, option="--group-model")
    wanted = _wanted(given)
    given["first_level"] = tuple(name.removeprefix("contrast-") for name in given["first_level"])
    path, node = given.pop("model"), given.pop("model_node")
    root, formula, second_level = given.pop("out"), given.pop("formula"), given.pop("second_level")
    if path is None:
        if node is not None:
            raise click.UsageError("--model-node has no effect without --model.")
        if not second_level and formula is not None:
            raise click.UsageError(
                "--formula needs a --second-level-contrast: which of its effects is tested?"
            )
        return BidsOptions(
            **given,
            wanted=wanted,
            root=root,
            output=root,
            formula=formula or "~ 1",
            second_level=second_level or (NamedContrast("intercept"),),
            model=None,
            model_file=None,
            group_model=group_model,
        )
    if formula is not None or second_level:
        raise click.UsageError(
            "--formula and --second-level-contrast have no effect beside --model, which says both."
        )
    if group_model != GroupModelOptions(option=group_model.option):
        raise click.UsageError(
            "--group-model, --tau2, --test, --variance-groups, --covariance, --df, --adjustment, "
            "--families, --visits and --groups have no effect beside --model, whose node says it "
            "by Model.Type and Model.Software.groupglm."
        )
    model = read_stats_model(path, node=node)
    if model.mask is not None:
        given["mask"] = _mask_of(model.mask, given)
    group_model = GroupModelOptions.of_node(model.estimator)
    group_model.check_smoothing(given["fwhm"])
    return BidsOptions(
        **given,
        wanted=wanted,
        root=root,
        output=root / node_folder(model.node),
        formula=model.formula or f"X: {', '.join(model.x)}",
        second_level=(),
        model=model,
        model_file=path,
        group_model=group_model,
    )


def _mask_of(wanted: Mapping[str, Sequence[str]], given: dict[str, Any]) -> MapFiles:
    """Find the mask that a Stats Model names; the option would be another one."""
    from groupglm.bids.masks import find_mask

    if given["mask"] is not None:
        raise click.UsageError(
            "--mask has no effect beside Model.Options.Mask of the model; give one of the two."
        )
    return find_mask(given["derivatives"], wanted)


def _wanted(given: dict[str, Any]) -> dict[str, list[str]]:
    """Return the wanted entities of the maps from the options."""
    from groupglm.bids.collecting import KEYS

    wanted = {}
    for key in ("task", "space", "session", "run"):
        value = given.pop(key)
        if value is not None:
            wanted[KEYS.get(key, key)] = [value.removeprefix(f"{KEYS.get(key, key)}-")]
    for text in given.pop("filters"):
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise click.UsageError(
                f"--filter {text!r} must be KEY=VALUE, such as acq=ap, or KEY= for none."
            )
        wanted.setdefault(KEYS.get(key, key), []).append(value)
    return wanted


def _run(
    studies: list[Study],
    options: BidsOptions,
    how: FitOptions,
    journal: Journal,
    summary: dict[str, Any],
) -> None:
    """Fit the studies, and make the folder a derivative."""
    from groupglm.bids.derivative import bids_uri, describe
    from groupglm.cli.results.names import make_folder, read_json, sidecar, write_json
    from groupglm.cli.steps.fit_study import Settings, claimed_fit, run

    make_folder(options.root, "OUT")
    settings = Settings(options, how)
    with contextlib.ExitStack() as claims:
        for study in studies:  # all of them, before the first is fitted
            claims.enter_context(claimed_fit(study, settings))
        describe(options.root, options.derivatives)
        for study, said in zip(studies, summary["studies"], strict=True):
            if len(studies) > 1:
                journal.say(f"First-level contrast {study.origin['FirstLevel']['contrast']}:")
            said.update(run(study, settings, journal))
            design = sidecar(options.output / study.names.design)
            sources = [bids_uri(path, options.derivatives) for path in study.files]
            write_json(design, {**(read_json(design) or {}), "Sources": sources})
