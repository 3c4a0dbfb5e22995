# SPDX-License-Identifier: BSD-3-Clause
"""A contrast and the constant that it is tested against: ``age = 0.5``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groupglm.design.contrasts import contrast_matrix
from groupglm.design.weights_in_words import describe_weights
from groupglm.errors import ArgumentError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Hypothesis", "read_hypothesis", "split_constant"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """The null hypothesis that a contrast of the coefficients has some value.

    Parameters
    ----------
    weights : array, shape (n_columns,) or (n_rows, n_columns)
        The contrast.
    null_value : float
        The value under the null hypothesis, in the units of the contrast. 0 for several rows.
    """

    weights: NDArray[np.float64]
    null_value: float = 0.0

    def in_words(self, columns: list[str]) -> str:
        """Return it as a user writes it: ``patient - control``, ``age = 0.5``."""
        words = describe_weights(self.weights, columns)
        return f"{words} = {self.null_value!r}" if self.null_value else words


def read_hypothesis(contrast: Any, columns: Sequence[object]) -> Hypothesis:
    """Return a contrast as `contrast_matrix` reads it, and the constant after its equals sign.

    Examples
    --------
    >>> read_hypothesis("2*age = 0.5", ["age", "sex"])
    Hypothesis(weights=array([2., 0.]), null_value=0.5)
    """
    if isinstance(contrast, (list, tuple)):
        if len(contrast) == 1 and isinstance(contrast[0], str):
            return read_hypothesis(contrast[0], columns)  # one row is one contrast
        for row in contrast:
            if isinstance(row, str) and split_constant(row, columns)[1]:
                raise _of_several(row)
    if not isinstance(contrast, str):
        return Hypothesis(contrast_matrix(contrast, columns))
    text, value = split_constant(contrast, columns)
    weights = contrast_matrix(text, columns)
    if value and weights.ndim == 2:
        if len(weights) > 1:
            raise _of_several(contrast)
        weights = weights[0]
    return Hypothesis(weights, value)


def split_constant(text: str, columns: Sequence[object]) -> tuple[str, float]:
    """Return a contrast's text without a constant that it is compared with, and the constant.

    Examples
    --------
    >>> split_constant("age = 0.5", ["age"]), split_constant("age=0.5", ["age=0.5"])
    (('age', 0.5), ('age=0.5', 0.0))
    """
    left, equals, right = text.rpartition("=")
    if not equals or text.strip() in map(str, columns):
        return text, 0.0
    left = left.rstrip().removesuffix("=").strip()
    try:
        value = float(right)  # of a number alone; a column is no number
    except ValueError:
        return text, 0.0
    if not left or "_" in right:
        return text, 0.0
    if not math.isfinite(value):
        raise ArgumentError.about(
            "contrast",
            f"The contrast {shown(text)} is compared with {value:g}",
            "give a finite constant, such as 'age = 0.5'.",
        )
    return left, value


def _of_several(text: str) -> ArgumentError:
    return ArgumentError.about(
        "contrast",
        f"The contrast {shown(text)} compares one of several rows with a constant other than 0, "
        "but an F contrast tests whether all its rows are 0",
        "test each row by itself: 'age = 0.5' is a t test.",
    )
