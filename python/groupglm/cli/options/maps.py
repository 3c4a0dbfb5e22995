# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a command's arguments and options name: paths, globs, or a table."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groupglm.cli.options.paths import expand
from groupglm.cli.options.visits import (
    RUNS,
    SESSIONS,
    VisitMaps,
    maps_by_visit,
    plain_run,
    plain_session,
)
from groupglm.cli.options.volumes import are_volumes, volumes_of
from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import text_of
from groupglm.runtime.naming import counted, listed
from groupglm.runtime.regular_files import check_file, is_folder
from groupglm.spaces.files import saved_endings
from groupglm.spaces.map_files import MapFiles, files_of_map, group_files

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "collect_beside",
    "collect_maps",
    "files_of",
    "has_column",
    "maps_of_column",
    "table_of",
]

EFFECTS = "effects_map_path"
_TABLES = (".tsv", ".csv")
_SHOWN = 3  # results left out that a message names


def collect_maps(
    arguments: Sequence[str],
    pattern: str | None,
    map_name: str | None,
    *,
    output: Path | None = None,
    warn: Callable[[str], object] = warn_caller,
) -> VisitMaps:
    """Find the maps that the user means, and the subject and the visit of each.

    Parameters
    ----------
    arguments : sequence of str
        Paths and globs, or one table of maps.
    pattern : str or None
        The subject's label within a path.
    map_name : str or None
        Which maps of a table.
    output : pathlib.Path, optional
        The folder of results. Those of an earlier run are no maps of subjects, also where a glob
        matches them.
    warn : callable
        Called with the warning about these.

    Returns
    -------
    VisitMaps
        Sorted by subject and visit.

    Raises
    ------
    ValueError
        If there are none, it is not known whose they are, or a subject has two of one visit.
    """
    from groupglm.inputs.same_file import refuse_shared_maps

    table = table_of(arguments)
    if table is not None:
        if len(arguments) > 1:
            raise ValueError(
                f"MAPS holds the table '{table}' and {len(arguments) - 1} more; give one table "
                "of maps, or paths of images"
            )
        found = _maps_of_table(expand(table), map_name)
        refuse_shared_maps(found.files, f"the table of maps '{table}'")
        return found
    if map_name is not None:
        raise ValueError(f"--map-name {map_name} has no effect on paths; it chooses from a table")
    found = _labelled(arguments, pattern, output, warn, "MAPS")
    if not are_volumes(found.files):  # which share their file
        refuse_shared_maps(found.files, "MAPS")
    return found


def collect_beside(
    given: Sequence[str],
    option: str,
    pattern: str | None,
    *,
    output: Path,
    by_visit: bool = False,
    warn: Callable[[str], object] = warn_caller,
) -> dict[str, MapFiles]:
    """Find the maps of an option such as ``--variances``, and the subject of each.

    Parameters
    ----------
    given : sequence of str
        Paths and globs.
    option : str
        The option, for messages.
    pattern : str or None
        The subject's label within a path, as for the maps.
    output : pathlib.Path
        The folder of results.
    by_visit : bool
        Whether the maps are labelled by subject and visit, because subjects have several.
    warn : callable
        Called with the warning about results of an earlier run among the files.

    Returns
    -------
    dict of str to MapFiles
        Sorted by subject.

    Raises
    ------
    ValueError
        If there are none, or it is not known whose they are.
    """
    from groupglm.inputs.same_file import refuse_shared_maps

    table = table_of(given)
    if table is not None:
        raise ValueError(
            f"{option} '{table}' is a table; give paths or globs of maps, or put the paths "
            "into a column of the table that MAPS names: variances_map_path, weights_map_path"
        )
    try:
        found = _labelled(given, pattern, output, warn, option, by_visit=by_visit)
    except ArgumentError as error:  # it speaks of maps
        raise ValueError(f"{option}: " + text_of(error)) from error
    files = found.files
    if found.several and not by_visit:
        raise ValueError(
            f"{option}: a subject has several maps, such as {listed(list(files), _SHOWN)}, and "
            "MAPS has one of each subject; give one"
        )
    if not are_volumes(files):
        refuse_shared_maps(files, option)
    return files


def table_of(arguments: Sequence[str]) -> str | None:
    """Return the first table among arguments; None if there is none."""
    return next((text for text in arguments if text.lower().endswith(_TABLES)), None)


def has_column(table: str, column: str) -> bool:
    """Return whether a table of maps has a column."""
    return column in _read_table(expand(table)).columns


def maps_of_column(
    table: str, map_name: str | None, column: str, *, by_visit: bool = False
) -> dict[str, MapFiles]:
    """Return the maps in a column of a table of maps, as `collect_maps` labels maps."""
    return _maps_of_table(expand(table), map_name, column, by_visit=by_visit).files


def _labelled(
    arguments: Sequence[str],
    pattern: str | None,
    output: Path | None,
    warn: Callable[[str], object],
    option: str,
    *,
    by_visit: bool = False,
) -> VisitMaps:
    """Return the files that paths and globs name, by subject and visit."""
    from groupglm.inputs.matching import subjects_of_paths
    from groupglm.tabular.labels import SUBJECT_PATTERN

    paths: dict[Path, None] = {}
    for text in arguments:
        paths.update(dict.fromkeys(files_of(text, option)))
    if output is not None:
        paths = dict.fromkeys(_without_results(list(paths), output, warn, option))
    found = group_files(paths)
    volumes = volumes_of(found[0], option) if len(found) == 1 else None
    if volumes is not None:
        if pattern is not None:
            raise ValueError(
                f"--subject-pattern has no effect on '{found[0]}', which holds "
                f"{len(volumes)} volumes: they are matched with rows by their order"
            )
        return volumes
    named = [files.first for files in found]
    subjects = subjects_of_paths(named, SUBJECT_PATTERN if pattern is None else pattern)
    return maps_by_visit(found, subjects, "MAPS", by_visit=by_visit)  # `option` is told elsewhere


def _without_results(
    paths: list[Path], output: Path, warn: Callable[[str], object], option: str
) -> list[Path]:
    """Leave out, with a message, results of a study in the folder that this run writes to."""
    from groupglm.cli.results.study_results import is_of_study
    from groupglm.runtime.sidecars import read_json
    from groupglm.spaces.files import sidecar

    own = os.path.realpath(output)
    results = [
        path
        for path in paths
        if os.path.realpath(path.parent) == own and is_of_study(read_json(sidecar(path)) or {})
    ]
    if not results:
        return paths
    names = ", ".join(path.name for path in results[:_SHOWN])
    names += f" and {len(results) - _SHOWN} more" if results[_SHOWN:] else ""
    told = f"{counted(len(results), 'result')} of groupglm in --output '{output}' ({names})"
    if len(results) == len(paths):
        raise ValueError(f"{option} holds {told} and no other file; give the maps of the subjects")
    warn(
        f"left out of {option} {told}: they are no maps of subjects; write results to a folder of "
        f"their own, which no pattern of {option} matches"
    )
    return [path for path in paths if path not in results]


def files_of(text: str, option: str) -> list[Path]:
    """Return the file of a path, or the files that a glob matches."""
    or_table = ", or a table of maps" if option == "MAPS" else ""
    if not text:
        raise ValueError(f"{option} is empty; give paths, globs{or_table}")
    path = expand(text)
    if not path.is_dir():
        check_file(path)
    if path.is_file():
        return [path]
    if path.is_dir():
        ending = saved_endings()[-1]
        raise ValueError(f"'{text}' is a folder; give files, or a glob such as '{text}/*{ending}'")
    if not glob.has_magic(text):
        raise ValueError(f"there is no file '{text}'; {option} are paths, globs{or_table}")
    found = [Path(name) for name in sorted(_expand(str(path)))]
    files = [path for path in found if not path.is_dir()]
    for file in files:  # the content of a subject's map may be elsewhere
        check_file(file)
    if not files:
        raise ValueError(
            f"no file matches '{text}', given as {option}; check folder and pattern "
            f"(the working directory is '{Path.cwd()}')"
        )
    return files


def _expand(pattern: str) -> list[str]:
    parts = Path(pattern).parts
    if "**" in parts:
        for start in glob.glob(os.path.join(*parts[: parts.index("**")], "")):  # noqa: PTH118, PTH207
            _refuse_rings(start)
    # Path.glob accepts no absolute pattern.
    return glob.glob(pattern, recursive=True)  # noqa: PTH207


def _refuse_rings(start: str) -> None:
    """Refuse folders with links that lead round in circles: ``**`` follows links without end."""
    pending: list[tuple[str, tuple[str, ...]]] = [(start, (os.path.realpath(start),))]
    while pending:
        folder, above = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:  # a folder that cannot be read has no match
            continue
        for entry in entries:
            if entry.name.startswith(".") or not is_folder(entry):
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                raise ValueError(
                    f"'{entry.path}' is a link to a folder that it lies in, and ** would follow it "
                    "for ever; give a pattern that does not pass it, or remove the link"
                )
            pending.append((entry.path, (*above, real)))


def _read_table(path: Path) -> pd.DataFrame:
    from groupglm.inputs.beside import COLUMNS as BESIDE
    from groupglm.inputs.table import COLUMNS
    from groupglm.tabular.files import read_table

    where = f"the table of maps '{path}'"
    check_file(path, where)
    if not path.is_file():
        raise ValueError(f"there is no table '{path}'")
    return read_table(path, where, as_text=(*COLUMNS, *BESIDE.values(), *SESSIONS, *RUNS))


def _maps_of_table(
    path: Path, map_name: str | None, column: str = EFFECTS, *, by_visit: bool = False
) -> VisitMaps:
    """Return the maps in a column of a table."""
    from groupglm.inputs.table import MapTable
    from groupglm.tabular.labels import plain_label

    where = f"the table of maps '{path}'"
    frame = _read_table(path)
    try:
        chosen = MapTable.from_frame(frame).select(map_name)
    except ValueError as error:
        raise ValueError(f"{where}: " + text_of(error)) from error
    subjects, files, rows = [], [], []
    for row, (label, name) in enumerate(zip(chosen["subject_label"], chosen[column], strict=True)):
        subject = plain_label(str(label))
        if not isinstance(name, str) and column != EFFECTS:
            continue  # whose map beside the effect is missing, the match says
        own = files_of_map(path.parent / str(name))  # an absolute path stays unchanged
        for file in own:
            check_file(file, f"{where}: the file '{file.name}' of subject {subject}")
        if not isinstance(name, str) or not all(file.is_file() for file in own):
            raise ValueError(f"{where}: subject {subject} has no file '{name}'")
        subjects.append(subject)
        files.append(MapFiles(own))
        rows.append(row)
    kept, files = _joined(files, subjects, where)
    subjects, rows = [subjects[number] for number in kept], [rows[number] for number in kept]
    given = _visits_of_rows(chosen.iloc[rows])
    by_visit |= len(set(subjects)) < len(subjects)
    return maps_by_visit(files, subjects, where, given=given, by_visit=by_visit)


def _joined(
    files: list[MapFiles], subjects: Sequence[str], where: str
) -> tuple[list[int], list[MapFiles]]:
    """Bring rows of a table together that name the parts of one map, such as its hemispheres.

    Returns the number of the first row of each map, and the maps.
    """
    numbers = {own.first: number for number, own in enumerate(files)}
    if len(numbers) < len(files) or any(len(own.paths) > 1 for own in files):
        return list(range(len(files))), files  # whole maps, or a file twice, which is refused later
    try:
        maps = group_files(numbers)
    except ArgumentError as error:
        raise ValueError(f"{where}: " + text_of(error)) from error
    for own in maps:
        first, *others = (subjects[numbers[path]] for path in own.paths)
        if any(other != first for other in others):
            raise ValueError(
                f"{where}: the files {own.name} are of one map, but its rows are of the subjects "
                f"{listed([first, *others])}; give them one subject_label"
            )
    maps.sort(key=lambda own: min(numbers[path] for path in own.paths))
    return [min(numbers[path] for path in own.paths) for own in maps], maps


def _visits_of_rows(rows: pd.DataFrame) -> list[tuple[str | None, str | None]] | None:
    """Return session and run of each row of a table of maps; None if it has no such column."""
    columns = [next((n for n in own if n in rows.columns), None) for own in (SESSIONS, RUNS)]
    if columns == [None, None]:
        return None
    found: list[list[str | None]] = []
    for name, plain in zip(columns, (plain_session, plain_run), strict=True):
        values = [None] * len(rows) if name is None else rows[name].tolist()
        found.append([plain(value) if isinstance(value, str) else None for value in values])
    return [*zip(*found, strict=True)]
