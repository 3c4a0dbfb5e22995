# SPDX-License-Identifier: BSD-3-Clause
"""Maps of several visits a subject, brought together with the rows of tables: `match_visits`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.visits import Visit
from groupglm.design.formula.grouping import SUBJECT_COLUMNS
from groupglm.runtime.naming import listed
from groupglm.spaces.map_files import MapFiles
from groupglm.tabular.labels import LABEL, near_labels, near_words
from groupglm.tabular.table_names import FILE_NAMES, named_tables

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.steps.visit_tables import VisitTable
    from groupglm.inputs.matching import Matched

__all__ = ["ENTITIES", "MatchedVisits", "match_visits"]

ENTITIES = (*SUBJECT_COLUMNS, "session", "run", "time")
"""The columns that the names of maps give, if no table has them."""

_NUMBERED = re.compile(r"([^0-9]*)([0-9]{1,9})")


@dataclass(frozen=True, eq=False)
class MatchedVisits:
    """Maps and rows that belong together.

    Parameters
    ----------
    matched : Matched
        Maps, and their rows; both by subject and visit.
    visits : dict of str to Visit
        The visits of these maps.
    in_both : frozenset of str
        Columns that both tables have, which are left out because it is not known which is meant.
    """

    matched: Matched
    visits: dict[str, Visit]
    in_both: frozenset[str] = frozenset()

    def check_columns(self, names: Iterable[str]) -> None:
        """Refuse columns that both tables have, and what of entities is not there."""
        names = list(names)
        twice = [name for name in names if name in self.in_both]
        if twice:
            raise ValueError(
                f"the column {twice[0]!r} is in the participants table and in the table of "
                "sessions; rename one of them, or leave it out"
            )
        columns = self.matched.participants.columns
        sessions = sorted({visit.session for visit in self.visits.values() if visit.session})
        if "time" in names and "time" not in columns and sessions:
            raise ValueError(
                "no table has a column 'time', and the sessions in the names of the maps "
                f"({listed(sessions, 8)}) are no numbers; add a column time to a table "
                "(--sessions), or write session in the formula, a category"
            )


def match_visits(
    files: Mapping[str, MapFiles],
    visits: Mapping[str, Visit],
    tables: Sequence[VisitTable],
    *,
    allow_partial: bool,
) -> MatchedVisits:
    """Find the rows of each map in all tables, and join them.

    Parameters
    ----------
    files, visits : mapping of str
        The maps and their visits, by subject and visit.
    tables : sequence of VisitTable
        At most two: participants and sessions.
    allow_partial : bool
        Whether to leave out maps without a row and rows without a map.
    """
    import pandas as pd

    from groupglm.inputs.matching import Matched

    told: list[str] = []
    kept = list(visits)
    places = []
    for table in tables:
        rows, maps_alone, rows_alone = table.rows_of(visits, files)
        found = []
        if maps_alone:
            found.append(f"maps without a row in {table.where}: {listed(maps_alone)}")
        if rows_alone:
            found.append(f"rows of {table.where} without a map: {listed(rows_alone)}")
        alike = near_words(near_labels(maps_alone, rows_alone))
        if not rows:
            raise ValueError(
                f"no map belongs to a row of {table.where}; {'; '.join(found)}; check the labels, "
                f"or give a --subject-pattern{alike}"
            )
        if found and not allow_partial:
            raise ValueError(f"{'; '.join(found)}; complete them, or add --allow-partial{alike}")
        told += [each + (alike if each is found[-1] else "") for each in found]
        kept = [label for label in kept if label in rows]
        places.append(rows)
    if not kept:
        raise ValueError(f"no map has a row in all tables: {'; '.join(told)}; complete them")
    frames = [
        table.frame.iloc[[rows[label] for label in kept]].set_axis(kept, axis="index")
        for table, rows in zip(tables, places, strict=True)
    ]
    in_both = frozenset(
        str(name) for name in frames[0].columns if name in frames[1].columns
    ) if len(frames) == 2 else frozenset()  # fmt: skip
    frames = [frame.drop(columns=[n for n in frame if str(n) in in_both]) for frame in frames]
    own = {label: visits[label] for label in kept}
    joined = pd.concat(frames, axis="columns") if frames else pd.DataFrame(index=pd.Index(kept))
    rows_of_maps = _with_entities(joined.rename_axis(LABEL), own, in_both)
    origin = dict.fromkeys(map(str, rows_of_maps.columns), FILE_NAMES)
    for table, frame in zip(tables, frames, strict=True):
        origin |= dict.fromkeys(map(str, frame.columns), table.called)
    rows_of_maps = named_tables(rows_of_maps, origin)
    chosen = {label: files[label] for label in kept}
    return MatchedVisits(Matched(chosen, rows_of_maps, tuple(told)), own, in_both)


def _with_entities(
    table: pd.DataFrame, visits: Mapping[str, Visit], in_both: frozenset[str]
) -> pd.DataFrame:
    """Add subject, session, run and time by the names of the maps, if no table has such a column.

    A session is a category, a run a whole number. Time is the number in the session's label, if all
    sessions have one and differ in nothing else; without sessions, the run.
    """
    import pandas as pd

    from groupglm.design.formula.grouping import with_subjects

    table = with_subjects(table, [visit.subject for visit in visits.values()])
    sessions = [visit.session for visit in visits.values()]
    runs = [visit.run for visit in visits.values()]
    numbers = _numbers(runs)
    found: dict[str, Any] = {}
    if any(session is not None for session in sessions):
        found["session"] = pd.Categorical(sessions)
    if any(run is not None for run in runs):
        found["run"] = pd.Categorical(runs) if numbers is None else numbers
    times = _numbers(sessions) if "session" in found else numbers
    if times is not None:
        found["time"] = times
    free = {n: own for n, own in found.items() if n not in table.columns and n not in in_both}
    return table.assign(**free)


def _numbers(labels: Sequence[str | None]) -> list[float] | None:
    """Return the numbers in labels such as 01 or month6, whose letters are the same; else None."""
    matches = [_NUMBERED.fullmatch(label or "") for label in labels]
    if not matches or len({match[1] if match else None for match in matches}) > 1:
        return None
    if matches[0] is None:
        return None
    return [float(match[2]) for match in matches if match is not None]
