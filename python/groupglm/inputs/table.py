# SPDX-License-Identifier: BSD-3-Clause
"""Tables of maps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.errors import ArgumentError, shown
from groupglm.messages import argument, either
from groupglm.tabular.labels import LABEL, refuse_twin_labels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "MapTable"]

COLUMNS = (LABEL, "map_name", "effects_map_path")

_TABLE = either("second_level_input", "it")  # the command line names the file


@dataclass(frozen=True)
class MapTable:
    """A table with one row a map, sorted by subject.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``subject_label``, ``map_name`` and ``effects_map_path``, sorted by the first.
    sorted_kinds : frozenset of str
        The map names whose rows were given in that order.
    positions : array of int, shape (n_rows,)
        The number of each row in the table as it was given.
    """

    frame: pd.DataFrame
    sorted_kinds: frozenset[str]
    positions: NDArray[np.int64]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> MapTable:
        """Check a table and sort it by subject, as the documented interface says."""
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise ArgumentError.about(
                "second_level_input",
                either("'second_level_input' DataFrame", "it")
                + " must have columns 'subject_label', 'map_name' and "
                "'effects_map_path'",
                f"{', '.join(map(repr, missing))} missing, found "
                f"{', '.join(repr(str(name)) for name in frame.columns)}",
            )
        counts = Counter(frame.columns)
        repeated = [name for name in COLUMNS if counts[name] > 1]
        if repeated:
            raise ArgumentError.about(
                "second_level_input",
                _TABLE + f" has more than one column {', '.join(map(repr, repeated))}",
                "rename them, or drop the copies",
            )
        labels = frame[LABEL].tolist()
        for row, label in enumerate(labels, start=1):
            if not isinstance(label, str):
                raise ArgumentError.about(
                    "second_level_input",
                    f"'subject_label' column must contain only strings; row {row} holds {label!r}",
                    ("read the table with dtype={'subject_label': str}, which keeps leading zeros"),
                )
        refuse_twin_labels(labels, _TABLE)
        if len(labels) < 2:
            raise ArgumentError.about(
                "second_level_input",
                _TABLE + f" has {len(labels)} rows",
                "a model needs at least 2",
            )
        nameless = np.flatnonzero(frame["map_name"].isna())
        if nameless.size:
            raise ArgumentError.about(
                "second_level_input",
                _TABLE + f" has no map_name in row {nameless[0] + 1}",
                "name the map of each row",
            )
        kinds: dict[str, list[str]] = {}
        for label, name in zip(labels, frame["map_name"], strict=True):
            kinds.setdefault(str(name), []).append(label)
        in_order = frozenset(name for name, given in kinds.items() if given == sorted(given))
        ordered = frame.reset_index(drop=True).sort_values(LABEL, kind="stable")
        positions = ordered.index.to_numpy(dtype=np.int64)
        return cls(ordered.reset_index(drop=True), in_order, positions)

    def was_sorted(self, map_name: str) -> bool:
        """Return whether the maps of a name were given in the order of their subjects."""
        return map_name in self.sorted_kinds

    def given_order(self, map_name: str) -> list[int]:
        """Return the number of each map of a name among these maps as they were given."""
        own = self.positions[(self.frame["map_name"].astype(str) == map_name).to_numpy()]
        order: list[int] = np.argsort(np.argsort(own)).tolist()
        return order

    @property
    def map_names(self) -> list[str]:
        """The distinct map names, in order of appearance."""
        return [str(name) for name in self.frame["map_name"].unique()]

    def select(self, first_level_contrast: str | None) -> pd.DataFrame:
        """Choose the maps of one first-level contrast."""
        names = self.map_names
        listed = ", ".join(map(repr, names))
        if first_level_contrast is None:
            if len(names) > 1:
                raise ArgumentError.about(
                    "first_level_contrast",
                    _TABLE + f" has {len(names)} kinds of maps ({listed})",
                    "choose one with " + argument("first_level_contrast"),
                )
            return self.frame
        if first_level_contrast not in names:
            raise ArgumentError(
                "first_level_contrast",
                f"{shown(first_level_contrast)}, but the column map_name of "
                + _TABLE
                + f" has {listed}",
            )
        chosen = self.frame[self.frame["map_name"] == first_level_contrast]
        return chosen.reset_index(drop=True)
