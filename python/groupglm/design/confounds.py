# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices from subjects and their confounds, categories included."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupglm.design.collinearity import describe_dependence, quote_names
from groupglm.design.matrix import check_design_matrix
from groupglm.errors import (
    ArgumentError,
    ArgumentTypeError,
    RankDeficientWarning,
    in_quotes,
    printable,
    renamed,
    warn_caller,
)
from groupglm.messages import argument
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.naming import listed, one_name
from groupglm.tabular.covariates import check_covariates, is_missing, tidied
from groupglm.tabular.labels import LABEL, near_labels, near_words
from groupglm.tabular.levels import factor_levels, with_levels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["confound_names", "make_second_level_design_matrix"]

# The application configures logging; unless it does, nothing is printed.
_MOST_SUBJECTS = 1_000_000
_LOGGER = logging.getLogger("groupglm")
_LOGGER.addHandler(logging.NullHandler())


def make_second_level_design_matrix(
    subjects_label: Iterable[str],
    confounds: pd.DataFrame | None = None,
    *,
    allow_partial: bool = False,
) -> pd.DataFrame:
    """Make a design matrix of an intercept and the confounds of each subject.

    Parameters
    ----------
    subjects_label : sequence of str, length n_images
        The subject of each image, in the order of the images.
    confounds : pandas.DataFrame, optional
        A column ``subject_label`` and a column for each confound, with one row for each subject, in
        any order. Subjects that are not in ``subjects_label`` are left out. Numbers are used
        without change, booleans as 0 and 1. Text and ``pandas.Categorical`` columns have treatment
        coding: one column of 0 and 1 for each level except the reference. The reference is the
        first declared category that occurs, or the first in sorted order.
    allow_partial : bool, default=False
        Whether to leave out images of subjects that have no row, or lack a confound, with a warning
        that names the subjects. The rows then have the labels as index. Leave out the images too,
        as ``SecondLevelModel.fit(..., allow_partial=True)`` does.

    Returns
    -------
    pandas.DataFrame of float64, shape (n_images, n_columns)
        The confounds in their order, then ``intercept``. The columns of a category ``sex`` are
        named ``sex[T.M]``, which contrasts understand, in expressions too. The intercept is then
        the mean of the reference levels where the other confounds are zero.

    Raises
    ------
    TypeError
        If ``subjects_label`` is one string, or ``confounds`` is not a table.
    ValueError
        If there is no confound beside the labels, a subject has no row or several, a confound is
        missing, infinite, of another type or numbers written as text, or a category is mostly
        numbers, has one level or as many as subjects, or levels that differ in case or blanks
        alone.

    Warns
    -----
    UserWarning
        Which subjects are left out.
    RankDeficientWarning
        If columns depend on each other linearly; names them.

    Notes
    -----
    The reference level of each category is reported by the logger ``groupglm`` at level INFO;
    ``logging.basicConfig(level=logging.INFO)`` shows it. To choose another one, declare it first:
    ``pandas.Categorical(values, categories=["M", "F"])``.

    Examples
    --------
    >>> import pandas as pd
    >>> confounds = pd.DataFrame({"subject_label": ["03", "02", "01"], "age": [45.0, 31.0, 24.0],
    ...                           "sex": ["F", "M", "F"]})
    >>> make_second_level_design_matrix(["01", "02", "03"], confounds)
        age  sex[T.M]  intercept
    0  24.0       0.0        1.0
    1  31.0       1.0        1.0
    2  45.0       0.0        1.0
    """
    import pandas as pd

    if isinstance(subjects_label, str | bytes):
        raise ArgumentTypeError.about(
            "subjects_label",
            f"'subjects_label' must be a list of labels, one for each image, not the string "
            f"{subjects_label!r}",
            f"for a single subject give [{subjects_label!r}].",
        )
    if not np.iterable(subjects_label):
        raise ArgumentTypeError.about(
            "subjects_label",
            f"'subjects_label' must be a list of labels, one for each image, but is a "
            f"{type(subjects_label).__name__}.",
        )
    allow_partial = check_truth("allow_partial", allow_partial)
    labels = list(islice(subjects_label, _MOST_SUBJECTS + 1))
    if len(labels) > _MOST_SUBJECTS:
        raise ArgumentError(
            "subjects_label",
            f"more than {_MOST_SUBJECTS:,} labels",
            "one label for each image",
            verb="holds",
        )
    if not labels:
        raise ArgumentError.about(
            "subjects_label", "'subjects_label' is empty", "give the subject of each image."
        )
    design = pd.DataFrame({"intercept": np.ones(len(labels))})
    if confounds is not None:
        names = confound_names(confounds)
        kept = labels
        if allow_partial:
            kept = _complete(labels, confounds)
            design = design.iloc[: len(kept)]
        else:
            _refuse_missing(confounds)
        table = confounds[names].iloc[_confound_rows(kept, confounds)]
        table = tidied(table.set_axis(kept, axis="index"))
        with renamed(table="confounds"):
            check_covariates(table, "'confounds'", to_declare="confounds['{}'].astype('category')")
        coded = _coded(table, n_subjects=len(set(kept)))
        _refuse_repeated([*coded.columns, "intercept"])
        values = _confound_values(coded)
        design = pd.DataFrame(values, columns=coded.columns).assign(**design)
        with_levels(design, factor_levels(table, _categories(table)))
        if allow_partial:
            design.index = pd.Index(kept, name=LABEL)
    _warn_if_dependent(design)
    return design


def _categories(table: pd.DataFrame) -> list[Any]:
    return [name for name, column in table.items() if _is_category(column)]


def confound_names(confounds: object) -> list[Any]:
    """Return the columns of confounds; refuse what is not a table of confounds."""
    import pandas as pd

    if not isinstance(confounds, pd.DataFrame):
        raise ArgumentTypeError.about(
            "confounds",
            f"confounds must be a pandas DataFrame, not {type(confounds).__name__}",
            ("read a file with pandas.read_csv(path, sep='\\t', dtype={'subject_label': str})."),
        )
    names = confounds.columns.tolist()
    if LABEL not in names:
        raise ArgumentError.about(
            "confounds",
            "confounds DataFrame must contain column 'subject_label'",
            f"its columns are {quote_names(names)}. Rename the one that holds the labels.",
        )
    _refuse_repeated([*names, "intercept"])
    names.remove(LABEL)
    if not names:
        raise ArgumentError.about(
            "confounds",
            "confounds should contain at least 2 columns, 'subject_label' and a confound, but has "
            "only the first",
            "leave confounds out for a design of an intercept alone.",
        )
    return names


def _missing(confounds: pd.DataFrame) -> NDArray[np.bool_]:
    columns = range(confounds.shape[1])
    return np.column_stack([is_missing(confounds.iloc[:, j]) for j in columns])


def _refuse_missing(confounds: pd.DataFrame) -> None:
    missing = _missing(confounds)
    if missing.any():
        i, j = np.argwhere(missing)[0]
        raise ArgumentError.about(
            "confounds",
            f"Confounds contain NaN values: {int(missing.sum())}, the first in column "
            f"{in_quotes(confounds.columns[j])} for subject "
            f"{printable(str(confounds[LABEL].iloc[i]))}. "
            "Fill them in, or leave those subjects out by " + argument("allow_partial", True) + ".",
        )


def _complete(labels: Sequence[str], confounds: pd.DataFrame) -> list[str]:
    """Return the labels of subjects that have every confound; warn of the others."""
    missing = _missing(confounds)
    lacking = {label for label, row in zip(confounds[LABEL], missing, strict=True) if row.any()}
    known = set(confounds[LABEL])
    without = list(dict.fromkeys(label for label in labels if label not in known))
    partial = list(dict.fromkeys(label for label in labels if label in lacking))
    told = [f"without a row in confounds: {listed(without)}"] if without else []
    told += [f"without a value in confounds: {listed(partial)}"] if partial else []
    if told:
        warn_caller(f"left out subjects {'; '.join(told)}")
    kept = [label for label in labels if label in known and label not in lacking]
    if not kept:
        raise ArgumentError.about(
            "confounds", "no subject has a row without missing values in confounds"
        )
    return kept


def _refuse_repeated(columns: Sequence[object]) -> None:
    counts = Counter(map(one_name, columns))
    repeated = sorted(name for name, n in counts.items() if n > 1)
    if repeated:
        raise ArgumentError.about(
            "confounds",
            f"Design matrix columns do not have unique names: {quote_names(repeated)} is repeated. "
            "Rename it in confounds",
            "'intercept' is added and must not be among them, however it is capitalised.",
        )


def _confound_rows(labels: Sequence[object], confounds: pd.DataFrame) -> list[int]:
    """Return the position of each label's row; refuse a label without a row, or with several."""
    positions: dict[object, list[int]] = {}
    for i, label in enumerate(confounds[LABEL]):
        positions.setdefault(label, []).append(i)
    absent = [label for label in labels if label not in positions]
    if absent:
        kinds = {type(label).__name__ for label in positions}
        hint = ""
        if kinds != {"str"}:  # a label like 01 is read as a number by default
            hint = (
                f" The subject_label column must contain only strings, but holds "
                f"{', '.join(sorted(kinds))}: read the table with dtype={{'subject_label': str}}."
            )
        elif {str(label).removeprefix("sub-") for label in positions} >= set(labels):
            hint = (
                " Its labels begin with 'sub-', those of the images do not; take it off with "
                "confounds['subject_label'].str.removeprefix('sub-')."
            )
        else:
            known = set(labels)
            others = [str(label) for label in positions if label not in known]
            hint = near_words(near_labels(map(str, absent), others)).removeprefix(".")
        raise ArgumentError.about(
            "confounds",
            f"confounds not specified for subject {printable(str(absent[0]))} ({len(absent)} of "
            f"{len(labels)} "
            f"labels have no row)",
            f"add a row for it to confounds.{hint}",
        )
    several = [label for label in labels if len(positions[label]) > 1]
    if several:
        raise ArgumentError.about(
            "confounds",
            f"confounds contain more than one row for subject {printable(str(several[0]))} "
            f"(rows {', '.join(str(row + 1) for row in positions[several[0]])})",
            "keep one.",
        )
    return [positions[label][0] for label in labels]


def _coded(table: pd.DataFrame, *, n_subjects: int) -> pd.DataFrame:
    """Replace each category by its treatment columns."""
    import pandas as pd

    parts: list[Any] = [pd.DataFrame(index=table.index)]
    for name in table.columns:
        column = table[name]
        if not _is_category(column):
            parts.append(column)
            continue
        levels = _levels(column)
        _check_levels(name, levels, n_subjects)
        dummies = pd.DataFrame(
            {f"{name}[T.{level}]": (column == level).astype(np.float64) for level in levels[1:]}
        )
        _LOGGER.info(
            "confounds: the reference level of '%s' is '%s', and the intercept its mean; "
            "columns %s are the differences from it.",
            name,
            levels[0],
            quote_names(dummies.columns.tolist()),
        )
        parts.append(dummies)
    coded: pd.DataFrame = pd.concat(parts, axis="columns")
    return coded


def _is_category(column: pd.Series[Any]) -> bool:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype):
        return True
    return pd.api.types.is_object_dtype(column.dtype) and all(isinstance(v, str) for v in column)


def _levels(column: pd.Series[Any]) -> list[Any]:
    """Return the levels that occur, the reference first."""
    import pandas as pd

    occurring = set(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories.tolist() if level in occurring]
    return sorted(occurring)


def _check_levels(name: object, levels: Sequence[Any], n_subjects: int) -> None:
    if len(levels) == 1:
        raise ArgumentError.about(
            "confounds",
            f"'confounds' column {in_quotes(name)} has one level, {levels[0]!r}, among the "
            f"{n_subjects} "
            "subjects, so that it says nothing the intercept does not",
            "leave the column out.",
        )
    if len(levels) >= n_subjects:
        raise ArgumentError.about(
            "confounds",
            f"'confounds' column {in_quotes(name)} has {len(levels)} levels for {n_subjects} "
            "subjects: "
            "coded as a category it would explain every image perfectly. If it names the "
            "subjects, leave it out",
            "if it is a measurement, convert it with pandas.to_numeric.",
        )


def _confound_values(table: pd.DataFrame) -> NDArray[np.float64]:
    return check_design_matrix(table, name="confounds")


def _warn_if_dependent(design: pd.DataFrame) -> None:
    columns = [str(name) for name in design.columns]
    sentence = describe_dependence(design.to_numpy(), columns)
    if sentence:
        warn_caller(
            f"Design matrix is singular, because it is rank-deficient: {sentence}. Contrasts that "
            "depend on how these columns share their effect cannot be estimated; leave one of them "
            "out.",
            RankDeficientWarning,
        )
