# SPDX-License-Identifier: BSD-3-Clause
"""The brain of all simulated studies: its shape on a grid, and the effects in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupglm.errors import ArgumentError

__all__ = [
    "CEREBELLUM",
    "FWHM_PER_SIGMA",
    "HEMISPHERES",
    "Brain",
    "SimulatedEffect",
    "make_brain",
]

FloatArray = NDArray[np.float64]

# The box of the common 3 mm standard-space grid: 61 x 73 x 61 voxels about its centre.
_CENTRE = np.array([0.0, -18.0, 18.0])  # mm
_EXTENT = np.array([183.0, 219.0, 183.0])  # mm

# Two hemispheres, the cerebellum and the brain stem: (centre, semi-axes) of ellipsoids in mm.
HEMISPHERES = (
    ((-32.0, -18.0, 16.0), (38.0, 84.0, 60.0)),
    ((32.0, -18.0, 16.0), (38.0, 84.0, 60.0)),
)
CEREBELLUM = ((0.0, -62.0, -36.0), (48.0, 36.0, 26.0))
_BRAIN_STEM = ((0.0, -30.0, -30.0), (16.0, 18.0, 40.0))

FWHM_PER_SIGMA = float(np.sqrt(8.0 * np.log(2.0)))


@dataclass(frozen=True)
class SimulatedEffect:
    """A Gaussian blob of true effect.

    Attributes
    ----------
    peak : tuple of float
        Its centre, in mm.
    height : float
        The effect there, for a change of 1 in its column of the design, in the unit of the maps.
    fwhm : float
        Its full width at half maximum, in mm.
    """

    peak: tuple[float, float, float]
    height: float
    fwhm: float


@dataclass(frozen=True, eq=False)
class Brain:
    """A grid with a brain in it.

    Attributes
    ----------
    shape : tuple of int
        Voxels along each axis.
    affine : array, shape (4, 4)
        Voxel indices to mm; diagonal except for the origin.
    mask : array of bool, shape `shape`
        The brain.
    """

    shape: tuple[int, int, int]
    affine: FloatArray
    mask: NDArray[np.bool_]

    @property
    def voxel_size(self) -> float:
        """Edge of the voxels, in mm."""
        return float(self.affine[0, 0])

    def squared_distance(
        self, centre: tuple[float, ...], axes: tuple[float, ...] | float
    ) -> FloatArray:
        """Return each voxel's squared distance from a point in mm, in units of ``axes``."""
        return _squared_distance(self.shape, self.affine, centre, np.broadcast_to(axes, 3))

    def blob(self, effect: SimulatedEffect) -> FloatArray:
        """Return the map of an effect, shape `shape`; zero outside the brain."""
        sigma = effect.fwhm / FWHM_PER_SIGMA
        distance = self.squared_distance(effect.peak, sigma)
        return np.where(self.mask, effect.height * np.exp(-0.5 * distance), 0.0)

    def blobs(self, effects: Mapping[str, SimulatedEffect]) -> dict[str, FloatArray]:
        """Return the map of each effect."""
        for name, effect in effects.items():
            self._check_peak(name, effect)
        return {name: self.blob(effect) for name, effect in effects.items()}

    def voxel(self, position: tuple[float, float, float]) -> tuple[int, int, int]:
        """Return the indices of the voxel nearest to a place in mm; it may be off the grid."""
        offset = (np.array(position) - self.affine[:3, 3]) / self.voxel_size
        i, j, k = np.rint(offset).astype(int).tolist()
        return i, j, k

    def _check_peak(self, name: str, effect: SimulatedEffect) -> None:
        voxel = np.array(self.voxel(effect.peak))
        inside = bool(np.all(voxel >= 0) and np.all(voxel < self.shape))
        if not inside or not self.mask[tuple(voxel)]:
            raise ArgumentError.about(
                "shape",
                f"shape {tuple(self.shape)} with voxels of {self.voxel_size} mm leaves out the "
                f"peak of the effect of {name} at {effect.peak} mm",
                f"leave shape out, or give a grid that covers the brain ({_EXTENT.tolist()} mm).",
            )


def make_brain(voxel_size: float, shape: tuple[int, int, int] | None = None) -> Brain:
    """Make the brain on a grid of cubic voxels; the middle voxel is at the brain's centre."""
    if shape is None:
        counts = np.maximum(1, np.rint(_EXTENT / voxel_size)).astype(int)
        shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = _CENTRE - voxel_size * (np.array(shape) // 2)
    mask = np.zeros(shape, dtype=bool)
    for centre, axes in (*HEMISPHERES, CEREBELLUM, _BRAIN_STEM):
        mask |= _squared_distance(shape, affine, centre, axes) <= 1.0
    return Brain(shape, affine, mask)


def _squared_distance(
    shape: tuple[int, ...],
    affine: FloatArray,
    centre: tuple[float, ...],
    axes: tuple[float, ...] | FloatArray,
) -> FloatArray:
    # The affine is diagonal, so the axes of the grid are those of the space.
    total: FloatArray = np.zeros(())
    for k, n in enumerate(shape):
        position = affine[k, k] * np.arange(n) + affine[k, 3]
        squared = ((position - centre[k]) / axes[k]) ** 2
        total = total + squared.reshape([n if axis == k else 1 for axis in range(3)])
    return total
