# SPDX-License-Identifier: BSD-3-Clause
"""Rows of values spread over all vertices of a hemisphere: `values_of_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["values_of_rows"]


def values_of_rows(
    rows: NDArray[Any],
    vertices: NDArray[np.int64] | None,
    n_vertices: int,
    dtype: DTypeLike | None,
) -> NDArray[Any]:
    """Return one row or several over all vertices, zero outside.

    Without a `dtype` they are float32, or float64 where a finite value would leave float32's range.
    Shapes: `rows` (..., n_values), `vertices` (n_values,); the result (..., n_vertices).
    """
    shape = (*rows.shape[:-1], n_vertices)
    if dtype is not None or rows.dtype not in (np.float32, np.float64):
        found = np.zeros(shape, np.float32 if dtype is None else dtype)
        found[..., slice(None) if vertices is None else vertices] = rows
        return found
    single = np.empty(shape, np.float32)
    each = np.ascontiguousarray(rows).reshape(-1, rows.shape[-1])
    # The core's own rule of what float32 can hold, which volumes use too.
    if all(
        _core.narrow(row, out) if vertices is None else _core.scatter(row, vertices, out)
        for row, out in zip(each, single.reshape(-1, n_vertices), strict=True)
    ):
        return single
    return values_of_rows(rows, vertices, n_vertices, np.float64)
