# SPDX-License-Identifier: BSD-3-Clause
"""One row of a table of regions: `RegionSource`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import joblib
import numpy as np

from groupglm.errors import ImageError, in_quotes
from groupglm.runtime.naming import counted
from groupglm.tabular.region_tables import RegionNames

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

__all__ = ["HasRegions", "RegionSource"]


class HasRegions(Protocol):
    """Anything that has the regions of a whole table: a row of the table, or a space."""

    @property
    def table(self) -> RegionNames:
        """The regions of the table."""
        ...


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
    label : str, optional
        The label of the subject, as the table has it; empty if it has none.
    table_file : str, optional
        The file of the whole table; empty if it was in memory.
    """

    name: str
    table: RegionNames
    values: NDArray[Any] | None
    saved_in: str | None = None
    label: str = ""
    table_file: str = ""

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
