# SPDX-License-Identifier: BSD-3-Clause
"""The voxels of data that have surfaces as well, drawn in slices: `VoxelDrawing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groupglm.plotting.volume.stat_map import draw_slices
from groupglm.plotting.volume.template import MNI, find_background
from groupglm.plotting.volume.volumes import Volume
from groupglm.report.figures import Picture, picture
from groupglm.report.map_scales import scale_of_survivors, scale_without_threshold

if TYPE_CHECKING:
    from groupglm.report.contrast_results import Result
    from groupglm.spaces.volume.space import VolumeSpace

__all__ = ["VoxelDrawing"]


class VoxelDrawing:
    """The slices of the voxels that are a part of a row.

    Parameters
    ----------
    space : VolumeSpace
        The voxels.
    own : slice
        Their values in a row.
    """

    def __init__(self, space: VolumeSpace, own: slice) -> None:
        self._space, self._own = space, own
        self._mask = Volume(space.mask.astype(np.uint8), space.grid.affine)
        background = find_background(MNI, self._mask)
        if background is None:  # there is always a mask
            raise AssertionError
        self._background = background

    @property
    def note(self) -> str:
        """The background of the slices."""
        return f"Voxels are drawn in slices. {self._background.description}"

    def map_picture(self, result: Result) -> Picture:
        """Draw the voxels that survived, in the colours of the surfaces; all, if nothing did."""
        finding = result.finding
        if finding.survived:
            row = finding.survivors
            scale = scale_of_survivors(finding, row, dark=True)
            label, caption = "z", f"The voxels, shown where {result.shown_where}."
        else:
            row = np.where(np.isnan(finding.shown), 0, finding.shown)
            scale = scale_without_threshold(finding, row)
            label, caption = "z, no threshold", "The voxels, without a threshold."
        figure = draw_slices(
            Volume.of_row(self._space, row[self._own]), self._background, self._mask, scale, "z",
            None, None, label,
        )  # fmt: skip
        alt = f"Slices of the voxels of the map of {finding.name}."
        return picture(figure, alt, f"{caption} Places in mm; L and R are the subject's.")
