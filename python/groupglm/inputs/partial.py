# SPDX-License-Identifier: BSD-3-Clause
"""Leave out subjects that lack a map, a row or a value, if the user asks for it: `leave_out`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.matrix import load_design_matrix
from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.inputs.beside import COLUMNS
from groupglm.inputs.first_level import are_first_level_models
from groupglm.inputs.visits import visits_in_names, visits_in_table, without_visits
from groupglm.messages import argument
from groupglm.runtime.naming import listed
from groupglm.tabular.covariates import is_missing
from groupglm.tabular.labels import LABEL, near_labels, near_words, plain_label, row_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.inputs.beside import Beside

__all__ = ["leave_out"]


def leave_out(
    given: Any,
    subjects: Sequence[str | None],
    confounds: pd.DataFrame | None,
    design_matrix: Any,
    beside: Beside | None = None,
) -> tuple[Any, pd.DataFrame | None, Any, Beside | None]:
    """Leave out maps and rows without counterpart, and subjects that lack a value or an image."""
    if beside is not None:
        given, subjects, beside = _complete(given, subjects, beside)
    if design_matrix is not None:
        frame = load_design_matrix(design_matrix)
        keep, frame = _with_design(given, subjects, frame)
        return _chosen(given, keep), confounds, frame, beside and beside.chosen(keep)
    if confounds is None:
        return given, confounds, design_matrix, beside
    labels = confounds[LABEL].tolist() if LABEL in confounds.columns else []
    incomplete = _incomplete(confounds)
    known, told = _kept(given, subjects, labels, incomplete, "confounds")
    keep = np.array([subject in known for subject in subjects])
    given = _chosen(given, keep)
    _tell(told)
    confounds = confounds[[label in known for label in labels]]
    return given, confounds, None, beside and beside.chosen(keep)


def _complete(
    given: Any, subjects: Sequence[str | None], beside: Beside
) -> tuple[Any, Sequence[str | None], Beside]:
    """Leave out the maps of subjects that lack a variance, a weight or a covariate."""
    lacking = beside.lacking(subjects)
    if hasattr(given, "columns"):
        for role in beside.roles:
            column = COLUMNS.get(role)
            if column in given.columns:
                without = is_missing(given[column])
                names = {str(label) for label in given[LABEL][without]}
                lacking |= {f"without a file in {column}": names} if names else {}
    keep = np.array([not any(str(x) in who for who in lacking.values()) for x in subjects])
    if not lacking:
        return given, subjects, beside
    if not keep.any():
        raise ArgumentError.about(
            "allow_partial", f"no subject is left: {'; '.join(lacking)} are all of them"
        )
    _tell([f"{words}: {listed(sorted(who))}" for words, who in lacking.items()])
    left = [subject for subject, kept in zip(subjects, keep, strict=True) if kept]
    return _chosen(given, keep), left, beside.chosen(keep)


def _with_design(
    given: Any, subjects: Sequence[str | None], frame: pd.DataFrame
) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Return which maps are kept, and the rows that are."""
    is_table = hasattr(given, "columns")
    maps_have_labels = is_table or are_first_level_models(given)
    incomplete = _incomplete(frame)
    known_labels = [str(label) for label in subjects if label is not None]
    labels = row_labels(frame.index, known_labels, "design_matrix", all_maps=not maps_have_labels)
    if labels is not None and all(subject is not None for subject in subjects) and len(subjects):
        same: Callable[[str], str] = str if maps_have_labels else plain_label
        rows, maps = [same(label) for label in labels], [same(str(x)) for x in subjects]
        rows, maps = _told_apart(given, rows, maps, without_visits(frame)[1])
        known, told = _kept(given, maps, rows, incomplete, "design_matrix")
        _tell(told)
        keep = np.array([label in known for label in maps])
        return keep, frame[[label in known for label in rows]]
    if not incomplete.any():
        return np.ones(len(subjects), np.bool_), frame
    if is_table or len(frame) != len(subjects):
        raise ArgumentError.about(
            "design_matrix",
            argument("design_matrix")
            + " lacks values, and no labels say whose: "
            + argument("allow_partial", True)
            + " needs an index of subject labels, or a list with an image for each row",
        )
    places = [str(place) for place in np.flatnonzero(incomplete) + 1]
    _tell([f"number {listed(places)}, without a value in design_matrix"])
    return ~incomplete, frame[~incomplete]


def _told_apart(
    given: Any, rows: list[str], maps: list[str], row_visits: list[str] | None
) -> tuple[list[str], list[str]]:
    """Return labels of rows and maps that tell the visits of a subject apart, if it has several.

    By visits that both have, or else by their order, if rows and maps are of the same subjects in
    the same order. Otherwise a subject is left out as a whole.
    """
    is_table = hasattr(given, "columns")
    kinds = given["map_name"].astype(str).tolist() if is_table else [""] * len(maps)
    if len(set(zip(kinds, maps, strict=True))) == len(maps):
        return rows, maps
    if is_table:
        map_visits = visits_in_table(given, maps)
        map_visits = map_visits or visits_in_names(given["effects_map_path"].tolist(), maps)
    else:
        paths = [item if isinstance(item, str | PathLike) else None for item in given]
        map_visits = visits_in_names(paths, maps)
    if row_visits is not None and map_visits is not None:
        visits = row_visits, map_visits
    elif rows == maps:
        visits = _numbered(rows), _numbered(maps)
    else:
        return rows, maps
    both = zip((rows, maps), visits, strict=True)
    one, other = (
        [f"{label} at visit {visit}" for label, visit in zip(*own, strict=True)] for own in both
    )
    return one, other


def _numbered(labels: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(f"number {seen[label]}")
    return found


def _incomplete(table: pd.DataFrame) -> NDArray[np.bool_]:
    columns = [is_missing(table.iloc[:, j]) for j in range(table.shape[1])]
    lacking: NDArray[np.bool_] = np.any(columns, axis=0)
    return lacking


def _kept(
    given: Any,
    maps: Sequence[str | None],
    rows: Sequence[str],
    incomplete: NDArray[np.bool_],
    argument: str,
) -> tuple[set[str], list[str]]:
    """Return the subjects that have everything, and a text that names those left out."""
    with_maps = {str(label) for label in maps}
    partly: set[str] = set()
    if hasattr(given, "columns"):
        kinds = given["map_name"].astype(str)
        by_kind = [
            {str(label) for label, is_own in zip(maps, kinds == kind, strict=True) if is_own}
            for kind in kinds.unique()
        ]
        partly = {label for label in with_maps if not all(label in kind for kind in by_kind)}
    lacking = {row for row, lacks in zip(rows, incomplete, strict=True) if lacks}
    with_rows = set(rows)
    reasons = {
        f"without a row in {argument}": with_maps - with_rows,
        f"without a value in {argument}": (lacking & with_maps),
        "without a map": with_rows - with_maps,
        "without each kind of map": partly & with_rows,
    }
    kept = (with_maps & with_rows) - lacking - partly
    if not kept:
        raise ArgumentError.about(
            argument,
            f"no subject has a map and a complete row in {argument}",
            f"the maps are of {listed(sorted(with_maps))}, the rows of {listed(sorted(with_rows))}",
        )
    told = [f"{words}: {listed(sorted(who))}" for words, who in reasons.items() if who]
    near = near_words(near_labels(sorted(with_maps - with_rows), sorted(with_rows - with_maps)))
    return kept, [*told[:-1], told[-1] + near] if told else []


def _chosen(given: Any, keep: Sequence[bool] | NDArray[np.bool_]) -> Any:
    """Return the rows, models or images that are kept."""
    if all(keep):
        return given
    if hasattr(given, "loc"):  # a table, or a Series
        return given[np.asarray(keep, dtype=bool)]
    if not isinstance(given, list | tuple | np.ndarray):
        raise ArgumentTypeError.about(
            "allow_partial",
            argument("allow_partial", True) + " cannot leave out a volume of a 4-D image",
            "give a list of images",
        )
    return [item for item, kept in zip(given, keep, strict=True) if kept]


def _tell(told: Sequence[str]) -> None:
    if told:
        warn_caller(f"left out subjects {'; '.join(told)}")
