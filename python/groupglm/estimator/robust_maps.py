# SPDX-License-Identifier: BSD-3-Clause
"""What a robust fit says of its iterations and of the weights of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupglm.group.image_names import subject_names
from groupglm.models.robust_fit import RobustFit

if TYPE_CHECKING:
    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.spaces.images import Image

__all__ = ["RobustMaps"]


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

        group: FittedGroup = self._group
        fit = group.result
        if not isinstance(fit, RobustFit):
            raise AttributeError(  # noqa: TRY004 - as of a map that the model has not
                f"the model {fit.model.kind!r} has no weights that depend on residuals: fit the "
                "model 'robust'"
            )
        names = subject_names([source.name for source in group.images], self.design_matrix_)
        return pd.DataFrame(
            {"mean_weight": fit.mean_weights, "low_share": fit.low_shares},
            index=pd.Index(names, name="subject_label"),
        )
