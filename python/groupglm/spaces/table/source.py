# SPDX-License-Identifier: BSD-3-Clause
"""One row of a table of regions, and the names of its regions: `RegionSource`, `RegionNames`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import joblib
import numpy as np

from groupglm.errors import ImageError, in_quotes
from groupglm.runtime.naming import counted, listed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

__all__ = ["HasRegions", "RegionNames", "RegionSource"]


class HasRegions(Protocol):
    """Anything that has the regions of a whole table: a row of the table, or a space."""

    @property
    def table(self) -> RegionNames:
        """The regions of the table."""
        ...


@dataclass(frozen=True, eq=False)
class RegionNames:
    """The names of the regions of a table, each once.

    Parameters
    ----------
    names : sequence of str
        In the order of the table's columns.

    Examples
    --------
    >>> left, right = RegionNames(("V1", "V2")), RegionNames(("V2", "V1"))
    >>> left.difference(right), right.order_in(left)
    (None, array([1, 0]))
    >>> RegionNames(("V1", "V3")).difference(left)
    'it lacks the region V2, and has V3, which is not there'
    """

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The position of each region."""
        return {name: number for number, name in enumerate(self.names)}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.names,)

    def is_like(self, other: RegionNames) -> bool:
        """Return whether another table has the same regions in the same order."""
        return self is other or self.names == other.names

    def order_in(self, other: RegionNames) -> NDArray[np.intp]:
        """Return the position of each of these regions among those of another table."""
        return np.array([other.numbers[name] for name in self.names], np.intp)

    def difference(self, other: RegionNames) -> str | None:
        """Say which regions this table lacks of another, and has besides; None if neither."""
        if self.is_like(other) or self.numbers.keys() == other.numbers.keys():
            return None
        absent = [name for name in other.names if name not in self.numbers]
        more = [name for name in self.names if name not in other.numbers]
        told = []
        if absent:
            told.append(f"it lacks the region{'s' * (len(absent) > 1)} {listed(absent)}")
        if more:
            verb = "is" if len(more) == 1 else "are"
            it = "" if absent else "it "
            told.append(f"{it}has {listed(more)}, which {verb} not there")
        return ", and ".join(told)


@dataclass(frozen=True, eq=False)
class RegionSource:
    """The values of one subject, or of one map of results, in memory.

    Parameters
    ----------
    name : str
        What messages call it.
    table : RegionNames
        The regions.
    values : array of float32 or float64, shape (n_regions,), or None
        Finite, or NaN where the value is missing; None if only the name is known.
    saved_in : str, optional
        The saved model that names the subject, if the values are not known.
    """

    name: str
    table: RegionNames
    values: NDArray[Any] | None
    saved_in: str | None = None

    def read_into(self, out: NDArray[Any], table: RegionNames, places: NDArray[Any] | None) -> None:
        """Put the values of some places of a table with the same regions into a row."""
        values = self.read()
        if not self.table.is_like(table):
            values = values[table.order_in(self.table)]
        out[...] = values if places is None else values[places]

    def read(self) -> NDArray[Any]:
        """Return the values of all regions, shape (n_regions,)."""
        if self.values is None:
            raise ImageError(
                f"{self.name}: its values are not in {in_quotes(self.saved_in)}, which this model "
                "was loaded from; what reads the table again, such as residuals, needs a model "
                "that is fitted here"
            )
        return self.values

    @property
    def extent(self) -> str:
        """The number of regions, in words."""
        return counted(len(self.table), "region")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return np.dtype(np.float64) if self.values is None else self.values.dtype

    @property
    def is_quantised(self) -> bool:
        """False: a table holds the numbers themselves."""
        return False

    @property
    def is_readable(self) -> bool:
        """Whether the values are known."""
        return self.values is not None

    @property
    def nbytes_in_memory(self) -> float:
        """Bytes to send when the row goes to another process."""
        return 0.0 if self.values is None else float(self.values.nbytes)

    def fingerprint(self) -> Hashable:
        """Identify the values and their regions."""
        return str(joblib.hash((self.table.names, self.read())))

    def file_state(self) -> Hashable:
        """Return None: the values were read when the table was opened."""
        return None

    def difference(self, other: HasRegions) -> str | None:
        """Say how its regions differ from those of another row, or of a space's whole table."""
        return self.table.difference(other.table)

    def value_range(self) -> tuple[float, float]:
        """Return the least and the largest of its finite values and zero."""
        finite = self.read()[np.isfinite(self.read())]
        return float(finite.min(initial=0)), float(finite.max(initial=0))
