# SPDX-License-Identifier: BSD-3-Clause
"""Contrasts: from names, expressions and numbers to a vector or matrix over the columns."""

from __future__ import annotations

import ast
import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupglm.design.collinearity import quote_names
from groupglm.design.column_names import ColumnNames
from groupglm.design.expressions import MAX_NESTING, nesting, parse
from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes, printable, shown
from groupglm.messages import Text, at_start
from groupglm.runtime.arguments import real_array

__all__ = ["contrast_matrix", "term_columns"]

FloatArray = NDArray[np.float64]

_CODING = re.compile(r"^[A-Z]\.")  # the T. of group[T.patient]
_EQUATION = (
    " Only a t contrast of a model, also by permutation, is compared with a constant, 'age = 0.5'."
)
_MAX_EXPRESSION = 20_000  # characters, far above real contrasts and far below a parser's limits


def contrast_matrix(
    contrast: str | ArrayLike | Sequence[str | ArrayLike] | None,
    columns: Sequence[object],
) -> FloatArray:
    """Return a contrast as numbers over the columns of a design matrix.

    Returns (n_columns,).

    Examples
    --------
    >>> contrast_matrix("patient - control", ["patient", "control", "age"])
    array([ 1., -1.,  0.])
    >>> contrast_matrix(["patient - control", "age"], ["patient", "control", "age"])
    array([[ 1., -1.,  0.],
           [ 0.,  0.,  1.]])
    """
    names = [str(column) for column in columns]
    values = _matrix(contrast, names)
    _check_values(values, names)
    return values


def _matrix(contrast: Any, names: Sequence[str]) -> FloatArray:
    if contrast is None:
        if len(names) != 1:
            raise ArgumentError.about(
                "contrast",
                "No second-level contrast is specified. The design matrix has "
                f"{len(names)} columns ({quote_names(names)})",
                "name one, give an expression, or give one number for each.",
            )
        return np.ones(1)
    if isinstance(contrast, str):
        return _from_string(contrast, names)
    if isinstance(contrast, (list, tuple)) and any(isinstance(row, str) for row in contrast):
        return np.vstack([_rows(row, names) for row in contrast])
    return _from_numbers(contrast, names)


def term_columns(text: str, columns: Sequence[object]) -> list[str]:
    """Return the columns of a formula's factor or interaction; its F is over these columns.

    Examples
    --------
    >>> term_columns("site", ["Intercept", "C(site)[T.2]", "C(site)[T.3]"])
    ['C(site)[T.2]', 'C(site)[T.3]']
    """
    names = [str(column) for column in columns]
    text = _hypothesis(text)
    if text in names or not text or len(text) > _MAX_EXPRESSION:
        return []
    known = ColumnNames(names)
    return [] if known.column(text) else known.term(text)


def _rows(row: object, names: Sequence[str]) -> FloatArray:
    values = _from_string(row, names) if isinstance(row, str) else _from_numbers(row, names)
    if values.ndim != 1 and not isinstance(row, str):
        raise ArgumentError.about(
            "contrast",
            f"A row of an F contrast must be one expression or one vector, not an array of shape "
            f"{values.shape}",
            "give the rows as one flat list.",
        )
    if not np.any(values):
        raise ArgumentError.about(
            "contrast", f"Contrast is null: its row {row!r} has only zeros", "leave it out."
        )
    return np.atleast_2d(values)


def _from_numbers(contrast: Any, names: Sequence[str]) -> FloatArray:
    if isinstance(contrast, (dict, set, bytes)):
        raise ArgumentTypeError.about(
            "contrast",
            f"A contrast must be a string, a vector or a matrix, not {type(contrast).__name__}",
            f"give one number for each column: {quote_names(names)}.",
        )
    _check_labels(contrast, names)
    try:
        values = real_array("contrast", contrast).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError.about(
            "contrast",
            "A contrast must be a string, a vector or a matrix of numbers",
            f"{shown(contrast)} is none "
            f"({error}). Give one number for each column: {quote_names(names)}.",
        ) from error
    if values.ndim in (1, 2) and values.size == 0:
        raise ArgumentError.about("contrast", _null("It is empty"), f"give {_wanted(names)}.")
    if values.ndim not in (1, 2) or values.shape[-1] != len(names):
        raise ArgumentError.about(
            "contrast",
            f"A contrast of shape {values.shape} does not fit the {len(names)} columns of the "
            f"design matrix: {_fitting(values, len(names))}",
            f"give {_wanted(names)}."
            + (_numbered(float(values), names) if values.ndim == 0 else ""),
        )
    return values


def _null(why: str) -> Text:
    return f"Contrast is null. {why}. " + at_start("contrast") + " must be a valid contrast"


def _fitting(values: FloatArray, p: int) -> str:
    """Say how many numbers a contrast of t or of F should have."""
    if values.ndim == 2:
        return f"F contrasts should have {p} columns, but it has {values.shape[1]}"
    return f"t contrasts should be of length P={p}, but it has length {values.size}"


def _wanted(names: Sequence[str]) -> str:
    p = len(names)
    return f"a vector ({p},) or a matrix (k, {p}) with one number for each of {quote_names(names)}"


def _numbered(number: float, names: Sequence[str]) -> str:
    """Return advice for a user who gives the number of a column."""
    place = int(number) if number == np.floor(number) and 0 <= number < len(names) else 0
    return f" Columns are named, not numbered: for column {place} write {names[place]!r}."


def _check_labels(contrast: Any, names: Sequence[str]) -> None:
    """Refuse a labelled vector or table whose labels are the columns in another order."""
    labels = getattr(contrast, "columns", getattr(contrast, "index", None))
    if labels is None or callable(labels):
        return
    found = [str(label) for label in labels]
    if found != list(names) and set(found) == set(names):
        raise ArgumentError.about(
            "contrast",
            f"The contrast is labelled {quote_names(found)}, which are the columns of the design "
            f"matrix in another order ({quote_names(names)})",
            "reindex it to that order, or give its numbers without labels.",
        )


def _check_values(values: FloatArray, names: Sequence[str]) -> None:
    if not np.all(np.isfinite(values)):
        bad = sorted({int(j) for j in np.argwhere(~np.isfinite(values))[:, -1]})
        raise ArgumentError.about(
            "contrast",
            f"A contrast must be finite, but has {values[~np.isfinite(values)][0]} for "
            f"{quote_names([names[j] for j in bad])}",
            "give 0 to leave a column out.",
        )
    if not np.any(values):
        raise ArgumentError.about(
            "contrast",
            _null("All its numbers are zero, so there is nothing to test"),
            f"give at least one of {quote_names(names)} a weight.",
        )


def _from_string(expression: str, names: Sequence[str]) -> FloatArray:
    if expression in names:
        return _unit(expression, names)
    expression = _hypothesis(expression)
    if expression in names:
        return _unit(expression, names)
    reader = _Reader(expression, names)
    column = reader.known.column(expression)
    if column is not None:
        return _unit(column, names)
    term = reader.known.term(expression)
    return np.stack([_unit(name, names) for name in term]) if term else reader.read()


def _hypothesis(expression: str) -> str:
    """Return the tested expression, without a ``= 0`` after it."""
    left, equals, right = expression.rpartition("=")
    if equals and right.strip() == "0" and left.strip():
        return left.strip().removesuffix("=").strip()
    return expression


def _unit(name: str, names: Sequence[str]) -> FloatArray:
    if list(names).count(name) > 1:
        raise ArgumentError.about(
            "contrast",
            f"The contrast names column {in_quotes(name)}, but {list(names).count(name)} columns "
            "have that "
            "name",
            "rename them, or give the contrast as numbers.",
        )
    values = np.zeros(len(names))
    values[list(names).index(name)] = 1.0
    return values


class _Affine(NamedTuple):
    """The value of a part of an expression: weights of the columns, plus a plain number."""

    weights: FloatArray  # (n_columns,)
    number: float

    @property
    def is_number(self) -> bool:
        return not np.any(self.weights)


class _Reader:
    """Evaluates an expression on its syntax tree; nothing is looked up, called or executed."""

    def __init__(self, expression: str, names: Sequence[str]) -> None:
        if len(expression) > _MAX_EXPRESSION:
            raise ArgumentError.about(
                "contrast",
                f"The contrast expression has {len(expression)} characters, more than "
                f"{_MAX_EXPRESSION}",
                "give the contrast as numbers.",
            )
        self.known = ColumnNames(names)
        self._expression = expression
        self._names = names
        self._quoted: dict[str, str] = {}

    def read(self) -> FloatArray:
        tree = self._parse()
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # _check_values reports these
                if isinstance(tree, (ast.List, ast.Tuple)):
                    return _from_numbers(self._numbers(tree), self._names)
                result = self._value(tree)
        except (RecursionError, OverflowError) as error:
            raise self._invalid(error) from error
        if result.number != 0.0 or isinstance(tree, ast.Constant):
            hint = _numbered(result.number, self._names) if result.is_number else ""
            raise self._refusal(f"it adds the number {result.number:g}.{hint}".rstrip("."))
        return result.weights

    def _numbers(self, node: ast.expr) -> Any:
        """Return the numbers of a vector or matrix that was given as text."""
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._numbers(element) for element in node.elts]
        value = self._value(node)
        if not value.is_number:
            raise self._refusal(f"'{ast.unparse(node)[:80]}' in a list is not a number")
        return value.number

    def _parse(self) -> ast.expr:
        if nesting(self._expression) > MAX_NESTING:
            raise self._refusal(f"its brackets are nested more than {MAX_NESTING} deep")
        try:
            return parse(self._plain())
        except ValueError as error:
            raise self._invalid(error) from error

    def _plain(self) -> str:
        """Return the expression with identifiers in place of names that are not identifiers."""
        key = "_column_"
        while key in self._expression or any(key in name for name in self._names):
            key += "_"
        parts = []
        for text, column in self.known.parts(self._expression):
            if column is None:
                parts.append(text)
            else:
                stand_in = f"{key}{len(self._quoted)}"
                self._quoted[stand_in] = column
                parts.append(f" {stand_in} ")
        return "".join(parts).strip()

    def _value(self, node: ast.expr) -> _Affine:
        if isinstance(node, ast.BinOp):
            return self._chain(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
            sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
            operand = self._value(node.operand)
            return _Affine(sign * operand.weights, sign * operand.number)
        if isinstance(node, ast.Name):
            return _Affine(self._column(node.id), 0.0)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            value: Any = node.value
            number = float(value)
            if not np.isfinite(number):
                raise self._refusal("a number in it is too large")
            return _Affine(np.zeros(len(self._names)), number)
        if isinstance(node, ast.Subscript) and any("[" in name for name in self._names):
            raise self._undefined(ast.unparse(node))
        raise self._refusal(f"'{ast.unparse(node)[:80]}' is not one")

    def _chain(self, node: ast.BinOp) -> _Affine:
        """Evaluate a chain of operators from its left end: a long sum then needs no recursion."""
        pending = list(_left_spine(node))
        result = self._value(pending[-1].left)
        for step in reversed(pending):
            result = self._combine(step, result, self._value(step.right))
        return result

    def _combine(self, node: ast.BinOp, left: _Affine, right: _Affine) -> _Affine:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            sign = 1.0 if isinstance(node.op, ast.Add) else -1.0
            return _Affine(left.weights + sign * right.weights, left.number + sign * right.number)
        if isinstance(node.op, ast.Mult) and (left.is_number or right.is_number):
            factor, other = (left, right) if left.is_number else (right, left)
            return _Affine(factor.number * other.weights, factor.number * other.number)
        if isinstance(node.op, ast.Div) and right.is_number:
            if right.number == 0.0:
                raise self._refusal("it divides by zero")
            return _Affine(left.weights / right.number, left.number / right.number)
        raise self._refusal(f"'{ast.unparse(node)[:80]}' is not one")

    def _column(self, identifier: str) -> FloatArray:
        if identifier in self._quoted:
            name = self._quoted[identifier]
            if name in self._names:
                return _unit(name, self._names)
        else:
            # Python's parser returns identifiers in NFKC form (a micro sign becomes a mu).
            name = identifier
            matches = [n for n in self._names if unicodedata.normalize("NFKC", n) == name]
            if matches:
                return self._only(matches)
            column = self.known.column(name)
            if column is not None:
                return _unit(column, self._names)
        term = self.known.term(name)
        if term:
            raise self._refusal(
                f"{name!r} is a factor; name its columns, which are {quote_names(term)} ({name!r} "
                "alone is the F over them)"
            )
        raise self._undefined(name)

    def _not_valid(self) -> str:
        return f"The expression ({printable(self._expression[:200])}) is not valid"

    def _undefined(self, name: str) -> ArgumentError:
        return ArgumentError.about(
            "contrast",
            f"{self._not_valid()}: name {name[:200]!r} is not "
            f"defined.{self._hint(name)}\n{self._available()}",
        )

    def _only(self, matches: Sequence[str]) -> FloatArray:
        if len(set(matches)) > 1:
            raise ArgumentError.about(
                "contrast",
                f"{self._not_valid()}: {quote_names(matches)} look the same to Python",
                "put backticks around the one that is meant.",
            )
        return _unit(matches[0], self._names)

    def _hint(self, name: str) -> str:
        factor = name[: name.rfind("[")] if name.endswith("]") else ""
        term = self.known.term(factor) if factor else []
        close = [column for column in term if _level(column) == _level(name)]
        if term and not close:
            return f" The columns of {factor!r} are {quote_names(term)}."
        close = close or difflib.get_close_matches(
            name[:200], list(dict.fromkeys(self._names)), n=3
        )
        return f" Did you mean {' or '.join(repr(match) for match in close)}?" if close else ""

    def _available(self) -> str:
        return f"Available matrix columns are: {list(self._names)}"

    def _invalid(self, error: BaseException) -> ArgumentError:
        equation = _EQUATION if "=" in self._expression else ""
        reason = str(error).rstrip(".")
        if ":" in self._expression:  # which Python's parser would call invalid syntax
            reason = (
                "':' joins the factors of an interaction, and the design has none of this name; a "
                "formula makes it by * or :"
            )
        return ArgumentError.about(
            "contrast",
            f"{self._not_valid()}: {reason}."
            f"{self._hint(self._expression)}{equation} Put backticks around a column name with "
            f"other characters than letters, digits and underscores.\n{self._available()}",
        )

    def _refusal(self, reason: str) -> ArgumentError:
        return ArgumentError.about(
            "contrast",
            f"{self._not_valid()}: contrast expressions must be "
            f"linear combinations of columns, such as 'a - b' or '(a + 2*b) / 3', and {reason}.\n"
            f"{self._available()}",
        )


def _level(column: str) -> str:
    """Return the level in the brackets of a column's name, without the mark of its coding."""
    level = column.rpartition("[")[2].rstrip("]").strip("'\"")
    return _CODING.sub("", level).casefold()


def _left_spine(node: ast.expr) -> Iterator[ast.BinOp]:
    while isinstance(node, ast.BinOp):
        yield node
        node = node.left
