# SPDX-License-Identifier: BSD-3-Clause
"""Least squares with weights and voxelwise covariates: on arrays, and as a model of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from groupglm import _core
from groupglm.errors import ArgumentError, ArgumentTypeError
from groupglm.models.base import AsGiven
from groupglm.models.effect_size_rules import OF_LEAST_SQUARES, OF_WEIGHTS, EffectSizeRules
from groupglm.models.image_shares import counts_of_kinds
from groupglm.models.ols import checked_design, design_of_parts
from groupglm.models.weighted_fit import WeightedFit, state_of_parts
from groupglm.runtime.array_archives import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from groupglm.models.base import Model, Rows, Values

__all__ = ["Weighted", "WeightedAccumulator", "WeightedPlan", "load_state"]

_TYPES = {
    "slots": ("float64", 2),
    "sums": ("float64", 2),
    "counts": ("int32", 2),
}


@dataclass(frozen=True, eq=False)
class WeightedAccumulator:
    """The compiled state of a weighted fit, the design whose rows it takes, and their roles."""

    state: _core.WeightedState
    design: _core.Design
    beside: tuple[str, ...]
    covariate_means: list[NDArray[np.float64]] = field(default_factory=list)
    """For each update, the mean of every image's covariates, shape (n_images, n_covariates)."""

    def __reduce__(self) -> tuple[Any, ...]:
        design = self.design.__getstate__()
        parts = (self.state.__getstate__(), design, self.beside, self.covariate_means)
        return _accumulator_of, (type(self), *parts)

    @property
    def n_missing(self) -> int:
        """Number of voxels that some row has lacked so far."""
        return self.state.n_missing

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        """Take rows, those of an image together; `first` is the number of the first of them."""
        k = 1 + len(self.beside)
        self.update_apart(first // k, [rows[role::k] for role in range(k)], n_threads)

    def update_apart(self, first: int, given: Sequence[Any], n_threads: int) -> None:
        """Take images, whose first has the number `first`: values, and what lies beside them."""
        is_weighed = self.beside[:1] in (("weight",), ("variance",))
        weights = given[1] if is_weighed else None
        covariates = given[2:] if is_weighed else given[1:]
        self.state.update(
            self.design, first, given[0], weights, list(covariates),
            self.beside[:1] == ("variance",), None, n_threads,
        )  # fmt: skip
        if covariates:
            self.covariate_means.append(np.column_stack([_means(each) for each in covariates]))

    def merge(self, other: WeightedAccumulator, n_threads: int) -> None:
        """Take what another accumulator has seen."""
        self.state.merge(other.state, n_threads)
        self.covariate_means.extend(other.covariate_means)

    def counts_of_kinds(self) -> dict[str, NDArray[np.int64]]:
        """Return how many images so far have values of a kind, as `Weighs.counts` does."""
        return counts_of_kinds(self.state)

    def select(self, places: NDArray[np.int64]) -> WeightedAccumulator:
        """Return the accumulator of some of the voxels."""
        return type(self)(
            self.state.select(places), self.design, self.beside, [*self.covariate_means]
        )


class SpreadingAccumulator(WeightedAccumulator):
    """One with weights or variances: an image has no part in a place where they are zero."""

    def spread(self, places: NDArray[np.int64], n_values: int) -> SpreadingAccumulator:
        """Return the accumulator of more places, at which all rows seen here were +0."""
        as_variances = self.beside[0] == "variance"
        state = self.state.spread(places, n_values, as_variances)
        means = [each * (len(places) / max(1, n_values)) for each in self.covariate_means]
        return SpreadingAccumulator(state, self.design, self.beside, means)


def _means(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each row over its places that have a value, 0 if none has."""
    present = ~np.isnan(rows)
    total = np.sum(rows, axis=1, dtype=np.float64, where=present)
    mean: NDArray[np.float64] = total / np.maximum(present.sum(axis=1), 1)
    return mean


def _accumulator_of(
    kind: type[WeightedAccumulator],
    state: tuple[Any, ...],
    design: tuple[Any, ...],
    beside: tuple[str, ...],
    means: list[NDArray[np.float64]],
) -> WeightedAccumulator:
    return kind(state_of_parts(state), design_of_parts(design), beside, means)


@dataclass(frozen=True)
class Weighted:
    """Least squares with a weight for each image and place, and covariates that differ by place.

    Parameters
    ----------
    weights : bool, default=False
        Whether a row of weights follows each image.
    covariates : tuple of str, default=()
        Names of the covariates, a row each after the weights.
    """

    weights: bool = False
    covariates: tuple[str, ...] = ()
    kind: ClassVar[str] = "weighted"
    keeps_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        # Settings may come from a file that anybody may have written.
        names = self.covariates
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ArgumentTypeError("covariates", f"{names!r:.80}", "names of covariates")
        if not isinstance(self.weights, bool):
            raise ArgumentTypeError("weights", f"{self.weights!r:.80}", "True or False")
        object.__setattr__(self, "covariates", tuple(names))

    @property
    def beside(self) -> tuple[str, ...]:
        """The roles of the rows that follow each image."""
        return ("weight",) * self.weights + ("covariate",) * len(self.covariates)

    @property
    def rows_per_image(self) -> int:
        """Number of rows of one image."""
        return 1 + len(self.beside)

    @property
    def effect_size_rules(self) -> EffectSizeRules:
        """Which effect sizes the model defines."""
        return OF_WEIGHTS if self.weights else OF_LEAST_SQUARES

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {"weights": self.weights, "covariates": list(self.covariates)}

    def prepare(self, X: NDArray[np.float64], column_names: tuple[str, ...]) -> WeightedPlan:
        """Factorise a design, and refuse or report what cannot be fitted well."""
        names = check_names(column_names, self.covariates)
        design = checked_design(X, column_names, n_covariates=len(self.covariates))
        return WeightedPlan(X, names, design, self)

    def load(
        self,
        X: NDArray[np.float64],
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> WeightedFit:
        """Make a fit of the arrays of its state, which a file held."""
        k = len(self.covariates)
        if column_names[len(column_names) - k :] != self.covariates:
            raise ValueError(f"its last columns are not its covariates {list(self.covariates)}")
        parts = load_state(X, column_names, arrays, n_values=n_values, n_covariates=k)
        return WeightedFit(parts.X, column_names, n_threads, self, parts.state, parts.design)


def check_names(column_names: tuple[str, ...], covariates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all columns; no covariate may have the name of another column."""
    for number, name in enumerate(covariates):
        if name in column_names or name in covariates[:number]:
            raise ArgumentError(
                "covariates",
                f"a covariate called {name!r}, which is the name of another column",
                remedy="give it a name of its own",
                verb="holds",
            )
    return (*column_names, *covariates)


@dataclass(frozen=True, eq=False)
class LoadedState:
    """A state from a file, with its design and the design matrix, covariates' means included."""

    X: NDArray[np.float64]
    state: _core.WeightedState
    design: _core.Design


def load_state(
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    *,
    n_values: int,
    n_covariates: int = 0,
) -> LoadedState:
    """Return the state in the arrays of a file; KeyError or ValueError if they do not fit."""
    own = {name: arrays[name] for name in _TYPES}
    for name, array in own.items():
        check_type(name, array, *_TYPES[name])
    means = arrays["covariate_means"] if n_covariates else np.empty((len(X), 0))
    check_type("covariate_means", means, "float64", 2)
    p = len(column_names) - n_covariates
    if p < 1 or X.shape[1] < p or means.shape != (len(X), n_covariates):
        raise ValueError("its covariates do not fit its design")
    matrix = np.ascontiguousarray(X[:, :p])
    design = _core.Design(matrix)
    parts = (own["slots"], own["sums"], own["counts"])
    state = state_of_parts((len(X), design.n_working, n_covariates, *parts))
    if state.n_voxels != n_values:
        raise ValueError(f"its state does not fit the {n_values} voxels of its mask")
    whole = np.column_stack([matrix, means])
    whole.setflags(write=False)
    return LoadedState(whole, state, design)


@dataclass(frozen=True, eq=False)
class WeightedPlan(AsGiven):
    """A factorised design, and the model whose rows lie beside the images."""

    X: NDArray[np.float64]
    column_names: tuple[str, ...]
    design: _core.Design
    model: Model

    def __reduce__(self) -> tuple[Any, ...]:
        # As arrays: a worker's processor may run the compiled core of another level.
        parts = (self.X, self.column_names, self.design.__getstate__(), self.model)
        return _plan_of, (type(self), *parts)

    @property
    def n_covariates(self) -> int:
        """Number of voxelwise covariates."""
        return self.model.beside.count("covariate")

    @property
    def rank(self) -> int:
        """Rank of the design with its covariates, where they vary."""
        return self.design.rank + self.n_covariates

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of two states; missing values take none."""
        del n_missing
        m = self.design.n_working + self.n_covariates
        slots = 2 * m + 1 + m * (m - 1) // 2
        means = 2 * 8 * len(self.X) * self.n_covariates
        return 2 * (8 * slots + 8 * 4 + 4 * 5) * n_values + means

    def part(self, first: int, count: int) -> WeightedPlan:
        """Return the plan of some of the images."""
        X = self.X[first : first + count]
        return type(self)(X, self.column_names, self.design.rows(first, count), self.model)

    def accumulator(self, n_values: int, n_threads: int = 1) -> WeightedAccumulator:
        """Return an empty one."""
        state = _core.WeightedState(self.design.n_working, self.n_covariates, n_values, n_threads)
        beside = self.model.beside
        spreads = beside[:1] in (("weight",), ("variance",))
        kind = SpreadingAccumulator if spreads else WeightedAccumulator
        return kind(state, self.design, beside)

    def mean(
        self, accumulator: Any, n_threads: int
    ) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
        """Return the mean of the images, zeros outside them included, and how many there are."""
        del n_threads
        counts = accumulator.state.counts
        n_present, n_outside = counts[0].astype(np.int64), counts[2]
        total = n_present + n_outside
        mean = accumulator.state.sums[0] / np.where(total > 0, total, np.nan)
        return mean, n_present

    def matrix(self, accumulator: WeightedAccumulator) -> NDArray[np.float64]:
        """Return the design with the means of the covariates as its last columns."""
        if not self.n_covariates:
            return self.X
        whole = np.column_stack([self.X, np.concatenate(accumulator.covariate_means)])
        whole.setflags(write=False)
        return whole

    def finish(self, accumulator: Any, n_threads: int, rows: Rows | None = None) -> WeightedFit:
        """Return the fit to the rows of all images."""
        del rows  # the state is enough
        X = self.matrix(accumulator)
        state = accumulator.state
        return WeightedFit(X, self.column_names, n_threads, self.model, state, self.design)


def _plan_of(
    kind: type[WeightedPlan],
    X: NDArray[np.float64],
    column_names: tuple[str, ...],
    design: tuple[Any, ...],
    model: Model,
) -> WeightedPlan:
    return kind(X, column_names, design_of_parts(design), model)
