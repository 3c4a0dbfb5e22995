# SPDX-License-Identifier: BSD-3-Clause
"""The factors of a design, found by names of columns, by their values, or given."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"
NameParts: TypeAlias = "list[tuple[str, str | None]]"

__all__ = ["Factor", "NameParts", "find_factors", "split_name", "titles_of"]

_LEVEL = re.compile(r"(.+?)\[(?:([A-Z]\.)?)(.*)\]", re.DOTALL)
_OF_FACTOR = re.compile(r"C\((.+)\)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Factor:
    """The columns of a factor, and a level's name for each pattern of their values.

    Parameters
    ----------
    columns : tuple of int
        The numbers of the columns.
    codes : array of int, shape (n_images,)
        The level of each image.
    names : tuple of str
        The levels.
    label : str
        The factor's name; empty if the names of the levels include it.
    has_reference : bool
        Whether the columns are differences between levels, rather than one for each level.
    """

    columns: tuple[int, ...]
    codes: NDArray[np.intp]
    names: tuple[str, ...]
    label: str
    has_reference: bool


def find_factors(
    X: FloatArray,
    names: Sequence[str],
    parts: Sequence[NameParts],
    levels: Mapping[str, Sequence[str]],
    origins: Mapping[str, Sequence[Any]],
) -> dict[str, Factor]:
    """Find the factors: columns with levels in their names, and columns of two values.

    Shapes: `X` (n_images, n_columns).
    """
    found: dict[str, Factor] = {}
    named: dict[str, list[int]] = {}
    for place, own in enumerate(parts):
        if len(own) == 1 and own[0][1] is not None:
            named.setdefault(own[0][0], []).append(place)
    for variable, columns in named.items():
        known = levels.get(base_of(variable), ())
        of_images = origins.get(base_of(variable), ())
        if of_images and isinstance(of_images[0], str):
            found[variable] = _labelled(X[:, columns], columns, variable, of_images, known)
            continue
        is_helmert = all("[H." in names[place] for place in columns)
        if is_helmert or np.isin(X[:, columns], (-1.0, 0.0, 1.0)).all():  # no polynomial, no spline
            own_levels = [str(parts[place][0][1]) for place in columns]
            factor = _coded(X[:, columns], columns, variable, own_levels, known)
            if factor is not None:
                found[variable] = factor
    for places in _unnamed(X, parts):
        if len(places) > 1:  # a column for each group
            codes = X[:, places].argmax(axis=1)
            titles = tuple(names[place] for place in places)
            found[" / ".join(titles)] = Factor(places, codes, titles, "", False)
            continue
        name, values = names[places[0]], np.unique(X[:, places[0]])
        titles = tuple(f"{name} = {value:g}" for value in values)
        codes = np.searchsorted(values, X[:, places[0]])
        found[name] = Factor(places, codes, titles, "", 0.0 in values)
    return found


def titles_of(names: Sequence[str]) -> tuple[list[str], str]:
    """Return the names of groups that have a column each, and of what they are levels.

    Examples
    --------
    >>> titles_of(["sex[F]", "sex[M]"])
    (['F', 'M'], 'sex')
    >>> titles_of(["patient", "control"])
    (['patient', 'control'], '')
    """
    parts = [split_name(name) for name in names]
    variables = {own[0][0] for own in parts}
    if len(variables) > 1 or any(len(own) > 1 or own[0][1] is None for own in parts):
        return list(names), ""
    return _with_numbers([str(own[0][1]) for own in parts], base_of(variables.pop()))


def split_name(name: str) -> list[tuple[str, str | None]]:
    """Split a column's name into variables and their levels; None for a variable without level."""
    found: list[tuple[str, str | None]] = []
    depth, start = 0, 0
    for place, letter in enumerate(f"{name}:"):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == ":" and depth <= 0:
            part = name[start:place]
            match = _LEVEL.fullmatch(part)
            found.append((match[1], match[3]) if match else (part, None))
            start = place + 1
    return found if start > len(name) else [(name, None)]  # a bracket is not closed


def base_of(variable: str) -> str:
    """Return the table's column of a factor: ``site`` for ``C(site, Sum)``."""
    match = _OF_FACTOR.fullmatch(variable)
    return match[1].partition(",")[0].strip() if match else variable


def _unnamed(X: FloatArray, parts: Sequence[NameParts]) -> list[tuple[int, ...]]:
    """Return the two-valued columns without levels in their names, grouped by factor.

    Columns of zeros and ones are one factor, all of them or two of them, if each image has a one in
    exactly one of them.
    """
    alone = [
        place
        for place, own in enumerate(parts)
        if len(own) == 1 and own[0][1] is None and len(np.unique(X[:, place])) == 2
    ]
    indicators = [place for place in alone if np.isin(X[:, place], (0.0, 1.0)).all()]
    together: list[tuple[int, ...]] = []
    for places in (tuple(indicators), *itertools.combinations(indicators, 2)):
        used = {place for found in together for place in found}
        if len(places) > 1 and not used & set(places) and (X[:, places].sum(axis=1) == 1).all():
            together.append(places)
    used = {place for found in together for place in found}
    return [*together, *((place,) for place in alone if place not in used)]


def _coded(
    values: FloatArray,
    columns: list[int],
    variable: str,
    own_levels: Sequence[str],
    known: Sequence[str],
) -> Factor | None:
    """Name the patterns of a factor's columns; the only positive column names the level.

    This is right for treatment, sum and Helmert codings, where the pattern without a positive
    number is the remaining level. None if some pattern gets no name in this way.
    """
    patterns, codes = np.unique(values, axis=0, return_inverse=True)
    others = [level for level in known if level not in own_levels]
    if len(others) == 1:
        rest = others[0]
    else:
        rest = f"not {own_levels[0]}" if len(own_levels) == 1 else "reference"
    names = []
    for pattern in patterns:
        ones = np.flatnonzero(pattern > 0)
        names.append(own_levels[ones[0]] if len(ones) == 1 else rest)
    if len(set(names)) < len(names):
        return None
    titles, label = _with_numbers(names, base_of(variable))
    order = [names.index(rest)] if rest in names else []
    order += [place for level in own_levels for place, name in enumerate(names) if name == level]
    if known and set(names) <= set(known):
        order.sort(key=lambda place: list(known).index(names[place]))
    rank = np.argsort(order)
    return Factor(
        tuple(columns),
        rank[codes.ravel()],
        tuple(titles[place] for place in order),
        label,
        rest in names,
    )


def _labelled(
    columns: FloatArray,
    places: list[int],
    variable: str,
    values: Sequence[str],
    known: Sequence[str],
) -> Factor:
    """Make a factor from the level of each image; right for any coding."""
    present = set(values)
    order = [level for level in known if level in present] or sorted(present)
    titles, label = _with_numbers(order, base_of(variable))
    codes = np.array([order.index(value) for value in values], dtype=np.intp)
    one_each = bool(np.isin(columns, (0.0, 1.0)).all() and (columns.sum(axis=1) == 1).all())
    return Factor(tuple(places), codes, tuple(titles), label, not one_each)


def _with_numbers(levels: Sequence[str], variable: str) -> tuple[list[str], str]:
    """Return the names of levels, with the factor's name if a level is only a number."""
    try:
        return [f"{variable} = {float(level):g}" for level in levels], ""
    except ValueError:
        return list(levels), variable
