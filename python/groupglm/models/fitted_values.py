# SPDX-License-Identifier: BSD-3-Clause
"""What a design and coefficients give, whatever estimated them: `FittedValues`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groupglm import _core
from groupglm.models.arguments import check_data, check_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Values

    Floats = NDArray[np.float64]

__all__ = ["FittedValues"]


class FittedValues:
    """Fitted values and residuals of a fit whose columns are the same at all voxels."""

    # Of the class that inherits from this one.
    X: Floats
    column_names: tuple[str, ...]
    n_threads: int

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (n_columns, n_voxels)."""
        raise NotImplementedError

    def predicted(self, X: ArrayLike | None = None) -> Floats:
        """Compute the fitted values X beta, without the levels of subjects if the model has such.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), optional
            Rows of a design, by default those that were fitted.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Fitted values.
        """
        return _core.predict(self._rows(X), self.beta, self.n_threads)

    def residuals(self, X: ArrayLike | None, Y: Values) -> Values:
        """Compute the residuals Y - X beta. The fit does not keep the data: give them again.

        Parameters
        ----------
        X : array_like, shape (n_rows, n_columns), or None
            The rows' design; None for the design that was fitted.
        Y : array of float32 or float64, shape (n_rows, n_voxels)
            The data.

        Returns
        -------
        array, shape (n_rows, n_voxels)
            Of Y's type; NaN where Y is NaN.
        """
        rows, beta = self._rows(X), self.beta
        data = check_data(Y, len(rows), beta.shape[1])
        return _core.residuals(rows, beta, data, self.n_threads)

    def _rows(self, X: ArrayLike | None) -> Floats:
        return self.X if X is None else check_rows(X, self.column_names)
