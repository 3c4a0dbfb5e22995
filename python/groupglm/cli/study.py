# SPDX-License-Identifier: BSD-3-Clause
"""From maps, participants and a formula to a design: everything that needs no image."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupglm.cli.outputs import Contrast, check_labels

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.cli.options import NamedContrast

__all__ = ["Study", "collect_maps", "prepare_study", "read_contrasts"]

_TABLES = (".tsv", ".csv")


@dataclass(frozen=True, eq=False)
class Study:
    """A group study before its images are read.

    Parameters
    ----------
    maps : dict of str to pathlib.Path
        The map of each subject, sorted by label.
    design : pandas.DataFrame
        The row of each, with the labels as index.
    rank, df_residual : int
        Of the design.
    contrasts : list of Contrast
        What is to be tested.
    left_out : tuple of str
        Maps and rows that have no counterpart, in words.
    """

    maps: dict[str, Path]
    design: pd.DataFrame
    rank: int
    df_residual: int
    contrasts: list[Contrast]
    left_out: tuple[str, ...]

    def describe(self, n_rows: int = 5) -> str:
        """Return the design in words: names, first rows, rank, degrees of freedom."""
        n, p = self.design.shape
        head = self.design.head(n_rows).to_string(float_format=lambda value: f"{value:.6g}")
        more = f"\n... {n - n_rows} more rows" if n > n_rows else ""
        rank = "full rank" if self.rank == p else f"rank {self.rank}: columns depend on each other"
        tests = "\n".join(
            f"  {c.name}: {c.stat_type} of {c.expression}  ->  contrast-{c.label}_..."
            for c in self.contrasts
        )
        columns = ", ".join(map(str, self.design.columns))
        return (
            f"Design: {n} subjects, {p} columns ({columns}), {rank}, "
            f"{self.df_residual} residual degrees of freedom\n{head}{more}\nContrasts:\n{tests}"
        )

    def facts(self) -> dict[str, Any]:
        """Return the design for a program."""
        return {
            "n_subjects": len(self.design),
            "subjects": list(self.maps),
            "columns": [str(name) for name in self.design.columns],
            "rank": self.rank,
            "df_residual": self.df_residual,
            "left_out": list(self.left_out),
        }


def prepare_study(
    maps: dict[str, Path],
    participants: Path,
    formula: str,
    contrasts: Sequence[NamedContrast],
    *,
    allow_partial: bool,
) -> Study:
    """Match maps and participants, expand the formula, and read the contrasts.

    Parameters
    ----------
    maps : dict of str to pathlib.Path
        The map of each subject.
    participants : pathlib.Path
        The table.
    formula : str
        Over its columns.
    contrasts : sequence of NamedContrast
        Over the design's columns.
    allow_partial : bool
        Whether subjects that lack a map or a row are left out.

    Returns
    -------
    Study
        Nothing of it has needed an image.

    Raises
    ------
    ValueError
        If anything does not fit.
    """
    from groupglm.design import check_design_matrix, report_collinearity
    from groupglm.inputs.formula import design_from_formula
    from groupglm.inputs.matching import match_subjects, read_participants
    from groupglm.ols import prepare_design

    matched = match_subjects(maps, read_participants(participants), allow_partial=allow_partial)
    design = design_from_formula(formula, matched.participants)
    matrix = check_design_matrix(design, len(matched.maps))
    names = tuple(str(name) for name in design.columns)
    prepared = prepare_design(matrix, names)
    if prepared.rank == prepared.n_columns:
        report_collinearity(matrix, names)
    read = read_contrasts(contrasts, design)
    check_labels(read)
    return Study(
        maps=matched.maps,
        design=design,
        rank=prepared.rank,
        df_residual=len(design) - prepared.rank,
        contrasts=read,
        left_out=matched.left_out,
    )


def read_contrasts(given: Sequence[NamedContrast], design: pd.DataFrame) -> list[Contrast]:
    """Read contrasts over a design's columns.

    Parameters
    ----------
    given : sequence of NamedContrast
        As the user wrote them.
    design : pandas.DataFrame
        The design matrix.

    Returns
    -------
    list of Contrast
        In the same order.

    Raises
    ------
    ValueError
        If one is none, or two have the same name.
    groupglm.errors.NotEstimableError
        If the design cannot estimate one.
    """
    read = [_contrast(contrast, design) for contrast in given]
    names = [contrast.name for contrast in read]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several contrasts are called {twice[0]!r}; name them apart: NAME=EXPR")
    return read


def _contrast(given: NamedContrast, design: pd.DataFrame) -> Contrast:
    from groupglm.contrasts import contrast_matrix
    from groupglm.design import confounded_columns
    from groupglm.errors import NotEstimableError
    from groupglm.inputs.formula import expand_aliases

    columns = [str(name) for name in design.columns]
    name, rows = given.split(columns)
    matrix = [contrast_matrix(expand_aliases(row, columns), columns) for row in rows]
    for row, weights in zip(rows, matrix, strict=True):
        confounded = confounded_columns(design.to_numpy(), columns, weights)
        if confounded:
            raise NotEstimableError(
                f"contrast {row!r} cannot be estimated: the design cannot tell apart the columns "
                f"{', '.join(map(repr, confounded))}; drop one of them from the formula, or test "
                "a contrast that does not depend on how the effect is shared among them"
            )
    weights_of = [weights.tolist() for weights in matrix]
    return Contrast(
        name=name,
        expression="; ".join(rows),
        weights=weights_of[0] if len(weights_of) == 1 else weights_of,
        columns=columns,
    )


def collect_maps(
    arguments: Sequence[str], pattern: str | None, map_name: str | None
) -> dict[str, Path]:
    """Find the maps that the user means, and whose they are.

    Parameters
    ----------
    arguments : sequence of str
        Paths and globs, or one table of maps.
    pattern : str or None
        The subject's label within a path.
    map_name : str or None
        Which maps of a table.

    Returns
    -------
    dict of str to pathlib.Path
        Sorted by subject.

    Raises
    ------
    ValueError
        If there are none, or it is not known whose they are.
    """
    from groupglm.inputs.matching import SUBJECT_PATTERN, label_paths

    tables = [text for text in arguments if text.lower().endswith(_TABLES)]
    if tables:
        if len(arguments) > 1:
            raise ValueError(
                f"MAPS holds the table '{tables[0]}' and {len(arguments) - 1} more; give one table "
                "of maps, or paths of images"
            )
        return _maps_of_table(Path(tables[0]), map_name)
    if map_name is not None:
        raise ValueError(f"--map-name {map_name} has no effect on paths; it chooses from a table")
    paths: dict[Path, None] = {}
    for text in arguments:
        paths.update(dict.fromkeys(_files(text)))
    return label_paths(list(paths), SUBJECT_PATTERN if pattern is None else pattern)


def _files(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise ValueError(f"'{text}' is a folder; give files, or a glob such as '{text}/*.nii.gz'")
    if not glob.has_magic(text):
        raise ValueError(f"there is no file '{text}'; MAPS are paths, globs, or a table of maps")
    found = [Path(name) for name in sorted(_expand(str(path)))]
    files = [path for path in found if path.is_file()]
    if not files:
        raise ValueError(f"no file matches '{text}' (the working directory is '{Path.cwd()}')")
    return files


def _expand(pattern: str) -> list[str]:
    # Path.glob takes no absolute pattern.
    return glob.glob(pattern, recursive=True)  # noqa: PTH207


def _maps_of_table(path: Path, map_name: str | None) -> dict[str, Path]:
    import pandas as pd

    from groupglm.inputs.matching import plain_label
    from groupglm.inputs.table import MapTable

    if not path.is_file():
        raise ValueError(f"there is no table '{path}'")
    try:
        frame = pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",", dtype=str)
    except ValueError as error:
        raise ValueError(f"the table of maps '{path}' cannot be read: {error}") from error
    try:
        chosen = MapTable.from_frame(frame).select(map_name)
    except ValueError as error:
        told = (
            str(error)
            .replace("second_level_input", "it")
            .replace("first_level_contrast", "--map-name")
        )
        raise ValueError(f"the table of maps '{path}': {told}") from error
    found: dict[str, Path] = {}
    for label, name in zip(chosen["subject_label"], chosen["effects_map_path"], strict=True):
        file = path.parent / str(name)  # an absolute path stays what it is
        subject = plain_label(str(label))
        if not isinstance(name, str) or not file.is_file():
            raise ValueError(f"the table of maps '{path}': subject {subject} has no file '{name}'")
        if subject in found:
            raise ValueError(f"the table of maps '{path}': subject {subject} has several maps")
        found[subject] = file
    return found
