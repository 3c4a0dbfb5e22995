# SPDX-License-Identifier: BSD-3-Clause
"""Images of surfaces that are smoothed on their meshes, for `groupglm.smooth_img`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.spaces.surface.masking import everywhere_of
from groupglm.spaces.surface.reading.opening import grouped, is_pair, open_several
from groupglm.spaces.surface.reading.surface_image import is_surface_image, n_axes_of
from groupglm.spaces.surface.smoothing import (
    achieved_fwhm,
    check_fwhm,
    iterations_of,
    smooth_rows,
    warn_of_no_smoothing,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from groupglm.spaces.geometry import Geometry
    from groupglm.spaces.surface.hemisphere import HemisphereSpace
    from groupglm.spaces.surface.source import SurfaceSource

__all__ = ["smooth_images"]

_MOST_TOGETHER = 64
"""Maps that are smoothed together: more cost memory, and are no faster."""


@dataclass(frozen=True, eq=False)
class _Image:
    """An opened image: its maps, and whether their values have an axis of maps."""

    maps: Sequence[SurfaceSource]
    has_axis: bool

    @property
    def meshes(self) -> object:
        """What is equal for images on the same meshes."""
        first = self.maps[0]
        template = first.form.template
        sizes = tuple((side, own.n_vertices) for side, own in first.members.items())
        return None if template is None else id(template.mesh), sizes


def smooth_images(imgs: Any, fwhm: Any, geometry: Geometry) -> Any:
    """Smooth one image, or each of a list; the results are like the inputs."""
    width = check_fwhm(fwhm, "fwhm")
    given = grouped(imgs, "imgs")
    is_one = not isinstance(given, list | tuple) or (isinstance(given, tuple) and is_pair(given))
    items = [given] if is_one else list(given)
    if not items:
        raise ArgumentError("imgs", "empty", remedy="give at least one image")
    images = []
    for place, item in enumerate(items, start=1):
        name = "imgs in memory" if is_one else f"image {place} in memory"
        maps = open_several(item, name, argument="imgs")
        has_axis = n_axes_of(item) > 1 if is_surface_image(item) else len(maps) > 1
        images.append(_Image(maps, has_axis))
    found = [
        smoothed
        for _, same in groupby(images, key=lambda image: image.meshes)
        for smoothed in _smoothed(list(same), width, geometry)
    ]
    return found[0] if is_one else found


def _smoothed(images: Sequence[_Image], width: float, geometry: Geometry) -> Iterator[Any]:
    """Yield images on the same meshes, smoothed."""
    space = everywhere_of(images[0].maps, geometry)
    members: dict[str, HemisphereSpace] = dict(space.members)
    iterations = {
        side: iterations_of(width, own.needed_mesh(), own.known_areas()) if width else 0
        for side, own in members.items()
    }
    for member in members.values() if width else ():
        warn_of_no_smoothing(width, member.needed_mesh(), member.areas)
    meshes = {side: own.mesh for side, own in members.items() if own.mesh is not None}
    done = [
        f"{side} {achieved_fwhm(n, members[side].needed_mesh(), members[side].areas):.4g} mm"
        for side, n in iterations.items()
        if n
    ]
    descrip = f"smoothed on the mesh, FWHM {', '.join(done)}" if done else ""
    for batch in _batches(images):
        maps = [source for image in batch for source in image.maps]
        dtype = np.result_type(*{source.dtype for source in maps})
        rows: dict[str, NDArray[Any]] = {}
        for side, member in members.items():
            own = rows[side] = np.empty((len(maps), member.n_vertices), dtype)
            for row, source in zip(own, maps, strict=True):
                source.members[side].read_into(row, None)
            if iterations[side]:
                names = {number: source.members[side].name for number, source in enumerate(maps)}
                smooth_rows(own, member.needed_mesh(), iterations[side], names=names, n_threads=0)
        first = 0
        for image in batch:
            here = slice(first, first + len(image.maps)) if image.has_axis else first
            values = {side: own[here] for side, own in rows.items()}
            yield image.maps[0].form.image(values, descrip, None, meshes)
            first += len(image.maps)


def _batches(images: Sequence[_Image]) -> Iterator[list[_Image]]:
    """Yield images that are smoothed together."""
    batch: list[_Image] = []
    for image in images:
        if batch and sum(len(own.maps) for own in [*batch, image]) > _MOST_TOGETHER:
            yield batch
            batch = []
        batch.append(image)
    yield batch
