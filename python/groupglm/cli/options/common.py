# SPDX-License-Identifier: BSD-3-Clause
"""Options that several commands share, and the parsing of their texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from groupglm.cli.options.paths import FILE, expand

__all__ = [
    "AFFINE",
    "CONTRAST",
    "FWHM",
    "NamedContrast",
    "as_json",
    "background",
    "check_jobs_option",
    "cluster_p",
    "cluster_threshold",
    "n_jobs",
    "overwrite",
    "seed",
    "tails",
    "target_grid",
    "tfce",
]

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print a summary as JSON on standard output only."
)
overwrite = click.option("--overwrite", is_flag=True, help="Redo what is there already.")


def target_grid(target: Any) -> tuple[Any, Any]:
    """Return the affine and the shape that ``--target-affine`` asks for."""
    if isinstance(target, Path):
        from groupglm.spaces.registry import kind_of

        return kind_of(target).target_of(target, "--target-affine")
    if target is None:
        return None, None
    import numpy as np

    return np.diag(target), None


def check_jobs_option(
    _ctx: click.Context | None, _param: click.Parameter | None, value: int
) -> int:
    """Refuse a number of threads below one, before the long work."""
    if value == 0:
        raise click.BadParameter("0; give the number of threads, or -1 for all of them.")
    return value


n_jobs = click.option(
    "--n-jobs",
    type=int,
    default=-1,
    show_default=True,
    callback=check_jobs_option,
    help="Number of threads; -1 for all.",
)


@dataclass(frozen=True)
class NamedContrast:
    """A contrast in the user's words.

    Parameters
    ----------
    text : str
        ``EXPRESSION`` or ``NAME=EXPRESSION``; rows of an F contrast are separated by ``;``.
    """

    text: str

    def split(self, columns: list[str]) -> tuple[str, list[str]]:
        """Return the name and the rows; an equals sign may also be part of a column's name."""
        from groupglm.design.hypotheses import split_constant

        if self.text in columns:
            return self.text, [self.text]
        at = _outside(self.text, "=")
        if at is not None and self.text[at + 1 :].strip() == "0":
            return NamedContrast(self.text[:at].strip()).split(columns)  # an equation, not a name
        if at is not None and "=" not in self.text[at + 1 :] and split_constant(self.text, ())[1]:
            at = None  # age = 0.5 is an equation too
        name = self.text if at is None else self.text[:at]
        rest = self.text if at is None else self.text[at + 1 :]
        rows = []
        while (cut := _outside(rest, ";")) is not None:
            rows.append(rest[:cut].strip())
            rest = rest[cut + 1 :]
        rows.append(rest.strip())
        return name.strip(), [row for row in rows if row]


def _outside(text: str, mark: str) -> int | None:
    """Return the position of the first mark outside of brackets and backticks."""
    depth, quoted = 0, False
    for place, letter in enumerate(text):
        if letter == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == mark and depth == 0:
            return place
    return None


class _Text(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The text of an option, which `convert` parses; newer click makes the type generic."""


class _Contrast(_Text):
    name = "[NAME=]EXPR"

    def convert(self, value: Any, param: Any, ctx: Any) -> NamedContrast:
        if isinstance(value, NamedContrast):
            return value
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            self.fail(f"{value!r} is not text in UTF-8, so no file can hold it", param, ctx)
        name, rows = NamedContrast(value).split([])
        if not name or not rows:
            self.fail(
                f"{value!r} has no name or no expression; write age, or name=expr", param, ctx
            )
        if "=" in value and rows != [value] and _is_number(name):
            self.fail(
                f"{value!r} has a number before the equals sign; write {rows[0]} = {name} to "
                "compare with a constant, or begin a name with a letter",
                param,
                ctx,
            )
        return NamedContrast(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Numbers(_Text):
    """Millimetres: one number, or one for each axis."""

    name = "MM[,MM,MM]"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | tuple[float, ...]:
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, tuple) else float(value)
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a number, or three with commas between them", param, ctx)
        if len(numbers) not in (1, 3) or not all(math.isfinite(x) and x >= 0 for x in numbers):
            self.fail(f"{value!r} must be one number, or three, of at least 0 mm", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


class _Affine(_Numbers):
    """A grid: edges of its voxels, or an image that has it."""

    name = "MM|IMAGE"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, Path):
            return value
        if isinstance(value, str) and (path := expand(value)).is_file():
            return path
        numbers = super().convert(value, param, ctx)
        edges = numbers if isinstance(numbers, tuple) else (numbers,) * 3
        if min(edges) <= 0:
            self.fail(f"{value!r} must be edges of voxels, larger than 0 mm", param, ctx)
        return edges


CONTRAST = _Contrast()
FWHM = _Numbers()
AFFINE = _Affine()

# Each option has the same meaning in all commands that have it.
tails = click.option(
    "--two-sided/--one-sided",
    default=None,
    help="Both tails, the default, or positive effects only; F has one tail anyway.",
)
cluster_threshold = click.option(
    "--cluster-threshold",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Leave out clusters of fewer voxels (places).",
)
tfce = click.option(
    "--tfce",
    is_flag=True,
    help="Permute threshold-free cluster enhancement too: its integral, which has another scale "
    "than the sums of FSL and nilearn.",
)
cluster_p = click.option(
    "--cluster-p",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Permute sizes and masses of clusters too, formed at this p of a voxel (place).",
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Seed of the permutations or bootstraps; 0 by default.",
)
background = click.option(
    "--background",
    type=FILE,
    help="Picture behind the maps of the page; by default the MNI template, if installed, else a "
    "simulated brain; the outline of a mask in another space.",
)
