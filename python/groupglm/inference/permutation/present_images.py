# SPDX-License-Identifier: BSD-3-Clause
"""The images that a place has, where rows beside the images decide too: `ImageRows`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImageRows"]


@dataclass(frozen=True)
class ImageRows:
    """How the rows of an image follow each other: its own, and those beside it.

    Parameters
    ----------
    beside : tuple of str
        The roles of the rows beside the image, as `groupglm.models.base.Model` names them.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 0.0, 2.0, 0.0], [0.5, 0.0, np.nan, 1.0]])
    >>> ImageRows(("variance",)).present(rows)
    array([[ True, False, False,  True]])
    """

    beside: tuple[str, ...] = ()

    @property
    def rows_per_image(self) -> int:
        """Number of rows of one image."""
        return 1 + len(self.beside)

    def of(self, values: NDArray[Any], role: str) -> list[NDArray[Any]]:
        """Return the rows of a role, one array (n_images, n_places) for each time it occurs."""
        return [
            values[1 + number :: self.rows_per_image]
            for number, own in enumerate(self.beside)
            if own == role
        ]

    def own(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of the images themselves, shape (n_images, n_places)."""
        return values[:: self.rows_per_image]

    def present(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which images a place has, shape (n_images, n_places).

        A place lacks an image if one of its values is NaN, or its variance or weight is not above
        zero.
        """
        found: NDArray[np.bool_] = ~np.isnan(self.own(values))
        for number, role in enumerate(self.beside):
            rows = values[1 + number :: self.rows_per_image]
            found &= ~np.isnan(rows) if role == "covariate" else rows > 0
        return found
