# SPDX-License-Identifier: BSD-3-Clause
"""The gate for arrays and options: every public function passes the caller's values here.

Nothing is dropped to make a value fit: no imaginary part, no mask, no fraction. Text is not a truth
value. Scalars of numpy count like those of Python.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from groupglm.errors import ArgumentError, ArgumentTypeError, shown
from groupglm.messages import again

__all__ = [
    "check_choice",
    "check_text",
    "check_truth",
    "check_verbose",
    "real_array",
    "real_number",
    "whole_number",
]

T = TypeVar("T")

_MOST_BITS = 1024  # of a whole number: what the range of double has


def check_truth(name: str, value: object) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentTypeError(name, shown(value), "of type bool, True or False")
    return bool(value)


def whole_number(name: str, value: object, *, least: int | None = None) -> int:
    """Return a whole number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise ArgumentTypeError(name, shown(value), "of type int, a whole number")
    number = int(value)
    if number.bit_length() > _MOST_BITS:  # Python would not even write it into a message
        raise ArgumentError(name, shown(value), "a whole number that double holds")
    if least is not None and number < least:
        raise ArgumentError(name, shown(number), f"a whole number, at least {least}")
    return number


def check_verbose(verbose: object) -> int:
    """Return the level of messages; True is 1, as in other packages of the field."""
    if isinstance(verbose, bool | np.bool_):
        return int(verbose)
    return whole_number("verbose", verbose, least=0)


def real_number(name: str, value: object, *, infinite: bool = False) -> float:
    """Return a real number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        wanted = f"of type int or float, a {'' if infinite else 'finite '}number"
        raise ArgumentTypeError(name, shown(value), wanted)
    try:
        number = float(value)
    except OverflowError as error:  # of a whole number or a fraction
        raise ArgumentError(name, shown(value), "a number that double holds") from error
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise ArgumentError(name, str(number), "a finite number")
    return number


def check_choice(name: str, value: T, choices: Iterable[object]) -> T:
    """Return the value if it is one of the choices."""
    allowed = tuple(choices)
    given = value.item() if isinstance(value, np.generic) else value
    for choice in allowed:
        same_kind = isinstance(given, bool) == isinstance(choice, bool)
        if same_kind and isinstance(given, type(choice)) and given == choice:
            return value
    *others, last = map(repr, allowed)
    known = tuple({type(choice) for choice in allowed})
    kind = ArgumentError if isinstance(given, known) else ArgumentTypeError
    raise kind(name, shown(value), f"one of {', '.join(others)} or {last}")


def check_text(name: str, value: object, *, optional: bool = True) -> None:
    """Refuse a value that is neither text nor, if it is optional, None."""
    if isinstance(value, str) or (value is None and optional):
        return
    wanted = f"of type str{' or None' if optional else ''}"
    raise ArgumentTypeError(name, f"a {type(value).__name__}", wanted)


def real_array(name: str, values: Any, *, missing: bool = False) -> NDArray[Any]:
    """Return an array of real numbers.

    Examples
    --------
    >>> real_array("Y", np.ma.masked_greater([1.0, 2.0, 9.0], 5), missing=True)
    array([ 1.,  2., nan])
    """
    if isinstance(values, list | tuple) and _holds_masks(values):
        values = np.ma.array([np.ma.asarray(row) for row in values])
    try:
        array = np.asarray(values)
    except MemoryError as error:
        raise ArgumentError(name, "too large for the memory") from error
    except Exception as error:  # an object's own conversion to an array may raise anything
        raise ArgumentError(name, f"no array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        found = f"{values!r:.80}" if isinstance(values, str) else f"an array of {array.dtype}"
        raise ArgumentTypeError(
            name,
            found,
            remedy="it must hold real numbers: "
            + again(name)
            + " must contain numerical or boolean values",
        )
    mask = np.ma.getmask(values)
    if mask is np.ma.nomask or not mask.any():
        return array
    if not missing:
        first = tuple(int(index) for index in np.argwhere(mask)[0])
        raise ArgumentError(
            name,
            f"a masked array with {np.count_nonzero(mask)} masked values, the first at {first}",
            remedy=f"every value of {name} is needed: leave the row out, or fill the value in",
        )
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    filled = array.astype(dtype)  # a copy, because the values under the mask belong to the caller
    filled[mask] = np.nan
    return filled


def _holds_masks(rows: Sequence[object]) -> bool:
    return any(isinstance(row, np.ma.MaskedArray) for row in rows)
