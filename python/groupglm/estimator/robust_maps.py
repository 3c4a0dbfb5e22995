# SPDX-License-Identifier: BSD-3-Clause
"""What a robust fit says of its iterations and of the weights of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError, shown
from groupglm.group.image_names import subject_names
from groupglm.models.robust_fit import RobustFit, weights_of
from groupglm.models.second_pass import TILE_BYTES
from groupglm.spaces.statistic import Statistic

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.images import Image

__all__ = ["RobustMaps"]

_SHOWN = 5  # subjects that a message names


class RobustMaps:
    """Convergence and weights; of another model, AttributeError says what to fit instead."""

    # Of the class that inherits from this one.
    _group: Any
    design_matrix_: Any

    @property
    def converged_(self) -> Image:
        """Where the iterations of robust regression converged (1) and where not (0)."""
        image: Image = self._group.map_image("converged")
        return image

    @property
    def iterations_(self) -> Image:
        """Number of weighted fits at each voxel."""
        image: Image = self._group.map_image("iterations")
        return image

    @property
    def mean_weight_(self) -> Image:
        """Mean of the images' weights at each voxel, from 0 to 1."""
        image: Image = self._group.map_image("mean_weight")
        return image

    @property
    def mean_weights_(self) -> pd.DataFrame:
        """How much each subject counts, one row a subject.

        "mean_weight" is the mean of its weights over the voxels, from 0 to 1, and "low_share" the
        share of the voxels at which its weight is below a half.
        """
        import pandas as pd

        fit = self._robust_fit()
        return pd.DataFrame(
            {"mean_weight": fit.mean_weights, "low_share": fit.low_shares},
            index=pd.Index(self._subject_names(), name="subject_label"),
        )

    def weights_image(self, subject: str) -> Image:
        """Return the weights of the image of one subject at each voxel.

        The images are read again.

        Parameters
        ----------
        subject : str
            Its name in the index of `mean_weights_`.

        Returns
        -------
        nibabel.nifti1.Nifti1Image
            From 0 to 1; NaN where the image has no value.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        AttributeError
            Of another model than robust regression.
        ValueError
            If there is no such subject.
        groupglm.errors.ImageError
            If an image cannot be read.
        """
        fit = self._robust_fit()
        names = self._subject_names()
        if subject not in names:
            shown_names = ", ".join(map(repr, names[:_SHOWN])) + (
                ", ..." if len(names) > _SHOWN else ""
            )
            raise ArgumentError("subject", shown(subject), f"one of {shown_names}")
        group: FittedGroup = self._group
        row = np.empty(group.space.n_values)
        for places, values in group.rows.tiles(TILE_BYTES):
            at = np.asarray(places, dtype=np.int64)
            row[at] = weights_of(fit.select(at), values)[names.index(subject)]
        image: Image = group.space.to_image(
            row, f"weights of {subject}", statistic=Statistic("weights of an image")
        )
        return image

    def _robust_fit(self) -> RobustFit:
        fit = self._group.result
        if not isinstance(fit, RobustFit):
            raise AttributeError(  # noqa: TRY004 - as of a map that the model has not
                f"the model {fit.model.kind!r} has no weights that depend on residuals: fit the "
                "model 'robust'"
            )
        return fit

    def _subject_names(self) -> list[str]:
        group: FittedGroup = self._group
        return subject_names([source.name for source in group.images], self.design_matrix_)
