# SPDX-License-Identifier: BSD-3-Clause
"""A table of regions as the input of a model: `RegionCohort`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groupglm.design.matrix import load_design_matrix
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, shown, warn_caller
from groupglm.inputs.aligning import AlignedDesign, align_design, align_to_names
from groupglm.inputs.beside import Beside
from groupglm.inputs.first_level import plain_contrast
from groupglm.inputs.opening_beside import open_beside, refuse_other_maps
from groupglm.inputs.partial import leave_out
from groupglm.inputs.visits import visits_in_table
from groupglm.messages import argument, either
from groupglm.runtime.naming import listed, one_name
from groupglm.spaces.registry import kind_of, open_inputs
from groupglm.tabular.labels import (
    LABEL,
    label_key,
    match_rows,
    plain_label,
    refuse_twin_labels,
    row_labels,
)
from groupglm.tabular.region_tables import (
    is_table_file,
    naming_file,
    read_regions,
    region_columns,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.spaces.base import Source

__all__ = ["RegionCohort", "are_regions", "leave_out_rows"]

_INPUT = "second_level_input"


def are_regions(given: Any) -> bool:
    """Return whether an input is a table of regions: in memory, in a file, or as rows."""
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return "effects_map_path" not in given.columns and "map_name" not in given.columns
    first = given[0] if isinstance(given, list | tuple) and given else given
    return is_table_file(given) or (isinstance(first, pd.Series) and kind_of(first).holds(first))


def _region_labels(
    table: pd.DataFrame, others: pd.DataFrame | None, name: str = _INPUT
) -> list[str] | None:
    """Return the subjects of a table's rows, without ``sub-``; None if they are not known.

    An index of numbers holds subjects if `others`, such as the design, has some of the same ones.
    """
    import pandas as pd

    index = None if others is None else others.index
    known = None
    if index is not None and not isinstance(index, pd.RangeIndex | pd.MultiIndex):
        known = [str(label) for label in index]
    labels = row_labels(table.index, known, name)
    return None if labels is None else [plain_label(label) for label in labels]


class RegionCohort:
    """A table with one row a subject or a visit: one kind of maps.

    Rows keep their order, and those of the design are matched to them by label.
    """

    has_one_kind = has_one_design = True

    def __init__(
        self,
        given: Any,
        confounds: Any,
        design_matrix: Any,
        beside: Beside | None = None,
        *,
        may_repeat: bool = False,
    ) -> None:
        self.given = given
        self._beside = beside or Beside()
        self._table = read_regions(given, _INPUT)
        with naming_file(given):
            self._sources = open_inputs(self._table)  # what is wrong with the table is said first
        frame = None if design_matrix is None else load_design_matrix(design_matrix)
        labels = _region_labels(self._table, confounds if frame is None else frame)
        self._labels = labels
        if labels is not None:
            refuse_twin_labels(labels, _INPUT)
        self._design = self._aligned(frame, confounds, labels, may_repeat=may_repeat)
        self.first_design = self._design.frame
        self._refuse_covariates(self.first_design if frame is None else frame)
        if self._design.subjects and not may_repeat:
            refuse_repeated_subjects(self._design.subjects, self.first_design)

    def _aligned(
        self,
        frame: pd.DataFrame | None,
        confounds: pd.DataFrame | None,
        labels: list[str] | None,
        *,
        may_repeat: bool,
    ) -> AlignedDesign:
        """Return the design with its rows in the order of the table's rows."""
        if labels is not None:
            aligned = align_design(
                None if frame is None else _plain_index(frame, labels),
                _plain_column(confounds),
                labels,
                visits=visits_in_table(self._table, labels),
                may_repeat=may_repeat,
            )
            # As of files: labels of other arguments are matched without ``sub-``, too.
            return replace(aligned, maps_have_labels=False)
        if confounds is not None and frame is None:
            raise ArgumentError.about(
                "confounds",
                "confounds are matched by subject label, which second_level_input does not have",
                "give it a column participant_id, or put the confounds into design_matrix",
            )
        if frame is None:
            raise ArgumentError.about(
                "design_matrix",
                "a table of regions without subject labels as second_level_input requires a design "
                "matrix to be provided",
                "give the table a column participant_id, or for a one-sample test a design of "
                "pandas.DataFrame({'intercept': 1.0}, index=range(n_subjects))",
            )
        return align_to_names(frame, [None] * len(self._table))

    def _refuse_covariates(self, design: pd.DataFrame) -> None:
        """Refuse columns that the design has too: they are no regions."""
        columns = {one_name(name) for name in design.columns}
        names = [str(self._table.columns[place]) for place in region_columns(self._table)]
        both = [repr(name) for name in names if one_name(name) in columns]
        if both:
            raise ArgumentError.about(
                _INPUT,
                either(_INPUT, "the table of regions")
                + f" has the column {listed(both, 8)}, which the design has too: the design "
                "would be fitted to itself",
                "leave the column out of the table of regions, or give the region another name",
            )

    def kind(self, first_level_contrast: Any) -> None:
        """Warn of a contrast: there is nothing to choose."""
        if first_level_contrast is not None:
            chosen = plain_contrast(first_level_contrast)  # refuses a value that is not a contrast
            warn_caller(
                argument("first_level_contrast", shown=shown(chosen))
                + " has no effect: the model was fitted to a table of regions"
            )

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Return the rows, which have been opened."""
        del first_level_contrast, same_grid
        return self._sources

    def open_beside(
        self, first_level_contrast: Any, images: Sequence[Source], *, same_grid: bool
    ) -> list[list[Source]]:
        """Open the tables that were given beside the regions."""
        del first_level_contrast
        opened = []
        for role, name, given in self._beside.arguments():
            own = self._in_order(given, name, role)
            kind = kind_of(self._table)
            opened.append(open_beside(name, role, own, images, kind=kind, same_grid=same_grid))
        return opened

    def _in_order(self, given: Any, name: str, role: str) -> pd.DataFrame:
        """Return a table beside the regions in the order of their rows, by label if it has any."""
        called = name.partition("[")[0]
        if given is None:
            raise ArgumentError(
                called,
                "None, but the model takes a number of them for each number of the table",
                remedy="give a table of the same regions, or " + argument("model", "ols"),
            )
        if given is self.given:
            raise ArgumentError(
                called, f"{_INPUT} itself", remedy="give the table that belongs to it"
            )
        if role == "variance" and isinstance(given, str | os.PathLike):
            refuse_other_maps([[os.fspath(given)]], [])
        table = read_regions(given, name)
        labels = None
        if self._labels is not None:
            labels = _region_labels(table, self._table, name)
        if labels is not None and labels != self._labels:
            wanted = self._labels or []
            table = table.iloc[match_rows(labels, wanted, name, may_have_more=True)]
        sources = open_inputs(table, argument=name, at_least=1)
        difference = sources[0].difference(self._sources[0])
        if difference is not None:
            raise ArgumentError.about(
                called,
                f"{name} has other regions than {_INPUT}: {difference}",
                f"give the {role} of each region, under the same name",
            )
        negative = [source.name for source in sources if source.value_range()[0] < 0]
        if negative and role != "covariate":
            raise ArgumentError.about(
                called,
                f"{name} are negative in {len(negative)} of {len(sources)} rows: "
                f"{listed(negative, 8)}",
                "give variances, the squares of standard errors"
                if role == "variance"
                else "give weights, zero or more",
            )
        return table

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the design."""
        del first_level_contrast
        return self.first_design

    def aligned(self, first_level_contrast: Any) -> AlignedDesign:
        """Return the design with the subjects of its rows."""
        del first_level_contrast
        return self._design


def leave_out_rows(
    given: Any, confounds: Any, design_matrix: Any, beside: Beside | None
) -> tuple[Any, Any, Any, Beside | None]:
    """Leave out rows of a table of regions as `groupglm.inputs.partial` leaves out maps."""
    import pandas as pd

    table = read_regions(given, "second_level_input")
    design = None if design_matrix is None else load_design_matrix(design_matrix)
    labels = _region_labels(table, confounds if design is None else design)
    subjects: list[str | None] = [None] * len(table) if labels is None else [*labels]
    numbers, confounds, design, beside = leave_out(
        pd.Series(range(len(table)), subjects), subjects, confounds, design, beside
    )
    return table.iloc[numbers.tolist()], confounds, design, beside


def _plain_index(frame: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return a design whose labels are written without ``sub-``, as those of the table."""
    import pandas as pd

    found = row_labels(frame.index, labels, "design_matrix")
    if found is None or isinstance(frame.index, pd.MultiIndex):
        return frame
    keys = {label_key(label): label for label in labels}
    # A number is the label of a table that has been read as text: 7 is 07.
    is_number = pd.api.types.is_numeric_dtype(frame.index.dtype)
    plain = [keys.get(label_key(x), x) if is_number else plain_label(x) for x in found]
    return frame.set_axis(pd.Index(plain, name=LABEL))


def _plain_column(confounds: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return confounds whose labels are written without ``sub-``."""
    if confounds is None or LABEL not in getattr(confounds, "columns", ()):
        return confounds
    labels = [plain_label(x) if isinstance(x, str) else x for x in confounds[LABEL]]
    return confounds.assign(**{LABEL: labels})
