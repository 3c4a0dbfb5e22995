# SPDX-License-Identifier: BSD-3-Clause
"""The rearrangements of the data that the null hypothesis allows: `Exchange`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from groupglm import _core
from groupglm.errors import ArgumentError, shown
from groupglm.inference.permutation.block_tree import (
    block_numbers,
    flipped_together,
    nested_groups,
)
from groupglm.inference.permutation.tolerances import NO_ENTRY, SAME_ENTRIES
from groupglm.messages import argument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Integers = NDArray[np.int64]

__all__ = ["DRAWN_TOGETHER", "Exchange", "Manner", "Rearrangements", "make_exchange"]

Manner = Literal["free", "within", "whole", "nested"]

DRAWN_TOGETHER = 256
"""Rearrangements that are drawn from one seed, so that each can be drawn again by its number."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """Permutations of rows, or flips of their signs.

    Parameters
    ----------
    n : int
        Number of rows.
    groups : tuple of array of int, shape (n_units, unit_size)
        Units that may be exchanged with each other. A unit is a set of rows that move together. A
        unit may hold whole groups, which then come before its own.
    flips : bool
        Whether signs of units are flipped, rather than units permuted.
    manner : {"free", "within", "whole", "nested"}
        Whether blocks restrict it: rows move within their block, whole blocks move, or blocks lie
        within blocks.
    """

    n: int
    groups: tuple[Integers, ...]
    flips: bool
    manner: Manner = "free"

    def orbits(self) -> Integers:
        """Label the rows: those that can take each other's place share a label; shape (n,)."""
        labels = np.arange(self.n)
        for units in self.groups:
            # Units of a group are of one shape, so that their inner labels join in the same way.
            joined = {
                label: first for first, *others in labels[units].T.tolist() for label in others
            }
            labels = np.array([joined.get(label, label) for label in labels.tolist()])
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)

    def varying(self, basis: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a basis of the part of the rows' span that rearrangements change.

        Shapes: `basis` (q, n); returns (at most q, n).
        """
        if self.flips or not len(basis):
            return basis
        labels = self.orbits()
        counts = np.bincount(labels)
        means = np.stack([np.bincount(labels, row) / counts for row in basis])
        left, size, _ = np.linalg.svd(basis - means[:, labels], full_matrices=False)
        return np.ascontiguousarray(left[:, size > _core.RANK_TOLERANCE].T @ basis)

    def count(self, rows: NDArray[np.float64]) -> int:
        """Count the different rearrangements of the columns of `rows`, shape (m, n)."""
        kinds = _kinds(rows)
        if self.flips:
            return int(2 ** len(self._flippable(rows)))
        total = 1
        for units, labels in self._labelled(kinds):
            counts = np.unique(labels, return_counts=True)[1]
            ways = math.factorial(len(units))
            for count in counts.tolist():
                ways //= math.factorial(count)
            total *= ways
        return total

    def log_counts(
        self, rows: NDArray[np.float64], present: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Count the different rearrangements of some of the columns of `rows`.

        Shapes: `rows` (m, n), `present` (n_patterns, n); returns (n_patterns,).
        """
        logs = np.zeros(len(present))
        if self.flips:
            moved = present & (np.abs(rows).max(axis=0, initial=0) > NO_ENTRY)
            for units in self.groups:
                logs += np.log(2) * np.any(moved[:, units], axis=2).sum(axis=1)
            return logs
        for units, labels in self._labelled(_kinds(rows)):
            whole = present[:, units].all(axis=2).astype(np.float64)  # (n_patterns, n_units)
            of_kind = whole @ (labels[:, None] == np.arange(labels.max() + 1))
            logs += special.gammaln(1 + whole.sum(axis=1)) - special.gammaln(1 + of_kind).sum(
                axis=1
            )
        return logs

    def breaks_units(self, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return in which patterns an exchangeable unit has only some of its rows present.

        Shapes: `present` (n_patterns, n); returns (n_patterns,).
        """
        broken = np.zeros(len(present), dtype=bool)
        if not self.flips:
            for units in self.groups:
                inside = present[:, units]
                part = np.any(inside, axis=2) & ~np.all(inside, axis=2)
                broken |= np.any(part, axis=1)
        return broken

    def _flippable(self, rows: NDArray[np.float64]) -> list[Integers]:
        return [
            unit
            for units in self.groups
            for unit in units
            if np.abs(rows[:, unit]).max(initial=0) > NO_ENTRY
        ]

    def every(self, rows: NDArray[np.float64]) -> tuple[Integers, NDArray[np.float64]]:
        """List the different rearrangements of the columns of `rows`, without the identity.

        Shapes: `rows` (m, n); returns `order` (count - 1, n), `signs` (count - 1, n).
        """
        if self.flips:
            flippable = self._flippable(rows)
            patterns = np.array(list(itertools.product((1.0, -1.0), repeat=len(flippable))))[1:]
            signs = np.ones((len(patterns), self.n))
            for pattern, unit in zip(patterns.T, flippable, strict=True):
                signs[:, unit] = pattern[:, None]
            return np.tile(np.arange(self.n), (len(patterns), 1)), signs
        choices = [list(_arrangements(labels)) for _, labels in self._labelled(_kinds(rows))]
        order = np.tile(np.arange(self.n), (math.prod(map(len, choices)), 1))
        for row, chosen in zip(order, itertools.product(*choices), strict=True):
            for units, places in zip(self.groups, chosen, strict=True):
                row[units] = row[units[places]]
        return order[1:], np.ones((len(order) - 1, self.n))

    def draw(
        self, seed: tuple[int, ...], first: int, last: int
    ) -> tuple[Integers, NDArray[np.float64]]:
        """Draw rearrangements number `first` to `last` - 1 at random.

        Returns `order` (last - first, n), `signs` (last - first, n).
        """
        drawn = [
            self._draw_together((*seed, chunk))
            for chunk in range(first // DRAWN_TOGETHER, (last - 1) // DRAWN_TOGETHER + 1)
        ]
        offset = first % DRAWN_TOGETHER
        chosen = slice(offset, offset + last - first)
        order, signs = (np.concatenate(parts)[chosen] for parts in zip(*drawn, strict=True))
        return order, signs

    def _draw_together(self, seed: tuple[int, ...]) -> tuple[Integers, NDArray[np.float64]]:
        rng = np.random.default_rng(seed)
        order = np.tile(np.arange(self.n), (DRAWN_TOGETHER, 1))
        signs = np.ones((DRAWN_TOGETHER, self.n))
        for units in self.groups:
            numbers = rng.random((DRAWN_TOGETHER, len(units)))
            if self.flips:
                signs[:, units] = np.where(numbers < 0.5, -1.0, 1.0)[:, :, None]
            else:
                moved = units[np.argsort(numbers, axis=1, kind="stable")]
                flat = moved.reshape(DRAWN_TOGETHER, -1)
                order[:, units.ravel()] = np.take_along_axis(order, flat, axis=1)
        return order, signs

    def _labelled(self, kinds: Integers) -> Iterator[tuple[Integers, Integers]]:
        """Yield each group, and the kinds of its units, shape (n_units,).

        Units are of one kind if their inner groups can make them equal.
        """
        kinds = kinds.copy()
        for units in self.groups:
            yield units, _unit_kinds(units, kinds)
            held = kinds[units]
            kinds[units] = held[np.lexsort(held.T[::-1])]


def make_exchange(
    n: int,
    blocks: ArrayLike | None,
    block_permutation: Literal["within", "whole"],
    *,
    flips: bool,
    kinds: Integers | None = None,
    names: Sequence[str] | None = None,
) -> Exchange:
    """Make the exchange from the blocks and the kinds of the rows.

    `names` holds what messages call each row. Shapes: `blocks` (n,) or (n, n_levels), `kinds` (n,).
    """
    if block_permutation not in ("within", "whole"):
        raise ArgumentError("block_permutation", shown(block_permutation), "'within' or 'whole'")
    kinds = np.zeros(n, dtype=np.int64) if kinds is None else kinds
    if blocks is None and block_permutation == "whole":
        raise ArgumentError.about(
            "block_permutation",
            argument("block_permutation", "whole") + " needs " + argument("exchangeability_blocks"),
        )
    labels = np.zeros(n, dtype=np.int64) if blocks is None else block_numbers(blocks, n, names)
    if labels.ndim == 2:
        if block_permutation == "whole":
            raise ArgumentError.about(
                "block_permutation",
                argument("block_permutation", "whole")
                + " is for one label an image, but "
                + argument("exchangeability_blocks")
                + f" has {labels.shape[1]} columns, whose signs say what is exchanged",
                "leave it out",
            )
        nested = flipped_together(labels) if flips else nested_groups(labels, kinds)
        return Exchange(n, nested, flips, "nested")
    units: dict[object, list[Integers]] = {}
    for block in range(labels.max() + 1):
        rows = np.flatnonzero(labels == block)
        if block_permutation == "whole":
            units.setdefault(tuple(kinds[rows].tolist()), []).append(rows)
        else:
            for row in rows:
                units.setdefault((block, int(kinds[row])), []).append(np.array([row]))
    manner: Manner = "free" if blocks is None else block_permutation
    return Exchange(n, tuple(np.stack(rows) for rows in units.values()), flips, manner)


def _kinds(rows: NDArray[np.float64]) -> Integers:
    """Label the columns of a basis; columns that are equal up to rounding share a label."""
    kinds: Integers = np.empty(rows.shape[1], dtype=np.int64)
    seen = np.empty_like(rows)
    n_seen = 0
    for place, column in enumerate(rows.T):
        gap = np.abs(seen[:, :n_seen] - column[:, None]).max(axis=0, initial=0)
        same = np.flatnonzero(gap < SAME_ENTRIES)
        if len(same):
            kinds[place] = same[0]
        else:
            kinds[place] = n_seen
            seen[:, n_seen] = column
            n_seen += 1
    return kinds


def _unit_kinds(units: Integers, kinds: Integers) -> Integers:
    found: dict[bytes, int] = {}
    return np.array([found.setdefault(kinds[unit].tobytes(), len(found)) for unit in units])


def _arrangements(kinds: Integers) -> Iterator[Integers]:
    """Yield each different order of the kinds: the unit at each place; the given order is first.

    The orders follow each other like words in a dictionary (Knuth, *The Art of Computer
    Programming* 4A, 7.2.1.2, algorithm L); after the last one comes the first.
    """
    waiting = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    word = kinds.tolist()
    while True:
        used = [0] * len(waiting)
        places = np.empty(len(word), dtype=np.int64)
        for place, kind in enumerate(word):
            places[place] = waiting[kind][used[kind]]
            used[kind] += 1
        yield places
        _next_word(word)
        if word == kinds.tolist():
            return


def _next_word(word: list[int]) -> None:
    rises = [j for j in range(len(word) - 1) if word[j] < word[j + 1]]
    if not rises:
        word.reverse()
        return
    j = rises[-1]
    m = max(i for i in range(j + 1, len(word)) if word[i] > word[j])
    word[j], word[m] = word[m], word[j]
    word[j + 1 :] = word[:j:-1]


@dataclass(frozen=True, eq=False)
class Rearrangements:
    """The rearrangements of one test: random draws, or all possible ones.

    Parameters
    ----------
    exchange : Exchange
        The exchange that allows them.
    n : int
        Number of rearrangements, without the identity.
    seed : tuple of int
        Seed of the random draws.
    listed : pair of arrays, optional
        All of them, as `Exchange.every` lists them.
    """

    exchange: Exchange
    n: int
    seed: tuple[int, ...]
    listed: tuple[Integers, NDArray[np.float64]] | None = None

    @property
    def exhaustive(self) -> bool:
        """Whether these are all possible rearrangements."""
        return self.listed is not None

    def take(self, first: int, last: int) -> tuple[Integers, NDArray[np.float64]]:
        """Return rearrangements number `first` to `last` - 1, as `Exchange.draw` does."""
        if self.listed is None:
            return self.exchange.draw(self.seed, first, last)
        order, signs = self.listed
        return order[first:last], signs[first:last]
