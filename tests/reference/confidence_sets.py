# SPDX-License-Identifier: BSD-3-Clause
"""Confidence sets, slowly; and their coverage in simulations: run as a program.

    python tests/reference/confidence_sets.py --sets 500 --units effect

Each simulation has images of a known effect and smooth noise. It counts how often the upper set
lies within the true one, which lies within the lower set: at all voxels, and at the points of the
true boundary between them, to which all maps are interpolated (Bowring et al. 2019).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import nibabel
import numpy as np
import pandas as pd
from scipy import ndimage, special

from groupglm import SecondLevelModel

nib: Any = nibabel  # typed only in part
ALPHA = 0.05
Units = Literal["effect", "cohen_d"]


def slow_sets(
    data: np.ndarray[Any, Any],
    X: np.ndarray[Any, Any],
    contrast: np.ndarray[Any, Any],
    edges: Sequence[Any],
    signs: np.ndarray[Any, Any],
    level: float,
    units: Units,
    alpha: float = ALPHA,
) -> tuple[float, dict[str, np.ndarray[Any, Any]]]:
    """Return the critical value and the sets, one place, point and bootstrap after the other.

    Shapes: `data` (n_images, n_places), NaN is missing; `signs` (n_bootstraps, n_images).
    """
    n_places = data.shape[1]
    excess, error = np.full((2, n_places), np.nan)
    residuals = np.full(data.shape, np.nan)
    for place in range(n_places):
        own = ~np.isnan(data[:, place])
        y, x = data[own, place], X[own]
        n, df = len(y), len(y) - np.linalg.matrix_rank(x)
        inverse = np.linalg.pinv(x.T @ x)
        beta = inverse @ x.T @ y
        left = y - x @ beta
        sd = math.sqrt(left @ left / df)
        effect, v = contrast @ beta, contrast @ inverse @ contrast
        e = left / sd
        if units == "effect":
            excess[place], error[place], own_residuals = effect - level, sd * math.sqrt(v), e
        else:
            d = effect / sd
            j = math.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2))
            j /= math.sqrt(df / 2)
            own_residuals = math.sqrt(n * v) * e - d / 2 * (e**2 - 1)
            spread = np.sum((own_residuals - own_residuals.mean()) ** 2) / df
            excess[place], error[place] = j * d - level, j * math.sqrt(spread / n)
        residuals[own, place] = own_residuals / math.sqrt(np.mean(own_residuals**2))
    points = []
    for one, other in edges:
        if (excess[one] >= 0) != (excess[other] >= 0):
            share = excess[one] / (excess[one] - excess[other])
            points.append((1 - share) * residuals[:, one] + share * residuals[:, other])
    maxima = []
    for flips in signs:
        largest = 0.0
        for point in points:
            flipped = (flips * point)[~np.isnan(point)]
            largest = max(largest, abs(flipped.mean()) / flipped.std(ddof=1) * len(flipped) ** 0.5)
        maxima.append(largest)
    k = float(np.quantile(maxima, 1 - alpha, method="inverted_cdf"))
    sets = {
        "upper": excess >= k * error,
        "estimate": excess >= 0,
        "lower": excess >= -k * error,
    }
    return k, sets


def ramp(side: int, high: float) -> np.ndarray[Any, Any]:
    """Return an effect that grows from the left to the right, shape (side, side)."""
    return np.linspace(0, high, side)[:, np.newaxis] * np.ones(side)


def disc(side: int, high: float) -> np.ndarray[Any, Any]:
    """Return a smooth disc in the middle, shape (side, side)."""
    x = np.arange(side) - (side - 1) / 2
    inside = np.hypot(x[:, np.newaxis], x) < 0.3 * side
    smooth: np.ndarray[Any, Any] = ndimage.gaussian_filter(high * inside, 3.0)
    return smooth


def noise(rng: np.random.Generator, n_images: int, side: int, fwhm: float) -> np.ndarray[Any, Any]:
    """Return smooth noise with a variance of one, shape (n_images, side, side)."""
    pad, sigma = math.ceil(1.5 * fwhm), fwhm / math.sqrt(8 * math.log(2))
    wide = rng.standard_normal((n_images, side + 2 * pad, side + 2 * pad))
    smooth = ndimage.gaussian_filter(wide, (0, sigma, sigma))[:, pad:-pad, pad:-pad]
    impulse = np.zeros((8 * pad + 1,) * 2)
    impulse[4 * pad, 4 * pad] = 1.0
    kernel = ndimage.gaussian_filter(impulse, sigma)
    found: np.ndarray[Any, Any] = smooth / math.sqrt(float(np.sum(kernel**2)))
    return found


def covers(
    truth: np.ndarray[Any, Any], estimate: np.ndarray[Any, Any], error: np.ndarray[Any, Any],
    level: float, k: float,
) -> bool:  # fmt: skip
    """Return whether sets contain each other as they should, at voxels and on the true boundary."""
    excess, inside = estimate - level, truth >= level
    if (excess >= k * error)[~inside].any() or (excess < -k * error)[inside].any():
        return False
    for axis in (0, 1):
        one, other = (np.moveaxis(truth, axis, 0)[part] for part in (slice(-1), slice(1, None)))
        passes = (one >= level) != (other >= level)
        share = ((level - one) / np.where(passes, other - one, 1.0))[passes]
        upper, lower = (
            (1 - share) * np.moveaxis(low, axis, 0)[:-1][passes]
            + share * np.moveaxis(low, axis, 0)[1:][passes]
            for low in (excess - k * error, excess + k * error)
        )
        if (upper > 0).any() or (lower < 0).any():
            return False
    return True


def coverage(
    n_sets: int, units: Units, signal: str = "disc", *,
    n_images: int = 60, side: int = 40, fwhm: float = 5.0, n_bootstraps: int = 1000,
    groups: bool = False, seed: int = 0,
) -> float:  # fmt: skip
    """Return the share of simulations whose sets cover the truth.

    The level lies in the middle of the effect, whose noise has a variance of one. With groups the
    contrast is the difference of two.
    """
    high = 2.0 if units == "effect" else 1.2
    truth = disc(side, high) if signal == "disc" else ramp(side, high)
    level, covered = high / 2, 0
    design = pd.DataFrame({"intercept": np.ones(n_images)})
    if groups:
        design["group"] = np.arange(n_images) % 2
    column = design.columns[-1]
    mask = nib.Nifti1Image(np.ones((side, side, 1), np.uint8), np.eye(4))
    rng = np.random.default_rng(seed)
    for number in range(n_sets):
        maps = truth * design[column].to_numpy()[:, None, None] + noise(rng, n_images, side, fwhm)
        images = [nib.Nifti1Image(one[..., np.newaxis], np.eye(4)) for one in maps]
        model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
        sets = model.compute_confidence_sets(
            column, level=level, units=units, n_bootstraps=n_bootstraps, random_state=number
        )
        estimate, error = estimate_and_error(maps, design.to_numpy(), units)
        covered += covers(truth, estimate, error, level, sets.critical_value)
    return covered / n_sets


def estimate_and_error(
    maps: np.ndarray[Any, Any], X: np.ndarray[Any, Any], units: Units
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the estimate of the last column, and its standard error, for all places at once."""
    n, rank = X.shape
    inverse = np.linalg.inv(X.T @ X)
    beta = np.tensordot(inverse @ X.T, maps, 1)
    left = maps - np.tensordot(X, beta, 1)
    sd = np.sqrt(np.sum(left**2, axis=0) / (n - rank))
    v = inverse[-1, -1]
    if units == "effect":
        return beta[-1], sd * math.sqrt(v)
    df = n - rank
    j = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    d, e = beta[-1] / sd, left / sd
    own = math.sqrt(n * v) * e - d / 2 * (e**2 - 1)
    return j * d, j * np.sqrt(np.var(own, axis=0) / df)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--units", choices=["effect", "cohen_d"], default="effect")
    parser.add_argument("--signal", choices=["disc", "ramp"], default="disc")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--groups", action="store_true")
    given = parser.parse_args()
    start = time.perf_counter()
    found = coverage(
        given.sets, given.units, given.signal, n_images=given.images, groups=given.groups
    )
    error = math.sqrt(ALPHA * (1 - ALPHA) / given.sets)
    print(
        f"{given.units}, {given.signal}, {given.images} images, groups {given.groups}, "
        f"{given.sets} simulations: coverage {found:.3f}; wanted {1 - ALPHA} +- {2 * error:.3f} "
        f"({time.perf_counter() - start:.0f} s)"
    )


if __name__ == "__main__":
    main()
