# SPDX-License-Identifier: BSD-3-Clause
"""What a permutation test needs to know of the model of a fit: `RearrangedModel`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.errors import ArgumentError
from groupglm.inference.permutation.partition import Partition, partition
from groupglm.inference.permutation.present_images import ImageRows
from groupglm.inference.permutation.subject_effects import Kind, effect_kind, subject_degrees
from groupglm.messages import argument, either
from groupglm.models.ols import OLS
from groupglm.models.subject_rows import numbered
from groupglm.models.variance_groups import design_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.inference.permutation.options import PermutationOptions
    from groupglm.models.base import Model

    Floats = NDArray[np.float64]

__all__ = ["RearrangedModel", "check_combination", "rearranged_model"]

_WITH_TAU2 = ("fixed effects", "mixed effects")
_UNEQUAL = "unequal variances"
_REPEATED = "repeated measures"
_VOXELWISE = ("weight", "covariate")


@dataclass(frozen=True, eq=False)
class RearrangedModel:
    """A model, its design and the contrast that is tested.

    Parameters
    ----------
    kind : str
        The kind of the model.
    settings : mapping
        Its settings by name.
    rows : ImageRows
        The rows of an image.
    X : array, shape (n_images, n_columns)
        The columns that all places share.
    contrast : array, shape (n_rows, n_columns + n_covariates)
        The contrast, over the covariates too.
    groups : sequence of labels, optional
        The groups of images whose variances differ, one label an image.
    """

    kind: str
    settings: Mapping[str, Any]
    rows: ImageRows
    X: Floats
    contrast: Floats
    groups: Any = None
    parts: Partition = field(init=False)
    """The split of a design into effect and nuisance.

    Values in general position stand for the covariates, which differ from place to place: what does
    not depend on the values, such as the degrees of freedom and whether the null hypothesis leaves
    the mean free, is right for nearly all.
    """

    def __post_init__(self) -> None:
        n, p = self.X.shape
        standing_for = np.random.default_rng(0).standard_normal((n, self.contrast.shape[1] - p))
        design = np.concatenate([self.X, standing_for], axis=1)
        object.__setattr__(self, "parts", partition(design, self.contrast))

    @property
    def has_variances(self) -> bool:
        """Whether each value has a variance of its own: fixed and mixed effects."""
        return self.kind in _WITH_TAU2

    @property
    def is_voxelwise(self) -> bool:
        """Whether each place has weights or columns of its own."""
        return any(role in _VOXELWISE for role in self.rows.beside)

    @property
    def is_unequal(self) -> bool:
        """Whether it has groups of images with unequal variances, and no more."""
        return self.kind == _UNEQUAL

    @property
    def groups_argument(self) -> str:
        """What the argument is called that `groups` come from."""
        return "groups" if self.is_unequal else "variance_groups"

    @property
    def is_repeated(self) -> bool:
        """Whether there are several images of a subject."""
        return self.kind == _REPEATED

    @property
    def is_bootstrapped(self) -> bool:
        """Whether the test is a wild bootstrap, which flips the signs of subjects' residuals."""
        return self.is_repeated and self.settings["covariance"] == "sandwich"

    @cached_property
    def subjects(self) -> NDArray[np.int64]:
        """The number of each image's subject, if there are several images of one."""
        return numbered(self.settings["subjects"])

    @cached_property
    def effect_kind(self) -> Kind:
        """Whether the tested effect is one within subjects, one between them, or both."""
        tested = self.X[:, np.any(self.contrast != 0, axis=0)]
        return effect_kind(self.parts, tested, self.subjects)

    def subject_degrees(self, present: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return degrees of freedom by the images of each pattern, (n_patterns, n_images)."""
        return subject_degrees(self.parts, self.effect_kind, self.subjects, present)

    @property
    def permutes_columns(self) -> bool:
        """Whether permutations are of the tested columns, rather than of residuals."""
        return self.has_variances

    @property
    def df(self) -> float:
        """Degrees of freedom of the statistic at a complete place."""
        if self.has_variances and self.settings.get("test", "z") == "z":
            return np.inf
        if self.is_repeated:
            whole = np.ones((1, self.parts.n_images), dtype=bool)
            return float(self.subject_degrees(whole)[0])
        return self.parts.df_residual

    def facts(self) -> Any:
        """Return what a null distribution depends on of the model; None for least squares."""
        if self.kind == OLS.kind and not self.rows.beside:
            return None
        return self.kind, sorted(self.settings.items(), key=lambda item: item[0]), self.rows.beside


def check_combination(model: Model, options: PermutationOptions, *, has_groups: bool) -> None:
    """Refuse a model without a permutation test, or options that are not for the model."""
    beside = tuple(model.beside)
    known = (OLS.kind, *_WITH_TAU2, _UNEQUAL, _REPEATED)
    if model.kind not in known and not any(role in _VOXELWISE for role in beside):
        raise ArgumentError.about(
            "model",
            f"the model {model.kind!r} has no permutation test: permutations are of "
            f"{', '.join(map(repr, known))}, and would test another statistic than its contrast "
            "does",
        )
    if model.kind == OLS.kind and not beside:
        return
    if model.kind == _REPEATED:
        _check_repeated(model.settings())
    called = f"model is {model.kind!r}" + (f" with {beside[0]}s" if model.kind == OLS.kind else "")
    if has_groups:
        raise ArgumentError.about(
            "variance_groups",
            "variance_groups are for ordinary least squares without weights and covariates by "
            f"voxel, but {called}",
            "give them to the model, as MixedEffects(variance_groups=...) or "
            "UnequalVariances(groups=...)",
        )
    if options.method != "freedman-lane":
        raise ArgumentError.about(
            "method",
            f"method={options.method!r} is for ordinary least squares without weights and "
            f"covariates by voxel, but {called}",
            "leave it out",
        )


def _check_repeated(settings: Mapping[str, Any]) -> None:
    if settings["covariance"] == "nested":
        raise ArgumentError.about(
            "covariance",
            "the covariance 'nested' has no permutation test, because its variances would have to "
            "be estimated from all images for each permutation",
            "give " + argument("covariance", "random intercept") + ", and the families as "
            "exchangeability_blocks with "
            + argument("block_permutation", "whole")
            + ", or "
            + argument("covariance", "sandwich")
            + " with the families as subjects",
        )
    if settings["groups"] is not None:
        raise ArgumentError.about(
            "groups",
            "a sandwich with the same covariance within groups has no wild bootstrap",
            either(
                "leave groups out of RepeatedMeasures",
                "leave " + argument("sandwich_groups") + " out",
            ),
        )


def rearranged_model(
    model: Model,
    X: Floats,
    contrast: Floats,
    column_names: tuple[str, ...],
    options: PermutationOptions,
) -> RearrangedModel:
    """Return the model as a test needs it; refuse a model or options without a test.

    Shapes: `X` (n_images, n_columns + n_covariates), `contrast` (n_rows, ...).
    """
    check_combination(model, options, has_groups=options.variance_groups is not None)
    rows, settings = ImageRows(tuple(model.beside)), model.settings()
    groups = None
    if model.kind != _REPEATED:
        groups = settings.get("variance_groups", settings.get("groups"))
    if model.kind == _UNEQUAL and groups is None:
        groups = design_groups(X, column_names, argument="groups")
    if model.kind == OLS.kind:
        groups = options.variance_groups
    n_shared = X.shape[1] - sum(role == "covariate" for role in rows.beside)
    shared = np.ascontiguousarray(X[:, :n_shared])
    return RearrangedModel(model.kind, settings, rows, shared, np.atleast_2d(contrast), groups)
