# SPDX-License-Identifier: BSD-3-Clause
"""Everything that is needed to make a report again: versions, parameters and the call."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["call", "own_version", "shown", "versions"]

_PACKAGES = ("numpy", "scipy", "pandas", "nibabel", "scikit-learn", "matplotlib", "jinja2")
_MAX_LENGTH = 400


def own_version() -> str:
    """Return the version of this package, whose names are in a layer above this module."""
    return str(importlib.import_module("groupglm").__version__)


def versions() -> dict[str, str]:
    """Return the version of each part that the numbers and pictures come from."""
    from groupglm import _core

    found = {"groupglm": own_version(), "compiled core": str(_core.build_info()["level"])}
    found["Python"] = sys.version.split()[0]
    for name in _PACKAGES:
        found[name] = importlib.metadata.version(name)
    found["system"] = f"{platform.system()} {platform.machine()}"
    return found


def shown(value: Any) -> str:
    """Write a parameter so that a reader knows what it was: images by their file's name."""
    filename = getattr(value, "get_filename", None)
    if callable(filename):
        name = filename()
        return f"<image {name}>" if name else f"<image in memory, shape {value.shape}>"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


def call(model: Mapping[str, Any], report: Mapping[str, Any], *, first_level: str = "") -> str:
    """Return the Python lines that make the report.

    Parameters
    ----------
    model, report : mapping
        Parameters of the model and of the report that differ from the defaults.
    first_level : str
        Passed on where maps were chosen by a first-level contrast.

    Returns
    -------
    str
        Python; images and design stand in it by their names.
    """
    arguments = [f"{name}={shown(value)}" for name, value in report.items()]
    if first_level:
        arguments.append(f"first_level_contrast={first_level}")
    options = ", ".join(f"{name}={shown(value)}" for name, value in model.items())
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return (
        "from groupglm import SecondLevelModel\n\n"
        f"model = SecondLevelModel({options})\n"
        "model.fit(second_level_input, design_matrix=design_matrix)\n"
        f"report = model.generate_report(\n{lines})\n"
    )
