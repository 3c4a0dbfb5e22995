# SPDX-License-Identifier: BSD-3-Clause
"""The split of a design into the effect that a contrast tests and the nuisance: `Partition`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groupglm import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Partition", "partition"]


@dataclass(frozen=True, eq=False)
class Partition:
    """Orthonormal bases of the tested effect and of the nuisance, as rows.

    Parameters
    ----------
    effect : array, shape (k, n_images)
        Basis of the part of the design that the null hypothesis forbids. It is orthogonal to the
        nuisance. With one row, the contrast's estimate is a positive multiple of its product with
        the data.
    nuisance : array, shape (q, n_images)
        Basis of the part that the null hypothesis allows.
    """

    effect: Floats
    nuisance: Floats

    @property
    def n_images(self) -> int:
        """Number of images."""
        return int(self.effect.shape[1])

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom."""
        return self.n_images - len(self.effect) - len(self.nuisance)

    @property
    def leaves_mean_free(self) -> bool:
        """Whether the null hypothesis leaves the images' overall mean free."""
        constant = np.full(self.n_images, self.n_images**-0.5)
        rest = constant - self.nuisance.T @ (self.nuisance @ constant)
        outside = rest - self.effect.T @ (self.effect @ constant)
        # The rule of rank decides whether a direction of unit length lies in a span.
        tolerance = _core.RANK_TOLERANCE
        return bool(np.linalg.norm(rest) <= tolerance or np.linalg.norm(outside) > tolerance)


def partition(X: Floats, contrast: Floats) -> Partition:
    r"""Split a design by a contrast that it can estimate.

    Shapes: `X` (n_images, n_columns), `contrast` (n_rows, n_columns).

    Notes
    -----
    Under :math:`C\beta = 0` the model is :math:`X N\gamma` with :math:`N` a basis of the null space
    of :math:`C`: the nuisance. What is left of the column space is the span of
    :math:`X (X'X)^- C'`, since :math:`N'X'X(X'X)^-C' = N'C' = 0` for an estimable contrast. This is
    the partition of Guttman (*Linear Models*, 1982) as Ridgway and Winkler et al. (2014, NeuroImage
    92, 381-397, appendix) have it, up to the choice of bases, on which no statistic depends.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.column_stack([np.ones(4), [0.0, 0.0, 1.0, 1.0]])
    >>> parts = partition(X, np.array([[0.0, 1.0]]))
    >>> parts.effect.round(3) + 0.0, np.abs(parts.nuisance.round(3))
    (array([[-0.5, -0.5,  0.5,  0.5]]), array([[0.5, 0.5, 0.5, 0.5]]))
    """
    design = _core.Design(np.ascontiguousarray(X, dtype=np.float64))
    effect, nuisance = design.partition(np.ascontiguousarray(contrast, dtype=np.float64))
    return Partition(effect=effect, nuisance=nuisance)
