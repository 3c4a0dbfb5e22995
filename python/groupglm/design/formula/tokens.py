# SPDX-License-Identifier: BSD-3-Clause
"""The words and signs of a formula, with their places in its text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from groupglm.design.expressions import closing_place, lexemes

__all__ = ["Token", "tokens_of"]


class Token(NamedTuple):
    """A word, a number, a sign or a piece of code, without blanks."""

    kind: str  # "name", "code", "number", "operator" or "end"
    text: str
    place: int  # position of its first character, from 1


def tokens_of(formula: str) -> Iterable[Token]:
    """Yield the tokens of a formula."""
    parts = lexemes(formula)
    place = 0  # of a lexeme
    characters = 1
    while place < len(parts):
        stop = _token_end(parts, place)
        text = "".join(parts[place:stop])
        if not text.isspace():
            yield _token(text, characters)
        characters += len(text)
        place = stop


def _token_end(parts: list[str], place: int) -> int:
    """Return the end of the token that begins at a lexeme."""
    part = parts[place]
    if part == "{":
        return closing_place(parts, place) + 1
    if part == "%":
        return next((i + 1 for i in range(place + 1, len(parts)) if parts[i] == "%"), place + 1)
    if part == "*" and parts[place + 1 : place + 2] == ["*"]:
        return place + 2
    if not _is_word(part):
        return place + 1
    # A word, a call, and all calls and members after it are one piece of code.
    stop = place + 1
    while stop < len(parts):
        if parts[stop] in ("(", "["):
            stop = closing_place(parts, stop) + 1
        elif _is_word(parts[stop]):
            stop += 1
        else:
            break
    return stop


def _is_word(part: str) -> bool:
    return part == "." or part[0] == "_" or part[0].isalnum()


def _token(text: str, place: int) -> Token:
    if text[0] == "`":
        if len(text) < 3 or text[-1] != "`":
            raise ValueError(f"the backtick at character {place} is not closed, or holds no name.")
        return Token("name", text[1:-1], place)
    if text[0] == "{":
        return Token("code", text[1:-1], place)
    if text == "%in%" or text in ("+", "-", "*", "**", "^", "/", ":", "(", ")", "~", "|"):
        return Token("operator", "**" if text == "^" else text, place)
    if _is_word(text[0]):
        if text[-1] in ")]" or "(" in text or "[" in text:
            return Token("code", text, place)
        if text.isascii() and text.isdigit():
            return Token("number", text, place)
        if not text[0].isdigit() and text != ".":
            return Token("name", text, place)
    raise ValueError(f"{text[:40]!r} at character {place} is not understood.")
