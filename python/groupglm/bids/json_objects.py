# SPDX-License-Identifier: BSD-3-Clause
"""JSON files of unknown origin: read within limits, their parts checked one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groupglm.errors import in_quotes
from groupglm.runtime.regular_files import check_file

__all__ = ["check_keys", "list_of", "object_of", "quoted", "read_json", "text_of"]

_MAX_BYTES = 10_000_000  # far more than any real file


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object."""
    check_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {in_quotes(path)}")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(
            f"{in_quotes(path)} has {path.stat().st_size} bytes, more than {_MAX_BYTES}"
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{in_quotes(path)} is not JSON that can be read: it is not in UTF-8: byte "
            f"{error.start + 1} is "
            f"0x{error.object[error.start]:02x}; save it as text in UTF-8"
        ) from error
    except RecursionError as error:
        raise ValueError(
            f"{in_quotes(path)} is not JSON that can be read: its brackets are nested too deep"
        ) from error
    except ValueError as error:
        raise ValueError(f"{in_quotes(path)} is not JSON that can be read: {error}") from error
    if not isinstance(facts, dict):
        raise ValueError(  # noqa: TRY004  (the file is wrong, not an argument's type)
            f"{in_quotes(path)} holds a JSON {type(facts).__name__}; an object ({{...}}) is needed"
        )
    return facts


def check_keys(found: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse an object with unknown keys."""
    unknown = [str(key) for key in found if key not in known]
    if unknown:
        raise ValueError(
            f"{where} has {quoted(unknown)}, which is not supported; supported are "
            f"{', '.join(known)}"
        )


def object_of(value: Any, where: str) -> Mapping[str, Any]:
    """Return a value that must be an object."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {value!r}; it must be an object ({{...}})")  # noqa: TRY004
    return value


def list_of(
    found: Mapping[str, Any], key: str, where: str, *, default: list[Any] | None = None
) -> list[Any]:
    """Return a member that must be a list."""
    value = found.get(key, default)
    if not isinstance(value, list):
        raise ValueError(f"{where} has {key} {value!r}; it must be a list")  # noqa: TRY004
    return value


def text_of(found: Mapping[str, Any], key: str, where: str) -> str:
    """Return a member that must be text."""
    value = found.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} has {key} {value!r}; it must be text")
    return value


def quoted(names: Sequence[Any]) -> str:
    """List names in quotes."""
    return ", ".join(repr(str(name)) for name in names)
