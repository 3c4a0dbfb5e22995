# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a command's arguments and options name: paths, globs, or a table."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from groupglm.cli.options.paths import expand
from groupglm.errors import ArgumentError, warn_caller
from groupglm.messages import text_of
from groupglm.runtime.naming import counted
from groupglm.runtime.regular_files import check_file, is_folder
from groupglm.spaces.files import saved_endings

__all__ = ["collect_beside", "collect_maps", "table_of", "variances_of_table"]

EFFECTS, VARIANCES = "effects_map_path", "variances_map_path"
_TABLES = (".tsv", ".csv")
_SHOWN = 3  # results left out that a message names


def collect_maps(
    arguments: Sequence[str],
    pattern: str | None,
    map_name: str | None,
    *,
    output: Path | None = None,
    warn: Callable[[str], object] = warn_caller,
) -> dict[str, Path]:
    """Find the maps that the user means, and the subject of each.

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
    dict of str to pathlib.Path
        Sorted by subject.

    Raises
    ------
    ValueError
        If there are none, or it is not known whose they are.
    """
    from groupglm.inputs.same_file import refuse_shared_files

    table = table_of(arguments)
    if table is not None:
        if len(arguments) > 1:
            raise ValueError(
                f"MAPS holds the table '{table}' and {len(arguments) - 1} more; give one table "
                "of maps, or paths of images"
            )
        found = _maps_of_table(expand(table), map_name)
        refuse_shared_files(list(found), found.values(), f"the table of maps '{table}'")
        return found
    if map_name is not None:
        raise ValueError(f"--map-name {map_name} has no effect on paths; it chooses from a table")
    found = _labelled(arguments, pattern, output, warn, "MAPS")
    refuse_shared_files(list(found), found.values(), "MAPS")
    return found


def collect_beside(
    given: Sequence[str],
    option: str,
    pattern: str | None,
    *,
    output: Path,
    warn: Callable[[str], object] = warn_caller,
) -> dict[str, Path]:
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
    warn : callable
        Called with the warning about results of an earlier run among the files.

    Returns
    -------
    dict of str to pathlib.Path
        Sorted by subject.

    Raises
    ------
    ValueError
        If there are none, or it is not known whose they are.
    """
    from groupglm.inputs.same_file import refuse_shared_files

    table = table_of(given)
    if table is not None:
        raise ValueError(
            f"{option} '{table}' is a table; give paths or globs of maps, or put the paths of "
            "variances into the column variances_map_path of the table that MAPS names"
        )
    try:
        found = _labelled(given, pattern, output, warn, option)
    except ArgumentError as error:  # it speaks of maps
        raise ValueError(f"{option}: " + text_of(error)) from error
    refuse_shared_files(list(found), found.values(), option)
    return found


def table_of(arguments: Sequence[str]) -> str | None:
    """Return the first table among arguments; None if there is none."""
    return next((text for text in arguments if text.lower().endswith(_TABLES)), None)


def variances_of_table(table: str, map_name: str | None) -> dict[str, Path]:
    """Return the variance maps of a table of maps by subject; none if it has no such column."""
    return _maps_of_table(expand(table), map_name, VARIANCES)


def _labelled(
    arguments: Sequence[str],
    pattern: str | None,
    output: Path | None,
    warn: Callable[[str], object],
    option: str,
) -> dict[str, Path]:
    """Return the files that paths and globs name, by subject."""
    from groupglm.inputs.matching import label_paths
    from groupglm.tabular.labels import SUBJECT_PATTERN

    paths: dict[Path, None] = {}
    for text in arguments:
        paths.update(dict.fromkeys(_files(text, option)))
    if output is not None:
        paths = dict.fromkeys(_without_results(list(paths), output, warn, option))
    return label_paths(list(paths), SUBJECT_PATTERN if pattern is None else pattern)


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


def _files(text: str, option: str) -> list[Path]:
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


def _maps_of_table(path: Path, map_name: str | None, column: str = EFFECTS) -> dict[str, Path]:
    """Return the map of each subject in a column of a table; none if it lacks another column."""
    from groupglm.inputs.table import COLUMNS, MapTable
    from groupglm.tabular.files import read_table
    from groupglm.tabular.labels import plain_label

    check_file(path, f"the table of maps '{path}'")
    if not path.is_file():
        raise ValueError(f"there is no table '{path}'")
    frame = read_table(path, f"the table of maps '{path}'", as_text=(*COLUMNS, VARIANCES))
    try:
        chosen = MapTable.from_frame(frame).select(map_name)
    except ValueError as error:
        raise ValueError(f"the table of maps '{path}': " + text_of(error)) from error
    found: dict[str, Path] = {}
    if column not in chosen.columns:
        return found
    for label, name in zip(chosen["subject_label"], chosen[column], strict=True):
        subject = plain_label(str(label))
        if not isinstance(name, str) and column != EFFECTS:
            continue  # whose variance is missing, the match says
        file = path.parent / str(name)  # an absolute path stays unchanged
        check_file(file, f"the table of maps '{path}': the file '{name}' of subject {subject}")
        if not isinstance(name, str) or not file.is_file():
            raise ValueError(f"the table of maps '{path}': subject {subject} has no file '{name}'")
        if subject in found:
            raise ValueError(f"the table of maps '{path}': subject {subject} has several maps")
        found[subject] = file
    return found
