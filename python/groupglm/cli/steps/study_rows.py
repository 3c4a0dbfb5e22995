# SPDX-License-Identifier: BSD-3-Clause
"""The row of each map, and the design: of a formula over tables, or of a matrix in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.visits import RUNS, SESSIONS, Visit, VisitMaps
from groupglm.cli.options.volumes import are_volumes
from groupglm.cli.steps.beside_maps import BesideMaps, match_beside
from groupglm.runtime.naming import counted
from groupglm.spaces.map_files import MapFiles
from groupglm.tabular.labels import LABEL

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.options.group_model import GroupModelOptions
    from groupglm.cli.steps.visit_tables import VisitTable
    from groupglm.inputs.matching import Matched

__all__ = ["DesignSource", "StudyRows", "match_rows_of_study"]


@dataclass(frozen=True)
class DesignSource:
    """Where the design of a study comes from: a formula and tables, or a matrix.

    Parameters
    ----------
    formula : str or None
        The formula; None with a matrix.
    participants : pathlib.Path or None
        The table of participants.
    sessions : sequence of pathlib.Path
        The tables of sessions.
    matrix : pathlib.Path or None
        The file of a design matrix.
    label_columns : sequence of str
        Columns of labels that other options name, which are no part of the design.
    """

    formula: str | None
    participants: Path | None = None
    sessions: Sequence[Path] = ()
    matrix: Path | None = None
    label_columns: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class StudyRows:
    """Maps and rows that belong together, and the design of these rows.

    Parameters
    ----------
    matched : Matched
        The maps, and their rows in the tables.
    design : pandas.DataFrame
        The design, a row a map.
    beside : BesideMaps
        The maps beside them, by the same labels.
    visits : dict of str to Visit, or None
        The visit of each map, if subjects have several.
    levels : mapping
        The number of maps at each level of the design's categories.
    left_out : tuple of str
        Maps that lack a map beside them, in words.
    note : str
        How rows were matched, where labels do not say it.
    """

    matched: Matched
    design: pd.DataFrame
    beside: BesideMaps
    visits: dict[str, Visit] | None
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    note: str = ""


def match_rows_of_study(
    maps: VisitMaps,
    source: DesignSource,
    *,
    allow_partial: bool,
    group_model: GroupModelOptions,
    beside: BesideMaps,
) -> StudyRows:
    """Bring maps and rows together, and make the design."""
    from groupglm.design.matrix import check_design_matrix, load_design_matrix

    frame = None if source.matrix is None else load_design_matrix(source.matrix)
    in_order = frame is not None and frame.index.name != LABEL
    table = _table_of(source, frame, group_model)
    note = ""
    if are_volumes(maps.files):
        maps, beside = _labelled_volumes(maps, beside, source, table, allow_partial=allow_partial)
        note = "Rows belong to the volumes by their order\n"
    elif in_order:
        note = f"Rows of '{source.matrix}' belong to the maps in the order of MAPS\n"
    if frame is not None and in_order:
        _check_length(source, frame, maps)
    labels = [*_label_columns(group_model), *source.label_columns]
    files, left_out = match_beside(maps.files, beside, allow_partial=allow_partial)
    kept = VisitMaps(files, {label: maps.visits[label] for label in files}, maps.in_order)
    by_visit = maps.several or group_model.is_repeated
    rows: StudyRows
    if frame is None:
        rows = _of_formula(kept, source, table, labels, by_visit, allow_partial)
    elif in_order:
        own = frame.set_axis(list(maps.in_order), axis=0).rename_axis(LABEL)
        rows = _of_matrix_in_order(kept, own, labels, by_visit)
    else:
        assert table is not None  # noqa: S101  (a matrix with labels is one)
        columns = [str(name) for name in frame.columns]
        rows = _of_matrix(kept, table, columns, labels, by_visit, allow_partial)
    if frame is not None:
        check_design_matrix(rows.design)  # before contrasts are read over its columns
    if are_volumes(kept.files):
        rows = _in_order(rows, kept)
    return replace(rows, beside=beside, left_out=left_out, note=note)


def _table_of(
    source: DesignSource, frame: pd.DataFrame | None, group_model: GroupModelOptions
) -> VisitTable | None:
    """Return the table with the labels of the rows, if there is one."""
    from groupglm.cli.steps.visit_tables import read_participant_rows

    if frame is None:
        path, label = source.participants, group_model.subject_column
        return None if path is None else read_participant_rows(path, label)
    if frame.index.name != LABEL or source.matrix is None:
        return None
    return read_participant_rows(source.matrix, what="design matrix")


def _labelled_volumes(
    maps: VisitMaps,
    beside: BesideMaps,
    source: DesignSource,
    table: VisitTable | None,
    *,
    allow_partial: bool,
) -> tuple[VisitMaps, BesideMaps]:
    """Call the volumes of a 4-D image by the rows of a table, if there is one."""
    from groupglm.cli.steps.visit_tables import read_sessions

    name = next(iter(maps.files.values())).name
    if allow_partial:
        raise ValueError(
            f"--allow-partial has no effect on '{name}', whose volumes are matched with rows by "
            "their order; leave it out, or give a file for each map"
        )
    if len(source.sessions) > 1:
        raise ValueError(
            f"--sessions are {len(source.sessions)} tables, and the volumes of '{name}' are "
            "matched with rows by their order; give one table, with a row for each volume"
        )
    # Of two tables, that of sessions has a row a visit.
    rows = read_sessions(source.sessions) if source.sessions else table
    return (maps, beside) if rows is None else _with_labels(maps, beside, rows)


def _with_labels(
    maps: VisitMaps, beside: BesideMaps, table: VisitTable
) -> tuple[VisitMaps, BesideMaps]:
    """Call volumes by the subjects and visits of a table's rows: each is of one row, in order.

    Parameters
    ----------
    maps : VisitMaps
        The volumes.
    beside : BesideMaps
        What the model takes beside them; volumes too, or by subject already.
    table : VisitTable
        The table.

    Raises
    ------
    ValueError
        If there are more or fewer rows than volumes.
    """
    name = next(iter(maps.files.values())).name
    visits = table.visits
    if len(visits) != len(maps):
        raise ValueError(
            f"'{name}' has {len(maps)} volumes, but {table.where} has {len(visits)} rows; give "
            "one row for each volume, in their order"
        )
    labels = [visit.label if table.by else visit.subject for visit in visits]

    def called(files: Mapping[str, MapFiles]) -> dict[str, MapFiles]:
        if not are_volumes(files):
            return dict(files)
        return dict(zip(labels, files.values(), strict=True))

    renamed = replace(
        beside,
        variances=None if beside.variances is None else called(beside.variances),
        weights=None if beside.weights is None else called(beside.weights),
        covariates={name: called(files) for name, files in beside.covariates.items()},
    )
    named = dict(zip(labels, visits, strict=True))
    return VisitMaps(called(maps.files), named, tuple(labels)), renamed


def _check_length(source: DesignSource, frame: pd.DataFrame, maps: VisitMaps) -> None:
    if len(frame) != len(maps):
        raise ValueError(
            f"--design-matrix '{source.matrix}' has {counted(len(frame), 'row')}, but MAPS are "
            f"{counted(len(maps), 'map')}; give one row for each map, in the order of MAPS, or a "
            "table that names the subjects in a column participant_id"
        )


def _of_formula(
    maps: VisitMaps,
    source: DesignSource,
    table: VisitTable | None,
    labels: Sequence[str],
    by_visit: bool,
    allow_partial: bool,
) -> StudyRows:
    from groupglm.cli.steps.visit_tables import read_sessions
    from groupglm.design.formula.building import fixed_design, formula_columns
    from groupglm.design.formula.used_columns import formula_levels

    formula = source.formula or "~ 1"
    used = formula_columns(formula)[0]
    tables = [] if table is None else [table]
    tables += [read_sessions(source.sessions)] if source.sessions else []
    if not tables and used and not by_visit:
        raise ValueError(
            f"the formula uses {', '.join(map(repr, used))} of the participants table; give "
            "it by --participants"
        )
    matched, visits = _matched(
        maps, tables, used, by_visit=by_visit or bool(source.sessions), allow_partial=allow_partial
    )
    if allow_partial:
        matched = matched.with_values([*used, *labels])
    design = fixed_design(formula, matched.participants)
    levels = formula_levels(formula, matched.participants)
    return StudyRows(matched, design, BesideMaps(), visits, levels)


def _of_matrix_in_order(
    maps: VisitMaps, frame: pd.DataFrame, labels: Sequence[str], by_visit: bool
) -> StudyRows:
    """Return a design whose rows belong to the maps by their order; `labels` are other columns."""
    from groupglm.inputs.matching import Matched

    order = [label for label in maps.in_order if label in maps.files]
    own = frame.loc[order]
    matched = Matched({label: maps.files[label] for label in order}, own, ())
    visits = {label: maps.visits[label] for label in order} if by_visit else None
    design = own.drop(columns=_present(own, labels))
    return StudyRows(matched, design, BesideMaps(), visits)


def _of_matrix(
    maps: VisitMaps,
    table: VisitTable,
    columns: Sequence[str],
    labels: Sequence[str],
    by_visit: bool,
    allow_partial: bool,
) -> StudyRows:
    """Return a design whose rows name their subjects, and may name their visits."""
    matched, visits = _matched(
        maps, [table], (), by_visit=by_visit, allow_partial=allow_partial, noun="design matrix"
    )
    visit_columns = [*SESSIONS, *RUNS] if table.by else [SESSIONS[0], RUNS[0]]
    own = [name for name in columns if name not in (*labels, *visit_columns)]
    if allow_partial:
        matched = matched.with_values([*own, *labels])
    return StudyRows(matched, matched.participants[own], BesideMaps(), visits)


def _label_columns(group_model: GroupModelOptions) -> list[str]:
    """Return the columns of labels that options name."""
    return [*filter(None, [group_model.variance_groups]), *group_model.repeated_columns]


def _present(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in frame.columns]


def _matched(
    maps: VisitMaps,
    tables: list[VisitTable],
    used: Sequence[str],
    *,
    by_visit: bool,
    allow_partial: bool,
    noun: str = "participants table",
) -> tuple[Matched, dict[str, Visit] | None]:
    """Bring maps and rows of tables together; by subject, or by subject and visit."""
    import pandas as pd

    from groupglm.cli.steps.visit_rows import match_visits
    from groupglm.inputs.matching import match_subjects

    if by_visit or any(table.by for table in tables):
        found = match_visits(maps.files, maps.visits, tables, allow_partial=allow_partial)
        found.check_columns(used)
        return found.matched, found.visits
    frame = pd.DataFrame(index=pd.Index(list(maps.files), name=LABEL))
    if tables:
        frame = tables[0].frame
    return match_subjects(maps.files, frame, allow_partial=allow_partial, noun=noun), None


def _in_order(rows: StudyRows, maps: VisitMaps) -> StudyRows:
    """Return the rows in the order of the volumes."""
    from groupglm.inputs.matching import Matched

    order = list(maps.in_order)
    matched = Matched(
        {label: rows.matched.maps[label] for label in order},
        rows.matched.participants.loc[order],
        rows.matched.left_out,
    )
    visits: Any = None if rows.visits is None else {label: rows.visits[label] for label in order}
    return replace(rows, matched=matched, design=rows.design.loc[order], visits=visits)
