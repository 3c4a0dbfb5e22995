# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm info``: the parts of this installation, and the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from groupglm.cli.options.common import as_json
from groupglm.runtime.terminal import show

__all__ = ["info"]

_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "nibabel",
    "scikit-learn",
    "joblib",
    "formulaic",
    "deflate",
)


@click.command()
@as_json
def info(*, as_json: bool) -> None:
    """Print versions, the processor's level, threads and memory, for a bug report.

    \b
    Examples
      groupglm info
      groupglm info --json
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    import json

    facts = _facts()
    if as_json:
        show(json.dumps(facts, indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        show(f"{name:<{width}}  {_plain(value)}")


def _facts() -> dict[str, Any]:
    import groupglm
    from groupglm.runtime.budget import free_bytes

    built = groupglm.build_info()
    return {
        "groupglm": groupglm.__version__,
        **built,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "packages": {name: _version(name) for name in _PACKAGES},
        "processors": os.cpu_count(),
        "free_memory": f"{free_bytes() / 2**30:.1f} GiB",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return str(value)
