# SPDX-License-Identifier: BSD-3-Clause
"""The data of the page's viewer of surfaces: meshes and maps, compressed, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.plotting.surface.painting import DARKEST, LAMP
from groupglm.report.viewer_maps import (
    Viewed,
    colours_payload,
    packed,
    shown_values,
    stored_values,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.plotting.surface.hemispheres import Hemisphere
    from groupglm.report.findings import Finding

__all__ = ["SECTION", "Vertices", "meshes_payload"]

SECTION = {
    "section": "surface/viewer.html.j2",
    "programs": ["surface/hemisphere.js", "surface/viewer.js"],
    "stills": [],
}
"""The files of the viewer, and pictures of the maps where the page has no others of them."""

_LEVELS = 4095
"""Steps across a mesh, to which coordinates are rounded: some 0.04 mm on a brain."""


def meshes_payload(
    hemispheres: Sequence[Hemisphere], shades: Sequence[NDArray[np.float64]], *, with_areas: bool
) -> dict[str, Any]:
    """Return the hemispheres for the viewer, in the order of its maps.

    `with_areas` adds the areas of the vertices, which decide what a small cluster is.
    """
    return {
        "hemispheres": [
            _mesh_payload(one, own, with_areas=with_areas)
            for one, own in zip(hemispheres, shades, strict=True)
        ],
        "colours": colours_payload(),
        "light": {"lamp": LAMP.tolist(), "darkest": DARKEST},
        "unit": hemispheres[0].space.unit,
    }


def _mesh_payload(
    hemisphere: Hemisphere, shades: NDArray[np.float64], *, with_areas: bool
) -> dict[str, Any]:
    places, faces = hemisphere.mesh.coordinates, hemisphere.mesh.faces
    corner = places.min(axis=0)
    step = max(float(np.ptp(places, axis=0).max()), 1e-9) / _LEVELS
    rounded = np.round((places - corner) / step).astype(np.int64)
    payload = {
        "side": hemisphere.side,
        "n_vertices": len(places),
        "n_faces": len(faces),
        "corner": corner.tolist(),
        "step": step,
        "places": packed(b"".join(_steps(column, 2) for column in rounded.T)),
        "faces": packed(b"".join(_steps(column, 3) for column in _by_first_corner(faces).T)),
        "shades": packed(np.round(255 * shades).astype(np.uint8)),
    }
    weights = hemisphere.space.weights()
    if with_areas and weights is not None:
        areas = np.zeros(len(places), "<f4")
        areas[hemisphere.space.numbers()] = weights
        payload["areas"] = packed(areas)
    return payload


def _by_first_corner(faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the faces sorted, so that they can be packed well: they are drawn in any order.

    Each begins with its smallest vertex, turned the same way round. The other two are given by how
    far they are from the first.
    """
    number, first = np.arange(len(faces)), faces.argmin(axis=1)
    turned = np.stack([faces[number, (first + k) % 3] for k in range(3)], axis=1).astype(np.int64)
    turned = turned[np.lexsort(turned.T[::-1])]
    turned[:, 1:] -= turned[:, :1]
    return turned


def _steps(numbers: NDArray[np.int64], width: int) -> bytes:
    """Return steps from one number to the next: of all of them the lowest byte, then the next.

    Even numbers are steps up, odd ones are steps down. `width` is how many bytes a step has.
    """
    steps = np.diff(numbers, prepend=0)
    unsigned = np.where(steps < 0, -2 * steps - 1, 2 * steps).astype("<u4")
    return unsigned.view(np.uint8).reshape(-1, 4)[:, :width].T.tobytes()


class Vertices:
    """The numbers of vertices in the viewer: those of the first hemisphere come first.

    Parameters
    ----------
    hemispheres : sequence of Hemisphere
        In the order of the viewer.
    """

    def __init__(self, hemispheres: Sequence[Hemisphere]) -> None:
        self._hemispheres = hemispheres
        self._inside = np.concatenate([one.inside for one in hemispheres])

    def number(self, place: int) -> int | None:
        """Return the number of a place of a row; None if it is no vertex."""
        first = 0
        for one in self._hemispheres:
            if one.own.start <= place < one.own.stop:
                own = np.array([place - one.own.start])
                return first + int(one.space.numbers(own)[0])
            first += one.space.n_vertices
        return None

    def map_payload(
        self, row: NDArray[Any], viewed: Viewed, places: Sequence[int], shared: int | None
    ) -> dict[str, Any]:
        """Return a map for the viewer; `places` of the row are its peaks, the highest first."""
        values = np.concatenate([one.spread(row) for one in self._hemispheres])
        payload = {**viewed.facts(values), "peak": self._peak(places, values)}
        if shared is not None:
            return {**payload, "values_of": shared}
        stored = stored_values(values, self._inside, payload["step"], viewed.limits)
        return {**payload, "data": packed(stored)}

    def finding_payload(
        self, finding: Finding, viewed: Viewed, shared: int | None
    ) -> dict[str, Any]:
        """Return the map of a finding for the viewer, and the vertices of its table's rows."""
        peaks = [peak.place for peak in finding.peaks]
        payload = self.map_payload(shown_values(finding), viewed, peaks, shared)
        if finding.cluster_sizes:  # each hemisphere has its own
            least = [finding.least_size(one.own.start) for one in self._hemispheres]
            payload["extents"] = least
        return {**payload, "rows": [self.number(int(place)) for place in finding.places]}

    def _peak(self, places: Sequence[int], values: NDArray[np.float64]) -> int | None:
        """Return the vertex of the first peak; that of the largest value if no peak is a vertex."""
        for place in places:
            number = self.number(place)
            if number is not None:
                return number
        known = np.nan_to_num(np.abs(values), nan=-1.0)
        return int(known.argmax()) if known.max(initial=-1.0) >= 0 else None
