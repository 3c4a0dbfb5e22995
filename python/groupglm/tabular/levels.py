# SPDX-License-Identifier: BSD-3-Clause
"""The levels of a design matrix's factors, stored with the matrix.

The columns of a factor name all its levels except the reference; a picture of the groups names the
reference too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["factor_levels", "levels_of", "with_levels"]

_KEY = "groupglm_levels"
_MAX_LEVELS = 50  # most levels of a factor
_MAX_NUMBERS = 12  # most numbers as levels; a column with more is a covariate


def factor_levels(table: pd.DataFrame, columns: Iterable[object]) -> dict[str, list[str]]:
    """Return the values that occur in a table's columns, where they may be levels.

    Examples
    --------
    >>> import pandas as pd
    >>> factor_levels(pd.DataFrame({"sex": ["M", "F", "M"]}), ["sex"])
    {'sex': ['F', 'M']}
    """
    import pandas as pd

    found = {}
    for name in columns:
        column = table[name].dropna()
        if isinstance(column.dtype, pd.CategoricalDtype):
            present = set(column.unique())
            values = [value for value in column.cat.categories if value in present]
        else:
            values = sorted(column.unique().tolist(), key=lambda value: (str(type(value)), value))
        is_number = pd.api.types.is_numeric_dtype(column.dtype)
        if len(values) <= (_MAX_NUMBERS if is_number else _MAX_LEVELS):
            found[str(name)] = [str(value) for value in values]
    return found


def with_levels(design: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Store the levels of its factors with a design matrix; pandas passes them to copies."""
    design.attrs[_KEY] = {name: list(own) for name, own in levels.items()}
    return design


def levels_of(design: pd.DataFrame) -> dict[str, list[str]]:
    """Return the levels that a design matrix was made with; empty if they are not known."""
    levels = design.attrs.get(_KEY)
    return levels if isinstance(levels, dict) else {}
