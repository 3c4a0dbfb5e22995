# SPDX-License-Identifier: BSD-3-Clause
"""The data of a test against a constant: without the share of each image in that constant.

The null hypothesis is c'b = v. Let d be any coefficients with c'd = v. The data y - X d follow the
same model with the coefficients b - d, of which c'(b - d) = 0: the null hypothesis of every test.
Two choices of d differ by what the nuisance explains, so that residuals of the nuisance do not
depend on the choice, and neither does any test. For a mean, signs are flipped about the constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.engine.row_store import RowStore
from groupglm.errors import ArgumentError
from groupglm.inference.permutation.present_images import ImageRows
from groupglm.inference.permutation.resuming import digest_of
from groupglm.runtime.budget import check_memory_budget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.inference.permutation.null_distribution import DataSource
    from groupglm.models.base import HeldRows

    Floats = NDArray[np.float64]

__all__ = ["ShiftedData", "shares_of"]


@dataclass(eq=False)
class ShiftedData:
    """Data from which a constant's share was subtracted; it takes the memory of the data again.

    Parameters
    ----------
    source : DataSource
        The data.
    shares : array, shape (n_images,)
        What is subtracted from each image.
    places : array of bool, shape (n_values,)
        The places at which it is subtracted. Those where all images are zero hold no data, and
        would else differ from any constant without an error.
    beside : tuple of str
        The roles of the rows beside each image, which stay as they are.
    """

    source: DataSource
    shares: Floats
    places: NDArray[np.bool_]
    beside: tuple[str, ...] = ()
    _store: RowStore | None = None
    _digest: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.shares, self.places, self.beside)

    def load(self, n_threads: int) -> HeldRows:
        """Return the rows without the shares."""
        if self._store is None:
            self._store = self._shifted(self.source.load(n_threads))
        return self._store

    def _shifted(self, rows: HeldRows) -> RowStore:
        data = rows.array()
        budget = check_memory_budget(None)
        store = RowStore(len(data), data.shape[1], data.dtype, memory_budget=budget)
        per_image = ImageRows(self.beside).rows_per_image
        for number, row in enumerate(data):
            image, place = divmod(number, per_image)
            share = self.shares[image] if place == 0 else 0.0
            shifted = row - np.where(self.places, share, 0.0)  # in double, then rounded once
            store.put(number, shifted.astype(data.dtype)[None])
        return store

    def digest(self, n_threads: int) -> str:
        """Return a hash of the data without the shares."""
        if self._digest is None:
            self._digest = digest_of(self.load(n_threads).array(), n_threads)
        return self._digest

    @property
    def place_words(self) -> tuple[str, str]:
        """The words for one place and for several."""
        return self.source.place_words

    def name_places(self, columns: NDArray[np.int64]) -> str:
        """Name the first of some places."""
        return self.source.name_places(columns)


def shares_of(X: Floats, contrast: Floats, null_value: float, n_covariates: int) -> Floats:
    """Return the share of each image in a contrast that is a constant.

    Shapes: `X` (n_images, n_columns), covariates included as the last columns, `contrast`
    (n_columns,); returns (n_images,).

    Examples
    --------
    >>> shares_of(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([0.0, 2.0]), 3.0, 0)
    array([3., 6.])
    """
    n_shared = X.shape[1] - n_covariates
    own = contrast[:n_shared]
    if np.any(contrast[n_shared:]):
        raise ArgumentError.about(
            "contrast",
            f"the contrast of a covariate that differs by place is compared with {null_value:g}, "
            "which its permutation test does not do",
            "subtract the constant times the covariate from the images first, and test against 0",
        )
    shares: Floats = X[:, :n_shared] @ own * (null_value / (own @ own))
    return shares
