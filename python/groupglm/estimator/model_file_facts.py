# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the facts in ``model.json`` of a saved model, part by part: `check_facts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groupglm.runtime.json_facts import (
    Check,
    check_entries,
    is_flag,
    is_number,
    is_text,
    is_whole,
    is_width,
    list_of,
    none_or,
    shortened,
)

__all__ = ["check_facts", "is_parameter"]

_MAX_JOBS = 2**31 - 1


def _is_jobs(value: Any) -> bool:
    """Return whether a value is a number of threads; a negative one leaves processors free."""
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and 0 < abs(value) <= _MAX_JOBS


def _is_square(value: Any) -> bool:
    return list_of(list_of(is_number, 3), 3)(value) or list_of(list_of(is_number, 4), 4)(value)


def _is_tagged(value: Any) -> bool:
    return isinstance(value, dict) and is_text(value.get("kind"))


def _is_model(value: Any) -> bool:
    """Return whether a value names a model; its settings are checked when it is made."""
    return _is_tagged(value) and isinstance(value.get("settings", {}), dict)


def _is_levels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(list_of(is_text), value.values()))


def _is_origins(value: Any, columns: list[str]) -> bool:
    """Return whether variables have columns of the design, and a value for each row."""
    return isinstance(value, dict) and all(_is_origin(own, columns) for own in value.values())


def _is_origin(value: Any, columns: list[str]) -> bool:
    if not isinstance(value, dict) or set(value) != {"columns", "rows", "values"}:
        return False
    own, rows, values = value["columns"], value["rows"], value["values"]
    return (
        list_of(is_text)(own)
        and set(own) <= set(columns)
        and list_of(list_of(is_number, len(own)))(rows)
        and (list_of(is_text, len(rows))(values) or list_of(is_number, len(rows))(values))
    )


_PARAMETERS: dict[str, Check] = {
    "target_affine": none_or(_is_square),
    "target_shape": none_or(list_of(is_whole, 3)),
    "smoothing_fwhm": none_or(is_width),
    "verbose": lambda value: is_flag(value) or is_whole(value),
    "n_jobs": _is_jobs,
    "minimize_memory": is_flag,
    "missing": is_text,
    "zero_is_missing": is_flag,
}
_FIT: dict[str, Check] = {
    "kind": none_or(is_text),
    "labels": none_or(list_of(is_text)),  # several images may be of one subject
    "n_rows": is_whole,
    "columns": list_of(is_text, unique=True),
    "space": _is_tagged,
    "model": _is_model,
    "missing": is_text,
    "images": list_of(is_text),
}


def is_parameter(name: str, value: Any) -> bool:
    """Return whether a model saved with this value of a parameter can be loaded."""
    return _PARAMETERS[name](value)


def check_facts(facts: Mapping[str, Any]) -> None:
    """Refuse facts of another type than `groupglm.SecondLevelModel.save` writes."""
    top: dict[str, Check] = {
        "parameters": lambda value: isinstance(value, dict),
        "mask_was_given": is_flag,
        "fits": lambda value: list_of(lambda fit: isinstance(fit, dict))(value) and len(value) > 0,
        "current": is_whole,
    }
    check_entries(facts, top, "model.json")
    check_entries(facts["parameters"], _PARAMETERS, "parameters")
    for number, fit in enumerate(facts["fits"]):
        called = f"fits[{number}]"
        check_entries(fit, _FIT, called)
        if not _is_levels(fit.get("levels", {})):  # earlier files have none
            raise ValueError(f"levels of {called} is {shortened(fit['levels'])}")
        if not _is_origins(fit.get("origins", {}), fit["columns"]):
            raise ValueError(f"origins of {called} is {shortened(fit['origins'])}")
        labels, n_rows = fit["labels"], fit["n_rows"]
        if labels is not None and len(labels) != n_rows:
            raise ValueError(
                f"{called} has {len(labels)} labels, not one for each of {n_rows} rows"
            )
    kinds = [fit["kind"] for fit in facts["fits"]]
    if len(set(kinds)) < len(kinds) or (None in kinds and len(kinds) > 1):
        raise ValueError(
            f"its fits are of the kinds {shortened(kinds)}, which cannot be told apart"
        )
    if facts["current"] >= len(kinds):
        raise ValueError(f"current is {facts['current']}, of {len(kinds)} fits")
