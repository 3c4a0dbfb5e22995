# SPDX-License-Identifier: BSD-3-Clause
"""Python's notation within a formula: its syntax tree is checked, then computed node by node.

There is no ``eval``. Only what is named here exists: arithmetic, comparisons, and the functions of
`formula_functions`, each with the arguments that it declares. Values are copies of the table's
columns, so nothing changes the table.
"""

from __future__ import annotations

import ast
import inspect
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.formula.functions import CODINGS, FUNCTIONS, UFUNCS, numbers_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check", "columns_of", "evaluate", "find_column"]

MAX_EXPONENT = 20  # a larger one is an error of the user
MAX_ELEMENTS = 100  # of a list, such as the knots of a spline
_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Pow: np.float_power,
}
_LOGICAL: dict[type[ast.operator], Callable[..., Any]] = {
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_PLAIN = (ast.Constant, ast.List, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Name)
_PARTS: tuple[type[ast.AST], ...] = (
    ast.Load, ast.keyword, ast.UAdd, ast.USub, ast.Invert,
    *_ARITHMETIC, *_LOGICAL, *_COMPARISONS,
)  # fmt: skip


def check(tree: ast.expr) -> None:
    """Refuse all expressions but arithmetic and known functions; compute nothing."""
    functions: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if _function(node.func) is None or any(each.arg is None for each in node.keywords):
                raise _refusal(node)
            functions.update(map(id, ast.walk(node.func)))
    for node in ast.walk(tree):
        if id(node) in functions or isinstance(node, _PARTS):
            continue
        if not isinstance(node, (*_PLAIN, ast.Call)):
            raise _refusal(node)
        _check_plain(node)


def _check_plain(node: ast.AST) -> None:
    if isinstance(node, ast.Constant) and not _is_plain_constant(node.value):
        raise _refusal(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        raise _refusal(node)
    if isinstance(node, (ast.List, ast.Tuple)) and len(node.elts) > MAX_ELEMENTS:
        raise ValueError(f"a list in it has {len(node.elts)} elements, more than {MAX_ELEMENTS}.")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        value: Any = power.value if isinstance(power, ast.Constant) else None
        if type(value) not in (int, float) or value > MAX_EXPONENT:
            raise _refusal(node, f" (an exponent is a number up to {MAX_EXPONENT})")


def _is_plain_constant(value: object) -> bool:
    if type(value) in (int, float):
        try:
            return math.isfinite(float(value))  # type: ignore[arg-type]
        except OverflowError:
            return False
    return value is None or type(value) in (bool, str)


def _function(node: ast.expr) -> Callable[..., Any] | None:
    if isinstance(node, ast.Name):
        return FUNCTIONS.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {"np": UFUNCS, "contr": CODINGS}.get(node.value.id, {}).get(node.attr)
    return None


def _refusal(node: ast.AST, why: str = "") -> ValueError:
    functions = sorted({*FUNCTIONS, *(f"np.{name}" for name in UFUNCS)})
    return ValueError(
        f"it would execute {ast.unparse(node)[:80]}{why}; inside functions and braces only "
        f"arithmetic, comparisons and these functions are allowed: {', '.join(functions)}. Add a "
        "column to the participants table instead."
    )


def columns_of(tree: ast.expr) -> Iterator[str]:
    """Yield the columns that a checked expression names."""
    functions = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for part in ast.walk(node.func)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in functions:
            yield node.id


def evaluate(tree: ast.expr, columns: Mapping[str, pd.Series[Any]]) -> Any:
    """Compute a checked expression."""
    return _Evaluator(columns).value(tree)


def find_column(name: str, columns: Mapping[str, Any]) -> str | None:
    """Return the column whose name in NFKC form, as Python's parser returns names, is `name`."""
    if name in columns:
        return name
    same = [each for each in columns if unicodedata.normalize("NFKC", each) == name]
    return same[0] if len(same) == 1 else None


class _Evaluator:
    def __init__(self, columns: Mapping[str, pd.Series[Any]]) -> None:
        self._columns = columns

    def value(self, node: ast.expr) -> Any:
        result: Any
        match node:
            case ast.Constant():
                result = node.value
            case ast.Name():
                result = self._columns[find_column(node.id, self._columns) or node.id].copy()
            case ast.List() | ast.Tuple():
                result = [self.value(element) for element in node.elts]
            case ast.UnaryOp():
                result = self._unary(node)
            case ast.BinOp():
                result = self._binary(node)
            case ast.Compare():
                result = self._compared(node)
            case ast.Call():
                result = self._called(node)
            case _:
                raise _refusal(node)
        return result

    def _unary(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if isinstance(node.op, ast.Invert):
            return np.logical_not(_truth(operand, node))
        numbers = numbers_of(operand, ast.unparse(node))
        return -numbers if isinstance(node.op, ast.USub) else numbers

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        kind = type(node.op)
        if kind in _LOGICAL:
            return _LOGICAL[kind](_truth(left, node), _truth(right, node))
        text = ast.unparse(node)
        with np.errstate(all="ignore"):  # values that are not finite are refused at the end
            return _ARITHMETIC[kind](numbers_of(left, text), numbers_of(right, text))

    def _compared(self, node: ast.Compare) -> Any:
        values = [self.value(each) for each in (node.left, *node.comparators)]
        result: Any = True
        for operator, left, right in zip(node.ops, values[:-1], values[1:], strict=True):
            function = _COMPARISONS[type(operator)]
            result = np.logical_and(result, function(*_comparable(left, right, node)))
        return result

    def _called(self, node: ast.Call) -> Any:
        function = _function(node.func)
        if function is None:
            raise _refusal(node)
        arguments = [self.value(each) for each in node.args]
        named = {each.arg or "": self.value(each.value) for each in node.keywords}
        text = ast.unparse(node.func)
        signature = inspect.signature(function)
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError as error:
            takes = ", ".join(
                name if each.default is each.empty else f"{name}={each.default!r}"
                for name, each in signature.parameters.items()
            )
            raise ValueError(f"{text}() takes ({takes}): {error}.") from error
        try:
            with np.errstate(all="ignore"):
                return function(*bound.args, **bound.kwargs)
        except ValueError as error:
            raise ValueError(f"{text}(): {error}") from error


def _truth(value: Any, node: ast.expr) -> Any:
    if isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_:
        return np.asarray(value)
    raise ValueError(
        f"{ast.unparse(node)[:80]} needs comparisons on both sides, such as (age > 3)."
    )


def _comparable(left: Any, right: Any, node: ast.Compare) -> tuple[Any, Any]:
    text = ast.unparse(node)[:80]
    if _is_text(left) or _is_text(right):
        if not (_is_text(left) and _is_text(right)):
            raise ValueError(f"{text} compares text with numbers.")
        if not all(isinstance(operator, (ast.Eq, ast.NotEq)) for operator in node.ops):
            raise ValueError(f"{text} compares text, for which there are only == and !=.")
        return np.asarray(left, dtype=object), np.asarray(right, dtype=object)
    numbers = numbers_of(left, text), numbers_of(right, text)
    if any(np.isnan(each).any() for each in numbers):
        raise ValueError(f"{text} compares values that are not numbers (such as log(-1)).")
    return numbers


def _is_text(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return isinstance(value, str) or (dtype is not None and dtype.kind not in "biuf")
