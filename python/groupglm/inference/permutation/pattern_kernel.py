# SPDX-License-Identifier: BSD-3-Clause
"""What the kernels share that compute all voxels by patterns of missing images: `PatternKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from groupglm.inference.permutation.kernels import Observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Patterns
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.present_images import ImageRows
    from groupglm.models.base import HeldRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    PatternArrays = tuple[Integers, Integers, NDArray[np.bool_], Integers, Integers]

__all__ = ["PatternKernel"]

_PANEL = 32  # voxels that the core processes at once, all of one pattern
_FEWEST_PANELS = 8  # of a part and thread, so that threads share it
_PRODUCTS = 1_000_000_000  # work of one call of the core: a fraction of a second


@dataclass(frozen=True, eq=False)
class PatternKernel:
    """A kernel of which one compiled function gives the statistic of rearrangements.

    Parameters
    ----------
    rows : ImageRows
        The rows of an image.
    two_sided : bool
        Whether a t statistic is tested in both tails.
    patterns : Patterns
        All tested voxels, grouped by the images that they have.
    nuisance_rank, table : array of int
        Rank of the nuisance in the images present, and number of the table: of each pattern, or of
        each voxel in the patterns.
    heads, values : arrays
        The tables; see `groupglm.inference.permutation.equivalent_statistic`.
    untested : array of bool, shape (n_voxels,)
        Voxels without a test.
    """

    rows: ImageRows
    two_sided: bool
    patterns: Patterns
    nuisance_rank: Integers
    table: Integers
    heads: Floats
    values: Floats
    untested: NDArray[np.bool_]

    def observe(self, rows: HeldRows, statistic: Floats, n_threads: int) -> Observed:
        """Return the statistic of the data as they are; see `Kernel`."""
        n = self.patterns.present.shape[1]
        maps, least = np.zeros((1, rows.n_values)), np.full((1, rows.n_values), np.nan)
        self._statistics(rows.array(), np.arange(n)[None], np.ones((1, n)), maps, least, n_threads)
        live = ~np.isnan(least[0])
        return Observed(
            np.where(live | self.untested, statistic, np.nan),
            np.where(live, maps[0], np.nan),
            least[0],
        )

    def statistics(
        self, data: Data, order: Integers, signs: Floats, maps: Floats | None, n_threads: int
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel; see `Kernel`."""
        if maps is not None:
            maps[:, self.untested] = 0.0
        return self._statistics(data, order, signs, maps, None, n_threads)

    by_voxel: ClassVar[bool] = False
    """Whether ranks and tables are those of each voxel."""

    @property
    def n_products(self) -> int:
        """Rows of a matrix product that would be as much work as one rearrangement."""
        raise NotImplementedError

    def _statistics(
        self,
        data: Data,
        order: Integers,
        signs: Floats,
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        best = np.full(len(order), -np.inf)
        for part in self._parts(len(order), n_threads):  # Ctrl-C is noticed between the parts
            found = self._compiled(data, part, (order, signs), maps, least, n_threads)
            np.maximum(best, found, out=best)
        return best

    def _parts(self, n_orders: int, n_threads: int) -> Iterator[PatternArrays]:
        """Yield the patterns in parts of whole panels, in the form that the core takes."""
        patterns = self.patterns
        n_panels = -(-np.diff(patterns.starts) // _PANEL)
        number = np.repeat(np.arange(len(patterns)), n_panels)  # of each panel's pattern
        before = np.repeat(np.cumsum(n_panels) - n_panels, n_panels)
        begins = patterns.starts[number] + _PANEL * (np.arange(len(number)) - before)
        begins = np.append(begins, patterns.starts[-1])
        threads = max(1, n_threads)
        work = _PANEL * patterns.present.shape[1] * self.n_products * n_orders
        size = max(_FEWEST_PANELS * threads, _PRODUCTS * threads // work)
        for start in range(0, len(number), size):
            last = min(start + size, len(number))
            first, end = begins[start], begins[last]
            chosen = slice(number[start], number[last - 1] + 1)
            starts = patterns.starts[chosen.start : chosen.stop + 1].clip(first, end) - first
            own = slice(first, end) if self.by_voxel else chosen
            yield (
                patterns.columns[first:end],
                starts,
                patterns.present[chosen],
                self.nuisance_rank[own],
                self.table[own],
            )

    def _compiled(
        self,
        data: Data,
        part: PatternArrays,
        orders: tuple[Integers, Floats],
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        """Call the compiled function for some of the patterns."""
        raise NotImplementedError
