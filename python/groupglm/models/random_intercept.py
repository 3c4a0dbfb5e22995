# SPDX-License-Identifier: BSD-3-Clause
"""A random intercept of each subject, as a model of the engine: its accumulator and its plan.

The images of a subject are rotated as they are read, one by one, so that no row is kept:
`cpp/include/groupglm/models/repeated_state.hpp`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm import _core
from groupglm.design.collinearity import quote_names
from groupglm.errors import ArgumentError, in_quotes
from groupglm.messages import argument
from groupglm.models.known_variances import SMALLEST_SHARE, n_varying, of_no_residual
from groupglm.models.ols import STATE_TYPES, checked_design, design_of_parts
from groupglm.models.random_intercept_fit import STATE_NAMES, RandomInterceptFit
from groupglm.runtime.array_archives import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from groupglm.models.base import Rows, Values
    from groupglm.models.repeated import RepeatedMeasures
    from groupglm.models.subject_rows import SubjectRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["RandomInterceptPlan", "RepeatedAccumulator", "load", "prepare"]


@dataclass(frozen=True, eq=False)
class RepeatedAccumulator:
    """The compiled state, and the design and the visits whose rows it takes."""

    state: _core.RepeatedState
    design: _core.Design
    visit: Integers
    size: Integers

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.state.__getstate__(), self.design.__getstate__(), self.visit, self.size)
        return _accumulator_of, parts

    @property
    def n_missing(self) -> int:
        """Number of voxels that some row has lacked so far."""
        return self.state.n_missing

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        """Add rows; `first` is the number of the first of them, in the order of reading."""
        try:
            self.state.update(self.design, self.visit, self.size, first, rows, n_threads)
        except OverflowError:
            raise ArgumentError.about(
                "second_level_input",
                "an image has values beyond 1e306, whose differences from those of the subject's "
                "other images double does not hold",
                "give the data in another unit",
            ) from None

    def merge(self, other: RepeatedAccumulator, n_threads: int) -> None:
        """Add the rows of another accumulator, which follow the rows of this one."""
        self.state.merge(other.state, n_threads)

    def select(self, places: Integers) -> RepeatedAccumulator:
        """Return the accumulator of some of the voxels."""
        return replace(self, state=self.state.select(places))

    def spread(self, places: Integers, n_values: int) -> RepeatedAccumulator:
        """Return the accumulator of more voxels, at which all rows added so far were +0."""
        return replace(self, state=self.state.spread(places, n_values))


def _accumulator_of(
    state: tuple[Any, ...], design: tuple[Any, ...], visit: Integers, size: Integers
) -> RepeatedAccumulator:
    return RepeatedAccumulator(_state_of(state), design_of_parts(design), visit, size)


def _state_of(parts: tuple[Any, ...]) -> _core.RepeatedState:
    state = _core.RepeatedState.__new__(_core.RepeatedState)
    state.__setstate__(parts)
    return state


@dataclass(frozen=True, eq=False)
class RandomInterceptPlan:
    """A factorised design and the subjects of its images, of which some are read.

    Parameters
    ----------
    model : RepeatedMeasures
        The model, with one label an image.
    X : array, shape (n_images, n_columns)
        The whole design, in the order given.
    column_names : tuple of str
        Names of its columns.
    subjects : SubjectRows
        Whose image each image is.
    design : groupglm._core.Design
        The rows of the images to read, in the order of reading, factorised with all others.
    first : int
        The number of the first of them, in that order.
    """

    model: RepeatedMeasures
    X: Floats
    column_names: tuple[str, ...]
    subjects: SubjectRows
    design: _core.Design
    first: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        # As arrays: a worker's processor may run the compiled core of another level.
        return _plan_of, (self.model, self.X, self.column_names, self.subjects,
                          self.design.__getstate__(), self.first)  # fmt: skip

    @property
    def rank(self) -> int:
        """Rank of the design."""
        return self.design.rank

    @property
    def order(self) -> Integers:
        """The images, subject by subject."""
        return self.subjects.order

    @property
    def ends(self) -> Integers:
        """How many images there are up to each subject's end."""
        return self.subjects.ends

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        """Return the bytes of two accumulators, and of what is beside them.

        An accumulator has a state of (n_working + 1) numbers a voxel for what is within subjects
        and for the means of subjects with each number of images; missing images make other such
        numbers, up to the largest. Each state may have a triangular factor of its own for a voxel
        that some image lacks, and a third while it grows or is merged.
        """
        q = self.design.n_working
        sizes = self.subjects.sizes
        n_states = 1 + (int(sizes.max()) if n_missing else len(np.unique(sizes)))
        factors = n_missing * n_states * 12 * (q * (q + 1) + 4)
        # The running means, and the ratio and the residual variance of a fit and of a further one.
        beside = 8 * (3 + 4) * n_values + n_missing * 8 * (q + 6)
        return 16 * n_states * ((q + 1) * n_values + q * q) + factors + beside

    def part(self, first: int, count: int) -> RandomInterceptPlan:
        """Return the plan of some of the images, counted in the order of reading."""
        return replace(self, design=self.design.rows(first, count), first=self.first + first)

    def accumulator(self, n_values: int) -> RepeatedAccumulator:
        """Return an empty one."""
        sizes = self.subjects.sizes
        size = np.repeat(sizes, sizes)
        visit = np.concatenate([np.arange(1, own + 1) for own in sizes.tolist()])
        own = slice(self.first, self.first + self.design.n_rows)
        return RepeatedAccumulator(
            _core.RepeatedState(self.design.n_working, n_values),
            self.design,
            np.ascontiguousarray(visit[own], dtype=np.int64),
            np.ascontiguousarray(size[own], dtype=np.int64),
        )

    def mean(self, accumulator: Any, n_threads: int) -> tuple[Floats, NDArray[np.integer]]:
        """Return the mean of the images, and how many have each voxel."""
        mean, n, _, _ = _core.present_images(accumulator.state, self.design, n_threads)
        return mean, n

    def finish(
        self, accumulator: Any, n_threads: int, rows: Rows | None = None
    ) -> RandomInterceptFit:
        """Return the fit to the rows of all images."""
        del rows  # the states are enough
        found = _core.fit_random_intercept(accumulator.state, self.design, n_threads)
        return RandomInterceptFit(self.model, self.X, self.column_names, n_threads, self.subjects,
                                  accumulator.state, self.design, *found)  # fmt: skip


def _plan_of(
    model: RepeatedMeasures,
    X: Floats,
    column_names: tuple[str, ...],
    subjects: SubjectRows,
    design: tuple[Any, ...],
    first: int,
) -> RandomInterceptPlan:
    return RandomInterceptPlan(model, X, column_names, subjects, design_of_parts(design), first)


def prepare(
    model: RepeatedMeasures, rows: SubjectRows, X: Floats, column_names: tuple[str, ...]
) -> RandomInterceptPlan:
    """Factorise a design, and refuse or report what cannot be fitted well."""
    if rows.n_subjects == 1:
        raise ArgumentError.about(
            "subjects",
            f"all {len(X)} images are of one subject, {in_quotes(rows.names[0])}: nothing is left "
            "to estimate the variance between subjects from",
            "give images of several subjects, or take " + argument("model", "ols"),
        )
    design = checked_design(np.ascontiguousarray(X[rows.order]), column_names)
    _refuse_one_variance(design, rows, X, column_names)
    return RandomInterceptPlan(model, X, column_names, rows, design)


def _refuse_one_variance(
    design: _core.Design, rows: SubjectRows, X: Floats, column_names: tuple[str, ...]
) -> None:
    """Refuse a design that leaves nothing between subjects, or no residual within them.

    With K = ZZ', Z the subjects' indicators, and P the projection on what the design leaves,
    nothing is left between subjects if tr(PKPK) = 0.
    """
    basis = design.basis()
    sums = np.add.reduceat(basis, rows.ends - rows.sizes, axis=0)  # Z'U, (n_subjects, rank)
    sizes = rows.sizes.astype(np.float64)
    gram = sums.T @ sums
    square = float(np.sum(sizes**2) - 2 * np.sum(sizes[:, None] * sums**2) + np.sum(gram**2))
    if square <= SMALLEST_SHARE * float(np.sum(sizes**2)):
        between = _between_subjects(rows, X, column_names)
        raise ArgumentError.about(
            "design_matrix",
            "the design matrix has a level for every subject, by the columns "
            f"{quote_names(between)}: nothing is left to estimate the variance between subjects "
            "from, and effects between subjects are confounded with their levels",
            "drop the columns of the subjects, for which the random intercept stands, or keep them "
            "and take " + argument("model", "ols"),
        )
    if len(X) - rows.n_subjects <= n_varying(basis, rows.number[rows.order]):
        raise of_no_residual(X, rows.number, column_names)


def _between_subjects(rows: SubjectRows, X: Floats, column_names: tuple[str, ...]) -> list[str]:
    """Return the names of the columns that are the same in all images of each subject."""
    first = rows.order[rows.ends - rows.sizes]
    same = (X[first][rows.number] == X).all(axis=0)
    return [name for name, is_same in zip(column_names, same, strict=True) if is_same]


def load(
    model: RepeatedMeasures,
    rows: SubjectRows,
    X: Floats,
    column_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    *,
    n_values: int,
    n_threads: int,
) -> RandomInterceptFit:
    """Make a fit of the arrays of its states, which a file held."""
    design = _core.Design(np.ascontiguousarray(X[rows.order]))
    sizes = arrays["sizes"]
    check_type("sizes", sizes, "int64", 1)
    known = dict(zip(*np.unique(rows.sizes, return_counts=True), strict=True))
    if len(sizes) > len(X) or not set(known) <= set(sizes.tolist()) or (sizes < 1).any():
        raise ValueError("sizes are not the numbers of images that the subjects have")
    within = _state_parts(arrays, "within_", len(X) - rows.n_subjects, design, n_values)
    means = tuple(
        _state_parts(arrays, f"means{size}_", int(known.get(size, 0)), design, n_values)
        for size in sizes.tolist()
    )
    state = _state_of((within, sizes, means))
    found = []
    for name in ("ratio", "residual_variance"):
        array = arrays[name]
        check_type(name, array, "float64", 1)
        if array.shape != (n_values,) or (array < 0).any() or np.isinf(array).any():
            raise ValueError(f"{name} has other places or values than a fit can have")
        found.append(array)
    return RandomInterceptFit(
        model, X, column_names, n_threads, rows, state, design, found[0], found[1]
    )


def _state_parts(
    arrays: Mapping[str, NDArray[Any]],
    prefix: str,
    n_rows: int,
    design: _core.Design,
    n_values: int,
) -> tuple[Any, ...]:
    own = []
    for name in STATE_NAMES:
        dtype, ndim = STATE_TYPES[name]
        array = (
            arrays[prefix + name]
            if ndim > 1 or name == "rss"
            else arrays.get(prefix + name, np.empty(0, dtype))
        )
        check_type(prefix + name, array, dtype, ndim)
        own.append(array)
    if own[1].shape != (design.n_working, n_values) or (own[5] > design.n_rows).any():
        raise ValueError(f"its state does not fit the {n_values} places and the design")
    return (n_rows, *own)
