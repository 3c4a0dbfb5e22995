# SPDX-License-Identifier: BSD-3-Clause
"""Tables of maps: which images a model is fitted to, and how a design matrix is matched to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.design import load_design_matrix, make_second_level_design_matrix

if TYPE_CHECKING:
    import os

    import pandas as pd

__all__ = ["MapTable", "align_design"]

COLUMNS = ("subject_label", "map_name", "effects_map_path")
LABEL = "subject_label"


@dataclass(frozen=True)
class MapTable:
    """A table with one row a map, sorted by subject.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``subject_label``, ``map_name`` and ``effects_map_path``, sorted by the first.
    was_sorted : bool
        Whether the rows came in that order.
    """

    frame: pd.DataFrame
    was_sorted: bool

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> MapTable:
        """Check a table and sort it by subject, as the documented interface says.

        Parameters
        ----------
        frame : pandas.DataFrame
            The user's table.

        Returns
        -------
        MapTable
            Its rows sorted by ``subject_label``; rows of one subject keep their order.

        Raises
        ------
        ValueError
            If a column is missing, a label is not a string, or there are fewer than two rows.
        """
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise ValueError(
                "second_level_input DataFrame must have columns 'subject_label', 'map_name' and "
                f"'effects_map_path'; {', '.join(map(repr, missing))} missing, found "
                f"{', '.join(repr(str(name)) for name in frame.columns)}"
            )
        labels = frame[LABEL].tolist()
        for row, label in enumerate(labels):
            if not isinstance(label, str):
                raise ValueError(  # noqa: TRY004  (as nilearn)
                    f"'subject_label' column must contain only strings; row {row} holds {label!r}; "
                    "read the table with dtype={'subject_label': str}, which keeps leading zeros"
                )
        if len(labels) < 2:
            raise ValueError(f"second_level_input has {len(labels)} rows; a model needs at least 2")
        ordered = frame.sort_values(LABEL, kind="stable").reset_index(drop=True)
        return cls(ordered, was_sorted=labels == sorted(labels))

    @property
    def map_names(self) -> list[str]:
        """The distinct map names, in order of appearance."""
        return [str(name) for name in self.frame["map_name"].unique()]

    def select(self, first_level_contrast: str | None) -> pd.DataFrame:
        """Choose the maps of one first-level contrast.

        Parameters
        ----------
        first_level_contrast : str or None
            A map name; None when the table has only one.

        Returns
        -------
        pandas.DataFrame
            The rows of that map.

        Raises
        ------
        ValueError
            If the table has no such map, or several and none is chosen.
        """
        names = self.map_names
        listed = ", ".join(map(repr, names))
        if first_level_contrast is None:
            if len(names) > 1:
                raise ValueError(
                    f"second_level_input has {len(names)} kinds of maps ({listed}); choose one "
                    "with first_level_contrast"
                )
            return self.frame
        if first_level_contrast not in names:
            raise ValueError(
                f"first_level_contrast is {first_level_contrast!r}, but the column map_name of "
                f"second_level_input has {listed}"
            )
        chosen = self.frame[self.frame["map_name"] == first_level_contrast]
        return chosen.reset_index(drop=True)


def align_design(
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None,
    confounds: pd.DataFrame | None,
    labels: list[str],
    *,
    was_sorted: bool,
) -> pd.DataFrame:
    """Bring a design matrix into the order of sorted subjects.

    Rows are matched by a ``subject_label`` column, which is not part of the model, or by an index
    that holds the labels. Rows without labels are taken in order only if the table was sorted:
    otherwise each subject would silently get another's row.

    Parameters
    ----------
    design_matrix : pandas.DataFrame, path or None
        The user's design; made from the labels and confounds when None.
    confounds : pandas.DataFrame or None
        A ``subject_label`` column and one a confound.
    labels : list of str
        The subjects, sorted.
    was_sorted : bool
        Whether the table came sorted.

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
    if LABEL in frame.columns:
        found = [str(label) for label in frame[LABEL]]
        return _reorder(frame.drop(columns=LABEL), found, labels)
    index = [str(label) for label in frame.index]
    counted = isinstance(frame.index, pd.RangeIndex)  # row numbers, not labels
    if not counted and set(index) == set(labels):
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
