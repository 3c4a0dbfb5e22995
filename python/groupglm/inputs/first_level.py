# SPDX-License-Identifier: BSD-3-Clause
"""Fitted first-level models as input: their effect maps are computed when they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from groupglm.design.confounds import make_second_level_design_matrix
from groupglm.design.matrix import check_design_matrix, load_design_matrix
from groupglm.design.repeated_subjects import refuse_repeated_subjects
from groupglm.errors import ArgumentError, ArgumentTypeError, ImageError
from groupglm.inputs.aligning import AlignedDesign, align_design, align_to_names
from groupglm.inputs.beside import Beside
from groupglm.inputs.opening_beside import open_beside
from groupglm.spaces.registry import kind_of
from groupglm.tabular.labels import LABEL, refuse_twin_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from groupglm.spaces.base import Source
    from groupglm.spaces.kinds import Kind

__all__ = [
    "FirstLevelCohort",
    "FirstLevelModel",
    "are_first_level_models",
    "kind_of_model",
    "plain_contrast",
]


@runtime_checkable
class FirstLevelModel(Protocol):
    """The members of a first-level model that are used; nilearn's has them.

    Attributes
    ----------
    subject_label : str or None
        The model's subject.
    """

    subject_label: str | None

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        """Compute a map."""
        ...


def are_first_level_models(given: object) -> bool:
    """Return whether an input is a list that begins with a first-level model."""
    return (
        isinstance(given, list | tuple) and len(given) > 0 and isinstance(given[0], FirstLevelModel)
    )


@dataclass(frozen=True)
class _ComputedMap:
    """Computes one map of a model; a class, so that it can be pickled with its model."""

    model: FirstLevelModel
    contrast: Any
    name: str
    output_type: str = "effect_size"

    def __call__(self) -> Any:
        # A copy, because the model may write into a list of contrasts.
        contrast = list(self.contrast) if isinstance(self.contrast, list) else self.contrast
        try:
            return self.model.compute_contrast(contrast, output_type=self.output_type)
        except Exception as error:  # of any type; the user needs to know whose it is
            raise ImageError(
                f"{self.name}: first_level_contrast={self.contrast!r} cannot be computed: {error}"
            ) from error


class FirstLevelCohort:
    """A list of fitted first-level models: one kind of maps for each first-level contrast.

    Parameters
    ----------
    models : list of FirstLevelModel
        Two or more, fitted.
    confounds : pandas.DataFrame or None
        Matched by the models' ``subject_label``.
    design_matrix : pandas.DataFrame, path or None
        Matched by label if it has labels, else in the order of the models.
    beside : Beside, optional
        What was given beside the models.
    may_repeat : bool
        Whether a subject may have several models, because exchangeability blocks or the model of
        the group say which belong together.

    Raises
    ------
    TypeError
        If an item is not a first-level model.
    ValueError
        If there are fewer than two, one is not fitted, labels are needed and missing, or the
        models are on different grids.
    """

    has_one_kind = False
    has_one_design = True

    def __init__(
        self,
        models: Any,
        confounds: Any,
        design_matrix: Any,
        beside: Beside | None = None,
        *,
        may_repeat: bool = False,
    ) -> None:
        self._beside = beside or Beside()
        _check_models(models, need_labels=confounds is not None and design_matrix is None)
        self.given = models
        self._names = [
            f"first-level model {place} (subject_label {model.subject_label!r})"
            for place, model in enumerate(models, start=1)
        ]
        self._design = self._align(confounds, design_matrix, may_repeat=may_repeat)
        self.first_design = self._design.frame
        check_design_matrix(self.first_design, len(models))
        if self._design.maps_have_labels and not may_repeat:
            refuse_repeated_subjects(self._design.labels, self.first_design)

    def _align(self, confounds: Any, design_matrix: Any, *, may_repeat: bool) -> AlignedDesign:
        labels = [model.subject_label for model in self.given]
        refuse_twin_labels([str(x) for x in labels if x is not None], "second_level_input")
        if all(label is not None for label in labels):
            return align_design(
                design_matrix, confounds, [str(label) for label in labels], may_repeat=may_repeat
            )
        if design_matrix is None:
            frame = make_second_level_design_matrix(list(map(str, range(len(labels)))))
            return AlignedDesign(frame, None, in_order=True, maps_have_labels=False)
        frame = load_design_matrix(design_matrix)
        if frame.index.name == LABEL:
            raise ArgumentError(
                "design_matrix",
                f"labels ({LABEL}), but a first-level model has no subject_label to match",
                remedy="set model.subject_label = '01', or drop the labels",
                verb="has",
            )
        return align_to_names(frame, [None if x is None else str(x) for x in labels])

    def kind(self, first_level_contrast: Any) -> str:
        """Return a text that is equal for equal contrasts."""
        if first_level_contrast is None:
            raise ArgumentError.about(
                "first_level_contrast",
                "If 'second_level_input' was a list of FirstLevelModel, first_level_contrast is "
                "mandatory: it corresponds to the contrast argument of their compute_contrast",
                "give for instance the name of a condition",
            )
        return json.dumps(plain_contrast(first_level_contrast))

    def open(self, first_level_contrast: Any, *, same_grid: bool) -> list[Source]:
        """Prepare each model's effect map; only the first is computed now."""
        del same_grid  # models were compared when the cohort was made, maps are when computed
        return self._maps(first_level_contrast, "effect_size")

    def open_beside(
        self, first_level_contrast: Any, images: Sequence[Source], *, same_grid: bool
    ) -> list[list[Source]]:
        """Prepare each model's variance of the effect, or open what was given beside the models."""
        opened = []
        for role, name, given in self._beside.arguments():
            if role == "variance":
                if given is not None:
                    raise ArgumentError(
                        name,
                        "given, but the first-level models compute the variances of their effects",
                        remedy="leave them out",
                    )
                opened.append(self._maps(first_level_contrast, "effect_variance"))
                continue
            own = self._design.align(given, name)
            kind = kind_of_model(self.given[0])
            opened.append(open_beside(name, role, own, images, kind=kind, same_grid=same_grid))
        return opened

    def _maps(self, first_level_contrast: Any, output_type: str) -> list[Source]:
        kind = kind_of_model(self.given[0])
        sources: list[Source] = []
        for model, name in zip(self.given, self._names, strict=True):
            compute = _ComputedMap(model, first_level_contrast, name, output_type)
            sources.append(kind.computed(name, compute, sources[0] if sources else None))
        return sources

    def design(self, first_level_contrast: Any) -> pd.DataFrame:
        """Return the design, which is the same for every contrast."""
        del first_level_contrast
        return self.first_design

    def aligned(self, first_level_contrast: Any) -> AlignedDesign:
        """Return the same with the subjects of its rows."""
        del first_level_contrast
        return self._design


def plain_contrast(contrast: Any, depth: int = 0) -> Any:
    """Return the contrast with lists in place of arrays."""
    if isinstance(contrast, list | tuple) and depth < _DEEPEST:
        return [plain_contrast(item, depth + 1) for item in contrast]
    if isinstance(contrast, np.ndarray | np.generic):
        return contrast.tolist()
    if isinstance(contrast, str | int | float):
        return contrast
    raise ArgumentTypeError(
        "first_level_contrast",
        f"a {type(contrast).__name__}",
        "a str, an array, or a list of them, one for each run",
    )


# Levels of lists: runs, rows and numbers are three. A list may also hold itself.
_DEEPEST = 8


def _check_models(models: Any, *, need_labels: bool) -> None:
    if len(models) < 2:
        raise ArgumentTypeError.about(
            "second_level_input",
            "a second level model requires a list with at least two first level models, but "
            f"second_level_input holds {len(models)}",
        )
    for place, model in enumerate(models, start=1):
        if not isinstance(model, FirstLevelModel):
            raise ArgumentTypeError.about(
                "second_level_input",
                "Elements of 'second_level_input' must be of the same type, but item 1 is a "
                f"{type(models[0]).__name__} and item {place} a {type(model).__name__}",
            )
        label = model.subject_label
        is_fitted = getattr(model, "__sklearn_is_fitted__", None)
        if is_fitted is not None and not is_fitted():
            raise ArgumentError.about(
                "second_level_input",
                f"Model {label} at index {place - 1} of second_level_input has not been fit yet",
                "call its fit first",
            )
        if need_labels and label is None:
            raise ArgumentError.about(
                "second_level_input",
                "In case confounds are provided, first level objects need to provide the "
                "attribute 'subject_label' to match rows",
                "the model that is item "
                f"{place} does not provide it: set model.subject_label = '01'",
            )
    kind_of_model(models[0]).refuse_models_elsewhere(
        [model.subject_label for model in models], [_mask_of(model) for model in models]
    )


def _mask_of(model: FirstLevelModel) -> Any:
    """Return the mask of a model, if the model shows it."""
    return getattr(getattr(model, "masker_", None), "mask_img_", None)


def kind_of_model(model: FirstLevelModel) -> Kind:
    """Return the kind of data that a model was fitted to; volumes, if it does not show it."""
    return kind_of(_mask_of(model))
