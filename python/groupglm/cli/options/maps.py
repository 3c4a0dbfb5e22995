# SPDX-License-Identifier: BSD-3-Clause
"""The maps that a command's arguments name: paths, globs, or a table."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from groupglm.cli.options.paths import expand
from groupglm.errors import warn_caller
from groupglm.messages import text_of
from groupglm.runtime.naming import counted
from groupglm.runtime.regular_files import check_file, is_folder
from groupglm.spaces.files import saved_endings

__all__ = ["collect_maps"]

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
    from groupglm.inputs.matching import label_paths
    from groupglm.inputs.same_file import refuse_shared_files
    from groupglm.tabular.labels import SUBJECT_PATTERN

    tables = [text for text in arguments if text.lower().endswith(_TABLES)]
    if tables:
        if len(arguments) > 1:
            raise ValueError(
                f"MAPS holds the table '{tables[0]}' and {len(arguments) - 1} more; give one table "
                "of maps, or paths of images"
            )
        found = _maps_of_table(expand(tables[0]), map_name)
        refuse_shared_files(list(found), found.values(), f"the table of maps '{tables[0]}'")
        return found
    if map_name is not None:
        raise ValueError(f"--map-name {map_name} has no effect on paths; it chooses from a table")
    paths: dict[Path, None] = {}
    for text in arguments:
        paths.update(dict.fromkeys(_files(text)))
    if output is not None:
        paths = dict.fromkeys(_without_results(list(paths), output, warn))
    found = label_paths(list(paths), SUBJECT_PATTERN if pattern is None else pattern)
    refuse_shared_files(list(found), found.values(), "MAPS")
    return found


def _without_results(paths: list[Path], output: Path, warn: Callable[[str], object]) -> list[Path]:
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
        raise ValueError(f"MAPS holds {told} and no other file; give the maps of the subjects")
    warn(
        f"left out of MAPS {told}: they are no maps of subjects; write results to a folder of "
        "their own, which no pattern of MAPS matches"
    )
    return [path for path in paths if path not in results]


def _files(text: str) -> list[Path]:
    if not text:
        raise ValueError("MAPS is empty; give paths, globs, or a table of maps")
    path = expand(text)
    if not path.is_dir():
        check_file(path)
    if path.is_file():
        return [path]
    if path.is_dir():
        ending = saved_endings()[-1]
        raise ValueError(f"'{text}' is a folder; give files, or a glob such as '{text}/*{ending}'")
    if not glob.has_magic(text):
        raise ValueError(f"there is no file '{text}'; MAPS are paths, globs, or a table of maps")
    found = [Path(name) for name in sorted(_expand(str(path)))]
    files = [path for path in found if not path.is_dir()]
    for file in files:  # the content of a subject's map may be elsewhere
        check_file(file)
    if not files:
        raise ValueError(f"no file matches '{text}' (the working directory is '{Path.cwd()}')")
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


def _maps_of_table(path: Path, map_name: str | None) -> dict[str, Path]:
    from groupglm.inputs.table import COLUMNS, MapTable
    from groupglm.tabular.files import read_table
    from groupglm.tabular.labels import plain_label

    check_file(path, f"the table of maps '{path}'")
    if not path.is_file():
        raise ValueError(f"there is no table '{path}'")
    frame = read_table(path, f"the table of maps '{path}'", as_text=COLUMNS)
    try:
        chosen = MapTable.from_frame(frame).select(map_name)
    except ValueError as error:
        raise ValueError(f"the table of maps '{path}': " + text_of(error)) from error
    found: dict[str, Path] = {}
    for label, name in zip(chosen["subject_label"], chosen["effects_map_path"], strict=True):
        file = path.parent / str(name)  # an absolute path stays unchanged
        subject = plain_label(str(label))
        check_file(file, f"the table of maps '{path}': the file '{name}' of subject {subject}")
        if not isinstance(name, str) or not file.is_file():
            raise ValueError(f"the table of maps '{path}': subject {subject} has no file '{name}'")
        if subject in found:
            raise ValueError(f"the table of maps '{path}': subject {subject} has several maps")
        found[subject] = file
    return found
