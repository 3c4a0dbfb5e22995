# SPDX-License-Identifier: BSD-3-Clause
"""The data of one voxel for a contrast: the adjusted value of each image, and the fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from groupglm import _core
from groupglm.plotting.factors import titles_of
from groupglm.plotting.lines import N_LINE, Line, LinesOf
from groupglm.plotting.place_fit import OlsPlace, PlaceFit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.terms import Terms

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["Adjusted", "Group", "adjust"]


@dataclass(frozen=True, eq=False)
class Group:
    """Images that a contrast treats alike.

    Parameters
    ----------
    name : str
        The name of the group.
    y : array, shape (k,)
        Their adjusted values.
    fitted, half_width : float
        The fitted value and half of its confidence interval.
    members : array of bool, shape (n,)
        Which of the images with a value they are.
    """

    name: str
    y: FloatArray
    fitted: float
    half_width: float
    members: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The data of one voxel in the way in which a contrast uses them.

    Parameters
    ----------
    kind : {"groups", "lines", "regressor", "fitted"}
        Values by group; over a number, with a line or curve for each group, for each of three
        values of another number, or both; over a regressor, with a line; or over the fitted values.
    groups : tuple of Group
        With "groups".
    x, y : arrays, shape (n,)
        With "regressor" and "fitted": the horizontal values, and the adjusted values.
    line : array, shape (3, k)
        Points, fitted values and half widths of the confidence band; the widths are NaN with
        "fitted".
    label : str
        The name of x, or of the factor of the groups; empty if the groups' names need none.
    lines : tuple of Line
        With "lines".
    """

    kind: Literal["groups", "lines", "regressor", "fitted"]
    groups: tuple[Group, ...]
    x: FloatArray
    y: FloatArray
    line: FloatArray
    label: str
    lines: tuple[Line, ...] = ()


def adjust(
    values: FloatArray,
    terms: Terms,
    contrast: FloatArray,
    level: float,
    fit: PlaceFit | None = None,
) -> Adjusted:
    """Remove from one voxel's data what a contrast does not test.

    The part of the fit that belongs to the other columns is replaced by its mean over the images
    shown, so that the values keep the scale of the data. `fit` is the fit of a model to these
    values, by default that of ordinary least squares.

    Shapes: `values` (n_images,), `contrast` (n_columns,).

    Notes
    -----
    The regressor of a contrast c of several columns is X (X'X)^- c / (c'(X'X)^- c), whose
    coefficient is c'b (Smith and others, NeuroImage 34, 2007, appendix A).
    """
    voxel = OlsPlace(terms.X, values, level) if fit is None else fit
    names = terms.names
    rows = np.atleast_2d(contrast)
    involved = np.flatnonzero(rows.any(axis=0))
    family = terms.family(involved)
    shown = _by_variables(voxel, np.isfinite(values), terms, family) if family else None
    if shown is not None:
        return shown
    columns = voxel.X[:, involved]
    if len(involved) == 1:
        found = _one_column(voxel, int(involved[0]), names)
        if found is not None:
            return found
    if _are_indicators(columns):
        return _by_indicator(voxel, involved, names)
    if len(rows) == 1:
        return _against_regressor(voxel, rows[0], involved, names)
    return _against_fit(voxel, involved)


def _one_column(voxel: PlaceFit, column: int, names: Sequence[str]) -> Adjusted | None:
    levels = np.unique(voxel.X[:, column])
    is_indicator = set(levels) <= {0.0, 1.0}
    if len(levels) == 1 or (is_indicator and not _others_hold_constant(voxel.X, column)):
        return _by_indicator(voxel, np.array([column]), names)
    if len(levels) > 2:
        return None
    others = np.delete(np.arange(voxel.X.shape[1]), column)
    adjusted, mean = _without(voxel, others, np.ones(len(voxel.X), dtype=np.bool_))
    points = np.tile(mean, (2, 1))
    points[:, column] = levels
    return _groups(
        voxel,
        [f"{names[column]} = {value:g}" for value in levels],
        [voxel.X[:, column] == value for value in levels],
        points,
        adjusted,
    )


def _others_hold_constant(X: FloatArray, columns: int | NDArray[np.intp]) -> bool:
    """Return whether the other columns span the constant: these columns are then differences."""
    others = np.delete(X, columns, axis=1)
    if others.shape[1] == 0:
        return False
    return _core.Design(np.ascontiguousarray(others)).has_intercept


def _are_indicators(columns: FloatArray) -> bool:
    return bool(np.isin(columns, (0.0, 1.0)).all() and (columns.sum(axis=1) <= 1).all())


def _without(
    voxel: PlaceFit, others: NDArray[np.intp], shown: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Return the values with the other columns at their mean over the images, and that mean."""
    mean = np.zeros(voxel.X.shape[1])
    if shown.any():
        mean[others] = voxel.X[shown][:, others].mean(axis=0)
    return voxel.y - (voxel.X[:, others] - mean[others]) @ voxel.beta[others], mean


def _by_variables(
    voxel: PlaceFit, present: NDArray[np.bool_], terms: Terms, family: frozenset[str]
) -> Adjusted | None:
    """Show a family of variables by their own values; None if no line can be drawn."""
    own = terms.columns_within(family)
    others = np.setdiff1d(np.arange(voxel.X.shape[1]), own)
    adjusted, mean = _without(voxel, others, np.ones(len(voxel.X), dtype=np.bool_))
    cells = [(cell.name, cell.members[present]) for cell in terms.cells(family)]
    cells = [(name, members) for name, members in cells if members.any()]
    numbers = [(name, values[present]) for name, values in terms.numbers_of(family)]
    if not numbers:
        points = np.tile(mean, (len(cells), 1))
        for point, (_, members) in zip(points, cells, strict=True):
            point[own] = voxel.X[members][0, own]  # the same for all images
        names, inside = [name for name, _ in cells], [members for _, members in cells]
        return _groups(voxel, names, inside, points, adjusted, label=terms.label(family))
    drawn = LinesOf(voxel.X, own, mean, adjusted, voxel.interval)
    lines = (
        drawn.at_values(cells, *numbers)
        if len(numbers) == 2
        else (drawn.of_cells(cells, numbers[0][1]))
    )
    if lines is None:
        return None
    empty = np.empty(0)
    return Adjusted("lines", (), empty, empty, np.empty((3, 0)), numbers[0][0], lines)


def _by_indicator(voxel: PlaceFit, involved: NDArray[np.intp], names: Sequence[str]) -> Adjusted:
    """Show the images that have each column; all images have a constant column.

    If the only column is constant, the other columns are at zero: that is the meaning of its
    effect.
    """
    columns = voxel.X[:, involved]
    members = [columns[:, place] != 0 for place in range(len(involved))]
    others = np.setdiff1d(np.arange(voxel.X.shape[1]), involved)
    adjusted, mean = _without(voxel, others, np.logical_or.reduce(members))
    if len(involved) == 1 and members[0].all():
        adjusted, mean = voxel.y - voxel.X[:, others] @ voxel.beta[others], np.zeros_like(mean)
    points = np.tile(mean, (len(involved), 1))
    for place, (column, inside) in enumerate(zip(involved, members, strict=True)):
        points[place, column] = columns[inside, place][0] if inside.any() else 1.0
    titles, label = titles_of([names[column] for column in involved])
    rest = ~np.logical_or.reduce(members)
    if len(involved) > 1 and rest.any() and _others_hold_constant(voxel.X, involved):
        # The columns that the involved ones are differences from.
        adjusted, mean = _without(voxel, others, np.ones(len(voxel.X), dtype=np.bool_))
        points[:, others] = mean[others]
        points = np.vstack([mean, points])
        titles, members = ["none of them", *titles], [rest, *members]
    return _groups(voxel, titles, members, points, adjusted, label)


def _groups(
    voxel: PlaceFit,
    titles: Sequence[str],
    members: Sequence[NDArray[np.bool_]],
    points: FloatArray,
    adjusted: FloatArray,
    label: str = "",
) -> Adjusted:
    fitted, half = voxel.interval(points)
    groups = tuple(
        Group(title, adjusted[inside], float(middle), float(width), inside)
        for title, inside, middle, width in zip(titles, members, fitted, half, strict=True)
        if inside.any()
    )
    empty = np.empty(0)
    return Adjusted("groups", groups, empty, empty, np.empty((3, 0)), label)


def _against_regressor(
    voxel: PlaceFit, row: FloatArray, involved: NDArray[np.intp], names: Sequence[str]
) -> Adjusted:
    X = voxel.X
    if len(involved) == 1:
        column = int(involved[0])
        direction = np.zeros(X.shape[1])
        direction[column] = 1.0
        x, label = X[:, column], names[column]
    else:
        direction, label = row, "regressor of the contrast"
        x = voxel.regressor(row)
    # The rest of the fit is X - x c', whose mean stays; a point of the line is that mean + x c'.
    rest = X - np.outer(x, direction)
    mean = rest.mean(axis=0)
    adjusted = voxel.y - (rest - mean) @ voxel.beta
    places = np.linspace(x.min(), x.max(), N_LINE)
    fitted, half = voxel.interval(mean + np.outer(places, direction))
    return Adjusted("regressor", (), x, adjusted, np.stack([places, fitted, half]), label)


def _against_fit(voxel: PlaceFit, involved: NDArray[np.intp]) -> Adjusted:
    others = np.setdiff1d(np.arange(voxel.X.shape[1]), involved)
    adjusted, mean = _without(voxel, others, np.ones(len(voxel.X), dtype=np.bool_))
    fitted = voxel.X[:, involved] @ voxel.beta[involved] + mean @ voxel.beta
    places: Any = np.array([fitted.min(), fitted.max()])
    line = np.stack([places, places, np.full(2, np.nan)])
    return Adjusted("fitted", (), fitted, adjusted, line, "fitted value of the tested columns")
