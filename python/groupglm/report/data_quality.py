# SPDX-License-Identifier: BSD-3-Clause
"""Each image compared with the others, and all images at a few voxels, in one reading."""

from __future__ import annotations

import hashlib
import math
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.group.image_names import files_of, name_of_files
from groupglm.models.image_weights import image_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.base import Fit

__all__ = ["DataQuality", "ImageQuality", "leverage", "look_at_images"]

OUTLYING = 3.5
"""Robust z score beyond which an image is flagged (Iglewicz and Hoaglin, How to Detect and Handle
Outliers, 1993)."""

_MAD_TO_SD = 0.6745  # of a normal distribution

# The least spread of a measure over images. Means over a hundred thousand voxels hardly differ by
# chance, so without it the smallest difference would be flagged. With it, an image is flagged from
# a tenth on: of a standard deviation for the mean, of their size for standard deviation and
# distance, and 0.1 in Fisher's z.
_LEAST_SPREAD = 0.02
_ORDINARY = 380  # binary exponents of values whose squares double can hold


@dataclass(frozen=True)
class ImageQuality:
    """One image compared with the others.

    Parameters
    ----------
    name : str
        The file's name, or the image's place in the input; of files of two hemispheres one name.
    mean, sd : float
        Mean and standard deviation over the mask's voxels where the image has a value.
    n_missing : int
        Number of the mask's voxels where it has none.
    correlation : float
        Correlation with the mean of the other images, over those voxels.
    distance : float
        Root mean square of its standardised residuals: 1 is expected.
    leverage : float
        The weight of its own value in its fitted value, 0 to 1.
    hashes : tuple of (str, str)
        Name and SHA-256 of each file, or of the values in the mask for an image in memory.
    is_file : bool
        Whether the hashes are those of files.
    flags : tuple of str
        Reasons why it is an outlier; empty if it is not.
    """

    name: str
    mean: float
    sd: float
    n_missing: int
    correlation: float
    distance: float
    leverage: float
    hashes: tuple[tuple[str, str], ...]
    is_file: bool
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DataQuality:
    """All images compared with the others, and their values at some voxels.

    Parameters
    ----------
    images : tuple of ImageQuality
        In the order of the design's rows.
    at_places : array, shape (n_images, k)
        The values at these voxels; NaN where missing. None if the images could not be read: only
        names and leverages are then known.
    beside : array, shape (n_roles, n_images, k), optional
        What the model takes with the images, at these voxels.
    """

    images: tuple[ImageQuality, ...]
    at_places: NDArray[np.float64] | None
    beside: NDArray[np.float64] | None = None


def look_at_images(group: FittedGroup, voxels: NDArray[np.intp]) -> DataQuality:
    """Compare each image with the others and with the fit; images that were not kept are read.

    What the model takes with an image is read with it. The memory is that of two batches of rows
    and the fit's coefficients.

    Shapes: `voxels` (k,).
    """
    result, images = group.result, group.images
    if not group.has_images:
        return _without_images(group)
    fit = _Fit(result)
    hat = leverage(result.X)
    at_places = np.full((len(images), len(voxels)), np.nan)
    beside = np.full((len(result.model.beside), *at_places.shape), np.nan)
    found: list[ImageQuality] = []
    files = [files_of(source) for source in images]
    digests = _file_hashes([name for own in files for name in own], result.n_threads)
    # Closed explicitly: after an error, its traceback would keep the reading threads alive.
    with closing(group.rows_of_images()) as all_rows:
        for place, rows in all_rows:
            row, name = rows[0], name_of_files(files[place])
            at_places[place], beside[:, place] = row[voxels], rows[1:, voxels]
            hashes = [(own, digests[own]) for own in files[place]]
            known = tuple((own, digest) for own, digest in hashes if digest is not None)
            is_file = len(known) == len(hashes)
            if not is_file:
                known = ((name, hashlib.sha256(row.tobytes()).hexdigest()),)
            numbers = fit.compare(rows, result.X[place], hat[place])
            found.append(
                ImageQuality(
                    name,
                    *numbers,
                    leverage=float(hat[place]),
                    hashes=known,
                    is_file=is_file,
                )
            )
    return DataQuality(_flagged(found), at_places, beside)


def _without_images(group: FittedGroup) -> DataQuality:
    """Return the facts about images that cannot be read: names and leverages."""
    images = [
        ImageQuality(
            name_of_files(files_of(source)),
            mean=math.nan,
            sd=math.nan,
            n_missing=0,
            correlation=math.nan,
            distance=math.nan,
            leverage=float(own),
            hashes=(),
            is_file=False,
        )
        for source, own in zip(group.images, leverage(group.result.X), strict=True)
    ]
    return DataQuality(tuple(images), None)


class _Fit:
    """The reference for each image."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._beta = fit.beta
        sd = fit.residual_sd
        self._sd = np.where(np.isfinite(sd), sd, 0.0)
        n_observations: Any = fit.n_observations
        self._sum = fit.mean * n_observations
        self._n_others = np.maximum(np.asarray(n_observations, dtype=np.float64) - 1, 1)

    def compare(
        self, rows: NDArray[Any], x: NDArray[np.float64], hat: float
    ) -> tuple[float, float, int, float, float]:
        """Return mean, sd, missing count, correlation with the others and distance of an image.

        Shapes: `rows` (1 + k, n_values), with what the model takes with the image.
        """
        values, beside = rows[0].astype(np.float64), rows[1:].astype(np.float64)
        present = np.isfinite(values)
        others = (self._sum - values) / self._n_others
        residual = values - self._fitted(x, beside)
        sd = self._sd
        if len(beside):
            weights = image_weights(self._fit, values[np.newaxis], *beside[:, np.newaxis])[0]
            present = weights > 0
            sd = self._sd_of(weights)
        if not present.all():
            values, others, residual = values[present], others[present], residual[present]
            sd = sd[present]
        usable = sd > 0
        count = int(np.count_nonzero(usable))
        squares = float(np.nansum((residual[usable] / sd[usable]) ** 2))
        expected = count * max(1 - hat, np.finfo(np.float64).eps)
        distance = float(np.sqrt(squares / expected)) if count and hat < 1 - 1e-9 else np.nan
        n_missing = int(np.count_nonzero(~present))
        unit = _unit_of(values)
        return (
            float(values.mean()),
            unit * float((values / unit).std()),
            n_missing,
            _correlation(values / unit, others / unit),
            distance,
        )

    def _fitted(self, x: NDArray[np.float64], beside: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model fits to an image; covariates have their values of each place."""
        n_covariates = self._fit.model.beside.count("covariate")
        if not n_covariates:
            return np.asarray(x @ self._beta)
        common = np.asarray(x[:-n_covariates] @ self._beta[:-n_covariates])
        own = (beside[-n_covariates:] * self._beta[-n_covariates:]).sum(axis=0)
        return np.asarray(common + own)

    def _sd_of(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of an image about the fit, at each place."""
        with np.errstate(divide="ignore"):
            own = 1.0 / np.sqrt(weights)  # the root of its variance and of tau2 together
        return own if "variance" in self._fit.model.beside else self._sd * own


def _unit_of(values: NDArray[np.float64]) -> float:
    """Return a power of two near the values if their squares leave double's range, else one."""
    largest = float(np.abs(values).max(initial=0.0))
    _, exponent = math.frexp(largest)
    return 1.0 if largest == 0.0 or abs(exponent) < _ORDINARY else math.ldexp(1.0, exponent - 1)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Pearson's correlation; NaN if one of the two does not vary."""
    one, two = first - first.mean(), second - second.mean()
    size = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / size if size > 0 else np.nan


def leverage(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the diagonal of the hat matrix of a design.

    Shapes: `X` (n_images, n_columns); returns (n_images,).

    Examples
    --------
    >>> leverage(np.array([[1.0, 0], [1, 1], [1, 2]])).round(4).tolist()
    [0.8333, 0.3333, 0.8333]
    """
    basis = _core.Design(np.ascontiguousarray(X, dtype=np.float64)).basis()
    diagonal: NDArray[np.float64] = (basis**2).sum(axis=1)
    return np.clip(diagonal, 0.0, 1.0)


def _flagged(images: Sequence[ImageQuality]) -> tuple[ImageQuality, ...]:
    """Flag images far from the others, by the median and the median absolute deviation."""
    from dataclasses import replace

    with np.errstate(divide="ignore", invalid="ignore"):
        typical_sd = np.median([image.sd for image in images])
        scores = {
            "mean": _robust_z([image.mean / typical_sd for image in images]),
            "sd": _robust_z(np.log([image.sd for image in images])),
            "correlation": _robust_z(np.arctanh([image.correlation for image in images])),
            "distance": _robust_z(np.log([image.distance for image in images])),
        }
    # Only a low correlation and a large distance need a look.
    scores["correlation"] = np.minimum(scores["correlation"], 0)
    scores["distance"] = np.maximum(scores["distance"], 0)
    return tuple(
        replace(
            image,
            flags=tuple(name for name, score in scores.items() if abs(score[place]) > OUTLYING),
        )
        for place, image in enumerate(images)
    )


def _robust_z(values: Any) -> NDArray[np.float64]:
    """Return modified z scores; zero where a value or the spread is undefined."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    scores = np.zeros(len(numbers))
    if np.count_nonzero(finite) < 4:
        return scores
    centred = numbers[finite] - np.median(numbers[finite])
    spread = max(float(np.median(np.abs(centred))), _LEAST_SPREAD)
    scores[finite] = _MAD_TO_SD * centred / spread
    return scores


def _file_hashes(names: Sequence[str], n_threads: int) -> dict[str, str | None]:
    """Return the SHA-256 of each file, None for a name without a file; a file is read once."""
    files = {name: _file_of(name) for name in names}
    distinct = sorted({path for path in files.values() if path is not None})
    with ThreadPoolExecutor(max(n_threads, 1)) as pool:
        digests = dict(zip(distinct, pool.map(_sha256, distinct), strict=True))
    return {name: None if path is None else digests[path] for name, path in files.items()}


def _file_of(name: str) -> Path | None:
    for candidate in (name, re.sub(r", volume \d+$", "", name)):
        try:
            if Path(candidate).is_file():
                return Path(candidate)
        except (OSError, ValueError):  # no file can have this name
            continue
    return None


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
