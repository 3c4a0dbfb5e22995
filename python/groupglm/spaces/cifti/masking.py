# SPDX-License-Identifier: BSD-3-Clause
"""The mask, the meshes and the preparation of grayordinates: `CiftiMasking`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.messages import argument
from groupglm.spaces.cifti.axes import BrainAxis
from groupglm.spaces.cifti.cortex import cortex_meshes
from groupglm.spaces.cifti.kept import read_once
from groupglm.spaces.cifti.masks import mask_values
from groupglm.spaces.cifti.opening import GRAYORDINATES
from groupglm.spaces.cifti.space import CiftiSpace
from groupglm.spaces.geometry import NO_GEOMETRY, Geometry
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.preparation import Preparation as SurfacePreparation
from groupglm.spaces.surface.smoothing import check_fwhm
from groupglm.spaces.volume.preparation import Preparation
from groupglm.spaces.volume.smoothing import plain_fwhm, sigma_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.spaces.base import Source
    from groupglm.spaces.cifti.source import CiftiSource

__all__ = ["CiftiMasking", "refuse_targets", "with_meshes"]


def refuse_targets(target_affine: Any, target_shape: Any) -> None:
    """Refuse a grid to which volumes would be resampled."""
    for name, value in (("target_affine", target_affine), ("target_shape", target_shape)):
        if value is not None:
            raise ArgumentError.about(
                name,
                "images of CIFTI are not resampled, and " + argument(name) + " is of volumes",
                "leave it out; wb_command -cifti-resample brings images to other axes",
            )


@dataclass(frozen=True, eq=False)
class CiftiMasking:
    """The mask and the meshes that a model asks for.

    Parameters
    ----------
    mask : image, path or None
        The mask; None if it has to be found.
    smoothing_fwhm : float, optional
        Full width at half maximum, in mm.
    zero_is_missing : bool, default=False
        Whether exact zeros of an image are missing values.
    geometry : Geometry
        The surfaces that the user gave, for the cortex.
    """

    mask: Any = None
    smoothing_fwhm: Any = None
    zero_is_missing: bool = False
    geometry: Geometry = NO_GEOMETRY

    resamples = False

    @classmethod
    def resolve(
        cls,
        mask_img: Any,
        target_affine: Any,
        target_shape: Any,
        smoothing_fwhm: Any,
        *,
        zero_is_missing: bool,
        geometry: Geometry,
    ) -> CiftiMasking:
        """Check the options of the estimator."""
        refuse_targets(target_affine, target_shape)
        if mask_img is not None and not GRAYORDINATES.holds(mask_img):
            raise ArgumentTypeError(
                "mask_img",
                f"a {type(mask_img).__name__}" if not isinstance(mask_img, str) else repr(mask_img),
                "an image of grayordinates (.dscalar.nii), as the data are, or None",
            )
        return cls(mask_img, smoothing_fwhm, zero_is_missing, geometry)

    @property
    def smooths(self) -> bool:
        """Whether images are smoothed."""
        return bool(np.any(self.smoothing_fwhm))

    def everywhere(
        self,
        sources: Sequence[CiftiSource],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> CiftiSpace:
        """Return the space of all places of the first image."""
        del clip
        axis: Any = sources[0].axis
        space = with_meshes(axis, self.geometry)
        if not (self.smooths or self.zero_is_missing):
            return space
        members = {
            name: self._prepared(own, fill, n_threads) for name, own in space.members.items()
        }
        return replace(space, members=members)

    def _prepared(self, member: Any, fill: float | None, n_threads: int) -> Any:
        """Return a member that prepares its values."""
        if isinstance(member, HemisphereSpace):
            width = check_fwhm(self.smoothing_fwhm)
            done = SurfacePreparation(self.zero_is_missing, fill if width else None, width)
            prepared = replace(member, preparation=done)
            prepared.check_smoothing()
            return prepared
        sigma_voxels(member.grid, self.smoothing_fwhm, name="smoothing_fwhm")  # refuses wrong ones
        fwhm = plain_fwhm(self.smoothing_fwhm)
        own = Preparation(
            smoothing_fwhm=fwhm,
            fill=fill,
            n_threads=n_threads,
            zero_is_missing=self.zero_is_missing,
        )
        return replace(member, preparation=own)

    def inside(self, everywhere: CiftiSpace) -> CiftiSpace | None:
        """Return the places of a space inside the mask; None if no mask is given."""
        if self.mask is None:
            return None
        return everywhere.restrict(mask_values(everywhere, self.mask, GRAYORDINATES))

    def find(
        self,
        space: CiftiSpace,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the mask: the places that have values, and not zero in all images."""
        return space.background(
            mean, n_observations, n_images=n_images, min_observations=min_observations
        )

    def as_stored(self, sources: Sequence[CiftiSource]) -> CiftiSpace:
        """Return the space of all places of the first image, which needs no meshes to be read."""
        only = replace(self, smoothing_fwhm=None, geometry=NO_GEOMETRY)
        return only.everywhere(sources, clip=None, fill=None, n_threads=1)

    def read_once(
        self, sources: Sequence[CiftiSource], memory_budget: float
    ) -> tuple[Sequence[Source], int]:
        """Return the same images, which keep the values of the first reading."""
        return read_once(sources, memory_budget)


def with_meshes(axis: BrainAxis, geometry: Geometry) -> CiftiSpace:
    """Return the space of all places of an axis, with the meshes of its cortex that are given."""
    if not geometry.given:
        return CiftiSpace.whole(axis)
    found = cortex_meshes(axis, geometry)
    meshes = {name: own.mesh for name, own in found.items() if own.mesh is not None}
    areas = {name: own.areas for name, own in found.items() if own.areas is not None}
    return CiftiSpace.whole(axis, meshes, areas)
