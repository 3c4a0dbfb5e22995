# SPDX-License-Identifier: BSD-3-Clause
"""The statistics of rearranged images with weights or columns by voxel: `VoxelwiseKernel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy import linalg

from groupglm import _core
from groupglm.inference.permutation.equivalent_statistic import tables_of
from groupglm.inference.permutation.pattern_kernel import PatternKernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.missing_values import Presence
    from groupglm.inference.permutation.null_distribution import Data
    from groupglm.inference.permutation.pattern_kernel import PatternArrays
    from groupglm.inference.permutation.rearranged_model import RearrangedModel

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["VoxelwiseKernel", "make_voxelwise_kernel", "null_columns"]


@dataclass(frozen=True, eq=False)
class VoxelwiseKernel(PatternKernel):
    """The t or F statistic of least squares where each voxel has a design of its own.

    The residuals of the voxel's own nuisance are rearranged, multiplied by the roots of the weights
    if there are weights (Freedman and Lane 1983; Winkler et al. 2014).

    Parameters
    ----------
    columns : array, shape (n_images, n_columns)
        The columns that all voxels share.
    effect, nuisance : array, shape (n_columns + n_covariates, any)
        Combinations of columns that span the effect, and the nuisance.
    rows, two_sided, patterns, nuisance_rank, table, heads, values, untested
        As in `PatternKernel`.
    """

    columns: Floats
    effect: Floats
    nuisance: Floats
    by_voxel: ClassVar[bool] = True

    @property
    def n_products(self) -> int:
        """Rows of a matrix product that would be as much work as one rearrangement."""
        return 2 * len(self.effect)

    @property
    def letter(self) -> Literal["t", "F"]:
        """The letter of the statistic."""
        return "t" if self.effect.shape[1] == 1 else "F"

    def _compiled(
        self,
        data: Data,
        part: PatternArrays,
        orders: tuple[Integers, Floats],
        maps: Floats | None,
        least: Floats | None,
        n_threads: int,
    ) -> Floats:
        weights: list[Any] = self.rows.of(data, "weight")
        return _core.permuted_voxelwise_statistics(
            self.rows.own(data),
            weights[0] if weights else None,
            self.rows.of(data, "covariate"),
            self.columns,
            self.effect,
            self.nuisance,
            self.two_sided,
            part,
            (self.heads, self.values),
            orders,
            maps,
            least,
            n_threads,
        )


def null_columns(contrast: Floats) -> tuple[Floats, Floats]:
    """Return the combinations of columns that a contrast tests, and those that it leaves free.

    The second are single columns wherever the contrast has no weight on them, so that columns in
    different units are not mixed without need.

    Shapes: `contrast` (n_rows, n_columns); returns (n_columns, k), (n_columns, n_columns - k).

    Examples
    --------
    >>> import numpy as np
    >>> effect, nuisance = null_columns(np.array([[0.0, 2.0, 0.0]]))
    >>> effect.ravel().tolist(), nuisance.T.tolist()
    ([0.0, 1.0, 0.0], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """
    n = contrast.shape[1]
    named = contrast.any(axis=0)
    own = contrast[:, named]
    free = linalg.null_space(own, rcond=_core.RANK_TOLERANCE)
    nuisance = np.zeros((n, n - own.shape[1] + free.shape[1]))
    nuisance[~named, : n - own.shape[1]] = np.eye(n - own.shape[1])
    nuisance[named, n - own.shape[1] :] = free
    if len(contrast) == 1:
        effect = contrast.T / np.linalg.norm(contrast)
    else:
        effect = linalg.orth(contrast.T, rcond=_core.RANK_TOLERANCE)
    return np.ascontiguousarray(effect), nuisance


def make_voxelwise_kernel(
    model: RearrangedModel,
    presence: Presence,
    df_residual: float | NDArray[Any],
    *,
    two_sided: bool,
) -> VoxelwiseKernel:
    """Make the kernel of a model with weights or columns by voxel.

    Shapes: `df_residual` (n_voxels,).
    """
    effect, nuisance = null_columns(model.contrast)
    patterns = presence.patterns
    counts = np.repeat(patterns.present.sum(axis=1), np.diff(patterns.starts))
    everywhere = np.broadcast_to(df_residual, presence.untested.shape)
    df = everywhere[patterns.columns].astype(np.int64)
    table, heads, values = tables_of(df, model.df, effect.shape[1])
    return VoxelwiseKernel(
        rows=model.rows,
        columns=model.X,
        effect=effect,
        nuisance=nuisance,
        two_sided=two_sided,
        patterns=patterns,
        nuisance_rank=(counts - df - effect.shape[1]).astype(np.int64),
        table=table,
        heads=heads,
        values=values,
        untested=presence.untested,
    )
