# SPDX-License-Identifier: BSD-3-Clause
"""The arrays of `permuted_ols`, checked, and the design of each tested variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm.errors import ArgumentError, warn_caller
from groupglm.inference.permutation.missing_values import lacking_voxels, refuse_missing
from groupglm.inference.permutation.resuming import digest_of
from groupglm.messages import argument
from groupglm.models.array_rows import ArrayRows
from groupglm.runtime.arguments import real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import Missing

    Floats = NDArray[np.float64]
    Data = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["ArraySource", "columns_of", "data_of", "design_of", "treat_missing", "warn_of_zeros"]


@dataclass(eq=False)
class ArraySource:
    """Data in memory."""

    place_words: ClassVar[tuple[str, str]] = ("voxel", "voxels")  # as in the documentation

    data: Data
    _digest: str | None = None

    def load(self, n_threads: int) -> ArrayRows:
        """Return the data as rows."""
        del n_threads
        return ArrayRows(self.data)

    def digest(self, n_threads: int) -> str:
        """Return a hash of the data."""
        if self._digest is None:
            self._digest = digest_of(self.data, n_threads)
        return self._digest

    def name_places(self, columns: NDArray[np.int64]) -> str:
        """Name the first columns."""
        listed = ", ".join(map(str, columns[:5].tolist()))
        return f"columns {listed}{', ...' if len(columns) > 5 else ''}"


def columns_of(values: Any, name: str, n: int | None) -> Floats:
    """Return variables as columns, shape (n_images, n_columns), of finite numbers."""
    if values is None:
        return np.empty((n or 0, 0))
    raw = real_array(name, values)
    columns = raw.astype(np.float64)[:, None] if raw.ndim == 1 else raw.astype(np.float64)
    if columns.ndim != 2 or 0 in columns.shape or n not in (None, len(columns)):
        raise ArgumentError(
            name,
            f"shape {raw.shape}",
            f"({n or 'n_images'}, n_columns), one row for each image",
            verb="has",
        )
    bad = np.argwhere(~np.isfinite(columns))
    if len(bad):
        row, column = bad[0].tolist()
        raise ArgumentError(
            name,
            f"{columns[row, column]} for image {row + 1}, in column {column + 1}",
            "finite: leave the image out, or fill the value in",
            verb="holds",
        )
    return columns


def data_of(target_vars: Any, n: int) -> Data:
    """Return the data, shape (n_images, n_voxels), of float32 or float64."""
    data = real_array("target_vars", target_vars, missing=True)
    if data.ndim != 2 or len(data) != n or data.shape[1] == 0:
        raise ArgumentError(
            "target_vars",
            f"shape {data.shape}",
            f"({n}, n_voxels), one row for each row of tested_vars",
            "'target_vars' should be a 2D array, also of one voxel" if data.ndim != 2 else "",
            verb="has",
        )
    if data.dtype not in (np.float32, np.float64):
        return data.astype(np.float64)
    return data


def warn_of_zeros(data: Data) -> None:
    """Warn of voxels that are zero in all images."""
    n_zero = data.shape[1] - int(np.count_nonzero(data.any(axis=0)))
    if n_zero:
        warn_caller(
            f"target_vars: {n_zero} of {data.shape[1]} voxels have zeros across all samples: there "
            "is nothing to test, and their statistic is zero; leave them out of the mask"
        )


def treat_missing(data: Data, missing: Missing) -> Data:
    """Return the data with their missing values treated as `missing` says."""
    if missing == "omit":
        return data
    lacking = lacking_voxels(ArrayRows(data))
    if not len(lacking):
        return data
    if missing == "raise":
        refuse_missing(ArraySource(data), lacking, data.shape[1])
    data = data.copy()
    if missing == "zero":
        np.nan_to_num(data, copy=False, posinf=np.inf, neginf=-np.inf)
    elif len(lacking) == data.shape[1]:
        raise ArgumentError.about(
            "missing",
            argument("missing", "intersect") + " leaves no voxel: none has a value in every image",
        )
    else:
        data[:, lacking] = 0  # a voxel that does not vary has no statistic
    return data


def design_of(column: Floats, confounds: Floats, model_intercept: bool) -> Floats:
    """Return the design of a tested variable: its column, the confounds, and an intercept."""
    constant = np.ptp(confounds, axis=0) == 0 if confounds.size else np.zeros(0, dtype=bool)
    is_intercept = np.ptp(column) == 0
    n_constant = np.count_nonzero(constant) + is_intercept
    if n_constant > 1:
        warn_caller(
            "Multiple columns across confounding_vars and tested_vars are constant: "
            f"{n_constant} columns, of which the first serves as the intercept, and the others are "
            "left out"
        )
        first = np.flatnonzero(constant)[0]
        kept = ~constant
        kept[first] = not is_intercept
        confounds = confounds[:, kept]
    columns = [column[:, None], confounds]
    if model_intercept and not is_intercept and not constant.any():
        columns.append(np.ones((len(column), 1)))
    return np.ascontiguousarray(np.concatenate(columns, axis=1))
