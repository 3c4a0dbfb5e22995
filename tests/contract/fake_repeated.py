# SPDX-License-Identifier: BSD-3-Clause
"""A small model of several images a subject: the mean over subjects of each subject's mean.

It must read the images subject by subject: an accumulator refuses to be merged or finished while it
holds a part of a subject, and to be filled in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupglm import _core
from groupglm.models.arguments import check_contrast, check_rows, choose_stat_type
from groupglm.models.base import Rows, Values
from groupglm.models.results import ContrastResult, StatType
from groupglm.models.subject_rows import SubjectRows, subject_rows
from groupglm.models.words import Words
from groupglm.runtime.array_archives import check_type

Floats = NDArray[np.float64]

SUMS = ("subjects", "mean", "squares", "images", "mean of images")


@dataclass(frozen=True, eq=False)
class MeanOfSubjects:
    """A t test of the subjects' means; those with more images count no more."""

    subjects: Any = None
    families: Any = None
    visits: Any = None
    kind: ClassVar[str] = "mean of subjects"
    beside: ClassVar[tuple[str, ...]] = ()
    rows_per_image: ClassVar[int] = 1
    keeps_rows: ClassVar[bool] = False

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(str(self.settings()))

    def _labels(self) -> dict[str, Any]:
        every = {"subjects": self.subjects, "families": self.families, "visits": self.visits}
        return {name: labels for name, labels in every.items() if labels is not None}

    def settings(self) -> dict[str, Any]:
        return {name: list(map(str, labels)) for name, labels in self._labels().items()}

    def for_images(self, align: Callable[[Any, str], Any]) -> Self:
        return replace(self, **{name: align(own, name) for name, own in self._labels().items()})

    def rows(self, n_images: int) -> SubjectRows:
        return subject_rows(n_images, self.subjects, families=self.families, visits=self.visits)

    def prepare(self, X: Floats, column_names: tuple[str, ...]) -> MeanOfSubjectsPlan:
        if X.shape[1] != 1 or (X != 1).any():
            raise ValueError("the design must be one column of ones")
        rows = self.rows(len(X))
        return MeanOfSubjectsPlan(X, column_names, self, rows.order, rows.ends)

    def load(
        self,
        X: Floats,
        column_names: tuple[str, ...],
        arrays: Mapping[str, NDArray[Any]],
        *,
        n_values: int,
        n_threads: int,
    ) -> MeanOfSubjectsFit:
        self.prepare(X, column_names)
        sums = arrays["sums"]
        check_type("sums", sums, "float64", 2)
        if sums.shape != (len(SUMS), n_values):
            raise ValueError(f"its sums do not fit {n_values} places")
        named = dict(zip(SUMS, sums, strict=True))
        return MeanOfSubjectsFit(self, X, column_names, n_threads, named)


class Means:
    """The accumulator: moments of the subjects' means, and of the images of an open subject."""

    def __init__(self, ends: tuple[int, ...], n_values: int) -> None:
        self.ends = ends
        self.n_rows = 0
        self.n_closed = 0
        self.sums = np.zeros((len(SUMS), n_values))
        self.own = np.zeros((2, n_values))  # of the open subject: number of images, and their mean
        self.is_open = False

    @property
    def n_missing(self) -> int:
        return int(np.count_nonzero(self.sums[3] < self.n_rows))

    def update(self, first: int, rows: Values, n_threads: int) -> None:
        for number, row in enumerate(rows):
            if n_infinite := np.count_nonzero(np.isinf(row)):
                raise _core.InfiniteValueError(number, n_infinite)
        with np.errstate(over="ignore", invalid="ignore"):
            for number, row in enumerate(rows, first):
                has, y = ~np.isnan(row), np.nan_to_num(row.astype(np.float64))
                for sums in (self.own, self.sums[3:]):
                    sums[0] += has
                    sums[1] += np.where(has, (y - sums[1]) / np.maximum(sums[0], 1), 0)
                self.n_rows += 1
                self.is_open = number + 1 not in self.ends
                if not self.is_open:
                    self._close()

    def _close(self) -> None:
        has, own = self.own[0] > 0, self.own[1]
        n, mean, squares = self.sums[:3]
        n += has
        step = np.where(has, own - mean, 0)
        mean += step / np.maximum(n, 1)
        squares += np.where(has, step * (own - mean), 0)
        self.n_closed += 1
        self.own[:] = 0

    def merge(self, other: Means, n_threads: int) -> None:
        if self.is_open or other.is_open:
            raise AssertionError("a subject is divided between accumulators")
        with np.errstate(over="ignore", invalid="ignore"):
            n, mean, squares = self.sums[:3]
            both = np.maximum(n + other.sums[0], 1)
            step = other.sums[1] - mean
            step[other.sums[0] == 0] = 0
            squares += other.sums[2] + step**2 * n * other.sums[0] / both
            mean += step * other.sums[0] / both
            n += other.sums[0]
            images = np.maximum(self.sums[3] + other.sums[3], 1)
            self.sums[4] += (other.sums[4] - self.sums[4]) * other.sums[3] / images
            self.sums[3] += other.sums[3]
            self.n_rows += other.n_rows
            self.n_closed += other.n_closed

    def select(self, places: NDArray[np.int64]) -> Means:
        return self._with(self.sums[:, places], self.own[:, places])

    def spread(self, places: NDArray[np.int64], n_values: int) -> Means:
        n_own = self.n_rows - (self.ends[self.n_closed - 1] if self.n_closed else 0)
        sums, own = np.zeros((len(SUMS), n_values)), np.zeros((2, n_values))
        sums[0], sums[3], own[0] = self.n_closed, self.n_rows, n_own
        sums[:, places], own[:, places] = self.sums, self.own
        return self._with(sums, own)

    def _with(self, sums: Floats, own: Floats) -> Means:
        other = Means(self.ends, sums.shape[1])
        vars(other).update({**vars(self), "sums": sums, "own": own})
        return other


@dataclass(frozen=True, eq=False)
class MeanOfSubjectsPlan:
    X: Floats
    column_names: tuple[str, ...]
    model: MeanOfSubjects
    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    rank: ClassVar[int] = 1

    def bytes(self, n_values: int, n_missing: int = 0) -> int:
        return 2 * 8 * (len(SUMS) + 2) * n_values

    def part(self, first: int, count: int) -> MeanOfSubjectsPlan:
        ends = self.ends[(self.ends > first) & (self.ends <= first + count)] - first
        return replace(self, ends=ends)

    def accumulator(self, n_values: int) -> Means:
        return Means(tuple(self.ends.tolist()), n_values)

    def mean(self, accumulator: Any, n_threads: int) -> tuple[Floats, NDArray[np.int64]]:
        return accumulator.sums[4], accumulator.sums[3].astype(np.int64)

    def finish(
        self, accumulator: Any, n_threads: int, rows: Rows | None = None
    ) -> MeanOfSubjectsFit:
        if accumulator.is_open:
            raise AssertionError("the last subject is not whole")
        sums = dict(zip(SUMS, accumulator.sums, strict=True))
        return MeanOfSubjectsFit(self.model, self.X, self.column_names, n_threads, sums)


@dataclass(frozen=True, eq=False)
class MeanOfSubjectsFit:
    model: MeanOfSubjects
    X: Floats
    column_names: tuple[str, ...]
    n_threads: int
    sums: dict[str, Floats]

    def described(self, places: str) -> str:
        return f"{len(self.X)} images of {len(set(self.model.subjects))} subjects"

    @property
    def n_observations(self) -> NDArray[np.int64]:
        return self.sums["images"].astype(np.int64)

    @property
    def df_residual(self) -> Floats:
        return self.sums["subjects"] - 1

    @property
    def beta(self) -> Floats:
        return self.sums["mean"][np.newaxis]

    @property
    def mean(self) -> Floats:
        return self.sums["mean of images"]

    @property
    def residual_sd(self) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self.sums["squares"] / self.df_residual)

    def select(self, places: NDArray[np.int64]) -> MeanOfSubjectsFit:
        return replace(self, sums={name: own[places] for name, own in self.sums.items()})

    def contrast(self, contrast: ArrayLike, *, stat_type: StatType | None = None) -> ContrastResult:
        values = check_contrast(contrast, self.column_names)
        chosen = choose_stat_type(values, stat_type)
        weights = np.atleast_2d(values)[:, :1]
        effect, df = weights * self.beta, self.df_residual
        variance = self.residual_sd**2 / self.sums["subjects"]
        if chosen == "t":
            variance = weights[0] ** 2 * variance
            found = _core.t_statistics(effect[0], variance, df, self.n_threads)
            return ContrastResult(effect[0], variance, *found, "t", df)
        found = _core.f_statistics(self.beta[0] ** 2, variance, 1.0, df, self.n_threads)
        return ContrastResult(effect, variance, *found, "F", (1, df))

    def predicted(self, X: ArrayLike | None = None) -> Floats:
        return (self.X if X is None else check_rows(X, self.column_names)) @ self.beta

    def residuals(self, X: ArrayLike | None, Y: Values) -> Values:
        left: Any = np.asarray(Y - self.predicted(X), dtype=Y.dtype)
        return left  # type: ignore[no-any-return]

    def maps(self) -> Mapping[str, Callable[[], Floats]]:
        return {"subject_variance": lambda: self.residual_sd**2}

    @property
    def at_boundary(self) -> NDArray[np.bool_]:
        return np.asarray(self.residual_sd == 0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"sums": np.stack([self.sums[name] for name in SUMS])}

    def words(self) -> Words:
        plain = "fitted by the means of subjects"
        return Words(plain, f"{plain} (Fisher, 1925)", ("Fisher RA. Statistical Methods. 1925.",))


@dataclass(frozen=True, eq=False)
class KeptMeanOfSubjects(MeanOfSubjects):
    """The same model, computed from all rows at the end, which are in the order of the design."""

    kind: ClassVar[str] = "kept mean of subjects"
    keeps_rows: ClassVar[bool] = True

    def prepare(self, X: Floats, column_names: tuple[str, ...]) -> KeptMeanOfSubjectsPlan:
        rows = self.rows(len(X))
        return KeptMeanOfSubjectsPlan(X, column_names, self, rows.order, rows.ends)


@dataclass(frozen=True, eq=False)
class KeptMeanOfSubjectsPlan(MeanOfSubjectsPlan):
    def finish(
        self, accumulator: Any, n_threads: int, rows: Rows | None = None
    ) -> MeanOfSubjectsFit:
        assert rows is not None
        assert rows.n_inputs == len(self.X)
        own = self.accumulator(rows.n_values)
        for at, values in rows.tiles(3000):
            tile = self.accumulator(len(at))
            tile.update(0, values[self.order], n_threads)
            own.sums[:, at] = tile.sums
        return super().finish(own, n_threads)
