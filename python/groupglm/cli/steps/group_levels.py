# SPDX-License-Identifier: BSD-3-Clause
"""The groups of subjects that have fits of their own: GroupBy columns of the participants table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.runtime.naming import counted, listed, slug

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.bids.entities import NamedFile

__all__ = ["GroupLevel", "group_levels"]


@dataclass(frozen=True)
class GroupLevel:
    """The subjects that have the same values of some columns.

    Parameters
    ----------
    levels : tuple of (str, str)
        Column and value.
    subjects : frozenset of str
        Their labels.
    """

    levels: tuple[tuple[str, str], ...]
    subjects: frozenset[str]

    @property
    def entities(self) -> dict[str, str]:
        """The columns and values as facts."""
        return dict(self.levels)

    @property
    def prefix(self) -> str:
        """The part of the names of results: ``group-patient_``."""
        return "".join(f"{slug(name)}-{slug(value)}_" for name, value in self.levels)

    def chosen(self, files: Mapping[str, NamedFile]) -> dict[str, NamedFile]:
        """Return the maps of these subjects."""
        return {
            label: file for label, file in files.items() if file.entities["sub"] in self.subjects
        }


def group_levels(
    columns: Sequence[str],
    files: Mapping[str, NamedFile],
    table: pd.DataFrame | None,
) -> list[GroupLevel]:
    """Find the groups of the subjects that have a map.

    Raises
    ------
    ValueError
        If there is no table or no such column, a subject has no row or no value, or the files of
        two groups would have one name.
    """
    from groupglm.bids.json_objects import quoted
    from groupglm.bids.transformations import levels_of

    if table is None:
        raise ValueError(
            f"GroupBy names {quoted(columns)}, columns of the participants table, and there is "
            "none; give --participants"
        )
    unknown = [name for name in columns if name not in table.columns]
    if unknown:
        raise ValueError(
            f"GroupBy names {quoted(unknown)}, which the participants table does not have. Its "
            f"columns are: {quoted([str(name) for name in table.columns])}"
        )
    subjects = {file.entities["sub"] for file in files.values()}
    without = sorted(subjects - set(table.index))
    if without:
        raise ValueError(
            f"GroupBy {quoted(columns)}: the participants table has no row for {listed(without)}; "
            "add them, or choose subjects by --filter sub=LABEL"
        )
    rows = table[[label in subjects for label in table.index]]
    levels = [levels_of(rows, name, "GroupBy cannot use") for name in columns]
    found = []
    for combination in itertools.product(*levels):
        inside = rows
        for name, level in zip(columns, combination, strict=True):
            inside = inside[inside[name] == level]
        if len(inside):
            values = [(n, _word(level)) for n, level in zip(columns, combination, strict=True)]
            found.append(GroupLevel(tuple(values), frozenset(map(str, inside.index))))
    _check_names(found)
    for group in found:
        if len(group.subjects) < 2:
            told = ", ".join(f"{name} {value}" for name, value in group.levels)
            raise ValueError(
                f"GroupBy: the group {told} has {counted(len(group.subjects), 'subject')}, and a "
                "fit needs at least two; leave it out, or group by another column"
            )
    return found


def _word(level: Any) -> str:
    """Return a level as it is written: 1 for 1.0."""
    return f"{level:.15g}" if isinstance(level, float) else str(level)


def _check_names(groups: Sequence[GroupLevel]) -> None:
    named: dict[str, GroupLevel] = {}
    for group in groups:
        bad = next((value for _, value in group.levels if not slug(value)), None)
        if bad is not None:
            raise ValueError(
                f"GroupBy: the group {bad!r} has no letter or digit to name its files by; rename it"
            )
        prefix = group.prefix.lower()
        if prefix in named:
            told = " and ".join(repr(own.levels[-1][1]) for own in (named[prefix], group))
            raise ValueError(
                f"GroupBy: the results of the groups {told} would be written to the same files; "
                "rename one of them"
            )
        named[prefix] = group
