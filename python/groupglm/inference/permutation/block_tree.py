# SPDX-License-Identifier: BSD-3-Clause
"""Exchangeability blocks of several levels: a tree of blocks within blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, in_quotes, shown
from groupglm.messages import argument
from groupglm.tabular.group_labels import check_labels, is_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["block_numbers", "flipped_together", "nested_groups"]

_NAME = "exchangeability_blocks"
_ROW = 2  # the first number of a row's shape; those of a block's are 0 and 1


def block_numbers(blocks: Any, n: int, names: Sequence[str] | None = None) -> Integers:
    """Return the blocks as numbers: labels become numbers from 0, a table of levels stays.

    `names` holds what messages call each row. Shapes: `blocks` (n,) or (n, n_levels); returns the
    same, but (n,) for one level.
    """
    if not is_table(blocks):
        return check_labels(blocks, n, _NAME)
    values = np.asarray(blocks.to_numpy() if hasattr(blocks, "to_numpy") else blocks, dtype=object)
    if values.shape[0] == n and values.shape[1] == 1:
        return check_labels(values[:, 0].tolist(), n, _NAME)
    if values.shape[0] != n or values.shape[1] == 0:
        raise ArgumentError(
            _NAME,
            f"shape {values.shape}",
            f"({n},), or ({n}, n_levels) for blocks within blocks",
            verb="has",
        )
    table, rows = np.empty(values.shape, dtype=np.int64), _rows(blocks, n, names)
    for (row, level), value in np.ndenumerate(values):
        if not _is_number_of_block(value):
            raise ArgumentError(
                _NAME,
                f"{shown(value)} in {rows[row]}, column {level + 1}",
                "a whole number that is not 0: positive if what lies in the block may be "
                "exchanged, negative if not",
                verb="has",
            )
        table[row, level] = int(value)
    _check_tree(table, rows)
    return table


def _rows(blocks: Any, n: int, names: Sequence[str] | None) -> list[str]:
    """Return what each row is called in messages: its image, or its number and label."""
    if names is not None:
        return [f"the row of {name}" for name in names]
    labels = blocks.index.tolist() if hasattr(blocks, "iloc") else [None] * n
    return [
        f"row {number}" + (f" ({in_quotes(label)})" if isinstance(label, str) else "")
        for number, label in enumerate(labels, 1)
    ]


def _is_number_of_block(value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    number = float(np.real(value))
    return number == value and number.is_integer() and 0 < abs(number) < 2**53


def _check_tree(table: Integers, rows: Sequence[str]) -> None:
    others = np.flatnonzero(table[:, 0] != table[0, 0])
    if len(others):
        raise ArgumentError(
            _NAME,
            f"{table[0, 0]} in {rows[0]} and {table[others[0], 0]} in {rows[others[0]]} of "
            "column 1",
            "one number in all of column 1, which is the block of all images",
            "put a column before it: 1 if its blocks may be exchanged as wholes, -1 if not",
            verb="has",
        )
    n_blocks = 1
    for level in range(1, table.shape[1]):
        _refuse_both_signs(table, level, rows)
        n_before, n_blocks = n_blocks, len(np.unique(np.abs(table[:, : level + 1]), axis=0))
        if n_blocks == n_before:
            raise ArgumentError.about(
                _NAME,
                f"column {level + 1} of {argument(_NAME)} divides no block of column {level}: "
                "every block of it holds one block",
                "give the columns from the outermost level to the innermost, without those that "
                "divide nothing",
            )


def _refuse_both_signs(table: Integers, level: int, rows: Sequence[str]) -> None:
    paths = np.abs(table[:, : level + 1])
    first: dict[bytes, int] = {}
    for row, path in enumerate(paths):
        other = first.setdefault(path.tobytes(), row)
        if table[row, level] != table[other, level]:
            raise ArgumentError(
                _NAME,
                f"{table[other, level]} in {rows[other]} and {table[row, level]} in {rows[row]} of "
                f"column {level + 1}, for the same block",
                "one sign for each block",
                verb="has",
            )


@dataclass(eq=False)
class _Tree:
    """The blocks of a table; see `nested_groups`.

    Shapes: `table` (n, n_levels), `kinds` (n,).
    """

    table: Integers
    kinds: Integers
    groups: list[Integers] = field(default_factory=list)
    shapes: dict[Any, int] = field(default_factory=dict)

    def shape(self, facts: Any) -> int:
        """Return the number of a shape; blocks of equal shapes can take each other's place."""
        return self.shapes.setdefault(facts, len(self.shapes))

    def build(self, rows: Integers, level: int, *, moves: bool) -> tuple[Integers, int]:
        """Find the groups in a block; return its rows in the order of its shape, and the shape.

        Blocks of equal shapes hold blocks of equal shapes at the same positions. `moves` says
        whether the block itself may be exchanged with others.
        """
        exchanges = bool(self.table[rows[0], level] > 0)
        children: list[tuple[int, Integers]] = []
        if level + 1 == self.table.shape[1]:
            # Rows that share their last number stay together if their block moves.
            exchanges = exchanges and not moves
            children = [(self.shape((_ROW, int(self.kinds[row]))), rows[[i]])
                        for i, row in enumerate(rows.tolist())]  # fmt: skip
        else:
            numbers = np.abs(self.table[rows, level + 1])
            for number in np.unique(numbers):
                inner, shape = self.build(rows[numbers == number], level + 1, moves=exchanges)
                children.append((shape, inner))
        exchanges = exchanges and len(children) > 1
        children.sort(key=lambda child: child[0])
        own = [shape for shape, _ in children]
        for shape in dict.fromkeys(own) if exchanges else ():
            alike = [inner for each, inner in children if each == shape]
            if len(alike) > 1:
                self.groups.append(np.stack(alike))
        ordered = np.concatenate([inner for _, inner in children])
        return ordered, self.shape((int(exchanges), tuple(own)))


def nested_groups(table: Integers, kinds: Integers) -> tuple[Integers, ...]:
    """Return the units of a tree that may be exchanged with each other, the innermost first.

    What lies in a block of a positive number may be exchanged as wholes, if it has the same shape:
    as many rows, divided into blocks in the same way, of the same kinds.

    Shapes: `table` (n, n_levels), `kinds` (n,); returns arrays (n_units, unit_size).

    Examples
    --------
    Two families that may be exchanged, each of two siblings who may be exchanged:

    >>> table = np.array([[1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2]])
    >>> [units.tolist() for units in nested_groups(table, np.zeros(4, dtype=np.int64))]
    [[[0], [1]], [[2], [3]], [[0, 1], [2, 3]]]
    """
    tree = _Tree(table, kinds)
    tree.build(np.arange(len(table)), 0, moves=False)
    return tuple(tree.groups)


def flipped_together(table: Integers) -> tuple[Integers, ...]:
    """Return the units of a tree whose signs may be flipped, by their size.

    These are the blocks in the outermost block of a positive number, since what lies in them may
    depend on each other, and single rows where no block has a positive number.

    Shapes: `table` (n, n_levels); returns arrays (n_units, unit_size).

    Examples
    --------
    >>> table = np.array([[-1, 1, 1], [-1, 1, 1], [-1, 1, 2], [-1, -2, 1], [-1, -2, 2]])
    >>> [units.tolist() for units in flipped_together(table)]
    [[[2], [3], [4]], [[0, 1]]]
    """
    paths: dict[tuple[int, ...], list[int]] = {}
    for row, path in enumerate(table.tolist()):
        depth = next((i for i, number in enumerate(path) if number > 0), len(path) - 1)
        whole = depth + 1 < len(path)
        key = (*map(abs, path[: depth + 2]),) if whole else (-1 - row,)
        paths.setdefault(key, []).append(row)
    units: Sequence[list[int]] = list(paths.values())
    sizes = sorted({len(unit) for unit in units})
    return tuple(np.array([unit for unit in units if len(unit) == size]) for size in sizes)
