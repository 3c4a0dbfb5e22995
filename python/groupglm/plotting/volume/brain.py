# SPDX-License-Identifier: BSD-3-Clause
"""A brain of ellipsoids and waves, drawn behind maps if there is no template.

It has the size and the outer shape of a brain in MNI space (the tests compare them). Its parts help
a reader to find the way: two hemispheres, the cerebellum and the brain stem, ventricles and deep
nuclei, and a folded cortex. The folds are waves, not real sulci.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from groupglm.plotting.volume.volumes import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float32]"

__all__ = ["simulated_brain"]

_STEP = 2.0  # mm
_LOW, _HIGH = (0.0, -112.0, -74.0), (76.0, 80.0, 88.0)  # mm; the left half is its mirror image


@dataclass(frozen=True)
class _Ellipsoid:
    """Centre and semi-axes in mm, in the right half; the left half is the mirror image."""

    centre: tuple[float, float, float]
    axes: tuple[float, float, float]

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Return the approximate depth in mm, negative outside; exact along the shortest axis."""
        squares = [
            ((place - middle) / axis) ** 2
            for place, middle, axis in zip((x, y, z), self.centre, self.axes, strict=True)
        ]
        distance = squares[0] + squares[1] + squares[2]
        np.sqrt(distance, out=distance)
        return np.asarray(min(self.axes) * (1 - distance), dtype=np.float32)


_CEREBRUM = (
    _Ellipsoid((12, -23, 19), (59, 75, 59)),
    _Ellipsoid((11, 34, 6), (45, 39, 39)),  # frontal
    _Ellipsoid((18, -68, 3), (37, 37, 39)),  # occipital
    _Ellipsoid((37, -17, -15), (32, 49, 32)),  # temporal
)
_CEREBELLUM = _Ellipsoid((20, -60, -33), (35, 32, 32))
_STEM = _Ellipsoid((0, -33, -42), (13, 15, 32))
_CALLOSUM = _Ellipsoid((0, -14, 6), (90, 44, 24))  # the tissue between the hemispheres is inside
_VENTRICLE = (_Ellipsoid((10, -2, 17), (5, 27, 6)), _Ellipsoid((24, -40, 10), (6, 12, 12)))
_THIRD_VENTRICLE = _Ellipsoid((0, -14, 3), (2.5, 13, 9))
_NUCLEI = (
    _Ellipsoid((11, -18, 7), (8, 13, 8)),  # thalamus
    _Ellipsoid((26, 2, 1), (6, 17, 10)),  # putamen
    _Ellipsoid((14, 12, 10), (5, 14, 9)),  # head of the caudate
)
_FLUID, _GREY, _WHITE = 0.22, 0.66, 0.95  # shades


def simulated_brain() -> Volume:
    """Make the brain.

    Examples
    --------
    >>> brain = simulated_brain()
    >>> brain.data.shape, brain.at((0.0, 0.0, -150.0))
    ((77, 97, 82), 0.0)
    >>> brain.at((-30.0, -20.0, 30.0)) == brain.at((30.0, -20.0, 30.0)) > 0
    True
    """
    counts = [round((high - low) / _STEP) + 1 for low, high in zip(_LOW, _HIGH, strict=True)]
    lines = [low + _STEP * np.arange(count) for low, count in zip(_LOW, counts, strict=True)]
    x, y, z = np.meshgrid(*lines, indexing="ij", sparse=True)
    half = _shades(*(np.asarray(line, dtype=np.float32) for line in (x, y, z)))
    affine = np.diag([_STEP, _STEP, _STEP, 1.0])
    affine[:3, 3] = -_HIGH[0], _LOW[1], _LOW[2]
    return Volume(np.concatenate([half[:0:-1], half]), affine)


def _shades(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Return the shades of the right half, on lines that broadcast to its grid."""
    lobes = [part.depth(x, y, z) for part in _CEREBRUM]
    cerebrum = np.maximum.reduce(lobes)
    cerebellum = _CEREBELLUM.depth(x, y, z)
    stem = _STEM.depth(x, y, z)
    joined = _CALLOSUM.depth(x, y, z)
    # Near the midline, the surface of a hemisphere is the fissure between the two.
    inner: FloatArray = np.where(joined > 0, 99, x - 0.5).astype(np.float32)
    depth: FloatArray = np.minimum(cerebrum, inner)
    folds = _waves(x, y, z, 8.0)
    grey = _near(folds, 0.75) * _rise(15 - depth, 3.0)
    grey = np.maximum(grey, _rise(4.5 - depth, 1.5))
    fluid = _near(folds, 0.22) * _rise(12 - depth, 4.0)
    # The fissure between the temporal lobe and the lobes above it.
    gap = np.abs(lobes[3] - np.maximum(lobes[0], lobes[1]))
    fluid = np.maximum(fluid, _near(gap, 1.2) * _rise(14 - depth, 4.0) * (y > -35))
    fluid = np.maximum(fluid, np.float32(0.5) * _rise(1.0 - inner, 1.0))  # folds show there
    for nucleus in _NUCLEI:
        grey = np.maximum(grey, _rise(nucleus.depth(x, y, z), 0.8))
    for ventricle in (*_VENTRICLE, _THIRD_VENTRICLE):
        fluid = np.maximum(fluid, _rise(ventricle.depth(x, y, z), 0.8))
    shade = _mixed(grey, fluid)
    # The folds of the cerebellum are about horizontal; the tentorium is above them.
    leaves = np.sin(z / np.float32(1.6) + np.float32(0.06) * (y + 60) + x / np.float32(14))
    below = _mixed(_rise(14 - cerebellum, 3.0), np.float32(0.35) * _near(leaves + 1, 0.6))
    is_below = (cerebellum > 0) & (cerebellum > cerebrum - 4)
    shade = np.where(is_below, below, shade)
    border = _near(cerebellum - cerebrum + 4, 1.5) * (cerebellum > -2) * (cerebrum > -2)
    shade = shade * (1 - np.float32(0.6) * border)
    is_stem = (stem > 0) & (cerebrum < 12)
    shade = np.where(is_stem, np.float32(0.85), shade)
    inside = np.maximum.reduce([cerebrum, cerebellum, stem]) > 0
    # In a slice a fissure is a line, but the mask of a group has no gap there.
    return np.where(inside, np.maximum(shade, np.float32(0.12)), np.float32(0))


def _mixed(grey: FloatArray, fluid: FloatArray) -> FloatArray:
    """Return the shades of places with these shares (0 to 1) of grey matter and of fluid."""
    tissue = _WHITE + (_GREY - _WHITE) * grey
    return np.asarray(tissue + (_FLUID - tissue) * fluid, dtype=np.float32)


def _near(values: FloatArray, width: float) -> FloatArray:
    """Return 1 where values are zero, falling to 0 within some widths."""
    return np.asarray(np.exp(-((values / np.float32(width)) ** 2)), dtype=np.float32)


def _rise(values: FloatArray, width: float) -> FloatArray:
    """Return 0 for negative and 1 for positive values, with a ramp of some width between."""
    ramp: FloatArray = np.clip(values * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return ramp


def _waves(x: FloatArray, y: FloatArray, z: FloatArray, length: float) -> FloatArray:
    """Return a function whose zeros are winding sheets: a gyroid that is bent along each axis."""
    bend = np.float32(0.9)
    u = x / length + bend * np.sin(y / 19) + np.float32(0.4)
    v = y / length + bend * np.sin(z / 17)
    w = z / length + bend * np.sin(x / 13 + y / 31)
    waves = np.sin(u) * np.cos(v) + np.sin(v) * np.cos(w) + np.sin(w) * np.cos(u)
    return np.asarray(waves, dtype=np.float32)
