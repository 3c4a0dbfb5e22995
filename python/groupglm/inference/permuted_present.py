# SPDX-License-Identifier: BSD-3-Clause
"""The statistic of rearranged data where some images lack some voxels: `PresentKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from groupglm import _core
from groupglm.inference.equivalent import equivalent_tables
from groupglm.inference.permuted_kernels import METHODS, OlsKernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.null import Data
    from groupglm.inference.partition import Partition
    from groupglm.inference.permuted_kernels import Method
    from groupglm.inference.present import Patterns, Presence

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["PresentKernel", "make_present_kernel"]

_PANEL = 32  # voxels that the core takes at a time, however few a pattern has


@dataclass(frozen=True, eq=False)
class PresentKernel:
    r"""The t or F statistic with the images that each voxel has.

    A rearrangement of all images is brought to those present by leaving the others out of its
    cycles. What is compared is the statistic with the same p-value as a complete voxel's.

    Parameters
    ----------
    complete : OlsKernel
        For the voxels that all images have.
    parts : Partition
        Of the design.
    patterns : Patterns
        The other voxels that are tested.
    nuisance_rank : array of int, shape (n_patterns,)
        Rank of the nuisance in the images present.
    table : array of int, shape (n_patterns,)
        Which of the tables holds for a pattern's degrees of freedom.
    heads, values : arrays
        The tables; see `groupglm.inference.equivalent`.
    method : {"freedman-lane", "ter-braak", "smith"}
        What is rearranged.
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
        """Rows of the matrix product a rearrangement, as if all voxels were complete."""
        panels = np.sum(-(-np.diff(self.patterns.starts) // _PANEL))
        rows = len(self.parts.effect) + len(self.parts.nuisance)
        share = _PANEL * int(panels) * rows / len(self.untested)
        return self.complete.n_products + int(np.ceil(share))

    @property
    def letter(self) -> Literal["t", "F"]:
        """Which statistic."""
        return self.complete.letter

    def observe(self, data: Data, statistic: Floats, n_threads: int) -> tuple[Floats, Floats]:
        """Return the statistic of the data as they are; see `Kernel`."""
        n = self.parts.n_images
        maps = np.empty((1, data.shape[1]))
        self._present(data, np.arange(n)[None], np.ones((1, n)), maps, n_threads)
        _, compared = self.complete.observe(data, statistic, n_threads)
        columns = self.patterns.columns
        compared[columns] = np.where(maps[0, columns] == 0, np.nan, maps[0, columns])
        live = np.isfinite(compared) | self.untested
        return np.where(live, statistic, np.nan), compared

    def statistics(
        self, data: Data, order: Integers, signs: Floats, maps: Floats | None, n_threads: int
    ) -> Floats:
        """Compute the statistic of rearrangements at every voxel; see `Kernel`."""
        best = self.complete.statistics(data, order, signs, maps, n_threads)
        return np.maximum(best, self._present(data, order, signs, maps, n_threads))

    def _present(
        self, data: Data, order: Integers, signs: Floats, maps: Floats | None, n_threads: int
    ) -> Floats:
        return _core.permuted_present_statistics(
            data,
            self.parts.effect,
            self.parts.nuisance,
            METHODS.index(self.method),
            self.complete.two_sided,
            self.patterns.columns,
            self.patterns.starts,
            self.patterns.present,
            self.nuisance_rank,
            self.table,
            self.heads,
            self.values,
            order,
            signs,
            maps,
            n_threads,
        )


def make_present_kernel(
    complete: OlsKernel, parts: Partition, presence: Presence, method: Method
) -> PresentKernel:
    """Make the kernel for data with missing values.

    Parameters
    ----------
    complete : OlsKernel
        For complete voxels.
    parts : Partition
        Of the design.
    presence : Presence
        The other voxels.
    method : {"freedman-lane", "ter-braak", "smith"}
        What is rearranged.

    Returns
    -------
    PresentKernel
        For all voxels.
    """
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
