# SPDX-License-Identifier: BSD-3-Clause
"""Ordinary least squares with a variance for each group of images: `UnequalVariances`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.models.base import AsGiven
from groupglm.models.effect_size_rules import OF_UNEQUAL, EffectSizeRules
from groupglm.models.ols import OLS, OlsAccumulator, OlsPlan
from groupglm.models.unequal_fit import UnequalFit
from groupglm.models.variance_groups import GroupDesign, design_groups, group_designs
from groupglm.runtime.naming import listed
from groupglm.tabular.group_labels import label_texts, refuse_no_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from groupglm.models.base import Rows, Values

__all__ = ["UnequalVariances"]


@dataclass(frozen=True, eq=False, repr=False)
class UnequalVariances:
    r"""Linear model whose images have a variance for each group, as in Welch's test.

    Parameters
    ----------
    groups : array_like of labels, shape (n_images,), or pandas.Series, optional
        The group of each image. A Series is matched by subject label. By default, groups are those
        that the design separates by itself: no column is other than zero in images of two groups.

    See Also
    --------
    MixedEffects : Groups whose variance between subjects differs, beside first-level variances.

    Notes
    -----
    The groups may share no coefficient: the design must be the groups' designs side by side,
    however it is coded (a 0/1 column for each group, or an intercept and a 0/1 column). The
    coefficients are those of ordinary least squares. Let :math:`s_g^2` be the residual variance of
    group g, with :math:`f_g` degrees of freedom, and let the contrast be the sum of contrasts
    :math:`c_g` of the groups' own designs.

    - One row has the variance :math:`V = \sum V_g`,
      :math:`V_g = s_g^2 c_g'(X_g'X_g)^-c_g`, and :math:`t = c'\hat\beta / \sqrt V` with
      :math:`V^2 / \sum V_g^2/f_g` degrees of freedom (Welch 1947; Satterthwaite 1946), a number
      for each voxel. For two groups without covariates this is Welch's t test.
    - Several rows of rank m have the Welch-James statistic
      :math:`T = (C\hat\beta)'V^{-1}C\hat\beta`. With :math:`K_g = V^{-1/2}V_gV^{-1/2}`,
      :math:`P = \sum \mathrm{tr}(K_g^2)/f_g` and :math:`Q = \sum (\mathrm{tr} K_g)^2/f_g`,
      :math:`F = T/c` with :math:`c = m + 2P - 2(2P+Q)/(m+2)` has m and
      :math:`m(m+2)/(2P+Q)` degrees of freedom. These two numbers make the distribution of F right
      to first order in :math:`1/f_g` (James 1951; Johansen 1980, whose covariance matrices here
      have one unknown each). For means of groups, F is that of Welch's (1951) analysis of variance.

    The permutation test with `variance_groups` uses v for one row, which is t, and G for several
    (Winkler et al. 2014, NeuroImage 92, 381-397), which is T divided by another constant near m;
    for the means of all groups, G is F.

    Examples
    --------
    >>> import nibabel as nib, numpy as np, pandas as pd
    >>> from groupglm import SecondLevelModel, UnequalVariances
    >>> rng = np.random.default_rng(0)
    >>> brain = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    >>> spread = [1.0] * 12 + [5.0] * 8
    >>> images = [nib.Nifti1Image(sd * rng.standard_normal((4, 4, 4)), np.eye(4)) for sd in spread]
    >>> design = pd.DataFrame({"intercept": 1.0, "patient": [0.0] * 12 + [1.0] * 8})
    >>> model = SecondLevelModel(brain, model=UnequalVariances(design["patient"]))
    >>> result = model.fit(images, design_matrix=design).results_.contrast([0, 1])
    >>> result.degrees
    't(7.1 to 10.9)'
    """

    groups: ArrayLike | None = None
    kind: ClassVar[str] = "unequal variances"
    beside: ClassVar[tuple[str, ...]] = ()
    rows_per_image: ClassVar[int] = 1
    keeps_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        refuse_no_labels(self.groups, "groups")

    def __repr__(self) -> str:
        if self.groups is None:
            return "UnequalVariances()"
        counts = Counter(map(str, np.ravel(np.asarray(self.groups, dtype=object)).tolist()))
        labels = listed([f"{n} {name!r}" for name, n in counts.items()])
        return f"UnequalVariances(groups=<{labels}>)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnequalVariances) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(str(self.settings()))

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_UNEQUAL

    def settings(self) -> dict[str, Any]:
        """Return the settings by name.

        Returns
        -------
        dict
            "groups": a list of one text an image, or None.
        """
        if self.groups is None:
            return {"groups": None}
        return {"groups": list(label_texts(self.groups, len(np.asarray(self.groups)), "groups"))}

    def for_images(self, align: Callable[[Any, str], Any]) -> UnequalVariances:
        """Return the model with one label for each image.

        Parameters
        ----------
        align : callable
            Takes the labels and the argument's name; returns labels in the order of the images.

        Returns
        -------
        UnequalVariances
            The model itself if it has no labels.
        """
        return self if self.groups is None else replace(self, groups=align(self.groups, "groups"))

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> UnequalPlan:
        """Check a design, and split it into groups.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix, C-ordered and finite.
        column_names : tuple of str
            Names of its columns.

        Returns
        -------
        UnequalPlan
            The plan of a fit.

        Raises
        ------
        ValueError
            If the design does not separate the groups, or a group is too small for a variance.

        Warns
        -----
        groupglm.errors.RankDeficientWarning
            If columns are linearly dependent.
        """
        design = OLS.prepare(X, column_names).design
        model, groups = self._split(X, column_names)
        designs = tuple(_core.Design(group.X) for group in groups)
        return UnequalPlan(model, X, column_names, groups, design, designs, 0, len(X))

    def _split(
        self, X: NDArray[np.float64], column_names: tuple[str, ...]
    ) -> tuple[UnequalVariances, tuple[GroupDesign, ...]]:
        if self.groups is None:
            labels = design_groups(X, column_names, argument="groups")
            return self, group_designs(labels, X, column_names, argument="groups")
        labels = label_texts(self.groups, len(X), "groups")
        groups = group_designs(labels, X, column_names, argument="groups")
        return UnequalVariances(labels), groups

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> UnequalFit:
        """Make a fit of the arrays of its states, which a file held.

        Parameters
        ----------
        X : array, shape (n_images, n_columns)
            The design matrix.
        column_names : tuple of str
            Names of its columns.
        arrays : mapping of str to array
            What `UnequalFit.arrays` returned.
        n_values : int
            Number of voxels.
        n_threads : int
            Number of threads; 0 means all.

        Returns
        -------
        UnequalFit
            Equal to the one that was saved.
        """
        model, groups = self._split(X, column_names)
        states = []
        for number, group in enumerate(groups):
            own = {
                name.removeprefix(f"group{number}_"): array
                for name, array in arrays.items()
                if name.startswith(f"group{number}_")
            }
            names = tuple(column_names[column] for column in group.columns)
            fit = OLS.load(group.X, names, own, n_values=n_values, n_threads=n_threads)
            states.append(OlsAccumulator(fit._state, fit._design))
        return UnequalFit(model, X, column_names, n_threads, groups, tuple(states), _core.Design(X))


class UnequalAccumulator:
    """The state of each group; a group's rows are those of its images among all.

    Parameters
    ----------
    groups : tuple of (array of int, int)
        For each group the numbers of its images, and the place in its design of the first of them.
    states : tuple of OlsAccumulator
        The groups' states.
    """

    def __init__(
        self, groups: tuple[tuple[NDArray[np.int64], int], ...], states: tuple[OlsAccumulator, ...]
    ) -> None:
        self.groups = groups
        self.states = states

    @property
    def n_missing(self) -> int:
        """Number of voxels that some row has lacked so far."""
        lacking = [own.state.misses() for own in self.states if own.state.has_missing]
        return int(np.count_nonzero(np.any(lacking, axis=0))) if lacking else 0

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        """Add rows; `first` is the number of the first of them."""
        infinite = []
        for (numbers, start), own in zip(self.groups, self.states, strict=True):
            begin, end = np.searchsorted(numbers, [first, first + len(rows)])
            if begin == end:
                continue
            chosen = numbers[begin:end] - first
            try:
                own.update(start + int(begin), rows[chosen], n_threads)
            except _core.InfiniteValueError as error:
                row, count = error.args
                infinite.append((int(chosen[row]), count))
        if infinite:
            raise _core.InfiniteValueError(*min(infinite))

    def merge(self, other: UnequalAccumulator, n_threads: int) -> None:
        """Add the rows of another accumulator, which follow the rows of this one."""
        for own, theirs in zip(self.states, other.states, strict=True):
            own.merge(theirs, n_threads)

    def select(self, places: NDArray[np.int64]) -> UnequalAccumulator:
        """Return the accumulator of some of the voxels."""
        return UnequalAccumulator(self.groups, tuple(own.select(places) for own in self.states))

    def spread(self, places: NDArray[np.int64], n_values: int) -> UnequalAccumulator:
        """Return the accumulator of more voxels, at which all rows added so far were +0."""
        spread = tuple(own.spread(places, n_values) for own in self.states)
        return UnequalAccumulator(self.groups, spread)


@dataclass(frozen=True, eq=False)
class UnequalPlan(AsGiven):
    """A design split into groups, of which the images `first` to `first + count` are read.

    Parameters
    ----------
    model : UnequalVariances
        The model, with one label an image.
    X : array, shape (n_images, n_columns)
        The whole design.
    column_names : tuple of str
        Names of its columns.
    groups : tuple of GroupDesign
        The groups.
    design : groupglm._core.Design
        The whole design, factorised.
    designs : tuple of groupglm._core.Design
        Those of the groups.
    first, count : int
        The images that this plan's accumulators are filled with.
    """

    model: UnequalVariances
    X: NDArray[np.float64]
    column_names: tuple[str, ...]
    groups: tuple[GroupDesign, ...]
    design: _core.Design
    designs: tuple[_core.Design, ...]
    first: int
    count: int

    def __reduce__(self) -> tuple[Any, ...]:
        # As arrays: a worker's processor may run the compiled core of another level.
        return _plan_of, (self.model, self.X, self.column_names, self.groups, self.first,
                          self.count)  # fmt: skip

    @property
    def rank(self) -> int:
        """Rank of the design."""
        return self.design.rank

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of two states for each group; see `OlsPlan.bytes`.

        A voxel that some image lacks is counted as if an image of every group lacked it.
        """
        parts = zip(self.groups, self.designs, strict=True)
        plans = [OlsPlan(group.X, (), design) for group, design in parts]
        return sum(plan.bytes(n_values, n_missing) for plan in plans)

    def part(self, first: int, count: int) -> UnequalPlan:
        """Return the plan of some of the images."""
        return replace(self, first=self.first + first, count=count)

    def accumulator(self, n_values: int) -> UnequalAccumulator:
        """Return an empty one."""
        own = []
        for group in self.groups:
            begin, end = np.searchsorted(group.rows, [self.first, self.first + self.count])
            own.append((group.rows[begin:end] - self.first, int(begin)))
        states = tuple(
            OlsAccumulator(_core.OlsState(design.n_working, n_values), design)
            for design in self.designs
        )
        return UnequalAccumulator(tuple(own), states)

    def mean(
        self, accumulator: Any, n_threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
        """Return the mean of the images, and how many have each voxel."""
        fit = self.finish(accumulator, n_threads)
        mean = fit.mean
        return mean, np.broadcast_to(fit.n_observations, mean.shape)

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> UnequalFit:
        """Return the fit to the rows of all images."""
        del rows  # the states are enough
        return UnequalFit(
            self.model,
            self.X,
            self.column_names,
            n_threads,
            self.groups,
            accumulator.states,
            self.design,
        )


def _plan_of(
    model: UnequalVariances,
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
    groups: tuple[GroupDesign, ...],
    first: int,
    count: int,
) -> UnequalPlan:
    designs = tuple(_core.Design(group.X) for group in groups)
    return UnequalPlan(model, X, column_names, groups, _core.Design(X), designs, first, count)
