# SPDX-License-Identifier: BSD-3-Clause
"""What the columns of a design are made of: factors, numbers, and products of them.

A design matrix has columns, and a reader thinks in variables. Names tell most of it: a formula
calls the columns of a factor ``sex[T.M]`` and those of an interaction ``age:sex[T.M]``. Columns
that were made by hand are read by their values: one of two values is a factor, and one that is the
product of two others is their interaction.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["Cell", "Terms", "read_terms", "titles_of"]

_PRODUCT_TOLERANCE = 1e-9  # of a column's largest size; above what text files round away
_LEVEL = re.compile(r"(.+?)\[(?:([A-Z]\.)?)(.*)\]", re.DOTALL)
_OF_FACTOR = re.compile(r"C\((.+)\)", re.DOTALL)
_MAX_CELLS = 12  # more groups than this cannot be told apart in one picture


@dataclass(frozen=True, eq=False)
class Cell:
    """Images that have the same levels of some factors.

    Parameters
    ----------
    name : str
        The levels.
    members : array of bool, shape (n_images,)
        Which images.
    """

    name: str
    members: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Factor:
    """A factor's columns and the names of its levels: one of each pattern that they take."""

    columns: tuple[int, ...]
    codes: NDArray[np.intp]  # of each image, which level
    names: tuple[str, ...]
    label: str  # empty where the levels' names say it
    has_reference: bool  # whether some level is zero in all columns


@dataclass(frozen=True, eq=False)
class Terms:
    """The variables of a design.

    Parameters
    ----------
    variables : tuple of frozenset of str
        Those that each column is made of; empty for the constant, and for a column that none of
        the rules explains.
    """

    variables: tuple[frozenset[str], ...]
    _factors: dict[str, _Factor]
    _numbers: dict[str, FloatArray]
    _named: frozenset[str]  # factors with levels in their columns' names

    def family(self, involved: Iterable[int]) -> frozenset[str]:
        """Return the variables that a contrast is about, if they are best shown by their values.

        Parameters
        ----------
        involved : iterable of int
            The columns that have a weight.

        Returns
        -------
        frozenset of str
            Factors coded against a reference, or an interaction of factors with at most one
            number; empty for any other contrast.
        """
        columns = list(involved)
        own = [self.variables[column] for column in columns]
        if not all(own):
            return frozenset()
        together = frozenset().union(*own)
        numbers = [name for name in together if name in self._numbers]
        factors = together - set(numbers)
        is_product = any(len(variables) > 1 for variables in own)
        referenced = all(self._factors[name].has_reference for name in factors)
        if not factors or len(numbers) > 1 or (numbers and not is_product):
            return frozenset()
        if not is_product and not (referenced and factors <= self._named):
            return frozenset()
        return together if 1 < len(self.cells(together)) <= _MAX_CELLS else frozenset()

    def columns_within(self, family: frozenset[str]) -> NDArray[np.intp]:
        """Return the columns that are made of a family's variables alone."""
        return np.array(
            [place for place, own in enumerate(self.variables) if own and own <= family],
            dtype=np.intp,
        )

    def number(self, family: frozenset[str]) -> tuple[str, FloatArray] | None:
        """Return the name and the values of a family's number; None if it has factors only."""
        for name in family:
            if name in self._numbers:
                return name, self._numbers[name]
        return None

    def cells(self, family: frozenset[str]) -> list[Cell]:
        """Return the combinations of levels that occur."""
        factors = [factor for name, factor in self._factors.items() if name in family]
        codes = np.stack([factor.codes for factor in factors], axis=1)
        return [
            Cell(
                ", ".join(factor.names[code] for factor, code in zip(factors, row, strict=True)),
                (codes == row).all(axis=1),
            )
            for row in np.unique(codes, axis=0)
        ]

    def label(self, family: frozenset[str]) -> str:
        """Return what the names of the cells are values of."""
        labels = [factor.label for name, factor in self._factors.items() if name in family]
        return ", ".join(labels) if all(labels) else ""


def read_terms(X: FloatArray, names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> Terms:
    """Find out what the columns of a design are made of.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design.
    names : sequence of str
        Its columns.
    levels : mapping of str to sequence of str
        All levels of the factors that are known, by the name of the factor.

    Returns
    -------
    Terms
        The variables.

    Examples
    --------
    >>> X = np.array([[1.0, 20, 0, 0], [1, 30, 1, 30], [1, 40, 0, 0], [1, 50, 1, 50]])
    >>> terms = read_terms(X, ["intercept", "age", "sex[T.M]", "age:sex[T.M]"], {"sex": ["F", "M"]})
    >>> family = terms.family([3])
    >>> sorted(family), [cell.name for cell in terms.cells(family)]
    (['age', 'sex'], ['F', 'M'])
    """
    parts = [_parts(name) for name in names]
    factors = _factors(X, names, parts, levels)
    numbers: dict[str, FloatArray] = {}
    variables: list[frozenset[str]] = [frozenset()] * len(names)
    for name, factor in factors.items():
        for place in factor.columns:
            variables[place] = frozenset([name])
    for place, own in enumerate(parts):
        if len(own) == 1 and not variables[place] and np.ptp(X[:, place]) > 0:
            variables[place] = frozenset([names[place]])
            numbers[names[place]] = X[:, place]
    _name_products(X, names, parts, variables, factors, numbers)
    named = frozenset(own[0][0] for own in parts if own[0][1] is not None)
    return Terms(tuple(variables), factors, numbers, named)


def titles_of(names: Sequence[str]) -> tuple[list[str], str]:
    """Return what to call groups that have a column each, and what those are values of.

    Examples
    --------
    >>> titles_of(["sex[F]", "sex[M]"])
    (['F', 'M'], 'sex')
    >>> titles_of(["patient", "control"])
    (['patient', 'control'], '')
    """
    parts = [_parts(name) for name in names]
    variables = {own[0][0] for own in parts}
    if len(variables) > 1 or any(len(own) > 1 or own[0][1] is None for own in parts):
        return list(names), ""
    return _with_numbers([str(own[0][1]) for own in parts], _base(variables.pop()))


def _parts(name: str) -> list[tuple[str, str | None]]:
    """Split a column's name into variables and their levels; None where there is no level."""
    found: list[tuple[str, str | None]] = []
    depth, start = 0, 0
    for place, letter in enumerate(f"{name}:"):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == ":" and depth <= 0:
            part = name[start:place]
            match = _LEVEL.fullmatch(part)
            found.append((match[1], match[3]) if match else (part, None))
            start = place + 1
    return found if start > len(name) else [(name, None)]  # brackets that are not closed


def _base(variable: str) -> str:
    """Return the column of the table that a factor is of: ``site`` for ``C(site, Sum)``."""
    match = _OF_FACTOR.fullmatch(variable)
    return match[1].partition(",")[0].strip() if match else variable


def _factors(
    X: FloatArray,
    names: Sequence[str],
    parts: Sequence[list[tuple[str, str | None]]],
    levels: Mapping[str, Sequence[str]],
) -> dict[str, _Factor]:
    """Find the factors: columns with levels in their names, and columns of two values."""
    found: dict[str, _Factor] = {}
    named: dict[str, list[int]] = {}
    for place, own in enumerate(parts):
        if len(own) == 1 and own[0][1] is not None:
            named.setdefault(own[0][0], []).append(place)
    for variable, columns in named.items():
        if np.isin(X[:, columns], (-1.0, 0.0, 1.0)).all():  # not a polynomial or a spline
            own_levels = [str(parts[place][0][1]) for place in columns]
            known = levels.get(_base(variable), ())
            factor = _coded(X[:, columns], columns, variable, own_levels, known)
            if factor is not None:
                found[variable] = factor
    for places in _unnamed(X, parts):
        if len(places) > 1:  # a column for each group
            codes = X[:, places].argmax(axis=1)
            titles = tuple(names[place] for place in places)
            found[" / ".join(titles)] = _Factor(places, codes, titles, "", False)
            continue
        name, values = names[places[0]], np.unique(X[:, places[0]])
        titles = tuple(f"{name} = {value:g}" for value in values)
        codes = np.searchsorted(values, X[:, places[0]])
        found[name] = _Factor(places, codes, titles, "", 0.0 in values)
    return found


def _unnamed(X: FloatArray, parts: Sequence[list[tuple[str, str | None]]]) -> list[tuple[int, ...]]:
    """Return the columns of two values without levels in their names, those of one factor together.

    Of one factor are all that are zero and one, or two of them, if each image has a one in just one
    of them.
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
) -> _Factor | None:
    """Name the patterns of a factor's columns: a one stands for its level, the rest is another.

    None where that does not name each pattern, as in Helmert's coding.
    """
    patterns, codes = np.unique(values, axis=0, return_inverse=True)
    others = [level for level in known if level not in own_levels]
    if len(others) == 1:
        rest = others[0]
    else:
        rest = f"not {own_levels[0]}" if len(own_levels) == 1 else "reference"
    names = []
    for pattern in patterns:
        ones = np.flatnonzero(pattern == 1)
        # In sum coding the last level is minus one in every column.
        names.append(own_levels[ones[0]] if len(ones) == 1 else rest)
    if len(set(names)) < len(names):
        return None
    titles, label = _with_numbers(names, _base(variable))
    order = [names.index(rest)] if rest in names else []
    order += [place for level in own_levels for place, name in enumerate(names) if name == level]
    if known and set(names) <= set(known):
        order.sort(key=lambda place: list(known).index(names[place]))
    rank = np.argsort(order)
    return _Factor(
        tuple(columns),
        rank[codes.ravel()],
        tuple(titles[place] for place in order),
        label,
        rest in names,
    )


def _with_numbers(levels: Sequence[str], variable: str) -> tuple[list[str], str]:
    """Return the names of levels, and what they are levels of: a number says nothing by itself."""
    try:
        return [f"{variable} = {float(level):g}" for level in levels], ""
    except ValueError:
        return list(levels), variable


def _name_products(
    X: FloatArray,
    names: Sequence[str],
    parts: Sequence[list[tuple[str, str | None]]],
    variables: list[frozenset[str]],
    factors: dict[str, _Factor],
    numbers: dict[str, FloatArray],
) -> None:
    """Find the columns that are products, by name or by value."""
    simple = [place for place, own in enumerate(variables) if len(own) == 1]
    by_parts = {tuple(parts[place]): place for place in simple}
    for place, own in enumerate(parts):
        if np.ptp(X[:, place]) == 0:
            continue
        members = [by_parts.get((part,)) for part in own]
        known = [member for member in members if member is not None]
        if len(own) > 1 and len(known) == len(own) and _is_product(X, place, known):
            variables[place] = frozenset().union(*(variables[member] for member in known))
        elif len(own) > 1 or own[0][1] is None:
            _find_pair(X, str(names[place]), place, simple, variables, factors, numbers)
    _find_slopes(X, names, parts, variables, factors, numbers)


def _find_pair(
    X: FloatArray,
    name: str,
    place: int,
    simple: Sequence[int],
    variables: list[frozenset[str]],
    factors: dict[str, _Factor],
    numbers: dict[str, FloatArray],
) -> None:
    """Find two columns, one of them of a factor, of which a column is the product."""
    for first, second in itertools.combinations(simple, 2):
        pair = variables[first] | variables[second]
        if place in (first, second) or len(pair) < 2 or not any(v in factors for v in pair):
            continue
        if name not in pair and _is_product(X, place, [first, second]):
            numbers.pop(name, None)
            factors.pop(name, None)
            variables[place] = pair
            return


def _find_slopes(
    X: FloatArray,
    names: Sequence[str],
    parts: Sequence[list[tuple[str, str | None]]],
    variables: list[frozenset[str]],
    factors: Mapping[str, _Factor],
    numbers: dict[str, FloatArray],
) -> None:
    """Find a number that has a column of its own for each level of a factor, and no common one."""
    indicators = [
        (place, name)
        for name, factor in factors.items()
        for place in factor.columns
        if np.isin(X[:, place], (0.0, 1.0)).all()
    ]
    found: dict[int, str] = {}
    for place in range(X.shape[1]):
        column = X[:, place]
        if len(variables[place]) > 1 or len(np.unique(column[column != 0])) < 2:
            continue
        for indicator, name in indicators:
            if not column[X[:, indicator] == 0].any() and (column == 0).any():
                found[place] = name
                break
    places = list(found)
    # Each image has a value in one of them, or else the number of some images is not known.
    if len(places) < 2 or not (np.count_nonzero(X[:, places], axis=1) == 1).all():
        return
    label = next(
        (v for v, level in parts[places[0]] if level is None and len(parts[places[0]]) > 1),
        " / ".join(str(names[place]) for place in places),
    )
    numbers[label] = X[:, places].sum(axis=1)
    for place in places:
        numbers.pop(str(names[place]), None)
        variables[place] = frozenset([found[place], label])


def _is_product(X: FloatArray, place: int, factors: Sequence[int]) -> bool:
    column = X[:, place]
    tolerance = _PRODUCT_TOLERANCE * float(np.abs(column).max(initial=0.0))
    return bool((np.abs(X[:, factors].prod(axis=1) - column) <= tolerance).all())
