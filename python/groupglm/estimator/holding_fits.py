# SPDX-License-Identifier: BSD-3-Clause
"""The fits that a model holds, one a kind of maps: `HoldsFits`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from groupglm.design.matrix import check_design_matrix, report_collinearity
from groupglm.group.fit_group import FitOptions, fit_group
from groupglm.models.ols import OLS

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inputs import Cohort

__all__ = ["HoldsFits"]

# What a fit leaves besides its attributes.
_PRIVATE = ("_cohort", "_fits", "_group", "_options", "_read")


class HoldsFits:
    """The part of the estimator that holds what was fitted; the other parts ask it.

    A fit of each kind of maps is made when it is first asked for, and the one in use is that which
    was asked for last.
    """

    design_matrix_: pd.DataFrame
    _cohort: Cohort
    _fits: dict[Hashable, tuple[FittedGroup, pd.DataFrame]]
    _group: FittedGroup
    _options: FitOptions
    _read: list[str]

    def _fitted_for(self, first_level_contrast: Any) -> FittedGroup:
        """Make the fit of a kind of maps the current one; it is made when first asked for."""
        kind = self._cohort.kind(first_level_contrast)
        if kind not in self._fits:
            self._fits[kind] = self._fit_kind(first_level_contrast)
        self._group, self.design_matrix_ = self._fits[kind]
        return self._group

    def _fit_kind(self, first_level_contrast: Any) -> tuple[FittedGroup, pd.DataFrame]:
        start = time.perf_counter()
        sources = self._cohort.open(
            first_level_contrast, same_grid=not self._options.masking.resamples
        )
        frame = self._cohort.design(first_level_contrast)
        matrix = check_design_matrix(frame, len(sources))
        names = tuple(str(name) for name in frame.columns)
        plan = OLS.prepare(matrix, names)
        if plan.rank == len(names):
            report_collinearity(matrix, names)
        group = fit_group(sources, plan, self._options)
        self._options.progress.result(
            f"Computation of second level model done: {len(sources)} images at "
            f"{group.space.n_values} voxels in {time.perf_counter() - start:.2f} s."
        )
        return group, frame.copy()

    def _current(self) -> FittedGroup:
        check_is_fitted(self)
        if not hasattr(self, "_group"):
            raise AttributeError(
                "second_level_input has several kinds of maps, and none has been fitted yet; ask "
                "for a contrast with first_level_contrast first"
            )
        return self._group

    def _inputs(self) -> list[str]:
        """Return the names of the files that the model was fitted to; of a loaded one, its images'.

        An image in memory has a name, but no file of that name.
        """
        images = (source.name for group, _ in self._fits.values() for source in group.sources)
        return [*images, *getattr(self, "_read", [])]

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has been called."""
        return hasattr(self, "second_level_input_")

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") or name in _PRIVATE]:
            delattr(self, name)
