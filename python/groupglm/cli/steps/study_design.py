# SPDX-License-Identifier: BSD-3-Clause
"""From maps, participants and a formula to a design; no image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.results.names import Contrast, Names, check_labels
from groupglm.cli.results.provenance import design_hash, input_list_hash, software_versions
from groupglm.cli.steps.design_notes import notes_on
from groupglm.runtime.naming import counted, slug
from groupglm.spaces.registry import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.journal import Journal
    from groupglm.cli.options.common import NamedContrast
    from groupglm.inputs.matching import Matched

__all__ = [
    "Study",
    "check_estimable",
    "make_study",
    "prepare_study",
    "read_contrasts",
]

_MAX_LEVELS = 20  # most levels shown of a category


@dataclass(frozen=True, eq=False)
class Study:
    """A group study before its images are read.

    Parameters
    ----------
    maps : dict of str to pathlib.Path
        The map of each subject, sorted by label.
    design : pandas.DataFrame
        The row of each subject, with the labels as index.
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
    """

    maps: dict[str, Path]
    design: pd.DataFrame
    rank: int
    df_residual: int
    contrasts: list[Contrast]
    left_out: tuple[str, ...]
    names: Names
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, n_rows: int = 5) -> str:
        """Return the design in words: names, first rows, rank, degrees of freedom."""
        n, p = self.design.shape
        head = self.design.head(n_rows).to_string(float_format=lambda value: f"{value:.6g}")
        more = f"\n... {counted(n - n_rows, 'more row')}" if n > n_rows else ""
        rank = "full rank" if self.rank == p else f"rank {self.rank}: columns depend on each other"
        tests = "\n".join(
            f"  {c.name}: {c.stat_type} of {c.expression}  ->  "
            f"{self.names.prefix}contrast-{c.label}_..."
            for c in self.contrasts
        )
        columns = ", ".join(map(str, self.design.columns))
        notes = "".join(f"Note: {note}\n" for note in notes_on(self.design, self.contrasts))
        degrees = counted(self.df_residual, "residual degree")
        return (
            f"Design: {n} subjects, {counted(p, 'column')} ({columns}), {rank}, "
            f"{degrees} of freedom\n{head}{more}\n{self._levels()}{notes}"
            f"Contrasts:\n{tests}"
        )

    def _levels(self) -> str:
        """Return the number of subjects at each level, one line for each category."""
        lines = []
        for name, counts in self.levels.items():
            shown = [f"{level} {n}" for level, n in list(counts.items())[:_MAX_LEVELS]]
            n_more = len(counts) - _MAX_LEVELS
            more = f" and {counted(n_more, 'more level')}" if n_more > 0 else ""
            lines.append(f"Subjects by {name}: {', '.join(shown)}{more}\n")
        return "".join(lines)

    def show(self, journal: Journal) -> None:
        """Show the design, and the subjects that are left out."""
        for told in self.left_out:
            journal.warn(f"left out {told}")
        journal.say(self.describe())

    def facts(self) -> dict[str, Any]:
        """Return the design for a program."""
        return {
            "n_subjects": len(self.design),
            "subjects": list(self.maps),
            "columns": [str(name) for name in self.design.columns],
            "rank": self.rank,
            "df_residual": self.df_residual,
            "levels": {name: dict(counts) for name, counts in self.levels.items()},
            "left_out": list(self.left_out),
        }

    def facts_of_sidecars(self) -> dict[str, Any]:
        """Return the facts on design, maps and software for all sidecars."""
        return {
            "DesignHash": design_hash(self.design),
            "InputListHash": input_list_hash(self.maps),
            "NumberOfSubjects": len(self.design),
            "SoftwareVersions": software_versions(),
            **self.origin,
        }


def prepare_study(
    maps: dict[str, Path],
    participants: Path | None,
    formula: str,
    contrasts: Sequence[NamedContrast],
    *,
    allow_partial: bool,
) -> Study:
    """Match maps and participants, expand the formula, and read the contrasts."""
    import pandas as pd

    from groupglm.design.formula.building import design_from_formula, formula_columns
    from groupglm.design.formula.used_columns import formula_levels
    from groupglm.inputs.matching import match_subjects, read_participants
    from groupglm.tabular.labels import LABEL

    if participants is None:
        used = formula_columns(formula)[0]
        if used:
            raise ValueError(
                f"the formula uses {', '.join(map(repr, used))} of the participants table; give "
                "it by --participants"
            )
        table = pd.DataFrame(index=pd.Index(list(maps), name=LABEL))
    else:
        table = read_participants(participants)
    matched = match_subjects(maps, table, allow_partial=allow_partial)
    if allow_partial:
        matched = matched.with_values(formula_columns(formula)[0])
    design = design_from_formula(formula, matched.participants)
    levels = formula_levels(formula, matched.participants)
    study = make_study(matched, design, read_contrasts(contrasts, design), levels=levels)
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
) -> Study:
    """Make a study from maps and a design."""
    from groupglm.design.matrix import check_design_matrix, report_collinearity
    from groupglm.models.kinds import DEFAULT_MODEL

    ending = kind_of(next(iter(matched.maps.values()))).endings[0]
    matrix = check_design_matrix(design, len(matched.maps))
    columns = tuple(str(name) for name in design.columns)
    plan = DEFAULT_MODEL.prepare(matrix, columns)
    if plan.rank == len(columns):
        report_collinearity(matrix, columns)
    return Study(
        maps=matched.maps,
        design=design,
        rank=plan.rank,
        df_residual=len(design) - plan.rank,
        contrasts=contrasts,
        left_out=matched.left_out,
        levels=levels,
        names=names or Names.plain(ending),
        origin=origin or {},
    )


def read_contrasts(
    given: Sequence[NamedContrast], design: pd.DataFrame, *, option: str = "--contrast"
) -> list[Contrast]:
    """Read contrasts over a design's columns."""
    read = [_contrast(contrast, design, option) for contrast in given]
    names = [contrast.name for contrast in read]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several contrasts are called {twice[0]!r}; name them apart: NAME=EXPR")
    return read


def _contrast(given: NamedContrast, design: pd.DataFrame, option: str) -> Contrast:
    from groupglm.design.contrasts import contrast_matrix, term_columns

    columns = [str(name) for name in design.columns]
    name, rows = given.split(columns)
    try:
        rows = [each for row in rows for each in term_columns(row, columns) or [row]]
        matrix = [contrast_matrix(row, columns) for row in rows]
    except ValueError as error:
        raise ValueError(f"{option} {given.text!r}: {error}") from error
    for row, weights in zip(rows, matrix, strict=True):
        check_estimable(row, weights, design)
    weights_of = [weights.tolist() for weights in matrix]
    return Contrast(
        name=name,
        expression="; ".join(rows),
        weights=weights_of[0] if len(weights_of) == 1 else weights_of,
        columns=columns,
        label=slug(name),
    )


def check_estimable(said: str, weights: Any, design: pd.DataFrame) -> None:
    """Refuse a row of a contrast that the design cannot estimate.

    Shapes: `weights` (n_columns,).
    """
    from groupglm.design.matrix import confounded_columns
    from groupglm.errors import NotEstimableError

    confounded = confounded_columns(design.to_numpy(), [str(c) for c in design.columns], weights)
    if confounded:
        raise NotEstimableError(
            f"contrast {said!r} cannot be estimated: the design cannot tell apart the columns "
            f"{', '.join(map(repr, confounded))}; drop one of them from the formula, or test "
            "a contrast that does not depend on how the effect is shared among them"
        )
