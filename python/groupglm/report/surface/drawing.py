# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of hemispheres on a page, and their meshes in words: `SurfaceDrawing`."""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.messages import argument
from groupglm.plotting.colors import DARK
from groupglm.plotting.scale import Scale
from groupglm.plotting.surface.hemispheres import hemispheres_of, members_of
from groupglm.plotting.surface.scene import Scene, Writing
from groupglm.plotting.surface.shading import Shading
from groupglm.report.drawing import Drawing
from groupglm.report.figures import DPI, Picture, picture
from groupglm.report.map_scales import amounts, scale_of_survivors, scale_without_threshold
from groupglm.report.surface.viewer import SECTION, Vertices, meshes_payload
from groupglm.report.surface.voxels import VoxelDrawing
from groupglm.report.viewer_maps import map_payloads
from groupglm.report.words import listed
from groupglm.runtime.rounding import span
from groupglm.spaces.surface.hemisphere import HemisphereSpace
from groupglm.spaces.volume.space import VolumeSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.plotting.surface.hemispheres import Hemisphere
    from groupglm.report.contrast_results import ContrastResults, Result
    from groupglm.report.options import ReportOptions

__all__ = ["SurfaceDrawing", "drawing_of", "shading_given"]

_VIEWS = ("lateral", "medial")
_OUTSIDE = 0.16  # how bright a vertex outside the mask is


class SurfaceDrawing(Drawing):
    """The drawing of hemispheres on a page, over their sulci.

    Parameters
    ----------
    group : FittedGroup
        The fit.
    options : ReportOptions
        The options of pictures.
    hemispheres : list of Hemisphere
        Those with a mesh; at least one.
    """

    def __init__(
        self, group: FittedGroup, options: ReportOptions, hemispheres: list[Hemisphere]
    ) -> None:
        super().__init__(group)
        self._hemispheres = hemispheres
        self._shading = Shading.of(shading_given(options.bg_img))
        members = members_of(group.space)
        voxels = [(own, at) for own, at in members if isinstance(own, VolumeSpace)]
        self._voxels = [VoxelDrawing(own, at) for own, at in voxels]

    @cached_property
    def _shades(self) -> list[NDArray[np.float64]]:
        """How bright the vertices are; those outside the mask are dark."""
        return [
            np.where(one.inside, self._shading.shades(one), _OUTSIDE) for one in self._hemispheres
        ]

    @cached_property
    def _scene(self) -> Scene:
        return Scene(self._hemispheres, self._shades, _VIEWS, DPI)

    @property
    def note(self) -> str:
        """What the surfaces and the shades under the maps are."""
        words = [
            "Maps are drawn on the surfaces that the model was given, each vertex in the colour "
            "of its value. Vertices outside the mask are dark.",
            self._shading.description(self._hemispheres),
            _unreal(self._hemispheres),
            *(own.note for own in self._voxels),
        ]
        return " ".join(filter(None, words))

    @cached_property
    def resolution(self) -> str:
        """How far apart neighbouring vertices are."""
        lengths = np.concatenate([one.mesh.edges().data for one in self._hemispheres])
        return f"vertices {np.median(lengths):.2g} mm apart"

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the meshes and the mask."""
        return _facts(self.group)

    def mask_picture(self) -> Picture:
        """Draw the mask and the number of images that have each vertex."""
        group = self.group
        counts = np.broadcast_to(group.result.n_observations, (group.space.n_values,))
        smallest, largest = int(counts.min()), int(counts.max())
        one, many = group.space.place_words
        how_many = span(group.result.n_observations)
        alt = (
            f"{self._caption}: the mask, {group.space.n_values:,} {many}; each is in {how_many} of "
            f"the {len(group.images)} images."
        )
        if smallest == largest:  # one colour everywhere would only hide the surface
            nowhere = np.full(group.space.n_values, np.nan)
            figure = self._draw(nowhere, Scale.of_counts(smallest, largest), "")
            return picture(figure, alt, f"Mask: bright, where each {one} is in {how_many} images.")
        values = counts.astype(np.float64)
        scale = Scale.of_counts(smallest, largest)
        figure = self._draw(values, scale, f"images that have the {one}")
        return picture(figure, alt, f"Mask, and number of images at each {one}: {how_many}.")

    def map_picture(self, result: Result) -> Picture:
        """Draw what survived on the surfaces; the whole map, if nothing did."""
        finding = result.finding
        alt = f"{self._caption}: the map of {finding.name}. {result.headline}"
        if finding.survived:
            scale = scale_of_survivors(finding, finding.survivors, dark=True)
            figure = self._draw(finding.survivors, scale, "z")
            return picture(figure, alt, f"{self._caption}, shown where {result.shown_where}.")
        values = np.where(np.isnan(finding.shown), 0, finding.shown)
        figure = self._draw(values, scale_without_threshold(finding, values), "z, no threshold")
        caption = (
            f"{self._caption}. Nothing survived ({result.shown_where}); this is the map without a "
            "threshold, and no evidence of an effect."
        )
        return picture(figure, alt, caption)

    def further_pictures(self, result: Result) -> list[Picture]:
        """Draw the voxels beside the surfaces, of data that have both."""
        return [own.map_picture(result) for own in self._voxels]

    def fit_map(
        self, row: NDArray[np.float64], highest: float, label: str, caption: str
    ) -> Picture:
        """Draw a map of the fit itself, in which zero has a colour too."""
        values, scale = amounts(row, highest)
        figure = self._draw(values, scale, label)
        return picture(figure, f"{self._caption}. {caption}", caption)

    def viewer(self, contrasts: Sequence[ContrastResults]) -> dict[str, Any] | None:
        """Return the meshes and the maps of all contrasts for the viewer that turns them."""
        if not contrasts:
            return None
        vertices = Vertices(self._hemispheres)
        sifts = any(
            one.cluster_threshold > 1 or one.cluster_sizes
            for own in contrasts
            for one in own.findings
        )
        return {
            **SECTION,
            "choice": "Contrast",
            "background": meshes_payload(self._hemispheres, self._shades, with_areas=sifts),
            "maps": map_payloads(contrasts, vertices.finding_payload),
        }

    @property
    def _caption(self) -> str:
        sides = [one.side for one in self._hemispheres]
        whose = "both hemispheres" if len(sides) > 1 else f"the {sides[0]} hemisphere"
        return f"Lateral and medial views of {whose}"

    def _draw(self, row: NDArray[Any], scale: Scale, label: str) -> Any:
        values = [one.spread(row) for one in self._hemispheres]
        return self._scene.draw(values, scale, Writing(DARK, label=label, colorbar=bool(label)))


class UndrawnSurface(Drawing):
    """A page about surfaces without a mesh, which has tables and charts only."""

    @property
    def note(self) -> str:
        """How a user gets pictures."""
        return (
            "Nothing is drawn, because the vertices' places are not known: fit the model with "
            + argument("surfaces", shown="(left, right)")
            + ", a pair of .surf.gii files, to have the maps on the surfaces."
        )

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the mask."""
        return _facts(self.group)


def drawing_of(group: FittedGroup, options: ReportOptions) -> Drawing:
    """Return the drawing of a fit of surfaces, or of grayordinates."""
    hemispheres = hemispheres_of(group.space)
    if not hemispheres:
        return UndrawnSurface(group)
    return SurfaceDrawing(group, options, hemispheres)


def shading_given(bg_img: Any) -> Any:
    """Return what a user gave for the shades; the template of volumes is no surface."""
    return "auto" if isinstance(bg_img, str) and bg_img == "MNI152TEMPLATE" else bg_img


def _facts(group: FittedGroup) -> list[tuple[str, str]]:
    one, _ = group.space.place_words
    facts = []
    for member, _ in members_of(group.space):
        if isinstance(member, HemisphereSpace):
            text = f"{member.n_values:,} of {member.n_vertices:,} vertices"
            if member.unit == "mm2":
                everywhere = np.arange(member.n_values)
                text += f", {member.measure(everywhere) / 100:,.0f} cm²"
            facts.append((f"{member.side} hemisphere", text))
            if member.mesh is not None and member.mesh.name != f"the {member.side} surface":
                facts.append((f"{member.side} surface", PurePath(member.mesh.name).name))
        else:
            facts.append(("voxels", f"{member.n_values:,} {member.place_words[1]}"))
    return [*facts, (f"images at a {one}", span(group.result.n_observations))]


def _unreal(hemispheres: Sequence[Hemisphere]) -> str:
    """Return a remark on surfaces whose areas are not those of a cortex."""
    found = {one.side: one.mesh.looks_unreal() for one in hemispheres}
    said = [f"the {side} one is {why}" for side, why in found.items() if why is not None]
    if not said:
        return ""
    return f"Areas are not those of a cortex: of the surfaces, {listed(said)}."
