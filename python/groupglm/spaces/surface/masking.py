# SPDX-License-Identifier: BSD-3-Clause
"""The mask, the meshes and the preparation of images before the statistics: `SurfaceMasking`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, ArgumentTypeError, GridMismatchError, ImageError
from groupglm.messages import argument
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.masker_options import options_of, refuse_series
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.surface.kept import read_once
from groupglm.spaces.surface.preparation import Preparation
from groupglm.spaces.surface.reading.opening import open_one
from groupglm.spaces.surface.reading.surface_image import is_surface_image
from groupglm.spaces.surface.smoothing import check_fwhm
from groupglm.spaces.surface.space import SurfaceSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.surface.mesh import Mesh
    from groupglm.spaces.surface.source import SurfaceSource

__all__ = ["SurfaceMasking", "everywhere_of", "inside_mask", "mask_of"]


@dataclass(frozen=True, eq=False)
class SurfaceMasking:
    """The mask, the meshes and the preparation that a model asks for.

    Parameters
    ----------
    mask : image, pair of files, or None
        The mask; None if it has to be found.
    geometry : Geometry
        The meshes and areas that the user gave.
    zero_is_missing : bool
        Whether exact zeros of an image are missing values.
    smoothing_fwhm : float, default=0
        Full width at half maximum of the smoothing on the mesh, in mm.
    """

    mask: Any
    geometry: Geometry
    zero_is_missing: bool
    smoothing_fwhm: float = 0.0

    resamples = False

    @property
    def smooths(self) -> bool:
        """Whether images are smoothed."""
        return self.smoothing_fwhm > 0

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
        smoothing_overrides: bool = False,
    ) -> SurfaceMasking:
        """Check the parameters of the estimator, or use the mask and the smoothing of a masker.

        With `smoothing_overrides`, the smoothing that is given comes before that of a masker.
        """
        for name, given in (("target_affine", target_affine), ("target_shape", target_shape)):
            if given is not None:
                raise ArgumentError.about(
                    name,
                    argument(name) + " brings volumes to a grid, but the images are of surfaces, "
                    "which are not resampled here",
                    "leave it out; resample surfaces before, by mri_surf2surf or wb_command "
                    "-metric-resample",
                )
        mask = mask_of(mask_img)
        if _is_masker(mask_img):
            given = {"smoothing_fwhm": smoothing_fwhm}
            own = options_of(mask_img, given, smoothing_overrides=smoothing_overrides)
            smoothing_fwhm = own["smoothing_fwhm"]
        return cls(mask, geometry, zero_is_missing, check_fwhm(smoothing_fwhm))

    def everywhere(
        self,
        sources: Sequence[SurfaceSource],
        *,
        clip: tuple[float, float] | None,
        fill: float | None,
        n_threads: int,
    ) -> SurfaceSpace:
        """Return all vertices of the first image."""
        del clip, n_threads
        if not self.smooths:
            return self._without_smoothing(sources, self.geometry)
        preparation = Preparation(self.zero_is_missing, fill, self.smoothing_fwhm)
        space = everywhere_of(sources, self.geometry, preparation)
        for member in space.members.values():
            member.check_smoothing()
        return space

    def _without_smoothing(
        self, sources: Sequence[SurfaceSource], geometry: Geometry
    ) -> SurfaceSpace:
        preparation = Preparation(zero_is_missing=True) if self.zero_is_missing else None
        return everywhere_of(sources, geometry, preparation)

    def inside(self, everywhere: SurfaceSpace) -> SurfaceSpace | None:
        """Return the vertices inside the mask; None if no mask is given."""
        inside = inside_mask(everywhere, self.mask)
        return None if inside is None else everywhere.restrict(inside)

    def find(
        self,
        space: SurfaceSpace,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the vertices with values in enough images, and not zero in all."""
        return space.background(
            mean, n_observations, n_images=n_images, min_observations=min_observations
        )

    def as_stored(self, sources: Sequence[SurfaceSource]) -> SurfaceSpace:
        """Return all vertices of the first image, without preparation but for zeros."""
        return self._without_smoothing(sources, Geometry())

    def read_once(
        self, sources: Sequence[SurfaceSource], memory_budget: float
    ) -> tuple[Sequence[SurfaceSource], int]:
        """Return the same images, which keep the values of the first reading."""
        return read_once(sources, memory_budget)


def everywhere_of(
    sources: Sequence[SurfaceSource], geometry: Geometry, preparation: Preparation | None = None
) -> SurfaceSpace:
    """Return the space of all vertices of images, on the meshes that a user gave or theirs."""
    first = sources[0]
    n_vertices = {side: own.n_vertices for side, own in first.members.items()}
    meshes: dict[str, Any] = {}
    areas: dict[str, Any] = {}
    if geometry.given:
        from groupglm.spaces.surface.meshes import open_meshes

        opened = open_meshes(geometry, list(n_vertices), n_vertices)
        meshes = {side: own.mesh for side, own in opened.items()}
        areas = {side: own.areas for side, own in opened.items()}
    if geometry.surfaces is None:
        meshes = _own_meshes(sources)  # their areas are computed when they are needed
    members = {
        side: HemisphereSpace(
            side, n, mesh=meshes.get(side), areas=areas.get(side), preparation=preparation
        )
        for side, n in n_vertices.items()
    }
    space = SurfaceSpace(members, first.form)
    if geometry.given:
        difference = first.difference(space)
        if difference is not None:
            raise GridMismatchError(
                f"{first.name}: the images are not on the mesh of surfaces: {difference}; give "
                "the surfaces of the images' mesh"
            )
    return space


def _own_meshes(sources: Sequence[SurfaceSource]) -> dict[str, Mesh]:
    """Return the meshes that all images have; {} if they have none, or each has its own."""
    own = [None if each.form.template is None else each.form.template.mesh for each in sources]
    first = own[0]
    if first is None or any(each is None for each in own):
        return {}
    for mesh in own:
        if mesh is not first and not _same_coordinates(mesh, first):
            return {}
    from groupglm.spaces.surface.reading.surface_file import open_mesh

    return {
        side: open_mesh(first.parts[side], f"the {side} surface of {sources[0].name}").mesh
        for side in sources[0].members
    }


def _same_coordinates(one: Any, other: Any) -> bool:
    if one.parts.keys() != other.parts.keys():
        return False
    return all(
        part is other.parts[side] or np.array_equal(part.coordinates, other.parts[side].coordinates)
        for side, part in one.parts.items()
    )


def mask_of(mask_img: Any) -> Any:
    """Return the mask of a masker of surfaces; a mask itself is returned as it is."""
    if not _is_masker(mask_img):
        return mask_img
    if any(hasattr(mask_img, name) for name in ("labels_img", "maps_img")):
        raise ArgumentTypeError(
            "mask_img",
            f"a {type(mask_img).__name__}, which has a value for each region",
            "an image of a surface, files, or a masker of vertices",
        )
    refuse_series(mask_img)
    fitted = getattr(mask_img, "mask_img_", None)
    return getattr(mask_img, "mask_img", None) if fitted is None else fitted


def _is_masker(mask_img: Any) -> bool:
    has_a_mask = hasattr(mask_img, "mask_img_") or hasattr(mask_img, "mask_img")
    return has_a_mask and not is_surface_image(mask_img)


def inside_mask(everywhere: SurfaceSpace, mask: Any) -> NDArray[np.bool_] | None:
    """Find which vertices are inside a mask; None if there is no mask."""
    mask = mask_of(mask)
    if mask is None:
        return None
    source = open_one(mask, "mask_img", argument="mask_img", labels=True)
    difference = source.difference(everywhere)
    if difference is not None:
        raise GridMismatchError(
            f"{source.name}: the mask is not on the mesh of the images: {difference}; give a mask "
            "of the same mesh and hemispheres"
        )
    values = np.empty(everywhere.n_values)
    plain = replace(
        everywhere,
        members={s: replace(own, preparation=None) for s, own in everywhere.members.items()},
    )
    plain.read_stored(source, values)
    inside = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf) != 0
    found = values[inside]
    if np.isinf(found).any():
        raise ImageError(
            f"{source.name}: the mask holds infinite values, which are neither inside nor "
            "outside; replace them by 0 or by the value inside"
        )
    if not len(found):
        raise ImageError(f"{source.name}: the mask is empty: all its vertices are zero or NaN")
    low, high = found.min(), found.max()
    if low != high:
        raise ImageError(
            f"{source.name}: a mask needs zero outside and one other value inside, but this one "
            f"has values from {low:g} to {high:g} besides zero; threshold it first"
        )
    return np.asarray(inside)
