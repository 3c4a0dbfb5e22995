# SPDX-License-Identifier: BSD-3-Clause
"""Where templates may lie on this machine: installed packages, and TemplateFlow's folder."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

__all__ = ["package_folders", "templateflow_folder"]


def templateflow_folder() -> Path | None:
    """Return ``$TEMPLATEFLOW_HOME`` or TemplateFlow's usual folder; None if there is no home.

    TemplateFlow's files are empty until they are asked for.
    """
    home = os.environ.get("TEMPLATEFLOW_HOME")
    try:
        return Path(home).expanduser() if home else Path.home() / ".cache" / "templateflow"
    except RuntimeError:  # the account has no home
        return None


def package_folders(package: str) -> list[Path]:
    """Return the folders of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
