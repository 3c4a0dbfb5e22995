# SPDX-License-Identifier: BSD-3-Clause
"""Messages that know which arguments they name: `Text`.

A message names arguments as Python calls them; the command line shows options instead. A message is
therefore kept as pieces, and the code that shows it says how each argument is called there. No text
is searched for names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self, TypeAlias

__all__ = [
    "Arguments",
    "Naming",
    "Text",
    "Wording",
    "again",
    "argument",
    "arguments",
    "at_start",
    "either",
    "text_of",
]

_NAME_ALONE: Any = object()
_AGAIN, _START = "again", "start"


class Arguments(NamedTuple):
    """Arguments that a message names together, usually one.

    Each is a name and its value as Python writes it, or None if only the name is meant.
    `kind` sorts names that no signature lists, such as the entities of a file's name; a name that
    was said before is of the kind "again", and one that begins a sentence of the kind "start".
    """

    given: tuple[tuple[str, str | None], ...]
    kind: str = ""

    def __str__(self) -> str:
        if self.kind == _AGAIN:
            return f"'{self.given[0][0]}'"
        if self.kind == _START:
            return self.given[0][0].capitalize()
        return " and ".join(
            name if value is None else f"{name}={value}" for name, value in self.given
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name, _ in self.given)


class _Either(NamedTuple):
    """Words for Python, and other words for the command line."""

    in_python: str
    in_shell: str

    def __str__(self) -> str:
        return self.in_python


_Piece: TypeAlias = str | Arguments | _Either
Naming: TypeAlias = Callable[[Arguments], str]
Wording: TypeAlias = "Callable[[Text], str]"


class Text(str):
    """A message in Python's words, which can also be shown in the command line's words.

    Join it with ``+``. Formatted into another text, it would become plain text.

    Examples
    --------
    >>> message = "a.nii: give " + argument("missing", "omit") + ", or " + argument("mask_img")
    >>> print(message)
    a.nii: give missing='omit', or mask_img
    >>> message.worded(lambda named: "--" + named.names[0])
    'a.nii: give --missing, or --mask_img'
    """

    __slots__ = ("pieces",)
    pieces: tuple[_Piece, ...]

    @classmethod
    def of(cls, *pieces: _Piece) -> Self:
        """Put pieces together."""
        text = cls("".join(map(str, pieces)))
        text.pieces = pieces
        return text

    def __add__(self, other: str) -> Self:
        return self.of(*self.pieces, *_pieces_of(other))

    def __radd__(self, other: str) -> Self:
        return self.of(*_pieces_of(other), *self.pieces)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, self.pieces

    def worded(self, naming: Naming) -> str:
        """Return the message with the arguments in the caller's own names."""
        words = []
        for piece in self.pieces:
            if isinstance(piece, Arguments):
                words.append("it" if piece.kind == _AGAIN else naming(piece))
            else:
                words.append(_in_shell(piece, naming) if isinstance(piece, _Either) else piece)
        return "".join(words)

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the message with some arguments called otherwise."""
        return self.of(
            *(
                piece._replace(given=tuple((names.get(n, n), value) for n, value in piece.given))
                if isinstance(piece, Arguments)
                else piece
                for piece in self.pieces
            )
        )

    def mapped(self, function: Callable[[str], str]) -> Self:
        """Return the message with the words between the arguments changed."""
        return self.of(*(function(p) if isinstance(p, str) else p for p in self.pieces))


def _in_shell(said: _Either, naming: Naming) -> str:
    """Return what is said in the shell, whose arguments are named as in the rest of the text."""
    return said.in_shell.worded(naming) if isinstance(said.in_shell, Text) else said.in_shell


def _pieces_of(text: str) -> tuple[_Piece, ...]:
    return text.pieces if isinstance(text, Text) else (text,)


def argument(name: str, value: Any = _NAME_ALONE, *, shown: str | None = None) -> Text:
    """Name an argument, with a value that it has or should have; `shown` is written unchanged."""
    return Text.of(Arguments(((name, shown if value is _NAME_ALONE else repr(value)),)))


def arguments(kind: str = "", /, **shown: str | None) -> Text:
    """Name arguments that have a meaning together, with their values as Python writes them."""
    return Text.of(Arguments(tuple(shown.items()), kind))


def again(name: str) -> Text:
    """Name an argument that was named before: in quotes in Python, "it" in the shell."""
    return Text.of(Arguments(((name, None),), _AGAIN))


def at_start(name: str) -> Text:
    """Name an argument at the start of a sentence, with a capital in Python."""
    return Text.of(Arguments(((name, None),), _START))


def text_of(error: BaseException) -> str:
    """Return the message of an error; it is a `Text` if the error was raised with one."""
    message = error.args[0] if error.args else None
    return message if isinstance(message, Text) else str(error)


def either(in_python: str, in_shell: str) -> Text:
    """Say something in different words in Python and in the shell; "" says nothing."""
    return Text.of(_Either(in_python, in_shell))
