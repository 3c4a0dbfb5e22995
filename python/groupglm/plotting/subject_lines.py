# SPDX-License-Identifier: BSD-3-Clause
"""What a picture of several images a subject shows: over what, and by which groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.models.subject_rows import SubjectRows
    from groupglm.plotting.terms import Terms

FloatArray: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.int64]"

__all__ = ["SubjectLines", "subject_lines"]

_MAX_GROUPS = 5  # as many colours as can be told apart
_MAX_POINTS = 12  # of the fitted line; over more different values, means of neighbours


@dataclass(frozen=True, eq=False)
class SubjectLines:
    """The axis, the groups and the subjects of a picture.

    Parameters
    ----------
    subject : array of int, shape (n_images,)
        The subject of each image.
    x : array, shape (n_images,)
        Where each image lies on the axis.
    label : str
        The name of the axis.
    ticks : tuple of str
        Names of x = 0, 1, ...; empty if x is a number.
    group : array of int, shape (n_images,)
        The group of each image.
    groups : tuple of str
        Their names; one empty name if there is one group.
    """

    subject: Integers
    x: FloatArray
    label: str
    ticks: tuple[str, ...]
    group: Integers
    groups: tuple[str, ...]

    def mean_line(self, fitted: FloatArray, members: NDArray[np.bool_]) -> FloatArray:
        """Return points and the mean of the fitted values there, shape (2, k).

        Over many different values of x, each point is the mean of neighbours.
        """
        x, values = self.x[members], fitted[members]
        places, which = np.unique(x, return_inverse=True)
        if len(places) > _MAX_POINTS:
            edges = np.linspace(0, len(x), _MAX_POINTS + 1).astype(np.int64)
            which = np.empty(len(x), dtype=np.int64)
            which[np.argsort(x, kind="stable")] = np.repeat(np.arange(_MAX_POINTS), np.diff(edges))
        counts = np.bincount(which)
        return np.stack([np.bincount(which, own) / counts for own in (x, values)])


def subject_lines(rows: SubjectRows, terms: Terms, contrast: FloatArray) -> SubjectLines:
    """Choose the axis and the groups.

    The axis is a variable that differs between the images of a subject: one of the contrast if it
    has one, else another of the design; else the visits as they are labelled; else the order of a
    subject's images. The groups are those of a variable that is the same for all images of a
    subject, again of the contrast if possible.
    """
    number = rows.number
    involved = np.flatnonzero(np.atleast_2d(contrast).any(axis=0))
    tested = frozenset[str]().union(*(terms.variables[column] for column in involved))
    x, label, ticks = _axis(rows, terms, tested)
    group, groups = _groups(number, terms, tested)
    return SubjectLines(number, x, label, ticks, group, groups)


def _axis(
    rows: SubjectRows, terms: Terms, tested: frozenset[str]
) -> tuple[FloatArray, str, tuple[str, ...]]:
    numbers = [name for name, own in terms.numbers.items() if not _is_constant(own, rows.number)]
    factors = [
        name for name, own in terms.factors.items() if not _is_constant(own.codes, rows.number)
    ]
    for name in sorted(numbers, key=lambda name: name not in tested):
        if name in tested or not tested & set(factors):
            return terms.numbers[name], name, ()
    for name in sorted(factors, key=lambda name: name not in tested):
        factor = terms.factors[name]
        return factor.codes.astype(np.float64), factor.label or name, tuple(factor.names)
    if rows.visits is not None:
        names = _in_order(rows.visits)
        places = {name: place for place, name in enumerate(names)}
        return np.array([float(places[name]) for name in rows.visits]), "visit", names
    place = np.empty(len(rows.number))
    starts = np.concatenate([[0], rows.ends[:-1]])
    place[rows.order] = np.arange(len(place)) - np.repeat(starts, rows.sizes)
    last = int(rows.sizes.max())
    return place, "image of the subject", tuple(str(1 + own) for own in range(last))


def _in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the different labels: numbers by their size, others as they appear."""
    names = tuple(dict.fromkeys(labels))
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return names


def _groups(
    number: Integers, terms: Terms, tested: frozenset[str]
) -> tuple[Integers, tuple[str, ...]]:
    found: list[tuple[str, Integers, tuple[str, ...]]] = []
    for name, factor in terms.factors.items():
        found.append((name, np.asarray(factor.codes, dtype=np.int64), tuple(factor.names)))
    for name, values in terms.numbers.items():
        levels, codes = np.unique(values, return_inverse=True)
        if len(levels) == 2:  # an indicator
            found.append((name, codes, tuple(f"{name} = {level:g}" for level in levels)))
    fitting = [
        own
        for own in found
        if _is_constant(own[1], number) and 1 < len(np.unique(own[1])) <= _MAX_GROUPS
    ]
    if not fitting:
        return np.zeros(len(number), dtype=np.int64), ("",)
    _, codes, names = min(fitting, key=lambda own: own[0] not in tested)
    return codes, names


def _is_constant(values: NDArray[np.generic], number: Integers) -> bool:
    """Return whether all images of each subject have the same value."""
    first = np.unique(number, return_index=True)[1]
    return bool((values == values[first][number]).all())
