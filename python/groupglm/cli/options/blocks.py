# SPDX-License-Identifier: BSD-3-Clause
"""The options for what a permutation test may rearrange: blocks, and flips of signs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from groupglm.cli.options.giving import giving
from groupglm.cli.options.paths import FILE, expand

__all__ = ["BlockOptions", "block_options"]

_ENDINGS = (".tsv", ".csv", ".txt", ".mat", ".grp")
"""What ends so is a file, and not the name of a column."""
_BLOCKS = "--exchangeability-blocks"


class _Blocks(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The name of a column of labels, or a file of them."""

    name = "COLUMN|FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | Path:
        if isinstance(value, Path):
            return value
        text = str(value)
        if expand(text).suffix.lower() in _ENDINGS:
            return Path(FILE.convert(text, param, ctx))
        if not text.strip():
            self.fail("the name of the column is empty", param, ctx)
        return text


block_options = giving(
    (
        click.option(
            _BLOCKS,
            "--eb",
            "exchangeability_blocks",
            type=_Blocks(),
            multiple=True,
            help="Blocks in which maps may be exchanged, or that are exchanged as wholes: a column "
            "of the tables with the label of each map's block, or a file as for PALM's -eb. Repeat "
            "it for blocks within blocks, from the outermost.",
        ),
        click.option(
            "--block-permutation",
            type=click.Choice(("within", "whole")),
            help="Exchange maps within their block, the default, or whole blocks of the same size, "
            "as PALM's -within and -whole.",
        ),
        click.option(
            "--sign-flip/--no-sign-flip",
            "sign_flip",
            default=None,
            help="Flip signs, which assumes symmetric errors (PALM's -ise), or permute. By default "
            "signs are flipped where the null hypothesis fixes the mean.",
        ),
    )
)


@dataclass(frozen=True)
class BlockOptions:
    """What a permutation test may rearrange.

    Parameters
    ----------
    columns : tuple of str
        The columns that hold the blocks, from the outermost level.
    file : pathlib.Path or None
        The file that holds them, in the place of columns.
    block_permutation : str or None
        "within" or "whole"; None: as by default.
    sign_flip : bool or None
        Whether signs are flipped; None: as the null hypothesis says.
    """

    columns: tuple[str, ...] = ()
    file: Path | None = None
    block_permutation: str | None = None
    sign_flip: bool | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any], *, permutes: bool = True) -> BlockOptions:
        """Take these options out of a command's arguments; refuse those that have no effect."""
        blocks = given.pop("exchangeability_blocks")
        columns = tuple(own for own in blocks if isinstance(own, str))
        files = [own for own in blocks if isinstance(own, Path)]
        whole, flip = given.pop("block_permutation"), given.pop("sign_flip")
        for told in _conflicts(columns, files, whole, flip, permutes=permutes):
            raise click.UsageError(told)
        return cls(columns, files[0] if files else None, whole, flip)

    @property
    def has_blocks(self) -> bool:
        """Whether there are blocks."""
        return bool(self.columns) or self.file is not None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a permutation test that do not depend on the maps."""
        return {
            "block_permutation": self.block_permutation or "within",
            "sign_flip": self.sign_flip,
        }

    def facts(self) -> dict[str, Any]:
        """Return the facts for sidecars; none of what is as by default."""
        whole = {"BlockPermutation": self.block_permutation or "within"} if self.has_blocks else {}
        return whole | ({} if self.sign_flip is None else {"SignFlip": self.sign_flip})


def _conflicts(
    columns: tuple[str, ...],
    files: list[Path],
    whole: str | None,
    flip: bool | None,
    *,
    permutes: bool,
) -> Iterator[str]:
    given = (
        (_BLOCKS, bool(columns or files)),
        ("--block-permutation", whole is not None),
        ("--sign-flip" if flip else "--no-sign-flip", flip is not None),
    )
    for option, is_given in given:
        if is_given and not permutes:
            yield f"{option} has no effect without --permute N."
    if whole is not None and not (columns or files):
        yield f"--block-permutation has no effect without {_BLOCKS}."
    if files and len(columns) + len(files) > 1:
        yield (
            f"{_BLOCKS} '{files[0]}' is a file, which has all levels; give one file, or columns of "
            "the tables."
        )
    for name in columns:
        if columns.count(name) > 1:
            yield f"{_BLOCKS} {name} is given {columns.count(name)} times; give each level once."
    if whole == "whole" and len(columns) > 1:
        yield (
            f"--block-permutation whole is for one column of blocks, but {_BLOCKS} names "
            f"{len(columns)}, whose signs say what is exchanged; leave it out."
        )
