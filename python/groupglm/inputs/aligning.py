# SPDX-License-Identifier: BSD-3-Clause
"""Bring the rows of a design matrix into the order of the maps, by subject label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.confounds import make_second_level_design_matrix
from groupglm.design import LABEL, load_design_matrix

if TYPE_CHECKING:
    import os

    import pandas as pd

__all__ = ["LABEL", "align_design"]


def align_design(
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None,
    confounds: pd.DataFrame | None,
    labels: list[str],
    *,
    was_sorted: bool = True,
) -> pd.DataFrame:
    """Bring a design matrix into the order of the maps.

    Rows are matched by a ``subject_label`` column, which is not part of the model, by an index of
    that name, or by another one that holds the labels. Rows without labels are taken in order only
    if maps kept theirs: otherwise each subject would silently get another's row.

    Parameters
    ----------
    design_matrix : pandas.DataFrame, path or None
        The user's design; made from the labels and confounds when None.
    confounds : pandas.DataFrame or None
        A ``subject_label`` column and one a confound.
    labels : list of str
        The subjects, in the order of the maps.
    was_sorted : bool, default=True
        Whether that is the order in which the user gave them.

    Returns
    -------
    pandas.DataFrame
        One row a map, without the label column.

    Raises
    ------
    ValueError
        If labels do not match, or rows cannot be matched.
    """
    import pandas as pd

    if design_matrix is None:
        return make_second_level_design_matrix(labels, confounds)
    frame = load_design_matrix(design_matrix)
    index = [str(label) for label in frame.index]
    counted = isinstance(frame.index, pd.RangeIndex)  # row numbers, not labels
    if frame.index.name == LABEL or (not counted and set(index) == set(labels)):
        return _reorder(frame, index, labels)
    if not was_sorted:
        raise ValueError(
            "second_level_input is not sorted by subject_label, and its maps are sorted before the "
            "fit, but design_matrix has no labels to be sorted by: give it a 'subject_label' "
            "column or an index of subject labels, or sort both by subject_label"
        )
    return frame


def _reorder(frame: pd.DataFrame, found: list[str], wanted: list[str]) -> pd.DataFrame:
    """Sort rows labelled `found` into the order `wanted`."""
    if len(set(wanted)) < len(wanted):
        if found == wanted:
            return frame.reset_index(drop=True)
        twice = next(label for label in wanted if wanted.count(label) > 1)
        raise ValueError(
            f"subject {twice!r} has several maps, so design_matrix cannot be matched to them by "
            "label; sort both second_level_input and design_matrix by subject_label"
        )
    repeated = sorted({label for label in found if found.count(label) > 1})
    absent, surplus = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    problems = {
        "has no row for": absent,
        "has rows for subjects without a map:": surplus,
        "has several rows for": repeated,
    }
    told = [f"{words} {', '.join(who)}" for words, who in problems.items() if who]
    if told:
        raise ValueError(f"design_matrix {'; '.join(told)}; give one row for each map's subject")
    place: dict[str, Any] = {label: row for row, label in enumerate(found)}
    return frame.iloc[[place[label] for label in wanted]].reset_index(drop=True)
