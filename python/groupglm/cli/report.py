# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm report``: a page about a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.made import Made
from groupglm.cli.options import (
    CONTRAST,
    CORRECTION,
    Correction,
    NamedContrast,
    as_json,
    overwrite,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from groupglm.report import PermutationTest
    from groupglm.second_level import SecondLevelModel

__all__ = ["report", "write_report"]


@click.command(short_help="Write a page about a saved model.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--contrast",
    "contrasts",
    type=CONTRAST,
    multiple=True,
    help="A column or expression, NAME=EXPR to name it, 'NAME=EXPR; EXPR' for F. Repeatable.",
)
@click.option(
    "--correct",
    type=CORRECTION,
    default="fpr:0.001",
    show_default=True,
    help="fdr:0.05, bonferroni:0.05 or fpr:0.001.",
)
@click.option("--title", help="Heading of the page.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@as_json
@overwrite
def report(
    *,
    model: Path,
    contrasts: tuple[NamedContrast, ...],
    correct: Correction,
    title: str | None,
    output: Path,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Write a page about a model that "groupglm fit --save-model" or model.save() has saved.

    The page is one file that loads nothing. The images of the subjects are not needed; what is
    computed from them (their comparison, and the data at the peaks) is then left out.

    \b
    Examples
      groupglm report results/model.groupglm --contrast age --output report.html
      groupglm report results/model.groupglm --correct fdr:0.05 \\
          --contrast 'patients>controls=group[T.patient]' --output report.html

    What is there already, made of the same file with the same options, is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    options = {
        "Contrasts": [given.text for given in contrasts],
        "Correct": str(correct),
        "Title": title,
    }
    made = Made(output, model, options)
    said = made.check(overwrite=overwrite, suffixes=(".html", ".htm"))
    journal = Journal(as_json=as_json)
    status = "written" if said is None else "skipped"
    if said is not None:
        journal.say(made.skipped())
    else:
        with journal.listening():
            from groupglm import SecondLevelModel
            from groupglm.cli.study import read_contrasts

            loaded = SecondLevelModel.load(model)
            read = read_contrasts(contrasts, loaded.design_matrix_)
            said = {
                "Description": "Page about a fitted model",
                "Contrasts": [contrast.facts() for contrast in read],
            }
            with made.writing(said):
                weights = {contrast.name: contrast.weights for contrast in read}
                write_report(loaded, weights, [correct], output, title=title)
            journal.say(f"Report: {output}")
    names = [contrast["Name"] for contrast in said.get("Contrasts", [])]
    journal.summary(
        {"input": str(model), "contrasts": names, "status": status, "output": str(output)}
    )


def write_report(
    model: SecondLevelModel,
    contrasts: Mapping[str, Any],
    corrections: Sequence[Correction],
    output: Path,
    *,
    permutations: Mapping[str, PermutationTest] | None = None,
    command: str = "",
    **options: Any,
) -> None:
    """Write the page of a fitted model.

    Parameters
    ----------
    model : SecondLevelModel
        Fitted.
    contrasts : mapping
        Weights by name.
    corrections : sequence of Correction
        How maps are thresholded: each contrast has a map and a table for each.
    output : pathlib.Path
        The file, written whole or not at all.
    permutations : mapping of str to PermutationTest, optional
        Permutation tests by the name of the contrast.
    command : str, optional
        The shell command that makes the page again.
    **options
        Further parameters of ``generate_report``.
    """
    from groupglm.report.generating import make_report

    given = {
        "contrasts": dict(contrasts) or None,
        "alpha": [correction.alpha for correction in corrections],
        "height_control": [correction.control for correction in corrections],
        "permutations": permutations,
        **options,
    }
    if len(corrections) == 1:
        given |= {"alpha": corrections[0].alpha, "height_control": corrections[0].control}
    make_report(model, given, command=command).save_as_html(output)
