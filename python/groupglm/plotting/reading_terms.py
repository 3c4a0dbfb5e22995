# SPDX-License-Identifier: BSD-3-Clause
"""The variables that the columns of a design are made of: `read_terms`.

A design matrix has columns, and a reader thinks in variables. Names tell most: a formula names the
columns of a factor ``sex[T.M]``, those of an interaction ``age:sex[T.M]`` and those of a function
``poly(age, 2)[1]``. Columns made by hand are recognised by their values: a column of two values is
a factor, the product of two others is their interaction, and a polynomial of another belongs to it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groupglm.design.origins import words_in
from groupglm.plotting.factors import find_factors, split_name
from groupglm.plotting.polynomials import degree_of
from groupglm.plotting.terms import Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["read_terms"]

_PRODUCT_TOLERANCE = 1e-9  # of a column's largest size; more than the rounding of text files
_MIN_VALUES = 6  # of a number, to recognise another column as its polynomial
_CALL = re.compile(r"[\w.]+\(.*\)", re.DOTALL)


def read_terms(
    X: FloatArray,
    names: Sequence[str],
    levels: Mapping[str, Sequence[str]] | None = None,
    origins: Mapping[str, Sequence[Any]] | None = None,
) -> Terms:
    """Find the variables that the columns of a design are made from.

    Shapes: `X` (n_images, n_columns).

    Examples
    --------
    >>> X = np.array([[1.0, 20, 0, 0], [1, 30, 1, 30], [1, 40, 0, 0], [1, 50, 1, 50]])
    >>> terms = read_terms(X, ["intercept", "age", "sex[T.M]", "age:sex[T.M]"], {"sex": ["F", "M"]})
    >>> family = terms.family([3])
    >>> sorted(family), [cell.name for cell in terms.cells(family)]
    (['age', 'sex'], ['F', 'M'])
    """
    return _Reader(X, tuple(names), levels or {}, origins or {}).read()


class _Reader:
    """The knowledge so far about the columns of a design."""

    def __init__(
        self,
        X: FloatArray,
        names: tuple[str, ...],
        levels: Mapping[str, Sequence[str]],
        origins: Mapping[str, Sequence[Any]],
    ) -> None:
        self.X, self.names = X, names
        self.parts = [split_name(name) for name in names]
        self.factors = find_factors(X, names, self.parts, levels, origins)
        self.numbers: dict[str, FloatArray] = {
            name: np.array(values, dtype=np.float64)
            for name, values in origins.items()
            if values and not isinstance(values[0], str)
        }
        self.variables: list[frozenset[str]] = [frozenset()] * len(names)

    def read(self) -> Terms:
        """Apply the rules, from the simplest columns to products of them."""
        for name, factor in self.factors.items():
            for place in factor.columns:
                self.variables[place] = frozenset([name])
        for place, own in enumerate(self.parts):
            if len(own) == 1 and not self.variables[place] and self._varies(place):
                self.variables[place] = frozenset([self.names[place]])
                self.numbers[self.names[place]] = self.X[:, place]
        self._find_functions()
        self._find_powers()
        self._find_products()
        self._find_slopes()
        used = frozenset[str]().union(*self.variables)
        return Terms(
            self.X,
            self.names,
            tuple(self.variables),
            self.factors,
            {name: values for name, values in self.numbers.items() if name in used},
            frozenset(own[0][0] for own in self.parts if own[0][1] is not None),
            self._curved(),
        )

    def _varies(self, place: int) -> bool:
        return float(np.ptp(self.X[:, place])) > 0

    def _find_functions(self) -> None:
        """Find columns whose name is a function of a number: ``I(age ** 2)``."""
        for place, own in enumerate(self.parts):
            name = self.names[place]
            if len(own) == 1 and self.variables[place] == {name}:
                mentioned = self._mentioned(own[0][0]) - {name}
                if mentioned:
                    del self.numbers[name]
                    self.variables[place] = mentioned

    def _mentioned(self, text: str) -> frozenset[str]:
        """Return the numbers in a function's arguments; empty if the text is not a call."""
        return words_in(text) & set(self.numbers) if _CALL.fullmatch(text) else frozenset()

    def _find_powers(self) -> None:
        """Find columns made by hand that are polynomials of another: the square of an age."""
        for name in list(self.numbers):
            if name not in self.names or name not in self.numbers:
                continue
            if len(np.unique(self.numbers[name])) < _MIN_VALUES:
                continue
            for place, other in enumerate(self.names):
                is_number = self.variables[place] == {other} and other in self.numbers
                if other == name or not is_number:
                    continue
                degree = degree_of(self.X[:, [place]], [self.numbers[name]])
                if degree is not None and degree > 1:
                    del self.numbers[other]
                    self.variables[place] = frozenset([name])

    def _find_products(self) -> None:
        """Find the columns that are products, by name or by value."""
        simple = [place for place, own in enumerate(self.variables) if len(own) == 1]
        by_parts = {tuple(self.parts[place]): place for place in simple}
        for place, own in enumerate(self.parts):
            if not self._varies(place):
                continue
            members = [by_parts.get((part,)) for part in own]
            known = [member for member in members if member is not None]
            made_of = [self._variables_of(part, by_parts) for part in own]
            if len(own) > 1 and all(made_of) and self._may_be_product(place, members, known):
                self.variables[place] = frozenset[str]().union(*made_of)
            elif len(own) > 1 or own[0][1] is None:
                self._find_pair(place, simple)

    def _variables_of(
        self, part: tuple[str, str | None], by_parts: Mapping[Any, int]
    ) -> frozenset[str]:
        """Return the variables of a part of a column's name; empty if they are not known."""
        place = by_parts.get((part,))
        if place is not None:
            return self.variables[place]
        if part[0] in (self.numbers if part[1] is None else self.factors):
            return frozenset([part[0]])
        return self._mentioned(part[0])

    def _may_be_product(
        self, place: int, members: Sequence[int | None], known: Sequence[int]
    ) -> bool:
        return len(known) < len(members) or self._is_product(place, known)

    def _is_product(self, place: int, factors: Sequence[int]) -> bool:
        column = self.X[:, place]
        tolerance = _PRODUCT_TOLERANCE * float(np.abs(column).max(initial=0.0))
        return bool((np.abs(self.X[:, factors].prod(axis=1) - column) <= tolerance).all())

    def _find_pair(self, place: int, simple: Iterable[int]) -> None:
        """Find the two columns whose product a column is."""
        name = self.names[place]
        for first, second in itertools.combinations(simple, 2):
            pair = self.variables[first] | self.variables[second]
            if place in (first, second) or len(pair) < 2 or name in pair:
                continue
            if self._is_product(place, [first, second]):
                self.numbers.pop(name, None)
                self.factors.pop(name, None)
                self.variables[place] = pair
                return

    def _find_slopes(self) -> None:
        """Find a number that has one column for each level of a factor, and no common column."""
        indicators = [
            (place, name)
            for name, factor in self.factors.items()
            for place in factor.columns
            if np.isin(self.X[:, place], (0.0, 1.0)).all()
        ]
        found: dict[int, str] = {}
        for place in range(self.X.shape[1]):
            column = self.X[:, place]
            if len(self.variables[place]) > 1 or len(np.unique(column[column != 0])) < 2:
                continue
            for indicator, name in indicators:
                if not column[self.X[:, indicator] == 0].any() and (column == 0).any():
                    found[place] = name
                    break
        places = list(found)
        # Each image must have a value in exactly one column; else the number of some images is
        # unknown.
        if len(places) < 2 or not (np.count_nonzero(self.X[:, places], axis=1) == 1).all():
            return
        first = self.parts[places[0]]
        label = next(
            (variable for variable, level in first if level is None and len(first) > 1),
            " / ".join(self.names[place] for place in places),
        )
        self.numbers[label] = self.X[:, places].sum(axis=1)
        for place in places:
            self.numbers.pop(self.names[place], None)
            self.variables[place] = frozenset([found[place], label])

    def _curved(self) -> frozenset[str]:
        """Return the numbers that have a column which is not linear in them."""
        found: set[str] = set()
        for place, own in enumerate(self.variables):
            values = self.numbers.get(next(iter(own))) if len(own) == 1 else None
            if values is not None and degree_of(self.X[:, [place]], [values]) != 1:
                found |= own
        return frozenset(found)
