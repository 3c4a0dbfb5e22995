# SPDX-License-Identifier: BSD-3-Clause
"""Write tables of regions whole or not at all: `save_table`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from groupglm.errors import ArgumentError
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import make_folder
from groupglm.runtime.writing import whole_or_not
from groupglm.tabular.files import SEPARATORS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["save_table"]


def save_table(table: pd.Series[float] | pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Save a map as a table with one row a region, or rows of values with one column a region.

    Rows have the column of their index, such as the labels of subjects, if it has a name. Numbers
    are written with all their digits, missing ones as ``n/a``.
    """
    target = given_path("path", path)
    separator = SEPARATORS.get(target.suffix.lower())
    if separator is None:
        raise ArgumentError.about(
            "path",
            f"the name of a table must end in .tsv or .csv, but {os.fspath(path)!r} does not",
            "add one of them",
        )
    make_folder(target.parent)
    if table.ndim == 1 and table.name is None:
        table = table.rename("value")
    has_index = table.ndim == 1 or table.index.name is not None
    text = table.to_csv(sep=separator, na_rep="n/a", index=has_index, lineterminator="\n")
    with whole_or_not(target) as file:
        file.write(text.encode())
    return target
