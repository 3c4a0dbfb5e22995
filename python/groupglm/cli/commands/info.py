# SPDX-License-Identifier: BSD-3-Clause
"""``groupglm info``: the parts of this installation, and the machine; or a saved model."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from groupglm.cli.options.common import as_json
from groupglm.cli.options.paths import PLACE
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
@click.argument("model", type=PLACE, required=False)
@as_json
def info(*, model: Path | None, as_json: bool) -> None:
    """Print versions, the processor's level, threads and memory, for a bug report.

    With MODEL, the file that "groupglm fit --save-model" or model.save() has saved, or the folder
    of results that holds it, print what was fitted: model, settings, design and subjects.

    \b
    Examples
      groupglm info
      groupglm info --json
      groupglm info results
    """  # noqa: D301  (\b is click's mark of lines to be left as they are)
    import json

    from groupglm.runtime.rounding import for_json

    facts = _facts() if model is None else _facts_of_model(model, with_images=as_json)
    if as_json:
        show(json.dumps(for_json(facts), indent=2, allow_nan=False))
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


def _facts_of_model(place: Path, *, with_images: bool) -> dict[str, Any]:
    """Return what a saved model says of itself; of several kinds of maps, the fit used last."""
    from groupglm.cli.steps.report_folder import find_model
    from groupglm.estimator.group_model import GroupModel, fitted_group

    file = find_model(place)
    model = GroupModel.load(file)
    group = fitted_group(model)
    fit = group.result
    _, many = group.space.place_words
    settings = fit.model.settings()
    if not with_images:
        settings = {key: _in_short(key, value) for key, value in settings.items()}
    names = [source.name for source in group.sources]  # each image's, and those beside it
    return {
        "file": str(file),
        "model": fit.model.kind,
        **({"settings": settings} if settings else {}),
        "fit": fit.described(many),
        "columns": list(fit.column_names),
        "maps": list(fit.maps()),
        "missing": group.missing,
        "zero_is_missing": group.zero_is_missing,
        "smoothing_fwhm": model.smoothing_fwhm,
        **({"images": names} if with_images else {}),
    }


def _in_short(name: str, value: object) -> object:
    """Return a setting, and of the labels of images only how many there are."""
    if name not in ("subjects", "families", "visits") or not isinstance(value, list):
        return value
    return f"{len(set(value))} of {len(value)} images"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        given = {name: item for name, item in value.items() if item is not None}
        return ", ".join(f"{name} {_plain(item)}" for name, item in given.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return "none" if value is None else str(value)
