# SPDX-License-Identifier: BSD-3-Clause
"""The type of the values in an image of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["narrowed"]


def narrowed(row: NDArray[np.float64]) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return a row of results as the image that a space makes of it holds the values.

    Shapes: `row` (n_values,).

    Examples
    --------
    >>> narrowed(np.array([0.1, 2.0])).dtype, narrowed(np.array([0.1, 1e300])).dtype
    (dtype('float32'), dtype('float64'))
    """
    single = np.empty(len(row), np.float32)
    # The core's own rule, which images use too.
    fits = _core.narrow(np.ascontiguousarray(row), single)
    return single if fits else row
