# SPDX-License-Identifier: BSD-3-Clause
"""The exchangeability block of each map: of columns of the tables, or of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.visits import RUNS, SESSIONS, Visit
from groupglm.cli.results.provenance import text_hash
from groupglm.runtime.naming import counted, listed

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from groupglm.cli.options.blocks import BlockOptions
    from groupglm.spaces.map_files import MapFiles

__all__ = ["Blocks", "blocks_of"]

_OPTION = "--exchangeability-blocks"
_FSL = (".mat", ".grp")
"""The endings of FSL's files of numbers."""
_BETWEEN = re.compile(r"[,;\s]+")
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a study's maps.

    Parameters
    ----------
    labels : list of str, or pandas.DataFrame
        A label for each map; or the numbers of blocks within blocks, a row a map.
    name : str
        The columns or the file that they are from.
    """

    labels: list[str] | pd.DataFrame
    name: str

    def facts(self) -> list[str]:
        """Return the name, and a hash of the blocks, for sidecars."""
        labels = self.labels
        rows = labels if isinstance(labels, list) else labels.to_numpy().tolist()
        return [self.name, text_hash(json.dumps(rows))]


def blocks_of(
    how: BlockOptions,
    rows: pd.DataFrame,
    maps: Mapping[str, MapFiles],
    visits: Mapping[str, Visit] | None,
    in_order: Sequence[str] | None,
) -> Blocks | None:
    """Return the blocks of the maps; None without any.

    Parameters
    ----------
    how : BlockOptions
        The columns, or the file.
    rows : pandas.DataFrame
        The rows of the maps in the tables, by the labels of `maps`.
    maps, visits : mapping of str
        The maps of the study, and their visits if subjects have several.
    in_order : sequence of str or None
        The labels of all maps in the order in which the user gave them; None if there is none.
    """
    from groupglm.design.formula.grouping import grouping_labels

    if how.file is not None:
        return _of_file(how.file, maps, visits, in_order)
    if not how.columns:
        return None
    name = ", ".join(how.columns)
    columns = {own: grouping_labels(rows, own, _OPTION) for own in how.columns}
    if len(columns) == 1:
        return Blocks(columns[name], name)
    return Blocks(_numbers(columns, list(maps)), name)


def _numbers(columns: Mapping[str, Sequence[Any]], labels: Sequence[str]) -> pd.DataFrame:
    """Return the levels of blocks within blocks, as whole numbers."""
    import pandas as pd

    found: dict[str, list[int]] = {}
    for name, values in columns.items():
        found[name] = []
        for label, value in zip(labels, values, strict=True):
            number = _whole(str(value))
            if number is None:
                raise ValueError(
                    f"{_OPTION} {name!r} has {str(value)[:40]!r} for {label}; blocks within blocks "
                    "are whole numbers that are not 0: positive if what lies in the block may be "
                    "exchanged, negative if not"
                )
            found[name].append(number)
    return pd.DataFrame(found, index=list(labels))


def _whole(text: str) -> int | None:
    """Return a whole number other than 0; None of anything else."""
    plain = text.strip().removesuffix(".0")
    return int(plain) if re.fullmatch(r"[+-]?0*[1-9][0-9]{0,14}", plain) else None


def _of_file(
    path: Path,
    maps: Mapping[str, MapFiles],
    visits: Mapping[str, Visit] | None,
    in_order: Sequence[str] | None,
) -> Blocks:
    """Read a file of numbers, a row a map in their order, or a table that names its subjects."""
    from groupglm.design.fsl_files import read_fsl_matrix
    from groupglm.tabular.files import SEPARATORS

    called = f"the file of {_OPTION} '{path}'"
    ending = path.suffix.lower()
    labels = list(maps)
    rows: list[list[str]]
    if ending in _FSL:
        numbers = read_fsl_matrix(path, called).numbers
        rows = [[f"{value:.15g}" for value in row] for row in numbers.tolist()]
    elif ending in SEPARATORS and not _is_of_numbers(path, called):
        columns = _of_table(path, maps, visits)
        if len(columns) == 1:
            return Blocks([str(value) for value in next(iter(columns.values()))], path.name)
        return Blocks(_numbers(columns, labels), path.name)
    else:
        rows = _lines(path, called)
    if in_order is None:
        raise ValueError(
            f"{called} does not name subjects, and the maps of DERIVATIVES have no order; give a "
            "table with a column participant_id"
        )
    if len(rows) != len(in_order):
        raise ValueError(
            f"{called} has {counted(len(rows), 'row')}, but MAPS are "
            f"{counted(len(in_order), 'map')}; give one row for each map, in the order of MAPS, or "
            "a table with a column participant_id"
        )
    by_label = dict(zip(in_order, rows, strict=True))
    own = [by_label[label] for label in labels]
    if len(own[0]) == 1:
        return Blocks([label for (label,) in own], path.name)
    levels = {f"column {level}": column for level, column in enumerate(zip(*own, strict=True), 1)}
    return Blocks(_numbers(levels, labels), path.name)


def _is_of_numbers(path: Path, called: str) -> bool:
    """Return whether a file begins with numbers, and not with the names of columns."""
    from groupglm.design.number_texts import read_number_text

    first = next(line for line in read_number_text(path, called).splitlines() if line.strip())
    return all(_whole(word) is not None for word in _words(first))


def _words(line: str) -> list[str]:
    return [word for word in _BETWEEN.split(line.strip()) if word]


def _lines(path: Path, called: str) -> list[list[str]]:
    """Return the numbers of each line as text; refuse words, and lines of another length."""
    from groupglm.design.number_texts import numbers_of, read_number_text

    rows: list[list[str]] = []
    for place, line in enumerate(read_number_text(path, called).splitlines(), 1):
        words = _words(line)
        if not words:
            continue
        where = f"{called}, line {place},"
        numbers = numbers_of(words, where, len(rows[0]) if rows else None, "columns in line 1")
        rows.append([f"{value:.15g}" for value in numbers])
    return rows


def _of_table(
    path: Path, maps: Mapping[str, MapFiles], visits: Mapping[str, Visit] | None
) -> dict[str, list[Any]]:
    """Return the columns of a table whose rows are found by subject, or by subject and visit."""
    from groupglm.cli.steps.visit_tables import read_participant_rows
    from groupglm.design.formula.grouping import grouping_labels

    table = read_participant_rows(path, what=f"table of {_OPTION}")
    own = {label: Visit(label) for label in maps} if visits is None else visits
    places, absent, _ = table.rows_of(own, maps)
    if absent:
        raise ValueError(
            f"{table.where} has no row for {listed(absent, _SHOWN)}; give a row for each map"
        )
    left_out = {*SESSIONS, *RUNS} if table.by else {SESSIONS[0], RUNS[0]}
    names = [str(name) for name in table.frame.columns if str(name) not in left_out]
    if not names:
        raise ValueError(f"{table.where} has no column of blocks; add one")
    frame = table.frame.iloc[[places[label] for label in maps]].set_axis(list(maps), axis=0)
    return {name: grouping_labels(frame, name, f"the column of {table.where}") for name in names}
