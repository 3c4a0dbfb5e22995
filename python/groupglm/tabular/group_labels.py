# SPDX-License-Identifier: BSD-3-Clause
"""Labels of the groups to which images belong: numbers, texts, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, shown
from groupglm.runtime.naming import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_labels", "is_table", "label_texts", "refuse_no_labels"]


def check_labels(labels: Any, n: int, name: str) -> NDArray[np.int64]:
    """Replace the labels of rows by numbers from 0.

    Shapes: `labels` (n,); returns (n,).
    """
    return _factorized(labels, n, name)[0]


def label_texts(labels: Any, n: int, name: str) -> tuple[str, ...]:
    """Return the labels of rows as text: 1 and "1" are the same label.

    Shapes: `labels` (n,); returns n texts.
    """
    numbers, kinds = _factorized(labels, n, name)
    texts = [str(kind) for kind in kinds]
    return tuple(texts[number] for number in numbers)


def is_table(labels: Any) -> bool:
    """Return whether labels have rows and columns; a ragged list has none."""
    try:
        return np.ndim(labels) == 2
    except Exception:
        return False


def refuse_no_labels(labels: Any, name: str) -> None:
    """Refuse what holds no labels, or misses one, while the number of rows is not known."""
    if labels is not None and (isinstance(labels, str) or np.ndim(labels) == 0):
        # Of a mapping too, whose order no image knows.
        raise ArgumentError(name, shown(labels), "a list of labels, one for each image")
    if labels is not None:
        _factorized(labels, len(labels), name)


def _factorized(labels: Any, n: int, name: str) -> tuple[NDArray[np.int64], list[Any]]:
    import pandas as pd

    if isinstance(labels, np.ma.MaskedArray):
        labels = labels.tolist()  # a masked label becomes None, a missing label
    try:
        values = pd.Series(labels) if np.ndim(labels) == 1 else None
    except Exception as error:  # a ragged list, or one larger than the memory
        raise ArgumentError(
            name, shown(labels), f"a list of {n} labels, one for each image"
        ) from error
    if values is None or len(values) != n:
        raise ArgumentError(
            name, f"shape {np.shape(labels)}", f"({n},), one label for each image", verb="has"
        )
    if values.isna().any():
        row = int(np.argmax(values.isna())) + 1
        raise ArgumentError(
            name,
            f"a missing label in row {row}",
            remedy="fill it in, or leave the image out",
            verb="has",
        )
    blank = np.array([isinstance(label, str) and not label.strip() for label in values])
    if blank.any():
        rows = [str(row) for row in np.flatnonzero(blank) + 1]
        raise ArgumentError(
            name,
            f"an empty label in row {rows[0]}"
            if len(rows) == 1
            else f"empty labels in rows {listed(rows, 8)}",
            remedy="fill it in, or leave the image out",
            verb="has",
        )
    numbers, kinds = pd.factorize(values)
    return np.asarray(numbers, dtype=np.int64), list(kinds)
