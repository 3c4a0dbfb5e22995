# SPDX-License-Identifier: BSD-3-Clause
"""The statistic of rearranged data where some images lack some voxels: `PresentKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from groupglm import _core
from groupglm.inference.permutation.equivalent_statistic import equivalent_tables
from groupglm.inference.permutation.kernels import METHODS, Observed, OlsKernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.kernels import Method
    from groupglm.inference.permutation.missing_values import Patterns, Presence
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.partition import Partition
    from groupglm.models.base import HeldRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["PresentKernel", "make_present_kernel"]

_PANEL = 32  # voxels that the core processes at once, even if a pattern has fewer
_ONCE = 12  # the work done once a pattern costs as much as so many rearrangements
_PRODUCTS = 1_000_000_000  # work of one call of the core: a fraction of a second


@dataclass(frozen=True, eq=False)
class PresentKernel:
    r"""The t or F statistic with the images that each voxel has.

    At a voxel, the absent images are removed from the cycles of a rearrangement of all images. To
    compare voxels, each statistic is replaced by the one that has the same p-value with the degrees
    of freedom of a complete voxel.

    Parameters
    ----------
    complete : OlsKernel
        The kernel for the voxels that all images have.
    parts : Partition
        The partition of the design.
    patterns : Patterns
        The incomplete voxels that are tested.
    nuisance_rank : array of int, shape (n_patterns,)
        Rank of the nuisance in the images present.
    table : array of int, shape (n_patterns,)
        Number of the table for the degrees of freedom of each pattern.
    heads, values : arrays
        The tables; see `groupglm.inference.permutation.equivalent_statistic`.
    method : {"freedman-lane", "ter-braak", "smith"}
        The method of rearrangement.
    untested : array of bool, shape (n_voxels,)
        Voxels without a test.
    """

    complete: OlsKernel
    parts: Partition
    patterns: Patterns
    nuisance_rank: Integers
    table: Integers
    heads: Floats
    values: Floats
    method: Method
    untested: NDArray[np.bool_]

    @property
    def n_products(self) -> int:
        """Rows of the matrix product for each rearrangement, as if all voxels were complete.

        This is too low for incomplete voxels, so that a batch has more rearrangements: work that is
        done once for each pattern then pays more. An interrupt is noticed between parts of a batch.
        """
        share = _PANEL * int(self._n_panels().sum()) * self._rank / len(self.untested)
        return self.complete.n_products + int(share / _ONCE)

    def _n_panels(self) -> Integers:
        """Return the number of panels of each pattern."""
        return -(-np.diff(self.patterns.starts) // _PANEL)

    @property
    def _rank(self) -> int:
        return len(self.parts.effect) + len(self.parts.nuisance)

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic."""
        return self.complete.letter

    def observe(self, rows: HeldRows, statistic: Floats, n_threads: int) -> Observed:
        """Return the statistic of the data as they are; see `Kernel`."""
        n, data = self.parts.n_images, rows.array()  # voxels of a pattern are anywhere in a row
        maps, least = np.empty((2, 1, rows.n_values))
        order, signs = np.arange(n)[None], np.ones((1, n))
        # The data as they are have the residuals of the nuisance, whatever the method rearranges.
        self._present(data, order, signs, maps, least, "freedman-lane", n_threads)
        complete = self.complete.observe(rows, statistic, n_threads)
        columns = self.patterns.columns
        complete.least[columns] = least[0, columns]
        live = ~np.isnan(complete.least)
        complete.compared[columns] = np.where(live, maps[0], np.nan)[columns]
        reported = np.where(live | self.untested, statistic, np.nan)
        return Observed(reported, complete.compared, complete.least)

    def statistics(
        self, data: Data, order: Integers, signs: Floats, maps: Floats | None, n_threads: int
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel; see `Kernel`."""
        best = self.complete.statistics(data, order, signs, maps, n_threads)
        found = self._present(data, order, signs, maps, None, self.method, n_threads)
        return np.maximum(best, found)

    def _present(
        self,
        data: Data,
        order: Integers,
        signs: Floats,
        maps: Floats | None,
        least: Floats | None,
        method: Method,
        n_threads: int,
    ) -> Floats:
        best = np.full(len(order), -np.inf)
        products = _PANEL * self.parts.n_images * self._rank * (_ONCE + len(order))
        work = np.cumsum(self._n_panels() * products) // (_PRODUCTS * max(1, n_threads))
        for part in np.unique(work):  # Ctrl-C is noticed between the parts
            found = _core.permuted_present_statistics(
                data,
                self.parts.effect,
                self.parts.nuisance,
                METHODS.index(method),
                self.complete.two_sided,
                self._part(slice(*np.searchsorted(work, [part, part + 1]))),
                (self.heads, self.values),
                (order, signs),
                maps,
                least,
                n_threads,
            )
            np.maximum(best, found, out=best)
        return best

    def _part(
        self, chosen: slice
    ) -> tuple[Integers, Integers, NDArray[np.bool_], Integers, Integers]:
        """Return some of the patterns in the form that the core takes."""
        starts = self.patterns.starts[chosen.start : chosen.stop + 1]
        return (
            self.patterns.columns[starts[0] : starts[-1]],
            starts - starts[0],
            self.patterns.present[chosen],
            self.nuisance_rank[chosen],
            self.table[chosen],
        )


def make_present_kernel(
    complete: OlsKernel, parts: Partition, presence: Presence, method: Method
) -> PresentKernel:
    """Make the kernel for data with missing values."""
    k = len(parts.effect)
    df, table = np.unique(presence.df_residual, return_inverse=True)
    heads, values = equivalent_tables(df, parts.df_residual, k)
    rank = presence.patterns.present.sum(axis=1) - presence.df_residual - k
    return PresentKernel(
        complete=complete,
        parts=parts,
        patterns=presence.patterns,
        nuisance_rank=rank.astype(np.int64),
        table=table.astype(np.int64),
        heads=heads,
        values=values,
        method=method,
        untested=presence.untested,
    )
