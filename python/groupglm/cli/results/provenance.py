# SPDX-License-Identifier: BSD-3-Clause
"""The inputs of results, as hashes and versions for their sidecars."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.runtime.regular_files import check_file, naming
from groupglm.spaces.map_files import MapFiles, files_of_map

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "design_hash",
    "file_facts",
    "fingerprint",
    "input_list_hash",
    "map_facts",
    "software_versions",
    "text_hash",
]


def design_hash(
    design: pd.DataFrame,
    groups: Mapping[str, str] | None = None,
    labels: Mapping[str, list[str]] | None = None,
) -> str:
    """Hash a design matrix: its labels, its columns' names, and its values bit by bit.

    The groups that have variances of their own are part of the design, if there are any, and so are
    the subjects, families, visits and groups of the maps of a model of several maps a subject.
    """
    import numpy as np

    digest = hashlib.sha256()
    if groups is not None:
        digest.update(json.dumps([*groups.items()]).encode())
    if labels:
        digest.update(json.dumps(dict(labels), sort_keys=True).encode())
    names = [[str(label) for label in design.index], [str(name) for name in design.columns]]
    digest.update(json.dumps(names).encode())
    digest.update(np.ascontiguousarray(design.to_numpy(), dtype="<f8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def input_list_hash(maps: Mapping[str, MapFiles]) -> str:
    """Hash which subject has which map: labels, and name, size and time of change of files.

    The folder is not part of it, so that a data set may move.
    """
    facts = [[label, *(file_facts(path) for path in files.paths)] for label, files in maps.items()]
    return text_hash(json.dumps(facts))


def file_facts(path: Path) -> list[Any]:
    """Return name, size (bytes) and time of change (ns) of a file."""
    facts = path.stat()
    return [path.name, facts.st_size, facts.st_mtime_ns]


def map_facts(files: MapFiles) -> list[Any]:
    """Return the facts of the file of a map, or a list of those of its files."""
    facts = [file_facts(path) for path in files.paths]
    return facts[0] if len(facts) == 1 else facts


def fingerprint(path: Path | MapFiles) -> dict[str, str]:
    """Return name and hash of the content of a map or another file; of several, of their hashes."""
    digests = []
    for own in path.paths if isinstance(path, MapFiles) else files_of_map(path):
        check_file(own)
        with naming(own), own.open("rb") as file:
            digests.append(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    digest = digests[0] if len(digests) == 1 else text_hash(json.dumps(digests))
    return {"Name": path.name, "Hash": digest}


def software_versions(
    packages: Iterable[str] = ("numpy", "nibabel", "formulaic"),
) -> dict[str, str]:
    """Return the versions of this package, Python and others."""
    import groupglm

    found = {name: version(name) for name in packages}
    return {"groupglm": groupglm.__version__, "python": platform.python_version(), **found}


def text_hash(text: str) -> str:
    """Return the hash of a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
