# SPDX-License-Identifier: BSD-3-Clause
"""The fits of a model, one for each kind of maps: `ModelFits`."""

from __future__ import annotations

import time
import warnings
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from groupglm.design.matrix import check_design_matrix, report_collinearity
from groupglm.errors import warn_caller
from groupglm.group.beside_checks import check_beside, refuse_clashing_names
from groupglm.group.fit_group import fit_group
from groupglm.group.fit_options import FitOptions
from groupglm.group.resampling import resampling_in_words
from groupglm.inputs import kind_of_data
from groupglm.inputs.beside import interleaved
from groupglm.inputs.image_labels import with_labels_of
from groupglm.messages import argument

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from groupglm.group.fitted_group import FittedGroup
    from groupglm.inference.random_fields.smoothness import Smoothness
    from groupglm.inputs import LabelledCohort
    from groupglm.inputs.aligning import AlignedDesign
    from groupglm.models.base import Model, Plan

__all__ = ["Kinds", "ModelFits", "check_fitted", "check_kind", "fit_kind"]


class Kinds(Protocol):
    """The kinds of maps of a cohort; its images are read, or its fits were saved."""

    @property
    def given(self) -> Any: ...  # noqa: D102

    @property
    def first_design(self) -> pd.DataFrame: ...  # noqa: D102

    def kind(self, first_level_contrast: Any) -> Hashable:
        """Check a first-level contrast, and return the kind of maps that it stands for."""
        ...


class ModelFits:
    """The fits of a model, one for each kind of maps.

    A kind is fitted when it is first asked for, and its fit is kept. The current fit is the one
    that was asked for last.

    Parameters
    ----------
    kinds : Kinds
        The kinds of maps.
    fit : callable
        Takes a first-level contrast and returns the fit of its kind, and the design.
    files : iterable of str
        Files that were read for the fits, besides the images.
    made : dict, optional
        Existing fits, by kind.
    current : int, optional
        The number of the current fit.
    smoothness : dict, optional
        The smoothness of residuals, by kind, where it is known.
    """

    def __init__(
        self,
        kinds: Kinds,
        fit: Callable[[Any], tuple[FittedGroup, pd.DataFrame]],
        files: Iterable[str] = (),
        made: dict[Hashable, tuple[FittedGroup, pd.DataFrame]] | None = None,
        current: int | None = None,
        smoothness: dict[Hashable, Smoothness] | None = None,
    ) -> None:
        self._kinds = kinds
        self._fit = fit
        self._files = list(files)
        self._made = {} if made is None else made
        self._current = None if current is None else list(self._made)[current]
        self._smoothness = {} if smoothness is None else smoothness
        self._resels: dict[Hashable, NDArray[np.float32]] = {}

    def __iter__(self) -> Iterator[tuple[Hashable, FittedGroup, pd.DataFrame]]:
        """Iterate over the fitted kinds: kind, fit and design."""
        return ((kind, group, design) for kind, (group, design) in self._made.items())

    def __copy__(self) -> ModelFits:
        """Return the same fits; the copy has a current fit of its own."""
        other = object.__new__(type(self))
        kept = ("_made", "_smoothness", "_resels")
        own = {name: dict(getattr(self, name)) for name in kept}
        vars(other).update({**vars(self), **own})
        return other

    def of(self, first_level_contrast: Any) -> FittedGroup:
        """Return the fit of a kind of maps, and make it the current one."""
        kind = self._kinds.kind(first_level_contrast)
        if kind not in self._made:
            self._made[kind] = self._fit(first_level_contrast)
        self._current = kind
        return self._made[kind][0]

    @property
    def is_made(self) -> bool:
        """Whether any kind has been fitted."""
        return bool(self._made)

    @property
    def current(self) -> FittedGroup:
        """The fit that was asked for last."""
        if not self._made:
            raise AttributeError(
                "second_level_input has several kinds of maps, and none has been fitted yet; ask "
                "for a contrast with first_level_contrast first"
            )
        return self._made[self._current][0]

    def smoothness(self) -> Smoothness:
        """Return the smoothness of the current fit's residuals; the images are read for it once."""
        from groupglm.inference.random_fields.estimation import check_cells
        from groupglm.inference.random_fields.images import smoothness_of_rows

        group = self.current
        if self._current not in self._smoothness:
            check_cells(group.space)  # before the images are read
            with closing(group.standardised_residuals()) as rows:
                found = smoothness_of_rows(
                    rows,
                    group.space,
                    group.residual_freedom,
                    n_threads=group.result.n_threads,
                )
            self._smoothness[self._current] = found
        return self._smoothness[self._current]

    def local_resels(self) -> NDArray[np.float32]:
        """Return the resels of each place of the current fit, shape (n_values,).

        The images are read for them once; the smoothness is then known too.
        """
        from groupglm.inference.random_fields.estimation import check_cells
        from groupglm.inference.random_fields.images import resels_of_rows

        group = self.current
        if self._current not in self._resels:
            check_cells(group.space)  # before the images are read
            threads = group.result.n_threads
            with closing(group.standardised_residuals()) as rows:
                smooth, resels = resels_of_rows(
                    rows, group.space, group.residual_freedom, n_threads=threads
                )
            self._smoothness[self._current] = smooth
            self._resels[self._current] = resels.astype(np.float32)
        return self._resels[self._current]

    def resels_if_known(self) -> NDArray[np.float32] | None:
        """Return the resels of each place of the current fit, if they have been estimated."""
        return self._resels.get(self._current)

    def smoothness_if_known(self) -> Smoothness | None:
        """Return the smoothness of the current fit's residuals, if it has been estimated."""
        return self._smoothness.get(self._current)

    def known_smoothness(self, kind: Hashable) -> Smoothness | None:
        """Return the smoothness of a kind of maps, if it has been estimated."""
        return self._smoothness.get(kind)

    def take_rows(self) -> NDArray[Any] | None:
        """Return the rows that the current fit has stored, and drop them; None without any.

        Returns an array (n_images, n_values).
        """
        if not self._made:
            return None
        group, design = self._made[self._current]
        if group.kept is None:
            return None
        self._made[self._current] = (replace(group, kept=None), design)
        rows = group.kept.array()[:: group.result.model.rows_per_image]
        return rows if group.kept.is_in_memory else np.array(rows)

    @property
    def design(self) -> pd.DataFrame:
        """The design of the current fit; before any, that of the first kind of maps."""
        return self._made[self._current][1] if self._made else self._kinds.first_design

    @property
    def tag(self) -> str:
        """The kind of data, by the tag of its spaces."""
        if self._made:
            return next(iter(self._made.values()))[0].space.tag
        return kind_of_data(self._kinds.given).tag

    @property
    def files(self) -> list[str]:
        """The names of the files that were read; for a loaded model, the names of its images.

        An image in memory has a name, but no file of that name.
        """
        images = (source.name for _, group, _ in self for source in group.sources)
        return [*images, *self._files]


def check_fitted(model: Any) -> None:
    """Refuse a model that has not been fitted, with scikit-learn's error, which is loaded then."""
    if not model.__sklearn_is_fitted__():
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(
            f"{type(model).__name__} instance is not fitted yet: call its method fit before this"
        )


def check_kind(cohort: LabelledCohort, model: Model) -> None:
    """Refuse what is wrong for each kind of maps, before any is asked for; it warns later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _prepared(cohort.aligned(None), model)


def _prepared(rows: AlignedDesign, model: Model) -> tuple[NDArray[Any], tuple[str, ...], Plan]:
    """Return the design's matrix, the names of its columns, and the plan of the model for it."""
    frame = rows.frame
    matrix = check_design_matrix(frame, len(frame))
    names = tuple(str(name) for name in frame.columns)
    plan = with_labels_of(model, rows).prepare(matrix, names)
    refuse_clashing_names(plan.column_names, len(names))
    return matrix, names, plan


def fit_kind(
    cohort: LabelledCohort, model: Model, options: FitOptions, first_level_contrast: Any
) -> tuple[FittedGroup, pd.DataFrame]:
    """Fit a model to a kind of maps; returns the fit and the design."""
    start = time.perf_counter()
    sources = cohort.open(first_level_contrast, same_grid=not options.masking.resamples)
    rows = cohort.aligned(first_level_contrast)
    beside = cohort.open_beside(
        first_level_contrast, sources, same_grid=not options.masking.resamples
    )
    n_images = len(sources)
    check_design_matrix(rows.frame, n_images)
    matrix, names, plan = _prepared(rows, model)
    if plan.rank == len(names):
        report_collinearity(matrix, names)
    group = fit_group(interleaved(sources, beside), plan, options)
    check_beside(group, rows.labels or [source.name for source in sources])
    _report_without_freedom(group)
    _report_unknown_variances(group)
    _, many = group.space.place_words
    if told := resampling_in_words(group):
        options.progress.result(told)
    options.progress.result(
        f"Computation of second level model done: {n_images} images at "
        f"{group.space.n_values} {many} in {time.perf_counter() - start:.2f} s."
    )
    design = rows.frame.copy()
    covariates = plan.column_names[len(names) :]
    for name, column in zip(covariates, group.result.X.T[len(names) :], strict=True):
        design[name] = column
    return group, design


def _report_without_freedom(group: FittedGroup) -> None:
    """Warn of places with values, but of too few images to estimate any variance."""
    n_observations = np.asarray(group.result.n_observations)
    n_without = np.count_nonzero((n_observations > 0) & ~(np.asarray(group.result.df_residual) > 0))
    if n_without:
        _, many = group.space.place_words
        warn_caller(
            f"{n_without} of {group.space.n_values} {many} have no residual degrees of freedom, "
            "because too few images have a value there: their statistics are NaN; leave out "
            "images that cover little, or give " + argument("missing", "intersect")
        )


def _report_unknown_variances(group: FittedGroup) -> None:
    """Warn of places whose images have degrees of freedom, but cannot tell variances apart."""
    found = group.result.maps().get("residual_variance")
    if found is None:
        return
    has_freedom = np.asarray(group.result.df_residual) > 0
    n_unknown = np.count_nonzero(np.isnan(found()) & has_freedom)
    if n_unknown:
        _, many = group.space.place_words
        warn_caller(
            f"at {n_unknown} of {group.space.n_values} {many} the images cannot tell the variance "
            "within subjects from that between them, so that variances and statistics there are "
            "NaN: the design leaves nothing of what differs within subjects, or between them, in "
            "the images with a value, or the images of each subject do not differ; leave out "
            "images that cover little, or give " + argument("missing", "intersect")
        )
