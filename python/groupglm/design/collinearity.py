# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a matrix that depend on each other, in words.

The compiled core decides the rank, and whether a contrast can be estimated. This module only finds
the names for an error or a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupglm import _core
from groupglm.errors import in_quotes

__all__ = [
    "confounded_columns",
    "describe_contrast",
    "describe_dependence",
    "quote_names",
    "variance_inflation",
]

FloatArray = NDArray[np.float64]

_MAX_LISTED = 8

# The compiled core's rules, on columns of unit length. The second also replaces the first where a
# matrix is at the limit of the first.
_RANK_TOLERANCE = _core.RANK_TOLERANCE
_LOOSE_TOLERANCE = _core.ESTIMABLE_TOLERANCE


class _Circuit(NamedTuple):
    """A smallest set of dependent columns: the unit-length columns times ``weights`` sum to 0."""

    weights: FloatArray  # (n_columns,), zero outside the set
    members: tuple[int, ...]


def describe_dependence(X: ArrayLike, names: Sequence[str]) -> str:
    """Name sets of columns of a matrix that are linearly dependent.

    Shapes: `X` (n_rows, n_columns).

    Examples
    --------
    >>> X = [[1, 0, 1], [1, 0, 1], [0, 1, 1]]
    >>> describe_dependence(X, ["a", "b", "intercept"])
    "columns 'a', 'b' and 'intercept' are linearly dependent"
    """
    X = np.asarray(X, dtype=np.float64)
    clauses = []
    circuits = _circuits(X)
    for circuit in circuits[:3]:
        members = [names[j] for j in circuit.members]
        if len(members) == 1:
            clauses.append(f"column {quote_names(members)} is zero throughout")
        else:
            clauses.append(f"columns {quote_names(members)} are linearly dependent")
    if len(circuits) > 3:
        clauses.append(f"{len(circuits) - 3} more columns depend on those before them")
    if circuits and X.shape[0] < X.shape[1]:
        clauses.append(f"there are fewer rows ({X.shape[0]}) than columns ({X.shape[1]})")
    return "; ".join(clauses)


def variance_inflation(X: ArrayLike) -> FloatArray:
    """Compute the factor by which the other columns inflate each coefficient's variance.

    Shapes: `X` (n_rows, n_columns); returns (n_columns,).

    Notes
    -----
    From the diagonal of (X'X)^-1 (Belsley, Kuh and Welsch, *Regression Diagnostics*, 1980, chapter
    3), by QR of the columns scaled to unit length, as in the fit.

    Examples
    --------
    >>> X = [[1, 0.0], [1, 1.0], [1, 2.0]]
    >>> variance_inflation(X).round(6).tolist()
    [1.0, 1.0]
    """
    values = np.asarray(X, dtype=np.float64)
    unit = np.ascontiguousarray(values / _lengths(values))
    design = _core.Design(unit)
    inflation: FloatArray = (design.gains(np.eye(unit.shape[1])) ** 2).sum(axis=1)
    if design.has_intercept:
        inflation *= ((unit - unit.mean(axis=0)) ** 2).sum(axis=0)
    return np.maximum(inflation, 1.0)


def confounded_columns(X: ArrayLike, names: Sequence[str], contrast: ArrayLike) -> tuple[str, ...]:
    """Name the columns that make a contrast impossible to estimate.

    A contrast can be estimated only if it does not change along any direction in which the fit does
    not change. The columns of the directions along which it does change are returned.

    Shapes: `X` (n_rows, n_columns), `contrast` (n_columns,).

    Examples
    --------
    >>> X = [[1, 0, 1], [1, 0, 1], [0, 1, 1]]
    >>> names = ["a", "b", "intercept"]
    >>> confounded_columns(X, names, [1, 0, 0])
    ('a', 'b', 'intercept')
    >>> confounded_columns(X, names, [1, -1, 0])
    ()
    """
    X = np.asarray(X, dtype=np.float64)
    lengths = _lengths(X)
    rows = np.atleast_2d(np.asarray(contrast, dtype=np.float64)) / lengths
    found: list[_Circuit] = []
    for circuit in _circuits(X):
        bound = np.linalg.norm(rows, axis=1) * np.linalg.norm(circuit.weights)
        if np.any(np.abs(rows @ circuit.weights) > _LOOSE_TOLERANCE * bound):
            found.append(circuit)
    if not found:
        return ()
    smallest = min(found, key=lambda circuit: len(circuit.members))
    return tuple(names[j] for j in smallest.members)


def _lengths(X: FloatArray) -> FloatArray:
    """Return the length of each column, 1 for a column of zeros."""
    # Divided by the largest entry first, so that squares neither overflow nor vanish.
    largest = np.max(np.abs(X), axis=0, initial=0.0)
    largest[largest == 0] = 1.0
    lengths: FloatArray = largest * np.linalg.norm(X / largest, axis=0)
    lengths[lengths == 0] = 1.0
    return lengths


def _circuits(X: FloatArray) -> list[_Circuit]:
    """Return a basis of the null space of the unit-length columns, one circuit a direction."""
    unit = X / _lengths(X)
    circuits = _circuits_within(unit, _RANK_TOLERANCE)
    if circuits or np.linalg.matrix_rank(unit, tol=10 * _RANK_TOLERANCE) == X.shape[1]:
        return circuits
    return _circuits_within(unit, _LOOSE_TOLERANCE)


def _circuits_within(unit: FloatArray, tolerance: float) -> list[_Circuit]:
    n_rows, n_columns = unit.shape
    basis = np.empty((n_rows, min(n_rows, n_columns)))
    kept: list[int] = []
    circuits = []
    for j in range(n_columns):
        rest = unit[:, j]
        for _ in range(2):  # the second removes the first's rounding
            rest = rest - basis[:, : len(kept)] @ (basis[:, : len(kept)].T @ rest)
        length = float(np.linalg.norm(rest))
        if length > tolerance and len(kept) < n_rows:
            basis[:, len(kept)] = rest / length
            kept.append(j)
        else:
            circuits.append(_circuit(unit, kept, j))
    return circuits


def _circuit(unit: FloatArray, kept: Sequence[int], j: int) -> _Circuit:
    """Return the weights of column j in the independent columns before it, which are unique."""
    weights = np.zeros(unit.shape[1])
    if kept and np.any(unit[:, j]):
        weights[list(kept)] = np.linalg.lstsq(unit[:, list(kept)], unit[:, j], rcond=None)[0]
    # Weights that should be zero have the size of rounding, far below this.
    weights[np.abs(weights) <= _LOOSE_TOLERANCE * max(1.0, np.abs(weights).max())] = 0.0
    weights[j] = -1.0
    return _Circuit(weights, tuple(int(k) for k in np.flatnonzero(weights)))


def describe_contrast(weights: ArrayLike, names: Sequence[str]) -> str:
    """Return a contrast as a user would type it: an expression, or numbers if it has many.

    Shapes: `weights` (n_columns,).

    Examples
    --------
    >>> describe_contrast([1, -0.5, 0], ["patient", "control", "age"])
    "'patient - 0.5 control'"
    """
    values = np.asarray(weights, dtype=np.float64)
    involved = np.flatnonzero(values)
    if len(involved) > _MAX_LISTED:
        return str(values.tolist())
    expression = ""
    for k in involved.tolist():
        size = "" if abs(values[k]) == 1 else f"{abs(values[k]):g} "
        expression += f" {'-' if values[k] < 0 else '+'} {size}{names[k]}"
    return f"'{expression.removeprefix(' + ').lstrip()}'"


def quote_names(names: Sequence[object]) -> str:
    """Quote names and join them; the later names of a long list are left out."""
    quoted = [in_quotes(name) for name in names[:_MAX_LISTED]]
    if len(names) > _MAX_LISTED:
        quoted.append(f"{len(names) - _MAX_LISTED} others")
    if len(quoted) < 2:
        return "".join(quoted) or "none"
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"
