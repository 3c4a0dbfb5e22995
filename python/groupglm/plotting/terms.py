# SPDX-License-Identifier: BSD-3-Clause
"""The factors, numbers, functions and products that a design's columns are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.plotting.factors import Factor

FloatArray: TypeAlias = "NDArray[np.float64]"

__all__ = ["Cell", "Terms"]

_MAX_CELLS = 12  # with more groups, one picture is unreadable
_MAX_PANELS = 4  # most groups that have lines at three values of a number


@dataclass(frozen=True, eq=False)
class Cell:
    """Images that have the same levels of some factors.

    Parameters
    ----------
    name : str
        The levels, in words.
    members : array of bool, shape (n_images,)
        The images.
    """

    name: str
    members: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Terms:
    """A design and its variables.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design.
    names : tuple of str
        The names of its columns.
    variables : tuple of frozenset of str
        The variables that each column is made of; empty for the constant, and for a column that no
        rule explains.
    factors : dict of str to Factor
        Variables with levels.
    numbers : dict of str to array, shape (n_images,)
        Variables with values, in the order of their columns.
    named : frozenset of str
        Factors with levels in their columns' names.
    curved : frozenset of str
        Numbers with a column that is not linear in them.
    """

    X: FloatArray
    names: tuple[str, ...]
    variables: tuple[frozenset[str], ...]
    factors: dict[str, Factor]
    numbers: dict[str, FloatArray]
    named: frozenset[str]
    curved: frozenset[str]

    def family(self, involved: Iterable[int]) -> frozenset[str]:
        """Return the variables of a contrast, if it is best shown by their values."""
        own = [self.variables[column] for column in involved]
        if not all(own):
            return frozenset()
        together = frozenset[str]().union(*own)
        factors = together - set(self.numbers)
        is_product = any(len(variables) > 1 for variables in own)
        if not self._can_be_shown(together, factors, is_product=is_product):
            return frozenset()
        if not factors:
            return together
        most = _MAX_PANELS if len(together) - len(factors) == 2 else _MAX_CELLS
        return together if 1 < len(self.cells(together)) <= most else frozenset()

    def _can_be_shown(
        self, together: frozenset[str], factors: frozenset[str], *, is_product: bool
    ) -> bool:
        n_numbers = len(together) - len(factors)
        if not factors:
            return is_product if n_numbers == 2 else n_numbers == 1 and together <= self.curved
        if is_product:
            return n_numbers <= 2
        referenced = all(self.factors[name].has_reference for name in factors)
        return n_numbers == 0 and referenced and factors <= self.named

    def columns_within(self, family: frozenset[str]) -> NDArray[np.intp]:
        """Return the columns that are made only of a family's variables."""
        return np.array(
            [place for place, own in enumerate(self.variables) if own and own <= family],
            dtype=np.intp,
        )

    def numbers_of(self, family: frozenset[str]) -> list[tuple[str, FloatArray]]:
        """Return names and values of a family's numbers, in the order of their columns."""
        return [(name, values) for name, values in self.numbers.items() if name in family]

    def cells(self, family: frozenset[str]) -> list[Cell]:
        """Return the combinations of levels that occur; all images as one if there is no factor."""
        factors = [factor for name, factor in self.factors.items() if name in family]
        if not factors:
            return [Cell("", np.ones(len(self.X), dtype=np.bool_))]
        codes = np.stack([factor.codes for factor in factors], axis=1)
        return [
            Cell(
                ", ".join(factor.names[code] for factor, code in zip(factors, row, strict=True)),
                (codes == row).all(axis=1),
            )
            for row in np.unique(codes, axis=0)
        ]

    def label(self, family: frozenset[str]) -> str:
        """Return the variables whose levels name the cells."""
        labels = [factor.label for name, factor in self.factors.items() if name in family]
        return ", ".join(labels) if all(labels) else ""
