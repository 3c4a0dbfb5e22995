# SPDX-License-Identifier: BSD-3-Clause
"""Resampling by its definition: slow, obvious, and without a recursive filter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


def resample(
    volume: _Floats, voxel_map: _Floats, shape: tuple[int, int, int], kind: str, fill: float = 0.0
) -> _Floats:
    """Return the values at ``voxel_map @ (i, j, k, 1)`` of every voxel of `shape`."""
    holes = ~np.isfinite(volume)
    filled = volume if kind == "nearest" else fill_holes(volume)
    table = coefficients(filled) if kind == "continuous" else filled
    out = np.full(shape, fill)
    for voxel in itertools.product(*map(range, shape)):
        point = voxel_map @ np.array([*voxel, 1.0])
        if (point < 0).any() or (point > np.array(volume.shape) - 1).any():
            continue
        nearest = tuple(int(np.floor(c + 0.5)) for c in point)
        if kind == "nearest" or holes[nearest]:
            out[voxel] = volume[nearest]
        else:
            out[voxel] = _value(table, point, _cubic if kind == "continuous" else _hat)
    return out


def coefficients(volume: _Floats) -> _Floats:
    """Solve for the B-spline coefficients whose mirrored spline goes through all voxels."""
    out: NDArray[Any] = volume
    for axis, n in enumerate(volume.shape):
        spline = np.zeros((n, n))
        for i in range(n):
            for k in (-1, 0, 1):
                spline[i, _mirror(i + k, n)] += _cubic(k)
        out = np.moveaxis(np.linalg.solve(spline, np.moveaxis(out, axis, 1)), 1, axis)
    return out


def fill_holes(volume: _Floats) -> _Floats:
    """Give holes the mean of their known neighbours, twice; then zero."""
    out = np.where(np.isfinite(volume), volume, np.nan)
    for _ in range(2):
        padded = np.pad(out, 1, constant_values=np.nan)
        for hole in np.argwhere(np.isnan(out)):
            steps = [s * np.eye(3, dtype=int)[axis] for axis in range(3) for s in (-1, 1)]
            near = np.array([padded[tuple(hole + 1 + step)] for step in steps])
            if np.isfinite(near).any():
                out[tuple(hole)] = near[np.isfinite(near)].mean()
    return np.nan_to_num(out)


def _value(table: _Floats, point: _Floats, basis: object) -> float:
    weights = []
    for n, c in zip(table.shape, point, strict=True):
        along = np.zeros(n)
        for k in range(int(np.floor(c)) - 1, int(np.floor(c)) + 3):
            along[_mirror(k, n)] += basis(c - k)  # type: ignore[operator]
        weights.append(along)
    return float(np.einsum("ijk,i,j,k->", table, *weights))


def _mirror(voxel: int, n: int) -> int:
    while not 0 <= voxel < n:
        if n == 1:
            return 0
        voxel = -voxel if voxel < 0 else 2 * (n - 1) - voxel
    return voxel


def _cubic(x: float) -> float:
    """Value of the cubic B-spline."""
    x = abs(x)
    if x < 1:
        return 2 / 3 - x**2 + x**3 / 2
    return (2 - x) ** 3 / 6 if x < 2 else 0.0


def _hat(x: float) -> float:
    return max(0.0, 1 - abs(x))
