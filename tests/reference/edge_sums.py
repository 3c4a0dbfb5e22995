# SPDX-License-Identifier: BSD-3-Clause
"""Sums over rows at the ends of edges, one after the other."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

__all__ = ["edge_sums"]


def edge_sums(
    rows: NDArray[Any], edges: NDArray[Any]
) -> tuple[list[float], list[float], list[bool]]:
    """Return sums of squares, sums of products, and whether a row lacks one end of an edge only."""
    values = [[float(value) for value in row] for row in rows]
    squares = [
        math.fsum(row[place] ** 2 for row in values if not math.isnan(row[place]))
        for place in range(rows.shape[1])
    ]
    products, differs = [], []
    for one, other in edges.T.tolist():
        pairs = [(row[one], row[other]) for row in values]
        products.append(math.fsum(a * b for a, b in pairs if not math.isnan(a * b)))
        differs.append(any(math.isnan(a) != math.isnan(b) for a, b in pairs))
    return squares, products, differs
