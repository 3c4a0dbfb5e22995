# SPDX-License-Identifier: BSD-3-Clause
"""The result of a fit by mixed effects: `MixedFit`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import numpy as np

from groupglm.models.base import Model, by_arrays
from groupglm.models.contrast_result import ContrastResult
from groupglm.models.fixed import FixedFit
from groupglm.models.image_shares import PRESENT
from groupglm.models.mixed_words import estimator_in_short, words_of_mixed
from groupglm.models.variance_groups import mean_of_groups
from groupglm.runtime.naming import listed
from groupglm.runtime.rounding import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.arguments import StatType
    from groupglm.models.variance_groups import GroupDesign
    from groupglm.models.words import Words

__all__ = ["FEW_DF", "LARGE_RATIO", "Heterogeneity", "MixedContrastResult", "MixedFit"]

Floats: TypeAlias = "NDArray[np.float64]"

FEW_DF, LARGE_RATIO = 5, 100
"""Below so many degrees of freedom, and above such a ratio of variances, no test keeps its level.

Knapp-Hartung's errs less than the others.
"""


class _MixedModel(Model, Protocol):
    """The settings of a model of mixed effects that its fit needs."""

    @property
    def tau2(self) -> str | float: ...

    @property
    def test(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """What is known of the differences between images, beside the final state.

    Parameters
    ----------
    tau2 : array, shape (n_groups, n_voxels)
        The variance between images; NaN where a group has no more images than coefficients.
    typical_variance : array, shape (n_groups, n_voxels)
        The typical variance of a single image, (n - p) / tr P at a tau2 of 0.
    q : array, shape (n_voxels,)
        Cochran's Q.
    variance_ratio : array, shape (n_voxels,)
        The largest over the smallest variance of an image.
    n_present : array of int, shape (n_voxels,)
        Number of images with data.
    """

    tau2: Floats
    typical_variance: Floats
    q: Floats
    variance_ratio: Floats
    n_present: NDArray[np.int32]

    TYPES: ClassVar[dict[str, tuple[str, int]]] = {
        "tau2": ("float64", 2),
        "typical_variance": ("float64", 2),
        "q": ("float64", 1),
        "variance_ratio": ("float64", 1),
        "n_present": ("int32", 1),
    }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def select(self, places: NDArray[np.int64]) -> Heterogeneity:
        """Return what is known of some of the places."""
        return Heterogeneity(**{name: own[..., places] for name, own in self.arrays().items()})


def check_heterogeneity(
    found: Mapping[str, NDArray[Any]], tau2: str | float, n_present: NDArray[np.int32]
) -> None:
    """Refuse what a file says of the differences between images and no fit can say."""
    for name in ("tau2", "typical_variance", "q", "variance_ratio"):
        if (found[name] < 0).any():
            raise ValueError(f"{name} is negative at some places")
    known = found["tau2"][~np.isnan(found["tau2"])]
    if not isinstance(tau2, str) and (known != tau2).any():
        raise ValueError(f"tau2 is not {tau2:g} everywhere, as its settings say")
    if (found["n_present"] != n_present).any():
        raise ValueError("n_present is not the number of images that its state has counted")


@dataclass(frozen=True, eq=False, repr=False)
class MixedContrastResult(ContrastResult):
    """The statistics of a contrast at every voxel, by mixed effects.

    Parameters
    ----------
    effect_size, effect_variance, stat, p_value, z_score, stat_type, df, null_value
        As in `ContrastResult`.
    tau2 : array, shape (n_voxels,), or (n_groups, n_voxels) with variance groups
        The variance between images.
    """

    tau2: Floats


@dataclass(frozen=True, eq=False, repr=False)
class MixedFit(FixedFit):
    """A fit by mixed effects at every voxel; made by `fit_mixed`.

    Weights are 1 / (variance of the image + tau2). It keeps only the state, a few numbers per
    voxel. Most attributes are computed from the state, in compiled code, every time that you use
    them. In a loop, use a variable that holds the attribute.

    Parameters
    ----------
    X : array, shape (n_images, n_columns)
        The design matrix.
    column_names : tuple of str
        Names of its columns.
    n_threads : int
        Number of threads for what is computed later; 0 means all.
    model : groupglm.MixedEffects
        The model.
    groups : tuple of GroupDesign
        The groups with a tau2 each; none if all images have the same.
    """

    model: _MixedModel = field(repr=False)
    _heterogeneity: Heterogeneity | None = field(repr=False)
    """None with a tau2 of 0: all of it then follows from the state."""
    groups: tuple[GroupDesign, ...] = field(default=(), repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the compiled object itself: a processor of another level has another compiled module.
        return by_arrays(self, self.n_voxels)

    def described(self, places: str) -> str:
        """Say what was fitted, in numbers.

        Parameters
        ----------
        places : str
            What places are called, such as ``"voxels"``.

        Returns
        -------
        str
            Numbers of images, places and degrees of freedom, and the columns.
        """
        names = self.column_names
        freedom = (
            "" if self.model.test == "z" else f"{span(self._residual_freedom)} degrees of freedom, "
        )
        return (
            f"{len(self.X):,} images, mixed effects ({estimator_in_short(self.model.tau2)}): "
            f"{self.n_voxels:,} {places}, "
            f"{freedom}{'column' if len(names) == 1 else 'columns'} {listed(names)}"
        )

    def select(self, places: NDArray[np.int64]) -> MixedFit:
        """Return the fit at some of the voxels, in their order.

        Parameters
        ----------
        places : array of int, shape (n_places,)
            Numbers of voxels.

        Returns
        -------
        MixedFit
            Its state is a copy.
        """
        own = None if self._heterogeneity is None else self._heterogeneity.select(places)
        return replace(self, _state=self._state.select(places), _heterogeneity=own)

    @property
    def tau2(self) -> Floats:
        """The variance between images beside their own, in squared units of the data.

        Shape (n_voxels,), or (n_groups, n_voxels) with variance groups, in the order of `groups`.
        NaN where the images, or those of the group, are no more than the coefficients.
        """
        if self._heterogeneity is None:
            return np.zeros(self.n_voxels)
        tau2 = self._heterogeneity.tau2
        return tau2 if self.groups else tau2[0]

    @property
    def share_at_zero(self) -> float:
        """The share of the voxels, and groups, at which tau2 is 0; NaN if it is nowhere known."""
        known = self.tau2[~np.isnan(self.tau2)]
        return float(np.mean(known == 0)) if known.size else float("nan")

    @property
    def i_squared(self) -> Floats:
        """The share of the variance of the images that is between them, in percent: I2.

        100 tau2 / (tau2 + s2), with s2 the typical variance of an image. Shaped as `tau2`; with
        variance groups that of each group.
        """
        tau2, own = self.tau2, self._typical_variance
        share: Floats = np.where(tau2 == 0, 0.0, 100 * (tau2 / (tau2 + own)))
        return share

    @property
    def h_squared(self) -> Floats:
        """The total over the typical variance of an image, tau2 / s2 + 1: H2. Shaped as `tau2`."""
        tau2 = self.tau2
        ratio: Floats = np.where(tau2 == 0, 1.0, tau2 / self._typical_variance + 1.0)
        return ratio

    @property
    def _typical_variance(self) -> Floats:
        if self._heterogeneity is None:
            return np.full(self.n_voxels, np.nan)
        own = self._heterogeneity.typical_variance
        return own if self.groups else own[0]

    @property
    def q(self) -> Floats:
        """Cochran's Q: the weighted residual sum of squares of fixed effects, shape (n_voxels,)."""
        return super().q if self._heterogeneity is None else self._heterogeneity.q

    @property
    def n_observations(self) -> int | NDArray[np.int64]:
        """Number of images with data: one number, or (n_voxels,) if any image lacks a voxel."""
        if self._heterogeneity is None:
            return super().n_observations
        n = self._heterogeneity.n_present
        return len(self.X) if (n == len(self.X)).all() else n.astype(np.int64)

    @property
    def df_residual(self) -> float | NDArray[Any]:
        """Residual degrees of freedom, n - rank, or infinite if the test is "z"."""
        return np.inf if self.model.test == "z" else self._residual_freedom

    @property
    def variance_ratio(self) -> Floats:
        """The largest over the smallest variance of a voxel, shape (n_voxels,); NaN without any."""
        known = self._heterogeneity
        return super().variance_ratio if known is None else known.variance_ratio

    @property
    def errs(self) -> NDArray[np.bool_]:
        """Where the images are too few and too unequal for any test, shape (n_voxels,).

        Nowhere if tau2 is known and the test is "z", which is exact then.
        """
        if self.model.test == "z" and not isinstance(self.model.tau2, str):
            return np.zeros(self.n_voxels, np.bool_)
        df = np.asarray(self._residual_freedom)
        few: NDArray[np.bool_] = (df > 0) & (df < FEW_DF) & (self.variance_ratio > LARGE_RATIO)
        return few

    @property
    def _inference(self) -> tuple[str, str]:
        return _INFERENCE[self.model.test]

    def contrast(
        self, contrast: ArrayLike, *, stat_type: StatType | None = None
    ) -> MixedContrastResult:
        """Test a contrast of the coefficients at every voxel, by the test of the model.

        Parameters
        ----------
        contrast : array_like, shape (n_columns,) or (n_rows, n_columns)
            A vector gives a t statistic, and a matrix an F statistic of its rows together. With
            test "z" these are z, and chi-square over its degrees of freedom.
        stat_type : {"t", "F"}, optional
            The statistic, if it should be another one: "F" of a vector, "t" of a matrix of one row.

        Returns
        -------
        MixedContrastResult
            Effects, statistics, p-values, z-scores and tau2. All but tau2 are NaN at a voxel whose
            images cannot estimate the contrast.

        Raises
        ------
        ValueError
            If the contrast has the wrong shape, is zero or not finite, or `stat_type` does not fit.
        groupglm.errors.NotEstimableError
            If no voxel can estimate it.
        """
        found = super().contrast(contrast, stat_type=stat_type)
        own = {each.name: getattr(found, each.name) for each in fields(found)}
        return MixedContrastResult(**own, tau2=self.tau2)

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        """Return what computes each map of the fit itself, by name.

        Returns
        -------
        mapping of str to callable
            "tau2", "i_squared" and "h_squared", with variance groups each followed by an underscore
            and the group's name; "q" and "q_p_value".
        """
        own: dict[str, Callable[[], Floats]] = {}
        for name in ("tau2", "i_squared", "h_squared"):
            if not self.groups:
                own[name] = partial(getattr, self, name)
            for number, group in enumerate(self.groups):
                own[f"{name}_{group.name}"] = partial(_row_of, self, name, number)
        return own | {"q": lambda: self.q, "q_p_value": lambda: self.q_p_value}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name, for a file.

        Returns
        -------
        dict of array
            "slots", "sums" and "counts" of the final state; "tau2" and "typical_variance", shape
            (n_groups, n_voxels); "q", "variance_ratio" and "n_present", shape (n_voxels,).
        """
        known = self._heterogeneity
        if known is None:
            known = Heterogeneity(
                tau2=self.tau2[np.newaxis],
                typical_variance=self._typical_variance[np.newaxis],
                q=self.q,
                variance_ratio=self.variance_ratio,
                n_present=self._state.counts[PRESENT].copy(),
            )
        return super().arrays() | known.arrays()

    def standardiser(self, contrast: Floats) -> Floats:
        """Return what Cohen's d divides by: the root of tau2 and the typical variance of an image.

        Parameters
        ----------
        contrast : array, shape (n_columns,) or (1, n_columns)
            With variance groups, the mean of the groups on which it depends is taken.

        Returns
        -------
        array, shape (n_voxels,)
            In units of the data.
        """
        total = self.tau2 + self._typical_variance
        return np.sqrt(mean_of_groups(self.groups, self._design, contrast, total))

    def words(self) -> Words:
        """Return how a report speaks of the method.

        Returns
        -------
        Words
            A plain phrase, one with its sources, and the references.
        """
        names = tuple(group.name for group in self.groups)
        return words_of_mixed(self.model.tau2, self.model.test, names)

    def _tau2_of_images(self) -> Floats:
        """Return the tau2 of every image, shape (n_images, n_voxels)."""
        tau2 = self.tau2
        if not self.groups:
            return np.broadcast_to(tau2, (len(self.X), self.n_voxels))
        number = np.zeros(len(self.X), dtype=np.int64)
        for at, group in enumerate(self.groups):
            number[group.rows] = at
        return tau2[number]


# By test: what the variances are scaled by, and the degrees of freedom.
_INFERENCE = {
    "knapp-hartung": ("residual", "residual"),
    "knapp-hartung-conservative": ("residual at least one", "residual"),
    "t": ("one", "residual"),
    "z": ("one", "infinite"),
}


def _row_of(fit: MixedFit, name: str, number: int) -> Floats:
    row: Floats = getattr(fit, name)[number]
    return row
