# SPDX-License-Identifier: BSD-3-Clause
"""Expressions of users and files: parsed to Python's syntax tree, and never executed.

A name that is not a Python identifier stands between backticks. It is replaced by an identifier
before Python's parser reads the text. Backticks inside a quoted text are left alone.
"""

from __future__ import annotations

import ast
import re
import warnings

__all__ = ["MAX_NESTING", "canonical", "closing_place", "lexemes", "nesting", "parse"]

MAX_NESTING = 50  # brackets within brackets; far above any real expression
MAX_DEPTH = 100  # levels of a syntax tree that is written back
_PAIRS = {"(": ")", "[": "]", "{": "}"}
# The alternatives begin with different characters, and an unclosed quote ends with the text. So one
# pass is enough for any text.
_LEXEME = re.compile(
    r""""(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)|`[^`]*(?:`|\Z)|\w+|\s+|.""",
    re.DOTALL,
)


def lexemes(text: str) -> list[str]:
    """Split a text into words, texts in quotes, names in backticks, white space and characters."""
    return _LEXEME.findall(text)


def nesting(text: str) -> int:
    """Return the depth of the nested brackets of a text."""
    depth = deepest = 0
    for lexeme in lexemes(text):
        depth += (lexeme in _PAIRS) - (lexeme in _PAIRS.values())
        deepest = max(deepest, depth)
    return deepest


def closing_place(parts: list[str], start: int) -> int:
    """Return the position of the bracket that closes the one at `start`; ValueError without one."""
    open_brackets: list[str] = []
    for place in range(start, len(parts)):
        part = parts[place]
        if part in _PAIRS:
            open_brackets.append(_PAIRS[part])
        elif part in _PAIRS.values():
            if open_brackets.pop() != part:
                break
            if not open_brackets:
                return place
    raise ValueError(f"the bracket {parts[start]!r} is not closed.")


def parse(text: str) -> ast.expr:
    """Parse an expression; ValueError says why it cannot be parsed.

    The names between backticks are nodes of the tree like other names. Their `id` is the name, and
    `quoted` is True.
    """
    if nesting(text) > MAX_NESTING:
        raise ValueError(f"its brackets are nested more than {MAX_NESTING} deep.")
    prefix = "_quoted"
    while prefix in text:
        prefix += "_"
    quoted: dict[str, str] = {}

    def stand_in(lexeme: str) -> str:
        if lexeme.isspace():
            return " "
        if lexeme[0] != "`":
            return lexeme
        if len(lexeme) < 3 or lexeme[-1] != "`":
            raise ValueError("a backtick is not closed, or holds no name.")
        key = f"{prefix}{len(quoted)}"
        quoted[key] = lexeme[1:-1]
        return f" {key} "

    _check_letters(text)
    masked = "".join(map(stand_in, lexemes(text))).strip()
    try:
        with warnings.catch_warnings():  # of odd escapes and numbers
            warnings.simplefilter("ignore")
            tree = ast.parse(masked, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{reason or 'it is too deep to be read'}.") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.quoted = node.id in quoted  # type: ignore[attr-defined]
            node.id = quoted.get(node.id, node.id)
    return tree


def _check_letters(text: str) -> None:
    """Refuse lone surrogates, which Python's own parser refuses in words about a codec."""
    lone = next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)
    if lone is not None:
        raise ValueError(f"{lone!r} is half of a character, as of text that is not in UTF-8.")


def canonical(tree: ast.expr) -> str:
    """Return an expression in one spelling, whatever its blanks, quotes and parentheses."""
    _check_depth(tree)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    plain = [node.id for node in names]
    try:
        for node in names:
            if not node.id.isidentifier():
                node.id = f"`{node.id}`"  # written back unchanged
        return " ".join(ast.unparse(tree).split("\n"))
    finally:
        for node, name in zip(names, plain, strict=True):
            node.id = name


def _check_depth(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ValueError(f"an expression in it is nested more than {MAX_DEPTH} deep.")
