# SPDX-License-Identifier: BSD-3-Clause
"""What a model with variances says of subjects: how much they differ, and who counts how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.group.image_names import subject_names
from groupglm.models.image_weights import image_weights
from groupglm.models.robust_fit import RobustFit, weights_of
from groupglm.runtime.arguments import real_array
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import place as place_in_words
from groupglm.tabular.labels import LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.images import Image

__all__ = ["VarianceMaps"]


class VarianceMaps:
    """Maps of a fit to effects and variances, and the weights of the subjects.

    A model that has no such map raises AttributeError, with what to fit instead.
    """

    # Of the class that inherits from this one.
    _group: Any
    design_matrix_: Any

    @property
    def tau2_(self) -> Image | dict[str, Image]:
        """Variance between subjects at each voxel, in squared units of the effects.

        With variance groups, a dictionary of images by group.
        """
        image: Image | dict[str, Image] = self._group.map_image("tau2")
        return image

    @property
    def i_squared_(self) -> Image | dict[str, Image]:
        """Percentage of the variance of the effects that is between subjects, at each voxel.

        With variance groups, a dictionary of images by group.
        """
        image: Image | dict[str, Image] = self._group.map_image("i_squared")
        return image

    @property
    def h_squared_(self) -> Image | dict[str, Image]:
        """Ratio of the variance of the effects to their sampling variance, at each voxel.

        With variance groups, a dictionary of images by group.
        """
        image: Image | dict[str, Image] = self._group.map_image("h_squared")
        return image

    @property
    def q_(self) -> Image:
        """Cochran's Q at each voxel."""
        image: Image = self._group.map_image("q")
        return image

    @property
    def q_p_value_(self) -> Image:
        """The p-value of Q at each voxel, without correction for their number."""
        image: Image = self._group.map_image("q_p_value")
        return image

    @property
    def tau2_zero_share_(self) -> float:
        """Share of the voxels, from 0 to 1, at which the variance between subjects is zero.

        With variance groups, of the voxels of all groups together.
        """
        tau2 = np.concatenate(list(self._group.map_rows("tau2").values()))
        known = tau2[np.isfinite(tau2)]
        return float(np.mean(known == 0)) if known.size else float("nan")

    def weights_at(self, position: Sequence[float] | str) -> pd.Series[float]:
        r"""Return the weight of each subject at one place, in percent.

        The images are read again.

        Parameters
        ----------
        position : sequence of 3 floats, or str
            Position in mm, as tables of peaks have it, or the name of a place: that of a region;
            ``left_vertex_4012`` of two hemispheres, and ``cortex_left_vertex_4012`` of
            grayordinates, which have no position without their surfaces.

        Returns
        -------
        pandas.Series of float
            By subject label, or the names of the images if their subjects are not known. It adds up
            to 100; a subject that does not count at this place has 0. The weights are proportional
            to :math:`1 / (v + \tau^2)` with variances, to those given with ``weights``, to those
            of robust regression, and equal otherwise.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        AttributeError
            If the weight of an image depends on the others of its subject.
        ValueError
            If the position is not in the mask, or no region has the name.
        groupglm.errors.ImageError
            If an image cannot be read.
        """
        import pandas as pd

        group: FittedGroup = self._group
        if "subject_variance" in group.result.maps():
            raise AttributeError(
                f"the model {group.result.model.kind!r} has no weights of images: what an image "
                "says depends on the others of its subject; see intraclass_correlation_"
            )
        place = _place_at(group, position)
        n_images, n_beside = len(group.images), len(group.result.model.beside)
        values = np.full((1 + n_beside, n_images, 1), np.nan)
        for image, rows in group.rows_of_images():
            values[:, image, 0] = rows[:, place]
        fit = group.result.select(np.array([place], dtype=np.int64))
        if isinstance(fit, RobustFit):
            weights = np.nan_to_num(weights_of(fit, values[0])[:, 0])
        else:
            weights = image_weights(fit, *values)[:, 0]
        names = subject_names([source.name for source in group.images], self.design_matrix_)
        total = weights.sum()
        percent = 100 * weights / total if total > 0 else weights
        return pd.Series(percent, pd.Index(names, name=LABEL), name="weight")


def _place_at(group: FittedGroup, position: Sequence[float] | str) -> int:
    """Return the place that holds a position in mm, or has a name."""
    if isinstance(position, str):
        return _place_called(group, position)
    given = real_array("position", position)
    if given.shape != (3,) or not np.isfinite(given).all():
        raise ArgumentError(
            "position", f"shape {given.shape} or not finite", "three finite numbers in mm"
        )
    x, y, z = map(float, given)
    place = group.space.place_at((x, y, z))
    if place is not None:
        return place
    if np.isnan(group.space.coordinates()).all():
        one, many = group.space.place_words
        raise ArgumentError(
            "position",
            "a position in mm",
            f"the name of a {one}, such as {group.space.value_names()[0]!r}",
            f"these {many} have no position",
        )
    raise ArgumentError(
        "position",
        place_in_words((x, y, z)),
        "inside the mask",
        "give the place of a peak in mm, as get_clusters_table lists it",
    )


def _place_called(group: FittedGroup, name: str) -> int:
    """Return the place of a name."""
    names = group.space.value_names().tolist()
    if name in names:
        return int(names.index(name))
    one, many = group.space.place_words
    raise ArgumentError(
        "position",
        repr(name),
        f"a {one} in the mask",
        f"{many} are named {listed(names, 8)}" if len(names) <= 8 else f"such as {names[0]!r}",
    )
