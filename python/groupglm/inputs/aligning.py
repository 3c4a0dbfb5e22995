# SPDX-License-Identifier: BSD-3-Clause
"""Put the rows of a design matrix in the order of the maps, by subject label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.design.confounds import confound_names, make_second_level_design_matrix
from groupglm.design.matrix import LABEL, load_design_matrix
from groupglm.errors import ArgumentError, in_quotes
from groupglm.inputs.visits import match_maps, without_visits
from groupglm.messages import argument as named
from groupglm.tabular.labels import label_key, labelled, match_rows, plain_label, row_labels

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["LABEL", "AlignedDesign", "align_design", "align_to_names", "image_names"]


@dataclass(frozen=True, eq=False)
class AlignedDesign:
    """A design matrix whose rows are in the order of the maps.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row a map.
    labels : list of str or None
        The subject of each row; None if neither maps nor rows have labels.
    in_order : bool
        Whether maps and rows are in the user's order.
    maps_have_labels : bool
        Whether the maps came with labels, so that numbers may be labels too.
    are_subjects : bool, default=True
        Whether the labels are surely of subjects, and not of conditions or anything else.
    visits : list of str, optional
        The visit of each row, if the input says it.
    given : list of int, optional
        The number of each map among the maps as they were given; by default the same.
    files : list, optional
        The path of each map, None for a map without one, if the input says it.
    """

    frame: pd.DataFrame
    labels: list[str] | None
    in_order: bool
    maps_have_labels: bool
    are_subjects: bool = True
    visits: list[str] | None = None
    given: list[int] | None = None
    files: list[Any] | None = None

    @property
    def subjects(self) -> list[str] | None:
        """The subject of each row; None if it is not known."""
        return self.labels if self.are_subjects else None

    @property
    def image_names(self) -> list[str] | None:
        """What messages call the image of each row; None if neither maps nor rows have labels."""
        return None if self.labels is None else image_names(self.labels, self.visits)

    def align(self, values: Any, argument: str) -> Any:
        """Put one value a map, such as its exchangeability block, in the order of the rows."""
        import pandas as pd

        if values is None:
            return None
        if isinstance(values, pd.DataFrame):
            values = labelled(values)
        if isinstance(values, pd.Series | pd.DataFrame) and self.labels is not None:
            found = row_labels(
                values.index, self.labels, argument, all_maps=not self.maps_have_labels
            )
            if found is not None:
                wanted = self.labels
                if not self.maps_have_labels:  # the labels come from file names or rows
                    found, wanted = _plain(found), _plain(wanted)
                own = values.iloc[self._rows(found, wanted, argument)]
                return own.tolist() if isinstance(own, pd.Series) else own.to_numpy().tolist()
        if not self.in_order:
            raise ArgumentError.about(
                argument,
                f"second_level_input is sorted by subject_label, but {argument} has no labels to "
                "be sorted by: give a pandas Series indexed by subject label",
            )
        return values

    def _rows(self, found: Sequence[str], wanted: Sequence[str], argument: str) -> list[int]:
        """Return the place, among labelled values, of each map's value."""
        if self.given is not None:  # the values of a subject's maps may be in the maps' order
            as_given = sorted(range(len(self.given)), key=self.given.__getitem__)
            if list(found) == [wanted[place] for place in as_given]:
                return self.given
        return match_rows(found, wanted, argument, may_have_more=True)


def image_names(labels: Sequence[str], visits: Sequence[str] | None = None) -> list[str]:
    """Return what messages call images: by label, by label and visit, or by row where they must.

    Examples
    --------
    >>> image_names(["01", "02", "02"], ["a", "a", "b"])
    ["'01'", "'02' at 'a'", "'02' at 'b'"]
    >>> image_names(["01", "02", "02"])
    ["'01'", "row 2 ('02')", "row 3 ('02')"]
    """
    counts = Counter(labels)
    visited = None if visits is None else list(zip(labels, visits, strict=True))
    if visited is not None and len(set(visited)) < len(visited):
        visited = None
    names = []
    for place, label in enumerate(labels):
        name = in_quotes(label)
        if counts[label] > 1 and visited is not None:
            name += f" at {in_quotes(visited[place][1])}"
        elif counts[label] > 1:
            name = f"row {place + 1} ({name})"
        names.append(name)
    return names


def _plain(labels: Sequence[str]) -> list[str]:
    return [plain_label(label) for label in labels]


def align_design(
    design_matrix: pd.DataFrame | str | os.PathLike[str] | None,
    confounds: pd.DataFrame | None,
    labels: list[str],
    *,
    was_sorted: bool = True,
    given: list[int] | None = None,
    visits: list[str] | None = None,
    may_repeat: bool = False,
) -> AlignedDesign:
    """Put the rows of a design matrix in the order of the maps.

    Rows are matched by a column ``subject_label`` or ``participant_id``, which is not part of the
    model, or by an index of labels: an index of that name, of text, or of numbers that label maps.
    Rows without labels keep their order, which is allowed only if the maps kept theirs: otherwise
    each subject would silently get another subject's row.

    Parameters
    ----------
    design_matrix, confounds
        As the user gave them.
    labels : list of str
        The subject of each map.
    was_sorted : bool
        Whether the maps were given in this order.
    given : list of int, optional
        The number of each map among the maps as they were given; by default the same.
    visits : list of str, optional
        The visit of each map, if it is known.
    may_repeat : bool
        Whether a subject may have several maps without a design that says so.
    """
    given = list(range(len(labels))) if given is None else given
    if design_matrix is None:
        if confounds is not None:
            confound_names(confounds)
        if not may_repeat:
            _refuse_repeated(labels)
        made = make_second_level_design_matrix(labels, confounds)
        return AlignedDesign(
            made, labels, was_sorted, maps_have_labels=True, visits=visits, given=given
        )
    frame, row_visits = without_visits(load_design_matrix(design_matrix))
    found = row_labels(frame.index, labels, "design_matrix")
    if found is not None:
        try:
            rows = match_maps(
                found, labels, frame, given=given, row_visits=row_visits, map_visits=visits
            )
        except ArgumentError as error:
            raise _with_way_out(error, frame) from None
        in_order = was_sorted and rows == list(range(len(rows)))
        ordered = frame.iloc[rows].reset_index(drop=True)
        if visits is None and row_visits is not None:
            visits = [row_visits[row] for row in rows]
        return AlignedDesign(
            ordered, labels, in_order, maps_have_labels=True, visits=visits, given=given
        )
    if not was_sorted:
        raise ArgumentError.about(
            "design_matrix",
            "second_level_input is not sorted by subject_label, and its maps are sorted before the "
            "fit, but design_matrix has no labels to be sorted by: give it a 'subject_label' "
            "column or an index of subject labels, or sort both by subject_label",
        )
    return AlignedDesign(
        frame, labels, in_order=True, maps_have_labels=True, visits=visits or row_visits
    )


def _way_out(frame: pd.DataFrame) -> str:
    """Return how to match by order, if the index may not hold labels."""
    if frame.index.name == LABEL:
        return ""
    return (
        ". If the index of design_matrix does not hold subject labels, and its rows are in the "
        "order of the maps, take the index off: design_matrix.reset_index(drop=True)"
    )


def _with_way_out(error: ArgumentError, frame: pd.DataFrame) -> ArgumentError:
    remedy = error.remedy + _way_out(frame)
    return ArgumentError.about(error.argument, error.found, remedy)


def _refuse_repeated(labels: Sequence[str]) -> None:
    n = len(set(labels))
    if n == len(labels):
        return
    twice = next(label for place, label in enumerate(labels) if label in labels[:place])
    raise ArgumentError(
        "second_level_input",
        f"{len(labels)} maps of {n} subjects: subject {twice!r} has "
        f"{labels.count(twice)}. Without a design they would count as independent. Give "
        + named("model", "repeated measures")
        + ", one map a subject (such as their mean or difference), a design_matrix with a column "
        "for each subject, or exchangeability_blocks of a permutation test",
        verb="has",
    )


def align_to_names(frame: pd.DataFrame, names: Sequence[str | None]) -> AlignedDesign:
    """Match the rows of a design matrix with images by the labels in the images' names, if any."""
    wanted = [name for name in names if name is not None]
    found = row_labels(frame.index, wanted, "design_matrix", all_maps=True)
    if found is None or not wanted:
        every = wanted if len(wanted) == len(names) > 0 else None
        return AlignedDesign(frame, found or every, in_order=True, maps_have_labels=False)
    rows = _plain(found)
    if len(frame) != len(names) and len(wanted) < len(names):
        return AlignedDesign(frame, found, in_order=True, maps_have_labels=False)  # refused later
    if len(set(wanted)) == len(names):
        try:
            order = match_rows(rows, wanted, "design_matrix")
        except ArgumentError as error:
            raise _with_way_out(error, frame) from None
        in_order = order == list(range(len(order)))
        return AlignedDesign(frame.iloc[order], wanted, in_order, maps_have_labels=False)
    # Some subjects have several images, or some images no label: the known labels must agree.
    for place, (row, name) in enumerate(zip(rows, names, strict=False), start=1):
        if name is not None and row != name:
            near = " (nearly the same)" if label_key(row) == label_key(name) else ""
            raise ArgumentError.about(
                "design_matrix",
                f"image {place} of second_level_input is of subject {name!r}, as its name says, "
                f"but row {place} of design_matrix is labelled {found[place - 1]!r}{near}",
                f"bring both into one order{_way_out(frame)}",
            )
    return AlignedDesign(frame, rows, in_order=True, maps_have_labels=False)
