# SPDX-License-Identifier: BSD-3-Clause
"""Whether a design leaves what the variances of subjects and families are estimated from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.design.collinearity import quote_names
from groupglm.errors import ArgumentError
from groupglm.runtime.naming import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["SMALLEST_SHARE", "n_varying", "of_no_residual"]

SMALLEST_SHARE = 1e-10
"""Below this share of a column, what differs within subjects counts as nothing.

`cpp/src/models/varying_columns.hpp` says why, and has the same rule for the images of a voxel.
"""


def n_varying(basis: Floats, number: Integers) -> int:
    """Return how many dimensions of a design differ between rows of the same number.

    Shapes: `basis` (n_images, rank), orthonormal; `number` (n_images,), from 0 without gaps.

    Examples
    --------
    >>> one, time = np.full(4, 0.5), np.array([-0.5, 0.5, -0.5, 0.5])
    >>> n_varying(np.column_stack([one, time]), np.array([0, 0, 1, 1]))
    1
    """
    means = np.zeros((int(number.max()) + 1, basis.shape[1]))
    np.add.at(means, number, basis)
    left = basis - (means / np.bincount(number)[:, None])[number]
    return int(np.count_nonzero(np.linalg.svd(left, compute_uv=False) ** 2 > SMALLEST_SHARE))


def of_no_residual(X: Floats, number: Integers, column_names: tuple[str, ...]) -> ArgumentError:
    """Return the error for a design that leaves nothing of what differs within subjects."""
    first = np.unique(number, return_index=True)[1]
    differs = (X[first][number] != X).any(axis=0)
    names = [name for name, own in zip(column_names, differs, strict=True) if own]
    left = len(X) - len(first)
    takes = (
        f"column {quote_names(names)} takes"
        if len(names) == 1
        else (f"columns {quote_names(names)} take")
    )
    return ArgumentError.about(
        "design_matrix",
        "the design matrix and the levels of the subjects leave no residual degree of freedom: "
        f"{len(X)} images of {len(first)} subjects have {counted(left, 'difference')} within "
        f"subjects, which the {takes} up",
        "give more images of a subject, or drop columns that differ between its images",
    )
