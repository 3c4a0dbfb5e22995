# SPDX-License-Identifier: BSD-3-Clause
"""Several images of one subject do not count as images of several subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError
from groupglm.messages import argument, either

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.messages import Text

__all__ = ["have_levels", "refuse_repeated_subjects"]


def refuse_repeated_subjects(
    labels: Sequence[str] | None,
    design: ArrayLike,
    *,
    images: str | Text | None = None,
    matrix: str | Text | None = None,
) -> None:
    """Refuse images of a subject that count as independent, as no columns stand for subjects.

    `labels` holds the subject of each row, None if it is unknown. Least squares assumes that what
    the design leaves is independent. This can be true for a subject's images if the design can give
    them a level of their own: if their indicator is a combination of columns.

    Raises
    ------
    ArgumentError
        About ``design_matrix``.
    """
    if labels is None or len(labels) != np.shape(design)[0]:
        return
    subjects, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if _have_levels(design, place == several[:, None]):
        return
    most = several[np.argmax(counts[several])]
    remedy = "give " + (
        argument("model", "repeated measures")
        if images is None
        else either("fit_repeated with the subject of each row", "")
    )
    raise ArgumentError.about(
        "design_matrix",
        (images or either("second_level_input", "the study"))
        + f" has {len(labels)} images of {len(subjects)} subjects ({counts[most]} of subject "
        f"{str(subjects[most])!r}), and "
        + (matrix or argument("design_matrix"))
        + " has no columns for the subjects: the images would count as independent, and p-values "
        "would be wrong where a subject's images resemble each other",
        remedy=remedy
        + ", one image a subject (such as their mean or difference), a column for each subject, or "
        + either("", "groupglm permute with ")
        + argument("exchangeability_blocks")
        + either(" of a permutation test", ""),
    )


def _have_levels(design: ArrayLike, images: NDArray[np.bool_]) -> bool:
    """Return whether each row of `images` (n_subjects, n_images) is a combination of columns."""
    if not len(images):
        return True
    try:
        X = np.asarray(design, dtype=np.float64)
    except (TypeError, ValueError):
        return True  # such a design is refused elsewhere
    if X.ndim != 2 or not np.isfinite(X).all():
        return True
    if X.shape[1] < len(images):
        return False
    lengths = np.linalg.norm(X, axis=0)
    X = X / np.where(lengths > 0, lengths, 1)
    wanted = (images / np.linalg.norm(images, axis=1, keepdims=True)).T
    left = wanted - X @ np.linalg.lstsq(X, wanted, rcond=_core.RANK_TOLERANCE)[0]
    return bool(np.linalg.norm(left, axis=0).max() <= _core.ESTIMABLE_TOLERANCE)


def have_levels(labels: Sequence[str], design: ArrayLike) -> bool:
    """Return whether the design can give each subject with several rows a level of its own."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return _have_levels(design, place == np.flatnonzero(counts > 1)[:, None])
