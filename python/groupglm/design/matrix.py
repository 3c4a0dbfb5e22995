# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices: reading and checking them, and naming their dependent columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupglm.design.collinearity import (
    confounded_columns,
    describe_dependence,
    quote_names,
    variance_inflation,
)
from groupglm.design.fsl_files import FSL_DESIGN, read_fsl_matrix
from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    CollinearityWarning,
    in_quotes,
    renamed,
    warn_caller,
)
from groupglm.messages import Text, either
from groupglm.runtime.naming import one_name
from groupglm.runtime.paths import given_path
from groupglm.runtime.regular_files import check_file
from groupglm.tabular.files import SEPARATORS, read_table
from groupglm.tabular.labels import LABEL, LABEL_COLUMNS, labelled

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LABEL",
    "check_design_matrix",
    "check_size",
    "confounded_columns",
    "describe_dependence",
    "load_design_matrix",
    "report_collinearity",
    "variance_inflation",
]

FloatArray = NDArray[np.float64]

_MAX_LISTED = 8
_LARGE_INFLATION = 100.0  # the other columns explain 99 % of the column

_DESIGN = either("'design_matrix'", "the design")
_FILE = either("'design_matrix' file ", "the design matrix ")


def load_design_matrix(design_matrix: str | PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """Return a design matrix as a table; a file is read."""
    import pandas as pd

    if isinstance(design_matrix, pd.DataFrame):
        return labelled(design_matrix)
    if not isinstance(design_matrix, (str, PathLike)):
        raise ArgumentTypeError.about(
            "design_matrix",
            _DESIGN + " must be a str, pathlib.Path or a pandas.DataFrame.\n"
            f"Got {type(design_matrix).__name__}",
            "name the columns of an array with pandas.DataFrame(array, columns=[...]).",
        )
    path = given_path("design_matrix", design_matrix)
    with renamed(path="design_matrix"):
        return _read_fsl(path) if path.suffix == FSL_DESIGN else labelled(_read_table(path))


def _read_fsl(path: Path) -> pd.DataFrame:
    """Read a design of FSL, which does not name its columns, as EV1, EV2 and so on."""
    import pandas as pd

    called = _FILE + in_quotes(path)
    _check_exists(path, called)
    values = read_fsl_matrix(path, called).numbers
    return pd.DataFrame(values, columns=[f"EV{j}" for j in range(1, values.shape[1] + 1)])


def _check_exists(path: Path, called: str) -> None:
    check_file(path, called)
    if not path.is_file():
        raise FileNotFoundError(
            _DESIGN + f" is {in_quotes(path)}, and there is no such file; "
            f"give an existing path (the working directory is {in_quotes(Path.cwd())})."
        )


def _read_table(path: Path) -> pd.DataFrame:
    if path.suffix.lower() not in SEPARATORS:
        raise ArgumentError.about(
            "design_matrix",
            "Tables to load can only be TSV or CSV: " + _DESIGN + f" is {in_quotes(path)}",
            "save it with the suffix .tsv (tabs) or .csv (commas); FSL's .mat is read too.",
        )
    called = _FILE + in_quotes(path)
    _check_exists(path, called)
    frame = read_table(path, called, as_text=LABEL_COLUMNS)
    # A row index that pandas wrote into the file would become a regressor that counts subjects.
    unnamed = [str(name) for name in frame.columns if re.fullmatch(r"Unnamed: \d+", str(name))]
    if unnamed:
        raise ArgumentError.about(
            "design_matrix",
            _DESIGN + f" file {in_quotes(path)} has a column without a name ({unnamed[0]}), which "
            "is how a saved row index looks",
            "save the table with to_csv(..., index=False), or name the column.",
        )
    return frame


def check_design_matrix(
    frame: pd.DataFrame, n_images: int | None = None, *, name: str = "design_matrix"
) -> FloatArray:
    """Check a design matrix and return its values.

    Shapes: `frame` (n_rows, n_columns); returns (n_rows, n_columns).

    Examples
    --------
    >>> import pandas as pd
    >>> check_design_matrix(pd.DataFrame({"patient": [True, False], "intercept": [1, 1]}), 2)
    array([[1., 1.],
           [0., 1.]])
    """
    check_size(*frame.shape, name=name)
    called = _called(name)
    _check_columns(frame, name)
    if n_images is not None and len(frame) != n_images:
        raise ArgumentError.about(
            name,
            called + " does not match the number of maps considered. "
            f"{len(frame)} rows in design matrix do not match with {n_images} maps. "
            "Give one row for each image, in the order of the images.",
        )
    if len(frame) == 0:
        raise ArgumentError.about(name, called + " has no rows", "it needs one for each image.")
    values = np.empty(frame.shape, dtype=np.float64)
    for j in range(frame.shape[1]):
        try:
            values[:, j] = frame.iloc[:, j].to_numpy(dtype=np.float64, na_value=np.nan)
        except OverflowError as error:
            raise ArgumentError.about(
                name,
                called + f" holds a number too large for float64 in column "
                f"{in_quotes(frame.columns[j])}",
                "divide the column by a constant",
            ) from error
    _check_finite(values, frame, name)
    return values


def _called(name: str) -> Text:
    return _DESIGN if name == "design_matrix" else Text.of(in_quotes(name))


def _check_columns(frame: pd.DataFrame, name: str) -> None:
    called = _called(name)
    names = [str(name) for name in frame.columns]
    if not names:
        raise ArgumentError.about(
            name,
            called + " has no columns",
            "a design for the group mean is one column of "
            "ones, for instance pandas.DataFrame({'intercept': [1] * n_images}).",
        )
    counts = Counter(map(one_name, names))
    repeated = sorted({each for each in names if counts[one_name(each)] > 1})
    if repeated:
        raise ArgumentError.about(
            name,
            called + f" has more than one column named {quote_names(repeated)}",
            "rename them, or drop the copies.",
        )
    bad = [each for j, each in enumerate(names) if not _is_numeric(frame.iloc[:, j])]
    if bad:
        kinds = ", ".join(f"{frame.iloc[:, names.index(each)].dtype}" for each in bad[:_MAX_LISTED])
        raise ArgumentError.about(
            name,
            called + f" has non-numeric columns: {quote_names(bad)} (of type {kinds})",
            "code a category as 0/1 columns with pandas.get_dummies(frame, columns=[...], "
            "drop_first=True), and leave labels out.",
        )


def _is_numeric(series: pd.Series[Any]) -> bool:
    """Return whether every entry is a real number, a boolean or missing."""
    from numbers import Real

    import pandas as pd

    if pd.api.types.is_object_dtype(series.dtype):
        # Tables filled row by row hold plain numbers as objects.
        return all(isinstance(value, (Real, np.bool_)) or value is None for value in series)
    numeric: bool = pd.api.types.is_numeric_dtype(series.dtype)
    return numeric and not pd.api.types.is_complex_dtype(series.dtype)


def _check_finite(values: FloatArray, frame: pd.DataFrame, name: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad) == 0:
        return
    labels = frame.index.tolist()  # as Python's own numbers, for the message
    found = [
        f"{values[i, j]} in column {in_quotes(frame.columns[j])}, row {i + 1} (labelled "
        f"{labels[i]!r})"
        for i, j in bad[:_MAX_LISTED]
    ]
    more = f" and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
    raise ArgumentError.about(
        name,
        _called(name) + f" must be finite, but holds {'; '.join(found)}{more}",
        "fill in the entries, or leave out the images of those rows.",
    )


def check_size(n_images: int, n_columns: int, *, name: str = "design_matrix") -> None:
    """Refuse many more columns than images: finding their dependences would not end.

    The time to factorise dependent columns grows with the cube of their number. Codings that have a
    column for every level of several factors stay far below the limit.
    """
    most = 2 * n_images + 100
    if n_columns > most:
        raise ArgumentError.about(
            name,
            f"the design matrix has {n_columns} columns for {n_images} images",
            f"at most {most} are "
            f"allowed, and no more than {n_images} can be told apart: leave columns out, or give "
            "the transpose if rows and columns are exchanged",
        )


def report_collinearity(X: FloatArray, names: Sequence[str]) -> None:
    """Warn of columns that the others nearly determine.

    Shapes: `X` (n_images, n_columns).
    """
    found = [
        f"{name!r} ({factor:.3g})"
        for name, factor in zip(names, variance_inflation(X), strict=True)
        if factor > _LARGE_INFLATION
    ]
    if found:
        warn_caller(
            "columns of the design matrix are nearly determined by the others; variance inflation "
            f"factors: {', '.join(found)}. Their effects are estimated with that much more "
            "variance: centre what is a power or a product of others, or leave one out",
            CollinearityWarning,
        )
