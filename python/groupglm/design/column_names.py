# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a design that a text means, in any way of writing their names.

A formula's columns have names such as ``C(group)[T.b]``, ``I(age ** 2)`` and ``age:group[T.b]``.
Blanks, the kind of quotes, redundant parentheses and the order of an interaction do not matter.
``group[T.b]`` is short for ``C(group)[T.b]``; ``site`` means all columns of the factor.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from groupglm.design.expressions import canonical, closing_place, parse

__all__ = ["ColumnNames"]

_Key = tuple[str, ...]
_LEXEME = re.compile(r"\w+|\s+|.", re.DOTALL)
_CATEGORY = re.compile(r"C\((\w+|`[^`]*`)[,)]")
_MAX_CODE = 1_000  # characters of a call that is brought to one spelling
_MAX_WORDS = 200  # of a name that needs no backticks
_MAX_REORDERED = 4  # factors of an interaction that may come in any order


class _Component(NamedTuple):
    """A part of an interaction: the factor's name, its short name, and the level in brackets."""

    factor: _Key
    short: _Key
    level: _Key

    def keys(self) -> set[_Key]:
        return {self.factor + self.level, self.short + self.level}


class ColumnNames:
    """The names of a design's columns.

    Parameters
    ----------
    columns : iterable of str
        The names.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = list(columns)
        self._components = {name: _components(name) for name in self._columns}
        self._by_key = self._keys()
        short = [key for key in self._by_key if 0 < len(key) <= _MAX_WORDS]
        self._lengths = sorted({len(key) for key in short}, reverse=True)
        self._first_words = {key[0] for key in short}

    def column(self, text: str) -> str | None:
        """Return the one column that a text means, or None."""
        if text in self._columns:
            return text
        if text.strip().lower() == "intercept":
            same = [name for name in self._columns if name.lower() == "intercept"]
            return same[0] if len(same) == 1 else None
        key = _key(text)
        return (_is_unmistakable(key) and self._by_key.get(key)) or None

    def term(self, text: str) -> list[str]:
        """Return the columns of the factor or interaction of this name; empty if there is none."""
        wanted = sorted(component.factor + component.level for component in _components(text))
        return [
            name
            for name, components in self._components.items()
            if any(component.level for component in components)
            and any(
                sorted(factors) == wanted
                for factors in itertools.product(
                    *((each.factor, each.short) for each in components)
                )
            )
        ]

    def parts(self, expression: str) -> Iterator[tuple[str, str | None]]:
        """Yield the parts of an expression, each with the column that it means, if it means one.

        A name that could be an expression of other names, such as ``a - b``, means a column only
        between backticks.
        """
        pieces = _LEXEME.findall(_rewritten(expression))
        place = 0
        while place < len(pieces):
            stop, column = self._longest(pieces, place)
            if column is None and pieces[place] == "`":
                stop = next((i for i in range(place + 1, len(pieces)) if pieces[i] == "`"), place)
                name = "".join(pieces[place + 1 : stop])
                column = (self.column(name) or name) if stop > place else None
                stop += 1
            yield "".join(pieces[place:stop]), column
            place = stop

    def _longest(self, pieces: Sequence[str], place: int) -> tuple[int, str | None]:
        """Return the end of the longest column name that begins at a piece, and the column."""
        before = pieces[place - 1] if place else ""
        first = next((each for each in pieces[place : place + 2] if each != "`"), "")
        if _unquoted(first) in self._first_words and before not in ("]", "."):
            places = [
                i
                for i in range(place, min(len(pieces), place + 3 * self._lengths[0]))
                if not (pieces[i].isspace() or pieces[i] == "`")
            ]
            words = [_unquoted(pieces[i]) for i in places]
            for length in self._lengths:
                column = self._by_key.get(tuple(words[:length]))
                if column and length <= len(words) and _is_unmistakable(words[:length]):
                    stop = places[length - 1] + 1
                    if pieces[place:stop].count("`") % 2 and pieces[stop : stop + 1] == ["`"]:
                        stop += 1
                    if "".join(pieces[stop : stop + 1]) not in ("[", "("):
                        return stop, column
        return place + 1, None

    def _keys(self) -> dict[_Key, str]:
        """Return the column of each way of writing; empty for a way that several columns share."""
        own: dict[_Key, str] = {}
        for name in self._columns:
            key = _key(name)
            own[key] = "" if own.get(key, name) != name else name
        others: dict[_Key, str] = {}
        for name, components in self._components.items():
            for key in _orders(components):
                others[key] = "" if others.get(key, name) != name else name
        return {**others, **own}


def _orders(components: Sequence[_Component]) -> Iterator[_Key]:
    orders = [components]
    if 1 < len(components) <= _MAX_REORDERED:
        orders = list(itertools.permutations(components))
    for order in orders:
        for keys in itertools.product(*(component.keys() for component in order)):
            yield tuple(word for i, key in enumerate(keys) for word in ((":",) * (i > 0) + key))


def _components(name: str) -> list[_Component]:
    """Split a name at the colons outside brackets."""
    pieces = _LEXEME.findall(_rewritten(name))
    parts: list[list[str]] = [[]]
    place = 0
    while place < len(pieces):
        stop = _closed(pieces, place)
        if pieces[place] == ":":
            parts.append([])
        else:
            parts[-1] += pieces[place:stop]
        place = stop
    return [_component(part) for part in parts]


def _component(pieces: list[str]) -> _Component:
    place = 0
    while place < len(pieces) and pieces[place] != "[":
        place = _closed(pieces, place)
    factor = "".join(pieces[:place])
    short = _CATEGORY.match(factor.strip())
    return _Component(
        _words(factor),
        _words(short[1] if short else factor),
        _words("".join(pieces[place:])),
    )


def _closed(pieces: list[str], place: int) -> int:
    """Return the position after the closing bracket."""
    if pieces[place] in ("(", "[", "{"):
        try:
            return closing_place(pieces, place) + 1
        except ValueError:  # the name of a level may hold anything
            return len(pieces)
    return place + 1


def _rewritten(text: str) -> str:
    """Return a text with all its calls in one spelling."""
    pieces = _LEXEME.findall(text)
    result: list[str] = []
    place = 0
    while place < len(pieces):
        stop = place + 1
        if pieces[stop : stop + 1] == ["("] and pieces[place].isidentifier():
            stop = _closed(pieces, stop)
        call = "".join(pieces[place:stop])
        if stop > place + 1 and len(call) <= _MAX_CODE:
            with contextlib.suppress(ValueError):  # other text stays unchanged
                call = canonical(parse(call))
        result.append(call)
        place = stop
    return "".join(result)


def _key(text: str) -> _Key:
    return _words(_rewritten(text))


def _words(text: str) -> _Key:
    return tuple(
        _unquoted(piece) for piece in _LEXEME.findall(text) if not (piece.isspace() or piece == "`")
    )


def _unquoted(piece: str) -> str:
    return "'" if piece == '"' else piece


def _is_unmistakable(words: Sequence[str]) -> bool:
    """Return whether a name has a call, brackets or a colon, and so is no expression of names."""
    calls = any(
        second == "(" and first.isidentifier() for first, second in itertools.pairwise(words)
    )
    return calls or not all(re.fullmatch(r"[-+*/().]|\w+", word) for word in words)
