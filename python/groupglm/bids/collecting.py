# SPDX-License-Identifier: BSD-3-Clause
"""The effect maps of subjects in a BIDS derivative, found by the entities in their names."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.bids.entities import NamedFile, read_name, same_value, walk
from groupglm.bids.hemispheres import whole_maps
from groupglm.errors import ArgumentError, ArgumentTypeError, in_quotes, shown, warn_caller
from groupglm.inputs.beside import collected
from groupglm.messages import Text, argument, arguments, either
from groupglm.runtime.arguments import check_truth
from groupglm.runtime.naming import counted, listed
from groupglm.runtime.paths import given_path
from groupglm.spaces.files import endings, saved_endings
from groupglm.spaces.map_files import MapFiles
from groupglm.spaces.registry import kind_of
from groupglm.tabular.labels import plain_label

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "KEYS",
    "collect_maps",
    "find_effect_maps",
    "maps_of_visits",
    "one_map_a_subject",
    "select_maps",
    "visit_of",
]

KEYS = {"session": "ses", "subject": "sub", "acquisition": "acq", "reconstruction": "rec"}
"""Long names of entities, as in Stats Models and Python, and their short names."""

_ALIKE = ("task", "contrast", "node", "space", "res", "den", "desc", "hemi")
_MAX_SHOWN = 8
_MAX_OTHERS = 10_000  # most other maps searched, if no effect map is found
_MAX_FOLDERS = 100  # most folders searched then


def collect_maps(
    derivatives: str | os.PathLike[str],
    *,
    task: str | None = None,
    contrast: str | None = None,
    space: str | None = None,
    session: str | None = None,
    run: str | int | None = None,
    need_variances: bool = False,
    **entities: str | int,
) -> pd.DataFrame:
    """Find one effect map of each subject in a BIDS derivative.

    Parameters
    ----------
    derivatives : path
        The folder of the derivative, as FitLins, nilearn's ``save_glm_to_bids`` and others write
        it: ``sub-01/sub-01_task-faces_space-MNI_contrast-a_stat-effect_statmap.nii.gz``, in folders
        of nodes (``node-subjectLevel``), of subjects and sessions, or beside each other.
    task, contrast, space, session : str, optional
        Labels that the maps must have. You may write a contrast by its original name:
        ``"faces > houses"`` is ``contrast-facesGtHouses`` (nilearn) or ``contrast-facesHouses``
        (FitLins).
    run : str or int, optional
        Index of the run.
    need_variances : bool, default=False
        Whether a map without its variance map is an error.
    **entities : str
        Other entities by their names in the files, such as ``acq="ap"``, or
        ``node="subjectLevel"``. An empty text chooses the maps without the entity: ``res=""``.

    Returns
    -------
    pandas.DataFrame
        A table of maps as `SecondLevelModel.fit` takes it, with one row for each subject, sorted.
        The columns are ``subject_label`` (without ``sub-``), ``map_name`` (the contrast),
        ``effects_map_path`` and ``variances_map_path`` (missing if there is no such map). The path
        of a map that has a file of each hemisphere (``hemi-L`` and ``hemi-R``) is a tuple of both.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there is no such map, a subject has several, or the maps are of several tasks,
        contrasts, nodes or spaces. The message lists what was found, and how to choose.

    Warns
    -----
    UserWarning
        If the maps of the subjects differ in another entity, such as the session.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for subject in ("01", "02"):
    ...     name = f"sub-{subject}_task-faces_contrast-a_stat-effect_statmap.nii.gz"
    ...     (folder / f"sub-{subject}").mkdir()
    ...     (folder / f"sub-{subject}" / name).touch()
    >>> maps = collect_maps(folder, task="faces")
    >>> maps[["subject_label", "map_name"]]
      subject_label map_name
    0            01        a
    1            02        a
    """
    import pandas as pd

    check_truth("need_variances", need_variances)
    given = {"task": task, "contrast": contrast, "space": space, "session": session, "run": run}
    given |= entities
    for key, value in given.items():
        if value is not None and not _is_label(value):
            raise ArgumentTypeError(key, shown(value), "a label: a str, or a whole number")
    wanted = {KEYS.get(k, k): [str(value)] for k, value in given.items() if value is not None}
    found = find_effect_maps(given_path("derivatives", derivatives))
    chosen = one_map_a_subject(select_maps(found, wanted))
    variances = {label: variance_of(file) for label, file in chosen.items()}
    absent = [label for label, path in variances.items() if path is None]
    if need_variances and absent:
        raise ArgumentError.about(
            "need_variances",
            absent_variances(absent, len(chosen)),
            "have the first level write it, or leave need_variances out",
        )
    table = pd.DataFrame(
        {
            "subject_label": list(chosen),
            "map_name": [file.entities.get("contrast", "effect") for file in chosen.values()],
            "effects_map_path": [file.files.given for file in chosen.values()],
            "variances_map_path": [None if v is None else v.given for v in variances.values()],
        }
    )
    return collected(table)


def _is_label(value: object) -> bool:
    return isinstance(value, str | Integral) and not isinstance(value, bool)


def absent_variances(labels: Sequence[str], n_maps: int) -> str:
    """Say which subjects have no variance map."""
    return (
        f"{len(labels)} of {n_maps} effect maps have no variance map (stat-variance with the same "
        f"name): subjects {listed(labels, _MAX_SHOWN)}"
    )


def variance_of(file: NamedFile) -> MapFiles | None:
    """Return the variance map beside an effect map, if there is one."""
    paths = [
        path.with_name(path.name.replace("_stat-effect_", "_stat-variance_"))
        for path in file.files.paths
    ]
    whole = all(map(os.path.lexists, paths)) and set(paths).isdisjoint(file.files.paths)
    return MapFiles(tuple(paths)) if whole else None


def find_effect_maps(root: Path) -> list[NamedFile]:
    """Find all effect maps of subjects in a derivative."""
    if not root.is_dir():
        raise FileNotFoundError(
            f"derivatives {in_quotes(root)}: there is no such folder; give its path"
        )
    found: list[NamedFile] = []
    others: list[Path] = []
    for entry in walk(root):
        if "_statmap." not in entry.name:
            continue
        file = _effect_map(entry, root)
        if file is not None:
            found.append(file)
        elif not found and len(others) < _MAX_OTHERS:
            others.append(Path(entry.path))
    if not found:
        raise ArgumentError.about(
            "derivatives",
            f"derivatives {in_quotes(root)} holds no effect map of a subject "
            f"(sub-..._stat-effect_statmap{' or '.join(saved_endings())} in it, in sub-* or in "
            f"node-*/sub-*)",
            _instead(root, others),
        )
    return sorted(found, key=lambda file: str(file.path))


def _effect_map(entry: os.DirEntry[str], root: Path) -> NamedFile | None:
    """Read the name of a file, if it is an effect map of a subject."""
    if "_stat-effect_" not in entry.name or "_statmap." not in entry.name:
        return None
    file = read_name(Path(entry.path), root)
    is_one = file is not None and file.extension in endings() and "sub" in file.entities
    return file if is_one else None


def _has_effect_map(folder: Path) -> bool:
    """Return whether a folder has effect maps of subjects; a long search ends with False."""
    try:
        entries = itertools.islice(walk(folder), _MAX_OTHERS)
        return any(_effect_map(entry, folder) is not None for entry in entries)
    except OSError:  # without permission to read
        return False


def _instead(root: Path, others: Sequence[Path]) -> str:
    """Return what a folder without effect maps holds instead, in words."""
    statistics: Counter[str] = Counter()
    for path in others:
        file = read_name(path, root)
        if file is None:
            statistics["no entities in the name"] += 1
        elif file.extension in endings():
            whose = "of subjects" if "sub" in file.entities else "of no subject"
            statistics[f"stat-{file.entities.get('stat', '?')} {whose}"] += 1
    if statistics:
        known = ", ".join(f"{n} {what}" for what, n in statistics.most_common(_MAX_SHOWN))
        return f"it holds other maps: {known}"
    folders = [path for pattern in ("*/", "derivatives/*/") for path in root.glob(pattern)]
    inner = [folder for folder in sorted(folders)[:_MAX_FOLDERS] if _has_effect_map(folder)]
    if inner:
        names = [folder.relative_to(root).as_posix() for folder in inner]
        return f"effect maps are in its folders {listed(names, _MAX_SHOWN)}: give one of these"
    return "give the folder that a first-level analysis was written to"


def select_maps(
    files: Sequence[NamedFile],
    wanted: Mapping[str, Sequence[str]],
    *,
    untold: Collection[str] = (),
) -> list[NamedFile]:
    """Return the maps whose entities have one of the wanted values."""
    kept = list(files)
    for key, values in wanted.items():
        if key == "sub":
            values = [plain_label(value) for value in values]  # noqa: PLW2901
        before = kept
        kept = [
            file
            for file in before
            if _has(file, key, values) or (key in untold and key not in file.entities)
        ]
        exact = [file for file in kept if file.entities.get(key) in values]
        kept = exact if key == "contrast" and len(values) == 1 and exact else kept
        if not kept:
            shown = " or ".join(_shown(value) for value in values)
            raise ArgumentError.about(
                _long(key),
                f"no effect map has {_long(key)} {shown}",
                f"there is {_counted(before, key)}",
            )
    return kept


def _has(file: NamedFile, key: str, values: Iterable[str]) -> bool:
    found = file.entities.get(key)
    if found is None:
        return "" in values  # maps without the entity are wanted
    return any(value and same_value(key, value, found) for value in values)


def visit_of(file: NamedFile) -> tuple[str, str | None, str | None]:
    """Return subject, session and run of a map; a run without leading zeros."""
    run = file.entities.get("run")
    if run is not None and run.isdecimal():
        run = str(int(run))
    return file.entities["sub"], file.entities.get("ses"), run


def maps_of_visits(files: Sequence[NamedFile], *, allow_partial: bool = False) -> list[NamedFile]:
    """Return the maps of all visits; refuse several kinds, and several maps of one visit."""
    files = whole_maps(files, allow_partial=allow_partial)
    _refuse_kinds(files)
    by_visit: dict[tuple[str, str | None, str | None], list[NamedFile]] = {}
    for file in files:
        by_visit.setdefault(visit_of(file), []).append(file)
    several = [own for own in by_visit.values() if len(own) > 1]
    if several:
        maps = several[0]
        keys = {key for file in maps for key in file.entities}
        differing = sorted(key for key in keys if len({f.entities.get(key) for f in maps}) > 1)
        names = [file.path.name if differing else str(file.path) for file in maps]
        raise ArgumentError.about(
            "derivatives",
            f"{counted(len(several), 'visit')} {'has' if len(several) == 1 else 'have'} several "
            f"effect maps, such as {listed(names, _MAX_SHOWN)}",
            f"they differ in {_names(differing)}. " + _how_to_choose(files, differing)
            if differing
            else "their names have the same entities: keep one of them",
        )
    return list(files)


def _refuse_kinds(files: Sequence[NamedFile]) -> None:
    """Refuse maps of several tasks, contrasts, spaces, or what else makes them incomparable."""
    mixed = [key for key in _ALIKE if len({file.entities.get(key) for file in files}) > 1]
    if mixed:
        raise ArgumentError.about(
            "derivatives",
            f"the effect maps are of several kinds, by {_names(mixed)}: "
            f"{'; '.join(_counted(files, key) for key in mixed)}. " + _how_to_choose(files, mixed),
        )


def one_map_a_subject(
    files: Sequence[NamedFile], *, allow_partial: bool = False
) -> dict[str, NamedFile]:
    """Return the map of each subject; with `allow_partial` without maps of half a cortex."""
    files = whole_maps(files, allow_partial=allow_partial)
    _refuse_kinds(files)
    by_subject: dict[str, list[NamedFile]] = {}
    for file in files:
        by_subject.setdefault(file.entities["sub"], []).append(file)
    several = {label: maps for label, maps in by_subject.items() if len(maps) > 1}
    keys = {key for file in files for key in file.entities} - {"sub", "stat"}
    differing = sorted(key for key in keys if len({f.entities.get(key) for f in files}) > 1)
    if several:
        label, maps = min(several.items())
        at_visits = len({visit_of(file) for file in files}) == len(files)
        fitted = ", or fit all of them by " + argument("model", "repeated measures")
        together = either("", fitted)  # only the commands can take them together
        raise ArgumentError.about(
            "derivatives",
            f"{len(several)} of {len(by_subject)} subjects have several effect maps, such as "
            f"{label}: {listed([file.path.name for file in maps], _MAX_SHOWN)}",
            (
                f"they differ in {_names(differing)}. "
                + _how_to_choose(files, differing)
                + (together if at_visits else "")
                if differing
                else "their names have the same entities: keep one of them "
                f"({' or '.join(sorted(kind_of(maps[0].path).endings))})"
            ),
        )
    if differing:
        warn_caller(
            "the effect maps of the subjects are not all of the same "
            f"{'; '.join(_counted(files, key) for key in differing)}"
        )
    return {label: by_subject[label][0] for label in sorted(by_subject)}


def _how_to_choose(files: Sequence[NamedFile], keys: Sequence[str]) -> Text:
    """Return, in words, a value of each entity by which the files can be told apart."""
    values = {key: {file.entities.get(key, "") for file in files} - {""} for key in keys}
    first = {key: min(found) for key, found in values.items() if found}
    advice = "Choose, such as by " + _entities(first)
    absent = next((k for k in keys if any(k not in file.entities for file in files)), None)
    if absent is None:
        return advice
    return advice + f", or the maps without {_long(absent)} by " + _entities({absent: ""})


def _entities(values: Mapping[str, str]) -> Text:
    """Name entities in the form that `collect_maps` takes."""
    named = {"session" if key == "ses" else key: value for key, value in values.items()}
    return arguments("entity", **{key: repr(value) for key, value in named.items()})


def _counted(files: Sequence[NamedFile], key: str) -> str:
    """List the values of an entity: ``run 1 (12 maps), 2 (12 maps)``."""
    counts = Counter(file.entities.get(key, "none") for file in files)
    shown = [f"{value} ({n} map{'s' if n > 1 else ''})" for value, n in sorted(counts.items())]
    return f"{_long(key)} {listed(shown, _MAX_SHOWN)}"


def _shown(value: str) -> str:
    return repr(value) if value else "absent"


def _long(key: str) -> str:
    return {short: long for long, short in KEYS.items()}.get(key, key)


def _names(keys: Sequence[str]) -> str:
    return ", ".join(_long(key) for key in keys)
