# SPDX-License-Identifier: BSD-3-Clause
"""What a model of several images a subject says of its variances, as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.images import Image

__all__ = ["RepeatedMaps"]


class RepeatedMaps:
    """Maps of the variances between and within subjects.

    A model that has no such map raises AttributeError, with what to fit instead.
    """

    # Of the class that inherits from this one.
    _group: Any

    @property
    def intraclass_correlation_(self) -> Image:
        """Share of the variance of an image that its subject's images share, at each voxel."""
        image: Image = self._group.map_image("intraclass_correlation")
        return image

    @property
    def subject_variance_(self) -> Image:
        """Variance between subjects at each voxel, in squared units of the images."""
        image: Image = self._group.map_image("subject_variance")
        return image

    @property
    def residual_variance_(self) -> Image:
        """Variance of the images of a subject about its level, in squared units of the images."""
        image: Image = self._group.map_image("residual_variance")
        return image

    @property
    def family_variance_(self) -> Image:
        """Variance between families at each voxel, in squared units of the images."""
        image: Image = self._group.map_image("family_variance")
        return image

    @property
    def boundary_share_(self) -> float:
        """Share of the voxels, from 0 to 1, at which a variance is estimated at 0."""
        group: FittedGroup = self._group
        # Refuses a model that estimates none.
        known = np.isfinite(group.map_rows("subject_variance")[""])
        result: Any = group.result
        at_boundary = np.asarray(result.at_boundary)[known]
        return float(np.mean(at_boundary)) if at_boundary.size else float("nan")
