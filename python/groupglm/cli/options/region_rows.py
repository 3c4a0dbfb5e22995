# SPDX-License-Identifier: BSD-3-Clause
"""The rows of a table of regions, which stand in the place of maps: ``--table``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.options.paths import expand
from groupglm.cli.options.visits import (
    RUNS,
    SESSIONS,
    VisitMaps,
    maps_by_visit,
    plain_run,
    plain_session,
)
from groupglm.errors import ArgumentError
from groupglm.messages import text_of
from groupglm.runtime.naming import counted
from groupglm.spaces.map_files import MapFiles

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.options.group_model import GroupModelOptions
    from groupglm.cli.steps.beside_maps import BesideMaps

__all__ = ["collect_beside_rows", "collect_rows"]


@dataclass(frozen=True, eq=False)
class _RegionRow(MapFiles):
    """A row of a table, as one of the maps of a study.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        The table.
    row : pandas.Series
        The numbers by region, called by the subject.
    """

    row: Any = field(default=None, repr=False)

    @property
    def given(self) -> Any:
        """The row as a model takes it."""
        return self.row


def collect_rows(path: Path, option: str, *, by_visit: bool = False) -> VisitMaps:
    """Read a table of regions, and return its rows by subject and visit.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    option : str
        The option that names it, for messages.
    by_visit : bool
        Whether labels name the visit also if each subject has one row.

    Raises
    ------
    ValueError
        If it is no table of regions, or it is not known whose its rows are.
    """
    from groupglm.spaces.registry import open_inputs
    from groupglm.tabular.labels import LABEL, LABEL_COLUMNS, plain_label
    from groupglm.tabular.region_tables import read_regions, region_columns

    where = f"the table of regions '{path}' ({option})"
    try:
        table = read_regions(path, option)
        if table.index.name not in LABEL_COLUMNS:
            known = ", ".join(repr(str(name)) for name in table.columns)
            raise ValueError(
                f"{where} has no column 'participant_id'; its columns are {known}; "
                "call the column of the subjects so"
            )
        without = [
            place for place, label in enumerate(table.index, 1) if not isinstance(label, str)
        ]
        if without:
            raise ValueError(f"{where}: row {without[0]} has no participant_id; fill it in")
        open_inputs(table, argument=option)  # refuses what is no number
    except ArgumentError as error:
        raise ValueError(f"{where}: " + text_of(error)) from error
    values = table.iloc[:, region_columns(table)]
    subjects = [plain_label(label) for label in table.index]
    own = values.set_axis(subjects, axis=0).rename_axis(LABEL)
    rows: list[MapFiles] = [_RegionRow((path,), own.iloc[place]) for place in range(len(own))]
    return maps_by_visit(
        rows, subjects, where, given=_visits(table), by_visit=by_visit, in_table=True
    )


def _visits(table: pd.DataFrame) -> list[tuple[str | None, str | None]]:
    """Return session and run of each row; None where the table does not say it."""
    columns = [
        next((name for name in own if name in table.columns), None) for own in (SESSIONS, RUNS)
    ]
    found: list[list[str | None]] = []
    for name, plain in zip(columns, (plain_session, plain_run), strict=True):
        values = [None] * len(table) if name is None else table[name].tolist()
        found.append([plain(value) if isinstance(value, str) else None for value in values])
    return [*zip(*found, strict=True)]


def collect_beside_rows(options: GroupModelOptions, *, by_visit: bool) -> BesideMaps:
    """Read the tables that the options name beside the table of regions."""
    from groupglm.cli.steps.beside_maps import BesideMaps

    def rows_of(given: tuple[str, ...], option: str) -> dict[str, MapFiles]:
        if len(given) != 1:
            raise ValueError(
                f"{option} names {counted(len(given), 'file')}; beside --table it takes one table "
                "of the same regions"
            )
        return collect_rows(expand(given[0]), option, by_visit=by_visit).files

    if options.needs_variances and not options.variances:
        raise ValueError(
            f"{options.option} {options.model_name} weights each number by its variance; give the "
            "table of variances by --variances variances.tsv"
        )
    return BesideMaps(
        rows_of(options.variances, "--variances") if options.needs_variances else None,
        rows_of(options.weights, "--weights") if options.weights else None,
        {name: rows_of((path,), f"--covariate {name}") for name, path in options.covariates},
    )
