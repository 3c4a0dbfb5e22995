# SPDX-License-Identifier: BSD-3-Clause
"""Leave out subjects that lack a map, a row or a value, if the user asks for it: `leave_out`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.matrix import load_design_matrix
from groupglm.errors import ArgumentError, ArgumentTypeError, warn_caller
from groupglm.inputs.first_level import are_first_level_models
from groupglm.messages import argument
from groupglm.runtime.naming import listed
from groupglm.tabular.covariates import is_missing
from groupglm.tabular.labels import LABEL, near_labels, near_words, plain_label, row_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["leave_out"]


def leave_out(
    given: Any,
    subjects: Sequence[str | None],
    confounds: pd.DataFrame | None,
    design_matrix: Any,
) -> tuple[Any, pd.DataFrame | None, Any]:
    """Leave out maps and rows without counterpart, and subjects that lack a value."""
    if design_matrix is not None:
        frame = load_design_matrix(design_matrix)
        return _with_design(given, subjects, confounds, frame)
    if confounds is None:
        return given, confounds, design_matrix
    labels = confounds[LABEL].tolist() if LABEL in confounds.columns else []
    incomplete = _incomplete(confounds)
    known, told = _kept(given, subjects, labels, incomplete, "confounds")
    given = _chosen(given, [subject in known for subject in subjects])
    _tell(told)
    return given, confounds[[label in known for label in labels]], None


def _with_design(
    given: Any, subjects: Sequence[str | None], confounds: Any, frame: pd.DataFrame
) -> tuple[Any, Any, pd.DataFrame]:
    is_table = hasattr(given, "columns")
    maps_have_labels = is_table or are_first_level_models(given)
    incomplete = _incomplete(frame)
    known_labels = [str(label) for label in subjects if label is not None]
    labels = row_labels(frame.index, known_labels, "design_matrix", all_maps=not maps_have_labels)
    if labels is not None and all(subject is not None for subject in subjects) and len(subjects):
        same: Callable[[str], str] = str if maps_have_labels else plain_label
        rows, maps = [same(label) for label in labels], [same(str(x)) for x in subjects]
        known, told = _kept(given, maps, rows, incomplete, "design_matrix")
        _tell(told)
        given = _chosen(given, [label in known for label in maps])
        return given, confounds, frame[[label in known for label in rows]]
    if not incomplete.any():
        return given, confounds, frame
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
    return _chosen(given, ~incomplete), confounds, frame[~incomplete]


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
        by_kind = [{str(x) for x in given[LABEL][kinds == kind]} for kind in kinds.unique()]
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
