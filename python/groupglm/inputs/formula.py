# SPDX-License-Identifier: BSD-3-Clause
"""Design matrices from a formula over a participants table.

formulaic does the algebra. It also executes what stands inside a function call or braces as Python
code; here that code is read first, and refused unless it is arithmetic, comparison, or a call of
one of the functions below. A formula from elsewhere can therefore not open files or start programs.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm._dependence import quote_names

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["aliases", "design_from_formula", "expand_aliases"]

_TRANSFORMS = (
    "C", "I", "bs", "cc", "center", "cr", "cs", "exp", "exp10", "exp2", "log", "log10", "log2",
    "poly", "scale", "standardize", "Diff", "Helmert", "Poly", "Sum", "Treatment",
)  # fmt: skip
_CODINGS = ("SAS", "diff", "helmert", "poly", "sum", "treatment")
_UFUNCS = (
    "abs", "arcsinh", "arctan", "cbrt", "ceil", "clip", "cos", "exp", "expm1", "floor", "log",
    "log10", "log1p", "log2", "maximum", "minimum", "sign", "sin", "sqrt", "square", "tan",
    "tanh", "where",
)  # fmt: skip
_NODES = (
    ast.Expression, ast.Load, ast.Constant, ast.List, ast.Tuple, ast.keyword,
    ast.UnaryOp, ast.UAdd, ast.USub, ast.Not, ast.Invert,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.BitAnd, ast.BitOr,
    ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
_MAX_FORMULA = 5_000  # characters; far above any real formula
_MAX_POWER = 20  # a larger exponent is a slip, and of whole numbers it may not end
_MAX_SHOWN = 8


def design_from_formula(formula: str, table: pd.DataFrame) -> pd.DataFrame:
    """Expand a formula over a table into a design matrix.

    Parameters
    ----------
    formula : str
        The right-hand side in Wilkinson's notation, such as ``"~ age + C(group)"``; an intercept is
        added unless it says ``0 +`` or ``- 1``. Text columns, and what is in ``C()``, are coded
        by treatment contrasts with the first level in sorted order as the reference.
    table : pandas.DataFrame
        One row a subject, with the subjects' labels as index.

    Returns
    -------
    pandas.DataFrame
        float64, one row a row of `table`, with its index.

    Raises
    ------
    ValueError
        If the formula cannot be read, names an unknown column, would execute code beyond the
        transforms above, uses a column with missing values, or gives values that are not finite.

    Notes
    -----
    The algebra is formulaic's: https://matthewwardrop.github.io/formulaic. Transforms that learn
    from the data, such as ``center`` and ``scale``, learn from the rows of `table` alone.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [20.0, 30, 40], "group": ["b", "a", "b"]},
    ...                      index=["01", "02", "03"])
    >>> design_from_formula("~ age + group", table)
        Intercept   age  group[T.b]
    01        1.0  20.0         1.0
    02        1.0  30.0         0.0
    03        1.0  40.0         1.0
    """
    used = _used_columns(formula, [str(name) for name in table.columns])
    _check_present(formula, table, used)
    from formulaic import Formula

    try:
        matrix = Formula(formula).get_model_matrix(
            table.reset_index(drop=True), context={}, na_action="raise", output="pandas"
        )
    except Exception as error:  # a transform may raise anything, and the reason is in the message
        raise _invalid(formula, error) from error
    import pandas as pd

    design = pd.DataFrame(
        np.asarray(matrix, dtype=np.float64), index=table.index, columns=list(matrix.columns)
    )
    if design.shape[1] == 0:
        raise ValueError(f"formula {formula!r} gives no column; '~ 1' is the mean of all subjects")
    _check_finite(formula, design)
    return design


def aliases(columns: Iterable[str]) -> dict[str, str]:
    """Return shorter names of a formula's columns: ``group[T.b]`` for ``C(group)[T.b]``.

    Parameters
    ----------
    columns : iterable of str
        Names of a design's columns.

    Returns
    -------
    dict of str to str
        The column of each further name, where there is no doubt which one is meant.
    """
    names = list(columns)
    found: dict[str, str] = {}
    for name in names:
        short = re.sub(r"\bC\((\w+)(?:,[^\[\]]*)?\)(?=\[)", r"\1", name)
        short = "intercept" if name == "Intercept" else short
        if short not in names:
            found[short] = "" if short in found else name
    return {short: name for short, name in found.items() if name}


def expand_aliases(expression: str, columns: Iterable[str]) -> str:
    """Write the columns' own names into a contrast expression, in backticks.

    Parameters
    ----------
    expression : str
        As the user wrote it.
    columns : iterable of str
        Names of the design's columns.

    Returns
    -------
    str
        What `groupglm.contrasts.contrast_matrix` understands.

    Examples
    --------
    >>> expand_aliases("group[T.b] - age", ["age", "C(group)[T.b]"])
    '`C(group)[T.b]` - age'
    """
    names = list(columns)
    if expression in names:
        return expression
    short = aliases(names)
    # Longest first, and whole columns before their parts; what is in backticks is left alone.
    known = sorted({*short, *filter(_is_plain_text, names)}, key=len, reverse=True)
    patterns = [r"`[^`]*`", *(rf"(?<![\w\]]){re.escape(name)}(?![\w\[(])" for name in known)]
    return re.sub(
        "|".join(patterns),
        lambda match: f"`{short[match[0]]}`" if match[0] in short else match[0],
        expression,
    )


def _is_plain_text(name: str) -> bool:
    return not name.isidentifier() and "`" not in name


def _used_columns(formula: str, columns: Sequence[str]) -> list[str]:
    """Parse a formula without executing any of it, and list the table's columns that it uses."""
    from formulaic import Formula, SimpleFormula

    if len(formula) > _MAX_FORMULA:
        raise ValueError(
            f"formula has {len(formula)} characters, more than {_MAX_FORMULA}; make a design "
            "matrix of your own"
        )
    try:
        parsed = Formula(formula)
    except Exception as error:  # formulaic's own, and what its tokenizer lets through
        raise _invalid(formula, error) from error
    if not isinstance(parsed, SimpleFormula):
        raise ValueError(  # noqa: TRY004  (what is wrong is the text)
            f"formula {formula!r} has a left-hand side or several parts; the images are what is "
            "explained, so give only the right-hand side, such as '~ age + C(group)'"
        )
    used: dict[str, None] = {}
    for term in parsed:
        for factor in term.factors:
            method = str(getattr(factor.eval_method, "value", factor.eval_method))
            if method == "lookup":
                used[factor.expr] = None
            elif method == "python":
                used.update(dict.fromkeys(_Code(formula, factor.expr).columns()))
    unknown = [name for name in used if name not in columns]
    if unknown:
        close = difflib.get_close_matches(unknown[0], columns, n=2)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"formula {formula!r} names {quote_names(unknown)}, which the participants table does "
            f"not have.{hint} Its columns are: {quote_names(columns)}."
        )
    return list(used)


class _Code:
    """The Python code within a formula: read, never executed here."""

    def __init__(self, formula: str, code: str) -> None:
        self._formula = formula
        self._code = code
        self._quoted: list[str] = []

    def columns(self) -> list[str]:
        """Return the columns that the code uses; refuse it if it does more than arithmetic."""

        def stand_in(match: re.Match[str]) -> str:
            self._quoted.append(match[1])
            return f"_quoted_{len(self._quoted) - 1}"

        try:
            tree = ast.parse(re.sub(r"`([^`]*)`", stand_in, self._code).strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _invalid(self._formula, error) from error
        functions: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                functions.update(map(id, self._function(node.func)))
        names = []
        for node in ast.walk(tree):
            if id(node) in functions:
                continue
            if isinstance(node, ast.Name):
                names.append(self._column(node.id))
            elif not isinstance(node, (*_NODES, ast.Call)):
                raise self._refusal(ast.unparse(node))
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                self._check_power(node)
        return names

    def _function(self, node: ast.expr) -> list[ast.AST]:
        """Return the nodes that name a known function."""
        if isinstance(node, ast.Name) and node.id in _TRANSFORMS:
            return [node]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = {"np": _UFUNCS, "contr": _CODINGS}.get(node.value.id, ())
            if node.attr in known:
                return [node, node.value]
        raise self._refusal(f"{ast.unparse(node)}()")

    def _column(self, name: str) -> str:
        quoted = re.fullmatch(r"_quoted_(\d+)", name)
        if quoted and int(quoted[1]) < len(self._quoted):
            return self._quoted[int(quoted[1])]
        return name

    def _check_power(self, node: ast.BinOp) -> None:
        power = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        value = power.value if isinstance(power, ast.Constant) else None
        if not isinstance(value, int | float) or value > _MAX_POWER:
            raise self._refusal(f"{ast.unparse(node)} (an exponent is a number up to {_MAX_POWER})")

    def _refusal(self, what: str) -> ValueError:
        functions = sorted(_TRANSFORMS) + sorted(f"np.{name}" for name in _UFUNCS)
        return ValueError(
            f"formula {self._formula!r} would execute {what[:80]}; inside functions and braces "
            "only arithmetic, comparisons and these functions are allowed: "
            f"{', '.join(functions)}. Add a column to the participants table instead."
        )


def _check_present(formula: str, table: pd.DataFrame, used: Sequence[str]) -> None:
    from pandas.api.types import is_numeric_dtype

    problems = []
    for name in used:
        column: Any = table[name]
        absent = [str(label) for label in table.index[column.isna()]]
        if absent:
            problems.append(f"{name!r} of {_listed(absent)}")
            continue
        levels = column.drop_duplicates()
        if is_numeric_dtype(column.dtype):
            continue
        if 2 < len(levels) == len(table):
            raise ValueError(
                f"column {name!r} of the participants table holds text, and each subject has "
                f"another one ({quote_names(column.tolist()[:2])}, ...), so it would take a design "
                "column a subject; make it numeric, or leave it out"
            )
        if len(levels) == 1:
            raise ValueError(
                f"column {name!r} of the participants table is {column.iloc[0]!r} for every "
                "subject that has a map, so it has no effect to estimate; leave it out"
            )
    if problems:
        raise ValueError(
            f"the participants table has no value for {'; '.join(problems)}, which the formula "
            f"{formula!r} uses; fill them in, or leave these subjects out of the maps and the table"
        )


def _check_finite(formula: str, design: pd.DataFrame) -> None:
    bad = ~np.isfinite(design.to_numpy())
    if not bad.any():
        return
    row, column = (int(place[0]) for place in np.nonzero(bad))
    raise ValueError(
        f"formula {formula!r} gives {design.to_numpy()[row, column]} in column "
        f"{str(design.columns[column])!r} for subject {design.index[row]} (and "
        f"{int(bad.sum()) - 1} more); choose a transform that is defined for all its values"
    )


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MAX_SHOWN} more" if len(labels) > _MAX_SHOWN else ""
    noun = "subject" if len(labels) == 1 else "subjects"
    return f"{noun} {', '.join(labels[:_MAX_SHOWN])}{more}"


def _invalid(formula: str, error: BaseException) -> ValueError:
    # formulaic marks the place with colours of a terminal.
    reason = re.sub(r"\x1b\[[0-9;]*m|\u29db\[[0-9;]*m|\u29da|\u29db", "", str(error))
    return ValueError(
        f"formula {formula!r} cannot be used: {' '.join(reason.split())} Write it as "
        "'~ age + C(group)', with backticks around a column whose name has other characters than "
        "letters, digits and underscores."
    )
