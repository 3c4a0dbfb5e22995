# SPDX-License-Identifier: BSD-3-Clause
"""From maps, participants and a formula to a design; no image is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.group_model import GroupModelOptions
from groupglm.cli.options.visits import VisitMaps
from groupglm.cli.options.volumes import are_volumes
from groupglm.cli.results.names import Contrast, Names, check_labels
from groupglm.cli.results.provenance import design_hash, input_list_hash, software_versions
from groupglm.cli.steps.beside_maps import BesideMaps, groups_of
from groupglm.cli.steps.block_labels import Blocks, blocks_of
from groupglm.cli.steps.design_notes import notes_on
from groupglm.cli.steps.study_contrasts import read_contrasts
from groupglm.cli.steps.study_rows import DesignSource, match_rows_of_study
from groupglm.cli.steps.visit_labels import check_subjects, labels_of_maps
from groupglm.runtime.naming import counted
from groupglm.spaces.map_files import MapFiles
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.blocks import BlockOptions
    from groupglm.cli.options.common import NamedContrast
    from groupglm.cli.options.visits import Visit
    from groupglm.estimator.group_model import GroupModel
    from groupglm.inputs.matching import Matched
    from groupglm.models.base import Plan

__all__ = [
    "Study",
    "design_of",
    "make_study",
    "prepare_study",
]

_MAX_LEVELS = 20  # most levels shown of a category


@dataclass(frozen=True, eq=False)
class Study:
    """A group study before its images are read.

    Parameters
    ----------
    maps : dict of str to MapFiles
        The map of each subject, sorted by label.
    design : pandas.DataFrame
        The row of each subject, with the labels as index.
    plan : Plan
        The model that is fitted, which takes the maps beside too, and the design.
    rank, df_residual : int
        Rank and residual degrees of freedom of the design.
    contrasts : list of Contrast
        The contrasts to test.
    left_out : tuple of str
        Maps and rows that have no counterpart, and subjects that lack a value, in words.
    names : Names
        The names of the study's files.
    levels : mapping of str to mapping of str to int
        Number of subjects at each level of the design's categories.
    origin : mapping
        The facts about the maps' origin in its sidecars.
    group_model : GroupModelOptions
        The options of the model.
    beside : BesideMaps
        The maps that the model takes beside those of the subjects.
    groups : mapping of str to str, or None
        The group of each subject, if groups have variances of their own.
    visits : mapping of str to Visit, or None
        The visit of each map, by the labels of `maps` and `design`, if a subject has several maps.
    labels : mapping of str to list of str
        Subjects, families, visits and groups of the maps, for a model of several maps a subject.
    note : str
        A line on how rows were matched, where labels do not say it.
    blocks : Blocks or None
        The blocks in which a permutation test may exchange the maps.
    """

    maps: dict[str, MapFiles]
    design: pd.DataFrame
    plan: Plan
    rank: int
    df_residual: int
    contrasts: list[Contrast]
    left_out: tuple[str, ...]
    names: Names
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    group_model: GroupModelOptions = field(default_factory=GroupModelOptions)
    beside: BesideMaps = field(default_factory=BesideMaps)
    groups: Mapping[str, str] | None = None
    visits: Mapping[str, Visit] | None = None
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    note: str = ""
    blocks: Blocks | None = None

    @property
    def subjects(self) -> list[str]:
        """The labels of the subjects, each once."""
        return list(dict.fromkeys(self.subjects_of_maps))

    @property
    def subjects_of_maps(self) -> list[str]:
        """The subject of each map."""
        if self.visits is None:
            return list(self.maps)
        return [visit.subject for visit in self.visits.values()]

    @property
    def noun(self) -> str:
        """What a row of the design is, in messages."""
        return "subject" if self.visits is None else "map"

    @property
    def files(self) -> list[Path]:
        """All files of subjects that are read."""
        return [*(path for own in self.maps.values() for path in own.paths), *self.beside.files]

    def describe(self, n_rows: int = 5) -> str:
        """Return the design in words: names, first rows, rank, degrees of freedom."""
        n, p = len(self.design), self.design.shape[1] + len(self.beside.covariates)
        head = self.design.head(n_rows).to_string(float_format=lambda value: f"{value:.6g}")
        more = f"\n... {counted(n - n_rows, 'more row')}" if n > n_rows else ""
        rank = "full rank" if self.rank == p else f"rank {self.rank}: columns depend on each other"
        covariates = "".join(
            f"Covariate {name}: a column whose values differ by place, from "
            f"{counted(len(files), 'map')}\n"
            for name, files in self.beside.covariates.items()
        )
        tests = "\n".join(
            f"  {c.name}: {c.stat_type} of {c.expression}  ->  "
            f"{self.names.prefix}contrast-{c.label}_..."
            for c in self.contrasts
        )
        columns = ", ".join([*map(str, self.design.columns), *self.beside.covariates])
        notes = "".join(f"Note: {note}\n" for note in notes_on(self.design, self.contrasts))
        degrees = counted(self.df_residual, "residual degree")
        return (
            f"Design: {self._counts()}, {counted(p, 'column')} ({columns}), {rank}, "
            f"{degrees} of freedom\n{self.note}{head}{more}\n{covariates}{self._levels()}"
            f"{self._model()}{notes}Contrasts:\n{tests}"
        )

    def _model(self) -> str:
        """Return the model in words; empty for ordinary least squares, all alike."""
        said = self.group_model.words()
        if self.beside.weights is not None:
            said = "ordinary least squares, each map weighted by its map of weights"
        groups = Counter((self.groups or {}).values())
        counts = "".join(f", {group} {n}" for group, n in groups.items())
        own = f"; groups with variances of their own{counts.replace(',', ':', 1)}" if groups else ""
        return f"Model: {said}{own}\n" if said else ""

    def _counts(self) -> str:
        """Return the number of subjects, and of maps if these are more."""
        n = len(self.design)
        if self.visits is None:
            return f"{n} subjects"
        counts = Counter(visit.subject for visit in self.visits.values())
        least, most = min(counts.values()), max(counts.values())
        each = str(least) if least == most else f"{least} to {most}"
        return f"{n} maps of {len(counts)} subjects ({each} a subject)"

    def _levels(self) -> str:
        """Return the number of subjects (or maps) at each level, one line for each category."""
        lines = []
        for name, counts in self.levels.items():
            shown = [f"{level} {n}" for level, n in list(counts.items())[:_MAX_LEVELS]]
            n_more = len(counts) - _MAX_LEVELS
            more = f" and {counted(n_more, 'more level')}" if n_more > 0 else ""
            lines.append(f"{self.noun.capitalize()}s by {name}: {', '.join(shown)}{more}\n")
        return "".join(lines)

    def show(self, journal: Journal, *, pairs: bool = False) -> None:
        """Show the design, the subjects that are left out, and which maps belong together."""
        for told in self.left_out:
            journal.warn(f"left out {told}")
        together = self.beside.pairs(self.maps) if pairs else ""
        journal.say(together + self.describe())

    def facts(self) -> dict[str, Any]:
        """Return the design for a program."""
        return {
            "n_subjects": len(self.subjects),
            "subjects": self.subjects,
            **({} if self.visits is None else {"n_maps": len(self.maps), "maps": list(self.maps)}),
            "columns": [str(name) for name in self.design.columns],
            "rank": self.rank,
            "df_residual": self.df_residual,
            "levels": {name: dict(counts) for name, counts in self.levels.items()},
            "left_out": list(self.left_out),
            **self.group_model.facts_for_programs(),
            **self.beside.facts(),
        }

    def facts_of_sidecars(self) -> dict[str, Any]:
        """Return the facts on design, maps and software for all sidecars."""
        return {
            "DesignHash": design_hash(self.design, self.groups, self.labels),
            "InputListHash": input_list_hash(self.maps),
            **self.beside.facts_of_sidecars(),
            "NumberOfSubjects": len(self.subjects),
            **({} if self.visits is None else {"NumberOfMaps": len(self.maps)}),
            "SoftwareVersions": software_versions(),
            **self.origin,
        }


def prepare_study(
    maps: VisitMaps,
    source: DesignSource,
    contrasts: Sequence[NamedContrast],
    contrast_files: Sequence[Path] = (),
    *,
    allow_partial: bool,
    group_model: GroupModelOptions,
    beside: BesideMaps,
    blocks: BlockOptions,
    estimates: bool = True,
) -> Study:
    """Match maps and rows of tables, make the design, and read the contrasts.

    `estimates` says whether p of the model itself are wanted, rather than of permutations alone.
    """
    source = replace(source, label_columns=blocks.columns)
    rows = match_rows_of_study(
        maps, source, allow_partial=allow_partial, group_model=group_model, beside=beside
    )
    in_order = list(rows.matched.maps) if are_volumes(maps.files) else maps.in_order
    covariates = [*rows.beside.covariates]
    check_covariate_names(covariates, rows.design)
    study = make_study(
        rows.matched,
        rows.design,
        read_contrasts(contrasts, rows.design, contrast_files, covariates=covariates),
        levels=rows.levels,
        group_model=group_model,
        beside=rows.beside,
        left_out=rows.left_out,
        visits=rows.visits,
        note=rows.note,
        blocks=blocks,
        in_order=in_order,
        estimates=estimates,
    )
    check_labels(study.contrasts)
    return study


def make_study(
    matched: Matched,
    design: pd.DataFrame,
    contrasts: list[Contrast],
    *,
    levels: Mapping[str, Mapping[str, int]],
    names: Names | None = None,
    origin: Mapping[str, Any] | None = None,
    group_model: GroupModelOptions,
    beside: BesideMaps,
    left_out: tuple[str, ...] = (),
    visits: Mapping[str, Visit] | None = None,
    note: str = "",
    blocks: BlockOptions,
    in_order: Sequence[str] | None = None,
    estimates: bool = True,
) -> Study:
    """Make a study from maps and a design."""
    from groupglm.design.matrix import check_design_matrix, report_collinearity
    from groupglm.errors import renamed
    from groupglm.models.kinds import check_model, with_beside

    ending = kind_of(next(iter(matched.maps.values()))).endings[0]
    matrix = check_design_matrix(design, len(matched.maps))
    columns = tuple(str(name) for name in design.columns)
    groups = groups_of(group_model.variance_groups, matched.participants)
    own = None if visits is None else {label: visits[label] for label in matched.maps}
    labels = labels_of_maps(group_model, matched.participants, own)
    found = blocks_of(blocks, matched.participants, matched.maps, own, in_order)
    if estimates or found is None:
        check_subjects(group_model, own, matrix, estimates=estimates)
    # --variance-groups are groups too.
    with renamed(**({"groups": "sandwich_groups"} if group_model.is_repeated else {})):
        model = with_beside(
            check_model(group_model.model(groups, labels)),
            weights=beside.weights is not None,
            covariates=tuple(beside.covariates),
        )
        plan = model.prepare(matrix, columns)
    if plan.rank == len(plan.column_names):
        report_collinearity(matrix, columns)
    return Study(
        maps=matched.maps,
        design=design,
        plan=plan,
        rank=plan.rank,
        df_residual=len(design) - plan.rank,
        contrasts=contrasts,
        left_out=(*left_out, *matched.left_out),
        group_model=group_model,
        beside=beside.of(list(matched.maps)),
        groups=groups,
        visits=own,
        labels=labels,
        note=note,
        blocks=found,
        levels=levels,
        names=names or Names.plain(ending),
        origin=origin or {},
    )


def design_of(model: GroupModel) -> tuple[pd.DataFrame, list[str]]:
    """Return the design of a fitted model, and the names of the voxelwise covariates after it."""
    from groupglm.estimator.group_model import fitted_group

    design = model.design_matrix_
    n_covariates = fitted_group(model).result.model.beside.count("covariate")
    common = design.shape[1] - n_covariates
    return design.iloc[:, :common], [str(name) for name in design.columns[common:]]


def check_covariate_names(covariates: Iterable[str], design: pd.DataFrame) -> None:
    """Refuse a covariate that has the name of a column of the design."""
    taken = [name for name in covariates if name in map(str, design.columns)]
    if taken:
        raise ValueError(
            f"--covariate {taken[0]!r} has the name of a column of the design; give it another name"
        )
