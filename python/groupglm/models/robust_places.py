# SPDX-License-Identifier: BSD-3-Clause
"""What a robust fit keeps of each place beside its coefficients: `RobustPlaces`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.runtime.array_archives import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["WEIGHT_UNIT", "RobustPlaces", "load_places"]

WEIGHT_UNIT = 2.0**-32
"""Weights are summed in whole numbers of this size, so that the order does not matter."""

_FITTED, _CONVERGED, _FLOORED = 1, 2, 4
_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class RobustPlaces:
    """What is known of each place, shape (n_places,) each.

    Parameters
    ----------
    mean : array
        Mean of the images that have the place.
    scale : array
        The scale by which residuals are divided; NaN where nothing is fitted.
    mean_weight : array
        Mean of the weights of the images that have the place; NaN where nothing is fitted.
    iterations : array of int
        Number of weighted fits.
    status : array of uint8
        Bits: fitted, converged, scale at its least value.
    """

    mean: Floats
    scale: Floats
    mean_weight: Floats
    iterations: NDArray[np.int16]
    status: NDArray[np.uint8]

    BYTES: ClassVar[int] = 27
    TYPES: ClassVar[dict[str, str]] = {
        "mean": "float64",
        "scale": "float64",
        "mean_weight": "float64",
        "iterations": "int16",
        "status": "uint8",
    }

    @classmethod
    def empty(cls, mean: Floats) -> RobustPlaces:
        """Return the places with these means, of which nothing else is known yet."""
        n = len(mean)
        return cls(mean, np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, dtype=np.int16),
                   np.zeros(n, dtype=np.uint8))  # fmt: skip

    @property
    def n_places(self) -> int:
        """Number of places."""
        return len(self.mean)

    @property
    def is_fitted(self) -> NDArray[np.bool_]:
        """Where the images leave a degree of freedom."""
        return np.bitwise_and(self.status, _FITTED).astype(np.bool_)

    @property
    def is_converged(self) -> NDArray[np.bool_]:
        """Where the coefficients no longer changed."""
        return np.bitwise_and(self.status, _CONVERGED).astype(np.bool_)

    @property
    def is_floored(self) -> NDArray[np.bool_]:
        """Where the scale of the residuals is below the least value that it may have."""
        return np.bitwise_and(self.status, _FLOORED).astype(np.bool_)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def select(self, places: NDArray[np.int64]) -> RobustPlaces:
        """Return what is known of some of the places."""
        return RobustPlaces(**{name: own[places] for name, own in self.arrays().items()})


def load_places(
    arrays: Mapping[str, NDArray[Any]], n_images: int, n_values: int
) -> tuple[RobustPlaces, NDArray[np.int64]]:
    """Return what a file holds of each place and of each image; ValueError if no fit has it."""
    found = {name: arrays[name] for name in RobustPlaces.TYPES}
    for name, kind in RobustPlaces.TYPES.items():
        check_type(name, found[name], kind, 1)
        if found[name].shape != (n_values,):
            raise ValueError(f"{name} has the shape {found[name].shape}, not {(n_values,)}")
    places = RobustPlaces(**found)
    totals = arrays["weight_totals"]
    check_type("weight_totals", totals, "int64", 2)
    if totals.shape != (3, n_images):
        raise ValueError(f"weight_totals has the shape {totals.shape}, not {(3, n_images)}")
    if (places.status > _FITTED + _CONVERGED + _FLOORED).any():
        raise ValueError("status has values that no place can have")
    if ((places.iterations < 0) | (places.iterations > _ITERATIONS)).any():
        raise ValueError(f"iterations are not from 0 to {_ITERATIONS}")
    if (places.scale <= 0).any() or (places.mean_weight < 0).any() or (totals < 0).any():
        raise ValueError("a scale or a weight is negative")
    if (totals[1:] > totals[2]).any() or (totals[0] * WEIGHT_UNIT > 1.01 * totals[2]).any():
        raise ValueError("weight_totals do not fit the number of places of an image")
    return places, totals
