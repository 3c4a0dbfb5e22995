# SPDX-License-Identifier: BSD-3-Clause
"""The weight of each image at each place, from a fit and the values of the images there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.models.fit_maps import maps_by_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.models.base import Fit

__all__ = ["image_weights", "why_absent"]


def image_weights(
    fit: Fit, y: NDArray[np.float64], *beside: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Return the weights that a fit gives its images; zero where an image does not count.

    The weight is :math:`1 / (v + \tau^2)` of a model with variances, the user's weight in least
    squares with weights, and one in least squares without.

    Parameters
    ----------
    fit : Fit
        The fit at these places.
    y : array, shape (n_images, n_values)
        The values of the images.
    *beside : arrays, shape (n_images, n_values)
        The rows beside them, in the order of ``fit.model.beside``.
    """
    roles = fit.model.beside
    counts = np.isfinite(y)
    for rows in beside:
        counts &= np.isfinite(rows)
    own = dict(
        zip(roles, beside, strict=True)
    )  # of several covariates the last, which is no weight
    if "variance" in own:
        counts &= own["variance"] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = 1.0 / (own["variance"] + _tau2_of_images(fit))
    elif "weight" in own:
        weights = own["weight"]
        counts &= weights > 0
    else:
        weights = np.ones_like(y)
    return np.where(counts, weights, 0.0)


def _tau2_of_images(fit: Fit) -> NDArray[np.float64]:
    """Return the variance of each image beside its own, or a shape that spreads to it."""
    maps = maps_by_group(fit, "tau2")
    if not maps:
        return np.zeros(1)
    rows = {name: compute() for name, compute in maps.items()}
    if "" in rows:
        return rows[""]
    tau2 = np.zeros((len(fit.X), len(next(iter(rows.values())))))
    for group in getattr(fit, "groups", ()):
        tau2[group.rows] = rows[group.name]
    return tau2


def why_absent(y: NDArray[np.float64], v: NDArray[np.float64]) -> tuple[str, ...]:
    """Return, for each image of one place, why it does not count there; empty if it does.

    Shapes: both (n_images,).
    """
    reasons = np.select(
        [np.isnan(y), (y == 0) & (v == 0), np.isnan(v), v == 0],
        ["no value", "outside: effect and variance are 0", "no variance", "variance of 0"],
        "",
    )
    return tuple(reasons.tolist())
