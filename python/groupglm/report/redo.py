# SPDX-License-Identifier: BSD-3-Clause
"""The versions and parameters with which a report was made."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from typing import Any

import numpy as np

__all__ = ["own_version", "shown", "versions"]

_PACKAGES = ("numpy", "scipy", "pandas", "nibabel", "scikit-learn", "matplotlib", "jinja2")
_MAX_LENGTH = 400


def own_version() -> str:
    """Return the version of this package; its name is in a layer above this module."""
    return str(importlib.import_module("groupglm").__version__)


def versions() -> dict[str, str]:
    """Return the versions of the packages that make the numbers and pictures."""
    from groupglm import _core

    found = {"groupglm": own_version(), "compiled core": str(_core.build_info()["level"])}
    found["Python"] = sys.version.split()[0]
    for name in _PACKAGES:
        found[name] = importlib.metadata.version(name)
    found["system"] = f"{platform.system()} {platform.machine()}"
    return found


def shown(value: Any) -> str:
    """Return a parameter as text that identifies it: images by their file's name."""
    filename = getattr(value, "get_filename", None)
    if callable(filename):
        name = filename()
        return repr(str(name)) if name else f"<image in memory, shape {value.shape}>"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
