# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of volumes on a page, and the grid in words: `VolumeDrawing`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.orientations import aff2axcodes

from groupglm.plotting.scale import Scale
from groupglm.plotting.volume.glass import draw_glass
from groupglm.plotting.volume.nested import draw_nested
from groupglm.plotting.volume.panels import glass_panels
from groupglm.plotting.volume.stat_map import draw_slices
from groupglm.plotting.volume.template import find_background
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.drawing import Drawing
from groupglm.report.figures import Picture, picture
from groupglm.report.map_scales import amounts, scale_of_survivors, scale_without_threshold
from groupglm.report.viewer_maps import map_payloads
from groupglm.report.volume.viewer import SECTION, background_payload, finding_payload
from groupglm.report.words import TIMES
from groupglm.runtime.rounding import span
from groupglm.spaces.volume.space import volume_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.report.contrast_results import ContrastResults, Result
    from groupglm.report.options import ReportOptions

__all__ = ["VolumeDrawing", "drawing_of"]

_OF_SETS = ("#5ab4ff", "#ffffff", "#ff7f2a")  # from the lower set to the upper one
_PLACES = "Places in mm; L and R are the subject's left and right"


class VolumeDrawing(Drawing):
    """The drawing of voxels on a page, over a picture of the brain."""

    def __init__(self, group: FittedGroup, options: ReportOptions) -> None:
        super().__init__(group)
        self._space = volume_space(group.space)
        self._mask = Volume(self._space.mask.astype(np.uint8), self._space.grid.affine)
        background = find_background(options.bg_img, self._mask)
        if background is None:  # there is always a mask
            raise AssertionError
        self._background = background

    @property
    def note(self) -> str:
        """The background of the maps, and a remark if the mask seems to lie elsewhere."""
        return self._background.description

    @cached_property
    def resolution(self) -> str:
        """The size of a voxel."""
        edges = np.linalg.norm(self._space.grid.affine[:3, :3], axis=0)
        zooms = f" {TIMES} ".join(f"{round(float(edge), 3):g}" for edge in edges)
        return f"{zooms} mm voxels"

    def facts(self) -> list[tuple[str, str]]:
        """Return facts about the grid and the mask."""
        grid = self._space.grid
        edges = np.linalg.norm(grid.affine[:3, :3], axis=0)
        volume = float(abs(np.linalg.det(grid.affine[:3, :3])))
        n_voxels = self._space.n_values
        codes = "".join(str(code) for code in aff2axcodes(grid.affine))  # type: ignore[no-untyped-call]
        cosines = np.abs(grid.affine[:3, :3] / edges)
        tilt = "" if np.isclose(cosines.max(axis=0), 1, atol=1e-4).all() else ", oblique"
        affine = "; ".join(" ".join(f"{value:g}" for value in row) for row in grid.affine[:3])
        return [
            ("grid", f" {TIMES} ".join(str(length) for length in grid.shape) + " voxels"),
            ("voxel", f" {TIMES} ".join(f"{edge:g}" for edge in np.round(edges, 3)) + " mm"),
            ("axes point to", f"{codes}{tilt}"),
            ("mask", f"{n_voxels:,} voxels, {n_voxels * volume / 1000:,.0f} cm³"),
            ("images at a voxel", span(self.group.result.n_observations)),
            ("affine", affine),
        ]

    def mask_picture(self) -> Picture:
        """Draw the mask and the number of images that have each voxel."""
        group, mask = self.group, self._mask
        counts = np.asarray(group.n_observations_image().dataobj).astype(np.float32)
        smallest, largest = int(counts[mask.data != 0].min()), int(counts.max())
        figure = draw_slices(
            Volume(counts, mask.affine), self._background, mask,
            Scale.of_counts(smallest, largest), "ortho", _middle(mask), None,
            "images that have the voxel",
        )  # fmt: skip
        how_many = span(group.result.n_observations)
        alt = (
            f"Three slices of the mask, {group.space.n_values:,} voxels; each voxel is in "
            f"{how_many} of the {len(group.images)} images."
        )
        return picture(figure, alt, f"Mask, and number of images at each voxel: {how_many}.")

    def map_picture(self, result: Result) -> Picture:
        """Draw the surviving voxels; the whole map, if none survived."""
        finding, options = result.finding, result.options
        if not finding.survived:
            return self._without_survivors(result)
        glass = options.plot_type == "glass"
        shown = Volume.of_row(finding.space, finding.survivors)
        scale = scale_of_survivors(finding, shown.data, dark=not glass)
        if glass:
            panels = glass_panels(options.display_mode)
            figure = draw_glass(shown, self._background, self._mask, scale, panels, None, "z")
            kind = "Glass brain"
        else:
            figure = draw_slices(
                shown, self._background, self._mask, scale, options.display_mode,
                options.cut_coords, None, "z",
            )  # fmt: skip
            kind = "Slices"
        alt = f"{kind} of the map of {finding.name}. {result.headline}"
        return picture(figure, alt, f"{_PLACES}; shown where {result.shown_where}.")

    def fit_map(
        self, row: NDArray[np.float64], highest: float, label: str, caption: str
    ) -> Picture:
        """Draw a map of the fit itself: slices, in which zero has a colour too."""
        values, scale = amounts(row, highest)
        volume = Volume.of_row(self._space, values)
        figure = draw_slices(volume, self._background, self._mask, scale, "z", None, None, label)
        return picture(figure, f"Slices. {caption}", f"{caption} {_PLACES}.")

    def sets_picture(self, depth: NDArray[np.intp], alt: str, caption: str) -> Picture:
        """Draw the outlines of confidence sets, one within the other."""
        names = ("lower set", "estimate", "upper set")
        volume = Volume.of_row(self._space, depth.astype(np.float32))
        figure = draw_nested(volume, names, _OF_SETS, self._background, self._mask)
        return picture(figure, f"Outlines in slices. {alt}", f"{caption}. {_PLACES}.")

    def _without_survivors(self, result: Result) -> Picture:
        """Draw the map through its highest peak: slices without colour would say nothing."""
        finding, options = result.finding, result.options
        row = np.where(np.isnan(finding.shown), 0, finding.shown)
        values = Volume.of_row(finding.space, row)
        scale = scale_without_threshold(finding, values.data)
        mode, cuts = options.display_mode, options.cut_coords
        if cuts is None or options.plot_type == "glass":
            mode, cuts = "ortho", finding.top.position
        figure = draw_slices(
            values, self._background, self._mask, scale, mode, cuts, None, "z, no threshold"
        )
        alt = f"Slices of the map of {finding.name}. {result.headline}"
        caption = (
            f"{_PLACES}. Nothing survived ({result.shown_where}); this is the map without a "
            "threshold, through its highest peak, and no evidence of an effect."
        )
        return picture(figure, alt, caption)

    def viewer(self, contrasts: Sequence[ContrastResults]) -> dict[str, Any] | None:
        """Return the maps of all contrasts for the viewer of three planes."""
        if not contrasts:
            return None
        maps = map_payloads(
            contrasts,
            lambda finding, viewed, shared: finding_payload(finding, viewed, self._mask, shared),
        )
        return {
            **SECTION,
            "choice": "Contrast",
            "background": background_payload(self._background, self._mask),
            "maps": maps,
        }


def drawing_of(group: FittedGroup, options: ReportOptions) -> VolumeDrawing:
    """Return the drawing of a fit of volumes."""
    return VolumeDrawing(group, options)


def _middle(mask: Volume) -> list[float]:
    places = np.argwhere(mask.data != 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return [float(value) for value in places.mean(axis=0)]
