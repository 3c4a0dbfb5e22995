# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm report``: a page about a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groupglm.cli.journal import Journal
from groupglm.cli.options.atlases import AtlasChoice, atlas_options
from groupglm.cli.options.common import (
    CONTRAST,
    NamedContrast,
    as_json,
    overwrite,
    tails,
)
from groupglm.cli.options.common import background as background_option
from groupglm.cli.options.common import cluster_threshold as cluster_threshold_option
from groupglm.cli.options.corrections import Correction, correct
from groupglm.cli.options.geometry import (
    SidePair,
    geometry_of,
    geometry_options,
    mesh_facts,
    mesh_files,
)
from groupglm.cli.options.paths import PLACE, TO_FILE
from groupglm.cli.options.typed_command import typed_command
from groupglm.cli.results.derived_files import Made
from groupglm.cli.results.provenance import file_facts
from groupglm.cli.wording import as_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from groupglm.cli.steps.report_folder import ModelFolder
    from groupglm.estimator.group_model import GroupModel
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.report import HTMLReport, PermutationTest
    from groupglm.report.further_results import FurtherResults
    from groupglm.spaces.geometry import Geometry

__all__ = ["report", "write_report"]


@click.command(short_help="Write a page about a saved model.")
@click.argument("model", type=PLACE)
@click.option(
    "--contrast",
    "contrasts",
    type=CONTRAST,
    multiple=True,
    help="A column or expression, NAME=EXPR to name it, 'NAME=EXPR; EXPR' for F. Repeatable.",
)
@correct
@cluster_threshold_option
@tails
@background_option
@geometry_options
@atlas_options
@click.option("--title", help="Heading of the page.")
@click.option("--output", type=TO_FILE, required=True)
@as_json
@overwrite
def report(
    *,
    model: Path,
    contrasts: tuple[NamedContrast, ...],
    corrections: tuple[Correction, ...],
    cluster_threshold: int,
    two_sided: bool | None,
    background: Path | None,
    surfaces: SidePair | None,
    areas: SidePair | None,
    title: str | None,
    output: Path,
    as_json: bool,
    overwrite: bool,
    **of_atlas: Any,
) -> None:
    """Write a page about a model that "groupglm fit --save-model" or model.save() has saved.

    MODEL is the file of the model, or the folder of results that holds it. For a folder, the page
    shows the contrasts of the folder, with their corrections, permutation tests and confidence sets
    ("groupglm confidence-sets" with the same --output), unless you give --contrast or --correct.
    Without a correction, it shows voxels (places) with p < 0.001, not corrected.

    The page is one file, which loads nothing from elsewhere. It needs no images of subjects. It
    leaves out what is computed from them: their comparison, and the data at the peaks. Random field
    theory needs the smoothness that "groupglm fit --correct rft:0.05" has written.

    A model holds the meshes that "groupglm fit --surfaces" had: its maps are drawn, and their
    clusters found, on these. Give --surfaces for a model that was fitted without them, whose page
    would have tables and charts only, or for others in their place.

    \b
    Examples
      groupglm report results --output results/report.html
      groupglm report results/model.groupglm --contrast age --output report.html
      groupglm report results/model.groupglm --correct fdr:0.05 \\
          --contrast 'patients>controls=group[T.patient]' --output report.html

    Writes the page to --output, and OUTPUT.json beside it: the input, and the hash of the page. If
    the page is there already, from the same input and options, it is skipped.

    \b
    Exit codes: 0 done, 1 input or data cannot be used, 2 wrong options, 130 interrupted, 143
    terminated.
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    chosen = AtlasChoice.taken_from(of_atlas)
    journal = Journal(as_json=as_json)
    with journal.listening():
        from groupglm.cli.steps.report_folder import ModelFolder, find_model

        file = find_model(model)
        folder = ModelFolder.of(file) if model.is_dir() else ModelFolder()
        # The folder's cluster threshold and tails belong to its own corrections, not to corrections
        # that the user gives.
        alike = ModelFolder() if corrections else folder
        extent = alike.extent(cluster_threshold if _is_given("cluster_threshold") else None)
        rules = list(corrections) or folder.corrections or [Correction("fpr", 0.001)]
        page = {
            "title": title,
            "two_sided": alike.two_sided(two_sided),
            "cluster_threshold": extent,
            **({} if background is None else {"bg_img": background}),
            **({} if chosen is None else {"atlas": chosen.load()}),
        }
        options = {
            "Contrasts": [given.text for given in contrasts],
            "Correct": [str(rule) for rule in rules],
            "Title": title,
            "TwoSided": page["two_sided"],
            "ClusterThreshold": extent,
            "Background": None if background is None else file_facts(background),
            **mesh_facts(surfaces, areas),
            "Folder": folder.facts(),
            **({} if chosen is None else {"Atlas": chosen.facts()}),
        }
        made = Made(output, file, options)
        read = [*folder.read, *([] if background is None else [background])]
        read += mesh_files(surfaces, areas)
        read += [] if chosen is None else chosen.files
        with made.claimed(suffixes=(".html", ".htm"), read=read):
            said = made.found(overwrite=overwrite)
            status = "written" if said is None else "skipped"
            if said is not None:
                journal.say(made.skipped())
            else:
                said = _write(made, contrasts, rules, page, folder, geometry_of(surfaces, areas))
                journal.say(f"Report: {output}")
    names = [contrast["Name"] for contrast in said.get("Contrasts", [])]
    journal.summary(
        {"input": str(model), "contrasts": names, "status": status, "output": str(output)}
    )


def _is_given(option: str) -> bool:
    """Return whether the user gave an option, rather than leaving its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


def _write(
    made: Made,
    given: tuple[NamedContrast, ...],
    corrections: list[Correction],
    page: dict[str, Any],
    folder: ModelFolder,
    geometry: Geometry,
) -> dict[str, Any]:
    """Write the page and its sidecar; return the sidecar's facts about the contrasts."""
    from groupglm.cli.steps.study_contrasts import read_contrasts
    from groupglm.cli.steps.study_design import design_of
    from groupglm.estimator.group_model import GroupModel

    loaded = GroupModel.load(made.source, surfaces=geometry.surfaces, areas=geometry.areas)
    design, covariates = design_of(loaded)
    contrasts = read_contrasts(given, design, covariates=covariates) if given else folder.contrasts
    said = {
        "Description": "Page about a fitted model",
        "Contrasts": [contrast.facts() for contrast in contrasts],
    }
    weights = {contrast.name: contrast.tested for contrast in contrasts}
    tests = {
        contrast.name: folder.permutations[contrast.name]
        for contrast in contrasts
        if contrast in folder.contrasts and contrast.name in folder.permutations
    }
    sets = {
        contrast.name: folder.sets[contrast.name]
        for contrast in contrasts
        if contrast in folder.contrasts and contrast.name in folder.sets
    }
    with made.writing(said) as draft:
        write_report(
            loaded,
            weights,
            corrections,
            draft,
            permutations=tests,
            smoothness=folder.smoothness,
            further=folder.further,
            confidence_sets=sets or None,
            **page,
        )
    return said


def write_report(
    model: GroupModel,
    contrasts: Mapping[str, Any],
    corrections: Sequence[Correction],
    output: Path,
    *,
    permutations: Mapping[str, PermutationTest] | None = None,
    smoothness: Smoothness | None = None,
    further: FurtherResults | None = None,
    **options: Any,
) -> HTMLReport:
    """Write the page of a fitted model, and return it."""
    from groupglm.estimator.reporting import make_report

    given = {
        "contrasts": dict(contrasts) or None,
        "alpha": [correction.alpha for correction in corrections],
        "height_control": [correction.control for correction in corrections],
        "permutations": permutations,
        **options,
    }
    if len(corrections) == 1:
        (only,) = corrections
        given |= {"alpha": only.alpha, "height_control": only.control}
    forming = [correction.forming_p for correction in corrections]
    if any(p is not None for p in forming):
        given["cluster_forming_p"] = forming if len(forming) > 1 else forming[0]
    page = make_report(
        model,
        given,
        command=typed_command(),
        command_note=(
            "In the folder in which it was run first; --overwrite is needed where its results are."
        ),
        wording=lambda message: as_options(message, "fit"),
        smoothness=smoothness,
        further=further,
    )
    page.save_as_html(output)
    return page
