# SPDX-License-Identifier: BSD-3-Clause
"""The participants table of a derivative: its own, or that of its source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from groupglm.bids.json_objects import read_json
from groupglm.runtime.paths import given_path

__all__ = ["find_participants"]


def find_participants(derivatives: str | os.PathLike[str]) -> Path | None:
    """Find the participants table of a derivative.

    Parameters
    ----------
    derivatives : path
        The folder of the derivative.

    Returns
    -------
    pathlib.Path or None
        ``participants.tsv`` of the derivative, or else of the data set it was made from: the one
        whose ``derivatives`` folder it is in, or a local one that its
        ``dataset_description.json`` names in ``DatasetLinks`` or ``SourceDatasets``.

    Raises
    ------
    ValueError
        If ``dataset_description.json`` cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> raw = Path(tempfile.mkdtemp())
    >>> (raw / "derivatives" / "fitlins").mkdir(parents=True)
    >>> (raw / "participants.tsv").touch()
    >>> find_participants(raw / "derivatives" / "fitlins") == raw / "participants.tsv"
    True
    """
    folder = given_path("derivatives", derivatives)
    places = [folder, *_containing(folder), *_named(folder)]
    return next(
        # os.path, because a description may name a place longer than any path.
        (p / "participants.tsv" for p in places if os.path.lexists(p / "participants.tsv")),
        None,
    )


def _containing(folder: Path) -> Iterator[Path]:
    for parent in [*folder.absolute().parents][:3]:
        if parent.name == "derivatives":
            yield parent.parent


def _named(folder: Path) -> Iterator[Path]:
    path = folder / "dataset_description.json"
    if not path.is_file():
        return
    facts = read_json(path)
    links, sources = facts.get("DatasetLinks"), facts.get("SourceDatasets")
    names = list(links.values()) if isinstance(links, dict) else []
    if isinstance(sources, list):
        names += [source.get("URL") for source in sources if isinstance(source, dict)]
    for name in names:
        if not isinstance(name, str) or "\0" in name:
            continue
        try:
            url = urlsplit(name)
        except ValueError:  # such as brackets that are no address
            continue
        if url.scheme in ("", "file") and not url.netloc and url.path:
            yield folder / unquote(url.path)
