# SPDX-License-Identifier: BSD-3-Clause
"""From images and a design to maps: `GroupModel`. The one place that orchestrates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from groupglm.engine.row_cache import check_memory
from groupglm.estimator.fitted_model import FittedModel
from groupglm.estimator.model_fits import ModelFits, check_kind, fit_kind
from groupglm.group.beside_checks import refuse_smoothing
from groupglm.group.fit_options import FitOptions
from groupglm.group.fitted_group import MISSING, Missing
from groupglm.inputs import kind_of_data, make_cohort
from groupglm.inputs.beside import Beside
from groupglm.inputs.image_labels import ImageLabels, TakesSubjects
from groupglm.models.kinds import check_model
from groupglm.runtime.arguments import check_choice, check_truth
from groupglm.runtime.budget import check_memory_budget
from groupglm.runtime.paths import file_names
from groupglm.runtime.progress import Progress
from groupglm.runtime.workers import check_jobs
from groupglm.spaces.geometry import Geometry
from groupglm.spaces.zeros import check_zero_is_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.models.base import Model
    from groupglm.spaces.base import Space
    from groupglm.spaces.images import ImageLike

__all__ = ["GroupModel", "fit_images", "fitted_group", "local_resels"]


class GroupModel(FittedModel):
    """A model of the images of a group: its parameters, and how it is fitted.

    The command line uses it as it is. `groupglm.SecondLevelModel` describes the parameters, and
    makes it an estimator: scikit-learn takes longer to import than a small group to be fitted.
    """

    def __init__(
        self,
        mask_img: Any = None,
        target_affine: Any = None,
        target_shape: Any = None,
        smoothing_fwhm: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        verbose: int = 0,
        n_jobs: int | None = 1,
        minimize_memory: bool = True,
        reports: bool = True,
        *,
        missing: Missing = "omit",
        zero_is_missing: bool = False,
        memory_budget: float | None = None,
        model: str | Model = "ols",
        surfaces: Any = None,
        areas: Any = None,
    ) -> None:
        self.mask_img = mask_img
        self.target_affine = target_affine
        self.target_shape = target_shape
        self.smoothing_fwhm = smoothing_fwhm
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.minimize_memory = minimize_memory
        self.reports = reports
        self.missing = missing
        self.zero_is_missing = zero_is_missing
        self.memory_budget = memory_budget
        self.model = model
        self.surfaces = surfaces
        self.areas = areas

    def _fit_anew(
        self,
        second_level_input: Any,
        confounds: Any = None,
        design_matrix: Any = None,
        allow_partial: bool = False,
        variances: Any = None,
        weights: Any = None,
        covariates: Any = None,
        keep_rows: bool = False,
        *,
        subjects: Any = None,
        families: Any = None,
        visits: Any = None,
        check_space: Callable[[Space], None] | None = None,
        has_blocks: bool = False,
    ) -> Self:
        self._forget()
        try:
            beside = Beside.of_arguments(variances, weights, covariates)
            labels = ImageLabels(subjects, families, visits)
            self._fit(
                second_level_input,
                confounds,
                design_matrix,
                allow_partial,
                beside,
                labels,
                keep_rows,
                check_space,
                has_blocks,
            )
        except BaseException:
            self._forget()  # also when interrupted: half a fit is none
            raise
        return self

    def _fit(
        self,
        second_level_input: Any,
        confounds: Any,
        design_matrix: Any,
        allow_partial: bool,
        beside: Beside,
        labels: ImageLabels,
        keep_rows: bool,
        check_space: Callable[[Space], None] | None,
        has_blocks: bool,
    ) -> None:
        check_choice("missing", self.missing, MISSING)
        check_truth("minimize_memory", self.minimize_memory)
        check_truth("reports", self.reports)
        model = labels.with_model(check_model(self.model))
        beside, model = beside.with_model(model, second_level_input)
        options = FitOptions(
            masking=kind_of_data(second_level_input).masking(
                self.mask_img,
                self.target_affine,
                self.target_shape,
                self.smoothing_fwhm,
                zero_is_missing=check_zero_is_missing(self.zero_is_missing, self.missing),
                geometry=Geometry(self.surfaces, self.areas),
            ),
            missing=self.missing,
            n_threads=check_jobs(self.n_jobs),
            memory=check_memory(self.memory, self.memory_level),
            progress=Progress(self.verbose),
            memory_budget=check_memory_budget(self.memory_budget),
            keep_rows=keep_rows,
            check_space=check_space,
        )
        refuse_smoothing(options.masking, model)
        cohort = make_cohort(
            second_level_input,
            confounds,
            design_matrix,
            has_blocks=has_blocks,
            has_visits=isinstance(model, TakesSubjects),
            allow_partial=allow_partial,
            beside=beside,
        )
        # A table of regions is a file that the names of its rows do not tell.
        others = (second_level_input, *(own for *_, own in beside.arguments()))
        given = (self.mask_img, design_matrix, *others)
        read = [name for own in given for name in file_names(own)]
        self._fits = ModelFits(cohort, partial(fit_kind, cohort, model, options), read)
        if cohort.has_one_kind:
            self._fits.of(None)
        elif cohort.has_one_design:
            check_kind(cohort, model)
        self.memory_ = options.memory
        self.confounds_ = confounds
        self.second_level_input_ = cohort.given

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") or name == "_fits"]:
            delattr(self, name)


def fit_images(
    model: GroupModel,
    images: Sequence[ImageLike],
    design_matrix: pd.DataFrame,
    *,
    keep_rows: bool = False,
    check_space: Callable[[Space], None] | None = None,
    has_blocks: bool = False,
    **others: Any,
) -> FittedGroup:
    """Fit a model to images; the fit may keep their values, for what would read them again.

    `check_space` is called with the places of the images before these are read, and may raise.
    `has_blocks` says that only permutations are tested, in blocks that say which images of a
    subject belong together: any model may have several images of a subject then. Other arguments
    are what belongs to the images, as `SecondLevelModel.fit` takes it: `variances`, `weights`,
    `covariates`, `subjects`, `families` and `visits`.
    """
    model._fit_anew(
        images,
        None,
        design_matrix,
        keep_rows=keep_rows,
        check_space=check_space,
        has_blocks=has_blocks,
        **others,
    )
    return fitted_group(model)


def fitted_group(model: FittedModel) -> FittedGroup:
    """Return the model's last used fit, for code that works on spaces and rows."""
    return model._group


def local_resels(model: FittedModel) -> NDArray[np.float32] | None:
    """Return the resels of each place of the last used fit, if they have been estimated.

    Returns (n_values,).
    """
    return model._fits.resels_if_known()
