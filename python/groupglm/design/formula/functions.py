# SPDX-License-Identifier: BSD-3-Clause
"""The functions that a formula may call, with their arguments and limits.

An argument that is not named here does not exist: ``out=`` or ``where=`` of numpy's functions would
change the table. formulaic is loaded by the first call of one of its functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODINGS", "FUNCTIONS", "UFUNCS", "as_levels", "numbers_of"]

MAX_DEGREE = 20  # of polynomials
MAX_DF = 50  # of splines
_Numbers = NDArray[np.float64]


def numbers_of(value: Any, where: str) -> Any:
    """Return numbers as float64, a new array for a column; ValueError for other values."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if type(value) in (bool, int, float):
        return np.float64(value)
    if getattr(value, "ndim", 1) <= 1 and kind in ("b", "i", "u", "f"):
        return np.array(value, dtype=np.float64)
    name = getattr(value, "name", None)
    if name is not None:
        raise ValueError(
            f"{where[:80]} needs numbers, but column {str(name)!r} holds text or categories."
        )
    raise ValueError(
        f"{where[:80]} needs numbers; what gives several columns or a category is a term of its "
        "own."
    )


def _column(value: Any, function: str) -> _Numbers:
    numbers: _Numbers = numbers_of(value, f"{function}()")
    if numbers.ndim == 0:
        raise ValueError("it needs a column of the table.")
    if not np.isfinite(numbers).all():
        raise ValueError("a value of its column is not finite.")
    return numbers


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least} to {most}.")
    return value


def _flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} is {value!r}; it must be True or False.")
    return value


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if getattr(value, "ndim", 0) or isinstance(value, (bool, str, list)):
        raise ValueError(f"{name} must be a number.")
    return float(numbers_of(value, name))


def _number_list(value: Any, name: str) -> list[float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} must be a list of numbers, such as [20, 40].")
    return [float(_number(each, f"an element of {name}") or 0.0) for each in value]


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any) -> Any:
        return function(numbers_of(x, function.__name__))

    return call


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x1: Any, x2: Any) -> Any:
        return function(*(numbers_of(each, function.__name__) for each in (x1, x2)))

    return call


def _clip(a: Any, a_min: Any, a_max: Any) -> Any:
    values, low, high = (numbers_of(each, "np.clip") for each in (a, a_min, a_max))
    return np.minimum(np.maximum(values, low), high)


def _where(condition: Any, x: Any, y: Any) -> Any:
    if getattr(condition, "dtype", None) != np.bool_:
        raise ValueError("its condition must be a comparison, such as age > 30.")
    return np.where(condition, numbers_of(x, "np.where"), numbers_of(y, "np.where"))


def _identity(x: Any) -> Any:
    if getattr(x, "dtype", None) == np.bool_:
        return x
    return numbers_of(x, "I()")


def _exp10(x: Any) -> Any:
    return np.float_power(10.0, numbers_of(x, "exp10"))


def _center(data: Any) -> Any:
    return _scale(data, scale=False)


def _scale(data: Any, center: Any = True, scale: Any = True, ddof: Any = 1) -> Any:
    from formulaic.transforms import scale as scaled

    def choice(value: Any, name: str) -> Any:
        return value if isinstance(value, bool) else _number(value, name)

    values = _column(data, "scale")
    ddof = _whole(ddof, "ddof", 0, len(values) - 1)
    return np.asarray(
        scaled(values, center=choice(center, "center"), scale=choice(scale, "scale"), ddof=ddof)
    )


def _standardize(x: Any, center: Any = True, rescale: Any = True, ddof: Any = 0) -> Any:
    return _scale(x, center, rescale, ddof)


def _poly(x: Any, degree: Any = 1, raw: Any = False) -> Any:
    from formulaic.transforms import poly

    values = _column(x, "poly")
    degree = _whole(degree, "degree", 1, MAX_DEGREE)
    n_values = len(np.unique(values))
    if degree >= n_values:
        raise ValueError(
            f"degree is {degree}, but the column has only {n_values} different values; it must be "
            "less."
        )
    return poly(values, degree=degree, raw=_flag(raw, "raw"))


def _bs(
    x: Any,
    df: Any = None,
    knots: Any = None,
    degree: Any = 3,
    include_intercept: Any = False,
    lower_bound: Any = None,
    upper_bound: Any = None,
    extrapolation: Any = "raise",
) -> Any:
    from formulaic.transforms import basis_spline

    return basis_spline(
        _column(x, "bs"),
        df=None if df is None else _whole(df, "df", 1, MAX_DF),
        knots=_number_list(knots, "knots"),
        degree=_whole(degree, "degree", 0, MAX_DEGREE),
        include_intercept=_flag(include_intercept, "include_intercept"),
        lower_bound=_number(lower_bound, "lower_bound"),
        upper_bound=_number(upper_bound, "upper_bound"),
        extrapolation=_extrapolation(extrapolation),
    )


def _cubic(name: str) -> Callable[..., Any]:
    def call(
        x: Any,
        df: Any = None,
        knots: Any = None,
        lower_bound: Any = None,
        upper_bound: Any = None,
        constraints: Any = None,
        extrapolation: Any = "extend",
    ) -> Any:
        from formulaic import transforms

        if not (constraints is None or (type(constraints) is str and constraints == "center")):
            raise ValueError(f"constraints is {constraints!r}; it must be 'center' or None.")
        return getattr(transforms, name)(
            _column(x, name),
            df=None if df is None else _whole(df, "df", 1, MAX_DF),
            knots=_number_list(knots, "knots"),
            lower_bound=_number(lower_bound, "lower_bound"),
            upper_bound=_number(upper_bound, "upper_bound"),
            constraints=constraints,
            extrapolation=_extrapolation(extrapolation),
        )

    return call


def _extrapolation(value: Any) -> str:
    if type(value) is not str or value not in ("raise", "clip", "zero", "extend"):
        raise ValueError(
            f"extrapolation is {value!r}; it must be 'raise', 'clip', 'zero' or 'extend'."
        )
    return value


def _categorical(data: Any, contrasts: Any = None, levels: Any = None) -> Any:
    import pandas as pd
    from formulaic.transforms import C
    from formulaic.transforms.contrasts import Contrasts, PolyContrasts

    if not isinstance(contrasts, Contrasts | None):
        raise ValueError(  # noqa: TRY004  (what is wrong is the text)
            "contrasts must be a coding, such as Treatment('a') or contr.sum()."
        )
    if getattr(data, "ndim", None) != 1 or hasattr(data, "__formulaic_metadata__"):
        raise ValueError("it needs a column of the table.")
    column: Any = pd.Series(data)
    if levels is not None:
        found = column.unique().tolist()
        if not isinstance(levels, list) or set(levels) != set(found) or len(levels) != len(found):
            raise ValueError(
                f"levels is {levels!r}; it must be a list of each level that the column has, once: "
                f"{', '.join(map(repr, found[:20]))}."
            )
        column = column.astype(pd.CategoricalDtype(levels))
    column = as_levels(column)
    n_levels = len(column.cat.categories)
    if n_levels == 1:
        raise ValueError(f"its column is {column.tolist()[0]!r} for every subject; leave it out.")
    if isinstance(contrasts, PolyContrasts) and n_levels > MAX_DEGREE + 1:
        raise ValueError(f"it has {n_levels} levels; polynomials take up to {MAX_DEGREE + 1}.")
    return C(column, contrasts)


def as_levels(column: Any) -> Any:
    """Return a column as a categorical one, with the levels that occur."""
    levels = column.astype("category").cat.remove_unused_categories()
    hidden = [level for level in levels.cat.categories if str(level).startswith("__")]
    if hidden:
        raise ValueError(
            f"the level {hidden[0]!r} begins with two underscores, which are kept for other uses; "
            "rename it."
        )
    return levels


def _treatment(reference: Any = None) -> Any:
    from formulaic.transforms.contrasts import TreatmentContrasts

    return TreatmentContrasts(*_level(reference))


def _treatment_by_base(base: Any = None) -> Any:
    return _treatment(base)


def _sas(base: Any = None) -> Any:
    from formulaic.transforms.contrasts import SASContrasts

    return SASContrasts(*_level(base))


def _level(value: Any) -> list[Any]:
    if not isinstance(value, str | float | None):  # bool and int are numbers too
        value = value if type(value) in (bool, int) else _number(value, "the reference")
    return [] if value is None else [value]


def _sum() -> Any:
    from formulaic.transforms.contrasts import SumContrasts

    return SumContrasts()


def _helmert(reverse: Any = True, scale: Any = False) -> Any:
    from formulaic.transforms.contrasts import HelmertContrasts

    return HelmertContrasts(reverse=_flag(reverse, "reverse"), scale=_flag(scale, "scale"))


def _diff(backward: Any = True) -> Any:
    from formulaic.transforms.contrasts import DiffContrasts

    return DiffContrasts(backward=_flag(backward, "backward"))


def _polynomial(scores: Any = None) -> Any:
    from formulaic.transforms.contrasts import PolyContrasts

    numbers = _number_list(scores, "scores")
    if numbers is not None and len(set(numbers)) < len(numbers):
        raise ValueError("two of its scores are the same.")
    return PolyContrasts(numbers)


UFUNCS: dict[str, Callable[..., Any]] = {
    **{
        name: _unary(getattr(np, name))
        for name in (
            "abs", "arcsinh", "arctan", "cbrt", "ceil", "cos", "exp", "expm1", "floor", "log",
            "log10", "log1p", "log2", "sign", "sin", "sqrt", "square", "tan", "tanh",
        )
    },
    "clip": _clip,
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "where": _where,
}  # fmt: skip
"""Functions of numpy; a formula calls them ``np.log`` and the like."""

CODINGS: dict[str, Callable[..., Any]] = {
    "SAS": _sas,
    "diff": _diff,
    "helmert": _helmert,
    "poly": _polynomial,
    "sum": _sum,
    "treatment": _treatment_by_base,
}
"""Codings of categories; a formula calls them ``contr.sum`` and the like."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "C": _categorical,
    "I": _identity,
    "bs": _bs,
    "cc": _cubic("cyclic_cubic_spline"),
    "center": _center,
    "cr": _cubic("natural_cubic_spline"),
    "cs": _cubic("natural_cubic_spline"),
    "exp10": _exp10,
    "poly": _poly,
    "scale": _scale,
    "standardize": _standardize,
    "Diff": _diff,
    "Helmert": _helmert,
    "Poly": _polynomial,
    "Sum": _sum,
    "Treatment": _treatment,
    "exp": UFUNCS["exp"],
    "exp2": _unary(np.exp2),
    "log": UFUNCS["log"],
    "log10": UFUNCS["log10"],
    "log2": UFUNCS["log2"],
}
"""Functions that a formula calls by their plain names."""
