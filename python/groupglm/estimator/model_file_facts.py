# SPDX-License-Identifier: BSD-3-Clause
"""What ``model.json`` of a saved model must say, part by part: `check_facts`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["check_facts"]

Check = Callable[[Any], bool]

_LARGEST = 2**31 - 1


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_jobs(value: Any) -> bool:
    return value is None or (_is_whole(value) and value > 0) or value == -1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _none_or(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check, *lengths: int, unique: bool = False) -> Check:
    def is_list(value: Any) -> bool:
        return (
            isinstance(value, list)
            and (not lengths or len(value) in lengths)
            and all(map(check, value))
            and not (unique and len(set(value)) < len(value))
        )

    return is_list


def _is_width(value: Any) -> bool:
    return _is_number(value) or _list_of(_is_number, 3)(value)


def _is_affine(value: Any) -> bool:
    return _list_of(_list_of(_is_number, 3), 3)(value) or _list_of(_list_of(_is_number, 4), 4)(
        value
    )


def _is_levels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_list_of(_is_text), value.values()))


def _is_origins(value: Any, columns: list[str]) -> bool:
    """Tell whether variables have columns of the design, and a value for each of their rows."""
    return isinstance(value, dict) and all(_is_origin(own, columns) for own in value.values())


def _is_origin(value: Any, columns: list[str]) -> bool:
    if not isinstance(value, dict) or set(value) != {"columns", "rows", "values"}:
        return False
    own, rows, values = value["columns"], value["rows"], value["values"]
    return (
        _list_of(_is_text)(own)
        and set(own) <= set(columns)
        and _list_of(_list_of(_is_number, len(own)))(rows)
        and (_list_of(_is_text, len(rows))(values) or _list_of(_is_number, len(rows))(values))
    )


_PARAMETERS: dict[str, Check] = {
    "target_affine": _none_or(_is_affine),
    "target_shape": _none_or(_list_of(_is_whole, 3)),
    "smoothing_fwhm": _none_or(_is_width),
    "verbose": lambda value: _is_flag(value) or _is_whole(value),
    "n_jobs": _is_jobs,
    "minimize_memory": _is_flag,
    "missing": _is_text,
    "zero_is_missing": _is_flag,
}
_PREPARATION: dict[str, Check] = {
    "resamples": _is_flag,
    "clip": _none_or(_list_of(_is_number, 2)),
    "smoothing_fwhm": _none_or(_is_width),
    "fill": _none_or(_is_number),
    "n_threads": lambda value: _is_whole(value) and value > 0,
    "zero_is_missing": _is_flag,
}
_FIT: dict[str, Check] = {
    "kind": _none_or(_is_text),
    "labels": _none_or(_list_of(_is_text, unique=True)),
    "n_rows": _is_whole,
    "columns": _list_of(_is_text, unique=True),
    "shape": _list_of(_is_whole, 3),
    "preparation": _none_or(lambda value: isinstance(value, dict)),
    "missing": _is_text,
    "images": _list_of(_is_text),
}


def check_facts(facts: Mapping[str, Any]) -> None:
    """Refuse facts of another type than `groupglm.SecondLevelModel.save` writes.

    Parameters
    ----------
    facts : mapping
        What ``model.json`` says.

    Raises
    ------
    ValueError
        If something is lacking, or is not as it should be; the message names it.
    """
    top: dict[str, Check] = {
        "parameters": lambda value: isinstance(value, dict),
        "mask_was_given": _is_flag,
        "fits": lambda value: _list_of(lambda fit: isinstance(fit, dict))(value) and len(value) > 0,
        "current": _is_whole,
    }
    _check(facts, top, "model.json")
    _check(facts["parameters"], _PARAMETERS, "parameters")
    for number, fit in enumerate(facts["fits"]):
        called = f"fits[{number}]"
        _check(fit, _FIT, called)
        if not _is_levels(fit.get("levels", {})):  # earlier files have none
            raise ValueError(f"levels of {called} is {_short(fit['levels'])}")
        if not _is_origins(fit.get("origins", {}), fit["columns"]):
            raise ValueError(f"origins of {called} is {_short(fit['origins'])}")
        labels, n_rows = fit["labels"], fit["n_rows"]
        if labels is not None and len(labels) != n_rows:
            raise ValueError(
                f"{called} has {len(labels)} labels, not one for each of {n_rows} rows"
            )
        if fit["preparation"] is not None:
            _check(fit["preparation"], _PREPARATION, f"preparation of {called}")
    kinds = [fit["kind"] for fit in facts["fits"]]
    if len(set(kinds)) < len(kinds) or (None in kinds and len(kinds) > 1):
        raise ValueError(f"its fits are of the kinds {_short(kinds)}, which cannot be told apart")
    if facts["current"] >= len(kinds):
        raise ValueError(f"current is {facts['current']}, of {len(kinds)} fits")


def _check(facts: Mapping[str, Any], checks: Mapping[str, Check], called: str) -> None:
    for name, check in checks.items():
        if name not in facts:
            raise ValueError(f"{called} lacks '{name}'")
        if not check(facts[name]):
            raise ValueError(f"{name} of {called} is {_short(facts[name])}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
