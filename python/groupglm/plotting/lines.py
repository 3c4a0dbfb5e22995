# SPDX-License-Identifier: BSD-3-Clause
"""Lines of a fit over one number, for each group and for values of another: `LinesOf`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from groupglm.plotting.polynomials import polynomials

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["N_LINE", "Line", "LinesOf"]

N_LINE = 60  # points of a line


@dataclass(frozen=True, eq=False)
class Line:
    """The images of one group over a number, with the group's own line or curve.

    Parameters
    ----------
    name : str
        The group, or a value of another number; empty if there is only one line.
    x, y : array, shape (k,)
        The number, and the adjusted values.
    line : array, shape (3, n)
        Points, fitted values and half widths of the confidence band.
    panel : str
        The group, if each group has lines at values of another number; else empty.
    """

    name: str
    x: FloatArray
    y: FloatArray
    line: FloatArray
    panel: str = ""


@dataclass(frozen=True, eq=False)
class LinesOf:
    """The data that lines are drawn from.

    Parameters
    ----------
    X : array, shape (n, n_columns)
        The design's rows of the images that have a value.
    own : array of int
        The columns made of the shown variables.
    mean : array, shape (n_columns,)
        The row from which all points take their other columns.
    adjusted : array, shape (n,)
        The adjusted values.
    interval : callable
        Returns, for rows, the fitted values and half the widths of their confidence intervals.
    """

    X: FloatArray
    own: NDArray[np.intp]
    mean: FloatArray
    adjusted: FloatArray
    interval: Callable[[FloatArray], tuple[FloatArray, FloatArray]]

    def of_cells(
        self, cells: Sequence[tuple[str, NDArray[np.bool_]]], x: FloatArray
    ) -> tuple[Line, ...] | None:
        """Return a line for each group of images; None if the columns are not functions of x."""
        lines = []
        for name, members in cells:
            found = _along(self.X[members][:, self.own], x[members])
            if found is None:
                return None
            lines.append(self._line(name, x, members, *found))
        return tuple(lines)

    def at_values(
        self,
        cells: Sequence[tuple[str, NDArray[np.bool_]]],
        number: tuple[str, FloatArray],
        other: tuple[str, FloatArray],
    ) -> tuple[Line, ...] | None:
        """Return lines over a number for three values of another, each with its nearest images.

        Each group has its three lines, at the same values of the other number. None if the columns
        are not polynomials of the two within a group.
        """
        x, (name, values) = number[1], other
        middle, deviation = float(values.mean()), float(values.std(ddof=1))
        steps = np.array([-1, 0, 1])
        nearest = np.abs(values[:, np.newaxis] - (middle + deviation * steps)).argmin(axis=1)
        notes = ("mean \N{MINUS SIGN} 1 SD", "mean", "mean + 1 SD")
        lines = []
        for group, members in cells:
            found = polynomials(self.X[members][:, self.own], [x[members], values[members]])
            if found is None:
                return None
            places = np.linspace(x[members].min(), x[members].max(), N_LINE)
            for place, (step, note) in enumerate(zip(steps, notes, strict=True)):
                at = middle + deviation * float(step)
                columns = found([places, np.full(N_LINE, at)])
                title = f"{name} = {at:.4g} ({note})"
                inside = members & (nearest == place)
                lines.append(self._line(title, x, inside, places, columns, group))
        return tuple(lines)

    def _line(
        self,
        name: str,
        x: FloatArray,
        members: NDArray[np.bool_],
        places: FloatArray,
        columns: FloatArray,
        panel: str = "",
    ) -> Line:
        points = np.tile(self.mean, (len(places), 1))
        points[:, self.own] = columns
        line = np.stack([places, *self.interval(points)])
        return Line(name, x[members], self.adjusted[members], line, panel)


def _along(columns: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return points along x and the columns there; None if the columns do not depend on x.

    Columns that are polynomials of x are drawn smoothly, others from one image's x to the next.
    """
    found = polynomials(columns, [x])
    if found is not None:
        places = np.linspace(x.min(), x.max(), N_LINE)
        return places, found([places])
    places, first, which = np.unique(x, return_index=True, return_inverse=True)
    at = columns[first]
    is_function = np.allclose(at[which], columns, rtol=0, atol=1e-9 * np.abs(columns).max())
    return (places, at) if is_function else None
