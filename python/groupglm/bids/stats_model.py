# SPDX-License-Identifier: BSD-3-Clause
"""The dataset-level node of a BIDS Stats Model, applied to a participants table."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from groupglm.bids.estimators import NodeEstimator
from groupglm.bids.json_objects import quoted
from groupglm.bids.transformations import columns_read, transform
from groupglm.runtime.naming import one_name
from groupglm.tabular.covariates import check_covariates, level_counts, tidied
from groupglm.tabular.table_names import columns_are, has_not, table_of

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.models.base import Model

__all__ = ["INTERCEPT", "ModelContrast", "StatsModel"]

INTERCEPT = "intercept"


@dataclass(frozen=True)
class ModelContrast:
    """A contrast of a Stats Model.

    Parameters
    ----------
    name : str
        Its name.
    conditions : tuple of str
        Columns of the design.
    weights : tuple of tuple of float
        One row for each constraint, with one number for each condition.
    test : {"t", "F"}
        Which statistic.
    """

    name: str
    conditions: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    test: Literal["t", "F"]

    def over(self, columns: Sequence[str]) -> list[Any]:
        """Return its weights over a design's columns.

        Parameters
        ----------
        columns : sequence of str
            Names of the design's columns.

        Returns
        -------
        list
            A vector for t, a matrix for F, as ``compute_contrast`` takes them.

        Raises
        ------
        ValueError
            If the design has no such column.
        """
        known = _known(self.conditions, columns, f"contrast {self.name!r}: ConditionList")
        rows = []
        for weights in self.weights:
            row = [0.0] * len(columns)
            for name, weight in zip(self.conditions, weights, strict=True):
                row[list(columns).index(known[name])] += weight
            rows.append(row)
        return rows[0] if self.test == "t" else rows


def _known(names: Sequence[str], columns: Sequence[str], where: str) -> dict[str, str]:
    """Return the design's columns by all their names; refuse names that it does not have."""
    from groupglm.design.column_names import ColumnNames

    design = ColumnNames(columns)
    known = {name: column for name in names if (column := design.column(name)) is not None}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{where} names {quoted(unknown)}, which the design does not have. Its columns are: "
            f"{quoted(columns)}"
        )
    return known


@dataclass(frozen=True)
class StatsModel:
    """The dataset-level node of a BIDS Stats Model, and what reaches it.

    Parameters
    ----------
    name : str
        Name of the model.
    node : str
        Name of the dataset-level node.
    source : str or None
        The node whose outputs this node takes; None if it is the only node.
    filters : dict of str to tuple of str
        The maps that this node takes, by short names of entities, from ``Input`` and the edges.
    group_by_contrast : bool
        Whether each first-level contrast has its own fit. Otherwise there must be only one.
    x : tuple of str
        The columns of the design; ``"intercept"`` for 1. It has no effect beside a formula, and is
        empty if there is only a formula.
    formula : str or None
        ``Model.Formula``.
    instructions : tuple of dict
        Transformations of the participants table.
    contrasts : tuple of ModelContrast
        The contrasts that the model writes out.
    dummy_test : {"t", "F"} or None
        The test of dummy contrasts; None if there are none.
    dummies : tuple of str or None
        Columns of the dummy contrasts; None for all columns.
    estimator : groupglm.bids.estimators.NodeEstimator
        The kind of model that is fitted, with its settings.
    group_by : tuple of str
        Columns of the participants table, each of whose levels has its own fit.
    mask : dict of str to tuple of str, or None
        The entities of the file of the mask, if ``Model.Options`` names one.
    """

    name: str
    node: str
    source: str | None
    filters: dict[str, tuple[str, ...]]
    group_by_contrast: bool
    x: tuple[str, ...]
    formula: str | None
    instructions: tuple[dict[str, Any], ...]
    contrasts: tuple[ModelContrast, ...]
    dummy_test: Literal["t", "F"] | None
    dummies: tuple[str, ...] | None
    estimator: NodeEstimator = field(default_factory=NodeEstimator)
    group_by: tuple[str, ...] = ()
    mask: dict[str, tuple[str, ...]] | None = None

    def design_matrix(self, participants: pd.DataFrame) -> pd.DataFrame:
        """Make the design matrix.

        Parameters
        ----------
        participants : pandas.DataFrame
            One row for each subject with a map, or for each map, if a subject has several. The
            index has the labels of the subjects.

        Returns
        -------
        pandas.DataFrame
            float64, the same rows.

        Raises
        ------
        ValueError
            If a column is missing, holds text, or has missing values.
        """
        from groupglm.design.formula.building import (
            design_from_columns,
            design_from_formula,
            fixed_design,
        )

        table = transform(tidied(participants), self.instructions)
        if self.formula is not None:
            if self.estimator.random is not None:
                return fixed_design(self.formula, table)
            return design_from_formula(self.formula, table)
        names = self._expanded([str(name) for name in table.columns])
        self._check_numeric(table, names)
        design = design_from_columns(
            [name for name in names if name != INTERCEPT], table, intercept=INTERCEPT in names
        )
        # FitLins' name.
        return design.rename(columns={"Intercept": INTERCEPT})[names]

    def group_model(self, participants: pd.DataFrame) -> Model | str:
        """Return what is fitted, as ``SecondLevelModel(model=...)`` takes it.

        Parameters
        ----------
        participants : pandas.DataFrame
            As `design_matrix` has taken it.

        Returns
        -------
        str or model
            A model with its settings, or its name if it has the settings that are its default.

        Raises
        ------
        ValueError
            If the table lacks the column of the variance groups, or a value of it.
        """
        if self.estimator.model == "repeated measures":
            return self.estimator.group_model(None, self._labels(participants))
        column = self.estimator.variance_groups
        if column is None:
            return self.estimator.group_model()
        where = f"node {self.node!r}: variance_groups"
        if column not in participants.columns:
            raise ValueError(
                f"{where} names {column!r}, which {has_not(participants)}. "
                f"{columns_are(participants)}: "
                f"{quoted([str(name) for name in participants.columns])}"
            )
        labels = participants[column]
        absent = [str(label) for label in labels.index[labels.isna()]]
        if absent:
            raise ValueError(f"{where} names {column!r}, which has no value for {quoted(absent)}")
        return self.estimator.group_model([str(label) for label in labels])

    def _labels(self, participants: pd.DataFrame) -> dict[str, list[str]]:
        """Return subjects, families, visits and groups of the rows, one a map."""
        from groupglm.design.formula.grouping import grouping_labels, rows_by_name

        rows = rows_by_name(participants)
        named = {"subjects": "subject", **self.estimator.label_columns()}
        where = f"node {self.node!r}: the column of"
        return {
            name: grouping_labels(rows, column, f"{where} {name}") for name, column in named.items()
        }

    def inputs(self) -> list[str]:
        """Return the names that the design mentions and no transformation makes.

        Returns
        -------
        list of str
            Columns of tables, if they have them; without the intercept and patterns.
        """
        from groupglm.design.formula.building import formula_columns

        made = {name for instruction in self.instructions for name in instruction["Output"]}
        coded = [
            name
            for instruction in self.instructions
            if instruction["Name"] == "Factor"
            for name in instruction["Input"]
        ]
        names = [name for instruction in self.instructions for name in columns_read(instruction)]
        names += formula_columns(self.formula)[0] if self.formula is not None else self.x
        return [
            name
            for name in dict.fromkeys(names)
            if name not in made
            and name != INTERCEPT
            and not re.search(r"[*?\[]", name)
            and not any(name.startswith(f"{own}.") for own in coded)
        ]

    def columns_used(self, columns: Sequence[str]) -> list[str]:
        """Return the columns of the participants table that the design needs.

        Parameters
        ----------
        columns : sequence of str
            The columns of the table.

        Returns
        -------
        list of str
            Inputs of the transformations, and what the model names itself.
        """
        from groupglm.design.formula.building import formula_columns

        names = [name for instruction in self.instructions for name in columns_read(instruction)]
        if self.formula is not None:
            names += formula_columns(self.formula)[0]
        else:
            for name in self.x:
                names += [name] if name in columns else fnmatch.filter(columns, name)
        return [name for name in dict.fromkeys(names) if name in columns]

    def levels(self, participants: pd.DataFrame) -> dict[str, dict[str, int]]:
        """Return the number of subjects at each level of the model's categories.

        Parameters
        ----------
        participants : pandas.DataFrame
            As `design_matrix` has taken it.

        Returns
        -------
        dict of str to dict of str to int
            By column: what ``Factor`` codes and ``Split`` splits by, and a formula's categories.
        """
        from groupglm.design.formula.used_columns import formula_levels

        coded = [
            name
            for instruction in self.instructions
            if instruction["Name"] in ("Factor", "Split")
            for name in instruction.get("By", instruction["Input"])
            if name in participants.columns
        ]
        found = {name: level_counts(participants[name]) for name in coded}
        return found if self.formula is None else found | formula_levels(self.formula, participants)

    def _expanded(self, columns: Sequence[str]) -> list[str]:
        """Replace patterns such as ``motion_*`` by the columns they match."""
        names: list[str] = []
        for name in self.x:
            pattern = name not in columns and re.search(r"[*?\[]", name)
            found = (pattern and fnmatch.filter(columns, name)) or [name]
            names += [each for each in found if each not in names]
        mistaken = [name for name in columns if one_name(name) == INTERCEPT]
        if mistaken and any(one_name(name) == INTERCEPT for name in names):
            raise ValueError(
                f"node {self.node!r}: Model.X names the intercept, but the participants table "
                f"has a column {mistaken[0]!r}, which would be mistaken for it; rename the column"
            )
        unknown = [name for name in names if name not in columns and name != INTERCEPT]
        if unknown:
            raise ValueError(
                f"node {self.node!r}: Model.X names {quoted(unknown)}, which the participants "
                "table, with its Transformations, does not have. Its columns are: "
                f"{quoted(columns)}"
            )
        return names

    def _check_numeric(self, table: pd.DataFrame, names: Sequence[str]) -> None:
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        for name in names:
            dtype = table[name].dtype if name != INTERCEPT else None
            if dtype is not None and not (is_numeric_dtype(dtype) or is_bool_dtype(dtype)):
                check_covariates(
                    table[[name]], table_of(table, name), to_declare="the transformation Factor"
                )
                raise ValueError(
                    f"node {self.node!r}: Model.X names {name!r}, which holds text; code it by the "
                    f'transformation {{"Name": "Factor", "Input": ["{name}"]}} and name its '
                    f"levels, such as '{name}.{table[name].dropna().iloc[0]}'"
                )

    def contrasts_of(self, columns: Sequence[str]) -> list[ModelContrast]:
        """Return the contrasts over a design: dummy contrasts first.

        Parameters
        ----------
        columns : sequence of str
            Names of the design's columns.

        Returns
        -------
        list of ModelContrast
            A written contrast replaces a dummy contrast of the same name.

        Raises
        ------
        ValueError
            If the design lacks a column of the dummy contrasts.
        """
        if self.dummy_test is None:
            return list(self.contrasts)
        if self.dummies is not None:
            _known(self.dummies, columns, f"node {self.node!r}: DummyContrasts.Contrasts")
        named = {contrast.name for contrast in self.contrasts}
        dummies = [
            ModelContrast(name, (name,), ((1.0,),), self.dummy_test)
            for name in (columns if self.dummies is None else self.dummies)
            if name not in named
        ]
        return [*dummies, *self.contrasts]
