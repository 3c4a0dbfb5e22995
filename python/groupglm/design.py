# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices: reading, checking, making them, and naming their dependent columns."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupglm._dependence import (
    confounded_columns,
    describe_dependence,
    quote_names,
    variance_inflation,
)
from groupglm.errors import CollinearityWarning, RankDeficientWarning, warn_caller

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "check_design_matrix",
    "confounded_columns",
    "describe_dependence",
    "load_design_matrix",
    "make_second_level_design_matrix",
    "report_collinearity",
    "variance_inflation",
]

FloatArray = NDArray[np.float64]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_MAX_LISTED = 8
_LARGE_INFLATION = 100.0  # the others explain 99 % of the column


def load_design_matrix(design_matrix: str | PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """Return a design matrix as a table, reading it from a file if need be.

    Parameters
    ----------
    design_matrix : pandas.DataFrame or path
        A table, returned as it is, or the path of a ``.csv`` (commas) or ``.tsv`` (tabs) file
        with a header line: one row an image, one column a regressor.

    Returns
    -------
    pandas.DataFrame
        The table. Its values are checked by :func:`check_design_matrix`, not here.

    Raises
    ------
    TypeError
        If it is neither a table nor a path.
    ValueError
        If the file is neither .csv nor .tsv, cannot be parsed, or holds a saved row index.
    FileNotFoundError
        If there is no such file.
    """
    import pandas as pd

    if isinstance(design_matrix, pd.DataFrame):
        return design_matrix
    if not isinstance(design_matrix, (str, PathLike)):
        raise TypeError(
            "'design_matrix' must be a str, pathlib.Path or a pandas.DataFrame.\n"
            f"Got {type(design_matrix).__name__}; name the columns of an array with "
            "pandas.DataFrame(array, columns=[...])."
        )
    return _read_table(Path(fspath(design_matrix)))


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    separator = _SEPARATORS.get(path.suffix.lower())
    if separator is None:
        raise ValueError(
            "Tables to load can only be TSV or CSV: 'design_matrix' is "
            f"'{path}'; save it with the suffix .tsv (tabs) or .csv (commas)."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"'design_matrix' is '{path}', and there is no such file; "
            f"give an existing path (the working directory is '{Path.cwd()}')."
        )
    try:
        # Labels keep their leading zeros.
        frame = pd.read_csv(path, sep=separator, dtype={"subject_label": str})
    except ValueError as error:  # pandas' parser errors and Unicode errors are ValueErrors
        raise ValueError(
            f"'design_matrix' file '{path}' cannot be read as a table: {error}; "
            "it needs a header line and then one line an image."
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(  # noqa: TRY004  (the file is wrong, not the argument's type)
            f"'design_matrix' file '{path}' has more values in a row than names in its header; "
            "name every column, and end no line with a separator."
        )
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0].tolist()
    repeated = sorted({str(name) for name in header if header.count(name) > 1})
    if repeated:  # pandas would call the second one "name.1"
        raise ValueError(
            f"'design_matrix' file '{path}' has the column {quote_names(repeated)} more than once; "
            "give each column a name of its own."
        )
    # A row index that pandas wrote along would become a regressor counting the subjects.
    unnamed = [str(name) for name in frame.columns if re.fullmatch(r"Unnamed: \d+", str(name))]
    if unnamed:
        raise ValueError(
            f"'design_matrix' file '{path}' has a column without a name ({unnamed[0]}), which is "
            "how a saved row index looks; save the table with to_csv(..., index=False), or "
            "name the column."
        )
    return frame


def check_design_matrix(frame: pd.DataFrame, n_images: int | None = None) -> FloatArray:
    """Check a design matrix and return its values.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (n_rows, n_columns)
        One row an image, one column a regressor. Boolean columns count as 0 and 1.
    n_images : int, optional
        The number of images it must describe; not checked when None.

    Returns
    -------
    numpy.ndarray of float64, shape (n_rows, n_columns), C-contiguous
        The values, a copy.

    Raises
    ------
    ValueError
        If there are no rows or columns, names are repeated, a column is not numeric, an entry is
        NaN or infinite, or the number of rows is not ``n_images``.

    Examples
    --------
    >>> import pandas as pd
    >>> check_design_matrix(pd.DataFrame({"patient": [True, False], "intercept": [1, 1]}), 2)
    array([[1., 1.],
           [0., 1.]])
    """
    _check_columns(frame)
    if n_images is not None and len(frame) != n_images:
        raise ValueError(
            "'design_matrix' does not match the number of maps considered. "
            f"{len(frame)} rows in design matrix do not match with {n_images} maps. "
            "Give one row for each image, in the order of the images."
        )
    if len(frame) == 0:
        raise ValueError("'design_matrix' has no rows; it needs one for each image.")
    values = np.empty(frame.shape, dtype=np.float64)
    for j in range(frame.shape[1]):
        values[:, j] = frame.iloc[:, j].to_numpy(dtype=np.float64, na_value=np.nan)
    _check_finite(values, frame)
    return values


def _check_columns(frame: pd.DataFrame) -> None:
    names = [str(name) for name in frame.columns]
    if not names:
        raise ValueError(
            "'design_matrix' has no columns; a design for the group mean is one column of "
            "ones, for instance pandas.DataFrame({'intercept': [1] * n_images})."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"'design_matrix' has more than one column named {quote_names(repeated)}; "
            "rename them, or drop the copies."
        )
    bad = [name for j, name in enumerate(names) if not _is_numeric(frame.iloc[:, j])]
    if bad:
        kinds = ", ".join(f"{frame.iloc[:, names.index(name)].dtype}" for name in bad[:_MAX_LISTED])
        raise ValueError(
            f"'design_matrix' has non-numeric columns: {quote_names(bad)} (of type {kinds}); "
            "code a category as 0/1 columns with pandas.get_dummies(frame, columns=[...], "
            "drop_first=True), and leave labels out."
        )


def _is_numeric(series: pd.Series[Any]) -> bool:
    """Tell whether every entry is a real number, a boolean or missing."""
    from numbers import Real

    import pandas as pd

    if pd.api.types.is_object_dtype(series.dtype):
        # Tables filled row by row hold plain numbers as objects.
        return all(isinstance(value, (Real, np.bool_)) or value is None for value in series)
    numeric: bool = pd.api.types.is_numeric_dtype(series.dtype)
    return numeric and not pd.api.types.is_complex_dtype(series.dtype)


def _check_finite(values: FloatArray, frame: pd.DataFrame) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad) == 0:
        return
    found = [
        f"{values[i, j]} in column '{frame.columns[j]}', row {i} (labelled {frame.index[i]!r})"
        for i, j in bad[:_MAX_LISTED]
    ]
    more = f" and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
    raise ValueError(
        f"'design_matrix' must be finite, but holds {'; '.join(found)}{more}; fill in the "
        "entries, or leave out the images of those rows."
    )


def report_collinearity(X: FloatArray, names: Sequence[str]) -> None:
    """Warn of columns that the others nearly determine.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        A design matrix of full column rank.
    names : sequence of str, length n_columns
        Its columns.

    Warns
    -----
    CollinearityWarning
        If the variance inflation factor of a column is above 100; names the columns.
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


def make_second_level_design_matrix(
    subjects_label: Iterable[str], confounds: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Make a design matrix of an intercept and each subject's confounds.

    Parameters
    ----------
    subjects_label : sequence of str, length n_images
        The subject of each image, in the order of the images.
    confounds : pandas.DataFrame, optional
        A column ``subject_label``, and a numeric column for each confound; one row a subject, in
        any order. Subjects that are not in ``subjects_label`` are left out.

    Returns
    -------
    pandas.DataFrame of float64, shape (n_images, n_confounds + 1)
        The confounds in their order, then ``intercept``.

    Raises
    ------
    TypeError
        If ``subjects_label`` is one string, or ``confounds`` is not a table.
    ValueError
        If a subject has no row of confounds or several, or a confound is missing, infinite or not
        a number.

    Warns
    -----
    RankDeficientWarning
        If columns depend on each other linearly; names them.

    Examples
    --------
    >>> import pandas as pd
    >>> ages = pd.DataFrame({"subject_label": ["02", "01"], "age": [31.0, 24.0]})
    >>> make_second_level_design_matrix(["01", "02", "01"], ages)
        age  intercept
    0  24.0        1.0
    1  31.0        1.0
    2  24.0        1.0
    """
    import pandas as pd

    if isinstance(subjects_label, str):
        raise TypeError(
            f"'subjects_label' must be a list of labels, one for each image, not the string "
            f"{subjects_label!r}; for a single subject give [{subjects_label!r}]."
        )
    labels = list(subjects_label)
    if not labels:
        raise ValueError("'subjects_label' is empty; give the subject of each image.")
    values = np.ones((len(labels), 1))
    columns = ["intercept"]
    if confounds is not None:
        names = _confound_names(confounds)
        rows = _confound_rows(labels, confounds)
        table = confounds[names].iloc[rows]
        columns = [*names, "intercept"]
        values = np.column_stack([_confound_values(table), values])
    _warn_if_dependent(values, columns)
    return pd.DataFrame(values, columns=columns)


def _confound_names(confounds: object) -> list[str]:
    import pandas as pd

    if not isinstance(confounds, pd.DataFrame):
        raise TypeError(
            f"confounds must be a pandas DataFrame, not {type(confounds).__name__}; "
            "read a file with pandas.read_csv(path, sep='\\t', dtype={'subject_label': str})."
        )
    names = confounds.columns.tolist()
    if "subject_label" not in names:
        raise ValueError(
            "confounds DataFrame must contain column 'subject_label'; "
            f"its columns are {quote_names(names)}. Rename the one that holds the labels."
        )
    names.remove("subject_label")
    columns = [*names, "intercept"]
    repeated = sorted({str(name) for name in columns if columns.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Design matrix columns do not have unique names: {quote_names(repeated)} is repeated. "
            "Rename it in confounds; 'intercept' is added and must not be among them."
        )
    missing = confounds.isna()
    if missing.to_numpy().any():
        i, j = np.argwhere(missing.to_numpy())[0]
        raise ValueError(
            f"Confounds contain NaN values: {int(missing.to_numpy().sum())}, the first in column "
            f"'{confounds.columns[j]}' for subject {confounds['subject_label'].iloc[i]}. "
            "Fill them in, or leave those subjects out."
        )
    return names


def _confound_rows(labels: Sequence[object], confounds: pd.DataFrame) -> list[int]:
    """Return the position of each label's row, refusing none and several."""
    positions: dict[object, list[int]] = {}
    for i, label in enumerate(confounds["subject_label"]):
        positions.setdefault(label, []).append(i)
    absent = [label for label in labels if label not in positions]
    if absent:
        kinds = {type(label).__name__ for label in positions}
        hint = ""
        if kinds != {"str"}:  # a label like 01 is a number unless the reader is told otherwise
            hint = (
                f" Its labels there are of type {', '.join(sorted(kinds))}: read the table with "
                "dtype={'subject_label': str}."
            )
        raise ValueError(
            f"confounds not specified for subject {absent[0]} ({len(absent)} of {len(labels)} "
            f"labels have no row); add a row for it to confounds.{hint}"
        )
    several = [label for label in labels if len(positions[label]) > 1]
    if several:
        raise ValueError(
            f"confounds contain more than one row for subject {several[0]} "
            f"(rows {positions[several[0]]}); keep one."
        )
    return [positions[label][0] for label in labels]


def _confound_values(table: pd.DataFrame) -> FloatArray:
    if table.shape[1] == 0:
        return np.empty((len(table), 0))
    try:
        return check_design_matrix(table)
    except ValueError as error:
        raise ValueError(str(error).replace("'design_matrix'", "'confounds'")) from error


def _warn_if_dependent(values: FloatArray, columns: Sequence[str]) -> None:
    sentence = describe_dependence(values, columns)
    if sentence:
        warnings.warn(
            f"The design matrix is rank-deficient: {sentence}. Contrasts that depend on how these "
            "columns share their effect cannot be estimated; leave one of them out.",
            RankDeficientWarning,
            stacklevel=3,
        )
