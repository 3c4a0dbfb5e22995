# SPDX-License-Identifier: BSD-3-Clause
"""What the kernels share that compute all voxels by patterns of missing images: `PatternKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm.inference.permutation.kernels import Observed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Patterns
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.present_images import ImageRows
    from groupglm.models.base import HeldRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["PatternKernel"]


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

    def _statistics(
        self,
        data: Data,
        order: Integers,
        signs: Floats,
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        """Call the compiled function."""
        raise NotImplementedError
