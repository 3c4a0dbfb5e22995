# SPDX-License-Identifier: BSD-3-Clause
"""From a formula's terms to the columns of a design matrix.

The values of all factors are computed here and passed to formulaic by name, so that it has nothing
to evaluate. It codes categories, and drops the columns that earlier terms span already.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.collinearity import quote_names
from groupglm.design.formula.code import evaluate
from groupglm.design.formula.functions import as_levels, numbers_of
from groupglm.design.formula.terms import Factor, Formula

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["design_of_terms"]

MAX_COLUMNS = 10_000
MAX_VALUES = 50_000_000  # of the matrix: 400 MB


def design_of_terms(formula: Formula, table: pd.DataFrame) -> pd.DataFrame:
    """Return a design's columns."""
    import pandas as pd
    from formulaic import Formula as FormulaicFormula
    from formulaic.parser.types import Factor as FormulaicFactor
    from formulaic.parser.types import Term

    factors = dict.fromkeys(factor for term in formula.terms for factor in term)
    columns = {str(name): table[name].reset_index(drop=True) for name in table.columns}
    values = {factor: _values(factor, columns) for factor in factors}
    widths = {factor: _width(values[factor]) for factor in factors}
    n_most = 1 + sum(math.prod(widths[factor] for factor in term) for term in formula.terms)
    if n_most > MAX_COLUMNS or n_most * len(table) > MAX_VALUES:
        raise ValueError(
            f"it can give up to {n_most} columns for {len(table)} subjects, more than "
            f"{min(MAX_COLUMNS, MAX_VALUES // max(len(table), 1))}; leave interactions out."
        )
    terms = [
        Term([FormulaicFactor(factor.name, eval_method="lookup") for factor in term])
        for term in formula.terms
    ]
    if formula.intercept:
        terms.insert(0, Term([FormulaicFactor("1", eval_method="literal")]))
    matrix: Any = FormulaicFormula(terms).get_model_matrix(
        pd.DataFrame(index=pd.RangeIndex(len(table))),
        context={factor.name: value for factor, value in values.items()},
        na_action="ignore",
        output="pandas",
    )
    _check_names(matrix, {factor.name: widths[factor] for factor in factors})
    entries = np.asarray(matrix, dtype=np.float64) + 0.0  # -7.6 times the zero of a level is -0.0
    return pd.DataFrame(entries, index=table.index, columns=list(matrix.columns))


def _values(factor: Factor, columns: dict[str, Any]) -> Any:
    """Return values that formulaic accepts: numbers, a category, or its own type with columns."""
    value = columns[factor.name] if factor.tree is None else evaluate(factor.tree, columns)
    if hasattr(value, "__formulaic_metadata__"):
        return value
    if getattr(value, "ndim", 0) != 1:
        raise ValueError(
            f"{factor.name} has no column of the participants table; an intercept is the term 1."
        )
    if value.dtype.kind in "biuf":
        return numbers_of(value, factor.name)
    return as_levels(value)


def _width(value: Any) -> int:
    """Return the largest number of columns that a factor has."""
    if isinstance(value, dict):
        return len(value)
    if hasattr(value, "cat"):
        return len(value.cat.categories)
    return int(value.shape[1]) if value.ndim == 2 else 1


def _check_names(matrix: Any, widths: dict[str, int]) -> None:
    """Compare the numbers of columns and terms: of columns with one name, formulaic keeps one."""
    names: Counter[str] = Counter()
    n_wanted = 0
    for _, scoped_terms, columns in matrix.model_spec.structure:
        names.update(columns)
        n_wanted += sum(
            math.prod(widths[each.factor.expr] - each.reduced for each in scoped.factors)
            for scoped in scoped_terms
        )
    if n_wanted == matrix.shape[1]:
        return
    same = [name for name, count in names.items() if count > 1]
    shown = f" ({quote_names(same)})" if same else ""
    raise ValueError(
        f"its terms have {n_wanted} columns, but only {matrix.shape[1]} different names{shown}; "
        "rename the columns or levels of the participants table that would be called the same."
    )
