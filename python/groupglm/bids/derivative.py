# SPDX-License-Identifier: BSD-3-Clause
"""The results as a BIDS derivative: its description, and the names of its files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from groupglm.bids.entities import NamedFile
from groupglm.bids.json_objects import read_json
from groupglm.errors import in_quotes
from groupglm.runtime.naming import check_file_name
from groupglm.runtime.writing import write_whole
from groupglm.spaces.files import saved_endings

__all__ = ["bids_uri", "check_output", "common_entities", "describe", "node_folder", "prefix_of"]

BIDS_VERSION = "1.10.0"
LINK = "maps"  # the name, in BIDS URIs, of the derivative with the maps
# The order of FitLins and nilearn; the specification does not yet name statistical maps.
_ORDER = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "hemi", "space", "res", "den")
_IGNORED = (
    "*_statmap.{image}", "*_statmap.json", "*_design.tsv", "*_design.json", "*_mask.{image}",
    "*_mask.json", "*_clusters.tsv", "*_clusters.json", "*_permutations.npz", "*_model.groupglm",
    "*_model.json", "*_report.html", "*_report.html.json", "*_methods.*", "log.txt", "node-*",
)  # fmt: skip


def common_entities(files: Sequence[NamedFile]) -> dict[str, str]:
    """Return the entities that all maps share, except those that name the kind of map."""
    first, *others = files
    return {
        key: value
        for key, value in first.entities.items()
        if key not in ("sub", "contrast", "stat", "node")
        and all(file.entities.get(key) == value for file in others)
    }


def prefix_of(entities: Mapping[str, str]) -> str:
    """Return the beginning of the names of results, with entities in the order of BIDS.

    Examples
    --------
    >>> prefix_of({"space": "MNI152NLin2009cAsym", "task": "faces"})
    'task-faces_space-MNI152NLin2009cAsym_'
    """
    return "".join(f"{key}-{entities[key]}_" for key in _ORDER if key in entities)


def check_output(folder: Path, derivatives: Path) -> None:
    """Refuse, before anything is written, a folder that is another data set."""
    # Path.resolve would raise if a link leads back to itself.
    inside = Path(os.path.realpath(derivatives))
    if Path(os.path.realpath(folder)) in (inside, *inside.parents):
        raise ValueError(
            f"OUT {in_quotes(folder)} is or holds the derivative {in_quotes(derivatives)} that "
            "the maps come from; "
            "give a folder of its own, such as 'derivatives/groupglm'"
        )
    path = folder / "dataset_description.json"
    if not path.is_file():
        return
    made_by = read_json(path).get("GeneratedBy")
    listed = made_by if isinstance(made_by, list) else []
    makers = [m.get("Name") for m in listed if isinstance(m, dict)]
    if "groupglm" not in makers:
        names = ", ".join(map(str, makers)) or "no one"
        raise ValueError(
            f"OUT {in_quotes(folder)} is a data set made by {names} already (its "
            "dataset_description.json "
            "says); give a folder of its own"
        )


def describe(folder: Path, derivatives: Path) -> None:
    """Write the files of a BIDS derivative: its description, and what validators skip.

    What somebody has added to either file stays.
    """
    import groupglm

    source = derivatives / "dataset_description.json"
    doi = read_json(source).get("DatasetDOI") if source.is_file() else None
    facts: dict[str, Any] = {
        "Name": "Group-level statistics of groupglm",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "groupglm",
                "Version": groupglm.__version__,
                "Description": "Linear models over the subjects; the sidecars of maps say which.",
            }
        ],
        "DatasetLinks": {LINK: _reference(derivatives, folder)},
    }
    if isinstance(doi, str):
        plain = doi.removeprefix("doi:").removeprefix("https://doi.org/")
        facts["SourceDatasets"] = [{"DOI": f"doi:{plain}", "URL": f"https://doi.org/{plain}"}]
    path, ignored = folder / "dataset_description.json", folder / ".bidsignore"
    facts = _joined(read_json(path) if path.is_file() else {}, facts)
    write_whole(path, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    before = ignored.read_bytes() if ignored.is_file() else b""
    lines = [line for line in _ignored() if line not in before.splitlines()]
    start = before if before.endswith(b"\n") or not before else before + b"\n"
    write_whole(ignored, start + b"".join(line + b"\n" for line in lines))


def _ignored() -> Iterator[bytes]:
    """Yield patterns of the files that validators skip: images of results, and their sidecars."""
    for line in _IGNORED:
        # Volumes first, as in the files of earlier versions.
        for ending in reversed(saved_endings()) if "{image}" in line else ("",):
            yield line.replace(".{image}", ending).encode()


def _joined(found: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with our part renewed and other programs' parts unchanged."""
    joined = {**ours, **found}
    listed = found.get("GeneratedBy")
    makers = (
        [each for each in listed if not _is_our_maker(each)] if isinstance(listed, list) else []
    )
    joined["GeneratedBy"] = [*ours["GeneratedBy"], *makers]
    links = found.get("DatasetLinks")
    joined["DatasetLinks"] = {**(links if isinstance(links, dict) else {}), **ours["DatasetLinks"]}
    sources = found.get("SourceDatasets")
    known = sources if isinstance(sources, list) else []
    all_sources = [*known, *(s for s in ours.get("SourceDatasets", []) if s not in known)]
    return {**joined, "SourceDatasets": all_sources} if all_sources else joined


def _is_our_maker(maker: Any) -> bool:
    return isinstance(maker, dict) and maker.get("Name") == "groupglm"


def _reference(path: Path, start: Path) -> str:
    """Return a relative reference, which stays right if both folders are moved together."""
    try:
        relative = os.path.relpath(path.resolve(), start.resolve())
    except ValueError:  # they are on different drives
        return path.resolve().as_uri()
    return quote(Path(relative).as_posix())


def node_folder(node: str) -> str:
    """Return the folder of a Stats Model's node, named as FitLins names it.

    Examples
    --------
    >>> node_folder("dataset_level")
    'node-datasetLevel'
    """
    first, *words = re.findall(r"[A-Za-z0-9]+", node) or ["dataset"]
    folder = f"node-{first}{''.join(word.title() for word in words)}"
    check_file_name(folder, f"the folder of the Stats Model's node {node[:40]!r}")
    return folder


def bids_uri(path: Path, derivatives: Path) -> str:
    """Return the BIDS URI of a map.

    Examples
    --------
    >>> bids_uri(Path("fitlins/sub-01/a.nii.gz"), Path("fitlins"))
    'bids:maps:sub-01/a.nii.gz'
    """
    return f"bids:{LINK}:{quote(path.relative_to(derivatives).as_posix())}"
